"""Raw numbers of registers: types, word orders, BCD. Pure: bytes off the wire to numbers and back.

Words are the protocol's: 16 bits, high byte first (Modbus Application Protocol V1.1b3, 4.2); the order inside
longer values is the device's own affair. Nothing here knows a scale or a unit.
"""

import math
import struct
from collections.abc import Callable
from operator import itemgetter

from drivers.errors import LocalProtocolError
from drivers.modbus.profile import WIDTH

Take = Callable[[bytes, int], tuple[float, ...]]

_FORMATS: dict[str, str] = {
    "u16": "H",
    "i16": "h",
    "u32": "I",
    "i32": "i",
    "f32": "f",
    "u64": "Q",
    "i64": "q",
}
_LOW_WORD_FIRST = frozenset({"CDAB", "DCBA"})
_LOW_BYTE_FIRST = frozenset({"BADC", "DCBA"})
_BCD_DIGITS = {"bcd16": 4, "bcd32": 8}
_F32_LARGEST = struct.unpack(">f", b"\x7f\x7f\xff\xff")[0]


def byte_order(order: str, width: int) -> tuple[int, ...]:
    """Where each byte of the value, highest first, stands on the wire; its own inverse."""
    words = range(width - 1, -1, -1) if order in _LOW_WORD_FIRST else range(width)
    pair = (1, 0) if order in _LOW_BYTE_FIRST else (0, 1)
    return tuple(2 * word + byte for word in words for byte in pair)


def taker(kind: str, order: str) -> Take:
    """What takes the raw number (the only item of the tuple) out of bytes at an offset.

    int for integers and BCD, float for f32. Digits above 9 of a BCD value make NaN, which no range admits.
    """
    size = 2 * WIDTH[kind]
    places = byte_order(order, WIDTH[kind])
    if kind in _BCD_DIGITS:
        return lambda data, offset: (_bcd(bytes(itemgetter(*places)(data[offset : offset + size]))),)
    code = _FORMATS[kind]
    if places == tuple(range(size)):
        return struct.Struct(f">{code}").unpack_from
    if places == tuple(reversed(range(size))):
        return struct.Struct(f"<{code}").unpack_from
    pick, unpack = itemgetter(*places), struct.Struct(f">{code}").unpack
    return lambda data, offset: unpack(bytes(pick(data[offset : offset + size])))


def plain_format(kind: str, order: str) -> str | None:
    """The letter of `struct` for a number whose bytes stand highest first on the wire; None for others."""
    code = _FORMATS.get(kind)
    if code is None or byte_order(order, WIDTH[kind]) != tuple(range(2 * WIDTH[kind])):
        return None
    return code


def _bcd(raw: bytes) -> float:
    digits = raw.hex()
    return int(digits) if digits.isdecimal() else math.nan


def extremes(kind: str) -> tuple[float, float]:
    """The lowest and the highest raw number of a type; ints but for f32."""
    if kind == "f32":
        return -_F32_LARGEST, _F32_LARGEST
    if kind in _BCD_DIGITS:
        return 0, 10 ** _BCD_DIGITS[kind] - 1
    bits = 16 * WIDTH[kind]
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.startswith("i") else (0, (1 << bits) - 1)


def on_wire(pattern: int, kind: str, order: str) -> bytes:
    """A bit pattern of a type's width as its bytes stand on the wire."""
    raw = pattern.to_bytes(2 * WIDTH[kind], "big")
    return bytes(itemgetter(*byte_order(order, WIDTH[kind]))(raw))


def pattern(number: float, kind: str) -> int:
    """The bit pattern of a raw number; LocalProtocolError when the type cannot carry it."""
    try:
        if kind in _BCD_DIGITS:
            digits = f"{number:0{_BCD_DIGITS[kind]}d}"
            if len(digits) > _BCD_DIGITS[kind] or not digits.isdecimal():
                raise OverflowError(digits)
            return int(digits, 16)
        return int.from_bytes(struct.pack(f">{_FORMATS[kind]}", number), "big")
    except (struct.error, OverflowError) as error:
        raise LocalProtocolError(f"{number} does not fit into {kind}") from error
