"""Which way of reading a CJ/T 188 heat meter's answer makes sense: layout and decimals by plausibility. Pure.

The layout mostly shows by the unit codes; the decimals do not show at all. Water says more: flow times
temperature difference gives the power (see edge.fieldwork.plausible), and over a meter's life energy by
volume gives the mean temperature difference, even while nothing flows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from drivers import HeatReading, Unit, convert

_HEAT = (1.12, 1.17)  # kWh/(m3 K), between 20 and 95 degC
_TOLERANCE = 0.03  # averaging, and the steps of the last digit
_LIFE_K = (3.0, 90.0)  # mean difference over a meter's life
_HOTTEST_C = 180.0
_NOT_STANDARD = 0.02  # what else is equal, the standard's decimals come first
_WEIGHTS = {"units": 0.2, "water": 0.15, "life": 0.25, "heat": 0.4}


@dataclass(frozen=True, slots=True)
class Ranked:
    """One way to read the meter. `score` from 0 to 1; `why` are keys below fieldwork.why of the catalogue."""

    reading: HeatReading
    score: float
    why: tuple[str, ...]


def rank(readings: Sequence[HeatReading]) -> list[Ranked]:
    """All ways that water allows, the most plausible first; of equal ones the standard's."""
    ranked = [_judged(each) for each in readings]
    return sorted((each for each in ranked if each is not None), key=lambda each: -each.score)


def _judged(reading: HeatReading) -> Ranked | None:
    verdicts = {name: check(reading.amounts) for name, check in _CHECKS.items()}
    if verdicts["water"] is False or verdicts["heat"] is False:
        return None
    why = tuple(name for name in _WEIGHTS if verdicts[name])
    score = sum(_WEIGHTS[name] for name in why) - _NOT_STANDARD * (reading.decimals != "standard")
    return Ranked(reading, max(0.0, score), why)


Amounts = Mapping[str, tuple[Decimal | None, Unit]]


def _number(amounts: Amounts, name: str, unit: Unit) -> float | None:
    value, own = amounts[name]
    return None if value is None else convert(float(value), own, unit)


def _units(amounts: Amounts) -> bool | None:
    """True when each amount has a number, or is marked to have none, in a unit that measures it."""
    return all(unit is not Unit.ONE for _, unit in amounts.values())


def _temperatures(amounts: Amounts) -> bool | None:
    """Whether both can be those of water, the supply not colder; None where one is not there."""
    hot, cold = _both(amounts)
    if hot is None or cold is None:
        return None
    return -10.0 <= cold <= hot + 5.0 <= _HOTTEST_C + 5.0


def _both(amounts: Amounts) -> tuple[float | None, float | None]:
    return (
        _number(amounts, "supply_temperature", Unit.CELSIUS),
        _number(amounts, "return_temperature", Unit.CELSIUS),
    )


def _heat(amounts: Amounts) -> bool | None:
    """Whether flow and temperatures give the power; None where nothing flows."""
    hot, cold = _both(amounts)
    flow = _number(amounts, "flow", Unit.CUBIC_METRE_PER_HOUR)
    power = _number(amounts, "power", Unit.KILOWATT)
    if hot is None or cold is None or not flow or not power or hot - cold < 1.0:
        return None
    low, high = (factor * flow * (hot - cold) for factor in _HEAT)
    return low * (1 - _TOLERANCE) <= power <= high * (1 + _TOLERANCE)


def _life(amounts: Amounts) -> bool | None:
    """Whether energy by volume is a mean temperature difference that exists."""
    energy = _number(amounts, "energy", Unit.KILOWATT_HOUR)
    volume = _number(amounts, "volume", Unit.CUBIC_METRE)
    if not energy or not volume:
        return None
    return _LIFE_K[0] <= energy / volume / _HEAT[1] <= _LIFE_K[1]


_CHECKS = {"units": _units, "water": _temperatures, "life": _life, "heat": _heat}


def drafted(reading: HeatReading, identifier: str, meter_type: int, score: float) -> str:
    """TOML of a profile that our loader takes, for a person to confirm."""
    return "".join(_draft(reading, identifier, meter_type, score))


def _draft(reading: HeatReading, identifier: str, meter_type: int, score: float) -> Iterator[str]:
    yield _HEAD.format(score=score, identifier=identifier, meter_type=meter_type, layout=reading.layout)
    places = reading.places
    yield f"decimals = {{ {', '.join(f'{kind} = {places[kind]}' for kind in sorted(places))} }}\n"
    for name, (unit, more) in _REGISTERS.items():
        value, own = reading.amounts[name]
        shown = "nothing" if value is None else f"{value.normalize():f} {own.value}"
        yield f'\n[registers.{name}]    # read {shown}\nfield = "{name}"\nunit = "{unit}"\n{more}'


_HEAD = """\
# Draft made by `substation-edge probe` from plausibility alone (score {score:.2f}). Decimals do not show
# in the answer: compare every value with the meter's display before use. Then give maker, model and id, and
# put the file into profiles/ beside the site file.

[profile]
id = "draft"
maker = "unknown"
model = "unknown"
protocol = "cjt188"
source = "probe on site, values compared for plausibility only"
confidence = "assumed"

[cjt188]
identifier = "{identifier}"
meter_type = 0x{meter_type:02X}
layout = "{layout}"
"""
_REGISTERS = {
    "energy": ("kWh", "low = 0\ntotal = {}\n"),
    "power": ("kW", "low = 0\nhigh = 50000\n"),
    "flow": ("m3/h", "low = 0\nhigh = 5000\n"),
    "volume": ("m3", "low = 0\ntotal = {}\n"),
    "supply_temperature": ("degC", "low = 0\nhigh = 180\n"),
    "return_temperature": ("degC", "low = 0\nhigh = 180\n"),
}
