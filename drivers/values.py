"""From a number in a register's unit to a reading in the unit asked for: limits, conversion, totals. Pure.

A number of a profile means the decimal that was written there: 0.01 is a hundredth, not the float next to it.
"""

import math
import struct
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Self

from drivers.errors import ConfigurationError
from drivers.profile_base import Limits, Register
from drivers.reading import Reading, Reason, Total
from drivers.units import Unit, factor

_F32_DIGITS = range(6, 10)  # 6 digits survive a float32, 9 tell any two of them apart (IEEE 754)
EXACT = Context(prec=60)
"""Enough for every product here: 20 digits of a 64-bit integer, 17 of a scale; Python's default has 28."""


def fraction(number: float) -> Fraction:
    """The decimal that was written for `number`, exactly."""
    return Fraction(repr(number))


def unit_fraction(source: Unit, target: Unit) -> Fraction:
    """Exact factor between units, or ConfigurationError when they measure different things."""
    try:
        return factor(source, target)
    except ValueError as error:
        raise ConfigurationError(f"{error}: correct the unit of the profile or of the point") from error


def unit_factor(source: Unit, target: Unit) -> float:
    """Factor between units, or ConfigurationError when they measure different things."""
    return float(unit_fraction(source, target))


@dataclass(frozen=True, slots=True)
class Linear:
    """A value is (raw * num + add) / den, in integers: of an integer raw rounded once, and correctly."""

    num: int
    add: int
    den: int

    @classmethod
    def of(cls, scale: float, offset: float, source: Unit, target: Unit) -> Self:
        """From a raw number times scale plus offset in `source` to `target`, or ConfigurationError."""
        by = unit_fraction(source, target)
        slope, start = fraction(scale) * by, fraction(offset) * by
        den = math.lcm(slope.denominator, start.denominator)
        return cls(int(slope * den), int(start * den), den)


IDENTITY = Linear(1, 0, 1)


def judge(value: float, limits: Limits, unit: Unit, factor: float, timestamp: float) -> Reading:
    """A reading of `value` (in the register's unit) if it is a number within the register's limits."""
    if not math.isfinite(value):
        return Reading.bad(Reason.NOT_A_NUMBER, unit, timestamp)
    if (limits.low is not None and value < limits.low) or (limits.high is not None and value > limits.high):
        return Reading.bad(Reason.OUT_OF_RANGE, unit, timestamp)
    return Reading.good(value * factor, unit, timestamp)


def judge_exact(number: Decimal, register: Register, source: Unit, unit: Unit, timestamp: float) -> Reading:
    """A reading in `unit` of a finite decimal number in `source`; of a totaliser with its `Total`."""
    value = Fraction(number)
    low, high = (None if limit is None else fraction(limit) for limit in (register.low, register.high))
    if (low is not None and value < low) or (high is not None and value > high):
        return Reading.bad(Reason.OUT_OF_RANGE, unit, timestamp)
    total = None if register.total is None else Total(number, source, register.total.rolls_over)
    return Reading.good(float(value * unit_fraction(source, unit)), unit, timestamp, total)


def at_least(limit: Fraction) -> float:
    """The smallest float that is not below `limit`."""
    nearest = float(limit)
    return nearest if Fraction(nearest) >= limit else math.nextafter(nearest, math.inf)


def at_most(limit: Fraction) -> float:
    """The largest float that is not above `limit`."""
    return -at_least(-limit)


def shortest(number: float) -> Decimal:
    """The shortest decimal that is this float32 and no other: what its device meant to show.

    Its exponent is never above 0: a round figure does not mean that the register moves in large steps.
    """
    texts = (f"{number:.{digits}g}" for digits in _F32_DIGITS)
    raw = struct.pack(">f", number)
    found = next((text for text in texts if _is(text, raw)), f"{number:.9g}")
    return Decimal(int(Decimal(found))) if "e+" in found else Decimal(found)


def _is(text: str, raw: bytes) -> bool:
    try:
        return struct.pack(">f", float(text)) == raw
    except OverflowError:  # a short decimal of the largest float32 may lie beyond it
        return False
