"""Repair classes of an accident: by the expected recovery, forced up by the elapsed time. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.records import Plain
from edge.rules.civil import HOUR_S, local_day
from edge.rules.facts import OutageFacts
from edge.rules.judge import Missing, matches, validity
from edge.rules.model import Pack
from edge.rules.outage_sections import Repair, RepairClass


@dataclass(frozen=True, slots=True)
class RepairVerdict:
    """The class of an outage, or why it has none.

    `key` is None while the class is unknown (`reason` = "unknown") or where none applies ("silent",
    "planned", "not_an_accident"). `at_least` is the lowest class the elapsed time still allows;
    `due` (Unix s) is the deadline of `key`, or provisionally of `at_least`; `due_from` starts the range
    where the text gives one. `forced` says that the elapsed time has overruled the expectation,
    `expected_key`.
    """

    key: str | None
    reason: str
    clause: str | None = None
    at_least: str | None = None
    expected_key: str | None = None
    forced: bool = False
    due: float | None = None
    due_from: float | None = None
    missing: Missing = ()
    evidence: Mapping[str, Plain] = field(default_factory=dict)


def repair_class(pack: Pack, outage: OutageFacts, now: float) -> RepairVerdict:
    """The class at `now` (Unix s).

    A limit itself belongs to the shorter class. Where a text lets two classes touch (X小时内 and X小时以上
    both include X), the shorter deadline satisfies both.
    """
    if pack.repair is None:
        return RepairVerdict(None, "silent")
    if outage.planned:
        return RepairVerdict(None, "planned", pack.repair.clause)
    if any(matches(row, outage) for row in pack.repair.not_for):
        cause = {"cause": str(outage.cause)}
        return RepairVerdict(None, "not_an_accident", pack.repair.clause, evidence=cause)
    return _classify(pack, pack.repair, outage, now)


def _classify(pack: Pack, repair: Repair, outage: OutageFacts, now: float) -> RepairVerdict:
    recovery = outage.expected_recovery if outage.ended_at is None else outage.ended_at
    floor = _of(repair, outage.duration(now))
    expected = None if recovery is None else _of(repair, recovery - outage.start)
    key, reason = _ruling(repair, floor, expected)
    ruling = expected if reason == "expected" and expected is not None else floor
    first = ruling.deadline_from_h
    unknown = () if key is not None else ("expected_recovery",)
    return RepairVerdict(
        key=key,
        reason=reason,
        clause=ruling.clause,
        at_least=floor.key,
        expected_key=None if expected is None else expected.key,
        forced=expected is not None and reason == "elapsed",
        due=outage.start + ruling.deadline_h * HOUR_S,
        due_from=None if first is None else outage.start + first * HOUR_S,
        missing=unknown + validity(pack, local_day(outage.lost_at)),
        evidence={
            "elapsed_h": outage.duration(now) / HOUR_S,
            "expected_h": None if recovery is None else (recovery - outage.start) / HOUR_S,
            "words": ruling.words,
        },
    )


def _ruling(repair: Repair, floor: RepairClass, expected: RepairClass | None) -> tuple[str | None, str]:
    if expected is None:
        return (floor.key, "elapsed") if floor is repair.classes[-1] else (None, "unknown")
    overruled = repair.classes.index(floor) > repair.classes.index(expected)
    return (floor.key, "elapsed") if overruled else (expected.key, "expected")


def _of(repair: Repair, seconds: float) -> RepairClass:
    for one in repair.classes:
        if one.recoverable_within_h is None or seconds <= one.recoverable_within_h * HOUR_S:
            return one
    return repair.classes[-1]
