"""From a decoded answer to the readings of a profile's registers. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from drivers.cjt188.profile import Cjt188Register
from drivers.cjt188.values import Amount, Heat
from drivers.profile_base import Limits
from drivers.reading import Quality, Reading, Reason, Total
from drivers.units import Unit, factor

_BATTERY_LOW = 2  # D2 of the first status byte


@dataclass(frozen=True, slots=True)
class Answer:
    """What one exchange brought. `heat` is None when only the address was asked for."""

    number: str
    heat: Heat | None


def reading(answer: Answer, register: Cjt188Register, unit: Unit, timestamp: float) -> Reading:
    """The reading of one register in `unit`, which its own unit converts to."""
    if answer.heat is not None and register.field in answer.heat.amounts:
        return _measured(answer.heat, register, unit, timestamp)
    state = _STATES[register.field](answer, register) if register.field in _STATES else None
    if state is None:
        return Reading.bad(Reason.DEVICE, unit, timestamp)
    return Reading.good(float(state), unit, timestamp)


def _measured(heat: Heat, register: Cjt188Register, unit: Unit, timestamp: float) -> Reading:
    amount = heat.amounts[register.field]
    if amount.number is None:
        return Reading.bad(amount.reason, unit, timestamp)
    exact = Fraction(amount.number)
    if not _within(exact * factor(amount.unit, register.unit), register):
        return Reading.bad(Reason.OUT_OF_RANGE, unit, timestamp)
    doubtful = any(heat.bit(bit) for bit in register.doubted_by)
    quality, reason = (Quality.UNCERTAIN, Reason.DOUBTFUL) if doubtful else (Quality.GOOD, Reason.NONE)
    total = None if register.total is None else _total(amount)
    return Reading(float(exact * factor(amount.unit, unit)), unit, quality, reason, timestamp, total)


def _total(amount: Amount) -> Total | None:
    return None if amount.number is None else Total(amount.number, amount.unit, amount.rolls_over)


def _within(value: Fraction, limits: Limits) -> bool:
    return (limits.low is None or value >= Fraction(repr(limits.low))) and (
        limits.high is None or value <= Fraction(repr(limits.high))
    )


def _number(answer: Answer, _: Cjt188Register) -> int | None:
    return int(answer.number) if answer.number.isdigit() else None


def _status(answer: Answer, register: Cjt188Register) -> int | None:
    if answer.heat is None:
        return None
    if register.bit is not None:
        return answer.heat.bit(register.bit)
    return int.from_bytes(answer.heat.status, "little")


_STATES: Mapping[str, Callable[[Answer, Cjt188Register], int | None]] = {
    "valve": lambda answer, _: None if answer.heat is None else answer.heat.valve,
    "battery_low": lambda answer, _: None if answer.heat is None else answer.heat.bit(_BATTERY_LOW),
    "status": _status,
    "meter_number": _number,
}
