"""Hostile bytes end as MalformedError, sound messages come through unchanged."""

from collections.abc import Callable
from functools import partial

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import Quality, Reading, Reason, Unit
from edge.frames import Columns, columns
from edge.upstream import codec
from edge.upstream.codec import HISTORY, JOURNAL, Batch, Hello, MalformedError, Problem, Receipt, WireRow
from edge.upstream.telemetry import decode_readings, encode_columns

digests = st.binary(min_size=32, max_size=32)
seqs = st.integers(0, codec.MAXIMUM_SEQ)
numbers = st.integers(-(1 << 62), 1 << 62)
texts = st.text(max_size=40)
names = st.text(min_size=1, max_size=64)
journal_fields = st.tuples(
    texts, numbers, numbers, texts, texts, texts, st.binary(max_size=40), st.binary(max_size=99)
)
history_fields = st.tuples(numbers, st.binary(max_size=99))
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | texts | digests,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)  # fmt: skip
DECODERS: list[Callable[[bytes], object]] = [
    codec.decode_hello,
    codec.decode_batch,
    codec.decode_receipt,
    partial(decode_readings, 0),
    lambda blob: codec.unpack_row(blob, JOURNAL),
    lambda blob: codec.unpack_row(blob, HISTORY),
]


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    stream = draw(st.sampled_from([JOURNAL, HISTORY]))
    fields = journal_fields if stream == JOURNAL else history_fields
    after, *numbered = sorted(draw(st.sets(seqs, min_size=2, max_size=6)))
    rows = tuple(WireRow(seq, draw(digests), draw(fields)) for seq in numbered)
    return Batch(draw(names), stream, draw(digests), after, draw(digests), rows)


@given(batches())
def test_a_batch_comes_through_unchanged(batch: Batch) -> None:
    assert codec.decode_batch(codec.encode_batch(batch)) == batch


@given(batches())
def test_a_stored_row_reads_back_unchanged(batch: Batch) -> None:
    for row in batch.rows:
        assert codec.unpack_row(codec.pack_row(row), batch.stream) == row


@given(names, st.sampled_from([JOURNAL, HISTORY]), digests)
def test_a_hello_comes_through_unchanged(gateway: str, stream: str, log: bytes) -> None:
    hello = Hello(gateway, stream, log)
    assert codec.decode_hello(codec.encode_hello(hello)) == hello


@given(st.sampled_from([JOURNAL, HISTORY]), digests, seqs, digests, st.booleans(), st.sampled_from(Problem))
def test_a_receipt_comes_through_unchanged(
    stream: str, log: bytes, seq: int, digest: bytes, again: bool, problem: Problem
) -> None:
    receipt = Receipt(stream, log, seq, digest, again, problem)
    assert codec.decode_receipt(codec.encode_receipt(receipt)) == receipt
    assert len(codec.encode_receipt(receipt)) < 200


@pytest.mark.parametrize("decode", DECODERS)
@given(payload=st.binary(max_size=300))
def test_random_bytes_are_refused_and_nothing_else_happens(
    decode: Callable[[bytes], object], payload: bytes
) -> None:
    if payload != msgpack.packb([]):  # an empty frame of readings is one
        refused(decode, payload)


@pytest.mark.parametrize("decode", DECODERS)
@given(payload=plain)
def test_any_other_msgpack_is_refused(decode: Callable[[bytes], object], payload: object) -> None:
    if payload != []:
        refused(decode, msgpack.packb(payload))


@given(batches(), st.sampled_from(["v", "gateway", "stream", "log", "after", "prev", "rows"]), plain)
def test_a_batch_with_one_wrong_value_is_refused_or_still_a_batch(
    batch: Batch, key: str, value: object
) -> None:
    forged = msgpack.unpackb(codec.encode_batch(batch))
    forged[key] = value
    accepted_or_refused(codec.decode_batch, msgpack.packb(forged))


@given(batches(), st.data())
def test_a_batch_with_flipped_bytes_is_refused_or_still_a_batch(batch: Batch, data: st.DataObject) -> None:
    payload = bytearray(codec.encode_batch(batch))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    accepted_or_refused(codec.decode_batch, bytes(payload))


@pytest.mark.parametrize("decode", DECODERS)
def test_deep_nesting_and_promises_of_length_are_refused(decode: Callable[[bytes], object]) -> None:
    refused(decode, b"\x91" * 1000)
    refused(decode, b"\x81\xa1v" * 1000)
    refused(decode, b"\xdd\xff\xff\xff\xff")
    refused(decode, b"\xdf\xff\xff\xff\xff")
    refused(decode, b"\xc6\xff\xff\xff\xff")
    refused(decode, b"\xd6\xff\x00\x00\x00\x00")  # a timestamp, which is no value of ours


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("v", 2), ("v", True), ("seq", -1), ("seq", 1 << 63), ("seq", 1.0), ("again", 1), ("hash", b"short"),
        ("log", "x" * 32), ("stream", "alarms"), ("problem", "tired"),
    ],
)  # fmt: skip
def test_a_receipt_out_of_its_schema_is_refused(key: str, value: object) -> None:
    receipt = msgpack.unpackb(codec.encode_receipt(Receipt(JOURNAL, bytes(32), 7, bytes(32), again=False)))
    assert key in receipt
    refused(codec.decode_receipt, msgpack.packb({**receipt, key: value}))
    refused(codec.decode_receipt, msgpack.packb({**receipt, "extra": 1}))


def test_what_is_too_large_is_not_even_looked_at() -> None:
    refused(codec.decode_receipt, b"\xa0" * (codec.MAXIMUM_RECEIPT + 1))
    refused(codec.decode_batch, b"\xa0" * (codec.MAXIMUM_MESSAGE + 1))


@pytest.mark.parametrize(
    "topic", ["", "substation", "substation//journal", "plant/gw/journal", "substation/a/b/c"]
)
def test_a_foreign_topic_is_refused(topic: str) -> None:
    with pytest.raises(MalformedError):
        codec.parse_topic(topic)


def test_readings_travel_with_quality_reason_unit_and_time() -> None:
    readings = {
        "high.secondary_supply_temperature": Reading.good(45.25, Unit.CELSIUS, 1_780_000_000.5),
        "low.heat_power": Reading.bad(Reason.SENTINEL, Unit.KILOWATT, 1_780_000_001.0),
        "station.outdoor_temperature": Reading(
            0.0, Unit.CELSIUS, Quality.UNCERTAIN, Reason.SUBSTITUTE, 1.78e9
        ),
    }
    wall_ns = 1_780_000_002 * 10**9
    assert decode_readings(wall_ns, encode_columns(stored(wall_ns, readings))) == readings


def stored(wall_ns: int, readings: dict[str, Reading]) -> Columns:
    """The readings as the history gives them."""
    values, marks, times = columns(wall_ns, readings)
    return Columns(list(readings), [r.unit for r in readings.values()], values, marks, times)


@pytest.mark.parametrize(
    "lie",
    [
        {"values": [float("nan")]}, {"values": [None]}, {"values": [1.0, 2.0]}, {"values": ["1"]},
        {"marks": [3]}, {"marks": [99 << 4]}, {"units": ["furlong"]}, {"kinds": [1]}, {"kinds": [-1]},
        {"times": ["noon"]}, {"points": [7]},
    ],
)  # fmt: skip
def test_a_reading_that_lies_about_itself_is_refused(lie: dict[str, object]) -> None:
    truth = {"points": ["p"], "units": ["degC"], "kinds": [0], "values": [1.0], "marks": None, "times": 0}
    assert list(decode_readings(0, msgpack.packb(list(truth.values())))) == ["p"]
    refused(partial(decode_readings, 0), msgpack.packb(list((truth | lie).values())))


def refused(decode: Callable[[bytes], object], payload: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(payload)


def accepted_or_refused(decode: Callable[[bytes], object], payload: bytes) -> None:
    try:
        decode(payload)
    except MalformedError:
        return
