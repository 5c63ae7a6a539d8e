"""Whatever the line and the meters on it do: right values or none, and the next answer is right again."""

import asyncio

import pytest

from drivers import (
    DeviceSetting,
    NoAnswerError,
    RemoteProtocolError,
    Verdict,
)
from drivers.tests.cjt188_bench import (
    OTHER,
    WIRE,
    WRONG,
    Heard,
    check_right,
    driving,
    foreign,
    points,
    profile,
)
from drivers.tests.cjt188_meters import (
    Fault,
    Meter,
    MeterLine,
    Pieces,
    frame,
)

FAULTS: dict[str, Fault] = {
    "foreign first": lambda q, r: [(0.0, foreign(q, r) + r)],
    "echo first": lambda q, r: [(0.0, q + r)],
    "junk around": lambda q, r: [(0.0, b"\r\nCTRL:R20181000h" + r + b"\x00\xff")],
    "byte by byte": lambda q, r: [(0.001, r[i : i + 1]) for i in range(len(r))],
    "no wake": lambda q, r: [(0.0, r.lstrip(b"\xfe"))],
    "thirteen wakes": lambda q, r: [(0.0, b"\xfe" * 9 + r)],
    "spoilt first": lambda q, r: [(0.0, r[:20] + bytes((r[20] ^ 1,)) + r[21:] + r)],
    "water meter first": lambda q, r: [(0.0, frame(0x10, WIRE, 0x81, q[11:14] + WRONG) + r)],
    "other identifier first": lambda q, r: [(0.0, frame(0x20, WIRE, 0x81, b"\xd1\x20\x00" + WRONG) + r)],
    "other command first": lambda q, r: [(0.0, frame(0x20, WIRE, 0x84, q[11:14] + WRONG) + r)],
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
async def test_the_right_answer_is_found_among_what_else_comes(fault: Fault) -> None:
    line = MeterLine(Meter(WIRE))
    line.fault = fault
    async with driving(line) as driver:
        check_right(dict(await driver.read(points())))


HOPELESS: dict[str, Fault] = {
    "silence": lambda q, r: [],
    "only foreign": lambda q, r: [(0.0, foreign(q, r))],
    "bit flip": lambda q, r: [(0.0, r[:30] + bytes((r[30] ^ 0x10,)) + r[31:])],
    "cut short": lambda q, r: [(0.0, r[:-3])],
    "only echo": lambda q, r: [(0.0, q)],
    "wrong length": lambda q, r: [(0.0, frame(0x20, WIRE, 0x81, q[11:14] + WRONG[:40]))],
    "unknown units": lambda q, r: [(0.0, frame(0x20, WIRE, 0x81, q[11:14] + bytes(43)))],
}


@pytest.mark.parametrize("fault", HOPELESS.values(), ids=list(HOPELESS))
async def test_where_no_right_answer_comes_there_is_no_reading_and_the_next_one_is_right(
    fault: Fault,
) -> None:
    line = MeterLine(Meter(WIRE))
    line.fault = fault
    async with driving(line) as driver:
        with pytest.raises((NoAnswerError, RemoteProtocolError)):
            await driver.read(points())
        line.fault = None
        check_right(dict(await driver.read(points())))


async def test_half_an_answer_is_told_apart_from_silence() -> None:
    line = MeterLine(Meter(WIRE))
    async with driving(line) as driver:
        line.fault = lambda request, right: [(0.0, right[:-3])]
        with pytest.raises(RemoteProtocolError, match="no whole answer"):
            await driver.read(points())
        line.fault = lambda request, right: []
        with pytest.raises(NoAnswerError):
            await driver.read(points())


@pytest.mark.parametrize("known", [0, 1, 3], ids=["unknown", "once", "sure"])
async def test_a_late_answer_to_an_older_question_is_not_taken_where_the_meter_echoes(known: int) -> None:
    line, heard = MeterLine(Meter(WIRE)), Heard()
    async with driving(line, heard=heard) as driver:
        for _ in range(known):  # after three the driver is sure that this meter echoes
            await driver.read(points())

        def keep(request: bytes, right: bytes) -> Pieces:
            stale.append(frame(0x20, WIRE, 0x81, request[11:14] + WRONG))
            return []

        stale: list[bytes] = []
        line.fault = keep
        with pytest.raises(NoAnswerError):
            await driver.read(points())
        line.fault = lambda request, right: [(0.0, stale[0]), (0.02, right)]
        check_right(dict(await driver.read(points())))
    assert heard.verdicts[-2:] == [Verdict.FOREIGN, Verdict.ANSWER]


async def test_questions_to_one_meter_at_the_same_time_wait_for_each_other() -> None:
    line, heard = MeterLine(Meter(WIRE)), Heard()
    async with driving(line, heard=heard) as driver:
        for _ in range(3):  # the driver sees that this meter echoes
            await driver.read(points(["energy"]))
        for readings in await asyncio.gather(*(driver.read(points()) for _ in range(3))):
            check_right(dict(readings))
    assert heard.verdicts == [Verdict.REQUEST, Verdict.ANSWER] * 6


async def test_a_meter_that_stops_echoing_is_learned_anew() -> None:
    meter = Meter(WIRE)
    line = MeterLine(meter)
    async with driving(line) as driver:
        for _ in range(3):
            await driver.read(points(["energy"]))
        meter.echoes, meter.battery = False, 0xEE
        for _ in range(3):
            with pytest.raises(RemoteProtocolError):
                await driver.read(points(["energy"]))
        check_right(dict(await driver.read(points())))


async def test_silence_is_asked_once_more_and_told() -> None:
    line, heard = MeterLine(Meter(WIRE)), Heard()

    def sleepy(request: bytes, right: bytes) -> Pieces:
        return [] if len(line.requests) == 1 else [(0.0, right)]

    line.fault = sleepy
    async with driving(line, profile(retries=1), heard=heard) as driver:
        check_right(dict(await driver.read(points())))
    assert heard.verdicts == [
        Verdict.REQUEST,
        Verdict.SILENCE,
        Verdict.RETRY,
        Verdict.REQUEST,
        Verdict.ANSWER,
    ]


async def test_two_meters_on_a_line_keep_apart() -> None:
    line = MeterLine(Meter(WIRE), Meter(OTHER, payload=WRONG))
    async with driving(line) as driver:
        driver.adopt(DeviceSetting("other", profile(), address="11110012349999"))
        mine, others = await asyncio.gather(
            driver.read(points(["energy"])), driver.read(points(["energy"], device="other"))
        )
    assert mine["energy"].value == 1234.56
    assert others["energy"].value == 99999.99


async def test_a_line_that_comes_back_is_used_again() -> None:
    line = MeterLine(Meter(WIRE))
    async with driving(line) as driver:
        await driver.read(points())
        for writer in line.writers:
            writer.close()
        while driver._link.is_open:  # the driver notices by itself
            await asyncio.sleep(0.005)
        check_right(dict(await driver.read(points())))
