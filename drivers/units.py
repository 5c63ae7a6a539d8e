"""The closed set of units, and exact conversion between those of one dimension. Pure.

Factors to the base unit of each dimension are exact fractions, so that a round trip returns what went in.
Sources: SI brochure (bar, l, min, h, d, J); 1 cal_IT = 4.1868 J (ISO 31-4), hence 1 Gcal = 4.1868 GJ.
"""

from enum import StrEnum
from fractions import Fraction


class Unit(StrEnum):
    """Units a register, a point or a reading can have. `STATE` is an enumeration or a bit, `ONE` a ratio.

    A shaft's revolutions (rpm) and a supply's frequency (Hz) are not converted: motors have poles.
    """

    CELSIUS = "degC"
    KELVIN_DIFFERENCE = "K"
    BAR = "bar"
    KILOPASCAL = "kPa"
    MEGAPASCAL = "MPa"
    CUBIC_METRE_PER_HOUR = "m3/h"
    LITRE_PER_HOUR = "l/h"
    LITRE_PER_SECOND = "l/s"
    CUBIC_METRE = "m3"
    LITRE = "l"
    WATT = "W"
    KILOWATT = "kW"
    MEGAWATT = "MW"
    GIGAJOULE_PER_HOUR = "GJ/h"
    KILOWATT_HOUR = "kWh"
    MEGAWATT_HOUR = "MWh"
    MEGAJOULE = "MJ"
    GIGAJOULE = "GJ"
    GIGACALORIE = "Gcal"
    METRE = "m"
    MILLIMETRE = "mm"
    METRE_PER_SECOND = "m/s"
    PERCENT = "%"
    HERTZ = "Hz"
    REVOLUTION_PER_MINUTE = "rpm"
    AMPERE = "A"
    VOLT = "V"
    DEGREE = "deg"
    SECOND = "s"
    MINUTE = "min"
    HOUR = "h"
    DAY = "d"
    KELVIN_PER_HOUR = "K/h"
    PER_HOUR = "1/h"
    STATE = "state"
    ONE = "1"


_DIMENSIONS: tuple[dict[Unit, Fraction], ...] = (
    {Unit.BAR: Fraction(1), Unit.KILOPASCAL: Fraction(1, 100), Unit.MEGAPASCAL: Fraction(10)},
    {
        Unit.CUBIC_METRE_PER_HOUR: Fraction(1),
        Unit.LITRE_PER_HOUR: Fraction(1, 1000),
        Unit.LITRE_PER_SECOND: Fraction(36, 10),
    },
    {Unit.CUBIC_METRE: Fraction(1), Unit.LITRE: Fraction(1, 1000)},
    {
        Unit.KILOWATT: Fraction(1),
        Unit.WATT: Fraction(1, 1000),
        Unit.MEGAWATT: Fraction(1000),
        Unit.GIGAJOULE_PER_HOUR: Fraction(10000, 36),
    },
    {
        Unit.KILOWATT_HOUR: Fraction(1),
        Unit.MEGAWATT_HOUR: Fraction(1000),
        Unit.MEGAJOULE: Fraction(10, 36),
        Unit.GIGAJOULE: Fraction(10000, 36),
        Unit.GIGACALORIE: Fraction(10000, 36) * Fraction(41868, 10000),
    },
    {Unit.PERCENT: Fraction(1), Unit.ONE: Fraction(100)},
    {Unit.METRE: Fraction(1), Unit.MILLIMETRE: Fraction(1, 1000)},
    {
        Unit.SECOND: Fraction(1),
        Unit.MINUTE: Fraction(60),
        Unit.HOUR: Fraction(3600),
        Unit.DAY: Fraction(86400),
    },
)


def factor(source: Unit, target: Unit) -> Fraction:
    """Exact factor with `value_target = value_source * factor`; ValueError when the dimensions differ."""
    if source is target:
        return Fraction(1)
    for table in _DIMENSIONS:
        if source in table and target in table:
            return table[source] / table[target]
    raise ValueError(f"no conversion from {source} to {target}: they measure different things")


def convert(value: float, source: Unit, target: Unit) -> float:
    """`value` in `source` expressed in `target`."""
    return value if source is target else float(value * factor(source, target))
