"""A small station to judge: a site, a healthy image, and a tape that plays changes over time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from drivers import Reading, Reason, Unit
from edge.clock import ClockState, Instant
from edge.events import Alarm, Judgement, Limits, Outage, WatchState, judge
from edge.image import ProcessImage
from edge.points import quantity
from edge.records import CircuitView, Event, Holder
from edge.requests import Request
from edge.site import Site

WALL = 1_768_435_200.0  # 2026-01-15 08:00:00 in Shanghai
LIMITS = Limits(room_minimum_c=18.0)
Values = Mapping[str, float | Reason | None]  # a number, why there is none, or None: point not mapped


def _circuit(name: str, maximum_c: float, supply_c: float) -> dict[str, object]:
    return {
        "id": name,
        "name": {"zh": name, "en": name},
        "area": {"zh": name, "en": name},
        "emitter": "radiator" if name == "high" else "floor",
        "heated_area_m2": 20_000,
        "dwellings": 200,
        "curve": {"points": [[-20, supply_c], [10, 30]], "maximum_c": maximum_c},
        "pressurisation": {"setpoint_bar": 3.0},
    }


_STATION = {
    "station.primary_supply_temperature": 90.0,
    "station.primary_differential_pressure": 1.5,
    "station.tank_level": 1.5,
    "station.sump_level": 0.05,
    "station.mains_power": 1.0,
    "station.door": 0.0,
    "station.outdoor_temperature": -5.0,
}
_METER = {"heat_power": 500.0, "primary_flow": 10.0, "heat_energy": 1e6}
_PUMP = {"pump_1.running": 1.0, "pump_1.frequency": 40.0, "pump_1.fault": 0.0}
_PLC = {
    "secondary_supply_temperature": 50.0,
    "secondary_return_temperature": 40.0,
    "secondary_return_pressure": 3.0,
    "makeup_flow": 0.0,
    "makeup_pump.running": 0.0,
}
_CIRCUIT = _METER | _PUMP | _PLC | {"valve_position": 50.0}
ROOM = "room.r1.temperature"
HEALTHY: dict[str, float | Reason | None] = {
    **_STATION,
    **{f"{name}.{key}": value for name in ("high", "low") for key, value in _CIRCUIT.items()},
    ROOM: 21.0,
}


def _device(name: str, points: Iterable[str]) -> dict[str, object]:
    known = {point: f"r{index}" for index, point in enumerate(points)}
    return {"id": name, "bus": "line", "profile": "any", "points": known}


def make_site() -> Site:
    """Two circuits of 20 000 m2, one room in `high`; all delays as defaulted."""
    devices = [_device("plc", [p for p in HEALTHY if p.partition(".")[2] in _PLC or p in _STATION])]
    for name in ("high", "low"):
        devices.append(_device(f"meter_{name}", [f"{name}.{key}" for key in _METER]))
        devices.append(_device(f"pump_{name}", [f"{name}.{key}" for key in _PUMP]))
        devices.append(_device(f"valve_{name}", [f"{name}.valve_position"]))
    devices.append(_device("rooms", [ROOM]))
    return Site.model_validate(
        {
            "site": {"gateway": "g1", "name": {"zh": "站", "en": "station"}},
            "regulation": {"pack": "any"},
            "circuits": [_circuit("high", 70.0, 60.0), _circuit("low", 60.0, 50.0)],
            "rooms": [
                {"id": "r1", "circuit": "high", "floor": "top", "position": "end", "orientation": "north"}
            ],
            "buses": [{"id": "line", "kind": "modbus-tcp", "host": "127.0.0.1"}],
            "devices": devices,
        }
    )


SITE = make_site()
VIEW = CircuitView(True, True, 50.0, -5.0, 50.0, Holder.AUTOMATIC, "")
VIEWS = {"high": VIEW, "low": VIEW}


def at(second: float, boot: float = 0.0) -> Instant:
    """The instant `second` s into the tape; `boot` shifts the monotonic clock, as a reboot does."""
    return Instant(WALL + second, 1000.0 + second - boot, 1000.0 + second - boot, ClockState.SYNCED)


def reading(point: str, value: float | Reason, wall: float) -> Reading:
    """A GOOD reading of a number, a BAD one of a reason."""
    known = quantity(point)
    unit = known.unit if known is not None else Unit.ONE
    return Reading.bad(value, unit, wall) if isinstance(value, Reason) else Reading.good(value, unit, wall)


def image(values: Values, now: Instant) -> ProcessImage:
    """The image of these values at `now`."""
    return ProcessImage(now, {p: reading(p, v, now.wall) for p, v in values.items() if v is not None})


@dataclass
class Tape:
    """Plays (second, changes) rows through `judge`, one cycle per second, and keeps what came out."""

    state: WatchState
    values: dict[str, float | Reason | None]
    views: dict[str, CircuitView]
    second: int = 0
    boot: float = 0.0
    events: tuple[Event, ...] = ()
    last: Judgement | None = None
    site: Site = SITE
    period: int = 1
    asked: list[Request] = field(default_factory=list)

    def run(self, until: int, **changes: float | Reason | None) -> "Tape":
        """Apply changes (`high__heat_power=0`; a double underscore is the first dot) and run on.

        What has been put into `asked` is asked in the next cycle.
        """
        self.values |= {
            name.replace("__", ".", 1).replace("pump_1_", "pump_1."): v for name, v in changes.items()
        }
        while self.second < until:
            now = at(self.second, self.boot)
            asked, self.asked = self.asked, []
            self.last = judge(self.state, image(self.values, now), self.views, self.site, LIMITS, now, asked)
            self.state = self.last.state
            self.events += self.last.events
            self.second += self.period
        return self

    def view(self, circuit: str, **changes: object) -> "Tape":
        """Change what control shows of a circuit."""
        self.views[circuit] = replace(self.views[circuit], **changes)  # type: ignore[arg-type]
        return self

    def of(self, prefix: str) -> list[Event]:
        """Events of a kind so far."""
        return [event for event in self.events if event.kind.startswith(prefix)]

    @property
    def outages(self) -> Mapping[str, Outage]:
        """Open outages after the last cycle."""
        assert self.last is not None
        return self.last.outages

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Active alarms after the last cycle."""
        assert self.last is not None
        return self.last.alarms


def tape() -> Tape:
    """A healthy station that has run for a minute."""
    return Tape(WatchState(), dict(HEALTHY), dict(VIEWS)).run(60)
