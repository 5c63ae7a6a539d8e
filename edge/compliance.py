"""Follows the duties of outages and the season through time: rules applied, cycle after cycle. Pure.

The rules say what a text asks at a moment; this remembers what has already been said of it, so that each duty
is opened, becomes due soon and overdue once, and each outage that ends gets its refund basis once.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date

from edge.clock import ClockState, Instant
from edge.events.outage_record import Outage, from_body
from edge.events.planned import TOLERANCE_S
from edge.events.planned import from_body as plan_from_body
from edge.outage_facts import OVERRUN, PLAN, of_outage, of_plan, plan_id
from edge.records import Event, Plain
from edge.rules.civil import local_day
from edge.rules.duties import Duty, DutyState, duties
from edge.rules.facts import OutageFacts, Phase
from edge.rules.model import Pack
from edge.rules.refund import RefundBasis, refund_basis
from edge.rules.repair import repair_class
from edge.rules.season import season_phase
from edge.site import Site

JUDGE_PERIOD_S = 10.0  # deadlines are hours; ten seconds late is early enough
KEPT = 8  # outages remembered after their end, for their duties and for the view
IDLE_PHASES = frozenset({Phase.OFF, Phase.PREPARATION})

_TOLD = {
    DutyState.OPEN: "duty.opened",
    DutyState.DUE_SOON: "duty.due_soon",
    DutyState.OVERDUE: "duty.overdue",
}
_STATES = {kind: state for state, kind in _TOLD.items()}
_ORDER = [state.value for state in _TOLD]
CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Compliance:
    """What has been said so far. `told` maps a duty's subject to the state last recorded."""

    facts: Mapping[str, OutageFacts] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)  # outage id -> repair class last recorded
    refunded: frozenset[str] = frozenset()
    duties: Mapping[str, tuple[Duty, ...]] = field(default_factory=dict)
    refunds: Mapping[str, RefundBasis] = field(default_factory=dict)
    phase: Phase = Phase.UNKNOWN
    day: date | None = None
    judged_at: float = float("-inf")

    @property
    def heating(self) -> bool:
        """True when heat is due, and when the day is unknown: a warm pipe in summer harms less."""
        return self.phase not in IDLE_PHASES


def new_day(memory: Compliance, pack: Pack, now: Instant) -> Compliance:
    """The season phase of the local day, looked up once a day; unknown while the clock was never set."""
    if now.state is ClockState.UNSYNCED:
        return replace(memory, day=None, phase=Phase.UNKNOWN)
    today = local_day(now.wall)
    if today == memory.day:
        return memory
    return replace(memory, day=today, phase=season_phase(pack, today).phase)


def follow(
    memory: Compliance,
    pack: Pack,
    site: Site,
    outages: Mapping[str, Outage],
    events: Iterable[Event],
    now: Instant,
) -> tuple[Compliance, tuple[Event, ...]]:
    """What the pack asks now, and the events that say what is new. Judges at once when an outage changes."""
    news = [event for event in events if event.kind.startswith("outage.")]
    unknown = any(outage.id not in memory.facts for outage in outages.values())
    if not news and not unknown and now.monotonic - memory.judged_at < JUDGE_PERIOD_S:
        return memory, ()
    old, facts = memory.facts, _facts(memory, pack, outages, news, now)
    memory = replace(memory, facts=facts, judged_at=now.monotonic)
    found: list[Event] = []
    for outage in memory.facts.values():
        redated = outage.id in old and old[outage.id].lost_at != outage.lost_at
        memory = _judge(memory, pack, site, outage, redated, now, found)
    return _forget(memory), tuple(found)


def _forget(memory: Compliance) -> Compliance:
    """All but the open outages and the last few that are over: the service runs for years."""
    over = [one.id for one in memory.facts.values() if one.ended_at is not None]
    ids = memory.facts.keys() - set(over[: max(0, len(over) - KEPT)])
    return replace(
        memory,
        facts={one: facts for one, facts in memory.facts.items() if one in ids},
        told={subject: state for subject, state in memory.told.items() if subject.partition(":")[0] in ids},
        classes={one: key for one, key in memory.classes.items() if one in ids},
        refunded=memory.refunded & ids,
        duties={one: found for one, found in memory.duties.items() if one in ids},
        refunds={one: basis for one, basis in memory.refunds.items() if one in ids},
    )


def _facts(
    memory: Compliance, pack: Pack, outages: Mapping[str, Outage], news: Iterable[Event], now: Instant
) -> Mapping[str, OutageFacts]:
    """Open outages as they stand now, those that are over, and stops that are planned."""
    facts = dict(memory.facts)
    for event in news:
        facts = _PLANNING[event.kind](facts, pack, event) if event.kind in _PLANNING else facts
        if event.kind in _OVER and str(event.body["id"]) in facts:
            over = from_body(event.body)
            facts |= of_outage(over, _phase(memory, pack, facts.get(over.id), over))
    for outage in outages.values():
        facts |= of_outage(outage, _phase(memory, pack, facts.get(outage.id), outage))
        if outage.planned is not None and outage.planned.relation != "before":
            facts.pop(plan_id(outage.planned.plan, outage.circuit), None)
    stale = [
        one.id
        for one in facts.values()
        if one.id.startswith(PLAN) and now.wall > (one.expected_recovery or one.lost_at) + TOLERANCE_S
    ]
    return {key: one for key, one in facts.items() if key not in stale} if stale else facts


def _phase(memory: Compliance, pack: Pack, old: OutageFacts | None, outage: Outage) -> Phase:
    """Of the day heat was lost; anew when that day was dated anew."""
    if old is None:
        return memory.phase
    if old.lost_at == outage.lost_at:
        return old.phase
    return season_phase(pack, local_day(outage.lost_at)).phase


def _entered(facts: dict[str, OutageFacts], pack: Pack, event: Event) -> dict[str, OutageFacts]:
    plan = plan_from_body(event.body)
    return facts | of_plan(plan, season_phase(pack, local_day(plan.stop.begin)).phase)


def _cancelled(facts: dict[str, OutageFacts], _: Pack, event: Event) -> dict[str, OutageFacts]:
    gone = of_plan(plan_from_body(event.body), Phase.UNKNOWN)
    return {key: one for key, one in facts.items() if key not in gone}


_OVER = frozenset({"outage.ended", "outage.revised"})
_PLANNING = {"outage.planned": _entered, "outage.plan_cancelled": _cancelled}


def _judge(
    memory: Compliance,
    pack: Pack,
    site: Site,
    outage: OutageFacts,
    redated: bool,
    now: Instant,
    found: list[Event],
) -> Compliance:
    open_duties = duties(pack, outage, now.wall)
    before = {duty.id: duty.due for duty in memory.duties.get(outage.id, ())}
    memory = replace(memory, duties={**memory.duties, outage.id: open_duties})
    for duty in open_duties:
        moved = before.get(duty.id, duty.due) != duty.due
        memory = _tell(memory, site, outage, duty, moved, redated, now, found)
    memory = _classify(memory, pack, outage, now, found)
    return memory if outage.id.endswith(OVERRUN) else _refund(memory, pack, outage, now, found)


def _refund(
    memory: Compliance, pack: Pack, outage: OutageFacts, now: Instant, found: list[Event]
) -> Compliance:
    """The basis of an outage that is over, and again when it comes out otherwise."""
    if outage.ended_at is None:
        return replace(memory, refunded=memory.refunded - {outage.id})
    basis = refund_basis(pack, outage)
    if outage.id in memory.refunded and memory.refunds.get(outage.id, basis) == basis:
        return memory
    found.append(_event("refund.basis", outage.id, now, _refund_body(pack, basis)))
    refunds = {**memory.refunds, outage.id: basis}
    return replace(memory, refunded=memory.refunded | {outage.id}, refunds=refunds)


def _tell(
    memory: Compliance,
    site: Site,
    outage: OutageFacts,
    duty: Duty,
    moved: bool,
    redated: bool,
    now: Instant,
    found: list[Event],
) -> Compliance:
    """A duty goes forward only, unless its deadline was `moved`: a clock set back is no news.

    Of an outage that was `redated` it is said again. Heat lost again opens the duty to restore it again.
    """
    subject = f"{outage.id}:{duty.id}"
    told = memory.told.get(subject)
    if told == CLOSED and not (_by_heat(duty) and outage.ended_at is None):
        return memory
    told = None if redated or told == CLOSED else told
    if _is_fulfilled(duty, outage):
        body: dict[str, Plain] = {"clause": duty.clause, "by": "heat_back", "in_time": _in_time(duty, outage)}
        found.append(_event("duty.closed", subject, now, body))
        return replace(memory, told={**memory.told, subject: CLOSED})
    if duty.state.value == told or duty.state not in _TOLD:
        return memory
    if told is not None and not moved and _ORDER.index(duty.state.value) < _ORDER.index(told):
        return memory
    found.append(_event(_TOLD[duty.state], subject, now, _duty_body(site, outage, duty)))
    return replace(memory, told={**memory.told, subject: duty.state.value})


def _is_fulfilled(duty: Duty, outage: OutageFacts) -> bool:
    """Heat back fulfils the duty to restore it. That a notice was given, only a person can say."""
    return outage.ended_at is not None and _by_heat(duty)


def _by_heat(duty: Duty) -> bool:
    return duty.recipient == "recipient.operator"


def _in_time(duty: Duty, outage: OutageFacts) -> bool | None:
    if duty.due is None or outage.ended_at is None:
        return None
    return outage.ended_at <= duty.due


def _duty_body(site: Site, outage: OutageFacts, duty: Duty) -> dict[str, Plain]:
    # A circuit that the site has no more still owes its notices.
    circuit = next((circuit for circuit in site.circuits if circuit.id == outage.circuit), None)
    return {
        "clause": duty.clause,
        "words": duty.words,
        "action": duty.action,
        "recipient": duty.recipient,
        "urgency": duty.urgency,
        "raised_by": duty.raised_by.value,
        "opens_at": duty.opens_at,
        "due": duty.due,
        "contents": list(duty.contents),
        "missing": list(duty.missing),
        "cause": outage.cause.value,
        "area": None if circuit is None else circuit.area.model_dump(),
        "dwellings": None if circuit is None else circuit.dwellings,
    }


def _classify(
    memory: Compliance, pack: Pack, outage: OutageFacts, now: Instant, found: list[Event]
) -> Compliance:
    """The repair class, said when it is first known and whenever it changes."""
    verdict = repair_class(pack, outage, now.wall)
    stands = verdict.key or verdict.at_least
    if stands is None or memory.classes.get(outage.id) == stands:
        return memory
    body: dict[str, Plain] = {
        "class": verdict.key,
        "at_least": verdict.at_least,
        "clause": verdict.clause,
        "due": verdict.due,
        "forced": verdict.forced,
        "missing": list(verdict.missing),
    }
    found.append(_event("repair.class", outage.id, now, body))
    return replace(memory, classes={**memory.classes, outage.id: stands})


def refund_figures(basis: RefundBasis) -> dict[str, Plain]:
    """What a refund is counted by, as the record and the view say it."""
    return {
        "kind": basis.kind.value,
        "reason": basis.reason,
        "clauses": list(basis.clauses),
        "quantity": basis.quantity,
        "unit": basis.unit,
        "share": basis.share,
    }


def _refund_body(pack: Pack, basis: RefundBasis) -> dict[str, Plain]:
    return {
        "pack": pack.id,
        **refund_figures(basis),
        "exemption": basis.exemption,
        "missing": list(basis.missing),
        "evidence": dict(basis.evidence),
    }


def _event(kind: str, subject: str, now: Instant, body: Mapping[str, Plain]) -> Event:
    return Event(kind, subject, now.wall, now.wall, body)


def restore(rows: Iterable[Mapping[str, Plain]], pack: Pack) -> Compliance:
    """What had been said before a restart, from the newest row of each outage, duty and refund subject.

    An end of an outage that cannot be understood is left out: no plant stands still because of an old record.
    """
    memory = Compliance()
    for row in rows:
        kind, subject, body = str(row["kind"]), str(row["subject"]), row["body"]
        if kind == "duty.closed":
            memory = replace(memory, told={**memory.told, subject: CLOSED})
        elif kind in _STATES:
            memory = replace(memory, told={**memory.told, subject: _STATES[kind].value})
        elif kind == "refund.basis":
            memory = replace(memory, refunded=memory.refunded | {subject})
        elif kind == "repair.class" and isinstance(body, Mapping):
            stands = body.get("class") or body.get("at_least")
            memory = replace(memory, classes={**memory.classes, subject: str(stands)})
        elif kind in _OVER or kind == "outage.planned":
            with suppress(KeyError, TypeError, ValueError):
                memory = replace(memory, facts={**memory.facts, **_known(kind, body, pack)})
    ended = [one for one in memory.facts.values() if one.ended_at is not None]
    return replace(memory, refunds={one.id: refund_basis(pack, one) for one in ended})


def _known(kind: str, body: Plain, pack: Pack) -> dict[str, OutageFacts]:
    """Facts of an outage that is over, or of a plan, from a row."""
    if kind in _OVER:
        over = from_body(body)
        if over.ended_at is None:
            raise ValueError(f"outage {over.id} is not over")
        return of_outage(over, Phase.SEASON)
    plan = plan_from_body(body)
    return of_plan(plan, season_phase(pack, local_day(plan.stop.begin)).phase)
