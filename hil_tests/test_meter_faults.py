"""What a faulty heat meter may do to its line; and what an OPC UA server may do to its values."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import pytest
from asyncua.ua.status_codes import StatusCodes

from drivers import DeviceSetting, OpcUaBus, Point, Reason, Unit, open_driver
from drivers.tests.plc import NAMESPACE, Plc, serving_plc
from drivers.tests.profiles import make_profile
from edge.acquisition import Input, Listeners, PolledDevice
from edge.clock import SystemClock
from edge.image import Inbox
from hil_tests.device_faults import Wrong, ended, serving, until
from hil_tests.meter_faults import (
    FAULTY,
    METER_FAULTS,
    PERIOD_S,
    TIMEOUT_S,
    WELL,
    Kind,
    MeterFault,
    meter_bench,
)

SLACK_S = 0.3  # of a busy machine


@dataclass
class Seen:
    """What became of one fault."""

    name: str
    fault: MeterFault | None
    wrong: list[Wrong]
    reasons: set[Reason] = field(default_factory=set)
    reads: int = 0
    intervals: list[float] = field(default_factory=list)
    allowed_s: float = 0.0
    back_s: float = math.inf


async def play(fault: MeterFault | None, kind: Kind, seconds: float) -> Seen:
    """The line is well, has the fault for so long, and is well again."""
    faulty, loop = f"m{FAULTY}", asyncio.get_running_loop()
    async with meter_bench(kind) as line:
        witness, times = line.witness, line.witness.arrivals[faulty]
        seen = Seen(f"{kind} {fault.name if fault else 'no fault'}", fault, witness.wrong)
        assert await until(lambda: min(map(len, witness.arrivals.values())) >= 3, 20.0)
        witness.reasons[faulty].clear()
        begun, before = loop.time(), len(times)
        if fault is not None:
            line.begin(fault.make(kind), fault.spoil)
        await asyncio.sleep(seconds)
        seen.intervals = list(ended(witness.arrivals[f"m{WELL}"], begun, loop.time()))
        seen.reasons, seen.reads = set(witness.reasons[faulty]), len(times) - before
        line.begin(None)
        healed = loop.time()
        await asyncio.sleep(TIMEOUT_S if fault is None or "later" not in fault.name else 1.6 * PERIOD_S)
        pause_s = line.devices[faulty].health.pause_s(PERIOD_S)
        seen.allowed_s = loop.time() - healed + max(2 * PERIOD_S, pause_s) + TIMEOUT_S + SLACK_S
        if await until(lambda: times[-1] > healed, seen.allowed_s + 10.0):
            seen.back_s = next(each for each in times if each > healed) - healed
    return seen


async def test_no_fault_of_a_meter_becomes_a_wrong_value_or_costs_its_neighbour_its_pace() -> None:
    kinds: tuple[Kind, ...] = ("mbus", "cjt188")
    plays = [play(fault, kind, 5.0) for fault in (*METER_FAULTS, None, None) for kind in kinds]
    found = await asyncio.gather(*plays)
    assert [(seen.name, seen.wrong) for seen in found if seen.wrong] == []
    faulty = [(seen, seen.fault) for seen in found if seen.fault is not None]
    late = frozenset({Reason.NO_ANSWER})  # a busy machine may make any answer late
    assert [(seen.name, seen.reasons) for seen, fault in faulty if not seen.reasons <= fault.bad | late] == []
    assert [(seen.name, seen.reads) for seen, fault in faulty if (seen.reads > 0) != fault.read] == []
    late_back = [(seen.name, seen.back_s, seen.allowed_s) for seen in found if seen.back_s > seen.allowed_s]
    assert late_back == []
    calm = p90([each for seen in found if seen.fault is None for each in seen.intervals])
    pooled = p90([each for seen, _ in faulty for each in seen.intervals])
    assert pooled <= 1.2 * max(PERIOD_S, calm)


def p90(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]


@pytest.fixture(scope="module")
def server() -> Iterator[Plc]:
    with serving_plc() as plc:
        yield plc


SUPPLY = Point("supply", "plc", "supply", Unit.CELSIUS)
LIMIT_S, SAMPLING_MS = 1.0, 50
ATTACHED = 999.0  # a number beside a Bad status


class Program:
    """A PLC's program: a new number every 50 ms. `status` goes with it, and with a Bad one ATTACHED."""

    def __init__(self, plc: Plc) -> None:
        self._plc = plc
        self.stamp: float | None = None  # where the clock stands still
        self.status = 0
        self.newest = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        for number in count(1):
            self.newest = float(number)
            value = ATTACHED if self.status else self.newest
            self._plc.put("Supply", value, status=self.status, stamp=self.stamp or time.time())
            await asyncio.sleep(SAMPLING_MS / 1000)


@dataclass
class PlcBench:
    """The server being read."""

    program: Program
    inbox: Inbox

    def reason(self) -> Reason:
        """Of the point as it is now; NONE while it is good, and then a number of late."""
        reading = self.inbox.freeze(SystemClock().now()).get("supply")
        assert reading.value is None or self.program.newest - 40 <= reading.value <= self.program.newest
        return reading.reason

    async def becomes(self, reason: Reason, seconds: float = 10.0) -> bool:
        """Wait for it."""
        return await until(lambda: self.reason() is reason, seconds)


@asynccontextmanager
async def plc_bench(plc: Plc) -> AsyncIterator[PlcBench]:
    registers = {"supply": {"identifier": "Supply", "type": "Float", "unit": "degC"}}
    profile = make_profile("opcua", registers, namespace=NAMESPACE, stamps="scan")
    traffic, inbox = Listeners(), Inbox({"supply": LIMIT_S}, SystemClock().now())
    program = Program(plc)
    feeding = asyncio.create_task(program.run())
    await until(lambda: program.newest > 0, 5.0)
    bus = OpcUaBus(plc.url, sampling_ms=SAMPLING_MS, insecure=True, timeout_s=1.0)
    driver = open_driver(bus, [DeviceSetting("plc", profile)], time.time, traffic)
    devices = {"plc": PolledDevice.of("plc", [Input(SUPPLY, 0.2)], time.monotonic())}
    try:
        async with serving(driver, inbox, devices, traffic, 1.0):
            bench = PlcBench(program, inbox)
            assert await bench.becomes(Reason.NONE)
            yield bench
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def test_a_plc_whose_time_stamps_stand_still_is_stale_and_good_again_when_they_go_on(
    server: Plc,
) -> None:
    async with plc_bench(server) as plc:
        plc.program.stamp = time.time()
        assert await plc.becomes(Reason.STALE)
        plc.program.stamp = None
        assert await plc.becomes(Reason.NONE)


async def test_a_number_beside_a_bad_status_is_never_taken(server: Plc) -> None:
    async with plc_bench(server) as plc:
        plc.program.status = StatusCodes.BadSensorFailure
        assert await plc.becomes(Reason.DEVICE)
        await until(lambda: plc.reason() is not Reason.DEVICE, 1.0)
        assert plc.reason() is Reason.DEVICE
        plc.program.status = 0
        assert await plc.becomes(Reason.NONE)


async def test_a_subscription_that_dies_is_noticed_and_made_anew(server: Plc) -> None:
    async with plc_bench(server) as plc:
        server.drop_subscriptions()
        assert await until(lambda: plc.reason() is not Reason.NONE, 5.0)
        assert await plc.becomes(Reason.NONE)
