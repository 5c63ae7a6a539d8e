"""One line in simulated time: who keeps which pace, what the silent cost the others, and who goes first."""

import asyncio
import gc
import logging
import random
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from itertools import count, pairwise

import pytest

from drivers import Driver, NoAnswerError, Point, Reading, Unit
from edge.acquisition import BusWorker, Input, PolledDevice
from edge.acquisition.statistics import p99
from edge.image import Inbox
from edge.tests.field import Field, LeapClock, in_simulated_time

TIMEOUT_S = 0.5
EXCHANGE_S = 0.03  # 9600 baud, a few registers
EIGHT = tuple(f"d{number}" for number in range(8))
DEAD = ("d1", "d4", "d6")


class Line:
    """A worker on a line of devices, in a LeapLoop. `inputs` of each device by its id."""

    def __init__(self, inputs: Mapping[str, Sequence[Input]], spread_s: float = 0.5) -> None:
        names = [each.point.name for own in inputs.values() for each in own]
        self.field = Field(dict.fromkeys(names, 1.0))
        self.field.cost_s, self.field.silence_s = EXCHANGE_S, TIMEOUT_S
        clock = LeapClock()
        driver = self.field.open(None, [], lambda: clock.now().wall, print)  # type: ignore[arg-type] # no bus
        inbox = Inbox(dict.fromkeys(names, 1e9), clock.now())
        devices = [
            PolledDevice.of(name, own, number * spread_s / len(inputs))
            for number, (name, own) in enumerate(inputs.items())
        ]
        self.worker = BusWorker("line", driver, devices, {}, inbox, clock, TIMEOUT_S)

    async def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Serve for so long, or until the condition holds (looked at every 10 ms)."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        task = asyncio.create_task(self.worker.run())
        while loop.time() < end and not until() and not task.done():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def times(self, point: str, since: float = 0.0) -> list[float]:
        return [at for at, points in self.field.read if point in points and at >= since]

    def intervals(self, point: str, since: float = 0.0) -> list[float]:
        times = self.times(point, since)
        return [later - earlier for earlier, later in pairwise(times)]

    def device(self, name: str) -> PolledDevice:
        return next(device for device in self.worker.devices if device.id == name)


def one(device: str, name: str = "a", period_s: float = 1.0, slow: bool = False) -> Input:
    return Input(Point(f"{device}.{name}", device, name, Unit.ONE), period_s, slow)


def lines(period_s: float) -> Line:
    return Line({name: [one(name, "a", period_s), one(name, "b", period_s)] for name in EIGHT})


@pytest.mark.parametrize("period_s", [1.0, 2.0, 10.0])
def test_with_three_of_eight_devices_dead_the_living_keep_their_period(period_s: float) -> None:
    async def story() -> None:
        line = lines(period_s)
        line.field.dead.update(DEAD)
        await line.run(600.0)
        for name in set(EIGHT) - set(DEAD):
            reads = len(line.times(f"{name}.a"))
            assert reads >= 0.9 * 600.0 / period_s
            assert p99(line.intervals(f"{name}.a")) <= 1.2 * period_s  # type: ignore[operator]

    in_simulated_time(story())


@pytest.mark.parametrize("share", [1.0, 0.5, 0.05], ids=["dead", "every other answer", "now and then"])
def test_a_faulty_device_raises_its_neighbours_p99_interval_by_a_fifth_at_most(share: float) -> None:
    async def story() -> None:
        line = lines(1.0)
        dice = random.Random(7)  # noqa: S311 (a simulation)
        answer = line.field.dead

        async def flap() -> None:
            while True:
                (answer.add if dice.random() < share else answer.discard)("d3")
                await asyncio.sleep(0.25)

        task = asyncio.create_task(flap())
        await line.run(900.0)
        task.cancel()
        for name in set(EIGHT) - {"d3"}:
            assert p99(line.intervals(f"{name}.a")) <= 1.2  # type: ignore[operator]

    in_simulated_time(story())


def test_on_a_tight_line_one_lost_answer_costs_a_device_its_pace_for_a_moment_only() -> None:
    async def story() -> None:
        line = Line({"fast": [one("fast", "a", 0.4)], **{name: [one(name, "a", 2.0)] for name in EIGHT[:4]}})

        async def stutter() -> None:
            await asyncio.sleep(50.0)
            line.field.dead.update(EIGHT[:4])
            await asyncio.sleep(1.9)  # each misses one answer; the time limit is longer than the fast period
            line.field.dead.clear()

        task = asyncio.create_task(stutter())
        await line.run(180.0)
        await task
        for name in EIGHT[:4]:
            assert len(line.times(f"{name}.a", since=80.0)) >= 0.9 * 100.0 / 2.0

    in_simulated_time(story())


def test_a_device_that_now_and_then_leaves_half_of_it_unanswered_costs_its_neighbours_as_little() -> None:
    async def story() -> None:
        line = lines(1.0)
        dice = random.Random(7)  # noqa: S311 (a simulation)

        async def flap() -> None:
            while True:
                (line.field.partly.add if dice.random() < 0.3 else line.field.partly.discard)("d3")
                await asyncio.sleep(0.25)

        task = asyncio.create_task(flap())
        await line.run(600.0)
        task.cancel()
        assert not line.device("d3").lost
        for name in set(EIGHT) - {"d3"}:
            assert p99(line.intervals(f"{name}.a")) <= 1.2  # type: ignore[operator]
        assert p99(line.intervals("d3.a")) <= 2.0  # type: ignore[operator]

    in_simulated_time(story())


@pytest.mark.parametrize("outage_s", [3.0, 20.0, 300.0])
@pytest.mark.parametrize("period_s", [1.0, 10.0])
def test_a_device_that_returns_is_seen_within_one_probe_pause_or_two_periods(
    outage_s: float, period_s: float
) -> None:
    async def story() -> None:
        line = lines(period_s)
        await line.run(3 * period_s)
        line.field.dead.update(DEAD)
        await line.run(outage_s)
        pauses = {name: line.device(name).health.pause_s(period_s) for name in DEAD}
        line.field.dead.clear()
        back = line.worker.clock.now().monotonic
        await line.run(70.0)
        for name in DEAD:
            assert line.times(f"{name}.b", back)[0] - back <= max(pauses[name], 2 * period_s)

    in_simulated_time(story())


def test_a_silent_device_is_asked_for_one_point_and_on_return_for_all_at_once() -> None:
    async def story() -> None:
        line = lines(1.0)
        line.field.dead.add("d3")
        await line.run(30.0)
        asked = [points for _, points in line.field.read if points[0].startswith("d3")]
        assert set(asked[1:]) == {("d3.a",)}
        line.field.dead.clear()
        seen = len(line.field.read)
        await line.run(70.0, until=lambda: line.device("d3").health.failures == 0)
        asked = [points for _, points in line.field.read[seen:] if points[0].startswith("d3")]
        assert asked == [("d3.a",), ("d3.a", "d3.b")]

    in_simulated_time(story())


def test_the_pauses_of_a_silent_device_double_up_to_a_minute() -> None:
    async def story() -> None:
        line = lines(2.0)
        line.field.dead.add("d3")
        await line.run(600.0)
        pauses = line.intervals("d3.a")
        assert pauses[0] <= 2.0 + 1.0
        assert all(later >= earlier * 0.7 for earlier, later in pairwise(pauses))
        assert 30.0 < pauses[-1] <= 60.0
        assert len(pauses) <= 20

    in_simulated_time(story())


def test_three_failures_in_a_hurry_are_no_loss_yet() -> None:
    async def story() -> None:
        line = Line({"d0": [one("d0", period_s=0.5)]})
        line.field.silence_s = 0.02
        line.field.dead.add("d0")
        await line.run(1.6, until=lambda: line.device("d0").health.failures >= 3)
        assert line.device("d0").health.failures == 3
        assert not line.device("d0").lost
        await line.run(10.0)
        assert line.device("d0").lost

    in_simulated_time(story())


def test_every_point_is_read_at_its_own_period_and_those_due_together_in_one_request() -> None:
    async def story() -> None:
        line = Line({"d0": [one("d0", "a", 1.0), one("d0", "b", 1.0), one("d0", "c", 10.0)]})
        await line.run(100.5)
        assert len(line.times("d0.a")) == 101
        assert len(line.times("d0.c")) == 11
        assert len(line.field.read) == 101
        assert {points for _, points in line.field.read} == {("d0.a", "d0.b"), ("d0.a", "d0.b", "d0.c")}

    in_simulated_time(story())


def test_on_a_full_line_slow_points_give_way_but_are_not_forgotten() -> None:
    async def story() -> None:
        inputs = {f"d{n}": [one(f"d{n}", period_s=0.5)] for n in range(15)}  # 15 x 30 ms of 500 ms
        slow = {f"s{n}": [one(f"s{n}", period_s=10.0, slow=True)] for n in range(40)}
        line = Line(inputs | slow)
        await line.run(120.0)
        for name in inputs:
            assert len(line.times(f"{name}.a")) >= 0.9 * 240
        for name in slow:
            assert max(line.intervals(f"{name}.a")) <= 2.5 * 10.0

    in_simulated_time(story())


def test_deadlines_missed_on_an_overfull_line_are_counted_and_not_made_up_for() -> None:
    async def story() -> None:
        line = Line({f"d{n}": [one(f"d{n}", period_s=0.5)] for n in range(40)})  # needs 1.2 s of 0.5 s
        await line.run(60.0)
        counts = [len(line.times(f"d{n}.a")) for n in range(40)]
        assert max(counts) - min(counts) <= 2  # all slower alike
        assert all(device.statistics.missed > 40 for device in line.worker.devices)
        line.field.cost_s = 0.001
        before = len(line.field.read)
        await line.run(10.0)
        assert len(line.field.read) - before <= 40 * 21  # no burst for what was missed

    in_simulated_time(story())


def test_devices_neither_start_nor_return_in_a_burst() -> None:
    async def story() -> None:
        line = Line({name: [one(name, period_s=10.0)] for name in EIGHT}, spread_s=5.0)
        line.field.cost_s = line.field.silence_s = 0.001
        await line.run(100.0)
        line.field.dead.update(EIGHT)
        await line.run(300.0)
        line.field.dead.clear()
        await line.run(200.0)
        for first, last in ((0.0, 6.0), (580.0, 590.0)):
            starts = sorted({at for at, _ in line.field.read if first <= at < last})
            assert min(b - a for a, b in pairwise(starts)) > 0.3

    in_simulated_time(story())


def test_a_scan_of_hundreds_of_errands_starves_no_control_input_and_comes_to_its_end() -> None:
    async def story() -> None:
        line = lines(1.0)

        async def silent(_: Driver) -> None:
            await asyncio.sleep(0.1)

        scan = [asyncio.ensure_future(line.worker.errand(silent)) for _ in range(247)]
        await line.run(60.0, until=lambda: all(each.done() for each in scan))
        assert all(each.done() and each.exception() is None for each in scan)
        for name in EIGHT:
            assert max(line.intervals(f"{name}.a")) <= 1.0 + 0.15 + 8 * EXCHANGE_S

    in_simulated_time(story())


def test_on_a_full_line_an_errand_waits_some_seconds_and_is_run() -> None:
    async def story() -> None:
        line = Line({f"d{n}": [one(f"d{n}", period_s=0.5)] for n in range(40)})

        async def at(_: Driver) -> float:
            return asyncio.get_running_loop().time()

        errand = asyncio.ensure_future(line.worker.errand(at))
        await line.run(20.0, until=errand.done)
        assert 4.0 < await errand < 7.0

    in_simulated_time(story())


async def _overfull() -> tuple[Line, asyncio.Task[None]]:
    line = lines(1.0)
    return line, asyncio.create_task(line.run(30.0))


def test_what_an_errand_raises_goes_to_who_asked_and_the_bus_goes_on() -> None:
    async def story() -> None:
        line, task = await _overfull()

        async def broken(_: Driver) -> None:
            raise LookupError("his own fault")

        with pytest.raises(LookupError, match="his own fault"):
            await line.worker.errand(broken)
        await task
        assert len(line.times("d0.a")) >= 29

    in_simulated_time(story())


def test_who_goes_away_takes_his_errand_with_him() -> None:
    async def story() -> None:
        line = lines(1.0)
        ran = []

        async def job(_: Driver) -> None:
            ran.append(1)

        errand = asyncio.create_task(line.worker.errand(job))
        await asyncio.sleep(0)
        errand.cancel()
        await line.run(5.0)
        assert ran == []

    in_simulated_time(story())


def test_an_errand_that_hangs_does_not_hang_the_bus_and_one_left_over_at_the_end_is_told() -> None:
    async def story() -> None:
        line = lines(1.0)

        async def hang(_: Driver) -> None:
            await asyncio.sleep(1e6)

        errands = [asyncio.ensure_future(line.worker.errand(hang)) for _ in range(3)]
        await line.run(45.0)
        results = await asyncio.gather(*errands, return_exceptions=True)
        assert [type(each).__name__ for each in results] == ["TimeoutError", "ClosedError", "ClosedError"]

    in_simulated_time(story())


@pytest.mark.long
def test_a_week_of_flapping_devices_leaves_nothing_behind_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "edge.acquisition.worker")  # or pytest keeps every line of it

    async def story() -> None:
        line, dice = lines(30.0), random.Random(3)  # noqa: S311 (a simulation)

        async def flap() -> None:
            while True:
                name = dice.choice(EIGHT)
                (line.field.dead.add if dice.random() < 0.5 else line.field.dead.discard)(name)
                line.worker.drain_events()
                line.field.read.clear()
                line.field.asked.clear()
                await asyncio.sleep(dice.uniform(5.0, 600.0))

        tasks = [asyncio.create_task(flap()), asyncio.create_task(line.worker.run())]
        held = []
        for _ in range(8):
            await asyncio.sleep(86_400.0)
            line.field.read.clear()
            line.field.asked.clear()
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
            assert len(asyncio.all_tasks()) == 3
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert max(held[1:]) - held[0] < 100_000

    tracemalloc.start()
    try:
        in_simulated_time(story())
    finally:
        tracemalloc.stop()


def test_a_device_that_answers_strictly_every_second_request_is_read_all_the_time() -> None:
    async def story() -> None:
        line = lines(1.0)
        whole = deaf_to_every_second_request(line.worker.driver, "d3")
        await line.run(300.0)
        assert len(whole) >= 300 / 5
        assert not line.device("d3").lost
        assert not [event for event in line.worker.drain_events() if event.kind == "device.lost"]
        for name in set(EIGHT) - {"d3"}:
            assert p99(line.intervals(f"{name}.a")) <= 1.2  # type: ignore[operator]

    in_simulated_time(story())


def deaf_to_every_second_request(driver: Driver, device: str) -> list[float]:
    """A device is; when all its points were read is in the list that is returned."""
    read, asked, whole = driver.read, count(), list[float]()

    async def every_second(points: Sequence[Point]) -> Mapping[str, Reading]:
        if points[0].device != device:
            return await read(points)
        if next(asked) % 2:
            await asyncio.sleep(0.5)
            raise NoAnswerError("it did not listen")
        if len(points) > 1:
            whole.append(asyncio.get_running_loop().time())
        return await read(points)

    driver.read = every_second  # type: ignore[method-assign]
    return whole
