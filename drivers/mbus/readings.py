"""From a meter's telegrams to readings: which record a register is, and what its value is worth. Pure.

A meter's own clock has no time zone and is seldom right: readings bear the time of receipt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from drivers.mbus import vif
from drivers.mbus.profile import MBusOptions, MBusRegister
from drivers.mbus.records import Fault, Record
from drivers.mbus.telegram import HEADER_QUANTITIES, Telegram, header_values
from drivers.reading import Quality, Reading, Reason, Total
from drivers.units import Unit
from drivers.values import EXACT, fraction, unit_fraction

_REASONS: dict[Fault, Reason] = {
    Fault.BCD: Reason.SENTINEL,
    Fault.INVALID: Reason.SENTINEL,
    Fault.NOT_A_NUMBER: Reason.NOT_A_NUMBER,
    Fault.REFUSED: Reason.DEVICE,
}


@dataclass(frozen=True, slots=True)
class Heard:
    """The telegrams of one conversation, at least one, and why there is no record that is not in them."""

    telegrams: tuple[Telegram, ...]
    missing: Reason = Reason.DEVICE


def find(register: MBusRegister, telegrams: Iterable[Telegram]) -> Record | None:
    """The first record that is what `register` says; None when the telegrams have none."""
    key = (register.quantity, register.function, *_place(register))
    for record in _all(telegrams):
        if (record.quantity, record.function, *_place(record)) == key:
            return record
    return None


def _all(telegrams: Iterable[Telegram]) -> Iterable[Record]:
    return (record for telegram in telegrams for record in telegram.records)


def _place(item: MBusRegister | Record) -> tuple[int, int, int, tuple[str, ...]]:
    return item.storage, item.tariff, item.subunit, item.qualifiers


def has_all(registers: Iterable[MBusRegister], telegrams: Sequence[Telegram]) -> bool:
    """True when no further telegram is needed."""
    return all(r.quantity in HEADER_QUANTITIES or find(r, telegrams) is not None for r in registers)


def reading(register: MBusRegister, unit: Unit, heard: Heard, options: MBusOptions, now: float) -> Reading:
    """The reading of `register` in `unit`.

    What the meter does not send, refuses, or shows as an error is BAD; what it sends while its status
    complains is UNCERTAIN, except what the status itself says.
    """
    if register.quantity in HEADER_QUANTITIES:
        return _header(register, unit, heard.telegrams[-1], now)
    record = find(register, heard.telegrams)
    if record is None:  # also when it is there, but only as "value during error state"
        return Reading.bad(heard.missing, unit, now)
    if record.fault is not None:
        return Reading.bad(_REASONS[record.fault], unit, now)
    if not isinstance(record.value, Decimal):
        return Reading.bad(Reason.NOT_A_NUMBER, unit, now)
    doubtful = any(telegram.status & options.doubtful_status for telegram in heard.telegrams)
    return _judged(register, unit, record, record.value, doubtful, now)


def _header(register: MBusRegister, unit: Unit, telegram: Telegram, now: float) -> Reading:
    number = header_values(telegram)[register.quantity]
    if number is None:
        return Reading.bad(Reason.DEVICE, unit, now)
    value = Fraction(number) if register.bit is None else _bit(number, register.bit)
    return Reading.good(float(value * unit_fraction(register.unit, unit)), unit, now)


def _bit(number: Decimal, bit: int) -> Fraction:
    return Fraction(int(number) >> bit & 1)


def _judged(
    register: MBusRegister, unit: Unit, record: Record, number: Decimal, doubtful: bool, now: float
) -> Reading:
    try:
        value = vif.convert(Fraction(number), record.symbol, register.unit)
    except ValueError:  # the meter measures it in something else than the profile thought possible
        return Reading.bad(Reason.DEVICE, unit, now)
    if register.bit is not None:
        value = _bit(number, register.bit)
    if not _within(register, value):
        return Reading.bad(Reason.OUT_OF_RANGE, unit, now)
    quality, reason = (Quality.UNCERTAIN, Reason.DOUBTFUL) if doubtful else (Quality.GOOD, Reason.NONE)
    total = None if register.total is None else _total(register, record, number)
    return Reading(float(value * unit_fraction(register.unit, unit)), unit, quality, reason, now, total)


def _within(register: MBusRegister, value: Fraction) -> bool:
    low, high = register.low, register.high
    return (low is None or value >= fraction(low)) and (high is None or value <= fraction(high))


def _total(register: MBusRegister, record: Record, number: Decimal) -> Total | None:
    """What the meter shows, in its own unit; in the profile's where the house has not the meter's."""
    own = vif.house_unit(record.symbol)
    if own is None:
        exact = _exact(vif.convert(Fraction(number), record.symbol, register.unit))
        return None if exact is None else Total(exact, register.unit, _profiles(register, register.unit))
    return Total(number, own, _profiles(register, own) or record.rolls_over)


def _profiles(register: MBusRegister, unit: Unit) -> Decimal | None:
    """Where the profile says the register rolls over, in `unit`; None where no decimal says it exactly."""
    if register.total is None or register.total.rolls_over is None:
        return None
    return _exact(Fraction(register.total.rolls_over) * unit_fraction(register.unit, unit))


def _exact(value: Fraction) -> Decimal | None:
    number = EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
    return number if Fraction(number) == value else None
