"""A technician's hand on an output: below interlocks and frost protection, above everything else; it expires.

A hold lives in memory only: after a restart the station is back in automatic, and `service.started` in the
journal is then the record of its end. Control is told what the hand did, as if it had done so itself: it goes
on from the last command, which the actuator has been given all along (a measured position may be older than
that), and it knows whether the pump was to run.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from edge.clock import Instant
from edge.control import ControlState, Decision
from edge.control.pi import bumpless
from edge.control.state import CircuitState
from edge.control.valve import Action, ValveState
from edge.points import quantity
from edge.records import CircuitView, Command, Event, Holder, Plain
from edge.site import Circuit, Site

REASON = "reason.manual"
RENEWED_S = 60.0  # a command of a hold is void that long after the last cycle that wanted it
ABOVE = frozenset({Holder.INTERLOCK, Holder.FROST})  # whom a technician does not override


@dataclass(frozen=True, slots=True)
class Hold:
    """What a technician wants of an output, in the point's unit, until a monotonic time (s)."""

    point: str
    value: float
    until: float
    who: str
    why: str


class Holds:
    """The holds in force. Not thread-safe; asked by one cycle."""

    def __init__(self, site: Site) -> None:
        self._circuits = {circuit.id: circuit for circuit in site.circuits}
        self._most = {f"{c.id}.valve_setpoint": c.valve.maximum_percent for c in site.circuits}
        self._known = site.points()
        self._held: dict[str, Hold] = {}
        self._events: list[Event] = []

    @property
    def held(self) -> Mapping[str, Hold]:
        """By point."""
        return self._held

    def begin(self, hold: Hold, now: Instant) -> None:
        """Hold an output; a hold of before on the same one ends. ValueError when it must not be held so."""
        known = quantity(hold.point)
        if known is None or not known.output or hold.point not in self._known:
            raise ValueError(f"{hold.point} is no output of this station")
        high = min(known.high, self._most.get(hold.point, known.high))
        if not known.low <= hold.value <= high:
            raise ValueError(f"{hold.point}: {hold.value:g} is not within {known.low:g} to {high:g}")
        if hold.until <= now.monotonic:
            raise ValueError(f"{hold.point}: the hold has ended before it begins")
        self.end(hold.point, now, "replaced", hold.who)
        self._held[hold.point] = hold
        until = now.wall + hold.until - now.monotonic
        body: dict[str, Plain] = {"value": hold.value, "who": hold.who, "why": hold.why, "until": until}
        self._events.append(Event("manual.started", hold.point, now.wall, now.wall, body))

    def end(self, point: str, now: Instant, cause: str = "released", by: str = "") -> None:
        """Give an output back; one that is not held is no error. `cause`: released, expired or replaced.

        `by` is who ended it, where that was another than the one who holds.
        """
        hold = self._held.pop(point, None)
        if hold is not None:
            body = {"who": hold.who, "cause": cause, "by": by or hold.who}
            self._events.append(Event("manual.ended", point, now.wall, now.wall, body))

    def drain_events(self) -> list[Event]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def arbitrated(self, decision: Decision, now: Instant) -> Decision:
        """The decision as it stands with the holds in force at `now`."""
        for hold in [hold for hold in self._held.values() if hold.until <= now.monotonic]:
            self.end(hold.point, now, "expired")
        if not self._held:
            return decision
        above = {command.point for command in decision.commands if command.holder in ABOVE}
        ruling = {point: hold for point, hold in self._held.items() if point not in above}
        kept = (command for command in decision.commands if command.point not in ruling)
        return replace(
            decision,
            state=self._told(decision.state, ruling),
            commands=(*kept, *_commands(ruling.values(), now)),
            views={name: _seen(name, view, ruling) for name, view in decision.views.items()},
        )

    def _told(self, state: ControlState, ruling: Mapping[str, Hold]) -> ControlState:
        circuits = {
            name: _told_circuit(self._circuits[name], each, ruling) for name, each in state.circuits.items()
        }
        return replace(state, circuits=circuits)


def _commands(holds: Iterable[Hold], now: Instant) -> Iterator[Command]:
    for hold in holds:
        until = min(hold.until, now.monotonic + RENEWED_S)
        yield Command(hold.point, hold.value, Holder.TECHNICIAN, REASON, until, hold.who)


def _told_circuit(settings: Circuit, circuit: CircuitState, ruling: Mapping[str, Hold]) -> CircuitState:
    """What control must believe it did: the valve where the hand has put it, pumps as the hand wants."""
    valve, pump, makeup = (
        ruling.get(f"{settings.id}.{what}") for what in ("valve_setpoint", "pump_1.run", "makeup_pump.run")
    )
    if valve is not None:
        circuit = replace(circuit, valve=_told_valve(settings, circuit, valve.value))
    if pump is not None:
        circuit = replace(circuit, pump_commanded=pump.value != 0)
    if makeup is not None:  # the limit of its run time counts under the hand, too
        circuit = replace(circuit, makeup=replace(circuit.makeup, running=makeup.value != 0))
    return circuit


def _told_valve(settings: Circuit, circuit: CircuitState, held: float) -> ValveState:
    """The loop as it would be had it asked for `held` % itself at the present error."""
    valve, supply_c = circuit.valve, circuit.supply.value
    if valve.action is not Action.CONTROL or valve.setpoint_c is None or supply_c is None:
        return replace(valve, action=Action.HOLD, command_percent=held)
    loop = bumpless(settings.valve, held, valve.setpoint_c - supply_c)
    return replace(valve, command_percent=held, pi=loop)


def _seen(name: str, view: CircuitView, ruling: Mapping[str, Hold]) -> CircuitView:
    valve = ruling.get(f"{name}.valve_setpoint")
    if valve is None:
        return view
    return replace(view, holder=Holder.TECHNICIAN, valve_percent=valve.value, limited_by="")
