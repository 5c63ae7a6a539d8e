"""What happens to events when the journal cannot take them."""

import asyncio
import math
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from edge import recorder as module
from edge.clock import ClockState, Instant, SystemClock
from edge.history import History
from edge.journal import Entry, Journal, JournalError
from edge.recorder import Recorder
from edge.records import Event, Plain

NOW = Instant(1_768_428_000.0, 100.0, 100.0, ClockState.SYNCED)


def event(kind: str, **body: Plain) -> Event:
    return Event(kind, "high", NOW.wall, NOW.wall, body)


async def kinds(journal: Journal) -> list[str]:
    return [row.kind for row in await journal.rows(0, 100)]


class FullJournal(Journal):
    """A journal whose disk is full while `full` is set."""

    full = False

    async def append(self, entries: Iterable[Entry], now: Instant) -> int:
        if self.full:
            raise JournalError("disk full")
        return await super().append(list(entries), now)


async def test_events_wait_in_order_until_the_journal_takes_rows_again(tmp_path: Path) -> None:
    async with (
        await FullJournal.open(tmp_path / "j.sqlite", SystemClock()) as journal,
        await History.open(tmp_path / "h.sqlite", 1 << 20) as history,
    ):
        assert isinstance(journal, FullJournal)
        recorder = Recorder(journal, history)
        journal.full = True
        await recorder.record([event("outage.started")], NOW)
        assert recorder.failing
        await recorder.record([event("outage.changed")], NOW)
        journal.full = False
        await recorder.record([event("outage.ended")], NOW)
        assert not recorder.failing
        assert await kinds(journal) == ["outage.started", "outage.changed", "outage.ended"]


async def test_what_had_to_be_given_up_is_counted_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING_LIMIT", 2)
    async with (
        await FullJournal.open(tmp_path / "j.sqlite", SystemClock()) as journal,
        await History.open(tmp_path / "h.sqlite", 1 << 20) as history,
    ):
        assert isinstance(journal, FullJournal)
        recorder = Recorder(journal, history)
        journal.full = True
        for name in ("one", "two", "three", "four"):
            await recorder.record([event(f"control.{name}")], NOW)
        journal.full = False
        await recorder.record([], NOW)
        assert await kinds(journal) == ["journal.given_up", "control.three", "control.four"]
        (first, *_) = await journal.rows(0, 1)
        assert first.content["events"] == 2


async def test_what_waited_long_goes_in_over_several_cycles_and_at_the_end_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    async with (
        await FullJournal.open(tmp_path / "j.sqlite", SystemClock()) as journal,
        await History.open(tmp_path / "h.sqlite", 1 << 20) as history,
    ):
        assert isinstance(journal, FullJournal)
        recorder = Recorder(journal, history)
        journal.full = True
        await recorder.record([event(f"control.{number}") for number in range(7)], NOW)
        journal.full = False
        await recorder.record([], NOW)
        assert (recorder.failing, recorder.seq) == (True, 2)
        await recorder.flush(NOW)
        assert (recorder.failing, recorder.seq) == (False, 7)
        assert await kinds(journal) == [f"control.{number}" for number in range(7)]


async def test_a_journal_that_fails_again_and_again_has_a_rest_between_two_tries(tmp_path: Path) -> None:
    async with (
        await FullJournal.open(tmp_path / "j.sqlite", SystemClock()) as journal,
        await History.open(tmp_path / "h.sqlite", 1 << 20) as history,
    ):
        assert isinstance(journal, FullJournal)
        recorder = Recorder(journal, history)
        journal.full = True
        for number in range(module.TRIES):
            await recorder.record([event(f"control.{number}")], NOW)
        journal.full = False
        await recorder.record([], NOW)
        assert await kinds(journal) == []
        await recorder.record([], replace(NOW, monotonic=NOW.monotonic + module.REST_S))
        assert len(await kinds(journal)) == module.TRIES


async def test_an_event_that_cannot_be_written_does_not_keep_the_others_out(tmp_path: Path) -> None:
    async with (
        await Journal.open(tmp_path / "j.sqlite", SystemClock()) as journal,
        await History.open(tmp_path / "h.sqlite", 1 << 20) as history,
    ):
        recorder = Recorder(journal, history)
        await recorder.record([event("control.mode"), event("control.command", value=math.nan)], NOW)
        await recorder.record([event("alarm.raised")], NOW)
        assert await kinds(journal) == ["control.mode", "journal.refused", "alarm.raised"]


async def test_a_cycle_cancelled_during_its_commit_records_nothing_twice(tmp_path: Path) -> None:
    async with (
        await Journal.open(tmp_path / "j.sqlite", SystemClock()) as journal,
        await History.open(tmp_path / "h.sqlite", 1 << 20) as history,
    ):
        recorder = Recorder(journal, history)
        slow_disk = threading.Event()
        journal._worker.post(lambda: void(slow_disk.wait(10.0)))
        cycle = asyncio.create_task(recorder.record([event("outage.started")], NOW))
        await asyncio.sleep(0)
        cycle.cancel()
        asyncio.get_running_loop().call_later(0.05, slow_disk.set)
        with pytest.raises(asyncio.CancelledError):
            await cycle
        await recorder.record([event("service.stopped")], NOW)
        assert await kinds(journal) == ["outage.started", "service.stopped"]


def void(_result: object) -> None:
    """Nothing: a job of the thread has no result."""


async def test_an_event_without_a_subject_does_not_keep_the_others_out(tmp_path: Path) -> None:
    async with (
        await Journal.open(tmp_path / "j.sqlite", SystemClock()) as journal,
        await History.open(tmp_path / "h.sqlite", 1 << 20) as history,
    ):
        recorder = Recorder(journal, history)
        await recorder.record([event("control.mode"), Event("alarm.raised", "", NOW.wall, NOW.wall)], NOW)
        await recorder.record([event("outage.started")], NOW)
        assert await kinds(journal) == ["control.mode", "journal.refused", "outage.started"]
