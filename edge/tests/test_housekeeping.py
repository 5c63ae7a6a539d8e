"""What is old and safe elsewhere leaves the journal; what a restart needs stays."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from edge import housekeeping
from edge.clock import Instant
from edge.housekeeping import keep_house, oldest_open, purge_old
from edge.journal import Entry, Journal, JournalError
from edge.tests.journals import NOW, StandingClock, entry
from edge.verification import verify

LATER = replace(NOW, wall=NOW.wall + 9 * 31_557_600.0)
OPEN, OVER = Entry("outage.started", "high", {"id": "x"}), Entry("outage.ended", "high", {"id": "x"})


async def nine_years(journal: Journal, *matters: Entry) -> None:
    """Six hundred rows of nine years ago, `matters` amid them, and one of today; all receipted."""
    notes = [entry(number, "control.mode") for number in range(300)]
    for batch in (notes, [*matters, *notes]):
        await journal.append(batch, NOW)
    await journal.append([entry(1, "control.mode")], LATER)
    await journal.set_receipt("upstream.journal", (await journal.last()).seq)


@pytest.mark.parametrize(("matters", "all_went"), [((), True), ((OPEN, OVER), True), ((OPEN,), False)])
async def test_does_only_an_open_matter_keep_old_rows_in_the_journal(
    tmp_path: Path, matters: tuple[Entry, ...], all_went: bool
) -> None:
    async with await Journal.open(tmp_path / "journal.sqlite", StandingClock()) as journal:
        await nine_years(journal, *matters)
        went = await purge_old(journal, LATER)
        kinds = [row.kind for row in await journal.rows((await journal.rows(0, 1))[0].seq - 1, 1000)]
    assert went > 0
    assert (went > 300) is all_went
    assert ("outage.started" in kinds) is not all_went
    assert verify(tmp_path / "journal.sqlite").ok


def test_is_nothing_open_in_an_empty_record() -> None:
    assert oldest_open([]) is None


async def test_is_the_house_kept_again_each_day_although_it_fails_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Leaping(StandingClock):
        at = 0.0

        def now(self) -> Instant:
            return replace(LATER, monotonic=self.at)

        async def sleep_until(self, monotonic: float) -> None:
            self.at = monotonic
            if monotonic > 5 * 86_400.0:
                raise asyncio.CancelledError

    asked: list[float] = []

    async def purged(_journal: Journal, now: Instant) -> int:
        asked.append(now.monotonic)
        if len(asked) == 2:
            raise JournalError("the disk is full")
        return 0

    monkeypatch.setattr(housekeeping, "purge_old", purged)
    async with await Journal.open(tmp_path / "journal.sqlite", StandingClock()) as journal:
        with pytest.raises(asyncio.CancelledError):
            await keep_house(journal, Leaping())
    assert asked == [3600.0 + day * 86_400.0 for day in range(5)]
