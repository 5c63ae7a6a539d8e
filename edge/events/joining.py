"""When two losses are one outage, and how overlapping causes are kept. Pure.

situation                                           record
heat back for less than `recover_s`                 the outage goes on (outage.py, recovering)
heat back longer, lost again within `join_s` of
  its return, same cause or one of them unknown     the same outage is opened again; the time of heat
                                                    stands under `interruptions`
the same, by another cause                          another outage
lost again later                                    another outage
strong evidence of several causes in one outage     each with its interval under `causes`; the main one is
                                                    the outage's own, by the rules of cause.py
evidence gone for less than `confirm_s`             one interval
the service restarts                                the outage goes on; the time it saw nothing is `blind`
"""

from collections.abc import Sequence
from dataclasses import replace

from edge.events.evidence import BY_NAME, Item
from edge.events.outage_record import Outage, Span
from edge.records import Cause


def joins(last: Outage | None, new: Outage, warm_s: float, join_s: float) -> bool:
    """Whether `new` is `last` going on, after `warm_s` seconds of heat."""
    if last is None or last.ended_at is None or last.end_reason != "heat_back" or warm_s > join_s:
        return False
    return last.cause is new.cause or Cause.UNKNOWN in (last.cause, new.cause)


def rejoined(last: Outage, new: Outage) -> Outage:
    """The former outage open again: its beginning and name, the evidence of now."""
    back = last.ended_at if last.ended_at is not None else new.lost_at
    known = last.cause is not Cause.UNKNOWN
    return replace(
        last,
        cause=last.cause if known else new.cause,
        confidence=last.confidence if known else new.confidence,
        evidence=new.evidence,
        held=False,
        spans=(*last.spans, *new.spans),
        interruptions=(*last.interruptions, (back, max(back, new.lost_at))),
        account=last.account.plus(new.account),
        ended_at=None,
        end_reason="",
    )


def spans(known: tuple[Span, ...], evidence: Sequence[Item], wall: float, gap_s: float) -> tuple[Span, ...]:
    """The causes' intervals one cycle later: strong evidence present opens or goes on, absent closes."""
    present = _strong(evidence)
    kept: list[Span] = []
    for span in known:
        since = present.get(span.cause)
        again = span.until is None or wall - span.until <= gap_s
        if since is not None and again:
            kept.append(replace(span, until=None))
            del present[span.cause]
        else:
            kept.append(replace(span, until=wall) if span.until is None else span)
    return (*kept, *(Span(cause, since) for cause, since in present.items()))


def closed(known: tuple[Span, ...], ended: float) -> tuple[Span, ...]:
    """The causes' intervals of an outage that is over: none outlasts it."""
    return tuple(
        replace(span, until=max(span.since, ended if span.until is None else min(span.until, ended)))
        for span in known
    )


def _strong(evidence: Sequence[Item]) -> dict[Cause, float]:
    found: dict[Cause, float] = {}
    for item in evidence:
        row = BY_NAME[item.what]
        if row.strong and row.cause is not None:
            found[row.cause] = min(item.since, found.get(row.cause, item.since))
    return found
