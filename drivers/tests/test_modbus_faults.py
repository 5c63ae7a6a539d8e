"""Faults on real sockets and pseudo-terminals: each ends BAD or as a DriverError, never as a number."""

import asyncio
import socket
import struct
import time
from collections.abc import Callable

import pytest

from drivers import (
    ClosedError,
    DriverError,
    NoAnswerError,
    Reason,
    RemoteProtocolError,
)
from drivers.tests.modbus_bench import (
    REGISTERS,
    TIMEOUT_S,
    Bench,
    after,
    bench,
    points,
    silent,
    value,
)
from drivers.tests.profiles import make_profile
from drivers.tests.slaves import Pieces, crc


async def test_a_silent_device_is_no_answer_and_costs_one_time_limit(line: Bench) -> None:
    line.slave.fault = silent
    began = time.monotonic()
    with pytest.raises(NoAnswerError):
        await line.read("a", "level", "far")
    assert time.monotonic() - began < 2 * TIMEOUT_S


async def test_the_line_works_again_as_soon_as_the_device_does(line: Bench) -> None:
    line.slave.fault = silent
    with pytest.raises(NoAnswerError):
        await line.read("a")
    line.slave.fault = None
    assert await line.read("a") == [100]


async def test_a_late_answer_is_never_taken_for_the_next_requests(line: Bench) -> None:
    """The answer to `a` comes while `c`, of the same shape, is asked for."""
    line.slave.fault = after(TIMEOUT_S * 1.3)
    with pytest.raises(NoAnswerError):
        await line.read("a")
    line.slave.fault = lambda request, right: [(TIMEOUT_S * 0.6, right)]
    values: list[float | None] = []
    for _ in range(3):
        try:
            values += await line.read("c")
        except DriverError:
            line.slave.fault = None
    assert values
    assert set(values) == {104}


@pytest.mark.parametrize("lateness", [1.05, 1.2, 1.5, 1.9])
async def test_a_late_answer_never_passes_whenever_it_comes(line: Bench, lateness: float) -> None:
    line.slave.fault = after(TIMEOUT_S * lateness)
    with pytest.raises(NoAnswerError):
        await line.read("a")
    line.slave.fault = after(TIMEOUT_S * 0.5)
    for name, right in (("b", 101), ("c", 104), ("b", 101), ("far", 199)):
        try:
            assert await line.read(name) == [right]
        except DriverError:
            continue


async def test_a_late_answer_of_one_device_is_not_taken_for_anothers(line: Bench) -> None:
    line.slave.fault = after(TIMEOUT_S * 1.3)
    with pytest.raises(NoAnswerError):
        await line.read("a")
    line.slave.fault = after(TIMEOUT_S * 0.6)
    assert await line.read("a", device="two") == [200]


async def test_an_answer_sent_twice_is_counted_once(line: Bench) -> None:
    line.slave.fault = lambda request, right: [(0.0, right), (0.0, right)]
    for _ in range(5):
        assert await line.read("a") == [100]
        assert await line.read("c") == [104]


async def test_a_request_given_up_from_outside_does_not_poison_the_next(line: Bench) -> None:
    line.slave.fault = after(TIMEOUT_S * 0.5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(TIMEOUT_S * 0.2):
            await line.read("a")
    line.slave.fault = None
    assert await line.read("c") == [104]


Forge = Callable[[Bench, bytes, bytes], bytes]
FORGERIES: dict[str, Forge] = {
    "foreign unit": lambda b, q, r: b.frame(q, b.pdu(r), unit=7),
    "other unit of the bus": lambda b, q, r: b.frame(q, b.pdu(r), unit=2),
    "other function": lambda b, q, r: b.frame(q, b"\x04" + b.pdu(r)[1:]),
    "unknown function": lambda b, q, r: b.frame(q, b"\x5b\x02\x00\x00"),
    "one register too few": lambda b, q, r: b.frame(q, b"\x03\x02\x12\x34"),
    "one register too many": lambda b, q, r: b.frame(q, b"\x03\x06\x12\x34\x12\x34\x12\x34"),
    "odd byte count": lambda b, q, r: b.frame(q, b"\x03\x05\x12\x34\x12\x34\x12"),
    "byte count larger than data": lambda b, q, r: b.frame(q, b"\x03\xfa\x12\x34\x12\x34"),
    "byte count smaller than data": lambda b, q, r: b.frame(q, b"\x03\x02\x12\x34\x12\x34"),
    "no data": lambda b, q, r: b.frame(q, b"\x03"),
    "exception without a code": lambda b, q, r: b.frame(q, b"\x83"),
    "exception of another function": lambda b, q, r: b.frame(q, b"\x84\x02"),
    "half an answer": lambda b, q, r: r[: len(r) // 2],
    "the request itself": lambda b, q, r: q,
    "noise": lambda b, q, r: bytes(range(200, 255)),
    "zeros": lambda b, q, r: bytes(300),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_malformed_answer_is_an_error_and_the_next_right_one_is_read(line: Bench, name: str) -> None:
    forge = FORGERIES[name]
    line.slave.fault = lambda request, right: [(0.0, forge(line, request, right))]
    with pytest.raises((RemoteProtocolError, NoAnswerError, ClosedError)):
        await line.read("level")
    line.slave.fault = None
    assert await line.read("level") == [1.5]


@pytest.mark.parametrize("bit", range(0, 72, 5))
async def test_a_flipped_bit_on_the_serial_line_is_never_a_number(bit: int) -> None:
    def flip(request: bytes, right: bytes) -> Pieces:
        spoilt = bytearray(right)
        spoilt[bit // 8] ^= 1 << bit % 8
        return [(0.0, bytes(spoilt))]

    async with bench("rtu") as line:
        line.slave.fault = flip
        with pytest.raises(DriverError):
            await line.read("level")


@pytest.mark.parametrize("field", ["transaction", "transaction 0", "protocol", "length"])
async def test_a_wrong_field_of_the_tcp_header_is_never_a_number(field: str) -> None:
    def spoil(request: bytes, right: bytes) -> Pieces:
        transaction, protocol, length = struct.unpack(">HHH", right[:6])
        transaction = {"transaction": transaction + 1, "transaction 0": 0}.get(field, transaction)
        protocol = 1 if field == "protocol" else protocol
        length = length - 2 if field == "length" else length
        return [(0.0, struct.pack(">HHH", transaction, protocol, length) + right[6:])]

    async with bench("tcp") as line:
        line.slave.fault = spoil
        with pytest.raises(DriverError):
            await line.read("level")
        line.slave.fault = None
        assert await line.read("level") == [1.5]


async def test_an_answer_in_pieces_is_put_together(line: Bench) -> None:
    line.slave.fault = lambda request, right: [(0.005, right[n : n + 1]) for n in range(len(right))]
    assert await line.read("level") == [1.5]


async def test_stray_bytes_between_requests_do_no_harm(line: Bench) -> None:
    line.slave.fault = lambda request, right: [(0.0, right), (0.01, b"\x00\xff")]
    assert await line.read("a") == [100]
    await asyncio.sleep(0.03)
    line.slave.fault = None
    assert await line.read("c") == [104]


NETWORK = ("tcp", "rtu over tcp", "tls")


@pytest.mark.parametrize("kind", NETWORK)
async def test_a_connection_that_is_reset_is_closed_at_once_and_made_anew(kind: str) -> None:
    def reset(request: bytes, right: bytes) -> Pieces:
        for writer in list(line.slave.writers):
            no_linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
            asyncio.get_running_loop().call_soon(writer.transport.abort)
        return []

    async with bench(kind) as line:
        assert await line.read("a") == [100]
        line.slave.fault = reset
        with pytest.raises(ClosedError):
            await line.read("a")
        line.slave.fault = None
        assert await line.read("a") == [100]


@pytest.mark.parametrize("kind", NETWORK)
async def test_a_connection_that_died_unseen_is_left_for_a_new_one(kind: str) -> None:
    """The device was restarted: it knows nothing of the old connection, and of its end we hear nothing."""
    async with bench(kind) as line:
        assert await line.read("a") == [100]
        line.slave.fault = lambda request, right: [(0.0, right)] if line.slave.connections > 1 else []
        # behind a converter one silence may be one unit's
        for _ in range(2 if kind == "rtu over tcp" else 1):
            with pytest.raises(NoAnswerError):
                await line.read("a")
        assert await line.read("a") == [100]


async def test_one_malformed_block_leaves_the_others_readable(line: Bench) -> None:
    def spoil_far(request: bytes, right: bytes) -> Pieces:
        far = b"\x01\x2c\x00\x01" in request
        return [(0.0, line.frame(request, b"\x03\x04\x00\x00\x00\x00") if far else right)]

    line.slave.fault = spoil_far
    readings = await line.driver.read(points("a", "far"))
    assert readings["one.a"].value == 100
    assert readings["one.far"].reason is Reason.PROTOCOL


@pytest.mark.parametrize("words", [(0x7FC0, 0), (0xFFFF, 0xFFFF), (0x7F80, 0), (0xFF80, 0)])
async def test_nan_from_a_device_is_bad(line: Bench, words: tuple[int, int]) -> None:
    line.slave.put(1, 10, *words)
    readings = await line.driver.read(points("level"))
    assert readings["one.level"].reason is Reason.NOT_A_NUMBER


async def test_an_echo_of_another_value_is_no_success(line: Bench) -> None:
    line.slave.fault = lambda request, right: [(0.0, line.frame(request, b"\x06\x00\x14\x00\x07"))]
    with pytest.raises(RemoteProtocolError):
        await line.driver.write(points("output")[0], 500)


@pytest.mark.parametrize("cut", [0, 1, 5, 8])
@pytest.mark.parametrize("kind", ["rtu", "rtu over tcp"])
async def test_a_converter_that_echoes_hides_no_answer_and_answers_for_nobody(kind: str, cut: int) -> None:
    def echoed(request: bytes, right: bytes) -> Pieces:
        both = request + right
        return [(0.0, both[:cut]), (0.01, both[cut:])] if cut else [(0.0, both)]

    async with bench(kind, ECHO_PROFILE) as line:
        line.slave.put(1, 0x0258, 7)
        line.slave.fault = echoed
        assert await line.read("a", "level") == [100, 1.5]
        assert await line.read("trap") == [7]  # its request looks like the beginning of its answer
        for name, wanted in (("output", 5.0), ("pair", 7.0)):
            await line.driver.write(points(name)[0], wanted)
            assert await line.read(name) == [wanted]
        line.slave.fault = lambda request, right: [(0.0, request)]  # the device is dead, its converter is not
        for name in ("output", "pair"):
            with pytest.raises(NoAnswerError):
                await line.driver.write(points(name)[0], 6.0)
        with pytest.raises(NoAnswerError):
            await line.read("a")
        line.slave.fault = None  # another converter, one without echo
        assert await line.read("a") == [100]
        await line.driver.write(points("output")[0], 8.0)


ECHO_PROFILE = make_profile("modbus", REGISTERS | {"trap": value(0x0258)})


def test_the_checksum_of_the_test_slave_is_the_standards() -> None:
    assert crc(b"\x02\x07") == b"\x41\x12"  # the example of Modbus over Serial Line V1.02, 6.2.2
