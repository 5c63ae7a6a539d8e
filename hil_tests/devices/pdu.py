"""Modbus as a slave speaks it: bytes to bytes, no I/O. Written apart from the service's client on purpose.

Source: MODBUS Application Protocol V1.1b3, MODBUS over Serial Line V1.02, MODBUS Messaging on TCP/IP V1.0b.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Protocol

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
DEVICE_FAILURE = 4
TARGET_SILENT = 0x0B  # a gateway's word for a unit that does not answer

MAX_READ = 125  # registers in one request
MAX_WRITE = 123


class Refusal(Exception):  # noqa: N818 (an answer of the protocol, not an error of ours)
    """A Modbus exception response."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code}")
        self.code = code


class Bank(Protocol):
    """The registers of one unit, by wire address. Methods raise Refusal."""

    def holding(self, address: int, count: int) -> Sequence[int]:
        """Words for function 3."""

    def inputs(self, address: int, count: int) -> Sequence[int]:
        """Words for function 4."""

    def write(self, address: int, words: Sequence[int]) -> None:
        """Take words of functions 6 and 16."""


def words_of(table: dict[int, int], address: int, count: int) -> list[int]:
    """Words from a register table; Refusal when the block touches an address that does not exist."""
    try:
        return [table[a] for a in range(address, address + count)]
    except KeyError:
        raise Refusal(ILLEGAL_ADDRESS) from None


def answer(bank: Bank, request: bytes) -> bytes:
    """The response PDU to a request PDU."""
    function = request[0] if request else 0
    handler = _HANDLERS.get(function)
    try:
        if handler is None:
            raise Refusal(ILLEGAL_FUNCTION)
        return handler(bank, request)
    except Refusal as refusal:
        return bytes((function | 0x80, refusal.code))


def _block(request: bytes, largest: int) -> tuple[int, int]:
    """Address and count of a request; checks in the order of the specification's state diagrams."""
    if len(request) < 5:
        raise Refusal(ILLEGAL_VALUE)
    address, count = struct.unpack_from(">HH", request, 1)
    if not 1 <= count <= largest:
        raise Refusal(ILLEGAL_VALUE)
    if address + count > 0x10000:
        raise Refusal(ILLEGAL_ADDRESS)
    return address, count


def _packed(function: int, words: Sequence[int]) -> bytes:
    return struct.pack(f">BB{len(words)}H", function, 2 * len(words), *words)


def _read_holding(bank: Bank, request: bytes) -> bytes:
    return _packed(3, bank.holding(*_block(request, MAX_READ)))


def _read_inputs(bank: Bank, request: bytes) -> bytes:
    return _packed(4, bank.inputs(*_block(request, MAX_READ)))


def _write_one(bank: Bank, request: bytes) -> bytes:
    if len(request) != 5:
        raise Refusal(ILLEGAL_VALUE)
    address, word = struct.unpack_from(">HH", request, 1)
    bank.write(address, (word,))
    return request


def _write_several(bank: Bank, request: bytes) -> bytes:
    address, count = _block(request, MAX_WRITE)
    if len(request) != 6 + 2 * count or request[5] != 2 * count:
        raise Refusal(ILLEGAL_VALUE)
    bank.write(address, struct.unpack_from(f">{count}H", request, 6))
    return request[:5]


_HANDLERS: dict[int, Callable[[Bank, bytes], bytes]] = {
    3: _read_holding,
    4: _read_inputs,
    6: _write_one,
    16: _write_several,
}


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


def crc(data: bytes) -> int:
    """CRC-16 of MODBUS over Serial Line, 6.2.2; sent low byte first."""
    value = 0xFFFF
    for byte in data:
        value = (value >> 8) ^ _CRC[(value ^ byte) & 0xFF]
    return value


def rtu(unit: int, pdu: bytes) -> bytes:
    """An RTU frame: address, PDU, CRC."""
    body = bytes((unit,)) + pdu
    return body + struct.pack("<H", crc(body))


def is_rtu(frame: bytes) -> bool:
    """True for a whole, undamaged RTU frame."""
    return len(frame) >= 4 and crc(frame[:-2]) == frame[-2] | frame[-1] << 8


def mbap(transaction: int, unit: int, pdu: bytes) -> bytes:
    """A Modbus TCP frame."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


class RtuAssembler:
    """Cuts a serial line's bytes into frames: one ends when its CRC fits; silence drops what does not."""

    SILENCE_S = 0.01  # far above 3.5 characters: a pseudo-terminal hands bytes over in its own time
    LONGEST = 256

    def __init__(self) -> None:
        self._bytes = b""
        self._last = 0.0

    def feed(self, data: bytes, now: float) -> bytes | None:
        """The frame that `data`, received at `now` (real s), completes, CRC included; else None."""
        if now - self._last > self.SILENCE_S or len(self._bytes) > self.LONGEST:
            self._bytes = b""
        self._last = now
        self._bytes += data
        if not is_rtu(self._bytes):
            return None
        frame, self._bytes = self._bytes, b""
        return frame


class TcpAssembler:
    """Cuts a TCP stream into (transaction, unit, PDU); ValueError when the stream is not Modbus."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """The requests that `data` completes."""
        self._bytes += data
        found = []
        while len(self._bytes) >= 7:
            transaction, protocol, length, unit = struct.unpack_from(">HHHB", self._bytes)
            if protocol != 0 or not 2 <= length <= 254:
                raise ValueError("not Modbus TCP")
            if len(self._bytes) < 6 + length:
                break
            found.append((transaction, unit, self._bytes[7 : 6 + length]))
            self._bytes = self._bytes[6 + length :]
        return found
