"""Hands events to the journal and snapshots to the history, and keeps control going when either fails.

An event that could not be stored waits here, in order, and is tried again in the next cycle; what waits is
bounded, and what had to be given up is counted and said as soon as the journal takes rows again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping

from drivers import Reading, Unit
from edge.chain import BodyError, Draft, Entry
from edge.clock import Instant
from edge.history import History, HistoryError
from edge.image import ProcessImage
from edge.journal import Journal, JournalError
from edge.records import CircuitView, Event, Plain

log = logging.getLogger(__name__)

WAITING_LIMIT = 10_000  # events; about a day of a busy station
TAIL = 20  # newest events kept for whoever looks


class Recorder:
    """`failing` is True while the journal takes nothing; `seq` is the last row it acknowledged."""

    def __init__(self, journal: Journal, history: History) -> None:
        self._journal = journal
        self._history = history
        self._waiting: list[Entry] = []
        self._given_up = 0
        self._lock = asyncio.Lock()  # a technician's event may come while the cycle's are being stored
        self.failing = False
        self.seq = 0
        self.tail: deque[Event] = deque(maxlen=TAIL)

    async def record(self, events: Iterable[Event], now: Instant) -> None:
        """Store events durably, or keep them for the next call; returns either way.

        A cancellation waits for the commit in hand: what it stored must not be stored again by the next call.
        """
        async with self._lock:
            await self._store(tuple(events), now)

    async def _store(self, events: tuple[Event, ...], now: Instant) -> None:
        self.tail.extend(events)
        self._waiting += [Entry.of(event) for event in events]
        if not self._waiting:
            return
        entries = self._waiting if not self._given_up else [self._confession(now), *self._waiting]
        append = asyncio.ensure_future(self._journal.append(entries, now))
        cancelled = await _ended(append)
        try:
            self.seq = append.result()
        except BodyError as error:
            self._refuse(entries, error, now)
        except JournalError as error:
            self._keep(error)
        else:
            self._waiting, self._given_up, self.failing = [], 0, False
        if cancelled is not None:
            raise cancelled

    def _confession(self, now: Instant) -> Entry:
        body = {"events": self._given_up}
        return Entry.of(Event("journal.given_up", "station", now.wall, now.wall, body))

    def _refuse(self, entries: Iterable[Entry], error: BodyError, now: Instant) -> None:
        """An event that cannot be written is our own fault: say which, and let the others through."""
        log.error("an event cannot be recorded", extra={"error": str(error)})
        sound = [entry for entry in entries if _is_sound(entry)]
        refused: list[Plain] = [entry.kind for entry in entries if not _is_sound(entry)]
        told = Event(
            "journal.refused", "station", now.wall, now.wall, {"kinds": refused, "error": str(error)}
        )
        self._waiting, self._given_up = [*sound, Entry.of(told)], 0  # a confession is among the sound

    def _keep(self, error: JournalError) -> None:
        if not self.failing:
            log.error("the journal takes no rows", extra={"error": str(error)})
        self.failing = True
        surplus = len(self._waiting) - WAITING_LIMIT
        if surplus > 0:
            self._given_up += surplus
            del self._waiting[:surplus]

    async def snapshot(self, image: ProcessImage, views: Mapping[str, CircuitView]) -> None:
        """Write all points, with what control made of them, to the history; a failure is logged, no more."""
        try:
            await self._history.append(
                int(image.now.wall * 1e9), {**image.readings, **made(views, image.now.wall)}
            )
        except HistoryError as error:
            log.warning("snapshot not stored", extra={"error": str(error)})

    async def keep_state(self, key: str, blob: bytes) -> None:
        """Keep a small state for the next start; a failure costs smoothness then, nothing now."""
        try:
            await self._history.put_state(key, blob)
        except HistoryError as error:
            log.warning("state not stored", extra={"key": key, "error": str(error)})


async def _ended(append: "asyncio.Future[int]") -> asyncio.CancelledError | None:
    """Wait until `append` is done, whatever came of it; the cancellation that came meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while not append.done():
        try:
            await asyncio.wait((append,))
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled


def _is_sound(entry: Entry) -> bool:
    try:
        Draft.of(entry)
    except BodyError:
        return False
    return True


def made(views: Mapping[str, CircuitView], wall: float) -> dict[str, Reading]:
    """What control made, as readings: `<circuit>.setpoint` (degC), `<circuit>.valve_command` (%)."""
    found: dict[str, Reading] = {}
    for circuit, view in views.items():
        if view.setpoint_c is not None:
            found[f"{circuit}.setpoint"] = Reading.good(view.setpoint_c, Unit.CELSIUS, wall)
        if view.valve_percent is not None:
            found[f"{circuit}.valve_command"] = Reading.good(view.valve_percent, Unit.PERCENT, wall)
    return found
