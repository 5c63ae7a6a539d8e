"""Registers to readings and back: word orders, scaling, sentinels, ranges; and which go in one request.

Pure: bytes in, readings out. No input, no output, no clock. Words are the protocol's: 16 bits, high byte
first (Modbus Application Protocol V1.1b3, 4.2); the order inside longer values is the device's own affair.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter

from drivers.errors import LocalProtocolError
from drivers.modbus.profile import ModbusRegister
from drivers.reading import Reading, Reason
from drivers.units import Unit
from drivers.values import judge, unit_factor

_FORMATS: dict[str, struct.Struct] = {
    "u16": struct.Struct(">H"),
    "i16": struct.Struct(">h"),
    "u32": struct.Struct(">I"),
    "i32": struct.Struct(">i"),
    "f32": struct.Struct(">f"),
    "u64": struct.Struct(">Q"),
    "i64": struct.Struct(">q"),
}
_LOW_WORD_FIRST = frozenset({"CDAB", "DCBA"})
_LOW_BYTE_FIRST = frozenset({"BADC", "DCBA"})


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


def byte_order(order: str, width: int) -> tuple[int, ...]:
    """Where each byte of the value, highest first, stands on the wire; its own inverse."""
    words = range(width - 1, -1, -1) if order in _LOW_WORD_FIRST else range(width)
    pair = (1, 0) if order in _LOW_BYTE_FIRST else (0, 1)
    return tuple(2 * word + byte for word in words for byte in pair)


@dataclass(frozen=True, slots=True)
class Decoder:
    """One register made ready for reading many times, delivering in `unit`; `size` is in bytes."""

    register: ModbusRegister
    unit: Unit
    size: int
    unpack: Callable[[bytes], tuple[float, ...]]
    reorder: Callable[[bytes], tuple[int, ...]] | None
    states: Mapping[int, int]
    factor: float


def decoder(register: ModbusRegister, unit: Unit) -> Decoder:
    """Prepare `register`; ConfigurationError when its unit cannot be converted to `unit`."""
    order = byte_order(register.order, register.width)
    plain = order == tuple(range(2 * register.width))
    states = {code: state for state, code in register.write.states.items()} if register.write else {}
    return Decoder(
        register=register,
        unit=unit,
        size=2 * register.width,
        unpack=_FORMATS[register.type].unpack,
        reorder=None if plain else itemgetter(*order),
        states=states,
        factor=unit_factor(register.unit, unit),
    )


def decode(decoder: Decoder, data: bytes, offset: int, timestamp: float) -> Reading:
    """The reading whose bytes start at `offset` of `data` as it came off the wire."""
    raw = data[offset : offset + decoder.size]
    if decoder.reorder:
        raw = bytes(decoder.reorder(raw))
    register = decoder.register
    if register.sentinels and int.from_bytes(raw, "big") in register.sentinels:
        return Reading.bad(Reason.SENTINEL, decoder.unit, timestamp)
    number = decoder.unpack(raw)[0]
    if decoder.states:
        return _state(decoder, int(number), timestamp)
    if register.bit is not None:
        return Reading.good(float(int(number) >> register.bit & 1), decoder.unit, timestamp)
    return judge(number * register.scale + register.offset, register, decoder.unit, decoder.factor, timestamp)


def _state(decoder: Decoder, code: int, timestamp: float) -> Reading:
    state = decoder.states.get(code)
    if state is None:
        return Reading.bad(Reason.OUT_OF_RANGE, decoder.unit, timestamp)
    return Reading.good(float(state), decoder.unit, timestamp)


def encode(register: ModbusRegister, value: float) -> tuple[int, ...]:
    """`value` (in the register's unit) as words for the wire.

    LocalProtocolError when the profile does not allow writing it or the type cannot carry it.
    """
    number = _raw_number(register, value)
    try:
        raw = _FORMATS[register.type].pack(number if register.type == "f32" else round(number))
    except (struct.error, OverflowError) as error:
        raise LocalProtocolError(f"{value} does not fit into {register.type}") from error
    if int.from_bytes(raw, "big") in register.sentinels:
        raise LocalProtocolError(f"{value} would be written as the mark for an invalid value")
    wire = bytes(itemgetter(*byte_order(register.order, register.width))(raw))
    return struct.unpack(f">{register.width}H", wire)


def _raw_number(register: ModbusRegister, value: float) -> float:
    write = register.write
    if write is None:
        raise LocalProtocolError("the profile does not allow writing this register")
    if write.states:
        if value not in write.states:
            raise LocalProtocolError(f"{value} is none of the states {sorted(write.states)}")
        return write.states[int(value)]
    if write.low is None or write.high is None or not write.low <= value <= write.high:
        raise LocalProtocolError(f"{value} is outside the writable range {write.low} to {write.high}")
    return (value - register.offset) / register.scale
