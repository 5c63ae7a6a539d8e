"""What the receiver stores: each row once, in order, with its chain; what does not fit is never mixed in."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.chain import GENESIS, SEGMENT, Draft, Entry, Head, link
from edge.clock import ClockState, Instant
from edge.receiver.store import Store
from edge.upstream.codec import HISTORY, JOURNAL, NO_HASH, Batch, Hello, Problem, WireRow, frame_hash
from edge.upstream.source import journal_wire

NOW = Instant(1_780_000_000.0, 100.0, 200.0, ClockState.SYNCED)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "receiver.db")
    yield opened
    opened.close()


def chain(count: int, head: Head = GENESIS, word: str = "") -> list[WireRow]:
    rows = []
    for number in range(count):
        draft = Draft.of(Entry("alarm.raised", "high:frost", {"number": number, "word": word}))
        row = link(head, draft, NOW, "boot")
        head = row.head
        rows.append(journal_wire(row))
    return rows


def batch(rows: list[WireRow], start: int, stop: int, gateway: str = "gw") -> Batch:
    prev = rows[start - 1].hash if start else NO_HASH
    return Batch(gateway, JOURNAL, rows[0].hash, start, prev, tuple(rows[start:stop]))


def test_rows_are_stored_once_however_often_they_come(store: Store) -> None:
    rows = chain(10)
    assert len(store.take(batch(rows, 0, 6), 1.0).stored) == 6
    again = store.take(batch(rows, 2, 10), 2.0)
    assert (len(again.stored), again.duplicates, again.receipt.seq) == (4, 4, 10)
    assert again.receipt.hash == rows[9].hash


def test_rows_that_come_too_early_are_not_stored_and_asked_for(store: Store) -> None:
    rows = chain(10)
    store.take(batch(rows, 0, 3), 1.0)
    early = store.take(batch(rows, 5, 10), 2.0)
    assert early.gap
    assert not early.stored
    assert (early.receipt.seq, early.receipt.again) == (3, True)


@pytest.mark.parametrize("field", range(8))
def test_no_field_of_a_row_can_be_changed_on_the_way(store: Store, field: int) -> None:
    rows = chain(5)
    fields = list(rows[2].fields)
    value = fields[field]
    fields[field] = value + 1 if isinstance(value, int) else value[:-1]
    rows[2] = replace(rows[2], fields=tuple(fields))
    outcome = store.take(batch(rows, 0, 5), 1.0)
    assert (outcome.receipt.problem, outcome.receipt.seq, outcome.stored) == (Problem.CHAIN, 0, ())


def test_a_row_left_out_of_the_chain_is_refused(store: Store) -> None:
    rows = chain(5)
    outcome = store.take(replace(batch(rows, 0, 5), rows=(*rows[:2], *rows[3:])), 1.0)
    assert outcome.receipt.problem is Problem.CHAIN


def test_a_log_bears_the_hash_of_its_first_row(store: Store) -> None:
    outcome = store.take(replace(batch(chain(3), 0, 3), log=bytes(32)), 1.0)
    assert outcome.receipt.problem is Problem.CHAIN


def test_another_row_under_a_stored_number_is_a_fork(store: Store) -> None:
    rows = chain(10)
    store.take(batch(rows, 0, 10), 1.0)
    other = [*rows[:6], *chain(4, Head(6, rows[5].hash), "other")]
    outcome = store.take(batch(other, 6, 10), 2.0)
    assert (outcome.receipt.problem, outcome.forked, outcome.receipt.seq) == (Problem.FORK, 7, 10)
    assert store.take(batch(rows, 0, 10), 3.0).duplicates == 10  # what is stored is still the first


def test_rows_after_a_fork_do_not_join_the_stored_ones(store: Store) -> None:
    rows = chain(10)
    store.take(batch(rows, 0, 10), 1.0)
    other = [*rows[:6], *chain(9, Head(6, rows[5].hash), "other")]
    outcome = store.take(batch(other, 10, 15), 2.0)
    assert outcome.receipt.problem is Problem.CHAIN


def test_two_gateways_and_two_logs_never_mix(store: Store) -> None:
    first, second = chain(4), chain(6, word="after the file was lost")
    for gateway in ("gw", "gw-2"):
        assert store.take(batch(first, 0, 4, gateway), 1.0).receipt.seq == 4
    assert store.take(batch(second, 0, 6), 1.0).receipt.seq == 6
    assert store.answer(Hello("gw", JOURNAL, first[0].hash)).seq == 4
    assert {(gateway, receipt.seq) for gateway, receipt in store.newest()} == {("gw", 6), ("gw-2", 4)}


def test_an_unknown_log_stands_at_nothing(store: Store) -> None:
    receipt = store.answer(Hello("gw", JOURNAL, bytes(32)))
    assert (receipt.seq, receipt.hash, receipt.again) == (0, NO_HASH, True)


def test_a_segment_after_a_damaged_file_goes_on_below_what_was_receipted(store: Store) -> None:
    rows = chain(10)
    store.take(batch(rows, 0, 10), 1.0)
    whole = Head(rows[6].seq, rows[6].hash)  # rows 8 to 10 were lost at the gateway
    draft = Draft.of(Entry(SEGMENT, "journal", {"last_seq": whole.seq, "last_hash": whole.hash.hex()}))
    segment = link(whole, draft, NOW, "boot", seq=500)
    after = Batch("gw", JOURNAL, rows[0].hash, 7, whole.hash, (journal_wire(segment),))
    outcome = store.take(after, 2.0)
    assert (outcome.receipt.seq, outcome.receipt.problem, outcome.holes) == (500, Problem.NONE, 1)
    following = chain(3, segment.head)
    assert store.take(Batch("gw", JOURNAL, rows[0].hash, 500, segment.hash, tuple(following)), 3.0).stored


def test_dropped_telemetry_is_a_declared_hole_and_no_gap(store: Store) -> None:
    frames = [WireRow(seq, frame_hash(seq, b"\x90"), (seq, b"\x90")) for seq in (1, 2, 7, 8, 20)]
    outcome = store.take(Batch("gw", HISTORY, bytes(32), 0, NO_HASH, tuple(frames)), 1.0)
    assert (outcome.receipt.seq, outcome.holes) == (20, 2)


def test_a_changed_frame_is_refused(store: Store) -> None:
    frame = WireRow(1, hashlib.sha256(b"another").digest(), (1, b"\x90"))
    outcome = store.take(Batch("gw", HISTORY, bytes(32), 0, NO_HASH, (frame,)), 1.0)
    assert outcome.receipt.problem is Problem.CHAIN


def test_what_was_receipted_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    rows = chain(10)
    first = Store(tmp_path / "again.db")
    receipt = first.take(batch(rows, 0, 10), 1.0).receipt
    first.close()
    second = Store(tmp_path / "again.db")
    assert second.newest() == [("gw", replace(receipt, again=True))]
    second.close()


def test_after_an_error_of_the_file_it_is_opened_anew_and_nothing_is_missing(store: Store) -> None:
    rows = chain(10)
    store.take(batch(rows, 0, 4), 1.0)
    store.drop()
    assert store.take(batch(rows, 4, 10), 2.0).receipt.seq == 10
