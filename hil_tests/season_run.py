"""A season in a plain loop: plant, probes, the very `decide` the service runs, scored every step. No I/O.

The controller sees what the field shows (lag, noise, resolution, the meters' refresh); the score compares the
TRUE supply temperature with the setpoint, and counts the true rooms.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace

from drivers import Reading, Unit
from edge.clock import ClockState, Instant
from edge.control import decide, initial
from edge.control.valve import VALVE_MAXIMUM, VALVE_MINIMUM
from edge.image import ProcessImage
from edge.points import quantity
from edge.records import CircuitView
from edge.site import Site
from hil_tests.plant import Inputs, Noise, Plant, PlantState, commands, measure, station, steady_state, step
from hil_tests.weather import Series, sun_w_m2

STEP_S = 10.0  # plant and control; control takes at most as much at once (edge/control/decide.py)
DAY_S = 86_400.0
COMFORT_C = 18.0
SAMPLE_S = 3600.0
RUN_IN_DAYS = 3.0  # before a part is scored: its filters and houses come from a guess


@dataclass(slots=True)
class Score:
    """What one circuit did; sums over the scored steps, energies in J, travel in strokes."""

    name: str
    area_m2: float
    steps: int = 0
    square_k2: float = 0.0
    within: int = 0
    worst_k: float = 0.0
    rooms: int = 0
    warm_rooms: int = 0
    room_sum_c: float = 0.0
    heat_j: float = 0.0
    strokes: float = 0.0
    starts: int = 0
    limited: int = 0  # steps with the valve at its limit: more heat was not to be had
    free_square_k2: float = 0.0  # of the other steps

    @property
    def days(self) -> float:
        """Scored days."""
        return self.steps * STEP_S / DAY_S

    @property
    def rmse_k(self) -> float:
        """Root mean square of supply minus setpoint in K."""
        return math.sqrt(self.square_k2 / self.steps)

    @property
    def free_rmse_k(self) -> float:
        """The same without the steps in which the valve stood at its limit."""
        return math.sqrt(self.free_square_k2 / max(1, self.steps - self.limited))

    def note(self, error_k: float, limited: bool, rooms_c: list[float]) -> None:
        """One scored step."""
        self.steps += 1
        self.square_k2 += error_k * error_k
        self.limited += limited
        self.free_square_k2 += 0.0 if limited else error_k * error_k
        size = abs(error_k)
        self.within += size <= 1.0
        self.worst_k = max(self.worst_k, size)
        for room_c in rooms_c:
            self.rooms += 1
            self.warm_rooms += room_c >= COMFORT_C
            self.room_sum_c += room_c

    def join(self, other: "Score") -> "Score":
        """Both parts of a season as one."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in _SUMS}
        return replace(self, worst_k=max(self.worst_k, other.worst_k), **sums)


_SUMS = tuple(row.name for row in fields(Score) if row.name not in {"name", "area_m2", "worst_k"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment for the plot; tuples in the order of the circuits, temperatures in C, valves in %."""

    wall: float
    outdoor_c: float
    primary_c: float
    supply_c: tuple[float, ...]
    setpoint_c: tuple[float, ...]
    valve_percent: tuple[float, ...]
    rooms_c: tuple[tuple[float, ...], ...]


@dataclass(slots=True)
class Result:
    """Scores by circuit, and a sample each hour."""

    scores: list[Score]
    samples: list[Sample] = field(default_factory=list)


class _Readings(Mapping[str, Reading]):
    """Points as readings, made when somebody asks: a season has sixty million that nobody asks for.

    A value that has not changed keeps its reading, as a subscription would have it.
    """

    def __init__(self, points: Mapping[str, float], units: Mapping[str, Unit]) -> None:
        self.points, self.wall = points, 0.0
        self._units = units
        self._last: dict[str, Reading] = {}

    def __getitem__(self, point: str) -> Reading:
        value, last = self.points[point], self._last.get(point)
        if last is None or last.value != value:
            last = self._last[point] = Reading.good(value, self._units[point], self.wall)
        return last

    def __iter__(self) -> Iterator[str]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)


def _units(points: Mapping[str, float]) -> dict[str, Unit]:
    known = {point: quantity(point) for point in points}
    return {point: found.unit for point, found in known.items() if found is not None}


def rooms_c(plant: Plant, state: PlantState, number: int) -> list[float]:
    """True temperatures of a circuit's rooms."""
    air = state.circuits[number].air_c
    return [air[room.branch] + room.offset_k for room in plant.circuits[number].rooms]


def _sample(plant: Plant, state: PlantState, views: list[CircuitView]) -> Sample:
    return Sample(
        state.time,
        state.outdoor_c,
        state.primary.supply_c,
        tuple(now.secondary_out_c for now in state.circuits),
        tuple(math.nan if view.setpoint_c is None else view.setpoint_c for view in views),
        tuple(100.0 * now.motor for now in state.circuits),
        tuple(tuple(rooms_c(plant, state, number)) for number in range(len(plant.circuits))),
    )


def _note(plant: Plant, state: PlantState, views: list[CircuitView], scores: list[Score]) -> None:
    for number, view in enumerate(views):
        if view.setpoint_c is not None:
            error_k = state.circuits[number].secondary_out_c - view.setpoint_c
            limited = view.limited_by in (VALVE_MAXIMUM, VALVE_MINIMUM)
            scores[number].note(error_k, limited, rooms_c(plant, state, number))


def _begin(plant: Plant, state: PlantState, scores: list[Score]) -> None:
    """Start counting here what accounts have counted since the beginning."""
    for now, score in zip(state.circuits, scores, strict=True):
        score.heat_j -= now.account.primary_j
        score.strokes -= now.account.strokes
        score.starts -= now.account.starts


def _finish(state: PlantState, scores: list[Score]) -> None:
    for now, score in zip(state.circuits, scores, strict=True):
        score.heat_j += now.account.primary_j
        score.strokes += now.account.strokes
        score.starts += now.account.starts


def run(
    site: Site,
    weather: Series,
    start: float,
    days: float,
    run_in_days: float = 0.0,
    report: Callable[[float], None] = lambda _: None,
) -> Result:
    """`days` from Unix time `start` under control, after `run_in_days` unscored; `report`: days done."""
    plant = station()
    begin = start - run_in_days * DAY_S
    state = steady_state(plant, begin, weather.at(begin))
    mind, noise, told = initial(site), Noise(1), dict[str, float]()
    shown = measure(plant, state, noise)
    readings = _Readings(shown, _units(shown))
    result = Result([Score(circuit.id, circuit.heated_area_m2) for circuit in site.circuits])
    skipped = round(run_in_days * DAY_S / STEP_S)
    for number in range(skipped + round(days * DAY_S / STEP_S)):
        wall = begin + number * STEP_S
        now = Instant(wall, wall - begin, wall - begin, ClockState.SYNCED)
        readings.points, readings.wall = measure(plant, state, noise), wall
        decision = decide(mind, ProcessImage(now, readings), site, True, now)
        mind = decision.state
        told.update((command.point, command.value) for command in decision.commands)
        step(plant, state, Inputs(weather.at(wall), commands(plant, told), sun_w_m2(wall)), STEP_S)
        if number == skipped:
            _begin(plant, state, result.scores)
        if number >= skipped:
            views = [decision.views[circuit.name] for circuit in plant.circuits]
            _note(plant, state, views, result.scores)
            if number * STEP_S % SAMPLE_S == 0.0:
                result.samples.append(_sample(plant, state, views))
                report((number + 1) * STEP_S / DAY_S)
    _finish(state, result.scores)
    return result


def join(parts: list[Result]) -> Result:
    """Parts that follow each other as one."""
    whole = parts[0]
    for part in parts[1:]:
        scores = [mine.join(other) for mine, other in zip(whole.scores, part.scores, strict=True)]
        whole = Result(scores, whole.samples + part.samples)
    return whole
