"""Planned stops: may they be, and was the notice given in time? Pure."""

from dataclasses import dataclass

from edge.rules.civil import local_day
from edge.rules.duties import duties
from edge.rules.facts import OutageFacts, Phase
from edge.rules.judge import Missing, in_phases, unique, validity
from edge.rules.model import Pack


@dataclass(frozen=True, slots=True)
class PlannedVerdict:
    """`allowed`: None where nobody knows or the text says nothing (`reason` = "silent").

    `notice_due` is the latest moment (Unix s) to tell the users, None where no notice is asked;
    `notice_in_time` is None while no notice was given and `now` is not past it.
    """

    outage: str
    allowed: bool | None
    reason: str  # "silent", "forbidden", "approved", "not_approved", "approval_unknown", "out_of_season"
    notice_due: float | None
    notice_in_time: bool | None
    clauses: tuple[str, ...]
    missing: Missing


def planned_verdict(pack: Pack, outage: OutageFacts, now: float) -> PlannedVerdict:
    """Judge a planned stop; ValueError for a stop that is not planned."""
    if not outage.planned:
        raise ValueError(f"outage {outage.id} is not planned")
    allowed, reason, clauses, missing = _allowed(pack, outage)
    notices = [duty for duty in duties(pack, outage, now) if _is_notice(duty.recipient, duty.urgency)]
    due = min((duty.due for duty in notices if duty.due is not None), default=None)
    return PlannedVerdict(
        outage=outage.id,
        allowed=allowed,
        reason=reason,
        notice_due=due,
        notice_in_time=_in_time(due, outage.announced_at, now),
        clauses=unique((*clauses, *(duty.clause for duty in notices))),
        missing=unique((*missing, *validity(pack, local_day(outage.lost_at)))),
    )


def _is_notice(recipient: str, urgency: str) -> bool:
    return (recipient, urgency) == ("recipient.users", "urgency.before")


def _allowed(pack: Pack, outage: OutageFacts) -> tuple[bool | None, str, tuple[str, ...], Missing]:
    rule = pack.planned_work
    if rule is None:
        return None, "silent", (), ()
    season = in_phases((Phase.SEASON,), outage.phase)
    if season is False:
        return True, "out_of_season", (rule.clause,), ()
    unsure = () if season else ("season",)
    if rule.rule == "forbidden":
        return False, "forbidden", (rule.clause,), unsure
    if outage.approved is None:
        return None, "approval_unknown", (rule.clause,), (*unsure, "approved")
    return outage.approved, "approved" if outage.approved else "not_approved", (rule.clause,), unsure


def _in_time(due: float | None, announced_at: float | None, now: float) -> bool | None:
    if due is None:
        return None
    if announced_at is None:
        return False if now > due else None
    return announced_at <= due
