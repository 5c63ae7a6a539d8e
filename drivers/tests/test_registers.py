"""Registers become readings and come back; requests cover what was asked and split nothing."""

import math
import struct
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import ConfigurationError, LocalProtocolError, Quality, Reading, Reason, Unit
from drivers.modbus.profile import WIDTH, ModbusRegister
from drivers.modbus.registers import Span, covers, decode, decode_coil, decoder, encode, plan
from drivers.reading import Total
from drivers.units import factor

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
INTEGERS = {"u16": (0, 2**16 - 1), "i16": (-(2**15), 2**15 - 1), "u32": (0, 2**32 - 1)}
WIDE: dict[str, object] = {"function": 16, "low": -1e19, "high": 1e19}
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


SCALES = st.sampled_from([0.001, 0.01, 0.1, 0.25, 0.3, 1.0, 3.6, 10.0, 1000.0, -0.1])
OFFSETS = st.sampled_from([0.0, -273.15, 0.1, 100.0])


@given(st.sampled_from(sorted(INTEGERS)), st.sampled_from(ORDERS), SCALES, OFFSETS, st.data())
def test_a_scaled_integer_is_the_decimal_result_rounded_once(
    kind: str, order: str, scale: float, offset: float, data: st.DataObject
) -> None:
    raw = data.draw(st.integers(*INTEGERS[kind]))
    reg = register(type=kind, order=order, scale=scale, offset=offset)
    words = encode(register(type=kind, order=order, write=WIDE), raw)
    exact = raw * Fraction(repr(scale)) + Fraction(repr(offset))
    assert read(reg, *words).value == float(exact)


def test_hundredths_of_a_large_counter_gain_no_digits() -> None:
    assert read(register(type="u32", scale=0.01), 0x4996, 0x02D2).value == 12345678.9
    assert read(register(scale=0.1), 3).value == 0.3


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), SCALES, OFFSETS)
def test_a_scaled_float_is_rounded_once_too(raw: float, scale: float, offset: float) -> None:
    words = struct.unpack(">2H", struct.pack(">f", raw))
    exact = Fraction(raw) * Fraction(repr(scale)) + Fraction(repr(offset))
    assert read(register(type="f32", scale=scale, offset=offset), *words).value == float(exact)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["kWh", "MWh", "MJ", "GJ", "Gcal"]))
def test_a_unit_is_converted_without_a_second_rounding(raw: int, unit: str) -> None:
    reg = register(type="u32", scale=0.001, unit=unit)
    exact = Fraction(raw, 1000) * factor(Unit(unit), Unit.KILOWATT_HOUR)
    assert read(reg, raw >> 16, raw & 0xFFFF, unit=Unit.KILOWATT_HOUR).value == float(exact)


@pytest.mark.parametrize(
    ("scale", "low", "high", "raw", "reason"),
    [
        (0.1, 0.3, 0.7, 3, Reason.NONE),  # 3 * 0.1 is more than 0.3 in floats
        (0.1, 0.3, 0.7, 7, Reason.NONE),
        (0.1, 0.3, 0.7, 8, Reason.OUT_OF_RANGE),
        (0.1, 0.3, 0.7, 2, Reason.OUT_OF_RANGE),
        (-0.1, -0.7, -0.3, 3, Reason.NONE),
        (-0.1, -0.7, -0.3, 2, Reason.OUT_OF_RANGE),
        (-0.1, None, -0.3, 65535, Reason.NONE),
    ],
)
def test_limits_are_the_decimals_that_were_written(
    scale: float, low: float | None, high: float, raw: int, reason: Reason
) -> None:
    assert read(register(scale=scale, low=low, high=high), raw).reason is reason


def test_a_scale_beyond_every_float_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ConfigurationError, match="larger than a float"):
        decoder(register(type="u64", scale=1e300), Unit.CELSIUS)


@pytest.mark.parametrize(
    ("kind", "order", "words", "value"),
    [
        ("bcd16", "ABCD", (0x1234,), 1234.0),
        ("bcd16", "BADC", (0x3412,), 1234.0),
        ("bcd32", "ABCD", (0x0012, 0x3456), 123456.0),
        ("bcd32", "CDAB", (0x3456, 0x0012), 123456.0),
    ],
)
def test_bcd_reads_as_its_digits(kind: str, order: str, words: tuple[int, ...], value: float) -> None:
    assert read(register(type=kind, order=order), *words).value == value


@given(st.integers(0, 0xFFFFFFFF))
def test_a_bcd_word_is_its_digits_or_bad_and_goes_back_as_it_came(raw: int) -> None:
    reg = register(type="bcd32", write=WIDE)
    reading = read(reg, raw >> 16, raw & 0xFFFF)
    if any(digit in "abcdef" for digit in f"{raw:08x}"):
        assert (reading.value, reading.reason) == (None, Reason.NOT_A_NUMBER)
    else:
        assert reading.value is not None
        assert encode(reg, reading.value) == (raw >> 16, raw & 0xFFFF)


def test_a_bcd_mark_that_is_no_number_is_a_sentinel() -> None:
    assert read(register(type="bcd16", sentinels=[0xFFFF]), 0xFFFF).reason is Reason.SENTINEL


@pytest.mark.parametrize(("kind", "value"), [("bcd16", 10_000), ("bcd16", -1), ("bcd32", 1e8)])
def test_what_bcd_cannot_carry_is_refused(kind: str, value: float) -> None:
    with pytest.raises(LocalProtocolError, match="does not fit"):
        encode(register(type=kind, write=WIDE), value)


@given(st.binary(min_size=1, max_size=20), st.data())
def test_a_coil_is_its_bit_of_the_answer_lowest_first(bits: bytes, data: st.DataObject) -> None:
    reg = register(function=2, type="bool", unit="state")
    position = data.draw(st.integers(0, 8 * len(bits) - 1))
    reading = decode_coil(decoder(reg, Unit.STATE), bytes((len(bits),)) + bits, position, 7.0)
    assert reading == Reading.good(float(int.from_bytes(bits, "little") >> position & 1), Unit.STATE, 7.0)


def test_a_coil_is_written_as_ff00_or_0000_and_as_nothing_else() -> None:
    reg = register(function=1, type="bool", unit="state", write={"function": 5})
    assert (encode(reg, 1.0), encode(reg, 0.0)) == ((0xFF00,), (0x0000,))
    with pytest.raises(LocalProtocolError, match="none of the states"):
        encode(reg, 0.5)


@pytest.mark.parametrize(
    ("scale", "value", "words"),
    [
        (0.01, 1.15, (115,)),  # 1.15 / 0.01 is 114.99999999999999 in floats
        (0.1, 0.3, (3,)),
        (3.0, 100.0, (33,)),
        (7.0, 100.0, (14,)),
    ],
)
def test_a_value_is_written_as_the_nearest_the_type_knows(
    scale: float, value: float, words: tuple[int, ...]
) -> None:
    assert encode(register(scale=scale, write={"low": 0, "high": 100}), value) == words


def test_rounding_never_leaves_the_writable_range() -> None:
    reg = register(scale=7.0, write={"low": 10, "high": 104})
    assert (encode(reg, 104), encode(reg, 10)) == ((14,), (2,))  # 98 and 14, not 105 and 7


def test_a_value_in_another_unit_is_converted_exactly_before_it_is_judged() -> None:
    reg = register(unit="%", scale=0.1, write={"low": 0, "high": 7})
    assert encode(reg, 0.07, Unit.ONE) == (70,)  # 0.07 * 100 is 7.000000000000001 in floats


COUNTER: dict[str, object] = {"total": {"rolls_over": "99999999.9"}, "unit": "MWh"}


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.001, 0.01, 0.1, 1.0, 10.0]))
def test_a_totaliser_shows_its_digits_in_its_own_unit(raw: int, scale: float) -> None:
    reg = register(type="u32", scale=scale, **COUNTER)
    reading = read(reg, raw >> 16, raw & 0xFFFF, unit=Unit.KILOWATT_HOUR)
    number = raw * Decimal(repr(scale))
    assert reading.total == Total(number, Unit.MEGAWATT_HOUR, Decimal("99999999.9"))
    assert reading.value == float(number * 1000)
    assert reading.unit is Unit.KILOWATT_HOUR


def test_a_maker_who_does_not_say_where_it_rolls_over_is_not_spoken_for() -> None:
    total = read(register(total={}, unit="kWh"), 17).total
    assert total == Total(Decimal(17), Unit.KILOWATT_HOUR, None)


@pytest.mark.parametrize(
    ("shown", "digits"),
    [
        (0.1, "0.1"),
        (12345.67, "12345.67"),
        (16777216.0, "16777216"),
        (5.0, "5"),
        (120_000_000.0, "120000000"),
        (1234567.9, "1234567.9"),
    ],
)
def test_a_float_total_is_the_decimal_its_device_meant(shown: float, digits: str) -> None:
    words = struct.unpack(">2H", struct.pack(">f", shown))
    reading = read(register(type="f32", total={}, unit="MWh"), *words, unit=Unit.KILOWATT_HOUR)
    assert reading.total is not None
    assert reading.total.number == Decimal(digits)
    assert str(reading.total.number) == digits  # no step larger than 1 is read into round figures
    assert reading.value == float(Decimal(digits) * 1000)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_total_is_that_float_and_no_other(shown: float) -> None:
    words = struct.unpack(">2H", struct.pack(">f", shown))
    total = read(register(type="f32", total={}, unit="kWh"), *words).total
    assert total is not None
    assert math.isfinite(total.number)
    if abs(shown) < 3.4e38:  # beyond, packing a decimal may overflow
        assert struct.pack(">f", float(total.number)) == struct.pack(">f", shown)


def test_a_totaliser_out_of_range_or_marked_shows_no_total() -> None:
    reg = register(total={}, unit="kWh", high=100, sentinels=[50])
    assert [read(reg, raw).total for raw in (101, 50)] == [None, None]


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
