"""The exchange on a line: what ends a wait, fences, connections, what the tap is told."""

import asyncio
import os
import random
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from drivers import (
    ClosedError,
    DeviceSetting,
    DriverError,
    ModbusTcpBus,
    NoAnswerError,
    Point,
    RemoteProtocolError,
    Unit,
    open_driver,
)
from drivers.modbus.fences import LATEST_ANSWER_S, Fences
from drivers.modbus.registers import Span
from drivers.modbus.request import Request
from drivers.tests.modbus_bench import (
    KINDS,
    PROFILE,
    REGISTERS,
    Bench,
    bench,
    filled_slave,
    points,
    served,
    silent,
    until,
    value,
)
from drivers.tests.modbus_tls import identities
from drivers.tests.profiles import make_profile
from drivers.tests.slaves import Fault, Pieces, rtu, serve_tcp
from drivers.traffic import Traffic, Verdict

SERIAL = ("rtu", "rtu over tcp")
PATIENT_S = 30.0  # longer than any test: what ends before did not wait for it
SHORT_S = 0.03


@asynccontextmanager
async def waiting(kind: str, timeout_s: float, most: int = 8) -> AsyncIterator[Bench]:
    """A bench with another time limit."""
    slave = filled_slave()
    devices = [DeviceSetting(name, PROFILE, unit) for name, unit in (("one", 1), ("two", 2))]
    async with (
        served(kind, slave, most) as bus,
        asyncio.timeout(20),
        open_driver(replace(bus, timeout_s=timeout_s), devices, time.time) as driver,
    ):
        yield Bench(driver, slave, serial=kind.startswith("rtu"))


def spoil(request: bytes, right: bytes) -> Pieces:
    """A bit of the value is flipped."""
    return [(0.0, right[:-3] + bytes((right[-3] ^ 4,)) + right[-2:])]


@pytest.mark.parametrize("kind", SERIAL)
async def test_a_spoilt_answer_of_known_length_is_told_before_the_time_limit(kind: str) -> None:
    async with waiting(kind, PATIENT_S) as line:
        line.slave.fault = spoil
        with pytest.raises(RemoteProtocolError, match="checksum"):
            await line.read("level")
        line.slave.fault = None
        assert await line.read("level") == [1.5]


@pytest.mark.parametrize("kind", ["tcp", "tls"])
async def test_a_wrong_answer_with_the_right_number_is_told_before_the_time_limit(kind: str) -> None:
    async with waiting(kind, PATIENT_S) as line:
        line.slave.fault = lambda request, right: [(0.0, line.frame(request, line.pdu(right), unit=2))]
        with pytest.raises(RemoteProtocolError, match="foreign"):
            await line.read("level")
        line.slave.fault = lambda request, right: [(0.0, line.frame(request, b"\x03\x02\x00\x00"))]
        with pytest.raises(RemoteProtocolError, match="malformed"):
            await line.read("level")
        line.slave.fault = None
        assert await line.read("level") == [1.5]


@pytest.mark.parametrize("kind", KINDS)
async def test_answers_to_older_questions_are_passed_over_until_the_right_one_comes(kind: str) -> None:
    def with_strays(request: bytes, right: bytes) -> Pieces:
        other = rtu(1, b"\x03\x08" + bytes(8)) if line.serial else b"\xff" * 2 + right[2:]
        return [(0.0, other), (0.0, right)]

    async with waiting(kind, PATIENT_S) as line:
        line.slave.fault = with_strays
        assert await line.read("level") == [1.5]
        assert await line.read("level") == [1.5]


@pytest.mark.parametrize("kind", SERIAL)
async def test_a_repeated_answer_puts_a_fence_before_the_next_request_of_its_shape(kind: str) -> None:
    async with waiting(kind, PATIENT_S) as line:
        line.slave.fault = lambda request, right: [(0.0, right + right)]
        assert await line.read("a") == [100]
        line.slave.fault = None
        line.slave.requests.clear()
        assert await line.read("c") == [104]
        assert [pdu for _, pdu in line.slave.requests] == [
            struct.pack(">BHH", 3, 4, 2),  # the fence: what answers it cannot be taken for
            struct.pack(">BHH", 3, 4, 1),
        ]
        assert await line.read("a") == [100]
        assert len(line.slave.requests) == 3, "what is settled needs no fence"


@pytest.mark.parametrize("kind", SERIAL)
async def test_a_refused_fence_is_followed_by_a_time_in_which_nothing_may_come(kind: str) -> None:
    async with waiting(kind, 0.05) as line:
        del line.slave.words[1, 3, 1]  # `a` alone can be read, the fence of two registers cannot
        line.slave.fault = lambda request, right: [(0.0, right + right)]
        assert await line.read("a") == [100]

        late = rtu(1, b"\x03\x02\x12\x34")
        line.slave.fault = lambda request, right: [(0.0, right), (0.02, late)]
        with pytest.raises(RemoteProtocolError, match="out of turn"):
            await line.read("a")
        line.slave.fault = None
        line.slave.requests.clear()
        assert await line.read("a") == [100]
        assert [pdu[-1] for _, pdu in line.slave.requests] == [3, 1], "another fence, then the request"
        assert await line.read("a") == [100]
        assert len(line.slave.requests) == 3


@pytest.mark.parametrize("kind", SERIAL)
async def test_a_late_refusal_taken_for_the_next_requests_makes_no_value_wrong(kind: str) -> None:
    """`level` and `pair` have one shape; a refusal says not whose it is."""
    async with waiting(kind, 0.1) as line:
        line.slave.fault = lambda request, right: [(0.13, line.frame(request, b"\x83\x04"))]
        with pytest.raises(NoAnswerError):
            await line.read("a")
        line.slave.fault = lambda request, right: [(0.02, right)]
        assert await line.read("level") in ([None], [1.5])
        for _ in range(3):
            assert await line.read("pair") == [131 + 130 * 65536]


MISCHIEF: dict[str, Fault] = {
    "right": lambda request, right: [(0.0, right)],
    "slow": lambda request, right: [(SHORT_S * 0.6, right)],
    "silent": silent,
    "late": lambda request, right: [(SHORT_S * 1.4, right)],
    "very late": lambda request, right: [(SHORT_S * 2.7, right)],
    "twice": lambda request, right: [(0.0, right + right)],
    "late and twice": lambda request, right: [(SHORT_S * 1.4, right + right)],
    "spoilt": spoil,
    "torn": lambda request, right: [(0.0, right[: len(right) // 2])],
    "in two": lambda request, right: [(0.0, right[:3]), (0.004, right[3:])],
    "noise": lambda request, right: [(0.0, b"\x00\xff\x01\x03\x02" + right)],
}


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
async def test_no_order_of_faults_makes_a_value_wrong_in_many_storms(kind: str) -> None:
    for seed in range(2, 30):
        await test_no_order_of_faults_makes_a_value_wrong(kind, seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
async def test_no_order_of_faults_makes_a_value_wrong(kind: str, seed: int) -> None:
    dice = random.Random(f"{kind} {seed}")  # noqa: S311 (mischief, no secret)
    right = {"a": 100, "b": 101, "c": 104, "far": 199, "level": 1.5, "pair": 131 + 130 * 65536}
    names = list(right)
    # what a bit flip makes of TCP, the network's own checksum catches
    faults = [fault for name, fault in MISCHIEF.items() if name != "spoilt" or kind in SERIAL]

    def mischief(request: bytes, answer: bytes) -> Pieces:
        return dice.choice(faults)(request, answer)

    async with waiting(kind, SHORT_S) as line:
        line.slave.fault = mischief
        good = 0
        for _ in range(40):
            name, (device, more) = dice.choice(names), dice.choice([("one", 0), ("two", 100)])
            wanted = right[name] + {"level": 0, "pair": more * 65537}.get(name, more)
            try:
                values = await line.read(name, device=device)
            except DriverError:
                continue
            assert values in ([wanted], [None])
            good += values == [wanted]
        assert good
        line.slave.fault = None
        await until_read(line)


async def until_read(line: Bench) -> None:
    """The line works again after a few requests."""
    for _ in range(5):
        try:
            assert await line.read("a") == [100]
        except DriverError:
            continue
        return
    pytest.fail("the line does not come back")


@pytest.mark.parametrize("kind", ["tcp", "rtu over tcp", "tls"])
async def test_a_device_that_allows_one_connection_never_sees_two(kind: str) -> None:
    async with waiting(kind, 0.05, most=1) as line:
        for round_ in range(4):
            line.slave.fault = silent
            for _ in range(2):
                with pytest.raises(NoAnswerError):
                    await line.read("a")
            line.slave.fault = None
            assert await line.read("a") == [100], f"round {round_}"
        assert line.slave.connections > 1


async def test_a_silent_unit_behind_a_converter_costs_its_neighbours_no_connection() -> None:
    async with waiting("rtu over tcp", 0.05) as line:
        line.slave.fault = lambda request, right: [] if request[0] == 2 else [(0.0, right)]
        for _ in range(3):
            assert await line.read("a") == [100]
            with pytest.raises(NoAnswerError):
                await line.read("a", device="two")
        assert line.slave.connections == 1


def descriptors() -> int:
    """Open files of this process."""
    return len(os.listdir("/proc/self/fd"))


async def test_a_device_that_ends_every_connection_is_closed_and_leaks_nothing() -> None:
    slave = filled_slave()
    async with serve_tcp(slave, most=0) as number:
        bus = ModbusTcpBus("127.0.0.1", number, timeout_s=PATIENT_S)
        async with open_driver(bus, [DeviceSetting("one", PROFILE, 1)], time.time) as driver:
            before = descriptors()
            for _ in range(20):
                with pytest.raises(ClosedError):
                    await driver.read(points("a"))
            await until(lambda: descriptors() <= before + 2)


@pytest.mark.parametrize("side", ["deceived", "unknown"])
async def test_tls_with_a_certificate_that_is_not_believed_is_closed(side: str) -> None:
    slave = filled_slave()
    async with serve_tcp(slave, context=identities().server()) as number:
        bus = ModbusTcpBus("127.0.0.1", number, timeout_s=1.0, tls=getattr(identities(), side)())
        async with open_driver(bus, [DeviceSetting("one", PROFILE, 1)], time.time) as driver:
            with pytest.raises(ClosedError):
                await driver.read(points("a"))
        assert not slave.requests


Told = list[tuple[str, Verdict]]


@asynccontextmanager
async def tapped(kind: str, told: Told, profile: object = PROFILE) -> AsyncIterator[Bench]:
    """A bench whose tap writes down who and what."""

    def tap(traffic: Traffic) -> None:
        told.append((traffic.device, traffic.verdict))

    async with bench(kind, profile, tap) as line:
        yield line


@pytest.mark.parametrize("kind", KINDS)
async def test_the_tap_is_told_of_every_frame(kind: str) -> None:
    told: Told = []
    async with tapped(kind, told) as line:
        await line.read("a")
        assert told == [("one", Verdict.REQUEST), ("one", Verdict.ANSWER)]
        told.clear()
        line.slave.refuse = 4
        await line.read("b", device="two")
        assert told == [("two", Verdict.REQUEST), ("two", Verdict.REFUSED)]
        told.clear()
        line.slave.fault = silent
        with pytest.raises(NoAnswerError):
            await line.read("far", "level")
        assert told == [("one", Verdict.REQUEST), ("one", Verdict.SILENCE)]


async def test_the_tap_is_told_of_repetitions() -> None:
    told: Told = []
    async with tapped("rtu", told, make_profile("modbus", REGISTERS, retries=1)) as line:
        line.slave.fault = silent
        with pytest.raises(NoAnswerError):
            await line.read("a")
    assert [verdict for _, verdict in told][:4] == [
        Verdict.REQUEST,
        Verdict.SILENCE,
        Verdict.RETRY,
        Verdict.REQUEST,
    ]


async def test_the_tap_is_told_whose_a_foreign_frame_is_and_what_was_spoilt() -> None:
    told: Told = []
    async with tapped("rtu", told) as line:
        line.slave.fault = lambda request, right: [(0.0, rtu(2, right[1:-2]) + rtu(7, right[1:-2]) + right)]
        await line.read("a")
        assert told[1:] == [("two", Verdict.FOREIGN), ("", Verdict.FOREIGN), ("one", Verdict.ANSWER)]
        told.clear()
        line.slave.fault = spoil
        with pytest.raises(RemoteProtocolError):
            await line.read("level")
        assert told == [("one", Verdict.REQUEST), ("one", Verdict.CHECKSUM)]


async def test_the_tap_is_told_of_a_lost_connection() -> None:
    told: Told = []
    async with tapped("tcp", told) as line:
        line.slave.fault = silent
        reading = asyncio.create_task(line.read("a"))
        await until(lambda: bool(line.slave.requests))
        for writer in list(line.slave.writers):
            writer.close()
        with pytest.raises(ClosedError):
            await reading
    assert told[-1] == ("one", Verdict.LOST)


async def test_a_flood_nobody_asked_for_ends_in_an_error_and_not_in_memory() -> None:
    async with waiting("tcp", 0.2) as line:
        line.slave.fault = lambda request, right: [(0.0, (b"\xff\xff" + right[2:]) * 20_000)]
        with pytest.raises(DriverError):
            await line.read("a")
        line.slave.fault = None
        await until_read(line)


COILS = {
    "pump": value(3, function=1, type="bool", unit="state", write={"function": 5}),
    "alarm": value(40, function=1, type="bool", unit="state"),
    "door": value(0, function=2, type="bool", unit="state"),
    "level": value(0, unit="state"),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_coils_and_inputs_are_read_together_and_never_across_functions(kind: str) -> None:
    async with bench(kind, make_profile("modbus", COILS)) as line:
        line.slave.put(1, 0, *(0 for _ in range(64)), function=1)
        line.slave.put(1, 3, 1, function=1)
        line.slave.put(1, 0, 1, function=2)
        wanted = [Point(f"one.{name}", "one", name, Unit.STATE) for name in COILS]
        readings = await line.driver.read(wanted)
        assert [readings[f"one.{n}"].value for n in ("pump", "alarm", "door", "level")] == [1, 0, 1, 100]
        assert sorted(pdu[0] for _, pdu in line.slave.requests) == [1, 2, 3]
        await line.driver.write(wanted[0], 0)
        assert line.slave.words[1, 1, 3] == 0
        await line.driver.write(wanted[0], 1)
        assert line.slave.words[1, 1, 3] == 1


def test_a_doubt_is_forgotten_after_the_latest_answer_and_a_refusal_does_not_prolong_it() -> None:
    fences, request = Fences(), Request.read(1, Span(3, 0, 1))
    fences.doubt(1, request.shape, 100.0)
    assert fences.needed(request, 101.0)
    assert not fences.needed(Request.read(1, Span(3, 0, 2)), 101.0)
    assert not fences.needed(Request.read(2, Span(3, 0, 1)), 101.0)
    fences.refused(1, request.shape, 105.0)
    assert not fences.needed(request, 100.1 + LATEST_ANSWER_S)
    fences.refused(1, request.shape, 112.0)
    assert not fences.needed(request, 112.0)


@pytest.mark.parametrize("function", [1, 2, 3, 4])
def test_a_fence_is_unlike_every_pending_answer(function: int) -> None:
    fences, request = Fences(), Request.read(1, Span(function, 7, 9))
    for _ in range(20):
        fence = fences.fence(request)
        assert not fences.needed(fence, 0.0)
        fences.doubt(1, fence.shape, 0.0)
