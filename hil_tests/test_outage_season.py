"""Normal running is no outage: days and a whole season of weather, noise, cold nights and setback, judged.

The very `decide` and `judge` of the service against the plant; nothing is disturbed, so nothing may be found.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from drivers import Reading
from edge.clock import ClockState, Instant
from edge.control import decide, initial
from edge.events import Limits, WatchState, judge
from edge.events.leak import LeakWatch
from edge.image import ProcessImage
from edge.loading import read_site
from edge.points import quantity
from edge.records import Event
from edge.resources import config_dir
from edge.site import Site
from hil_tests.plant import Inputs, Noise, commands, measure, station, steady_state, step
from hil_tests.season_run import DAY_S, STEP_S
from hil_tests.weather import load, local, sun_w_m2

SITE = read_site(config_dir() / "sites" / "demo.toml")
FOUND = ("outage.", "supply.", "station.", "leak.", "meter.")
HOUR = 3600.0
JUDGED = 3  # steps of control: evidence must hold ten times as long
COLD_NIGHT_K, SETBACK_K = 10.0, 6.0
NOISE_K, NOISE_SHARE = 0.2, 0.02  # one sigma: worse than a sound probe, as bad as a poor flow sensor


@dataclass(frozen=True)
class Season:
    """From `first` (local date) for so many days; `seed` of the noise."""

    first: str
    days: float
    seed: int


def _set_back(site: Site) -> Site:
    """The same site with its supply lowered, as a night setback does."""
    lowered = []
    for circuit in site.circuits:
        points = tuple((out, max(20.0, supply - SETBACK_K)) for out, supply in circuit.curve.points)
        curve = circuit.curve.model_copy(update={"points": points})
        lowered.append(circuit.model_copy(update={"curve": curve}))
    return site.model_copy(update={"circuits": tuple(lowered)})


NIGHT_SITE = _set_back(SITE)


def _site(wall: float) -> Site:
    """From ten in the evening to five the supply is set back."""
    hour = (wall + 8 * HOUR) % DAY_S / HOUR
    return NIGHT_SITE if hour >= 22 or hour < 5 else SITE


def _outdoor_c(wall: float, measured_c: float) -> float:
    """Every fifth night is ten kelvin colder, from one hour to the next."""
    hour, day = (wall + 8 * HOUR) % DAY_S / HOUR, int((wall + 8 * HOUR) // DAY_S)
    return measured_c - COLD_NIGHT_K if day % 5 == 0 and (hour < 7) else measured_c


def _noisy(points: Mapping[str, float], chance: random.Random) -> Iterator[tuple[str, float]]:
    for point, value in points.items():
        if point.endswith("temperature"):
            yield point, value + chance.gauss(0.0, NOISE_K)
        elif point.endswith(("_flow", "heat_power")):
            yield point, value * (1.0 + chance.gauss(0.0, NOISE_SHARE))
        else:
            yield point, value


def found_in(season: Season) -> tuple[list[Event], WatchState]:
    """Everything the watch found of heat and water in a season of normal running."""
    weather, plant, noise = load("beijing_2012_2014"), station(), Noise(season.seed)
    chance, begin = random.Random(season.seed), local(f"{season.first}T00:00")
    state = steady_state(plant, begin, weather.at(begin))
    mind, watch = initial(SITE), WatchState()
    units = {point: known.unit for point in measure(plant, state, noise) if (known := quantity(point))}
    events: list[Event] = []
    values: dict[str, float] = {}
    for number in range(round(season.days * DAY_S / STEP_S)):
        wall = begin + number * STEP_S
        now = Instant(wall, wall - begin, wall - begin, ClockState.SYNCED)
        shown = dict(_noisy(measure(plant, state, noise), chance))
        image = ProcessImage(now, {p: Reading.good(v, units[p], wall) for p, v in shown.items()})
        decision = decide(mind, image, _site(wall), True, now)
        mind = decision.state
        if number % JUDGED == 0:
            judged = judge(watch, image, decision.views, SITE, Limits(), now)
            watch = judged.state
            events += [event for event in judged.events if event.kind.startswith(FOUND)]
        values |= {command.point: command.value for command in decision.commands}
        outdoor_c = _outdoor_c(wall, weather.at(wall))
        step(plant, state, Inputs(outdoor_c, commands(plant, values), sun_w_m2(wall)), STEP_S)
    return events, watch


def _nights(watch: WatchState) -> list[int]:
    leaks: list[LeakWatch] = [circuit.leak for circuit in watch.circuits.values()]
    return [len(leak.nights) for leak in leaks]


def test_days_of_cold_nights_setback_and_noise_are_no_outage() -> None:
    events, watch = found_in(Season("2013-01-20", 2.0, 1))
    assert [(event.kind, event.subject, dict(event.body)) for event in events] == []
    assert set(watch.circuits) == {"high", "low"}


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "season",
    [
        Season("2012-11-01", 38.0, 1),
        Season("2012-12-09", 38.0, 2),
        Season("2013-01-16", 38.0, 3),
        Season("2013-02-23", 37.0, 4),
    ],
    ids=lambda season: season.first,
)
def test_a_season_of_normal_running_has_no_outage_no_degraded_supply_and_no_leak(season: Season) -> None:
    events, watch = found_in(season)
    assert [(event.kind, event.subject, dict(event.body)) for event in events] == []
    assert min(_nights(watch)) == 14
