"""Units on a line, one of which can be made faulty; every answer proves when and by whom it was made.

Each unit counts its answers and puts the count into all its words: a value that is old, another unit's or
torn is known as such when it arrives in the inbox. What is served and judged is `edge.acquisition.BusWorker`
over the real driver, on real pseudo-terminals and sockets. The faults themselves: hil_tests/fault_table.py.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from drivers import (
    DeviceSetting,
    Driver,
    ModbusRtuBus,
    ModbusTcpBus,
    Point,
    Reading,
    Reason,
    Unit,
    open_driver,
)
from drivers.tests.profiles import make_profile
from drivers.tests.slaves import Pieces, Slave, rtu, serve_rtu, tcp
from edge.acquisition import BusWorker, Input, Listeners, PolledDevice
from edge.clock import SystemClock
from edge.image import Inbox

PERIOD_S = 0.5
TIMEOUT_S = 0.2
STUCK_S = 1.5
UNITS = (1, 2, 3, 4)
FAULTY = 4
NAMES = ("number", "mirror", "warmth", "sensor")
MILLION = 1_000_000

Kind = Literal["rtu", "tcp"]


def _word(address: int, kind: str, **more: object) -> dict[str, object]:
    return {"function": 3, "address": address, "documented": "", "type": kind, "unit": "1"} | more


PROFILE = make_profile(
    "modbus",
    {
        "number": _word(0, "u32"),
        "mirror": _word(2, "u32"),
        "warmth": _word(4, "f32"),
        "sensor": _word(6, "u16", sentinels=[0x8000]),
    },
    retries=0,
)


def words(unit: int, count: int) -> tuple[int, ...]:
    """What the unit shows in its answer number `count`: twice the number, then a float and a short one."""
    number = unit * MILLION + count
    return struct.unpack(">7H", struct.pack(">IIfH", number, number, count % 1000 + 0.5, count % 1000))


def shown(unit: int, count: int) -> dict[str, float]:
    """The same as values."""
    number = float(unit * MILLION + count)
    return dict(zip(NAMES, (number, number, count % 1000 + 0.5, float(count % 1000)), strict=True))


class CountingSlave(Slave):
    """Units that count. `spoil` changes the words of the faulty one: NaN, sentinel, a stuck value."""

    def __init__(self, units: Sequence[int] = UNITS) -> None:
        super().__init__()
        self.counts = dict.fromkeys(units, 0)
        self.spoil: Callable[[list[int]], None] | None = None
        self._last: dict[int, asyncio.Task[None]] = {}
        for unit in units:
            self.put(unit, 0, *[0] * 64)

    def answer(self, unit: int, pdu: bytes) -> bytes:
        """The PDU a correct slave answers, with the next number."""
        if unit in self.counts:
            self.counts[unit] += 1
            now = list(words(unit, self.counts[unit]))
            if unit == FAULTY and self.spoil is not None:
                self.spoil(now)
            self.put(unit, 0, *now)
        self.requests.clear()
        return super().answer(unit, pdu)

    def send(self, request: bytes, right: bytes, write: Callable[[bytes], object]) -> None:
        """Put the answer onto the line; a unit answers in the order it was asked, and waits for no other."""
        unit = unit_of(request)
        pieces = [(0.0, right)] if self.fault is None or unit != FAULTY else self.fault(request, right)
        task = asyncio.get_running_loop().create_task(_deliver(pieces, write, self._last.get(unit)))
        self._last[unit] = task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def unit_of(request: bytes) -> int:
    """The unit that is asked: a read has 8 bytes on a serial line, 12 on TCP."""
    return request[0] if len(request) == 8 else request[6]


async def _deliver(
    pieces: Pieces, write: Callable[[bytes], object], before: asyncio.Task[None] | None
) -> None:
    for delay_s, data in pieces:
        await asyncio.sleep(delay_s)
        if before is not None:
            await asyncio.wait((before,))
        write(data)


@dataclass
class Wire:
    """How the line frames what it carries, and what can be done to the connection of a gateway."""

    kind: Kind
    slave: CountingSlave
    connections: set[asyncio.StreamWriter] = field(default_factory=set)
    refuse: int = 0  # so many connections are closed as soon as they are made
    deaf: set[asyncio.StreamWriter] = field(default_factory=set)  # half open: nothing is answered any more

    def frame(self, request: bytes, pdu: bytes, unit: int = FAULTY) -> bytes:
        """`pdu` framed as an answer to `request`."""
        return rtu(unit, pdu) if self.kind == "rtu" else tcp(int.from_bytes(request[:2], "big"), unit, pdu)

    def pdu(self, adu: bytes) -> bytes:
        """What a frame carries."""
        return adu[1:-2] if self.kind == "rtu" else adu[7:]

    def cut(self, reset: bool) -> None:
        """The gateway ends its connections, with RST or FIN."""
        for writer in tuple(self.connections):
            if reset:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            else:
                writer.close()

    def deafen(self) -> None:
        """The connections that are there stay so, and are never answered again."""
        self.deaf |= self.connections

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a gateway."""
        if self.refuse > 0:
            self.refuse -= 1
            writer.close()
            return
        self.connections.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            while True:
                head = await reader.readexactly(7)
                transaction, _, length, unit = struct.unpack(">HHHB", head)
                pdu = await reader.readexactly(length - 1)
                right = tcp(transaction, unit, self.slave.answer(unit, pdu))
                if writer not in self.deaf:
                    self.slave.send(head + pdu, right, writer.write)
        self.connections.discard(writer)
        self.deaf.discard(writer)
        writer.close()


@asynccontextmanager
async def gateway(wire: Wire) -> AsyncIterator[int]:
    """The units behind a TCP gateway on a free port, which is given."""
    server = await asyncio.start_server(wire.talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await wire.slave.stop()
        server.close()
        for writer in tuple(wire.connections):
            writer.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def _bus(wire: Wire, timeout_s: float) -> AsyncIterator[ModbusRtuBus | ModbusTcpBus]:
    if wire.kind == "rtu":
        async with serve_rtu(wire.slave) as port:
            yield ModbusRtuBus(port, baud=115200, parity="N", timeout_s=timeout_s)
    else:
        async with gateway(wire) as number:
            yield ModbusTcpBus("127.0.0.1", number, timeout_s=timeout_s)


@dataclass(frozen=True, slots=True)
class Wrong:
    """A value that was accepted and is not what the device shows; `right` is None when it said nothing."""

    point: str
    value: float
    right: float | None


class Witness(Inbox):
    """An inbox that looks at what it is given. `right` says what a device may show, by register name: what
    its last answer said; where `split` says that a reading takes several, any answer since the last reading.

    `arrivals`: when a device's readings were all good; `reasons`: why readings of a device were bad since
    the set was last cleared.
    """

    def __init__(
        self,
        points: Sequence[Point],
        count: Callable[[str], int],
        shows: Callable[[str, int], Mapping[str, float]],
        stuck: Mapping[str, float] | None = None,
        limit_s: float = 60.0,
    ) -> None:
        super().__init__({point.name: limit_s for point in points}, SystemClock().now(), stuck)
        self._count, self._shows = count, shows
        self._seen: dict[str, int] = {}
        self.split = False
        self._points = {point.name: point for point in points}
        self.arrivals: dict[str, list[float]] = {point.device: [] for point in points}
        self.reasons: dict[str, set[Reason]] = {point.device: set() for point in points}
        self.wrong: list[Wrong] = []
        self.unchecked: set[str] = set()

    def put(self, readings: Mapping[str, Reading], monotonic: float, wall: float = 0.0) -> None:
        """Take and judge readings of one device."""
        super().put(readings, monotonic, wall)
        device = self._points[next(iter(readings))].device
        rights = self._rights(device)
        for name, reading in readings.items():
            register = self._points[name].register
            if reading.value is None:
                self.reasons[device].add(reading.reason)
            elif name not in self.unchecked and all(right[register] != reading.value for right in rights):
                self.wrong.append(Wrong(name, reading.value, rights[-1][register] if rights else None))
        if all(reading.is_good for reading in readings.values()):
            self.arrivals[device].append(monotonic)

    def _rights(self, device: str) -> list[Mapping[str, float]]:
        newest = self._count(device)
        oldest = self._seen.get(device, newest - 1) + 1 if self.split else newest
        self._seen[device] = newest
        return [self._shows(device, number) for number in range(oldest, newest + 1)]


@dataclass
class Bench:
    """A line being read. `witness` saw everything that was accepted."""

    wire: Wire
    witness: Witness
    worker: BusWorker
    devices: Mapping[str, PolledDevice]
    task: asyncio.Task[None]

    def intervals(self, begin: float, end: float, but: str = f"u{FAULTY}") -> list[float]:
        """From one good reading of a neighbour to the next, those that ended between the times."""
        return [
            interval
            for device, times in self.witness.arrivals.items()
            if device != but
            for interval in ended(times, begin, end)
        ]


def ended(times: Sequence[float], begin: float, end: float) -> Iterator[float]:
    """Intervals that ended between the times; one that has not ended by then counts as far as it got."""
    inside = [time for time in times if time <= end]
    for earlier, later in zip(inside, [*inside[1:], end], strict=True):
        if later > begin and (later < end or end - earlier > PERIOD_S):
            yield later - earlier


def points_of(unit: int) -> list[Point]:
    """The points of a unit."""
    return [Point(f"u{unit}.{name}", f"u{unit}", name, Unit.ONE) for name in NAMES]


@asynccontextmanager
async def bench(kind: Kind, period_s: float = PERIOD_S, units: Sequence[int] = UNITS) -> AsyncIterator[Bench]:
    """Units of one line, being read, their reads spread over half a period."""
    slave = CountingSlave(units)
    wire = Wire(kind, slave)
    points = [point for unit in units for point in points_of(unit)]
    witness = Witness(
        points,
        lambda device: slave.counts[int(device[1:])],
        lambda device, count: shown(int(device[1:]), count),
        {f"u{unit}.sensor": STUCK_S for unit in units},
    )
    async with _bus(wire, TIMEOUT_S) as bus:
        traffic = Listeners()
        settings = [DeviceSetting(f"u{unit}", PROFILE, unit) for unit in units]
        driver = open_driver(bus, settings, time.time, traffic)
        begun = time.monotonic()
        devices = {
            f"u{unit}": PolledDevice.of(
                f"u{unit}",
                [Input(point, period_s) for point in points_of(unit)],
                begun + number * period_s / 2 / len(units),
            )
            for number, unit in enumerate(units)
        }
        async with serving(driver, witness, devices, traffic, TIMEOUT_S) as (worker, task):
            yield Bench(wire, witness, worker, devices, task)


@asynccontextmanager
async def serving(
    driver: Driver,
    inbox: Inbox,
    devices: Mapping[str, PolledDevice],
    traffic: Listeners,
    timeout_s: float,
) -> AsyncIterator[tuple[BusWorker, asyncio.Task[None]]]:
    """A worker at work on a bus; what it raises is raised at the end."""
    worker = BusWorker("line", driver, list(devices.values()), {}, inbox, SystemClock(), timeout_s, traffic)
    task = asyncio.create_task(worker.run())
    try:
        yield worker, task
    finally:
        task.cancel()
        (end,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(end, asyncio.CancelledError), end


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition so long at most; whether it came true."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 (a condition of the plant, not of a task)
                await asyncio.sleep(0.01)
    return condition()
