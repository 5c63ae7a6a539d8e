"""What a heat meter says when it is asked for 901F: payload bytes to exact numbers with unit or reason. Pure.

After DI and SER come, by CJ/T 188-2004, five amounts of four BCD bytes and a unit code each: energy at the
settlement day (some makers: cooling energy), energy, power, flow, volume; then supply and return
temperature and working hours of three BCD bytes, the meter's clock (ss mm hh DD MM YY CC), and the status of
two bytes; one maker sends one. Low bytes come first. Decimals by the standard: two, four for the flow. Some
makers send the unit code BEFORE its amount, and decimals differ: both are options of the profile.

A digit above 9, all F, and the eight with nothing behind it (80 00 00 00, seen in a captured frame where the
meter had nothing to show) are no numbers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from drivers.cjt188.units import UNIT_CODES, Kind, UnitCode
from drivers.errors import RemoteProtocolError
from drivers.reading import Reason
from drivers.units import Unit

Layout = Literal["value_unit", "unit_value"]

LAYOUTS: tuple[Layout, ...] = ("value_unit", "unit_value")

AMOUNTS: tuple[tuple[str, Kind], ...] = (
    ("first_energy", Kind.ENERGY),
    ("energy", Kind.ENERGY),
    ("power", Kind.POWER),
    ("flow", Kind.FLOW),
    ("volume", Kind.VOLUME),
)
"""The fields with a unit code, in the order of the answer; five bytes each."""

_PLAIN: tuple[tuple[str, Kind, int], ...] = (
    ("supply_temperature", Kind.TEMPERATURE, 25),
    ("return_temperature", Kind.TEMPERATURE, 28),
    ("hours", Kind.HOURS, 31),
)
_PLAIN_UNITS = {Kind.TEMPERATURE: Unit.CELSIUS, Kind.HOURS: Unit.HOUR}
_CLOCK, _STATUS = slice(34, 41), 41
_LENGTHS = (42, 43)  # with a status of one byte, or of two

STANDARD_DECIMALS: Mapping[Kind, int] = {
    Kind.ENERGY: 2,
    Kind.POWER: 2,
    Kind.FLOW: 4,
    Kind.VOLUME: 2,
    Kind.TEMPERATURE: 2,
    Kind.HOURS: 0,
}

KNOWN_DECIMALS: Mapping[str, Mapping[Kind, int]] = {
    "standard": STANDARD_DECIMALS,
    "flow_2": {**STANDARD_DECIMALS, Kind.FLOW: 2},
    "flow_3": {**STANDARD_DECIMALS, Kind.FLOW: 3},
    "whole_totals": {**STANDARD_DECIMALS, Kind.ENERGY: 0, Kind.VOLUME: 0},
}
"""Ways makers are said to place the point: whole totals in one maker's tool, a flow with two decimals in a
driver for SANEXT meters, with three in a tool for four makers. No public frame of a meter with flow
proves one of them."""


@dataclass(frozen=True, slots=True)
class Amount:
    """One number exactly as the meter shows it, in `unit`; None with the reason why there is none.

    `rolls_over` is the first number the meter cannot show, in the same unit.
    """

    number: Decimal | None
    unit: Unit
    reason: Reason
    rolls_over: Decimal


@dataclass(frozen=True, slots=True)
class Heat:
    """A decoded answer. `clock` is the meter's own, without a zone; `status` has one byte or two."""

    layout: Layout
    amounts: Mapping[str, Amount]
    clock: datetime | None
    status: bytes

    def bit(self, number: int) -> bool | None:
        """A bit of the status, counted from the lowest of the first byte; None where the meter sends none."""
        byte, shift = divmod(number, 8)
        return bool(self.status[byte] >> shift & 1) if byte < len(self.status) else None

    @property
    def valve(self) -> int:
        """0 open, 1 closed, 3 faulty (also of meters without a valve); 2 is not defined."""
        return self.status[0] & 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to read a payload, for those who look for the most plausible one."""

    decimals: str
    heat: Heat


def bcd(data: bytes) -> int | Reason:
    """The number of little-endian BCD bytes, or why it is none."""
    text = data[::-1].hex()
    if set(text) == {"f"} or (len(data) == 4 and text == "80000000"):
        return Reason.SENTINEL
    return int(text) if text.isdigit() else Reason.NOT_A_NUMBER


def layouts(payload: bytes) -> tuple[Layout, ...]:
    """The layouts whose five unit codes all measure what they should."""
    return tuple(layout for layout in LAYOUTS if all(_fits(payload, layout)))


def _fits(payload: bytes, layout: Layout) -> Iterator[bool]:
    for index, (_, kind) in enumerate(AMOUNTS):
        code = UNIT_CODES.get(_split(payload, 5 * index, layout)[1])
        yield code is not None and code.kind is kind


def _split(payload: bytes, offset: int, layout: Layout) -> tuple[bytes, int]:
    five = payload[offset : offset + 5]
    return (five[:4], five[4]) if layout == "value_unit" else (five[1:], five[0])


def decode(
    payload: bytes, layout: Layout | None = None, decimals: Mapping[Kind, int] = STANDARD_DECIMALS
) -> Heat:
    """A heat meter's answer to 901F, after SER. `layout` None finds it by the unit codes.

    RemoteProtocolError when the length is another one, or the layout cannot be told.
    """
    if len(payload) not in _LENGTHS:
        raise RemoteProtocolError(f"a heat meter's data has 42 or 43 bytes, not {len(payload)}")
    chosen = layout or _only(payload)
    amounts = {
        name: _amount(*_split(payload, 5 * index, chosen), kind, decimals[kind])
        for index, (name, kind) in enumerate(AMOUNTS)
    }
    for name, kind, offset in _PLAIN:
        code = UnitCode(kind, _PLAIN_UNITS[kind], 0)
        amounts[name] = _number(payload[offset : offset + 3], code, decimals[kind])
    return Heat(chosen, amounts, _clock(payload[_CLOCK]), payload[_STATUS:])


def candidates(payload: bytes) -> tuple[Candidate, ...]:
    """Every way the payload can be read by known layouts and decimals; none when it is no heat meter's.

    Where the unit codes fit no layout, or both, both are given.
    """
    if len(payload) not in _LENGTHS:
        return ()
    return tuple(
        Candidate(name, decode(payload, layout, decimals))
        for layout in layouts(payload) or LAYOUTS
        for name, decimals in KNOWN_DECIMALS.items()
    )


def _only(payload: bytes) -> Layout:
    found = layouts(payload)
    if len(found) != 1:
        why = "its unit codes are unknown" if not found else "its unit codes fit both"
        raise RemoteProtocolError(f"the layout of the answer cannot be told ({why}): name it in the profile")
    return found[0]


def _amount(data: bytes, unit_code: int, kind: Kind, decimals: int) -> Amount:
    code = UNIT_CODES.get(unit_code)
    if code is None or code.kind is not kind:
        return Amount(None, Unit.ONE, Reason.PROTOCOL, Decimal(1))
    return _number(data, code, decimals)


def _number(data: bytes, code: UnitCode, decimals: int) -> Amount:
    exponent = code.exponent - decimals
    rolls_over = Decimal(10 ** (2 * len(data))).scaleb(exponent)
    digits = bcd(data)
    if isinstance(digits, Reason):
        return Amount(None, code.unit, digits, rolls_over)
    return Amount(Decimal(digits).scaleb(exponent), code.unit, Reason.NONE, rolls_over)


def _clock(data: bytes) -> datetime | None:
    text = data[::-1].hex()
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S")  # noqa: DTZ007 (a meter's clock says no zone)
    except ValueError:
        return None
