"""Two meters on a line, M-Bus or CJ/T 188, the second of which can be made faulty; both count their answers.

The count stands in energy and volume of each answer, so that an old, foreign or torn value is known as such.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from drivers import Cjt188Bus, DeviceSetting, MBusBus, Point, Reason, TcpHost, Unit, open_driver
from drivers.tests import cjt188_meters as cjt188
from drivers.tests import mbus_meters as mbus
from drivers.tests.cjt188_bench import profile as cjt188_profile
from drivers.tests.mbus_encode import bcd_record, identity, int_record, telegram
from drivers.tests.profiles import make_profile
from edge.acquisition import BusWorker, Input, Listeners, PolledDevice
from hil_tests.device_faults import Witness, serving

Kind = Literal["mbus", "cjt188"]
Pieces = list[tuple[float, bytes]]
Fault = Callable[[bytes, bytes], Pieces]

PERIOD_S, TIMEOUT_S = 0.5, 0.2
WELL, FAULTY = 1, 2
MILLION = 1_000_000
UNITS = {"energy": Unit.KILOWATT_HOUR, "volume": Unit.CUBIC_METRE}
_SCALE: dict[Kind, float] = {"mbus": 1.0, "cjt188": 100.0}  # digits of the register per unit


@dataclass
class Counter:
    """The answers of one meter. `spoil` makes of the digits of energy what is not digits."""

    meter: int
    count: int = 0
    spoil: bool = False

    def next(self) -> int:
        """The number its next answer shows."""
        self.count += 1
        return self.meter * MILLION + self.count


def _mbus_meter(counter: Counter) -> mbus.Meter:
    def say() -> list[bytes]:
        number = counter.next()
        energy = b"\x0c\x06\x12\xab\xcd\x00" if counter.spoil else bcd_record(b"\x06", number)
        return [energy + int_record(b"\x16", number)]

    return mbus.Meter(counter.meter, f"1234567{counter.meter}.KAM.35.04", say)


@dataclass
class _Cjt188Meter(cjt188.Meter):
    counter: Counter = field(default_factory=lambda: Counter(0))

    def answer(self, request: bytes) -> bytes:
        """The right answer, with the next number."""
        number = self.counter.next()
        self.payload = cjt188.heat_payload({1: (number, 0x05), 4: (number, 0x2C)})
        if self.counter.spoil:
            self.payload = self.payload[:5] + b"\x12\xab\xcd\x00" + self.payload[9:]
        return super().answer(request)


def _number(meter: int) -> str:
    return f"1111001234567{meter}"


def other(kind: Kind) -> bytes:
    """A sound answer of the neighbour, with a number it showed long ago."""
    if kind == "mbus":
        records = bcd_record(b"\x06", MILLION) + int_record(b"\x16", MILLION)
        who = identity(f"1234567{WELL}.KAM.35.04")
        return telegram(WELL, who, records)
    return cjt188.answer(_number(WELL), 0, cjt188.heat_payload({1: (MILLION, 5), 4: (MILLION, 0x2C)}))


@dataclass
class MeterBench:
    """A line of two meters, being read."""

    kind: Kind
    line: mbus.MeterLine | cjt188.MeterLine
    counters: Mapping[str, Counter]
    witness: Witness
    worker: BusWorker
    devices: Mapping[str, PolledDevice]

    def begin(self, fault: Fault | None, spoil: bool = False) -> None:
        """The second meter has a fault from now on; None and False heal it."""
        spoil_line(self.kind, self.line, self.counters, fault, spoil)


def spoil_line(
    kind: Kind,
    line: mbus.MeterLine | cjt188.MeterLine,
    counters: Mapping[str, Counter],
    fault: Fault | None,
    spoil: bool = False,
) -> None:
    """The second meter of the line has a fault from now on; None and False heal it."""
    counters[f"m{FAULTY}"].spoil = spoil
    line.fault = None if fault is None else lambda q, r: fault(q, r) if _asked(kind, q) else _plain(r)


def _asked(kind: Kind, request: bytes) -> bool:
    """True for a request of the faulty meter's readings (on M-Bus: not for what precedes it)."""
    if kind == "mbus":
        return request[0] == 0x10 and request[2] == FAULTY and request[1] & 0x0F == 0x0B
    return request[2:9] == bytes.fromhex(_number(FAULTY))[::-1]


def _plain(right: bytes) -> Pieces:
    return [(0.0, right)] if right else []


def shows(kind: Kind) -> Callable[[str, int], Mapping[str, float]]:
    """What a meter shows in an answer, by register name."""

    def shown(device: str, count: int) -> Mapping[str, float]:
        number = (int(device[1:]) * MILLION + count) / _SCALE[kind]
        return {"energy": number, "volume": number}

    return shown


@asynccontextmanager
async def meter_bench(kind: Kind) -> AsyncIterator[MeterBench]:
    """The line on a TCP converter."""
    counters = {f"m{number}": Counter(number) for number in (WELL, FAULTY)}
    points = {
        device: [Point(f"{device}.{n}", device, n, unit) for n, unit in UNITS.items()] for device in counters
    }
    witness = Witness(
        [point for own in points.values() for point in own],
        lambda device: counters[device].count,
        shows(kind),
    )
    traffic = Listeners()
    async with meters_served(kind, counters) as (line, bus, settings):
        driver = open_driver(bus, settings, time.time, traffic)
        now = time.monotonic()
        devices = {
            device: PolledDevice.of(device, [Input(p, PERIOD_S) for p in own], now + place * PERIOD_S / 4)
            for place, (device, own) in enumerate(points.items())
        }
        async with serving(driver, witness, devices, traffic, TIMEOUT_S) as (worker, _):
            yield MeterBench(kind, line, counters, witness, worker, devices)


Served = tuple[mbus.MeterLine | cjt188.MeterLine, MBusBus | Cjt188Bus, list[DeviceSetting]]


@asynccontextmanager
async def meters_served(kind: Kind, counters: Mapping[str, Counter]) -> AsyncIterator[Served]:
    """The meters of these counters on a TCP converter: line, bus and the settings of the devices."""
    if kind == "mbus":
        registers = {name: {"quantity": name, "unit": unit.value} for name, unit in UNITS.items()}
        profile = make_profile("mbus", registers, retries=0)
        wires = mbus.MeterLine(*map(_mbus_meter, counters.values()))
        settings = [DeviceSetting(name, profile, None, str(c.meter)) for name, c in counters.items()]
        async with mbus.serve_tcp(wires) as port:
            yield wires, MBusBus(TcpHost("127.0.0.1", port), TIMEOUT_S), settings
        return
    meters = [_Cjt188Meter(bytes.fromhex(_number(c.meter))[::-1], counter=c) for c in counters.values()]
    line = cjt188.MeterLine(*meters)
    profile = cjt188_profile(sequence_echoed=True)  # else a late answer passes while this is being learnt
    settings = [DeviceSetting(n, profile, None, _number(c.meter)) for n, c in counters.items()]
    async with cjt188.serve_tcp(line) as port:
        yield line, Cjt188Bus(TcpHost("127.0.0.1", port), TIMEOUT_S), settings


@dataclass(frozen=True, slots=True)
class MeterFault:
    """One row: what goes onto the line, why readings may be BAD then, whether it is read all the same."""

    name: str
    bad: frozenset[Reason]
    make: Callable[[Kind], Fault]
    read: bool = False
    spoil: bool = False


def _always(pieces: Fault) -> Callable[[Kind], Fault]:
    return lambda kind: pieces


def _checksum(request: bytes, right: bytes) -> Pieces:
    return [(0.0, right[:-2] + bytes((right[-2] ^ 1,)) + right[-1:])]


BROKEN = frozenset({Reason.NO_ANSWER, Reason.PROTOCOL})
NO_DIGITS = frozenset({Reason.NOT_A_NUMBER, Reason.SENTINEL})

METER_FAULTS = (
    MeterFault("silence", frozenset({Reason.NO_ANSWER}), _always(lambda q, r: [])),
    MeterFault("late", BROKEN, _always(lambda q, r: [(1.4 * TIMEOUT_S, r)])),
    MeterFault("later than the next request", BROKEN, _always(lambda q, r: [(1.6 * PERIOD_S, r)])),
    MeterFault("twice", BROKEN, _always(lambda q, r: [(0.0, r), (0.0, r)]), read=True),
    MeterFault("the other meter's answer", BROKEN, lambda kind: lambda q, r: [(0.0, other(kind))]),
    MeterFault("checksum", BROKEN, _always(_checksum)),
    MeterFault("truncated", BROKEN, _always(lambda q, r: [(0.0, r[:-4])])),
    MeterFault("echo in front", BROKEN, _always(lambda q, r: [(0.0, q + r)]), read=True),
    MeterFault(
        "byte after byte",
        BROKEN,
        _always(lambda q, r: [(0.0005, r[n : n + 1]) for n in range(len(r))]),
        read=True,
    ),
    MeterFault("digits that are none", NO_DIGITS, _always(lambda q, r: [(0.0, r)]), spoil=True),
)
