"""What a story does at a moment: a table of kinds of disturbance; `effects` adds up those under way. Pure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge.points import quantity
from hil_tests.plant import UNDISTURBED, CircuitDisturbance, Disturbance

CIRCUITS = ("high", "low")
BROKEN = ("open_circuit", "nan", "sentinel", "stuck")
Parameters = Mapping[str, str | float | bool]


@dataclass(frozen=True, slots=True)
class Event:
    """One disturbance: from `at` for `lasts` seconds after the story's start."""

    kind: str
    at: float
    lasts: float
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Story:
    """A whole story; `start` is Unix s, `duration` s, `weather` the name of a shipped series."""

    name: str
    start: float
    duration: float
    weather: str
    weather_years: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Effects:
    """What is wrong at one moment.

    `sensors`: point -> how it is broken (one of BROKEN; `stuck` shows the last value). `silent`: devices that
    do not answer, as `<circuit>.meter` or the name a story gave. `tripped`: motors whose inverter has
    tripped, as `high.pump_1`. `active`: the kinds under way, for a display.
    """

    plant: Disturbance = UNDISTURBED
    sensors: Mapping[str, str] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()
    tripped: frozenset[str] = frozenset()
    active: tuple[str, ...] = ()


NOTHING = Effects()


@dataclass(slots=True)
class _Draft:
    """Effects while they are gathered."""

    mains_power: bool = True
    source_cold: bool = False
    differential_share: float = 1.0
    outdoor_offset_k: float = 0.0
    door_open: bool = False
    burst_in_station: bool = False
    bursts: dict[str, float] = field(default_factory=dict)
    stuck: set[str] = field(default_factory=set)
    sensors: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    tripped: set[str] = field(default_factory=set)
    active: list[str] = field(default_factory=list)


Apply = Callable[[_Draft, Event, float], None]


def _primary_lost(draft: _Draft, event: Event, _: float) -> None:
    draft.source_cold = True
    if event.parameters["how"] == "pressure":
        draft.differential_share = min(draft.differential_share, 0.01)


def _pressure_low(draft: _Draft, event: Event, _: float) -> None:
    draft.differential_share = min(draft.differential_share, float(event.parameters["share"]))


def _mains_lost(draft: _Draft, _event: Event, _: float) -> None:
    draft.mains_power = False


def _sensor_broken(draft: _Draft, event: Event, _: float) -> None:
    draft.sensors[str(event.parameters["point"])] = str(event.parameters["how"])


def _meter_silent(draft: _Draft, event: Event, _: float) -> None:
    draft.silent.add(f"{event.parameters['circuit']}.meter")


def _device_silent(draft: _Draft, event: Event, _: float) -> None:
    draft.silent.add(str(event.parameters["device"]))


def _burst(draft: _Draft, event: Event, _: float) -> None:
    circuit = str(event.parameters["circuit"])
    draft.bursts[circuit] = draft.bursts.get(circuit, 0.0) + float(event.parameters["m3h"])
    draft.burst_in_station |= bool(event.parameters["in_station"])


def _cold_night(draft: _Draft, event: Event, since: float) -> None:
    """Colder by `drop_k`: down in the first quarter of the time, back in the last."""
    edge = event.lasts / 4.0
    share = min(1.0, since / edge, (event.lasts - since) / edge)
    draft.outdoor_offset_k -= float(event.parameters["drop_k"]) * share


def _actuator_stuck(draft: _Draft, event: Event, _: float) -> None:
    draft.stuck.add(str(event.parameters["circuit"]))


def _pump_trip(draft: _Draft, event: Event, _: float) -> None:
    draft.tripped.add(f"{event.parameters['circuit']}.pump_1")


def _door_open(draft: _Draft, _event: Event, _: float) -> None:
    draft.door_open = True


def _a_circuit(value: object) -> bool:
    return value in CIRCUITS


def _a_point(value: object) -> bool:
    return isinstance(value, str) and quantity(value) is not None


def _a_flag(value: object) -> bool:
    return isinstance(value, bool)


def a_name(value: object) -> bool:
    """A text that is not empty."""
    return isinstance(value, str) and bool(value)


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 < value < math.inf


@dataclass(frozen=True, slots=True)
class Wanted:
    """A parameter: what it must be, how to say so, and its default (None: it must be given)."""

    check: Callable[[object], bool]
    words: str
    default: str | float | bool | None = None


def _one_of(*names: str) -> Wanted:
    return Wanted(names.__contains__, "one of " + ", ".join(names), names[0])


_CIRCUIT = Wanted(_a_circuit, "a circuit (" + " or ".join(CIRCUITS) + ")")
_POINT = Wanted(_a_point, "the name of a point")

KINDS: dict[str, tuple[Apply, dict[str, Wanted]]] = {
    "primary_lost": (_primary_lost, {"how": _one_of("pressure", "source")}),
    "pressure_low": (_pressure_low, {"share": Wanted(_positive, "a share", 0.6)}),
    "mains_lost": (_mains_lost, {}),
    "sensor_broken": (_sensor_broken, {"point": _POINT, "how": _one_of(*BROKEN)}),
    "meter_silent": (_meter_silent, {"circuit": _CIRCUIT}),
    "device_silent": (_device_silent, {"device": Wanted(a_name, "the name of a device")}),
    "burst": (
        _burst,
        {
            "circuit": _CIRCUIT,
            "m3h": Wanted(_positive, "a flow in m3/h", 6.0),
            "in_station": Wanted(_a_flag, "true or false", False),
        },
    ),
    "cold_night": (_cold_night, {"drop_k": Wanted(_positive, "a temperature difference in K", 10.0)}),
    "actuator_stuck": (_actuator_stuck, {"circuit": _CIRCUIT}),
    "pump_trip": (_pump_trip, {"circuit": _CIRCUIT}),
    "door_open": (_door_open, {}),
}


def _plant(draft: _Draft) -> Disturbance:
    circuits: tuple[CircuitDisturbance, ...] = ()
    if draft.bursts or draft.stuck or draft.tripped:
        bursts, stuck, tripped = draft.bursts, draft.stuck, draft.tripped
        circuits = tuple(
            CircuitDisturbance(bursts.get(name, 0.0), name in stuck, f"{name}.pump_1" in tripped)
            for name in CIRCUITS
        )
    return Disturbance(
        mains_power=draft.mains_power,
        source_cold=draft.source_cold,
        differential_share=draft.differential_share,
        outdoor_offset_k=draft.outdoor_offset_k,
        door_open=draft.door_open,
        burst_in_station=draft.burst_in_station,
        circuits=circuits,
    )


def effects(story: Story, elapsed_s: float) -> Effects:
    """What is wrong `elapsed_s` seconds after the story's start; disturbances under way at once add up."""
    under_way = [event for event in story.events if event.at <= elapsed_s < event.at + event.lasts]
    if not under_way:
        return NOTHING
    draft = _Draft()
    for event in under_way:
        KINDS[event.kind][0](draft, event, elapsed_s - event.at)
        draft.active.append(event.kind)
    return Effects(
        _plant(draft), draft.sensors, frozenset(draft.silent), frozenset(draft.tripped), tuple(draft.active)
    )
