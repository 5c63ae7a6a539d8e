"""Registers become readings and come back; requests cover what was asked and split nothing."""

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import ConfigurationError, LocalProtocolError, Quality, Reading, Reason, Unit
from drivers.modbus.profile import WIDTH, ModbusRegister
from drivers.modbus.registers import Span, covers, decode, decoder, encode, plan

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
INTEGERS = {"u16": (0, 2**16 - 1), "i16": (-(2**15), 2**15 - 1), "u32": (0, 2**32 - 1)}
INTEGERS |= {"i32": (-(2**31), 2**31 - 1), "u64": (0, 2**53), "i64": (-(2**53), 2**53)}


def register(**values: object) -> ModbusRegister:
    base: dict[str, Any] = {"function": 3, "address": 0, "documented": "1", "type": "u16", "unit": "degC"}
    return ModbusRegister.model_validate(base | values)


def read(reg: ModbusRegister, *words: int, unit: Unit | None = None) -> Reading:
    data = struct.pack(f">{len(words)}H", *words)
    return decode(decoder(reg, unit or reg.unit), data, 0, 7.0)


@given(st.sampled_from(sorted(INTEGERS)), st.sampled_from(ORDERS), st.data())
def test_every_integer_survives_the_way_to_the_device_and_back(
    kind: str, order: str, data: st.DataObject
) -> None:
    low, high = INTEGERS[kind]
    value = data.draw(st.integers(low, high))
    write = {"function": 16, "low": low, "high": high}
    reg = register(type=kind, order=order, write=write)
    words = encode(reg, value)
    assert len(words) == WIDTH[kind]
    assert read(reg, *words).value == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from(ORDERS))
def test_every_finite_float_survives_the_way_to_the_device_and_back(value: float, order: str) -> None:
    write = {"function": 16, "low": -3.5e38, "high": 3.5e38}
    reg = register(type="f32", order=order, write=write)
    assert read(reg, *encode(reg, value)).value == value


@given(st.integers(0, 10_000))
def test_a_scaled_setpoint_is_read_back_as_it_was_written(hundredths: int) -> None:
    reg = register(scale=0.01, unit="%", write={"low": 0, "high": 100})
    value = read(reg, *encode(reg, hundredths / 100)).value
    assert value == pytest.approx(hundredths / 100, abs=1e-9)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("ABCD", (0x42F6, 0xE979)),
        ("CDAB", (0xE979, 0x42F6)),
        ("BADC", (0xF642, 0x79E9)),
        ("DCBA", (0x79E9, 0xF642)),
    ],
)
def test_the_four_word_orders_mean_what_the_makers_mean(order: str, words: tuple[int, int]) -> None:
    assert read(register(type="f32", order=order), *words).value == pytest.approx(123.456, abs=1e-4)


def test_low_word_first_reverses_all_four_words_of_a_long_value() -> None:
    assert read(register(type="u64", order="CDAB"), 4, 3, 2, 1).value == 0x0001_0002_0003_0004


@pytest.mark.parametrize("words", [(0x7FC0, 0), (0xFFC0, 1), (0x7F80, 0), (0xFF80, 0), (0x7F80, 1)])
def test_nan_and_infinities_are_bad_and_never_numbers(words: tuple[int, int]) -> None:
    reading = read(register(type="f32"), *words)
    assert (reading.value, reading.quality, reading.reason) == (None, Quality.BAD, Reason.NOT_A_NUMBER)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_any_two_words_as_a_float_are_a_finite_number_or_bad(high: int, low: int) -> None:
    reading = read(register(type="f32", low=-1e6, high=1e6), high, low)
    assert reading.value is None or abs(reading.value) <= 1e6


@pytest.mark.parametrize("kind", ["u16", "i16"])
def test_a_sentinel_is_bad_whatever_the_sign_of_the_type(kind: str) -> None:
    reading = read(register(type=kind, scale=0.1, sentinels=[0x8000]), 0x8000)
    assert reading.reason is Reason.SENTINEL


def test_a_sentinel_is_compared_after_the_word_order() -> None:
    assert (
        read(register(type="u32", order="CDAB", sentinels=[0x7FFFFFFF]), 0xFFFF, 0x7FFF).reason
        is Reason.SENTINEL
    )


@pytest.mark.parametrize(("raw", "reason"), [(100, Reason.NONE), (101, Reason.OUT_OF_RANGE)])
def test_the_range_is_inclusive_and_what_lies_outside_is_bad(raw: int, reason: Reason) -> None:
    assert read(register(low=0, high=100), raw).reason is reason


def test_the_range_holds_in_the_registers_unit_and_the_value_comes_in_the_points() -> None:
    reg = register(unit="l/h", low=0, high=5000)
    assert read(reg, 2500, unit=Unit.CUBIC_METRE_PER_HOUR).value == 2.5


def test_a_unit_of_another_kind_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ConfigurationError, match="different things"):
        decoder(register(unit="bar"), Unit.CELSIUS)


@given(st.integers(0, 0xFFFF), st.integers(0, 15))
def test_a_bit_of_a_word_is_a_state_of_0_or_1(word: int, bit: int) -> None:
    assert read(register(unit="state", bit=bit), word).value == (word >> bit) % 2


def test_a_coded_output_is_written_and_read_as_its_state() -> None:
    reg = register(unit="state", write={"states": {"0": 0x043C, "1": 0x047C}})
    assert encode(reg, 1.0) == (0x047C,)
    assert read(reg, 0x043C).value == 0.0
    assert read(reg, 0x0000).reason is Reason.OUT_OF_RANGE
    with pytest.raises(LocalProtocolError, match="none of the states"):
        encode(reg, 2.0)


@pytest.mark.parametrize("value", [-0.001, 100.001, math.nan, math.inf, -math.inf])
def test_nothing_outside_the_writable_range_is_encoded(value: float) -> None:
    with pytest.raises(LocalProtocolError):
        encode(register(scale=0.01, unit="%", write={"low": 0, "high": 100}), value)


def test_a_value_that_the_type_cannot_carry_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="does not fit"):
        encode(register(write={"low": 0, "high": 1e9}), 70_000)


def test_a_register_without_permission_is_not_written() -> None:
    with pytest.raises(LocalProtocolError, match="does not allow"):
        encode(register(), 1)


def test_the_mark_for_invalid_is_never_written_as_a_value() -> None:
    with pytest.raises(LocalProtocolError, match="invalid"):
        encode(register(sentinels=[0xFFFF], write={"low": 0, "high": 65535}), 65535)


SPANS = st.builds(
    Span, function=st.sampled_from([3, 4]), start=st.integers(0, 400), count=st.sampled_from([1, 2, 4])
)


@given(st.sets(SPANS, max_size=40), st.integers(4, 125), st.integers(-1, 50), st.data())
def test_requests_cover_everything_split_nothing_and_stay_within_the_limit(
    spans: set[Span], limit: int, holes: int, data: st.DataObject
) -> None:
    alone = frozenset(data.draw(st.sets(st.sampled_from(sorted(spans, key=repr))))) if spans else frozenset()
    blocks = plan(spans, limit, holes, alone)
    assert all(any(covers(block, item) for block in blocks) for item in spans)
    assert all(block.count <= limit for block in blocks)
    assert alone <= set(blocks)
    asked = {(b.function, a) for b in blocks for a in range(b.start, b.end)}
    wanted = {(s.function, a) for s in spans for a in range(s.start, s.end)}
    if holes <= 0:
        assert asked == wanted


@given(st.sets(SPANS, min_size=1, max_size=40), st.integers(4, 125), st.integers(0, 50))
def test_requests_read_through_no_hole_longer_than_allowed(spans: set[Span], limit: int, holes: int) -> None:
    wanted = {(s.function, a) for s in spans for a in range(s.start, s.end)}
    for block in plan(spans, limit, holes):
        run = 0
        for address in range(block.start, block.end):
            run = 0 if (block.function, address) in wanted else run + 1
            assert run <= holes


def test_neighbours_share_one_request_and_functions_do_not() -> None:
    spans = [Span(3, 0, 2), Span(3, 2, 2), Span(4, 4, 1), Span(3, 20, 1)]
    assert plan(spans, 125, 4) == [Span(3, 0, 4), Span(3, 20, 1), Span(4, 4, 1)]
