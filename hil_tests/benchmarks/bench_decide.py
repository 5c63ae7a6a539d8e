"""One cycle of control for the demo's two circuits beside two bare PI loops with clamps, in the same run.

The bare loop is the least that anybody must compute; the ratio is what sensor faults, conditions, modes,
make-up and reasons cost on top. Only the ratio travels to another machine.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from drivers import Reading
from edge.clock import ClockState, Instant
from edge.control import ControlState, decide, initial
from edge.image import ProcessImage
from edge.loading import read_site
from edge.points import quantity
from edge.resources import config_dir
from edge.site import Site
from hil_tests.plant import Inputs, Noise, advance, measure, station, steady_commands, steady_state

TURNS = 7
CYCLES = 500  # a turn
WALL = 1_768_428_000.0  # 2026-01-15 06:00 in Shanghai


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds for one cycle of both circuits, medians of the turns."""

    decide_us: float
    bare_us: float

    @property
    def ratio(self) -> float:
        """How many times the bare loops."""
        return self.decide_us / self.bare_us


def _image(now: Instant) -> ProcessImage:
    """A station in steady heating."""
    plant = station()
    steady = steady_state(plant, WALL, -2.0)
    inputs = Inputs(-2.0, steady_commands(plant, steady))
    shown = measure(plant, advance(plant, steady, inputs, 10.0), Noise(1))  # the meters need one refresh
    readings = {}
    for point, value in shown.items():
        known = quantity(point)
        if known is not None:
            readings[point] = Reading.good(value, known.unit, now.wall)
    return ProcessImage(now, readings)


def _instant(seconds: float) -> Instant:
    return Instant(WALL + seconds, seconds, seconds, ClockState.SYNCED)


def _decide_cycles(site: Site, image: ProcessImage) -> Callable[[], None]:
    def run() -> None:
        state: ControlState = initial(site)
        for second in range(CYCLES):
            state = decide(state, image, site, True, _instant(second)).state

    return run


def _bare_cycles() -> None:
    integrals = [40.0, 30.0]
    for _ in range(CYCLES):
        for number, (setpoint_c, supply_c) in enumerate(((50.0, 49.4), (40.0, 40.2))):
            error = setpoint_c - supply_c
            integral = integrals[number] + 2.2 * error / 50.0
            output = min(max(integral + 2.2 * error, 0.0), 100.0)
            integrals[number] = min(max(integral, output - 44.0), output + 44.0)


def _microseconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) / CYCLES * 1e6


def measured() -> Cost:
    """The two take turns, so that a busy machine slows both."""
    site = read_site(config_dir() / "sites" / "demo.toml")
    work = _decide_cycles(site, _image(_instant(0.0)))
    turns = [(_microseconds(work), _microseconds(_bare_cycles)) for _ in range(TURNS)]
    return Cost(*(statistics.median(column) for column in zip(*turns, strict=True)))


def main() -> None:
    """Print the figures."""
    cost = measured()
    print(
        f"decide, two circuits: {cost.decide_us:.0f} us a cycle; two bare PI loops: {cost.bare_us:.2f} us; "
        f"ratio {cost.ratio:.0f}; share of a 1 s cycle: {cost.decide_us / 1e4:.3f} %"
    )


if __name__ == "__main__":
    main()
