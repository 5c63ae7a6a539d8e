"""Days of a field whose lines and devices come and go, on a clock that runs fast; what is left behind by it.

Five buses, each of every kind, are read by their workers through the real drivers on real terminals and
sockets. Terminals are hung up and come back under the same name, converters and servers go away and come back
at the same port, single devices have every fault of the tables. Input and output stay in real time: a period
of a minute is 30 ms at 2000 times the speed.

    python -m hil_tests.soak --days 7 --speed 2000
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import random
import resource
import tempfile
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from drivers import (
    Bus,
    DeviceSetting,
    ModbusRtuBus,
    ModbusTcpBus,
    OpcUaBus,
    Point,
    Reading,
    TcpHost,
    Unit,
    open_driver,
)
from drivers.tests.plc import NAMESPACE
from drivers.tests.profiles import make_profile
from edge.acquisition import BusWorker, Input, Listeners, PolledDevice
from edge.clock import ScaledClock
from edge.image import Inbox
from hil_tests import device_faults, fault_table, meter_faults
from hil_tests.device_faults import CountingSlave, Wire, Witness, gateway, until
from hil_tests.meter_faults import Counter, meters_served, shows, spoil_line
from hil_tests.soak_ways import Gate, Server, Terminal

WALL = 1_800_000_000.0
PERIOD_S = 60.0
TIMEOUT_S = 0.1
DAY_S = 86_400.0
AGE_S = 6000.0  # of the clock, 3 s in real time
FLAP_S = (0.1, 2.0)  # real s between two changes of a line
SAMPLE_S, COUNT_S = 0.5, 6.0  # real s between two looks, and two counts of all objects

Change = Callable[[], Awaitable[None]]
Trouble = tuple[Change, Change]
"""What makes trouble, and what ends it."""


class Memory(Witness):
    """A witness that forgets."""

    def put(self, readings: Mapping[str, Reading], monotonic: float, wall: float = 0.0) -> None:
        """Take and judge readings of one device."""
        super().put(readings, monotonic, wall)
        for times in self.arrivals.values():
            del times[:-2]


@dataclass
class Line:
    """One bus at work, and what can happen to it."""

    name: str
    worker: BusWorker
    inbox: Memory | Inbox
    troubles: Sequence[Trouble]


@dataclass
class Sample:
    """What the process holds at a time, in days of the clock. `objects` is 0 where they were not counted."""

    day: float
    tasks: int
    descriptors: int
    rss_kib: int
    objects: int


@dataclass
class Soaked:
    """What became of it. `unread` are points that are not good again at the end."""

    samples: list[Sample] = field(default_factory=list)
    reads: int = 0
    failures: int = 0
    troubles: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def mean(self, what: str, begin: float, end: float) -> float:
        """Of a field of the samples between two days; objects where they were counted."""
        found = [getattr(s, what) for s in self.samples if begin <= s.day < end and getattr(s, what)]
        return float(sum(found)) / len(found)


@asynccontextmanager
async def _working(
    name: str,
    bus: Bus,
    settings: Sequence[DeviceSetting],
    points: Mapping[str, Sequence[Point]],
    inbox: Inbox,
    clock: ScaledClock,
) -> AsyncIterator[BusWorker]:
    traffic, now = Listeners(), clock.now().monotonic
    driver = open_driver(bus, settings, lambda: clock.now().wall, traffic)
    devices = [
        PolledDevice.of(device, [Input(point, PERIOD_S) for point in own], now + place * PERIOD_S / 8)
        for place, (device, own) in enumerate(points.items())
    ]
    yield BusWorker(name, driver, devices, {}, inbox, clock, TIMEOUT_S, traffic)


# A frame nobody asked for, with the right unit, function and length: where it comes after the next request
# no master can tell it from the answer. The table's own test asks seldom; here a period is some milliseconds.
HURRIED = frozenset({"again, unasked", "a neighbour's unit"})


def _table_troubles(wire: Wire, dice: random.Random, witness: Memory) -> Trouble:
    """Any fault of the table, at one unit; on a serial line none that needs time to be told from truth."""
    rows = [row for row in fault_table.FAULTS if wire.kind in row.kinds and not row.once and not row.stuck]
    if wire.kind == "rtu":
        rows = [row for row in rows if row.name not in HURRIED]
    witness.split = True

    async def begin() -> None:
        row = dice.choice(rows)
        wire.slave.spoil, wire.slave.fault = row.spoil, row.make(wire)

    async def end() -> None:
        wire.slave.spoil = wire.slave.fault = None
        wire.deaf.clear()

    return begin, end


@asynccontextmanager
async def modbus(kind: device_faults.Kind, clock: ScaledClock, dice: random.Random) -> AsyncIterator[Line]:
    """Four units on a terminal or behind a gateway."""
    slave = CountingSlave()
    wire = Wire(kind, slave)
    points = {f"u{unit}": device_faults.points_of(unit) for unit in device_faults.UNITS}
    witness = Memory(
        [point for own in points.values() for point in own],
        lambda device: slave.counts[int(device[1:])],
        lambda device, count: device_faults.shown(int(device[1:]), count),
        limit_s=AGE_S,
    )
    settings = [DeviceSetting(f"u{u}", device_faults.PROFILE, u) for u in device_faults.UNITS]
    async with AsyncExitStack() as stack:
        bus: Bus
        if kind == "rtu":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            terminal = Terminal(slave, Path(folder) / "line")
            await terminal.make()
            stack.push_async_callback(terminal.hang_up)
            away: Trouble = (terminal.hang_up, terminal.make)
            bus = ModbusRtuBus(str(terminal.link), baud=115200, parity="N", timeout_s=TIMEOUT_S)
        else:
            gate = await _gated(stack, await stack.enter_async_context(gateway(wire)))
            away = (gate.shut, gate.open)
            bus = ModbusTcpBus("127.0.0.1", gate.port, timeout_s=TIMEOUT_S)
        worker = await stack.enter_async_context(_working(kind, bus, settings, points, witness, clock))
        yield Line(kind, worker, witness, [away, _table_troubles(wire, dice, witness)])


async def _gated(stack: AsyncExitStack, target: int) -> Gate:
    gate = Gate(target)
    await gate.open()
    stack.push_async_callback(gate.shut)
    return gate


@asynccontextmanager
async def meters(kind: meter_faults.Kind, clock: ScaledClock, dice: random.Random) -> AsyncIterator[Line]:
    """Two meters behind a converter."""
    counters = {f"m{number}": Counter(number) for number in (meter_faults.WELL, meter_faults.FAULTY)}
    points = {
        device: [Point(f"{device}.{name}", device, name, unit) for name, unit in meter_faults.UNITS.items()]
        for device in counters
    }
    every = [point for own in points.values() for point in own]
    witness = Memory(every, lambda device: counters[device].count, shows(kind), limit_s=AGE_S)
    async with meters_served(kind, counters) as (line, bus, settings), AsyncExitStack() as stack:
        assert isinstance(bus.endpoint, TcpHost)
        gate = await _gated(stack, bus.endpoint.port)
        behind = type(bus)(TcpHost("127.0.0.1", gate.port), TIMEOUT_S)

        async def begin() -> None:
            row = dice.choice(meter_faults.METER_FAULTS)
            spoil_line(kind, line, counters, row.make(kind), row.spoil)

        async def end() -> None:
            spoil_line(kind, line, counters, None)

        async with _working(kind, behind, settings, points, witness, clock) as worker:
            yield Line(kind, worker, witness, [(gate.shut, gate.open), (begin, end)])


async def _nothing() -> None:
    return


@asynccontextmanager
async def plc(clock: ScaledClock) -> AsyncIterator[Line]:
    """A PLC that is cut off, out of reach, or started anew."""
    server = Server()
    await server.start()
    names = ("supply", "flow")
    registers = {name: {"identifier": name, "type": "Float", "unit": "1"} for name in names}
    profile = make_profile("opcua", registers, namespace=NAMESPACE, stamps="receipt")
    points = {"plc": [Point(f"plc.{name}", "plc", name, Unit.ONE) for name in names]}
    inbox = Inbox({f"plc.{name}": AGE_S for name in names}, clock.now())
    try:
        async with AsyncExitStack() as stack:
            gate = await _gated(stack, server.port)
            url = f"opc.tcp://127.0.0.1:{gate.port}"
            bus = OpcUaBus(url, sampling_ms=50, insecure=True, timeout_s=1.0)
            settings = [DeviceSetting("plc", profile)]
            troubles = [(gate.shut, gate.open), (gate.cut, _nothing), (server.stop, server.start)]
            worker = await stack.enter_async_context(_working("plc", bus, settings, points, inbox, clock))
            yield Line("plc", worker, inbox, troubles)
    finally:
        await server.stop()


async def _flap(line: Line, dice: random.Random, soaked: Soaked) -> None:
    """Trouble, for a while; then a while without."""
    while True:
        begin, end = dice.choice(line.troubles)
        await asyncio.sleep(dice.uniform(*FLAP_S))
        await begin()
        soaked.troubles += 1
        try:
            await asyncio.sleep(dice.uniform(*FLAP_S))
        finally:
            await end()


def _look(now: float, counted: bool, own: int) -> Sample:
    """`own` objects are what looking itself has left behind: the samples."""
    if counted:
        gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return Sample(
        now / DAY_S,
        len(asyncio.all_tasks()),
        len(os.listdir("/proc/self/fd")),
        pages * resource.getpagesize() // 1024,
        len(gc.get_objects()) - own if counted else 0,
    )


async def _watch(lines: Sequence[Line], clock: ScaledClock, seconds: float, soaked: Soaked) -> None:
    """Look at the process for `seconds` of the clock."""
    next_count, begun = 0.0, clock.now().monotonic
    while (now := clock.now().monotonic - begun) < seconds:
        soaked.samples.append(_look(now, now >= next_count, len(soaked.samples)))
        if now >= next_count:
            next_count = now + COUNT_S * clock.speed
        for line in lines:
            soaked.lost += sum(event.kind == "device.lost" for event in line.worker.drain_events())
        await asyncio.sleep(SAMPLE_S)


def _unread(lines: Sequence[Line]) -> list[str]:
    """Points that are not good now."""
    return [
        point.name
        for line in lines
        for image in [line.inbox.freeze(line.worker.clock.now())]
        for device in line.worker.devices
        for point in device.points
        if not image.get(point.name).is_good
    ]


async def soak(days: float, speed: float, seed: int) -> Soaked:
    """Run it; everything that was made is gone afterwards."""
    soaked, dice = Soaked(), random.Random(seed)
    clock = ScaledClock(WALL, time.monotonic(), speed)
    async with AsyncExitStack() as stack:
        lines = [
            await stack.enter_async_context(modbus("rtu", clock, dice)),
            await stack.enter_async_context(modbus("tcp", clock, dice)),
            await stack.enter_async_context(meters("mbus", clock, dice)),
            await stack.enter_async_context(meters("cjt188", clock, dice)),
            await stack.enter_async_context(plc(clock)),
        ]
        tasks = [asyncio.create_task(line.worker.run()) for line in lines]
        flaps = [asyncio.create_task(_flap(line, dice, soaked)) for line in lines]
        await _watch(lines, clock, days * DAY_S, soaked)
        soaked.broken = [_told(task) for task in (*tasks, *flaps) if task.done()]
        await _end(flaps)
        await until(lambda: not _unread(lines), 20.0)
        soaked.unread = _unread(lines)
        devices = [device for line in lines for device in line.worker.devices]
        soaked.reads = sum(device.statistics.reads for device in devices)
        soaked.failures = sum(device.statistics.errors for device in devices)
        soaked.wrong = [
            f"{line.name} {w}" for line in lines if isinstance(line.inbox, Memory) for w in line.inbox.wrong
        ]
        await _end(tasks)
    return soaked


def _told(task: asyncio.Task[None]) -> str:
    """How a task ended that never should."""
    error = task.exception()
    return "".join(traceback.format_exception(error)) if error is not None else repr(task)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> None:
    """Run it, and print what was seen as one line of JSON."""
    parser = argparse.ArgumentParser(description="days of flapping lines on a fast clock")
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--speed", type=float, default=2000.0)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(json.dumps(asdict(asyncio.run(soak(given.days, given.speed, given.seed)))))


if __name__ == "__main__":
    main()
