"""The outage of one circuit: a pure state machine over several pieces of evidence.

    phase        signal      next         journal
    normal       loss        suspected
    suspected    clear       normal                        a short dip is no outage
    suspected    heat        normal
    suspected    not_due     normal
    suspected    confirmed   out          outage.started
    out          heat        recovering
    out          not_due     normal       outage.ended
    recovering   loss        out                           the same outage goes on
    recovering   steady      normal       outage.ended
    recovering   not_due     normal       outage.ended
    out          partial     normal       outage.ended     heat flows again, too little of it: degraded
Every other pair stays where it is; `hold` (nothing is known) always does.

Heat is back when the supply is within half the deficit of its setpoint, or within three quarters while the
meter shows heat delivered, and there is no symptom; from then on only a symptom throws recovery back.

A loss that follows soon may be the same outage again (joining.py): `outage.changed` then opens it anew.

`lost_at` is when heat was lost, `detected_at` when we were sure, `ended_at` when heat was back. While the
circuit is out the cause is judged again. An unknown or weakly founded cause gives way to strong evidence at
once. Any other gives way when its own strong evidence has been gone for `confirm_s` (pumps need time to start
after mains or pressure came back), or when the new one explains it (cause.py, rule 3).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from edge.clock import ClockState, Instant
from edge.events import cause as causes
from edge.events import evidence as ev
from edge.events.cause import Confidence, Verdict
from edge.events.degraded import DegradedWatch
from edge.events.evidence import Item, Timer
from edge.events.facts import CircuitFacts, below, either, exceeds
from edge.events.joining import closed, joins, rejoined, spans
from edge.events.leak import LeakWatch
from edge.events.outage_record import Outage, affected
from edge.events.undelivered import NOTHING, Account, count, estimate
from edge.records import Cause, Event, Plain
from edge.site import Circuit

_LOCAL = ZoneInfo("Asia/Shanghai")
_WARM_UP_S = 3600.0  # a circuit that was never warm since heat became due is warming up for so long
_DELIVERED_KW_PER_M2 = 0.01  # a fifth of the usual 50 W/m2: heat is being delivered


class Phase(StrEnum):
    """Where a circuit stands."""

    NORMAL = "normal"
    SUSPECTED = "suspected"
    OUT = "out"
    RECOVERING = "recovering"


class Signal(StrEnum):
    """What one cycle says to the machine."""

    HOLD = "hold"
    NOT_DUE = "not_due"
    LOSS = "loss"
    CONFIRMED = "confirmed"
    CLEAR = "clear"
    HEAT = "heat"
    PARTIAL = "partial"
    STEADY = "steady"


TRANSITIONS: Mapping[tuple[Phase, Signal], Phase] = {
    (Phase.NORMAL, Signal.LOSS): Phase.SUSPECTED,
    (Phase.SUSPECTED, Signal.CLEAR): Phase.NORMAL,
    (Phase.SUSPECTED, Signal.HEAT): Phase.NORMAL,
    (Phase.SUSPECTED, Signal.NOT_DUE): Phase.NORMAL,
    (Phase.SUSPECTED, Signal.CONFIRMED): Phase.OUT,
    (Phase.OUT, Signal.HEAT): Phase.RECOVERING,
    (Phase.OUT, Signal.NOT_DUE): Phase.NORMAL,
    (Phase.RECOVERING, Signal.LOSS): Phase.OUT,
    (Phase.RECOVERING, Signal.STEADY): Phase.NORMAL,
    (Phase.RECOVERING, Signal.NOT_DUE): Phase.NORMAL,
    (Phase.OUT, Signal.PARTIAL): Phase.NORMAL,
}


@dataclass(frozen=True, slots=True)
class CircuitWatch:
    """The memory of one circuit. Monotonic s; `outage` is set in the phases out and recovering."""

    phase: Phase = Phase.NORMAL
    since: float = 0.0
    timers: Mapping[str, Timer] = field(default_factory=dict)
    due_since: float | None = None
    warm: bool = False  # was at its setpoint since heat became due
    not_before: float = float("-inf")  # when heat was back last: no evidence of a new outage is older
    unknown_since: float | None = None
    unfounded_since: float | None = None  # the recorded cause has no strong evidence since
    partial_since: float | None = None  # heat flows again while the circuit is out
    seen: float | None = None  # the last cycle
    account: Account = NOTHING  # of the suspicion, or of a recovery that may come to nothing
    outage: Outage | None = None
    last: Outage | None = None  # the one before, which is over
    degraded: DegradedWatch = field(default_factory=DegradedWatch)
    leak: LeakWatch = field(default_factory=LeakWatch)


def outage_id(circuit: str, lost_at: float) -> str:
    """`<circuit>-<YYYYMMDDTHHMMSS>`, local time of the loss."""
    return f"{circuit}-{datetime.fromtimestamp(lost_at, _LOCAL):%Y%m%dT%H%M%S}"


def step(watch: CircuitWatch, facts: CircuitFacts, now: Instant) -> tuple[CircuitWatch, tuple[Event, ...]]:
    """One cycle of one circuit."""
    seconds = 0.0 if watch.seen is None else now.monotonic - watch.seen
    watch = _observe(watch, facts, now)
    watch = replace(watch, seen=now.monotonic, partial_since=_partial_since(watch, facts, now))
    signal = _signal(watch, facts, now)
    target = TRANSITIONS.get((watch.phase, signal), watch.phase)
    if target is not watch.phase:
        return _move(watch, target, signal, facts, now)
    watch = _counted(watch, facts, seconds)
    if watch.phase is Phase.OUT:
        watch, changed = _rejudge(watch, facts, now)
        watch, marked = _mark(watch, signal, facts, now)
        return watch, (*changed, *marked)
    if watch.phase is Phase.RECOVERING:
        return _mark(watch, signal, facts, now)
    return watch, ()


def _observe(watch: CircuitWatch, facts: CircuitFacts, now: Instant) -> CircuitWatch:
    """Evidence is gathered only while heat is due; while that is not known, nothing moves."""
    if facts.due is None:
        return watch
    if not facts.due:
        return replace(watch, timers={}, due_since=None, warm=False)
    due_since = now.monotonic if watch.due_since is None else watch.due_since
    warm = watch.warm or _near_setpoint(facts) is True or now.monotonic - due_since >= _WARM_UP_S
    skip = frozenset() if warm or _source_missing(facts) else _WARMING_UP
    timers = ev.update(watch.timers, facts, now, skip)
    return replace(watch, timers=timers, due_since=due_since, warm=warm)


def _counted(watch: CircuitWatch, facts: CircuitFacts, seconds: float) -> CircuitWatch:
    """Heat due and delivered in the `seconds` since the last cycle, while heat is gone or in doubt."""
    if watch.phase is Phase.NORMAL:
        return watch if watch.account is NOTHING else replace(watch, account=NOTHING)
    if watch.phase is Phase.OUT and watch.outage is not None and watch.partial_since is None:
        whole = count(watch.outage.account.plus(watch.account), facts, seconds)
        return replace(watch, outage=replace(watch.outage, account=whole), account=NOTHING)
    return replace(watch, account=count(watch.account, facts, seconds))


def _partial_since(watch: CircuitWatch, facts: CircuitFacts, now: Instant) -> float | None:
    share = facts.measured_share
    if watch.phase is not Phase.OUT or facts.due is None or share is None:
        return watch.partial_since if watch.phase is Phase.OUT else None
    if share < ev.PARTIAL * facts.circuit.detection.stop_share:
        return None
    return now.monotonic if watch.partial_since is None else watch.partial_since


_WARMING_UP = frozenset({"supply_low"})


def _source_missing(facts: CircuitFacts) -> bool | None:
    return either(facts.source_pressure_low, facts.source_cold)


def _near_setpoint(facts: CircuitFacts, share: float = 0.5) -> bool | None:
    """Supply within a share of the deficit below its setpoint, or above."""
    short = exceeds(facts.shortfall_k, facts.circuit.detection.supply_deficit_k * share)
    return None if short is None else not short


def _heat_back(facts: CircuitFacts) -> bool | None:
    """Without symptoms: by supply temperature and meter, by the meter alone where that is all we have."""
    low = below(facts.heat_power_kw, _DELIVERED_KW_PER_M2 * facts.circuit.heated_area_m2)
    delivered = None if low is None else not low
    near = _near_setpoint(facts)
    if near is None:
        return delivered
    return near or (delivered is True and _near_setpoint(facts, 0.75) is True)


def _signal(watch: CircuitWatch, facts: CircuitFacts, now: Instant) -> Signal:
    if facts.due is None:
        return Signal.HOLD
    if not facts.due:
        return Signal.NOT_DUE
    symptoms = [timer for what, timer in watch.timers.items() if ev.BY_NAME[what].symptom]
    elapsed = now.monotonic - watch.since
    detection = facts.circuit.detection
    if any(timer.seen == now.monotonic for timer in symptoms):
        sure = watch.phase is Phase.SUSPECTED and elapsed >= detection.confirm_s
        return Signal.CONFIRMED if sure else Signal.LOSS
    partial = watch.partial_since
    if partial is not None and now.monotonic - partial >= detection.degraded_s:
        return Signal.PARTIAL
    back, recovering = _heat_back(facts), watch.phase is Phase.RECOVERING
    if not back and (symptoms or (back is None and watch.outage is not None)):
        return Signal.HOLD
    if back or recovering:
        return Signal.STEADY if recovering and elapsed >= detection.recover_s else Signal.HEAT
    return Signal.CLEAR


def _move(
    watch: CircuitWatch, target: Phase, signal: Signal, facts: CircuitFacts, now: Instant
) -> tuple[CircuitWatch, tuple[Event, ...]]:
    """The transition itself and what it tells the journal."""
    moved = replace(watch, phase=target, since=now.monotonic, unknown_since=None, unfounded_since=None)
    if target is Phase.OUT and watch.outage is None:
        return _opened(watch, moved, facts, now)
    if target is Phase.NORMAL and watch.outage is not None:
        return _close(watch, moved, watch.outage, signal, facts, now)
    if watch.outage is not None:  # thrown back, its recovery was part of the outage; or recovering only now
        outage = replace(watch.outage, account=watch.outage.account.plus(watch.account))
        return replace(moved, outage=outage, account=NOTHING), ()
    return moved, ()


def _opened(
    watch: CircuitWatch, moved: CircuitWatch, facts: CircuitFacts, now: Instant
) -> tuple[CircuitWatch, tuple[Event, ...]]:
    """A new outage, or the last one again."""
    outage, last = _open(watch, facts, now), watch.last
    moved = replace(moved, account=NOTHING, last=None)
    if last is not None and joins(
        last, outage, watch.since - watch.not_before, facts.circuit.detection.join_s
    ):
        again = rejoined(last, outage)
        change = {"from": last.stands.value, "to": again.stands.value, "reason": "rejoined"}
        event = Event("outage.changed", again.circuit, outage.lost_at, now.wall, again.body() | change)
        return replace(moved, outage=again), (event,)
    body = outage.body() | affected(facts.circuit)
    started = Event("outage.started", outage.circuit, outage.lost_at, outage.detected_at, body)
    return replace(moved, outage=outage), (started,)


def _open(watch: CircuitWatch, facts: CircuitFacts, now: Instant) -> Outage:
    suspected = now.wall - (now.monotonic - watch.since)
    evidence = ev.items(watch.timers, facts, now, watch.not_before)
    verdict = causes.attribute(evidence, suspected)
    lost = causes.lost_at(evidence, verdict.cause, suspected)
    circuit = facts.circuit.id
    return Outage(
        outage_id(circuit, lost),
        circuit,
        suspected,
        lost,
        now.wall,
        verdict.cause,
        verdict.confidence,
        evidence,
        spans=spans((), evidence, now.wall, 0.0),
        undated=now.state is ClockState.UNSYNCED,
        account=watch.account,
    )


_ENDS = {Signal.STEADY: "heat_back", Signal.PARTIAL: "degraded", Signal.NOT_DUE: "heat_not_due"}


def _close(
    watch: CircuitWatch,
    moved: CircuitWatch,
    outage: Outage,
    signal: Signal,
    facts: CircuitFacts,
    now: Instant,
) -> tuple[CircuitWatch, tuple[Event, ...]]:
    """The end: when recovery began, when heat flowed again, or now that heat is not due any more."""
    partial = now.monotonic if watch.partial_since is None else watch.partial_since
    back = {Signal.STEADY: watch.since, Signal.PARTIAL: partial}.get(signal, now.monotonic)
    heat_at = now.wall - (now.monotonic - back)
    ended = max(outage.lost_at, heat_at)
    over = replace(
        outage,
        ended_at=ended,
        end_reason=_ENDS[signal],
        held=False,
        spans=closed(outage.spans, ended),
        lasted_s=max(0.0, heat_at - outage.lost_at - outage.clock_s),
    )
    event = Event("outage.ended", outage.circuit, ended, now.wall, ended_body(over, facts.circuit))
    return replace(moved, outage=None, last=over, not_before=back, account=NOTHING, partial_since=None), (
        event,
    )


def ended_body(over: Outage, circuit: Circuit) -> dict[str, Plain]:
    """The record of an outage that is over: with whom it concerned and the heat it cost."""
    lasted = over.lasted_s if over.lasted_s is not None else (over.ended_at or over.lost_at) - over.lost_at
    given = circuit.load.design_w_per_m2 is not None
    return over.body() | affected(circuit) | {"undelivered": estimate(over.account, lasted, given)}


def abandon(outage: Outage, now: Instant) -> Event:
    """The end of an outage whose circuit the site no longer has: the record must not stay open for ever."""
    ended = max(outage.lost_at, now.wall)
    lasted_s = max(0.0, now.wall - outage.lost_at - outage.clock_s)
    body = replace(outage, ended_at=ended, end_reason="circuit_removed", lasted_s=lasted_s).body()
    return Event("outage.ended", outage.circuit, ended, now.wall, body)


def _rejudge(
    watch: CircuitWatch, facts: CircuitFacts, now: Instant
) -> tuple[CircuitWatch, tuple[Event, ...]]:
    """The cause judged again; unchanged unless the module's rule lets another one in."""
    outage = watch.outage
    if outage is None or facts.due is not True:
        return watch, ()
    evidence = _continued(outage, ev.items(watch.timers, facts, now, watch.not_before))
    verdict = causes.attribute(evidence, outage.suspected_at)
    kept = spans(outage.spans, evidence, now.wall, facts.circuit.detection.confirm_s)
    outage = replace(outage, spans=kept)
    watch = replace(watch, outage=outage)
    own = _own(outage, evidence)
    since = None if own else now.monotonic if watch.unfounded_since is None else watch.unfounded_since
    watch = replace(watch, unfounded_since=since)
    unfounded = since is not None and now.monotonic - since >= facts.circuit.detection.confirm_s
    if not _gives_way(outage, verdict, own, unfounded):
        return watch, ()
    new = replace(outage, cause=verdict.cause, confidence=verdict.confidence, evidence=evidence)
    change = {"from": outage.stands.value, "to": new.stands.value, "reason": "evidence"}
    change["judged_from"] = outage.cause.value
    occurred = verdict.since if verdict.since is not None else now.wall
    event = Event("outage.changed", outage.circuit, occurred, now.wall, new.body() | change)
    return replace(watch, outage=new), (event,)


def _continued(outage: Outage, evidence: tuple[Item, ...]) -> tuple[Item, ...]:
    """Evidence on record keeps its recorded beginning: a restart of the service must not make it younger."""
    known = {item.what: item.since for item in outage.evidence}
    kept = (replace(item, since=min(item.since, known.get(item.what, item.since))) for item in evidence)
    return tuple(sorted(kept, key=lambda item: item.since))


def _own(outage: Outage, evidence: tuple[Item, ...]) -> list[float]:
    """Since when strong evidence for the recorded cause holds (Unix s), item by item."""
    rows = ((item, ev.BY_NAME[item.what]) for item in evidence)
    return [item.since for item, row in rows if row.strong and row.cause is outage.cause]


def _gives_way(outage: Outage, verdict: Verdict, own: list[float], unfounded: bool) -> bool:
    """Whether the recorded cause gives way to `verdict`; the rule is in the module's docstring."""
    if verdict.cause in (outage.cause, Cause.UNKNOWN):
        return False
    if outage.cause is Cause.UNKNOWN:
        return True
    if not verdict.strong or verdict.since is None:
        return False
    if outage.confidence is Confidence.LOW or unfounded:
        return True
    return bool(own) and causes.decisive(verdict.cause, verdict.since, outage.cause, min(own))


def _mark(
    watch: CircuitWatch, signal: Signal, facts: CircuitFacts, now: Instant
) -> tuple[CircuitWatch, tuple[Event, ...]]:
    """Mark an open outage of which nothing has been known for `confirm_s`, and unmark it."""
    outage = watch.outage
    if outage is None:
        return watch, ()
    unknown = signal is Signal.HOLD
    since = (now.monotonic if watch.unknown_since is None else watch.unknown_since) if unknown else None
    watch = replace(watch, unknown_since=since)
    held = since is not None and now.monotonic - since >= facts.circuit.detection.confirm_s
    if held == outage.held or (unknown and not held):
        return watch, ()
    new = replace(outage, held=held)
    cause = outage.stands.value
    change = {"from": cause, "to": cause, "reason": "held" if held else "resumed"}
    occurred = now.wall if since is None else now.wall - (now.monotonic - since)
    event = Event("outage.changed", outage.circuit, occurred, now.wall, new.body() | change)
    return replace(watch, outage=new), (event,)
