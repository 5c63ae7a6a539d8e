"""Exact decimals of meters become readings within the profile's limits."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import ConfigurationError, Reason, Unit
from drivers.profile_base import Register, Totaliser
from drivers.reading import Total
from drivers.values import at_least, at_most, judge_exact, unit_fraction

DECIMALS = st.decimals(-(10**9), 10**9, places=3)


@given(DECIMALS, st.sampled_from([Unit.KILOWATT_HOUR, Unit.MEGAJOULE, Unit.GIGACALORIE]))
def test_a_meters_digits_stay_and_its_value_is_rounded_once(number: Decimal, unit: Unit) -> None:
    register = Register(total=Totaliser(rolls_over=Decimal(10**8)))
    reading = judge_exact(number, register, unit, Unit.MEGAWATT_HOUR, 7.0)
    assert reading.total == Total(number, unit, Decimal(10**8))
    assert reading.value == float(Fraction(number) * unit_fraction(unit, Unit.MEGAWATT_HOUR))


@pytest.mark.parametrize(
    ("number", "reason"),
    [("0.3", Reason.NONE), ("0.30001", Reason.OUT_OF_RANGE), ("-1", Reason.OUT_OF_RANGE)],
)
def test_the_limits_are_inclusive_decimals(number: str, reason: Reason) -> None:
    reading = judge_exact(Decimal(number), Register(low=0, high=0.3), Unit.BAR, Unit.KILOPASCAL, 7.0)
    assert reading.reason is reason
    assert reading.total is None


def test_a_unit_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="different things"):
        judge_exact(Decimal(1), Register(), Unit.BAR, Unit.CELSIUS, 7.0)


@given(st.fractions())
def test_the_floats_around_a_limit_are_the_nearest_on_their_side(limit: Fraction) -> None:
    up, down = at_least(limit), at_most(limit)
    assert Fraction(down) <= limit <= Fraction(up)
    assert up in (down, math.nextafter(down, math.inf))
