"""Stories: what goes wrong in the simulated station, when and for how long. Pure but for reading the file.

A story is TOML: `name`, `start` (local time), `duration`, `weather` (a shipped series), `weather_years` (by
how many years it is moved), and any number of `[[disturbance]]` with `at`, `for`, `kind` and what the kind
needs (see KINDS). Times are a number with s, min or h. `effects` says what is wrong at a moment; the plant's
process applies `Effects.plant`, the devices' processes the rest.
"""

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge.points import quantity
from hil_tests.plant import UNDISTURBED, CircuitDisturbance, Disturbance
from hil_tests.weather import local

FOLDER = Path(__file__).parent / "stories"
CIRCUITS = ("high", "low")
BROKEN = ("open_circuit", "nan", "sentinel", "stuck")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}

Parameters = Mapping[str, str | float | bool]


class StoryError(ValueError):
    """A story that cannot be told; the message names file and key."""


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


def _a_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 < value < math.inf


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A parameter: what it must be, how to say so, and its default (None: it must be given)."""

    check: Callable[[object], bool]
    words: str
    default: str | float | bool | None = None


def _one_of(*names: str) -> _Wanted:
    return _Wanted(names.__contains__, "one of " + ", ".join(names), names[0])


_CIRCUIT = _Wanted(_a_circuit, "a circuit (" + " or ".join(CIRCUITS) + ")")
_POINT = _Wanted(_a_point, "the name of a point")

KINDS: dict[str, tuple[Apply, dict[str, _Wanted]]] = {
    "primary_lost": (_primary_lost, {"how": _one_of("pressure", "source")}),
    "pressure_low": (_pressure_low, {"share": _Wanted(_positive, "a share", 0.6)}),
    "mains_lost": (_mains_lost, {}),
    "sensor_broken": (_sensor_broken, {"point": _POINT, "how": _one_of(*BROKEN)}),
    "meter_silent": (_meter_silent, {"circuit": _CIRCUIT}),
    "device_silent": (_device_silent, {"device": _Wanted(_a_name, "the name of a device")}),
    "burst": (
        _burst,
        {
            "circuit": _CIRCUIT,
            "m3h": _Wanted(_positive, "a flow in m3/h", 6.0),
            "in_station": _Wanted(_a_flag, "true or false", False),
        },
    ),
    "cold_night": (_cold_night, {"drop_k": _Wanted(_positive, "a temperature difference in K", 10.0)}),
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


def seconds(text: object) -> float:
    """Seconds of `90s`, `20min`, `1.5h`; ValueError with what is allowed."""
    for unit, factor in _SECONDS.items() if isinstance(text, str) else ():
        number = str(text).removesuffix(unit)
        if number != text and number.replace(".", "", 1).isdigit():
            return float(number) * factor
    raise ValueError(f"must be a time such as 90s, 20min or 1.5h, not {text!r}")


class _Table:
    """A TOML table that is taken apart key by key; what is left over is an error."""

    def __init__(self, where: str, data: Mapping[str, object]) -> None:
        self._where = where
        self._data = dict(data)

    def error(self, key: str, words: str) -> StoryError:
        return StoryError(f"{self._where}: {key} {words}")

    def take(self, key: str, wanted: _Wanted) -> str | float | bool:
        value = self._data.pop(key, wanted.default)
        if value is None:
            raise self.error(key, f"is missing; it must be {wanted.words}")
        if not wanted.check(value) or not isinstance(value, str | float | int):
            raise self.error(key, f"must be {wanted.words}, not {value!r}")
        return value

    def seconds(self, key: str) -> float:
        try:
            return seconds(self._data.pop(key, None))
        except ValueError as error:
            raise self.error(key, str(error)) from None

    def finish(self) -> None:
        for key in self._data:
            raise self.error(key, "is no key of a story here")


def _event(where: str, data: Mapping[str, object]) -> Event:
    table = _Table(where, data)
    kind = str(table.take("kind", _Wanted(KINDS.__contains__, "one of " + ", ".join(KINDS))))
    at, lasts = table.seconds("at"), table.seconds("for")
    if lasts <= 0.0:
        raise table.error("for", "must be longer than nothing")
    parameters = {key: table.take(key, wanted) for key, wanted in KINDS[kind][1].items()}
    table.finish()
    return Event(kind, at, lasts, parameters)


def _start(table: _Table) -> float:
    text = str(table.take("start", _Wanted(_a_name, "a local time such as 2026-01-15T06:00")))
    try:
        return local(text)
    except ValueError:
        raise table.error("start", f"must be a local time such as 2026-01-15T06:00, not {text!r}") from None


def load(path: Path) -> Story:
    """The story of a file; StoryError names file and key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StoryError(f"{path}: {error}") from None
    rows = data.pop("disturbance", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise StoryError(f"{path}: disturbance must be written as [[disturbance]]")
    table = _Table(str(path), data)
    start, duration = _start(table), table.seconds("duration")
    name = str(table.take("name", _Wanted(_a_name, "a name")))
    weather = str(table.take("weather", _Wanted(_a_name, "the name of a series", "beijing_2012_2014")))
    years = table.take("weather_years", _Wanted(lambda years: isinstance(years, int), "a number of years", 0))
    table.finish()
    events = tuple(_event(f"{path}: disturbance {n}", row) for n, row in enumerate(rows, 1))
    for number, event in enumerate(events, 1):
        if event.at + event.lasts > duration:
            raise StoryError(f"{path}: disturbance {number}: at and for reach past the story's duration")
    return Story(name, start, duration, weather, int(years), events)


def shipped(name: str) -> Story:
    """A story the bench ships, e.g. `demo`."""
    return load(FOLDER / f"{name}.toml")
