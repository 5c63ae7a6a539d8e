"""Everything about heat in one cycle: outages, degraded supply, leaks, plans, the station. Pure.

Each circuit is judged by itself (outage.py, degraded.py, leak.py); what concerns several is done here: plans
and the outage of the whole station. When the clock is set for the first time, what was dated before is dated
anew (`redate`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edge.clock import ClockState, Instant
from edge.events import degraded, group, leak, outage
from edge.events.facts import CircuitFacts
from edge.events.group import Group
from edge.events.meter import Count
from edge.events.outage import CircuitWatch, Phase, ended_body
from edge.events.outage_record import Outage, with_blind
from edge.events.planned import Plans, current, related
from edge.records import Event, Plain
from edge.site import Site

_SET_S = 2.0  # more than any slewing: the clock was set
_LITRES = 1000.0


@dataclass(frozen=True, slots=True)
class Station:
    """What concerns more than one circuit. `unset`: wall less monotonic s while the clock was never set."""

    plans: Plans = field(default_factory=dict)
    group: Group | None = None
    unset: float | None = None


Circuits = Mapping[str, CircuitWatch]
Found = tuple[dict[str, CircuitWatch], Station, list[Event]]


def follow(
    circuits: Circuits,
    station: Station,
    facts: Mapping[str, CircuitFacts],
    totals: Mapping[str, Count],
    site: Site,
    now: Instant,
) -> Found:
    """One cycle of all circuits."""
    events = [outage.abandon(w.outage, now) for c, w in circuits.items() if w.outage and c not in facts]
    circuits, station, found = _clock(circuits, station, site, now)
    events += found
    new: dict[str, CircuitWatch] = {}
    plans = current(station.plans, now.wall)
    for name, known in facts.items():
        new[name], found = _circuit(circuits.get(name, CircuitWatch()), known, totals, plans, now)
        events += found
    open_ones = {name: watch.outage for name, watch in new.items() if watch.outage is not None}
    due = {name: known.due for name, known in facts.items()}
    together, told = group.step(station.group, open_ones, due, site, now)
    if plans is not station.plans or together is not station.group:
        station = replace(station, plans=plans, group=together)
    return new, station, [*events, *told]


def _circuit(
    old: CircuitWatch, facts: CircuitFacts, totals: Mapping[str, Count], plans: Plans, now: Instant
) -> tuple[CircuitWatch, list[Event]]:
    seconds = 0.0 if old.seen is None else now.monotonic - old.seen
    watch, told = outage.step(old, facts, now)
    watch, planned = _planned(watch, plans, now)
    out = watch.phase in (Phase.OUT, Phase.RECOVERING)
    low, lowered = degraded.step(watch.degraded, facts, watch.warm, out, seconds, now)
    lost, leaked = leak.step(watch.leak, facts, _makeup_m3(facts, totals), out, now)
    return replace(watch, degraded=low, leak=lost), [*told, *planned, *lowered, *leaked]


def _makeup_m3(facts: CircuitFacts, totals: Mapping[str, Count]) -> float | None:
    """The make-up meter's running total over every change of meter, while it shows something good."""
    count = totals.get(f"{facts.circuit.id}.makeup_volume")
    return float(count.exact) / _LITRES if facts.makeup_counted and count is not None else None


def _planned(watch: CircuitWatch, plans: Plans, now: Instant) -> tuple[CircuitWatch, list[Event]]:
    """The plan an open outage belongs to, told when that is found out and when it changes."""
    found = watch.outage
    if found is None or (found.planned is None and not plans):
        return watch, []
    link = related(found, plans.values(), now.wall)
    if link == found.planned or link is None:
        return watch, []
    new = replace(found, planned=link)
    return replace(watch, outage=new), [changed(new, f"plan_{link.relation}", now, now.wall)]


def changed(outage: Outage, reason: str, now: Instant, occurred: float, **more: Plain) -> Event:
    """An open outage of which something else than its automatic cause has changed."""
    stands = outage.stands.value
    body = outage.body() | {"from": stands, "to": stands, "reason": reason} | more
    return Event("outage.changed", outage.circuit, occurred, now.wall, body)


def revised(outage: Outage, reason: str, site: Site, now: Instant, **more: Plain) -> Event:
    """An outage that is over, of which something is known better."""
    circuit = next((one for one in site.circuits if one.id == outage.circuit), None)
    known = outage.body() if circuit is None else ended_body(outage, circuit)
    return Event("outage.revised", outage.circuit, now.wall, now.wall, known | {"reason": reason} | more)


def _clock(
    circuits: Circuits, station: Station, site: Site, now: Instant
) -> tuple[Circuits, Station, list[Event]]:
    """A clock that was never set, and is now: what it dated is dated anew."""
    offset = now.wall - now.monotonic
    unset = offset if now.state is ClockState.UNSYNCED else None
    known = station.unset
    station = replace(station, unset=unset) if unset != known else station
    if known is None or abs(offset - known) < _SET_S:
        return circuits, station, []
    events: list[Event] = []
    new = {name: redate(watch, offset - known, now, events, site) for name, watch in circuits.items()}
    return new, station, events


def redate(
    watch: CircuitWatch, shift_s: float, now: Instant, events: list[Event], site: Site
) -> CircuitWatch:
    """The watch with its undated outages moved by `shift_s`, and events that say so.

    Only what was dated in this boot can be: an outage that would then have begun before the boot keeps its
    date, and stays marked as undated.
    """
    open_one, last = watch.outage, watch.last
    if open_one is not None and _is_ours(open_one, shift_s, now):
        open_one = _moved(open_one, shift_s, now)
        events.append(changed(open_one, "clock_set", now, open_one.lost_at, shift_s=shift_s))
    if last is not None and _is_ours(last, shift_s, now):
        last = _moved(last, shift_s, now)
        events.append(revised(last, "clock_set", site, now, shift_s=shift_s))
    low = watch.degraded.open
    if low is not None and low.since + shift_s <= now.wall and low.since + shift_s >= now.wall - now.boottime:
        low = replace(low, since=low.since + shift_s, detected_at=low.detected_at + shift_s)
    return replace(watch, outage=open_one, last=last, degraded=replace(watch.degraded, open=low))


def _is_ours(outage: Outage, shift_s: float, now: Instant) -> bool:
    return (
        outage.undated
        and now.wall - now.boottime - _SET_S <= outage.detected_at + shift_s <= now.wall + _SET_S
    )


def _moved(outage: Outage, shift_s: float, now: Instant) -> Outage:
    """All its own times moved. What people entered of the future (a recovery) they read off another clock."""

    def both(intervals: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        return tuple((begin + shift_s, end + shift_s) for begin, end in intervals)

    ended, spans = outage.ended_at, outage.spans
    return replace(
        outage,
        suspected_at=outage.suspected_at + shift_s,
        lost_at=outage.lost_at + shift_s,
        detected_at=outage.detected_at + shift_s,
        evidence=tuple(replace(item, since=item.since + shift_s) for item in outage.evidence),
        expectations=tuple(replace(one, at=one.at + shift_s) for one in outage.expectations),
        attributions=tuple(replace(one, at=one.at + shift_s) for one in outage.attributions),
        spans=tuple(
            replace(one, since=one.since + shift_s, until=None if one.until is None else one.until + shift_s)
            for one in spans
        ),
        interruptions=both(outage.interruptions),
        blind=both(outage.blind),
        ended_at=None if ended is None else ended + shift_s,
        undated=now.state is ClockState.UNSYNCED,
    )


def blind(circuits: Circuits, begin: float, end: float) -> dict[str, CircuitWatch]:
    """Circuits after an interval (Unix s) in which the service saw nothing: an open outage keeps it apart.

    No outage is invented in it, and none is ended.
    """
    return {
        name: watch if watch.outage is None else replace(watch, outage=with_blind(watch.outage, begin, end))
        for name, watch in circuits.items()
    }
