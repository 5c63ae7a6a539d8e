"""The codec of Modbus framing: the same pieces however the bytes were cut, and no answer but the awaited."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.frames import Frames, Piece, RtuFrames, TcpFrames, answer_size, take_apart
from drivers.modbus.registers import Span
from drivers.modbus.request import Request, checks
from drivers.tests.slaves import rtu, tcp
from drivers.traffic import Verdict

REQUEST = Request.read(5, Span(3, 100, 2))
PAYLOAD = b"\x04\x12\x34\x56\x78"
ANSWER = b"\x03" + PAYLOAD
RIGHT = {"rtu": rtu(5, ANSWER), "tcp": tcp(1, 5, ANSWER)}

frame = st.builds(
    lambda unit, function, rest: rtu(unit, bytes((function,)) + rest),
    st.integers(0, 255),
    st.sampled_from([1, 2, 3, 4, 5, 6, 15, 16, 0x83, 0x84, 0x90, 99]),
    st.one_of(st.just(PAYLOAD), st.binary(min_size=1, max_size=8)),
)
tcp_frame = st.builds(
    tcp,
    st.integers(0, 3),
    st.sampled_from([0, 5, 6]),
    st.one_of(st.just(ANSWER), st.just(b"\x83\x02"), st.binary(min_size=1, max_size=9)),
)
streams = {
    "rtu": st.lists(st.one_of(st.binary(max_size=12), frame, st.just(RIGHT["rtu"]))).map(b"".join),
    "tcp": st.lists(st.one_of(st.binary(max_size=12), tcp_frame, st.just(RIGHT["tcp"]))).map(b"".join),
}


def made(framing: str) -> Frames:
    frames: Frames = RtuFrames() if framing == "rtu" else TcpFrames()
    frames.ask(REQUEST)
    return frames


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(ends)]


def answers(pieces: Sequence[Piece]) -> list[bytes]:
    return [piece.payload for piece in pieces if piece.verdict is Verdict.ANSWER]


@pytest.mark.parametrize("framing", ["rtu", "tcp"])
@given(data=st.data(), places=st.lists(st.integers(0, 400), max_size=9))
def test_however_a_stream_is_cut_it_falls_into_the_same_pieces(
    data: st.DataObject, places: list[int], framing: str
) -> None:
    stream = data.draw(streams[framing])
    frames = made(framing)
    pieces = [piece for part in cut(stream, places) for piece in frames.feed(part)]
    assert [*pieces, *frames.end()] == take_apart(stream, REQUEST, framing)


@given(stream=streams["rtu"])
def test_no_byte_of_a_serial_line_is_lost_or_told_twice(stream: bytes) -> None:
    assert b"".join(piece.data for piece in take_apart(stream, REQUEST, "rtu")) == stream


@pytest.mark.parametrize("framing", ["rtu", "tcp"])
@given(data=st.data())
def test_only_the_awaited_answer_is_an_answer_and_only_once(data: st.DataObject, framing: str) -> None:
    pieces = take_apart(data.draw(streams[framing]), REQUEST, framing)
    found = [piece for piece in pieces if piece.verdict is Verdict.ANSWER]
    assert len(found) <= 1
    for piece in found:
        head = b"\x05\x03\x04" if framing == "rtu" else b"\x00\x01\x00\x00\x00\x07\x05\x03\x04"
        assert piece.data.startswith(head)
        assert piece.payload in piece.data
        assert framing == "tcp" or checks(piece.data)


@pytest.mark.parametrize("framing", ["rtu", "tcp"])
@given(data=st.data())
def test_what_is_taken_at_once_is_what_would_have_been_taken_apart(data: st.DataObject, framing: str) -> None:
    chunk = data.draw(st.one_of(streams[framing], st.just(RIGHT[framing])))
    payload = made(framing).at_once(chunk)
    slow = take_apart(chunk, REQUEST, framing)
    alone = len(slow) == 1 and slow[0].verdict is Verdict.ANSWER
    assert payload == (slow[0].payload if alone else None)


@given(
    before=st.binary(max_size=30).map(lambda b: bytes(0 if 1 <= x <= 247 else x for x in b)),
    after=st.binary(max_size=30),
)
def test_garbage_around_a_serial_answer_does_not_hide_it(before: bytes, after: bytes) -> None:
    """Garbage that begins like no answer; what does begin like one is waited for."""
    assert answers(take_apart(before + RIGHT["rtu"] + after, REQUEST, "rtu")) == [PAYLOAD]


@given(
    before=st.lists(st.tuples(st.integers(2, 0xFFFF), st.binary(min_size=1, max_size=250)), max_size=3),
    after=st.binary(max_size=30),
)
def test_answers_to_older_requests_do_not_hide_the_awaited_one(
    before: list[tuple[int, bytes]], after: bytes
) -> None:
    stream = b"".join(tcp(number, 5, pdu) for number, pdu in before) + RIGHT["tcp"] + after
    pieces = take_apart(stream, REQUEST, "tcp")
    assert answers(pieces) == [PAYLOAD]
    assert all(piece.verdict is Verdict.FOREIGN for piece in pieces[: len(before)])


@given(place=st.integers(0, len(RIGHT["rtu"]) * 8 - 1))
def test_one_flipped_bit_on_a_serial_line_is_never_an_answer_or_a_refusal(place: int) -> None:
    spoilt = bytearray(RIGHT["rtu"])
    spoilt[place // 8] ^= 1 << place % 8
    verdicts = {piece.verdict for piece in take_apart(bytes(spoilt), REQUEST, "rtu")}
    assert not verdicts & {Verdict.ANSWER, Verdict.REFUSED}


def test_a_spoilt_answer_of_known_length_is_told_as_soon_as_it_is_whole() -> None:
    spoilt = bytearray(RIGHT["rtu"])
    spoilt[4] ^= 1
    pieces = made("rtu").feed(bytes(spoilt))
    assert pieces == [Piece(Verdict.CHECKSUM, bytes(spoilt), last=True)]


def test_a_refusal_ends_the_wait_with_its_code() -> None:
    for framing, frame_ in (("rtu", rtu(5, b"\x83\x02")), ("tcp", tcp(1, 5, b"\x83\x02"))):
        (piece,) = take_apart(frame_, REQUEST, framing)
        assert (piece.verdict, piece.payload, piece.last) == (Verdict.REFUSED, b"\x02", True)


def test_a_serial_answer_of_another_unit_function_or_length_is_foreign_and_the_wait_goes_on() -> None:
    others = [rtu(6, ANSWER), rtu(5, b"\x04" + PAYLOAD), rtu(5, b"\x03\x02\x00\x00"), rtu(5, b"\x84\x02")]
    pieces = take_apart(b"".join(others) + RIGHT["rtu"], REQUEST, "rtu")
    assert [p.verdict for p in pieces] == [Verdict.FOREIGN] * 4 + [Verdict.ANSWER]
    assert not any(p.last for p in pieces[:4])


def test_a_line_that_babbles_ends_the_wait() -> None:
    pieces = made("rtu").feed(bytes(600))
    assert [(p.verdict, len(p.data), p.last) for p in pieces] == [(Verdict.MALFORMED, 512, True)]


def test_transaction_numbers_come_round_without_zero() -> None:
    frames = TcpFrames()
    numbers = {frames.ask(REQUEST)[:2] for _ in range(0x10000)}
    assert len(numbers) == 0xFFFF
    assert b"\0\0" not in numbers


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ("05", None),
        ("0503", None),
        ("050304", 9),
        ("050303", 0),
        ("050103", 8),
        ("0503fc", 0),
        ("0583", 5),
        ("0510", 8),
        ("052b", 0),
        ("00", 0),
        ("f8", 0),
    ],
)
def test_the_length_of_a_serial_answer_follows_from_its_first_bytes(head: str, size: int | None) -> None:
    assert answer_size(bytes.fromhex(head)) == size
