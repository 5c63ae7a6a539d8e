"""What is old and safe elsewhere leaves the journal; what a restart needs stays."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from edge import housekeeping
from edge.clock import Instant
from edge.housekeeping import keep_house, oldest_open, purge_old
from edge.journal import Entry, Journal, JournalError
from edge.records import Plain
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


LEAK, NO_LEAK = Entry("leak.suspected", "high", {}), Entry("leak.cleared", "high", {})
DUTY = Entry("duty.overdue", "x:report", {})
AT_REST: dict[str, Plain] = {"state": "normal", "active": False}
UNSEEN: dict[str, Plain] = {"state": "returned", "active": False}
PLANNED = Entry("outage.planned", "plan:p", {"id": "p", "end": NOW.wall + 3600.0})


@pytest.mark.parametrize(
    ("matters", "all_went"),
    [
        ((), True),
        ((OPEN, OVER), True),
        ((OPEN,), False),
        ((OPEN, OVER, Entry("outage.revised", "high", {"id": "x"})), True),
        ((LEAK,), False),
        ((LEAK, NO_LEAK), True),
        ((Entry("supply.degraded", "high", {}),), False),
        ((Entry("supply.restored", "high", {}), Entry("station.restored", "station", {})), True),
        ((Entry("station.stopped", "station", {}),), False),
        ((Entry("alarm.raised", "high:x", {}),), False),
        ((Entry("alarm.acknowledged", "high:x", AT_REST), Entry("alarm.reset", "low:x", AT_REST)), True),
        ((Entry("alarm.cleared", "high:x", UNSEEN),), False),
        ((Entry("alarm.flood_started", "station", {}),), False),
        ((Entry("alarm.flood_ended", "station", {}),), True),
        ((OPEN, DUTY, Entry("repair.class", "x", {}), OVER, Entry("refund.basis", "x", {})), True),
        ((PLANNED, Entry("duty.opened", "plan-p-high:notice", {})), True),
        ((Entry("outage.plan_cancelled", "plan:p", {"id": "p"}),), True),
    ],
)
async def test_does_only_an_open_matter_keep_old_rows_in_the_journal(
    tmp_path: Path, matters: tuple[Entry, ...], all_went: bool
) -> None:
    async with await Journal.open(tmp_path / "journal.sqlite", StandingClock()) as journal:
        await nine_years(journal, *matters)
        went = await purge_old(journal, LATER)
        kinds = [row.kind for row in await journal.rows((await journal.rows(0, 1))[0].seq - 1, 1000)]
    assert went > 0
    assert (went > 300) is all_went
    told = {each.kind for each in matters}
    assert told & set(kinds) == (set() if all_went else told)
    assert verify(tmp_path / "journal.sqlite").ok


def test_is_nothing_open_in_an_empty_record() -> None:
    assert oldest_open([], NOW) is None


async def test_does_what_is_owed_for_an_open_outage_or_a_plan_to_come_stay(tmp_path: Path) -> None:
    ahead = Entry("outage.planned", "plan:p", {"id": "p", "end": LATER.wall + 3600.0})
    async with await Journal.open(tmp_path / "journal.sqlite", StandingClock()) as journal:
        await journal.append([DUTY, Entry("duty.opened", "y:report", {}), OPEN], NOW)
        await journal.append([Entry("duty.opened", "plan-p-high:notice", {}), ahead], NOW)
        rows = await journal.rows(0, 10)
    assert oldest_open(rows, LATER) == 1
    assert oldest_open(rows[1:2], LATER) is None
    assert oldest_open(rows[3:], LATER) == 4


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
