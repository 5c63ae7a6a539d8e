"""The unit codes of CJ/T 188-2004 in the units of the house. Pure.

Named by the standard: 01 J, 02 Wh, 05 kWh, 08 MWh, 0A 100 MWh, 0B kJ, 0E MJ, 11 GJ, 13 100 GJ, 14 W, 17 kW,
1A MW, 29 l, 2C m3, 32 l/h, 35 m3/h, 40 J/h, 43 kJ/h, 46 MJ/h, 49 GJ/h. Between them lie ten and a hundred
times each, as 0A and 13 show; 26 to 28 (millilitres) stand in one maker's tool only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from drivers.units import Unit


class Kind(StrEnum):
    """What a field of the answer measures."""

    ENERGY = "energy"
    POWER = "power"
    FLOW = "flow"
    VOLUME = "volume"
    TEMPERATURE = "temperature"
    HOURS = "hours"


@dataclass(frozen=True, slots=True)
class UnitCode:
    """What a code means: the number shown times ten to the `exponent` is in `unit`."""

    kind: Kind
    unit: Unit
    exponent: int


def _steps(first: int, kind: Kind, unit: Unit, exponent: int) -> dict[int, UnitCode]:
    """A unit, and its tenfold and hundredfold in the two codes after it."""
    return {first + step: UnitCode(kind, unit, exponent + step) for step in range(3)}


UNIT_CODES: Mapping[int, UnitCode] = {
    0x01: UnitCode(Kind.ENERGY, Unit.MEGAJOULE, -6),
    **_steps(0x02, Kind.ENERGY, Unit.KILOWATT_HOUR, -3),
    **_steps(0x05, Kind.ENERGY, Unit.KILOWATT_HOUR, 0),
    **_steps(0x08, Kind.ENERGY, Unit.MEGAWATT_HOUR, 0),
    **_steps(0x0B, Kind.ENERGY, Unit.MEGAJOULE, -3),
    **_steps(0x0E, Kind.ENERGY, Unit.MEGAJOULE, 0),
    **_steps(0x11, Kind.ENERGY, Unit.GIGAJOULE, 0),
    **_steps(0x14, Kind.POWER, Unit.WATT, 0),
    **_steps(0x17, Kind.POWER, Unit.KILOWATT, 0),
    **_steps(0x1A, Kind.POWER, Unit.MEGAWATT, 0),
    **_steps(0x26, Kind.VOLUME, Unit.LITRE, -3),
    **_steps(0x29, Kind.VOLUME, Unit.LITRE, 0),
    **_steps(0x2C, Kind.VOLUME, Unit.CUBIC_METRE, 0),
    **_steps(0x32, Kind.FLOW, Unit.LITRE_PER_HOUR, 0),
    **_steps(0x35, Kind.FLOW, Unit.CUBIC_METRE_PER_HOUR, 0),
    0x40: UnitCode(Kind.POWER, Unit.GIGAJOULE_PER_HOUR, -9),
    0x43: UnitCode(Kind.POWER, Unit.GIGAJOULE_PER_HOUR, -6),
    0x46: UnitCode(Kind.POWER, Unit.GIGAJOULE_PER_HOUR, -3),
    0x49: UnitCode(Kind.POWER, Unit.GIGAJOULE_PER_HOUR, 0),
}
