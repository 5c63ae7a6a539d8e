"""A whole step of the cycle for the demo's two circuits beside two bare PI loops, in the same run.

Freeze, decide, judge, follow the regulation and choose what to write; without journal, field and network,
whose cost is the disk's and the line's. Only the ratio travels to another machine.
"""

import asyncio
import statistics
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from drivers import Point, Reading
from edge.assembly import age_limits
from edge.check import load
from edge.clock import Clock, ClockState, Instant, ScaledClock
from edge.compliance import Compliance
from edge.control import initial
from edge.cycle import Cycle, Minds
from edge.events import Limits, WatchState
from edge.image import Inbox, ProcessImage
from edge.points import quantity
from edge.recorder import Recorder
from edge.records import CircuitView, Command, Event
from edge.resources import config_dir
from edge.site import Site
from edge.timekeeping import Timekeeper
from hil_tests.benchmarks import bench_decide
from hil_tests.plant import Inputs, Noise, advance, measure, station, steady_commands, steady_state

TURNS = 5
STEPS = 500  # a turn
WALL = bench_decide.WALL


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds for one step, medians of the turns."""

    step_us: float
    bare_us: float

    @property
    def ratio(self) -> float:
        """How many times the bare loops."""
        return self.step_us / self.bare_us


class _Nowhere(Recorder):
    """A recorder that keeps nothing."""

    def __init__(self) -> None:
        self.failing, self.seq = False, 0

    async def record(self, events: Iterable[Event], now: Instant) -> None:
        for _ in events:
            pass

    async def snapshot(self, image: ProcessImage, views: Mapping[str, CircuitView]) -> None:
        return

    def observe(self, image: ProcessImage, views: Mapping[str, CircuitView]) -> None:
        return

    async def keep_state(self, key: str, blob: bytes) -> None:
        return


@dataclass(frozen=True, slots=True)
class _Bus:
    """A bus that takes every command."""

    outputs: Mapping[str, Point]
    failed: Collection[str] = ()

    def submit(self, command: Command) -> None:
        return

    def drain_events(self) -> tuple[Event, ...]:
        return ()


def _readings(points: Collection[str]) -> dict[str, Reading]:
    """A station in steady heating."""
    plant = station()
    steady = steady_state(plant, WALL, -2.0)
    later = advance(plant, steady, Inputs(-2.0, steady_commands(plant, steady)), 10.0)  # the meters refresh
    found = {}
    for point, value in measure(plant, later, Noise(1)).items():
        known = quantity(point)
        if known is not None and point in points:
            found[point] = Reading.good(value, known.unit, WALL)
    return found


def _bus(site: Site) -> _Bus:
    outputs = {}
    for device in site.devices:
        for name, register in device.points.items():
            known = quantity(name)
            if known is not None and known.output:
                outputs[name] = Point(name, device.id, register, known.unit)
    return _Bus(outputs)


def _instant(second: int) -> Instant:
    return Instant(WALL + second, float(second), float(second), ClockState.SYNCED)


async def _turn(clock: Clock) -> float:
    """Microseconds a step, over one turn from a fresh start."""
    loaded = load(config_dir() / "sites" / "demo.toml", date(2026, 1, 15))
    site = loaded.site
    limits = age_limits(loaded.devices, site, 1.0)
    inbox = Inbox(limits, _instant(0))
    readings = _readings(limits)
    cycle = Cycle(
        site,
        loaded.pack,
        Limits(room_minimum_c=18.0),
        inbox,
        [_bus(site)],
        _Nowhere(),
        clock,
        Minds(initial(site), WatchState(), Compliance()),
        lambda outcome: None,
        lambda: None,
        Timekeeper("bench", 60.0, _instant(0)),
    )
    began = time.perf_counter()
    for second in range(STEPS):
        inbox.put(readings, float(second))
        await cycle.step(_instant(second))
    return (time.perf_counter() - began) / STEPS * 1e6


def measured() -> Cost:
    """The two take turns, so that a busy machine slows both."""
    clock = ScaledClock(WALL, time.monotonic(), 1.0)
    turns = [(asyncio.run(_turn(clock)), bench_decide.measured().bare_us) for _ in range(TURNS)]
    return Cost(*(statistics.median(column) for column in zip(*turns, strict=True)))
