"""A meter's whole answer: who it is, how it is, what it counts (EN 13757-3, CI 72 and CI 73).

May turn a frame into a telegram, and nothing else: bytes in, values out, ProtocolError the only complaint.
"""

from dataclasses import dataclass
from decimal import Decimal

from drivers.errors import RemoteProtocolError
from drivers.mbus import frames
from drivers.mbus.fixed import read_counters
from drivers.mbus.frames import Ci, Frame, Kind
from drivers.mbus.records import Record, read_records

_VARIABLE_HEADER = 12
_FIXED_LENGTH = 16
# Configuration field, bits 8 to 12: how the user data are encrypted. Wired meters from before there was such
# a field send any other number there (FFFF: Aquametro CALEC MB), which says nothing.
_ENCRYPTED = frozenset({2, 3, 4, 5, 7, 8, 9, 10, 13})

APPLICATION_BUSY, APPLICATION_ERROR = 0x01, 0x02
POWER_LOW, PERMANENT_ERROR, TEMPORARY_ERROR = 0x04, 0x08, 0x10
_FIXED_STATUS = 0xFC  # bits 0 and 1 of a fixed structure's status are how its counters are to be read
STATUS_BITS: dict[int, str] = {
    POWER_LOW: "power_low",
    PERMANENT_ERROR: "permanent_error",
    TEMPORARY_ERROR: "temporary_error",
    0x20: "maker_5",
    0x40: "maker_6",
    0x80: "maker_7",
}
"""The status byte; bits 0 and 1 are a number: 1 busy, 2 application error, 3 abnormal condition."""

MEDIA: dict[int, str] = {
    0x00: "other",
    0x01: "oil",
    0x02: "electricity",
    0x03: "gas",
    0x04: "heat",  # volume measured in the return
    0x05: "steam",
    0x06: "warm_water",
    0x07: "water",
    0x08: "heat_cost_allocator",
    0x09: "compressed_air",
    0x0A: "cooling",  # volume measured in the return
    0x0B: "cooling_flow",
    0x0C: "heat_flow",
    0x0D: "heat_cooling",
    0x0E: "bus_system",
    0x0F: "unknown",
    0x15: "hot_water",
    0x16: "cold_water",
    0x17: "dual_water",
    0x18: "pressure",
    0x19: "converter",
}
"""The medium, or device type; a fixed structure has a table of its own, of which 0 to 8 mean the same."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A meter's secondary address: eight decimal digits, maker, version and medium.

    `maker` is the number of three letters (see `maker_letters`). The fixed structure has neither it nor a
    version. `number` is as sent, so that a digit A to F stays visible.
    """

    number: str
    maker: int | None
    version: int | None
    medium: int

    def __str__(self) -> str:
        if self.maker is None or self.version is None:
            return self.number
        return f"{self.number}.{maker_letters(self.maker)}.{self.version:02X}.{self.medium:02X}"


@dataclass(frozen=True, slots=True)
class Telegram:
    """What a meter answered. `more`: another telegram follows when it is asked with the other count bit."""

    address: int
    identity: Identity
    access: int
    status: int
    records: tuple[Record, ...]
    maker_data: bytes = b""
    more: bool = False


class ApplicationError(RemoteProtocolError):
    """The meter answered with CI 70: it cannot, and says why (EN 13757-3, application errors)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the meter reports application error {code}")
        self.code = code


def decode(telegram: bytes) -> Telegram:
    """The telegram in the bytes of one frame; ProtocolError, and nothing else, for everything else."""
    return read_telegram(frames.decode(telegram))


def read_telegram(frame: Frame) -> Telegram:
    """The telegram in a frame; RemoteProtocolError when it is no meter's data or not whole."""
    if frame.kind is not Kind.LONG or not frame.is_answer:
        raise RemoteProtocolError(f"a {frame.kind} frame with C {frame.control:02X} is no meter's answer")
    if frame.ci == Ci.ERROR:
        raise ApplicationError(frame.data[0] if frame.data else 0)
    if frame.ci == Ci.VARIABLE:
        return _variable(frame)
    if frame.ci == Ci.FIXED:
        return _fixed(frame)
    raise RemoteProtocolError(f"CI {frame.ci:02X} is not spoken here: only 72 (variable) and 73 (fixed) are")


def identity_of(frame: Frame) -> Identity | None:
    """Who sent `frame`, without a look at its records; None when it does not say, or is cut off."""
    data = frame.data
    if frame.ci == Ci.VARIABLE and len(data) >= _VARIABLE_HEADER:
        return Identity(_number(data), int.from_bytes(data[4:6], "little"), data[6], data[7])
    if frame.ci == Ci.FIXED and len(data) == _FIXED_LENGTH:
        return Identity(_number(data), None, None, data[6] >> 6 | (data[7] >> 6) << 2)
    return None


def _variable(frame: Frame) -> Telegram:
    head, body = frame.data[:_VARIABLE_HEADER], frame.data[_VARIABLE_HEADER:]
    identity = identity_of(frame)
    if identity is None:
        raise RemoteProtocolError(f"a header of {len(head)} bytes instead of {_VARIABLE_HEADER}")
    signature = int.from_bytes(head[10:12], "little")
    if signature >> 8 & 0x1F in _ENCRYPTED:
        raise RemoteProtocolError(f"the telegram is encrypted (configuration field {signature:04X})")
    block = read_records(body)
    return Telegram(frame.address, identity, head[8], head[9], block.records, block.maker_data, block.more)


def _number(data: bytes) -> str:
    return data[3::-1].hex().upper()


def _fixed(frame: Frame) -> Telegram:
    data, identity = frame.data, identity_of(frame)
    if identity is None:
        raise RemoteProtocolError(f"a fixed structure of {len(data)} bytes instead of {_FIXED_LENGTH}")
    records = read_counters(data[5], data[6], data[7], data[8:12], data[12:16])
    return Telegram(frame.address, identity, data[4], data[5] & _FIXED_STATUS, records)


def maker_letters(code: int) -> str:
    """Three letters of five bits each, A is 1 (EN 62056-21, the FLAG association's)."""
    letters = (code >> 10 & 0x1F, code >> 5 & 0x1F, code & 0x1F)
    return "".join(chr(64 + letter) for letter in letters)


def maker_code(letters: str) -> int:
    """The number of three letters; ValueError when they are not three capitals."""
    if len(letters) != 3 or not all("A" <= letter <= "Z" for letter in letters):
        raise ValueError(f"a maker has three capital letters, not {letters!r}")
    first, second, third = (ord(letter) - 64 for letter in letters)
    return first << 10 | second << 5 | third


def header_values(telegram: Telegram) -> dict[str, Decimal | None]:
    """What the header says, as numbers by name: who the meter is, so that an exchange can be seen."""
    identity = telegram.identity
    number = Decimal(identity.number) if identity.number.isdecimal() else None
    return {
        "identification_number": number,
        "manufacturer": None if identity.maker is None else Decimal(identity.maker),
        "version": None if identity.version is None else Decimal(identity.version),
        "medium": Decimal(identity.medium),
        "access_number": Decimal(telegram.access),
        "status": Decimal(telegram.status),
    }


HEADER_QUANTITIES = frozenset(
    {"identification_number", "manufacturer", "version", "medium", "access_number", "status"}
)
"""Quantities that the header gives, without a record."""
