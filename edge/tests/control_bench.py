"""A small station to control, and traces: tables of (seconds later, what changes, what is expected then)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from drivers import Quality, Reading, Reason
from edge.clock import ClockState, Instant
from edge.control import ControlState, Decision, decide, initial
from edge.image import ProcessImage
from edge.points import CIRCUIT, STATION, quantity
from edge.records import Command, Event
from edge.site import Circuit, Site

WALL = 1_768_428_000.0  # 2026-01-15 06:00 in Shanghai
Value = float | Reason | Reading  # a good value, why there is none, or any reading
BROKEN = Reason.NO_ANSWER

RUNNING: dict[str, Value] = {
    "station.outdoor_temperature": -5.0,
    "station.mains_power": 1.0,
    "station.tank_level": 1.5,
    "station.primary_differential_pressure": 1.5,
    "station.primary_supply_temperature": 90.0,
    **{
        f"{name}.{what}": value
        for name, opening in (("high", 40.0), ("low", 30.0))
        for what, value in {
            "secondary_supply_temperature": 50.0,
            "secondary_return_temperature": 40.0,
            "secondary_return_pressure": 3.0,
            "valve_position": opening,
            "pump_1.running": 1.0,
        }.items()
    },
}
"""In steady heating: the curve asks for 50 degC at -5 degC outdoors, and 50 degC it is."""


def _circuit(name: str, settings: Mapping[str, object]) -> dict[str, object]:
    return {
        "id": name,
        "name": {"zh": name, "en": name},
        "area": {"zh": name, "en": name},
        "emitter": "radiator",
        "heated_area_m2": 20_000,
        "dwellings": 200,
        "curve": {"points": [[-20, 62], [-5, 50], [15, 30]], "maximum_c": 60, "minimum_c": 25},
        "pressurisation": {"setpoint_bar": 3.0, "maximum_run_s": 60},
        "valve": {"running_time_s": 100},
    } | dict(settings)


def make_site(circuits: tuple[str, ...] = ("high", "low"), **settings: object) -> Site:
    """A site with every point mapped; `settings` replace sections of each circuit."""
    names = [f"{name}.{what}" for name in circuits for what in CIRCUIT] + [f"station.{w}" for w in STATION]
    return Site.model_validate(
        {
            "site": {"gateway": "g1", "name": {"zh": "站", "en": "station"}},
            "regulation": {"pack": "any"},
            "circuits": [_circuit(name, settings) for name in circuits],
            "buses": [{"id": "plc", "kind": "modbus-tcp", "host": "127.0.0.1"}],
            "devices": [
                {
                    "id": "plc",
                    "bus": "plc",
                    "profile": "any",
                    "points": {p: f"r{i}" for i, p in enumerate(names)},
                }
            ],
        }
    )


def with_valve(site: Site, **changes: object) -> Site:
    """The site with other valve settings on every circuit."""

    def changed(circuit: Circuit) -> Circuit:
        return circuit.model_copy(update={"valve": circuit.valve.model_copy(update=changes)})

    return site.model_copy(update={"circuits": tuple(changed(circuit) for circuit in site.circuits)})


def instant(seconds: float) -> Instant:
    """A moment `seconds` after the start of a test."""
    return Instant(WALL + seconds, 1000.0 + seconds, 1000.0 + seconds, ClockState.SYNCED)


def reading(point: str, value: Value, wall: float) -> Reading:
    """The reading of a point."""
    known = quantity(point)
    assert known is not None, point
    if isinstance(value, Reading):
        return value
    if isinstance(value, Reason):
        return Reading.bad(value, known.unit, wall)
    return Reading.good(value, known.unit, wall)


def doubtful(point: str, value: float) -> Reading:
    """A reading its device does not vouch for."""
    known = quantity(point)
    assert known is not None, point
    return Reading(value, known.unit, Quality.UNCERTAIN, Reason.DOUBTFUL, WALL)


def image(values: Mapping[str, Value], now: Instant) -> ProcessImage:
    """The process image of these values."""
    return ProcessImage(now, {point: reading(point, value, now.wall) for point, value in values.items()})


@dataclass(slots=True)
class Station:
    """Control of a station whose values stay as they are until a test changes them; one cycle a second.

    With `following` each actuator goes to its command at its running time.
    """

    site: Site
    values: dict[str, Value] = field(default_factory=lambda: dict(RUNNING))
    heating: bool = True
    following: bool = False
    seconds: float = 0.0
    state: ControlState | None = None
    decision: Decision | None = None
    events: list[Event] = field(default_factory=list)

    def cycle(self, dt: float = 1.0) -> Decision:
        """One cycle, `dt` seconds after the last."""
        if self.state is not None:
            self.seconds += dt
        now = instant(self.seconds)
        state = self.state if self.state is not None else initial(self.site)
        decision = decide(state, image(self.values, now), self.site, self.heating, now)
        self.state, self.decision = decision.state, decision
        self.events += decision.events
        if self.following:
            self._follow(dt)
        return decision

    def _follow(self, dt: float) -> None:
        for circuit in self.site.circuits:
            point = f"{circuit.id}.valve_position"
            here, there = self.values[point], self.command(f"{circuit.id}.valve_setpoint")
            if isinstance(here, float) and there is not None:
                reach = 100.0 * dt / circuit.valve.running_time_s
                self.values[point] = min(max(there.value, here - reach), here + reach)

    def run(self, seconds: float, **changes: Value | bool) -> Decision:
        """Change values (`high__valve_position=30.0`, `heating=False`), then run; 0 s is one cycle."""
        for name, value in changes.items():
            if name == "heating":
                self.heating = bool(value)
            else:
                self.values[point_of(name)] = value
        decision = self.cycle(0.0) if seconds == 0 or self.state is None else self.decision
        for _ in range(round(seconds)):
            decision = self.cycle()
        assert decision is not None
        return decision

    def command(self, point: str) -> Command | None:
        """The command wanted at a point in the last cycle."""
        assert self.decision is not None
        return next((command for command in self.decision.commands if command.point == point), None)

    def value(self, point: str) -> float | None:
        """Its value, None when nothing is to be written."""
        command = self.command(point)
        return None if command is None else command.value

    def happened(self, kind: str, subject: str) -> list[Event]:
        """All events of a kind and subject so far."""
        return [event for event in self.events if (event.kind, event.subject) == (kind, subject)]


def point_of(name: str) -> str:
    """`high__pump_1__running` as a keyword is the point `high.pump_1.running`."""
    return name.replace("__", ".")


@dataclass(frozen=True, slots=True)
class Row:
    """`after_s` seconds later with `given` changed from the last row on, `expect` holds.

    Keys of `expect`: output points (their commanded value), `<circuit>.mode`, `.holder`, `.setpoint_c`,
    `.outdoor_c`, `.limited_by`.
    """

    after_s: float
    given: Mapping[str, Value]
    expect: Mapping[str, object]


_VIEWED = ("holder", "setpoint_c", "outdoor_c", "limited_by", "valve_percent", "ready")


def play(station: Station, rows: tuple[Row, ...]) -> None:
    """Run a trace and compare; a failure names its row."""
    for number, row in enumerate(rows, 1):
        changes = {point.replace(".", "__"): value for point, value in row.given.items()}
        station.run(row.after_s, **changes)
        seen = {key: _seen(station, key) for key in row.expect}
        assert seen == dict(row.expect), f"row {number}, {station.seconds:g} s after the start"


def _seen(station: Station, key: str) -> object:
    assert station.state is not None
    assert station.decision is not None
    circuit, _, what = key.partition(".")
    if what == "mode":
        return station.state.circuits[circuit].modes.valve
    if what in _VIEWED:
        value = getattr(station.decision.views[circuit], what)
        return round(value, 2) if isinstance(value, float) else value
    found = station.value(key)
    return None if found is None else round(found, 2)


def restarted(station: Station, state: ControlState) -> Station:
    """The same station after a restart of the service with `state`."""
    return replace(station, state=state, decision=None, events=[], values=dict(station.values))
