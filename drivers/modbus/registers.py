"""Registers to readings and back: scaling, sentinels, ranges, totals; and which go in one request.

Pure: bytes in, readings out. No input, no output, no clock. Registers (functions 3 and 4) are read by
`decode` from a byte offset, coils and discrete inputs (1 and 2) by `decode_coil` from a bit position.
"""

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from operator import itemgetter

from drivers.errors import ConfigurationError, LocalProtocolError
from drivers.modbus.profile import ModbusRegister
from drivers.modbus.words import Take, extremes, on_wire, pattern, plain_format, taker
from drivers.reading import Quality, Reading, Reason, Total
from drivers.units import Unit
from drivers.values import EXACT, IDENTITY, Linear, at_least, at_most, fraction, shortest, unit_fraction

_COIL_ON = 0xFF00


@dataclass(frozen=True, slots=True)
class Span:
    """Registers that belong together and are never read apart: `count` of `function` from `start` on."""

    function: int
    start: int
    count: int

    @property
    def end(self) -> int:
        """The first address behind the span."""
        return self.start + self.count


def span(register: ModbusRegister) -> Span:
    """Where a register's value lies."""
    return Span(register.function, register.address, register.width)


def plan(
    spans: Iterable[Span], max_registers: int, holes: int, alone: frozenset[Span] = frozenset()
) -> list[Span]:
    """The fewest requests that cover `spans`: neighbours up to `holes` unused registers apart are merged.

    No request exceeds `max_registers`, none splits a span. `holes` 0 merges what touches, -1 only what
    overlaps. Spans in `alone` get a request of their own, and no other reads across them.
    """
    blocks: list[Span] = []
    for item in sorted(frozenset(spans), key=_place):
        joins = blocks and not alone.intersection((item, blocks[-1]))
        merged = _merged(blocks[-1], item, max_registers, holes) if joins else None
        if merged:
            blocks[-1] = merged
        else:
            blocks.append(item)
    return blocks


def _place(item: Span) -> tuple[int, int, int]:
    return item.function, item.start, item.count


def _merged(block: Span, item: Span, max_registers: int, holes: int) -> Span | None:
    count = max(block.end, item.end) - block.start
    if block.function != item.function or item.start - block.end > holes or count > max_registers:
        return None
    return Span(block.function, block.start, count)


def covers(block: Span, item: Span) -> bool:
    """True when `item` lies wholly in `block`."""
    return block.function == item.function and block.start <= item.start and item.end <= block.end


Special = Callable[["Decoder", float, float], Reading]


@dataclass(frozen=True, slots=True)
class Decoder:
    """One register made ready for reading many times, delivering in `unit`; `size` is in bytes.

    value = (raw * num + add) / den in integers, scale, offset and unit all in one: of an integer raw number
    this is the correctly rounded result. `low` and `high` bound the raw number; `marks` are the sentinels
    as they stand on the wire; `special` makes the reading of what is more than an integer and a scale.
    """

    register: ModbusRegister
    unit: Unit
    size: int
    take: Take | None  # None for a coil
    marks: frozenset[bytes]
    low: float
    high: float
    num: int
    add: int
    den: int
    special: Special | None


def decoder(register: ModbusRegister, unit: Unit) -> Decoder:
    """Prepare `register`; ConfigurationError when it cannot be delivered in `unit`."""
    kind, coil = register.type, register.type == "bool"
    line = Linear.of(register.scale, register.offset, register.unit, unit)
    low, high = (0, 1) if coil else _raw_limits(register)
    _carried(line, low, high)
    marks = () if coil else (on_wire(mark, kind, register.order) for mark in register.sentinels)
    return Decoder(
        register=register,
        unit=unit,
        size=2 * register.width,
        take=None if coil else taker(kind, register.order),
        marks=frozenset(marks),
        low=low,
        high=high,
        num=line.num,
        add=line.add,
        den=line.den,
        special=_special(register, line, unit),
    )


def _carried(line: Linear, *raws: float) -> None:
    try:
        for raw in raws:
            float((Fraction(raw) * line.num + line.add) / line.den)
    except OverflowError as error:
        raise ConfigurationError(
            "the scale makes numbers larger than a float: correct the profile"
        ) from error


def _special(register: ModbusRegister, line: Linear, unit: Unit) -> Special | None:
    if register.write is not None and register.write.states:
        return _coded({code: float(state) for state, code in register.write.states.items()})
    if register.bit is not None:
        return _bit
    if register.total is not None:
        return _totaliser(register, unit)
    return _scaled if register.type == "f32" and line != IDENTITY else None


def _raw_limits(register: ModbusRegister) -> tuple[float, float]:
    """The raw numbers whose values lie within the profile's limits, inclusive and exact."""
    lowest, highest = extremes(register.type)
    scale, offset = fraction(register.scale), fraction(register.offset)
    low, high = (
        None if limit is None else (fraction(limit) - offset) / scale
        for limit in (register.low, register.high)
    )
    if scale < 0:
        low, high = high, low
    up, down = (at_least, at_most) if register.type == "f32" else (math.ceil, math.floor)
    return (
        lowest if low is None else max(lowest, up(low)),
        highest if high is None else min(highest, down(high)),
    )


def decode(decoder: Decoder, data: bytes, offset: int, timestamp: float) -> Reading:
    """The reading of a register whose bytes start at `offset` of `data` as it came off the wire."""
    if decoder.marks and data[offset : offset + decoder.size] in decoder.marks:
        return Reading.bad(Reason.SENTINEL, decoder.unit, timestamp)
    assert decoder.take is not None, "a coil is read by decode_coil"
    number = decoder.take(data, offset)[0]
    if not decoder.low <= number <= decoder.high:  # NaN is never within
        reason = Reason.OUT_OF_RANGE if math.isfinite(number) else Reason.NOT_A_NUMBER
        return Reading.bad(reason, decoder.unit, timestamp)
    if decoder.special is not None:
        return decoder.special(decoder, number, timestamp)
    return Reading.good((number * decoder.num + decoder.add) / decoder.den, decoder.unit, timestamp)


@dataclass(frozen=True, slots=True)
class Run:
    """Registers of one answer that are plain numbers: one unpacking takes them all.

    `parts`: point name, bounds of the raw number, num, add and den of the decoder, unit.
    """

    shape: struct.Struct
    parts: tuple[tuple[str, float, float, int, int, int, Unit], ...]


def run_of(placed: Sequence[tuple[str, Decoder, int]]) -> tuple[Run, list[str]]:
    """The registers among `placed` (name, decoder, byte offset) that one unpacking can take; their names.

    High word first, no sentinel, nothing special, none overlapping another.
    """
    layout, end = ">", 0
    parts: list[tuple[str, float, float, int, int, int, Unit]] = []
    for name, each, offset in sorted(placed, key=itemgetter(2)):
        code = plain_format(each.register.type, each.register.order)
        if code is None or each.marks or each.special is not None or offset < end:
            continue
        layout += f"{offset - end}x{code}"
        end = offset + each.size
        parts.append((name, each.low, each.high, each.num, each.add, each.den, each.unit))
    return Run(struct.Struct(layout), tuple(parts)), [part[0] for part in parts]


def decode_run(run: Run, data: bytes, timestamp: float, readings: dict[str, Reading]) -> None:
    """Put the readings of a run into `readings`: what `decode` gives for each, at a third of its cost."""
    new, kind, good, none = tuple.__new__, Reading, Quality.GOOD, Reason.NONE  # looked up once: half the cost
    for (name, low, high, num, add, den, unit), number in zip(
        run.parts, run.shape.unpack_from(data), strict=True
    ):
        if low <= number <= high:  # so it is finite, and so is what comes of it: see `decoder`
            readings[name] = new(kind, ((number * num + add) / den, unit, good, none, timestamp, None))
        else:
            reason = Reason.OUT_OF_RANGE if math.isfinite(number) else Reason.NOT_A_NUMBER
            readings[name] = Reading.bad(reason, unit, timestamp)


def decode_coil(decoder: Decoder, data: bytes, position: int, timestamp: float) -> Reading:
    """The reading of a coil or a discrete input (functions 1 and 2): 0 or 1.

    `data` is the answer behind the function code: a byte count, then the bits, the first asked for lowest
    (V1.1b3, 6.1); `position` counts coils from the first one asked for.
    """
    bit = data[1 + position // 8] >> position % 8 & 1
    return Reading.good(float(bit), decoder.unit, timestamp)


def _scaled(decoder: Decoder, number: float, timestamp: float) -> Reading:
    """A float by a scale, rounded once."""
    top, bottom = number.as_integer_ratio()
    value = (top * decoder.num + decoder.add * bottom) / (bottom * decoder.den)
    return Reading.good(value, decoder.unit, timestamp)


def _coded(states: Mapping[float, float]) -> Special:
    """Codes of an output as states; a code nobody named is BAD."""

    def special(decoder: Decoder, number: float, timestamp: float) -> Reading:
        state = states.get(number)
        if state is None:
            return Reading.bad(Reason.OUT_OF_RANGE, decoder.unit, timestamp)
        return Reading.good(state, decoder.unit, timestamp)

    return special


def _bit(decoder: Decoder, number: float, timestamp: float) -> Reading:
    assert decoder.register.bit is not None
    return Reading.good(float(int(number) >> decoder.register.bit & 1), decoder.unit, timestamp)


def _totaliser(register: ModbusRegister, unit: Unit) -> Special:
    """What the register shows goes with the value, digit by digit.

    An integer by its scale, or the shortest decimal that is the float32. The number's exponent is the
    register's step where the scale is a power of ten.
    """
    assert register.total is not None
    rolls_over, own = register.total.rolls_over, register.unit
    real = register.type == "f32"
    scale = EXACT.normalize(Decimal(repr(register.scale)))
    offset = Decimal(repr(register.offset))
    to_unit = unit_fraction(own, unit)

    def special(decoder: Decoder, number: float, timestamp: float) -> Reading:
        exact = EXACT.multiply(shortest(number) if real else Decimal(number), scale)
        if offset:
            exact = EXACT.add(exact, offset)
        top, bottom = exact.as_integer_ratio()
        value = top * to_unit.numerator / (bottom * to_unit.denominator)
        return Reading.good(value, unit, timestamp, Total(exact, own, rolls_over))

    return special


def encode(register: ModbusRegister, value: float, unit: Unit | None = None) -> tuple[int, ...]:
    """`value` (in `unit`, else in the register's own) as words for the wire: the nearest the type knows.

    A coil is one word, FF00 or 0000 (function 5; V1.1b3, 6.5). Rounding never leaves the writable range.
    LocalProtocolError when the profile does not allow writing it or the type cannot carry it.
    """
    raw = _raw_number(register, value, unit or register.unit)
    bits = pattern(raw, "u16" if register.type == "bool" else register.type)
    if bits in register.sentinels:
        raise LocalProtocolError(f"{value} would be written as the mark for an invalid value")
    wire = on_wire(bits, register.type, register.order)
    return tuple(int.from_bytes(wire[at : at + 2], "big") for at in range(0, len(wire), 2))


def _raw_number(register: ModbusRegister, value: float, unit: Unit) -> float:
    write = register.write
    if write is None:
        raise LocalProtocolError("the profile does not allow writing this register")
    states = {0: 0, 1: _COIL_ON} if write.function == 5 else write.states
    if states:
        if value not in states:
            raise LocalProtocolError(f"{value} is none of the states {sorted(states)}")
        return states[int(value)]
    if write.low is None or write.high is None or not math.isfinite(value):
        raise LocalProtocolError(f"{value} cannot be written")
    exact = fraction(value) * unit_fraction(unit, register.unit)
    low, high = fraction(write.low), fraction(write.high)
    if not low <= exact <= high:
        raise LocalProtocolError(f"{value} is outside the writable range {write.low} to {write.high}")
    scale, offset = fraction(register.scale), fraction(register.offset)
    wanted = (exact - offset) / scale
    if register.type == "f32":
        return float(wanted)
    ends = sorted(((low - offset) / scale, (high - offset) / scale))
    return min(max(round(wanted), math.ceil(ends[0])), math.floor(ends[1]))
