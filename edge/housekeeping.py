"""Once a day: rows that are old enough and safe elsewhere leave the journal (`purge.py` says which may)."""

import logging
from collections.abc import Iterable

from edge.clock import Clock, Instant
from edge.journal import Journal, JournalError, Row

log = logging.getLogger(__name__)

FIRST_S = 3600.0  # after a start: a gateway that starts anew each day must come to it, too
EACH_S = 86_400.0

# What a restart is rebuilt from. Totals of meters are not among them: the history remembers those.
_NEEDED = ("alarm.", "outage.", "supply.", "leak.", "station.", "plan.", "duty.", "refund.", "repair.")
_OVER = ("cleared", "ended", "closed", "cancelled")


def oldest_open(rows: Iterable[Row]) -> int | None:
    """Seq of the oldest of these newest rows that does not end its matter; None: all are over."""
    return min((row.seq for row in rows if not row.kind.endswith(_OVER)), default=None)


async def purge_old(journal: Journal, now: Instant) -> int:
    """Remove what may go; how many rows went. JournalError when the file does not do it."""
    newest = [row for family in _NEEDED for row in await journal.latest(family)]
    before, rows, more = oldest_open(newest), 0, True
    while more:
        done = await journal.purge(now, before=before)
        rows, more = rows + done.rows, done.more and done.rows > 0
    return rows


async def keep_house(journal: Journal, clock: Clock) -> None:
    """Until cancelled. A failure is said and tried again the next day: nothing is urgent here."""
    due = clock.now().monotonic + FIRST_S
    while True:
        await clock.sleep_until(due)
        due = clock.now().monotonic + EACH_S
        try:
            rows = await purge_old(journal, clock.now())
        except JournalError as error:
            log.error("old rows were not removed", extra={"error": str(error)})
        else:
            log.info("old rows removed", extra={"rows": rows})
