"""What the registers of an unknown heat meter may mean: type, word order and scale by plausibility. Pure.

A meter measures P = c * V * (T1 - T2), with c = 1.12 to 1.17 kWh/(m3 K) between 20 and 95 degC (density and
heat capacity of water, EN 1434-1). Among all ways to read its registers, the one in which two temperatures, a
flow and a power satisfy this is the right one; the fewer numbers had to be tried for it, the surer. Where
nothing flows only the temperatures speak, and the answer is called weak. Energy is what never falls between
two readings, and grows by what the power gives.
"""

import math
import struct
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from drivers import Unit, convert

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
_PLACES = {"ABCD": (0, 1, 2, 3), "CDAB": (2, 3, 0, 1), "BADC": (1, 0, 3, 2), "DCBA": (3, 2, 1, 0)}
_FORMATS = {"f32": ">f", "i32": ">i", "u32": ">I", "i16": ">h", "u16": ">H"}
WIDTHS = {"f32": 2, "i32": 2, "u32": 2, "i16": 1, "u16": 1}
_FAMILIES = (
    *((kind, order) for kind in ("f32", "i32") for order in ORDERS),
    ("i16", "ABCD"),
    ("i16", "BADC"),
)
_SCALES = {"f32": (1.0,), "i32": (1.0, 0.1, 0.01, 0.001), "i16": (1.0, 0.1, 0.01)}
_HEAT = (1.12, 1.17)  # kWh/(m3 K)
_TOLERANCE = 0.01  # averaging and rounding inside the meter
_HOTTEST_C = 180.0
_LARGEST_DIFFERENCE_K = 120.0
_NEIGHBOURS = 12  # registers between the two temperatures
_TOGETHER = 64  # registers between the first and the last of the four
_FLOWS = {Unit.CUBIC_METRE_PER_HOUR: (0.02, 5000.0), Unit.LITRE_PER_HOUR: (20.0, 5e6)}
_POWERS = {Unit.KILOWATT: (0.05, 2e5), Unit.WATT: (50.0, 2e8), Unit.MEGAWATT: (0.001, 200.0)}
_RARE = {"f32": 0.0, "i32": 0.05, "i16": 0.1}
_RARE_ORDER = {"ABCD": 0.0, "CDAB": 0.0, "BADC": 0.1, "DCBA": 0.1}
_RARE_UNIT = {Unit.WATT: 0.1, Unit.MEGAWATT: 0.1, Unit.LITRE_PER_HOUR: 0.05}
_ENERGIES = (Unit.KILOWATT_HOUR, Unit.MEGAWATT_HOUR, Unit.GIGAJOULE, Unit.MEGAJOULE)

Words = Mapping[int, int]
"""Registers by address."""


@dataclass(frozen=True, slots=True)
class Found:
    """One register as it may be meant; `value` is in `unit`."""

    quantity: str
    address: int
    type: str
    order: str
    scale: float
    unit: Unit
    value: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to read the meter. `score` from 0 to 1; `why` are keys below fieldwork.why of the catalogue."""

    type: str
    order: str
    score: float
    found: tuple[Found, ...]
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Number:
    """One decoding of one place: `raw` is the number before scaling."""

    address: int
    raw: float


def number(words: Words, address: int, kind: str, order: str) -> float | None:
    """The registers at `address` as a number; None where one is missing or it is no number."""
    width = WIDTHS[kind]
    got = [words.get(address + step) for step in range(width)]
    known = [word for word in got if word is not None]
    if len(known) < width:
        return None
    wire = struct.pack(f">{width}H", *known)
    value = float(struct.unpack(_FORMATS[kind], bytes(itemgetter(*_bytes(order, width))(wire)))[0])
    return value if math.isfinite(value) else None


def _bytes(order: str, width: int) -> tuple[int, ...]:
    if width == 1:
        return (1, 0) if order in ("BADC", "DCBA") else (0, 1)
    return _PLACES[order]


def rank(first: Words, second: Words, elapsed_s: float) -> list[Candidate]:
    """All readings of the meter that make sense, the best first. `second` is the same some seconds later."""
    found = [each for family in _FAMILIES if (each := _family(first, second, elapsed_s, *family))]
    return sorted(found, key=lambda each: -each.score)


def _family(first: Words, second: Words, elapsed_s: float, kind: str, order: str) -> Candidate | None:
    """The best reading with one type and order."""
    numbers = [_Number(a, n) for a in sorted(first) if (n := number(first, a, kind, order)) is not None]
    sane = [each for each in numbers if _is_sane(each, kind)]
    best = _by_heat(sane, second, kind, order) or _by_temperature(sane, kind, order)
    if best is None:
        return None
    doubt = _RARE[kind] + _RARE_ORDER[order] * (3.0 if WIDTHS[kind] == 1 else 1.0)
    doubt += 0.5 * (1.0 - _share(numbers, sane, best))
    best = replace(best, score=best.score * math.exp(-doubt))
    total = _total(first, second, elapsed_s, best)
    if total is None:
        return best
    return replace(best, found=(*best.found, total), why=(*best.why, "energy"))


def _is_sane(each: _Number, kind: str) -> bool:
    """What a meter shows: a float that is neither denormal nor astronomic, an integer that is not idle."""
    return 1e-3 <= abs(each.raw) <= 1e9 if kind == "f32" else each.raw != 0


def _share(numbers: Sequence[_Number], sane: Sequence[_Number], best: Candidate) -> float:
    """How many of the places in step with what was found hold a sane number, of those that are not 0."""
    width = WIDTHS[best.type]
    step = best.found[0].address % width
    ours = [each for each in numbers if each.address % width == step and each.raw != 0]
    good = {each.address for each in sane}
    return sum(each.address in good for each in ours) / len(ours) if ours else 0.0


def _by_heat(sane: Sequence[_Number], second: Words, kind: str, order: str) -> Candidate | None:
    """The most natural four that satisfy the heat equation, now and in the second reading."""
    powers = sorted(_scaled("power", sane, kind, order, _POWERS), key=_kilowatt)
    ladder = [_kilowatt(each) for each in powers]
    flows = _scaled("flow", sane, kind, order, _FLOWS)
    best: tuple[Found, ...] | None = None
    least, tried = math.inf, 0
    for hot, cold in _pairs(sane, kind, order):
        for flow in flows:
            if not _fit_together(flow, hot, cold):
                continue
            low, high = _band(flow, hot, cold)
            for at in range(bisect_left(ladder, low), len(ladder)):
                if ladder[at] > high:
                    break
                four = (hot, cold, flow, powers[at])
                if not _fit_together(powers[at], flow, hot, cold):
                    continue
                tried += 1
                doubt = _doubt(four)
                if doubt < least and _still(four, second):
                    best, least = four, doubt
    if best is None:
        return None
    luck = 0.12 * math.log10(tried)  # the more was tried, the less a coincidence proves
    return Candidate(kind, order, math.exp(-least - luck), best, ("heat",))


def _band(flow: Found, hot: Found, cold: Found) -> tuple[float, float]:
    """The power in kW that flow and temperatures allow."""
    heat = _cubic(flow) * (hot.value - cold.value)
    slack = _TOLERANCE + _steps(flow, hot)
    return _HEAT[0] * heat * (1 - slack), _HEAT[1] * heat * (1 + slack)


def _steps(flow: Found, hot: Found) -> float:
    """What the steps of integer registers leave open, as a share."""
    if flow.type == "f32" or flow.value <= 0:
        return 0.0
    return min(0.05, 0.5 * flow.scale / flow.value + hot.scale / 10.0)


def _pairs(sane: Sequence[_Number], kind: str, order: str) -> Iterator[tuple[Found, Found]]:
    """Two temperatures close together, of one scale, the warmer first."""
    for scale in _SCALES[kind]:
        warm = [each for each in sane if 1.0 <= each.raw * scale <= _HOTTEST_C]
        for one in warm:
            for other in warm:
                near = WIDTHS[kind] <= abs(one.address - other.address) <= _NEIGHBOURS
                difference = (one.raw - other.raw) * scale
                if near and 0.2 <= difference <= _LARGEST_DIFFERENCE_K and _in_step(one, other, kind):
                    yield (
                        _temperature("supply_temperature", one, kind, order, scale),
                        _temperature("return_temperature", other, kind, order, scale),
                    )


def _in_step(one: _Number | Found, other: _Number | Found, kind: str) -> bool:
    """True when both begin where values of this width begin: no meter packs half a value between."""
    return (one.address - other.address) % WIDTHS[kind] == 0


def _temperature(quantity: str, each: _Number, kind: str, order: str, scale: float) -> Found:
    return Found(quantity, each.address, kind, order, scale, Unit.CELSIUS, each.raw * scale)


def _scaled(
    quantity: str,
    sane: Sequence[_Number],
    kind: str,
    order: str,
    ranges: Mapping[Unit, tuple[float, float]],
) -> list[Found]:
    """All numbers that may be this quantity, in every scale and unit."""
    return [
        Found(quantity, each.address, kind, order, scale, unit, each.raw * scale)
        for unit, (low, high) in ranges.items()
        for scale in _SCALES[kind]
        for each in sane
        if low <= each.raw * scale <= high
    ]


def _cubic(flow: Found) -> float:
    return convert(flow.value, flow.unit, Unit.CUBIC_METRE_PER_HOUR)


def _kilowatt(power: Found) -> float:
    return convert(power.value, power.unit, Unit.KILOWATT)


def _fit_together(one: Found, *others: Found) -> bool:
    """True when no two want the same registers, all are in step, and none is far away."""
    return all(
        WIDTHS[one.type] <= abs(one.address - other.address) <= _TOGETHER and _in_step(one, other, one.type)
        for other in others
    )


def _doubt(four: Sequence[Found]) -> float:
    """How unusual these four would be at a substation: 0 for registers side by side with common values."""
    hot, cold, flow, power = four
    addresses = [each.address for each in four]
    spread = max(addresses) - min(addresses) - 4 * WIDTHS[hot.type]
    return (
        0.02 * max(0, spread)
        + 0.1 * ((hot.value - 85.0) / 40.0) ** 2
        + 0.1 * ((cold.value - 45.0) / 25.0) ** 2
        + 0.2 * (hot.value - cold.value < 3.0)
        + 0.1 * math.log10(_cubic(flow) / 20.0) ** 2
        + 0.1 * math.log10(_kilowatt(power) / 500.0) ** 2
        + _RARE_UNIT.get(flow.unit, 0.0)
        + _RARE_UNIT.get(power.unit, 0.0)
        + 0.1 * (hot.scale == 0.001)
    )


def _still(four: Sequence[Found], second: Words) -> bool:
    """True when the equation holds in the second reading as well."""
    again = [_again(each, second) for each in four]
    if any(each is None for each in again):
        return False
    hot, cold, flow, power = (each for each in again if each is not None)
    low, high = _band(flow, hot, cold)
    return low * (1 - _TOLERANCE) <= _kilowatt(power) <= high * (1 + _TOLERANCE)


def _again(found: Found, words: Words) -> Found | None:
    """The same register in another reading."""
    raw = number(words, found.address, found.type, found.order)
    return None if raw is None else replace(found, value=raw * found.scale)


def _by_temperature(sane: Sequence[_Number], kind: str, order: str) -> Candidate | None:
    """Where nothing flows: two neighbouring temperatures. The more pairs there are, the weaker."""
    pairs = list(_pairs(sane, kind, order))
    if not pairs:
        return None
    hot, cold = min(pairs, key=lambda pair: (abs(pair[0].address - pair[1].address), abs(pair[0].value - 80)))
    score = (0.4 if kind == "f32" else 0.2) / (1.0 + 0.1 * len(pairs))
    return Candidate(kind, order, score, (hot, cold), ("temperatures",))


def _total(first: Words, second: Words, elapsed_s: float, best: Candidate) -> Found | None:
    """A number that grew by what the power gives. 32 bits: a totaliser of 16 is full after a week."""
    power = next((each for each in best.found if each.quantity == "power"), None)
    if power is None or elapsed_s <= 0:
        return None
    given_kwh = _kilowatt(power) * elapsed_s / 3600.0
    difference_k = best.found[0].value - best.found[1].value
    kinds = dict.fromkeys((best.type, "u32", "f32")) if WIDTHS[best.type] == 2 else ("u32",)
    options = (
        found
        for kind in kinds
        for address in sorted(first)
        if kind == best.type or not _overlaps_a_value(first, address, WIDTHS[kind], best)
        for found in _grown(first, second, given_kwh, address, kind, best.order)
        if not any(_same_place(found, each) for each in best.found)
        and abs(found.value - difference_k) > 0.1  # meters show that as well, and it drifts
    )
    return next(options, None)


def _overlaps_a_value(words: Words, address: int, width: int, best: Candidate) -> bool:
    """True where the family's own type makes sense on any of these registers: nothing else is there."""
    own = WIDTHS[best.type]
    step = best.found[0].address % own
    places = (a for a in range(address - own + 1, address + width) if a == address or a % own == step)
    numbers = (number(words, each, best.type, best.order) for each in places)
    return any(each is not None and _is_sane(_Number(0, each), best.type) for each in numbers)


def _grown(
    first: Words, second: Words, given_kwh: float, address: int, kind: str, order: str
) -> Iterator[Found]:
    """The units and scales in which the number at an address grew by the heat given, within a third."""
    one, two = number(first, address, kind, order), number(second, address, kind, order)
    if one is None or two is None or not 10.0 <= one < two < 4e9:
        return
    for scale in _SCALES.get(kind, _SCALES["i32"]):
        for unit in _ENERGIES:
            if 0.67 <= convert((two - one) * scale, unit, Unit.KILOWATT_HOUR) / given_kwh <= 1.5:
                yield Found("energy", address, kind, order, scale, unit, one * scale)


def _same_place(one: Found, other: Found) -> bool:
    """True when both want the same registers."""
    return one.address < other.address + WIDTHS[other.type] and other.address < one.address + WIDTHS[one.type]
