"""One bus and its devices: who is read when, what a silent device costs, what is written and what is not."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence

from drivers import Point, Quality, Reason, Unit
from edge.acquisition import BusWorker, Input, Output, PolledDevice
from edge.clock import ScaledClock
from edge.image import Inbox
from edge.records import Command, Holder
from edge.tests.field import Field

SPEED = 200.0  # control seconds in a real one
READ = {"alive": "low.primary_flow", "dead": "high.primary_flow"}
VALVE = Point("low.valve_setpoint", "alive", "setpoint", Unit.PERCENT)


class Bus:
    """A worker with two devices read every 2 s of its clock, in a field."""

    def __init__(self, period_s: float = 2.0, more: Sequence[Output] = ()) -> None:
        self.clock = ScaledClock(1_768_428_000.0, time.monotonic(), SPEED)
        self.field = Field(dict.fromkeys(READ.values(), 10.0))
        self.inbox = Inbox(dict.fromkeys(READ.values(), 60.0), self.clock.now())
        self.devices = [
            PolledDevice.of(name, [Input(Point(point, name, "flow", Unit.CUBIC_METRE_PER_HOUR), period_s)])
            for name, point in READ.items()
        ]
        driver = self.field.open(None, [], lambda: self.clock.now().wall, print)  # type: ignore[arg-type] # no bus here
        self.outputs = {each.point.name: each for each in (Output(VALVE), *more)}
        self.worker = BusWorker("line", driver, self.devices, self.outputs, self.inbox, self.clock)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Run the bus until the condition holds; fail after 10 real seconds."""
        task = asyncio.create_task(self.worker.run())
        try:
            async with asyncio.timeout(10.0):
                while not condition():
                    await asyncio.sleep(0.001)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def command(self, value: float, lasts_s: float) -> Command:
        until = self.clock.now().monotonic + lasts_s
        return Command(VALVE.name, value, Holder.AUTOMATIC, "reason.automatic", until)


async def test_a_silent_device_gives_bad_readings_with_the_reason_not_silence() -> None:
    bus = Bus()
    bus.field.dead.add("dead")
    await bus.until(lambda: bus.devices[1].health.failures > 0)
    reading = bus.inbox.freeze(bus.clock.now()).get(READ["dead"])
    assert (reading.quality, reading.reason, reading.value) == (Quality.BAD, Reason.NO_ANSWER, None)


async def test_a_silent_device_is_probed_with_growing_pauses_while_its_neighbour_keeps_its_pace() -> None:
    bus = Bus()
    bus.field.dead.add("dead")
    start = bus.clock.now().monotonic
    await bus.until(lambda: bus.field.asked.count("alive") >= 60)
    elapsed = bus.clock.now().monotonic - start
    probes = bus.field.asked.count("dead")
    assert probes <= 3 + elapsed / 30.0 + 5  # 2, 2, 4, 8, 16, 32, then every 60 s
    assert elapsed / 60 < 2 * 2.0


async def test_a_device_that_returns_is_read_again_and_both_are_told_once() -> None:
    bus = Bus()
    bus.field.dead.add("dead")
    await bus.until(lambda: bus.devices[1].lost)
    bus.field.dead.clear()
    await bus.until(lambda: bus.devices[1].health.failures == 0)
    assert [event.kind for event in bus.worker.drain_events()] == ["device.lost", "device.returned"]
    assert bus.inbox.freeze(bus.clock.now()).value(READ["dead"]) == 10.0


async def test_a_command_nobody_renewed_is_not_written() -> None:
    bus = Bus()
    bus.worker.submit(bus.command(55.0, lasts_s=-1.0))
    await bus.until(lambda: bus.field.asked.count("alive") >= 3)
    assert bus.field.written == []


async def test_the_newest_command_wins_and_goes_out_before_the_next_read() -> None:
    bus = Bus()
    bus.worker.submit(bus.command(40.0, lasts_s=1e6))
    bus.worker.submit(bus.command(41.0, lasts_s=1e6))
    await bus.until(lambda: len(bus.field.asked) >= 1)
    assert bus.field.written == [(VALVE.name, 41.0)]


async def test_a_lost_device_is_not_written_to_until_it_is_back() -> None:
    bus = Bus()
    bus.field.dead.add("alive")
    await bus.until(lambda: bus.devices[0].lost)
    bus.worker.submit(bus.command(40.0, lasts_s=1e6))
    await bus.until(lambda: bus.field.asked.count("dead") >= 5)
    assert bus.field.written == []
    bus.field.dead.clear()
    await bus.until(lambda: bool(bus.field.written))


async def test_a_refused_write_is_told_once_and_named_until_it_succeeds() -> None:
    bus = Bus()
    bus.field.dead.add("alive")
    for value in (40.0, 41.0):
        bus.worker.submit(bus.command(value, lasts_s=1e6))
        await bus.until(lambda: bus.worker.failed == {VALVE.name})
    assert [event.kind for event in bus.worker.drain_events()] == ["output.failed"]
    bus.field.dead.clear()
    bus.worker.submit(bus.command(42.0, lasts_s=1e6))
    await bus.until(lambda: not bus.worker.failed)


async def test_a_command_that_comes_during_a_write_waits_for_no_read() -> None:
    other = Point("low.pump_1.run", "alive", "run", Unit.STATE)
    bus = Bus(period_s=1e6, more=[Output(other)])
    later = Command(other.name, 1.0, Holder.AUTOMATIC, "reason.automatic", math.inf)
    await bus.until(lambda: len(bus.field.asked) == 2)
    bus.field.on_write = lambda point: bus.worker.submit(later) if point is VALVE else None
    bus.worker.submit(bus.command(40.0, lasts_s=1e6))
    await bus.until(lambda: len(bus.field.written) == 2)
