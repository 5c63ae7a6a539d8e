"""Rooms: the threshold that holds, the verdict on a day, the refund band, and the share that complies. Pure.

Only GOOD readings are evidence. Readings in the hours a text excludes from sampling do not count.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from drivers import Reading
from edge.records import Plain
from edge.rules.civil import local_day, local_time
from edge.rules.facts import Phase, RoomDay
from edge.rules.judge import Missing, Outcome, in_phases, unique, validity
from edge.rules.model import Pack
from edge.rules.room_refund import RoomRefundShare, room_refund
from edge.rules.threshold import Threshold, threshold_of

_GOOD_SHARE = 0.9  # with fewer good readings a day is not called compliant: our own choice, in no text


@dataclass(frozen=True, slots=True)
class RoomVerdict:
    """One room, one day. `value_c` is the temperature judged; `evidence` counts the readings used."""

    room: str
    day: str  # ISO date, local
    outcome: Outcome
    threshold: Threshold
    value_c: float | None
    refund: RoomRefundShare
    clauses: tuple[str, ...]
    missing: Missing
    evidence: Mapping[str, Plain] = field(default_factory=dict)


def room_verdict(pack: Pack, facts: RoomDay) -> RoomVerdict:
    """Judge one room on one local day, with the refund band of that day."""
    threshold = threshold_of(pack, facts)
    mine = [reading for reading in facts.readings if local_day(reading.timestamp) == facts.day]
    counted = [reading for reading in mine if sample_counts(pack, reading.timestamp)]
    values = sorted(reading.value for reading in counted if reading.is_good and reading.value is not None)
    value, needed = _day_value(pack, values)
    season = in_phases((Phase.SEASON,), facts.phase)
    missing = unique((*threshold.missing, *needed, *(("season",) if season is None else ())))
    outcome = _outcome(threshold, value, season, len(values), len(counted))
    if outcome is Outcome.UNDECIDED and len(values) < _GOOD_SHARE * max(1, len(counted)):
        missing = unique((*missing, "readings"))
    refund = room_refund(pack, facts, outcome, values)
    return RoomVerdict(
        room=facts.room,
        day=facts.day.isoformat(),
        outcome=outcome,
        threshold=threshold,
        value_c=value,
        refund=refund,
        clauses=unique((*threshold.clauses, *refund.clauses)),
        missing=unique((*missing, *validity(pack, facts.day))),
        evidence=_evidence(mine, counted, values),
    )


def _evidence(mine: list[Reading], counted: list[Reading], values: list[float]) -> dict[str, Plain]:
    return {
        "readings": len(mine),
        "in_excluded_hours": len(mine) - len(counted),
        "not_good": len(counted) - len(values),
        "lowest_c": values[0] if values else None,
        "mean_c": fmean(values) if values else None,
        "highest_c": values[-1] if values else None,
    }


def sample_counts(pack: Pack, wall: float) -> bool:
    """False for a moment (Unix s) in the hours in which the text has no rooms sampled, both ends excluded."""
    rule = pack.sampling
    if rule is None or rule.excluded_from is None or rule.excluded_to is None:
        return True
    return not rule.excluded_from <= local_time(wall) <= rule.excluded_to


def _day_value(pack: Pack, values: list[float]) -> tuple[float | None, Missing]:
    if pack.room is None:
        return None, ()
    name = pack.room.day_value_parameter
    how = pack.room.day_value or pack.text(name)
    if how is None:
        return None, (name,) if name is not None else ()
    if not values:
        return None, ("readings",)
    return (values[0] if how == "lowest" else fmean(values)), ()


def _outcome(
    threshold: Threshold, value: float | None, season: bool | None, good: int, counted: int
) -> Outcome:
    if season is False or (threshold.reason == "silent" and not threshold.missing):
        return Outcome.NOT_APPLICABLE
    if threshold.value_c is None or value is None or season is None:
        return Outcome.UNDECIDED
    if value < threshold.value_c:
        return Outcome.FAIL
    return Outcome.PASS if good >= _GOOD_SHARE * counted else Outcome.UNDECIDED


@dataclass(frozen=True, slots=True)
class PassShare:
    """How many rooms comply; `share_percent` is of the decided ones.

    `met` is None while the undecided could tip it, or where the text asks for no share.
    """

    passed: int
    failed: int
    undecided: int
    share_percent: float | None
    required_percent: float | None
    met: bool | None
    clause: str | None


def pass_share(pack: Pack, outcomes: Iterable[Outcome]) -> PassShare:
    """The share of compliant rooms of a day, a round or a season; the required figure is included."""
    counts = dict.fromkeys(Outcome, 0)
    for outcome in outcomes:
        counts[outcome] += 1
    passed, failed, undecided = counts[Outcome.PASS], counts[Outcome.FAIL], counts[Outcome.UNDECIDED]
    decided = passed + failed
    rule = pack.pass_rate
    met = None if rule is None else _met(passed, failed, undecided, rule.percent)
    return PassShare(
        passed,
        failed,
        undecided,
        100.0 * passed / decided if decided else None,
        None if rule is None else rule.percent,
        met,
        None if rule is None else rule.clause,
    )


def _met(passed: int, failed: int, undecided: int, percent: float) -> bool | None:
    total = passed + failed + undecided
    if total == 0:
        return None
    if 100.0 * passed >= percent * total:
        return True
    return False if 100.0 * (passed + undecided) < percent * total else None
