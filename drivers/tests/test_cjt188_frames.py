"""The frame codec: round trips, any split, any noise; and numbers, addresses, meanings."""

import tomllib
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import ProtocolError, Reason, RemoteProtocolError, Unit, Verdict
from drivers.cjt188.address import Scheme, from_wire, to_wire
from drivers.cjt188.explain import KEYS, explain
from drivers.cjt188.frames import LONGEST_DATA, WILDCARD, Frame, Receiver, decode, encode, request
from drivers.cjt188.units import UNIT_CODES, Kind
from drivers.cjt188.values import bcd, candidates
from drivers.cjt188.values import decode as decode_heat
from drivers.pieces import Piece
from drivers.tests.cjt188_meters import answer, heat_payload

BYTE = st.integers(0, 255)
FRAMES = st.builds(Frame, BYTE, st.binary(min_size=7, max_size=7), BYTE, st.binary(max_size=LONGEST_DATA))
QUIET = st.binary(max_size=24).map(lambda noise: noise.replace(b"\x68", b"\xfe"))  # without a start

BUSY = st.lists(st.sampled_from([0x68, 0x16, 0xFE, 0x00, 0x03, 0x20]), max_size=40).map(bytes)
NOISE = st.one_of(FRAMES.map(encode), BUSY, st.binary(max_size=40))


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def fed(parts: list[bytes]) -> list[Piece[Frame]]:
    receiver = Receiver()
    return [piece for part in parts for piece in receiver.feed(part)]


@given(FRAMES, st.integers(0, 14), QUIET)
def test_a_frame_comes_back_as_it_was_sent_whatever_stands_before_it(
    frame: Frame, wake: int, noise: bytes
) -> None:
    assert decode(noise + encode(frame, wake)) == frame


@given(st.lists(NOISE, max_size=8).map(b"".join), st.lists(st.integers(0, 400), max_size=12))
def test_what_is_found_in_a_stream_does_not_hang_on_how_it_was_split(data: bytes, cuts: list[int]) -> None:
    assert fed(split(data, cuts)) == fed([data])


@given(st.lists(NOISE, max_size=8))
def test_every_byte_is_in_one_piece_or_still_undecided(parts: list[bytes]) -> None:
    receiver = Receiver()
    told = b"".join(piece.data for part in parts for piece in receiver.feed(part))
    assert told + receiver.rest == b"".join(parts)


@given(FRAMES, st.data())
def test_one_flipped_bit_never_makes_another_frame(frame: Frame, data: st.DataObject) -> None:
    sound = encode(frame)
    place = data.draw(st.integers(0, len(sound) * 8 - 1))
    spoilt = bytearray(sound)
    spoilt[place // 8] ^= 1 << place % 8
    frames = [piece.frame for piece in fed([bytes(spoilt)]) if piece.frame is not None]
    assert frame not in frames
    assert all(len(found.data) < len(frame.data) for found in frames)  # at most one that lay inside its data


@given(FRAMES)
def test_a_frame_that_is_cut_short_is_no_frame(frame: Frame) -> None:
    sound = encode(frame)
    frames = [piece.frame for piece in fed([sound[:-1]])]
    assert frame not in frames


@given(st.one_of(st.binary(max_size=600), st.lists(NOISE, max_size=8).map(b"".join)))
def test_no_bytes_at_all_make_the_codec_fail(data: bytes) -> None:
    fed([data])
    explain(data)
    candidates(data)
    try:
        decode_heat(decode(data).payload)
    except ProtocolError:
        return


@given(st.binary(min_size=42, max_size=43), st.sampled_from(["value_unit", "unit_value", None]))
def test_no_payload_makes_a_number_of_what_is_none(payload: bytes, layout: str | None) -> None:
    try:
        heat = decode_heat(payload, layout)  # type: ignore[arg-type]
    except RemoteProtocolError:
        return
    for amount in heat.amounts.values():
        assert (amount.number is None) == (amount.reason is not Reason.NONE)
        assert amount.number is None or 0 <= amount.number < amount.rolls_over


def test_a_frame_after_a_spoilt_one_is_found() -> None:
    spoilt = bytearray(answer("1", 0))
    spoilt[-2] ^= 1
    pieces = fed([bytes(spoilt) + answer("2", 0)])
    assert [piece.verdict for piece in pieces] == [Verdict.CHECKSUM, Verdict.ANSWER]


def test_a_converter_that_greets_with_a_start_byte_does_not_hide_the_answer() -> None:
    pieces = fed([b"hello, this is channel 4: " + answer("2", 0)])
    assert pieces[-1].verdict is Verdict.ANSWER


def test_noise_without_a_start_is_let_go() -> None:
    receiver = Receiver()
    pieces = receiver.feed(b"\xfe" * 1000)
    assert {piece.verdict for piece in pieces} == {Verdict.MALFORMED}
    assert len(receiver.rest) < 256


def test_a_refusal_is_called_one() -> None:
    pieces = fed([encode(Frame(0x20, bytes(7), 0xC1, b"\x05\x04\x00"))])
    assert pieces[0].verdict is Verdict.REFUSED
    assert pieces[0].frame is not None
    assert (pieces[0].frame.sequence, pieces[0].frame.payload) == (5, b"\x04\x00")


def test_the_monitors_catalogue_has_every_meaning_with_its_fields() -> None:
    path = Path(__file__).parents[2] / "config" / "texts" / "fieldwork_cjt188.toml"
    texts = tomllib.loads(path.read_text(encoding="utf-8"))
    assert set(texts) == KEYS
    refusal = encode(Frame(0x20, bytes(7), 0xC1, b"\x01\x02\x03"))
    asked = encode(request(0x20, WILDCARD, 3, 0x810A, 0, little=False))
    found = encode(Frame(0x20, bytes(7), 0x83, b"\x81\x0a\x00"))
    meanings = [explain(data) for data in (answer("1", 0), refusal, asked, found, b"\xfe")]
    assert {meaning.key for meaning in meanings} == KEYS
    for meaning in meanings:
        for text in texts[meaning.key].values():
            assert {name for _, name, _, _ in Formatter().parse(text) if name} <= set(meaning.values)


@pytest.mark.parametrize("frame", [Frame(0x20, b"\x01", 1, b""), Frame(0x20, bytes(7), 1, bytes(101))])
def test_what_the_standard_forbids_is_not_sent(frame: Frame) -> None:
    with pytest.raises(ValueError, match="not a frame"):
        encode(frame)


def test_a_request_is_the_one_printed_in_public_articles() -> None:
    address = to_wire("40314132", "standard")
    assert encode(request(0x20, address, 1, 0x901F, 1, little=False), 4) == bytes.fromhex(
        "FE FE FE FE 68 20 32 41 31 40 00 00 00 01 03 90 1F 01 20 16"
    )
    assert encode(request(0x20, WILDCARD, 1, 0x901F, 0, little=True), 2) == bytes.fromhex(
        "FE FE 68 20 AA AA AA AA AA AA AA 01 03 1F 90 00 E1 16"
    )


@pytest.mark.parametrize(
    ("scheme", "number", "wire"),
    [
        ("standard", "40314132", "32 41 31 40 00 00 00"),
        ("standard", "11110059200991", "91 09 20 59 00 11 11"),
        ("runa", "59200991", "91 09 20 59 00 11 11"),
        ("huizhong", "130156920", "FF FF F1 30 15 69 20"),
        ("maituo", "12345678", "12 34 56 78 00 11 11"),
        ("maituo", "AAAAAAAAAAAAAA", "AA AA AA AA AA AA AA"),
    ],
)
def test_the_number_on_the_meter_goes_onto_the_wire_as_its_maker_does_it(
    scheme: Scheme, number: str, wire: str
) -> None:
    assert to_wire(number, scheme) == bytes.fromhex(wire)


@given(st.sampled_from([("standard", 14), ("runa", 10), ("huizhong", 9), ("maituo", 8)]), st.data())
def test_every_number_comes_back_from_the_wire(scheme: tuple[Scheme, int], data: st.DataObject) -> None:
    name, digits = scheme
    number = data.draw(st.text("0123456789", min_size=digits, max_size=digits))
    assert from_wire(to_wire(number, name), name) == number


@pytest.mark.parametrize("number", ["", "12a", "123456789012345", "１２３", "AAAAAAAAAAAAAG", "-1"])
def test_what_is_no_meter_number_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match=r"number|digits"):
        to_wire(number, "standard")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("78 56 34 12", 12345678),
        ("00 00 00 00", 0),
        ("FF FF FF FF", Reason.SENTINEL),
        ("FF FF FF", Reason.SENTINEL),
        ("00 00 00 80", Reason.SENTINEL),
        ("01 00 00 80", 80000001),
        ("0A 00 00 00", Reason.NOT_A_NUMBER),
        ("00 00 00 F0", Reason.NOT_A_NUMBER),
        ("FF FF FF 0F", Reason.NOT_A_NUMBER),
    ],
)
def test_digits_that_are_none_are_never_a_number(data: str, expected: int | Reason) -> None:
    assert bcd(bytes.fromhex(data)) == expected


@given(st.integers(0, 99_999_999), st.sampled_from(sorted(UNIT_CODES)))
def test_every_amount_is_exact_in_the_meters_own_unit(digits: int, code: int) -> None:
    unit = UNIT_CODES[code]
    place = {Kind.ENERGY: 1, Kind.POWER: 2, Kind.FLOW: 3, Kind.VOLUME: 4}[unit.kind]
    digits = 0 if digits == 80_000_000 else digits
    heat = decode_heat(heat_payload(amounts={place: (digits, code)}), "value_unit")
    amount = list(heat.amounts.values())[place]
    decimals = 4 if unit.kind is Kind.FLOW else 2
    assert amount.number == Decimal(digits) * Decimal(10) ** (unit.exponent - decimals)
    assert amount.rolls_over == Decimal(10) ** (8 + unit.exponent - decimals)
    assert amount.unit is unit.unit


def test_a_kilowatt_hour_meter_rolls_over_at_a_million() -> None:
    heat = decode_heat(heat_payload(amounts={1: (99_999_999, 0x05)}))
    assert heat.amounts["energy"].number == Decimal("999999.99")
    assert heat.amounts["energy"].rolls_over == 1_000_000


def test_an_unknown_unit_code_costs_its_own_amount_only_where_the_layout_is_given() -> None:
    payload = heat_payload(amounts={2: (100, 0x77)})
    with pytest.raises(RemoteProtocolError, match="layout"):
        decode_heat(payload)
    heat = decode_heat(payload, "value_unit")
    assert heat.amounts["power"].reason is Reason.PROTOCOL
    assert heat.amounts["flow"].number is not None


def test_an_answer_that_fits_both_layouts_is_not_guessed() -> None:
    # each group of five begins and ends with a unit code of its kind: 05..05 05..05 17..17 35..35 2C..2C
    groups = "05 00 00 00 05 05 00 00 00 05 17 00 00 00 17 35 00 00 00 35 2C 00 00 00 2C"
    payload = bytes.fromhex(groups) + bytes(18)
    with pytest.raises(RemoteProtocolError, match="both"):
        decode_heat(payload)
    assert {c.heat.layout for c in candidates(payload)} == {"value_unit", "unit_value"}


def test_a_status_of_one_byte_is_taken() -> None:
    heat = decode_heat(heat_payload()[:-1])
    assert heat.status == b"\x00"
    assert heat.bit(3) is False
    assert heat.bit(9) is None


def test_a_clock_that_is_none_spoils_nothing_else() -> None:
    payload = bytearray(heat_payload())
    payload[34:41] = b"\xff" * 7
    heat = decode_heat(bytes(payload))
    assert heat.clock is None
    assert heat.amounts["supply_temperature"].unit is Unit.CELSIUS


def test_the_monitor_says_what_a_heat_meter_answered() -> None:
    meaning = explain(answer("12345678", 7))
    assert meaning.key == "cjt188.heat"
    assert meaning.values["energy"] == "1234.56 kWh"
    assert meaning.values["sequence"] == "07"
    assert explain(b"\xfe\xfe").key == "cjt188.junk"
    asked = encode(request(0x20, WILDCARD, 3, 0x810A, 0, little=False))
    assert explain(asked).key == "cjt188.request"
    assert explain(encode(Frame(0x20, bytes(7), 0xC1, b"\x01\x02\x03"))).key == "cjt188.refused"
