"""The slave's side of Modbus: what it answers to what, and how it finds frames."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_tests.devices.pdu import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    Refusal,
    RtuAssembler,
    TcpAssembler,
    answer,
    crc,
    mbap,
    rtu,
    words_of,
)


class _Bank:
    """Ten holding registers, of which the first two can be written."""

    def __init__(self) -> None:
        self.table = {address: 100 + address for address in range(10)}

    def holding(self, address: int, count: int) -> Sequence[int]:
        return words_of(self.table, address, count)

    def inputs(self, address: int, count: int) -> Sequence[int]:
        raise Refusal(ILLEGAL_ADDRESS)

    def write(self, address: int, words: Sequence[int]) -> None:
        if address + len(words) > 2:
            raise Refusal(ILLEGAL_ADDRESS)
        self.table |= dict(enumerate(words, address))


def _request(function: int, address: int, count: int) -> bytes:
    return struct.pack(">BHH", function, address, count)


def test_is_the_crc_the_one_of_the_specification() -> None:
    assert crc(b"123456789") == 0x4B37  # check value of CRC-16/MODBUS
    assert rtu(2, bytes((7,))) == bytes((0x02, 0x07, 0x41, 0x12))  # MODBUS over Serial Line, appendix B


def test_does_a_read_give_the_words_of_the_block() -> None:
    assert answer(_Bank(), _request(3, 8, 2)) == struct.pack(">BBHH", 3, 4, 108, 109)


@pytest.mark.parametrize(
    ("request_pdu", "code"),
    [
        (_request(3, 9, 2), ILLEGAL_ADDRESS),  # reaches past the end
        (_request(3, 0, 0), ILLEGAL_VALUE),
        (_request(3, 0, 126), ILLEGAL_VALUE),
        (_request(3, 0xFFFF, 2), ILLEGAL_ADDRESS),
        (_request(4, 0, 1), ILLEGAL_ADDRESS),
        (_request(6, 5, 1), ILLEGAL_ADDRESS),  # read only
        (b"\x03\x00", ILLEGAL_VALUE),  # cut short
        (b"\x10\x00\x00\x00\x01\x04\x00\x01", ILLEGAL_VALUE),  # byte count does not fit
        (b"\x2b\x0e\x01\x00", ILLEGAL_FUNCTION),
    ],
)
def test_is_a_bad_request_refused_with_the_right_exception(request_pdu: bytes, code: int) -> None:
    assert answer(_Bank(), request_pdu) == bytes((request_pdu[0] | 0x80, code))


def test_does_a_write_echo_and_take_effect() -> None:
    bank = _Bank()
    assert answer(bank, _request(6, 1, 7)) == _request(6, 1, 7)
    assert answer(bank, b"\x10\x00\x00\x00\x02\x04\x00\x08\x00\x09") == b"\x10\x00\x00\x00\x02"
    assert (bank.table[0], bank.table[1]) == (8, 9)


@given(st.binary(max_size=300))
def test_does_any_request_get_an_answer_and_none_break_the_slave(request_pdu: bytes) -> None:
    assert answer(_Bank(), request_pdu)


@given(st.integers(1, 247), st.binary(min_size=1, max_size=250), st.integers(1, 250))
def test_is_a_frame_found_however_the_line_cuts_it(unit: int, pdu: bytes, cut: int) -> None:
    frame = rtu(unit, pdu)
    assembler = RtuAssembler()
    found = [assembler.feed(part, 1.0) for part in (frame[:cut], frame[cut:]) if part]
    assert found[-1] == frame or frame in found


def test_does_silence_drop_half_a_frame() -> None:
    frame = rtu(8, _request(3, 0, 2))
    assembler = RtuAssembler()
    assert assembler.feed(frame[:5], 1.0) is None
    assert assembler.feed(frame, 1.1) == frame


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 255), st.binary(min_size=1, max_size=200))))
def test_are_requests_of_a_tcp_stream_found_byte_by_byte(
    requests: list[tuple[int, int, bytes]],
) -> None:
    stream = b"".join(mbap(*request) for request in requests)
    assembler = TcpAssembler()
    assert [found for byte in stream for found in assembler.feed(bytes((byte,)))] == requests


def test_is_a_stream_that_is_no_modbus_told_apart() -> None:
    with pytest.raises(ValueError, match="not Modbus"):
        TcpAssembler().feed(b"GET / HTTP/1.1\r\n")
