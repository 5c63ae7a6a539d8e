"""What the last life of the service left of its time: read once at a start, before anything is written.

A file that cannot be read costs knowledge, never the start.
"""

import logging

from edge.blind import Alive, Traces, from_row
from edge.clock import Instant
from edge.journal import Journal, JournalError, Row
from edge.steps import resumed
from edge.timekeeping import Timekeeper

log = logging.getLogger(__name__)

OPENING_ROWS = 50  # more than the journal writes by itself when it is opened


async def row_before(journal: Journal, started: Instant, boot_id: str) -> Row | None:
    """The last row that this life, `started` in boot `boot_id`, has not written itself; None: there is none.

    Opening a journal may write rows: of a damaged file put aside, of a key.
    """
    rows = await _tail(journal, OPENING_ROWS) or await _tail(journal, 1)
    started_ns = round(started.boottime * 1e9)
    ours = (row.boot_id == boot_id and row.boottime_ns > started_ns for row in rows)
    return next((row for row, own in reversed([*zip(rows, ours, strict=True)]) if not own), None)


async def _tail(journal: Journal, count: int) -> list[Row]:
    """The last rows; none where one of them is damaged."""
    try:
        head = await journal.last()
        return await journal.rows(max(0, head.seq - count), count)
    except JournalError as error:
        log.error("the last rows cannot be read", extra={"error": str(error)})
        return []


async def timekeeper(
    journal: Journal,
    last: Row | None,
    heartbeat: Alive | None,
    started: Instant,
    boot_id: str,
    every_s: float,
) -> Timekeeper:
    """The timekeeper of a life that follows the one whose `last` row and `heartbeat` these are."""
    traces = Traces(heartbeat, None if last is None else from_row(last))
    seen = sorted(
        [*await _of_the_clock(journal), *([last] if last is not None else [])], key=lambda row: row.seq
    )
    return Timekeeper(boot_id, every_s, started, traces, resumed(seen, boot_id))


async def _of_the_clock(journal: Journal) -> list[Row]:
    """The newest row about the clock."""
    try:
        return await journal.latest("clock.")
    except JournalError as error:
        log.error("not read from the journal", extra={"kinds": "clock.", "error": str(error)})
        return []
