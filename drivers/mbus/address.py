"""Addresses of meters: primary "5", secondary "12345678" or "12345678.KAM.35.04". Pure; raises ValueError.

Secondary addresses may have wildcards: F for any digit, FFFF for any maker, FF for any version or medium
(EN 13757-3, secondary addressing).
"""

import re
from dataclasses import dataclass

from drivers.mbus.frames import BROADCAST, LAST_PRIMARY
from drivers.mbus.telegram import Identity, maker_code, maker_letters

_PRIMARY = re.compile(r"\d{1,3}")
_SECONDARY = re.compile(r"([\dA-F]{8})(?:\.([A-Z]{3}|FFFF)\.([\dA-F]{2})\.([\dA-F]{2}))?")
_ANY_MAKER, _ANY_BYTE, _ANY_DIGIT = 0xFFFF, 0xFF, "F"


@dataclass(frozen=True, slots=True)
class Primary:
    """0 to 250, or 254 for a line with one meter only."""

    number: int


@dataclass(frozen=True, slots=True)
class Secondary:
    """What a selection asks for; the default of each field is its wildcard."""

    number: str = 8 * _ANY_DIGIT
    maker: int = _ANY_MAKER
    version: int = _ANY_BYTE
    medium: int = _ANY_BYTE

    @property
    def data(self) -> bytes:
        """The eight bytes behind CI 52."""
        digits = bytes.fromhex(self.number)[::-1]
        return digits + self.maker.to_bytes(2, "little") + bytes((self.version, self.medium))

    def matches(self, identity: Identity) -> bool:
        """True when a meter of that identity has to answer. A fixed structure names no maker and version."""
        digits = zip(self.number, identity.number, strict=True)
        return (
            all(wanted in (_ANY_DIGIT, digit) for wanted, digit in digits)
            and (self.maker == _ANY_MAKER or identity.maker in (None, self.maker))
            and (self.version == _ANY_BYTE or identity.version in (None, self.version))
            and (self.medium == _ANY_BYTE or identity.maker is None or identity.medium == self.medium)
        )

    def __str__(self) -> str:
        if (self.maker, self.version, self.medium) == (_ANY_MAKER, _ANY_BYTE, _ANY_BYTE):
            return self.number
        maker = "FFFF" if self.maker == _ANY_MAKER else maker_letters(self.maker)
        return f"{self.number}.{maker}.{self.version:02X}.{self.medium:02X}"


Address = Primary | Secondary


def overlaps(one: Address, other: Address) -> bool:
    """True when one meter may answer to both, as far as the addresses tell.

    Every meter has an address of each kind, and only a reading tells which belong together: a primary and a
    secondary one overlap where either of them means any meter.
    """
    if isinstance(one, Primary) and isinstance(other, Primary):
        return one == other or BROADCAST in (one.number, other.number)
    if isinstance(one, Secondary) and isinstance(other, Secondary):
        return _agree(one, other)
    return any(each in (Primary(BROADCAST), Secondary()) for each in (one, other))


def _agree(one: Secondary, other: Secondary) -> bool:
    pairs = zip(one.number, other.number, strict=True)
    return (
        all(a == b or _ANY_DIGIT in (a, b) for a, b in pairs)
        and (one.maker == other.maker or _ANY_MAKER in (one.maker, other.maker))
        and (one.version == other.version or _ANY_BYTE in (one.version, other.version))
        and (one.medium == other.medium or _ANY_BYTE in (one.medium, other.medium))
    )


def parse(text: str) -> Address:
    """The address that `text` names; ValueError says what it may be."""
    text = text.strip().upper()
    if _PRIMARY.fullmatch(text) and (int(text) <= LAST_PRIMARY or int(text) == BROADCAST):
        return Primary(int(text))
    match = _SECONDARY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no address: 0 to {LAST_PRIMARY}, or 12345678, or 12345678.KAM.35.04")
    number, maker, version, medium = match.groups()
    if maker is None:
        return Secondary(number)
    code = _ANY_MAKER if maker == "FFFF" else maker_code(maker)
    return Secondary(number, code, int(version, 16), int(medium, 16))
