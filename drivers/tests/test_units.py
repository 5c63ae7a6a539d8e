"""Units convert exactly, and only between those that measure the same."""

import itertools
from fractions import Fraction

import pytest

from drivers.units import Unit, convert, factor


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (1, Unit.GIGAJOULE_PER_HOUR, Unit.KILOWATT, Fraction(2500, 9)),  # 1e6 kJ / 3600 s
        (36, Unit.GIGAJOULE_PER_HOUR, Unit.MEGAWATT, 10),
        (90, Unit.MINUTE, Unit.HOUR, Fraction(3, 2)),
        (2, Unit.DAY, Unit.HOUR, 48),
        (1500, Unit.MILLIMETRE, Unit.METRE, Fraction(3, 2)),
        (1, Unit.GIGACALORIE, Unit.KILOWATT_HOUR, 1163),  # exactly, by the definition of the calorie
    ],
)
def test_a_figure_of_one_unit_is_the_expected_figure_of_the_other(
    value: int, source: Unit, target: Unit, expected: Fraction
) -> None:
    assert value * factor(source, target) == expected
    assert convert(value, source, target) == float(expected)


def test_every_conversion_there_and_back_is_exactly_one() -> None:
    for source, target in itertools.product(Unit, Unit):
        try:
            there = factor(source, target)
        except ValueError:
            continue
        assert there * factor(target, source) == 1


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (Unit.REVOLUTION_PER_MINUTE, Unit.HERTZ),
        (Unit.CELSIUS, Unit.KELVIN_DIFFERENCE),
        (Unit.GIGAJOULE_PER_HOUR, Unit.GIGAJOULE),
    ],
)
def test_what_measures_different_things_is_not_converted(source: Unit, target: Unit) -> None:
    with pytest.raises(ValueError, match="different things"):
        factor(source, target)
