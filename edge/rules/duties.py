"""Duties of an outage under a pack: what, to whom, until when, and since when. Pure.

A duty arises with the elapsed or with the expected time, whichever crosses its threshold first, and once it
has arisen it stays: only the state is a matter of `now`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from edge.records import Cause
from edge.rules.civil import DAY_S, HOUR_S, local_day
from edge.rules.facts import OutageFacts
from edge.rules.judge import Missing, in_phases, reached, unique, validity
from edge.rules.model import Pack
from edge.rules.outage_sections import Boundary, DutyRule, Trigger
from edge.rules.repair import repair_class

_DUE_SOON_SHARE = 0.25  # the last quarter of a duty's time counts as "soon": our own choice, in no text


class DutyState(StrEnum):
    """Where a duty stands, as far as time goes; whether it was done is for the record to say."""

    PENDING = "pending"  # will arise at `opens_at` if the outage lasts
    OPEN = "open"
    DUE_SOON = "due_soon"
    OVERDUE = "overdue"


class Raised(StrEnum):
    """What raises a duty."""

    AT_ONCE = "at_once"
    ELAPSED = "elapsed"
    EXPECTED = "expected"
    PLANNED = "planned"


@dataclass(frozen=True, slots=True)
class Duty:
    """A duty of one outage. Times are Unix s; `due` is None where the text gives urgency but no figure.

    `action` is a key of the catalogue (`duty.<id>`), `recipient` as well (`recipient.<name>`), `urgency` too
    (`urgency.<word>`); `contents` are what must be said, and of these `missing` names what is not known.
    """

    id: str
    clause: str
    words: str
    action: str
    recipient: str
    urgency: str
    raised_by: Raised
    opens_at: float
    due: float | None
    contents: tuple[str, ...]
    missing: Missing
    state: DutyState


def duties(pack: Pack, outage: OutageFacts, now: float) -> tuple[Duty, ...]:
    """All duties that have arisen or will arise if the outage lasts, in the order of the document."""
    found = (_duty(pack, rule, outage, now) for rule in pack.duties)
    return tuple(duty for duty in found if duty is not None)


def _duty(pack: Pack, rule: DutyRule, outage: OutageFacts, now: float) -> Duty | None:
    applies = in_phases(rule.phases, outage.phase)
    raised = _raised(rule.trigger, outage) if applies is not False else None
    if raised is None:
        return None
    raised_by, opens_at = raised
    deadline = _DEADLINES[rule.deadline.urgency](pack, rule, outage, now)
    if deadline is None:
        return None
    due, missing = deadline
    season = () if applies else ("season",)
    told = tuple(name for name in rule.contents if not _known(name, outage))
    return Duty(
        id=rule.id,
        clause=rule.clause,
        words=rule.words,
        action=f"duty.{rule.id}",
        recipient=f"recipient.{rule.recipient}",
        urgency=f"urgency.{rule.deadline.urgency}",
        raised_by=raised_by,
        opens_at=opens_at,
        due=due,
        contents=rule.contents,
        missing=unique(told + missing + season + validity(pack, local_day(outage.lost_at))),
        state=_state(rule.trigger, opens_at, raised_by, due, now),
    )


def _known(content: str, outage: OutageFacts) -> bool:
    unknown = {
        "cause": outage.cause is Cause.UNKNOWN,
        "expected_recovery": outage.expected_recovery is None and outage.ended_at is None,
    }
    return not unknown.get(content, False)


def _raised(trigger: Trigger, outage: OutageFacts) -> tuple[Raised, float] | None:
    """By what and when (Unix s) the duty arises; None when it never does."""
    if trigger.on != "any" and (trigger.on == "planned") != outage.planned:
        return None
    if trigger.hours is None or trigger.boundary is None:
        kind = Raised.PLANNED if outage.planned else Raised.AT_ONCE
        return kind, outage.detected_at if outage.planned else outage.start
    return _crossing(trigger.hours, trigger.boundary, outage)


def _crossing(hours: float, boundary: Boundary, outage: OutageFacts) -> tuple[Raised, float] | None:
    ways = [
        (made.made_at, Raised.PLANNED if outage.planned else Raised.EXPECTED)
        for made in outage.known
        if made.recovery is not None and reached((made.recovery - outage.start) / HOUR_S, hours, boundary)
    ]
    lasting = outage.ended_at is None or reached(outage.duration(outage.ended_at) / HOUR_S, hours, boundary)
    if lasting:
        ways.append((outage.start + hours * HOUR_S, Raised.ELAPSED))
    if not ways:
        return None
    at, kind = min(ways)
    return kind, at


def _state(trigger: Trigger, opens_at: float, raised_by: Raised, due: float | None, now: float) -> DutyState:
    strict = raised_by is Raised.ELAPSED and trigger.boundary == "more_than"
    if now < opens_at or (strict and now == opens_at):
        return DutyState.PENDING
    if due is None:
        return DutyState.OPEN
    if now > due:
        return DutyState.OVERDUE
    soon = due - now <= _DUE_SOON_SHARE * (due - opens_at)
    return DutyState.DUE_SOON if soon else DutyState.OPEN


_Deadline = tuple[float | None, Missing] | None


def _within(pack: Pack, rule: DutyRule, outage: OutageFacts, _: float) -> _Deadline:
    name = rule.deadline.hours_parameter
    hours = rule.deadline.hours if name is None else pack.number(name)
    if hours is None:
        return None, (name,) if name is not None else ()
    return outage.start + hours * HOUR_S, ()


def _before(_pack: Pack, rule: DutyRule, outage: OutageFacts, _: float) -> _Deadline:
    return outage.lost_at - (rule.deadline.days or 0.0) * DAY_S, ()


def _by_class(pack: Pack, _rule: DutyRule, outage: OutageFacts, now: float) -> _Deadline:
    verdict = repair_class(pack, outage, now)
    return None if verdict.due is None else (verdict.due, verdict.missing)


def _no_figure(_pack: Pack, _rule: DutyRule, _outage: OutageFacts, _: float) -> _Deadline:
    return None, ()


_DEADLINES: dict[str, Callable[[Pack, DutyRule, OutageFacts, float], _Deadline]] = {
    "within": _within,
    "before": _before,
    "repair_class": _by_class,
    "at_once": _no_figure,
    "promptly": _no_figure,
    "soonest": _no_figure,
}
