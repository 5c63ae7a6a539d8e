"""One line with real time limits, serial or TCP: eight units behind the Modbus driver, three of them dead."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from drivers import DeviceSetting, ModbusRtuBus, ModbusTcpBus, Point, Unit, Verdict, open_driver
from drivers.tests.modbus_bench import PROFILE
from drivers.tests.slaves import Pieces, Slave, serve_rtu, serve_tcp
from edge.acquisition import BusWorker, Input, Listeners, PolledDevice
from edge.acquisition.statistics import p99
from edge.clock import SystemClock
from edge.image import Inbox

PERIOD_S = 0.5
TIMEOUT_S = 0.2
UNITS = range(1, 9)
DEAD = {2, 5, 7}


def points(unit: int) -> list[Point]:
    return [Point(f"u{unit}.{name}", f"u{unit}", name, Unit.METRE) for name in ("a", "c")]


class Line:
    """Eight units on one line; `dead` do not answer, `spoilt` answer with a wrong checksum (serial only)."""

    def __init__(self, slave: Slave, bus: ModbusRtuBus | ModbusTcpBus) -> None:
        self.slave = slave
        self.dead: set[int] = set()
        self.spoilt: set[int] = set()
        slave.fault = self._fault
        traffic = Listeners()
        settings = [DeviceSetting(f"u{unit}", PROFILE, unit) for unit in UNITS]
        self.serial = isinstance(bus, ModbusRtuBus)
        driver = open_driver(bus, settings, time.time, traffic)
        clock, now = SystemClock(), SystemClock().now()
        self.devices = {
            unit: PolledDevice.of(
                f"u{unit}",
                [Input(point, PERIOD_S) for point in points(unit)],
                now.monotonic + number * PERIOD_S / 16,
            )
            for number, unit in enumerate(UNITS)
        }
        inbox = Inbox({p.name: 60.0 for unit in UNITS for p in points(unit)}, now)
        self.worker = BusWorker(
            "line", driver, list(self.devices.values()), {}, inbox, clock, TIMEOUT_S, traffic
        )

    def _fault(self, request: bytes, right: bytes) -> Pieces:
        unit = request[0] if self.serial else request[6]
        if unit in self.dead:
            return []
        return [(0.0, right[:-1] + bytes((right[-1] ^ 1,)) if unit in self.spoilt else right)]

    async def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for a condition so long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    await asyncio.sleep(0.01)

    def reads(self) -> dict[int, int]:
        return {unit: device.statistics.reads for unit, device in self.devices.items()}


@asynccontextmanager
async def served(kind: str = "rtu") -> AsyncIterator[Line]:
    """The line, being read; `kind` is rtu, or tcp for a gateway with one connection."""
    slave = Slave()
    for unit in UNITS:
        slave.put(unit, 0, *range(40))
    async with AsyncExitStack() as stack:
        line = Line(slave, await _bus(stack, slave, kind))
        task = asyncio.create_task(line.worker.run())
        try:
            yield line
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _bus(stack: AsyncExitStack, slave: Slave, kind: str) -> ModbusRtuBus | ModbusTcpBus:
    if kind == "rtu":
        port = await stack.enter_async_context(serve_rtu(slave))
        return ModbusRtuBus(port, baud=115200, parity="N", timeout_s=TIMEOUT_S)
    return ModbusTcpBus("127.0.0.1", await stack.enter_async_context(serve_tcp(slave)), timeout_s=TIMEOUT_S)


async def test_three_dead_of_eight_leave_the_living_their_period_and_are_seen_when_they_return() -> None:
    async with served() as line:
        line.dead.update(DEAD)
        await line.until(lambda: all(line.devices[unit].health.failures >= 3 for unit in DEAD), 10.0)
        before, begun = line.reads(), time.monotonic()
        await line.until(lambda: False, 3.0)
        wanted = (time.monotonic() - begun) / PERIOD_S
        kept = {unit: line.reads()[unit] - before[unit] for unit in UNITS if unit not in DEAD}
        assert min(kept.values()) >= 0.9 * wanted - 1.0  # one may be just under way
        pause_s = max(line.devices[unit].health.pause_s(PERIOD_S) for unit in DEAD)
        line.dead.clear()
        await line.until(lambda: not any(line.devices[unit].health.failures for unit in DEAD), pause_s + 1.0)
        assert all(line.devices[unit].health.failures == 0 for unit in DEAD)
        image = line.worker.inbox.freeze(line.worker.clock.now())
        assert all(image.get(f"u{unit}.c").is_good for unit in DEAD)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["rtu", "tcp"])
async def test_over_a_minute_from_their_death_on_three_of_eight_leave_the_living_their_period(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served(kind) as line:
        await line.until(lambda: min(line.reads().values()) >= 3, 10.0)
        before, begun = line.reads(), time.monotonic()
        line.dead.update(DEAD)
        await line.until(lambda: False, 60.0)
        wanted = (time.monotonic() - begun) / PERIOD_S
        kept = {unit: (line.reads()[unit] - before[unit]) / wanted for unit in UNITS if unit not in DEAD}
        late = {unit: p99(line.devices[unit].statistics.intervals) for unit in kept}
    with capsys.disabled():
        shares = ", ".join(f"u{unit} {share:.1%} (p99 {late[unit]:.3f} s)" for unit, share in kept.items())
        print(f"\n{kind}, 3 of 8 dead, period {PERIOD_S} s, time limit {TIMEOUT_S} s, kept: {shares}")
    assert min(kept.values()) >= 0.9


async def test_the_statistics_tell_silence_from_damage_and_know_the_latency() -> None:
    async with served() as line:
        line.dead.add(2)
        line.spoilt.add(5)
        await line.until(lambda: all(line.devices[unit].health.failures >= 2 for unit in (2, 5)), 10.0)
    counts = {unit: line.devices[unit].statistics.counts for unit in UNITS}
    assert counts[2][Verdict.SILENCE] >= 2
    assert counts[2][Verdict.CHECKSUM] == 0
    assert counts[5][Verdict.CHECKSUM] >= 2
    assert counts[1][Verdict.ANSWER] >= 1
    assert counts[1][Verdict.SILENCE] == 0
    assert 0.0 < max(line.devices[1].statistics.latencies) < TIMEOUT_S
