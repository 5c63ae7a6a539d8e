"""Frames and telegrams: what goes in comes out, in any portions, and what is spoilt is noticed."""

import struct
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers import ProtocolError, RemoteProtocolError, Unit, Verdict
from drivers.mbus import dates, frames, vif
from drivers.mbus.frames import ACK, Frame, Receiver, long, short
from drivers.mbus.records import Fault, Function, read_records
from drivers.mbus.telegram import decode, maker_code, maker_letters
from drivers.pieces import Piece
from drivers.tests.mbus_encode import (
    BCD_FIELDS,
    INT_FIELDS,
    bcd,
    dib,
    extended,
    identity,
    int_record,
    telegram,
)

WHO = identity("12345678.KAM.35.04")
bytes_ = st.integers(0, 255)
FRAMES = st.one_of(
    st.just(ACK),
    st.builds(short, bytes_, bytes_),
    st.builds(long, bytes_, bytes_, bytes_, st.binary(max_size=252)),
)


def received(data: bytes, cuts: list[int]) -> list[Frame]:
    """The frames in `data`, fed in portions."""
    receiver = Receiver()
    found: list[Piece[Frame]] = []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        found += receiver.feed(data[start:end])
    assert b"".join(piece.data for piece in found) + receiver.rest == data
    return [piece.frame for piece in found if piece.frame is not None]


@given(st.lists(FRAMES, max_size=4), st.lists(st.integers(0, 2000), max_size=5))
def test_frames_come_back_in_any_portions(sent: list[Frame], cuts: list[int]) -> None:
    assert received(b"".join(map(frames.encode, sent)), cuts) == sent


@given(FRAMES, st.binary(min_size=1, max_size=20).filter(lambda junk: not {0x10, 0x68, 0xE5} & set(junk)))
def test_junk_before_a_frame_is_passed_over_but_an_acknowledgement_behind_junk_is_not_believed(
    frame: Frame, junk: bytes
) -> None:
    assert received(junk + frames.encode(frame), []) == ([] if frame == ACK else [frame])


@given(st.builds(long, bytes_, bytes_, bytes_, st.binary(max_size=40)), st.data())
def test_one_wrong_byte_anywhere_in_a_frame_never_yields_a_frame(frame: Frame, data: st.DataObject) -> None:
    spoilt = bytearray(frames.encode(frame))
    place = data.draw(st.integers(0, len(spoilt) - 1))
    spoilt[place] ^= data.draw(st.integers(1, 255))
    long_ones = [found for found in received(bytes(spoilt), []) if found.kind is frames.Kind.LONG]
    assert long_ones == []
    with pytest.raises(RemoteProtocolError):
        frames.decode(bytes(spoilt))


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=3))
def test_no_bytes_upset_the_receiver_and_portions_make_no_difference(data: bytes, cuts: list[int]) -> None:
    assert received(data, cuts) == received(data, [])


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        ("68 03 03 68 08 01 72 7b 15", Verdict.CHECKSUM),  # wrong stop
        ("68 03 03 68 08 01 72 7c 16", Verdict.CHECKSUM),
        ("68 03 04 68", Verdict.MALFORMED),
        ("68 02 02 68", Verdict.MALFORMED),  # too short for C, A and CI
        ("00 ff", Verdict.MALFORMED),
    ],
)
def test_what_is_no_frame_has_its_verdict(data: str, verdict: Verdict) -> None:
    pieces = Receiver().feed(bytes.fromhex(data))
    assert pieces[0].verdict is verdict
    assert all(piece.frame is None for piece in pieces)


PLACE = st.fixed_dictionaries(
    {
        "function": st.sampled_from([str(f) for f in Function]),
        "storage": st.integers(0, 2**20),
        "tariff": st.integers(0, 2**10),
        "subunit": st.integers(0, 2**6),
    }
)


def number(measure: vif.Measure) -> bool:
    return measure.symbol not in ("", vif.MOMENT)


VIBS = st.sampled_from(
    [(bytes((code,)), measure) for code, measure in vif.PRIMARY.items() if number(measure)]
    + [(bytes((first, code)), m) for first, t in vif.EXTENSIONS.items() for code, m in t.items() if number(m)]
)
FORWARD = {(): b"", ("forward",): b"\x3b", ("backward", "maker:42"): b"\x3c\x7f\x42"}


def vib(code: bytes, qualifiers: tuple[str, ...]) -> bytes:
    extension = FORWARD[qualifiers]
    return code[:-1] + extended(code[-1:] + extension)


@given(PLACE, VIBS, st.sampled_from(sorted(FORWARD)), st.sampled_from(sorted(INT_FIELDS)), st.data())
def test_a_record_of_an_integer_comes_back_exactly(
    place: dict[str, Any],
    code: tuple[bytes, vif.Measure],
    qualifiers: tuple[str, ...],
    size: int,
    data: st.DataObject,
) -> None:
    limit = 2 ** (8 * size - 1)
    number = data.draw(st.integers(1 - limit, limit - 1))
    raw = (
        dib(INT_FIELDS[size], **place)
        + vib(code[0], qualifiers)
        + number.to_bytes(size, "little", signed=True)
    )
    (record,) = decode(telegram(3, WHO, raw)).records
    found = {"function": record.function, "storage": record.storage, "tariff": record.tariff}
    assert found | {"subunit": record.subunit} == place
    assert (record.quantity, record.symbol, record.qualifiers) == (
        code[1].quantity,
        code[1].symbol,
        qualifiers,
    )
    assert isinstance(record.value, Decimal)
    assert Fraction(record.value) == number * Fraction(10) ** code[1].exponent


@given(st.lists(st.tuples(PLACE, VIBS, st.integers(-(2**31) + 1, 2**31 - 1)), max_size=12), bytes_, bytes_)
def test_a_whole_telegram_comes_back(
    sent: list[tuple[dict[str, Any], tuple[bytes, vif.Measure], int]], access: int, status: int
) -> None:
    body = b"".join(int_record(code, number_, **place) for place, (code, _), number_ in sent)
    if len(body) > 240:
        return
    found = decode(telegram(7, WHO, b"\x2f" + body + b"\x0f\xff", access, status))
    assert (found.address, str(found.identity)) == (7, "12345678.KAM.35.04")
    assert (found.access, found.status, found.maker_data, found.more) == (access, status, b"\xff", False)
    assert [r.quantity for r in found.records] == [measure.quantity for _, (_, measure), _ in sent]
    assert [r.storage for r in found.records] == [place["storage"] for place, _, _ in sent]
    values = [Fraction(r.value) for r in found.records if isinstance(r.value, Decimal)]
    assert values == [number_ * Fraction(10) ** measure.exponent for _, (_, measure), number_ in sent]


@given(VIBS, st.sampled_from(sorted(BCD_FIELDS)), st.data())
def test_decimal_digits_with_their_sign_come_back_exactly(
    code: tuple[bytes, vif.Measure], size: int, data: st.DataObject
) -> None:
    number = data.draw(st.integers(1 - 10 ** (2 * size - 1), 10 ** (2 * size) - 1))
    (record,) = read_records(dib(BCD_FIELDS[size]) + code[0] + bcd(number, size)).records
    assert isinstance(record.value, Decimal)
    assert Fraction(record.value) == number * Fraction(10) ** code[1].exponent
    assert record.rolls_over is not None
    assert Fraction(record.rolls_over) == Fraction(10) ** (2 * size + code[1].exponent)


@given(st.floats(width=32))
def test_a_real_number_comes_back_exactly_and_what_is_none_has_no_value(number: float) -> None:
    (record,) = read_records(dib(5) + b"\x16" + struct.pack("<f", number)).records
    if record.fault is None:
        assert isinstance(record.value, Decimal)
        assert float(record.value) == number
    else:
        assert record.fault is Fault.NOT_A_NUMBER
        assert number != number or abs(number) == float("inf")


@given(st.binary(min_size=1, max_size=6))
def test_a_digit_above_nine_is_never_a_number(data: bytes) -> None:
    digits = data[::-1].hex()
    body = digits[1:] if digits[0] == "f" else digits
    field = {1: 0x9, 2: 0xA, 3: 0xB, 4: 0xC, 6: 0xE}.get(len(data))
    if field is not None:
        (record,) = read_records(bytes((field, 0x06)) + data).records
        assert (record.value is None) == (not body.isdecimal())
        assert record.fault is (None if body.isdecimal() else Fault.BCD)


@given(st.binary(max_size=260))
@example(bytes.fromhex("68010168081624"))
def test_no_bytes_make_the_decoder_raise_anything_but_a_protocol_error(data: bytes) -> None:
    for telegram_ in (data, frames.encode(long(0x08, 1, 0x72, data[:252])), telegram(1, WHO, data[:240])):
        try:
            decode(telegram_)
        except ProtocolError:
            continue


@pytest.mark.parametrize(
    ("body", "value", "symbol", "quantity"),
    [
        ("04 86 3b 39 30 00 00", Decimal(12345), "kWh", "energy"),
        ("04 8e 3c 39 30 00 00", Decimal(12345), "MJ", "energy"),
        ("04 fb 8d 3b 39 30 00 00", Decimal("12.345"), "Gcal", "energy"),  # Danfoss SonoMeter 40: Mcal
        ("04 fb 09 39 30 00 00", Decimal(12345), "GJ", "energy"),
        ("04 fb 01 39 30 00 00", Decimal(12345), "MWh", "energy"),
        ("04 86 7d 39 30 00 00", Decimal(12345000), "kWh", "energy"),
        ("04 86 74 39 30 00 00", Decimal("123.45"), "kWh", "energy"),
        ("34 fd 17 01 00 00 80", Decimal(0x80000001), "", "error_flags"),
        ("01 74 04", Decimal(4), "s", "actuality_duration"),
        ("0c 22 67 01 00 00", Decimal(167), "h", "on_time"),
        ("02 fd 6c 0a 00", Decimal(10), "h", "battery_operating_time"),
        ("06 06 ff ff ff ff ff 7f", Decimal(2**47 - 1), "kWh", "energy"),
        ("0d 06 c3 56 34 12", Decimal(123456), "kWh", "energy"),
        ("0d 06 d3 56 34 12", Decimal(-123456), "kWh", "energy"),
    ],
)
def test_records_as_heat_meters_send_them(body: str, value: Decimal, symbol: str, quantity: str) -> None:
    (record,) = read_records(bytes.fromhex(body)).records
    assert (record.value, record.symbol, record.quantity) == (value, symbol, quantity)


@pytest.mark.parametrize(
    ("code", "error"), [(0x15, "no data available"), (0x18, "data error"), (0x1F, "error 1F"), (0x00, "")]
)
def test_an_error_code_among_the_vifes_takes_the_value_away(code: int, error: str) -> None:
    (record,) = read_records(bytes((0x04, 0x86, code)) + bytes(4)).records
    assert (record.fault is Fault.REFUSED, record.error) == (bool(error), error)


def test_plain_text_units_makers_data_fillers_and_more_to_come_are_told_apart() -> None:
    block = read_records(bytes.fromhex("2f 02 fc 03 48 52 25 74 44 0d 2f 01 7c 01 41 05 1f 01 02 2f"))
    humidity, other = block.records
    assert (humidity.quantity, humidity.qualifiers, humidity.value) == (
        "text",
        ("text:%RH",),
        Decimal("33.96"),
    )
    assert other.qualifiers == ("text:A",)
    assert (block.more, block.maker_data) == (True, b"\x01\x02\x2f")


@pytest.mark.parametrize("body", ["3f", "7f", "04", "04 06 00", "0d 06 fb", "0d 06 05 41", "04" + " 86" * 12])
def test_records_that_are_not_whole_or_not_allowed_refuse_the_telegram(body: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read_records(bytes.fromhex(body))


@pytest.mark.parametrize("ci", [0x70, 0x71, 0x76, 0x77, 0x78, 0x7A, 0x51])
def test_other_services_than_72_and_73_are_refused_by_name(ci: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"CI {ci:02X}|application error"):
        decode(frames.encode(long(0x08, 1, ci, bytes(16))))


def test_an_encrypted_telegram_is_refused() -> None:
    data = bytearray(telegram(1, WHO, int_record(b"\x06", 1)))
    data[17:19] = b"\x10\x05"
    data[-2] = sum(data[4:-2]) & 0xFF
    with pytest.raises(RemoteProtocolError, match="encrypted"):
        decode(bytes(data))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("32 0b cf 2b", "2022-11-15T11:50:00"),
        ("b2 0b cf 2b", None),  # marked invalid
        ("cf 2b", "2022-11-15"),
        ("9f cc", None),  # the year 100 is none
        ("00 00", None),
        ("ff ff", None),
        ("0c 08 0a f4 25 00", "2023-05-20T10:08:12"),
        ("0c 08 0a", "10:08:12"),
        ("01", None),
    ],
)
def test_dates_are_what_the_calendar_has(data: str, text: str | None) -> None:
    moment = dates.decode(bytes.fromhex(data))
    assert (None if moment is None else moment.isoformat()) == text


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3))
def test_a_makers_letters_are_its_number(letters: str) -> None:
    assert maker_letters(maker_code(letters)) == letters
    assert maker_letters(0x2C2D) == "KAM"


@pytest.mark.parametrize(
    ("number", "symbol", "unit", "value"),
    [
        (3600, "J/h", Unit.WATT, 1),
        (1, "m3/min", Unit.CUBIC_METRE_PER_HOUR, 60),
        (212, "degF", Unit.CELSIUS, 100),
        (9, "F difference", Unit.KELVIN_DIFFERENCE, 5),
        (1, "d", Unit.HOUR, 24),
        (1, "GJ/h", Unit.MEGAWATT, Fraction(10, 36)),
        (1000, "gal", Unit.CUBIC_METRE, Fraction(3785411784, 10**9)),
        (7, "", Unit.STATE, 7),
    ],
)
def test_foreign_units_are_converted_exactly(number: int, symbol: str, unit: Unit, value: Fraction) -> None:
    assert vif.convert(Fraction(number), symbol, unit) == value
    with pytest.raises(ValueError, match="conversion"):
        vif.convert(Fraction(1), symbol, Unit.AMPERE)


def test_every_vife_of_the_table_is_read_and_none_twice() -> None:
    named = [vif.read_vifes([code], maker=False) for code in range(0x20, 0x80)]
    texts = [text for found in named for text in found.qualifiers]
    assert len(texts) == len(set(texts))
    assert vif.read_vifes([0x41], maker=False).qualifiers == ("lower limit exceeded count",)
    assert vif.read_vifes([0x4F], maker=False).qualifiers == ("end of last upper limit exceeded",)
    assert vif.read_vifes([0x7C, 0x3B, 0x3B], maker=False).qualifiers == ("extended:3B", "forward")
