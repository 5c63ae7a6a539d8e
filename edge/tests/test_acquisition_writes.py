"""What goes out on a bus: how often, within which budget, and what of it the device shows. Simulated time."""

import asyncio
import math
from collections.abc import Callable
from itertools import pairwise

import pytest

from drivers import DeviceError, Driver, NoAnswerError, Point, Unit
from edge.acquisition import BusWorker, Input, Output, PolledDevice
from edge.image import Inbox
from edge.records import Command, Holder
from edge.tests.field import Field, LeapClock, in_simulated_time

VALVE = Point("low.valve_setpoint", "valve", "setpoint", Unit.PERCENT)
PUMP = Point("low.pump_1.speed_setpoint", "valve", "speed", Unit.PERCENT)
OTHER = Point("high.valve_setpoint", "other", "setpoint", Unit.PERCENT)


class Bench:
    """A worker whose device is read every second; its commands are renewed every second, as by the cycle."""

    def __init__(self, *outputs: Output) -> None:
        clock = LeapClock()
        self.field = Field({"low.valve_position": 40.0, "high.valve_position": 40.0})
        self.field.cost_s, self.field.silence_s = 0.02, 0.5
        points = {"valve": "low.valve_position", "other": "high.valve_position"}
        driver = self.field.open(None, [], lambda: clock.now().wall, print)  # type: ignore[arg-type] # no bus
        devices = [
            PolledDevice.of(name, [Input(Point(point, name, "position", Unit.PERCENT), 1.0)])
            for name, point in points.items()
        ]
        inbox = Inbox(dict.fromkeys(points.values(), 10.0), clock.now())
        known = {each.point.name: each for each in outputs}
        self.worker = BusWorker("line", driver, devices, known, inbox, clock, 0.5)
        self.wanted: dict[str, Callable[[float], float]] = {}  # by seconds since the start
        self.holder = Holder.AUTOMATIC
        self.events: list[tuple[str, str]] = []

    async def run(self, seconds: float) -> None:
        """Serve for so long."""
        task = asyncio.create_task(self.worker.run())
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            now = loop.time()
            for point, value in self.wanted.items():
                self.worker.submit(Command(point, value(now), self.holder, "reason.automatic", now + 60))
            await asyncio.sleep(1.0)
            self.events += [(event.kind, event.subject) for event in self.worker.drain_events()]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def wrote(self, point: Point) -> list[float]:
        return [value for name, value in self.field.written if name == point.name]

    def told(self, family: str) -> list[str]:
        return [kind for kind, _ in self.events if kind.startswith(family)]


def test_newer_values_wait_for_the_interval_of_the_register_and_the_newest_goes_out() -> None:
    async def story() -> None:
        bench = Bench(Output(VALVE, interval_s=10.0))
        bench.wanted[VALVE.name] = round
        await bench.run(61.0)
        written = bench.wrote(VALVE)
        assert len(written) == 7
        assert all(9.0 <= b - a <= 11.0 for a, b in pairwise(written))

    in_simulated_time(story())


def test_a_register_that_wears_out_is_written_no_more_than_its_budget_in_24_hours_and_told_once() -> None:
    async def story() -> None:
        bench = Bench(Output(VALVE, per_day=5), Output(PUMP))
        bench.wanted[VALVE.name] = lambda now: round(now / 10)
        bench.wanted[PUMP.name] = lambda now: 80.0
        await bench.run(600.0)
        assert len(bench.wrote(VALVE)) == 5
        assert len(bench.wrote(PUMP)) == 600  # renewed: a budget is of its register alone
        assert bench.told("output.") == ["output.budget"]

    in_simulated_time(story())


@pytest.mark.parametrize("holder", [Holder.INTERLOCK, Holder.FROST])
def test_protection_is_written_when_the_budget_is_used_up_and_counts_all_the_same(holder: Holder) -> None:
    async def story() -> None:
        bench = Bench(Output(VALVE, per_day=3))
        bench.wanted[VALVE.name] = lambda now: round(now / 10)
        await bench.run(100.0)
        assert len(bench.wrote(VALVE)) == 3
        bench.holder = holder
        bench.wanted[VALVE.name] = lambda now: 100.0
        await bench.run(100.0)
        assert bench.wrote(VALVE)[3:] == [100.0]
        bench.holder = Holder.AUTOMATIC
        bench.wanted[VALVE.name] = lambda now: 50.0
        await bench.run(86_250.0)  # three writes are a day old then, that of the protection is not
        assert bench.wrote(VALVE)[3:] == [100.0, 50.0]
        assert bench.told("output.") == ["output.budget"]

    in_simulated_time(story())


def test_the_budget_comes_back_as_its_writes_become_a_day_old() -> None:
    async def story() -> None:
        bench = Bench(Output(VALVE, per_day=2))
        for device in bench.worker.devices:
            device.groups[0].period_s = 600.0
        bench.wanted[VALVE.name] = lambda now: float(now > 5.0)
        await bench.run(10.0)
        assert len(bench.wrote(VALVE)) == 2
        bench.wanted[VALVE.name] = lambda now: 2.0
        await bench.run(86_380.0)
        assert len(bench.wrote(VALVE)) == 2
        await bench.run(20.0)
        assert len(bench.wrote(VALVE)) == 3

    in_simulated_time(story())


def test_what_a_memory_with_a_budget_holds_is_not_written_again() -> None:
    async def story() -> None:
        bench = Bench(Output(VALVE, per_day=50))
        bench.wanted[VALVE.name] = lambda now: 33.0
        await bench.run(300.0)
        assert bench.wrote(VALVE) == [33.0]

    in_simulated_time(story())


def test_what_a_memory_held_before_a_restart_is_not_written_again() -> None:
    async def story() -> None:
        held = {VALVE.name: 33.0}
        for _ in range(5):
            bench = Bench(Output(VALVE, per_day=10, read_back=True))
            bench.field.values.update(held)
            bench.wanted[VALVE.name] = lambda now: 33.0
            await bench.run(5.0)
            assert bench.wrote(VALVE) == []
            bench.wanted[VALVE.name] = lambda now: 34.0
            await bench.run(5.0)
            assert bench.wrote(VALVE) == [34.0]

    in_simulated_time(story())


@pytest.mark.parametrize("read_back", [True, False])
def test_a_write_whose_answer_is_lost_counts_in_the_budget_of_a_memory(read_back: bool) -> None:
    async def story() -> None:
        bench = Bench(Output(VALVE, per_day=5, read_back=read_back, interval_s=5.0))
        lose_answers_to_writes(bench.worker.driver)
        bench.wanted[VALVE.name] = lambda now: 50.0
        await bench.run(3600.0)
        assert len(bench.wrote(VALVE)) == (1 if read_back else 5)  # shown by the device: it is there
        assert bench.worker.failed == (set() if read_back else {VALVE.name})

    in_simulated_time(story())


def lose_answers_to_writes(driver: Driver) -> None:
    """Every write is carried out, and nobody hears of it."""
    write = driver.write

    async def unheard(point: Point, value: float) -> None:
        await write(point, value)
        raise NoAnswerError("the answer was lost")

    driver.write = unheard  # type: ignore[method-assign]


def test_a_device_that_refuses_writes_is_asked_with_growing_pauses_and_read_as_ever() -> None:
    async def story() -> None:
        bench = Bench(Output(VALVE), Output(OTHER))
        bench.field.refusing.add("valve")
        bench.wanted = {VALVE.name: lambda now: 50.0, OTHER.name: lambda now: 50.0}
        attempts: list[float] = []
        count_attempts(bench, attempts)
        await bench.run(600.0)
        assert 8 <= len(attempts) <= 16  # 2, 4, 8, ... 60, 60
        assert len(bench.wrote(OTHER)) == 600
        assert bench.field.asked.count("valve") >= 590
        assert bench.told("output.") == ["output.failed"]
        assert bench.worker.failed == {VALVE.name}
        bench.field.refusing.clear()
        await bench.run(70.0)
        assert bench.told("output.") == ["output.failed", "output.accepted"]
        assert bench.worker.failed == set()

    in_simulated_time(story())


def count_attempts(bench: Bench, attempts: list[float]) -> None:
    """Note when a write to the valve is tried."""
    driver, write = bench.worker.driver, bench.worker.driver.write

    async def noted(point: Point, value: float) -> None:
        if point == VALVE:
            attempts.append(asyncio.get_running_loop().time())
        await write(point, value)

    driver.write = noted  # type: ignore[method-assign]


def test_one_register_that_is_refused_keeps_no_other_of_its_device_waiting() -> None:
    async def story() -> None:
        bench = Bench(Output(VALVE), Output(PUMP))
        attempts: list[float] = []
        count_attempts(bench, attempts)
        driver = bench.worker.driver
        refuse_one(driver)
        bench.wanted = {VALVE.name: lambda now: 50.0, PUMP.name: lambda now: 80.0}
        await bench.run(100.0)
        assert len(bench.wrote(PUMP)) == 100
        assert bench.wrote(VALVE) == []

    in_simulated_time(story())


def refuse_one(driver: Driver) -> None:
    """The valve's register does not exist."""
    write = driver.write

    async def refusing(point: Point, value: float) -> None:
        if point == VALVE:
            raise DeviceError("no such register", 2)
        await write(point, value)

    driver.write = refusing  # type: ignore[method-assign]


def test_what_a_device_shows_otherwise_than_it_was_told_is_an_event_until_it_agrees() -> None:
    async def story() -> None:
        bench = Bench(Output(VALVE, read_back=True, resolution=0.01))
        bench.wanted[VALVE.name] = lambda now: 50.0
        bench.field.spoil = lambda point, value: 49.0
        await bench.run(60.0)
        assert bench.told("output.") == ["output.mismatch"]
        bench.field.spoil = lambda point, value: value
        await bench.run(30.0)
        assert bench.told("output.") == ["output.mismatch", "output.accepted"]

    in_simulated_time(story())


@pytest.mark.parametrize("error", [0.0, 0.009, -0.01])
def test_what_agrees_within_the_resolution_is_no_mismatch(error: float) -> None:
    async def story() -> None:
        bench = Bench(Output(VALVE, read_back=True, resolution=0.01))
        bench.wanted[VALVE.name] = lambda now: 33.333
        bench.field.spoil = lambda point, value: value + error
        await bench.run(60.0)
        assert bench.told("output.") == []
        assert bench.field.asked.count("valve") > 70  # it was read back

    in_simulated_time(story())


def test_a_device_that_takes_a_moment_to_show_it_is_no_mismatch() -> None:
    async def story() -> None:
        bench = Bench(Output(VALVE, read_back=True))
        later = bench.field.values

        def slowly(point: str, value: float) -> float:
            asyncio.get_running_loop().call_later(3.0, later.__setitem__, point, value)
            return later.get(point, 0.0)

        bench.field.spoil = slowly
        bench.worker.submit(Command(VALVE.name, 50.0, Holder.AUTOMATIC, "reason.automatic", math.inf))
        await bench.run(30.0)
        assert bench.told("output.") == []

    in_simulated_time(story())


def test_a_lost_device_is_not_written_and_gets_what_is_wanted_as_soon_as_it_is_back() -> None:
    async def story() -> None:
        bench = Bench(Output(VALVE))
        attempts: list[float] = []
        count_attempts(bench, attempts)
        bench.field.dead.add("valve")
        bench.wanted[VALVE.name] = lambda now: 50.0
        await bench.run(300.0)
        assert all(at < 20.0 for at in attempts)
        bench.field.dead.clear()
        await bench.run(60.0)
        assert bench.told("device.") == ["device.lost", "device.returned"]
        assert len(bench.wrote(VALVE)) > 1
        assert bench.told("output.")[-1] == "output.accepted"

    in_simulated_time(story())
