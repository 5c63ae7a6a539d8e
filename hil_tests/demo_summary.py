"""The demonstration's summary in words: facts of the head-end's copy through the catalogue. Prints nothing
itself.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge.site import Site
from edge.texts import Texts
from edge.verification import verify
from edge.watch import clock_text
from hil_tests.demo_facts import STANDARD_C, Copy, Told, outages, rooms, steady, tracking
from hil_tests.story_effects import Story


def _number(value: float | None, digits: int = 1, factor: float = 1.0) -> str:
    return "-" if value is None else f"{value * factor:.{digits}f}"


def _moment(wall: float | None, otherwise: str) -> str:
    return otherwise if wall is None else clock_text(wall)


def heat_lines(copy: Copy, site: Site, story: Story, texts: Texts) -> Iterator[str]:
    """Control and rooms."""
    quiet = steady(story, copy.frames)
    yield texts("demo.summary.steady", hours=f"{len(quiet) * site.recording.snapshot_s / 3600.0:.1f}")
    for circuit in site.circuits:
        found = tracking(circuit.id, quiet)
        yield "  " + texts(
            "demo.summary.tracking",
            circuit=circuit.name.text(texts.language),
            share=_number(found.share, factor=100.0),
            worst=_number(found.worst_k, 2),
        )
    felt = rooms(story, copy.frames)
    yield "  " + texts(
        "demo.summary.rooms",
        steady=_number(felt.lowest_steady_c),
        lowest=_number(felt.lowest_c),
        standard=f"{STANDARD_C:.0f}",
        share=_number(felt.share, factor=100.0),
    )


def outage_lines(copy: Copy, site: Site, texts: Texts) -> Iterator[str]:
    """Every outage with its cause, duties and refund basis."""
    for told in outages(copy.journal).values():
        body = told.outage
        yield texts(
            "demo.summary.outage",
            circuit=site.circuit(body["circuit"]).name.text(texts.language),
            lost=clock_text(body["lost_at"]),
            detected=clock_text(body["detected_at"]),
            ended=_moment(told.ended_at, texts("demo.summary.open")),
            cause=texts(f"cause.{body['cause']}"),
        )
        yield from _duties_and_refund(told, texts)


def _duties_and_refund(told: Told, texts: Texts) -> Iterator[str]:
    evidence = [texts(f"evidence.{item['what']}") for item in told.outage["evidence"]]
    if evidence:
        yield texts("demo.summary.evidence", evidence=texts("demo.summary.and").join(evidence))
    for duty in told.duties.values():
        due = _moment(duty["due"], texts(duty["urgency"]))
        yield texts("demo.summary.duty", clause=duty["clause"], action=texts(duty["action"]), due=due)
    if told.refund is not None:
        yield texts("demo.summary.refund", basis=_basis(told.refund, texts))


def _basis(refund: Mapping[str, Any], texts: Texts) -> str:
    words = texts(f"refund_reason.{refund['reason']}")
    if refund["quantity"] is not None:
        words += f" {refund['quantity']:.2f} {texts('view.' + refund['unit'])}"
    return f"{words} [{', '.join(refund['clauses'])}]" if refund["clauses"] else words


def record_lines(journal: Path, copy: Copy, differences: int, texts: Texts) -> tuple[list[str], bool]:
    """Rows on both sides before the stop, and what the offline check says after it; True when all is well."""
    received = len(copy.journal)
    rows = texts(
        "demo.summary.rows",
        journal=received + differences,
        received=received,
        differences=differences,
        frames=len(copy.frames),
    )
    found = verify(journal)
    key = "demo.summary.verified" if found.ok else "demo.summary.faults"
    return [rows, texts(key, rows=found.rows, faults=len(found.faults))], found.ok and differences == 0
