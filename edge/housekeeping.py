"""Once a day: rows that are old enough and safe elsewhere leave the journal (`purge.py` says which may)."""

import logging
from collections.abc import Iterable

from edge.clock import Clock, Instant
from edge.events.planned import TOLERANCE_S
from edge.journal import Journal, JournalError, Row
from edge.outage_facts import PLAN

log = logging.getLogger(__name__)

FIRST_S = 3600.0  # after a start: a gateway that starts anew each day must come to it, too
EACH_S = 86_400.0

# What a restart is rebuilt from. Totals of meters are not among them: the history remembers those.
_MATTERS = ("alarm.", "outage.", "supply.", "leak.", "station.")
_OWED = ("duty.", "refund.", "repair.")  # of an outage, which their subject names: no longer than it is open
_OPEN = frozenset(
    (
        *("outage.started", "outage.changed", "supply.degraded", "leak.suspected", "leak.confirmed"),
        *("station.stopped", "alarm.flood_started"),
    )
)
_FLOOD_ENDED, _PLANNED = "alarm.flood_ended", "outage.planned"


def oldest_open(rows: Iterable[Row], now: Instant) -> int | None:
    """Seq of the oldest of these newest rows whose matter goes on; None: all are over."""
    rows = list(rows)
    going_on = [row for row in rows if not row.kind.startswith(_OWED) and _goes_on(row, now)]
    owing = {_outage(row) for row in going_on if row.kind.startswith("outage.")}
    owed = [row for row in rows if row.kind.startswith(_OWED) and _is_of(row, owing)]
    return min((row.seq for row in (*going_on, *owed)), default=None)


def _goes_on(row: Row, now: Instant) -> bool:
    """By its kind; an alarm until it is at rest, a plan until its end."""
    if row.kind == _PLANNED:
        end = row.content.get("end")
        return not isinstance(end, int | float) or now.wall <= end + TOLERANCE_S
    if row.kind.startswith("alarm.") and row.kind not in (*_OPEN, _FLOOD_ENDED):
        body, raised = row.content, row.kind == "alarm.raised"  # rows of an older release say no state
        return bool(body.get("active", raised)) or body.get("state", "normal") != "normal"
    return row.kind in _OPEN


def _outage(row: Row) -> str:
    """How the subjects of what is owed for this outage or plan begin."""
    name = str(row.content.get("id"))
    return f"{PLAN}{name}-" if row.kind == _PLANNED else name


def _is_of(row: Row, owing: Iterable[str]) -> bool:
    return any(row.subject.startswith(name) for name in owing)


async def purge_old(journal: Journal, now: Instant) -> int:
    """Remove what may go; how many rows went. JournalError when the file does not do it."""
    newest = [row for family in (*_MATTERS, *_OWED) for row in await journal.latest(family)]
    before, rows, more = oldest_open(newest, now), 0, True
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
