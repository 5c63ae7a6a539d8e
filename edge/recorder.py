"""Hands events to the journal and snapshots to the history, and keeps control going when either fails.

An event that could not be stored waits here, in order, and is tried again in the next cycle; what waits is
bounded, and what had to be given up is counted and said as soon as the journal takes rows again. On a full
disk snapshots are left out and old frames go, so that events have the room (`ballast.py`).
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Iterable, Mapping

from drivers import Reading, Unit
from edge.ballast import Room
from edge.chain import BodyError, Draft, Entry
from edge.clock import Instant
from edge.history import History, HistoryError
from edge.image import ProcessImage
from edge.journal import Journal, JournalError
from edge.records import CircuitView, Event, Plain

log = logging.getLogger(__name__)

WAITING_LIMIT = 10_000  # events; about a day of a busy station
AT_ONCE = 500  # events of one commit: what waited long goes in over several cycles, none of which it holds up
TRIES = 5  # failed commits in a row after which the journal, which must open and check its file, has a rest
REST_S = 5.0
SHEDS = 6  # of 25 frames each, at each look at a full disk: some megabytes a minute
TAIL = 20  # newest events kept for whoever looks


class Recorder:
    """`failing` is True while events wait for the journal; `seq` is the last row it acknowledged.

    `room` watches the disk of both files; None: nobody does.
    """

    def __init__(self, journal: Journal, history: History, room: Room | None = None) -> None:
        self._journal = journal
        self._history = history
        self._room = room
        self._waiting: list[Entry] = []
        self._given_up = 0
        self._lock = asyncio.Lock()  # a technician's event may come while the cycle's are being stored
        self._refused = False  # the last commit failed
        self._failures = 0  # in a row
        self._rest_until = -math.inf  # monotonic
        self.failing = False
        self.seq = 0
        self.tail: deque[Event] = deque(maxlen=TAIL)

    @property
    def disk_full(self) -> bool:
        """Is there no room on the disk?"""
        return self._room is not None and self._room.short

    async def record(self, events: Iterable[Event], now: Instant) -> None:
        """Store events durably, or keep them for the next call; returns either way.

        A cancellation waits for the commit in hand: what it stored must not be stored again by the next call.
        """
        async with self._lock:
            self._take(events)
            await self._look(now)
            if now.monotonic < self._rest_until:
                self._bound()
                return
            await self._append(now)
            if self._refused and await self._relieved(now):
                await self._append(now)

    async def flush(self, now: Instant) -> None:
        """At the end: store all that waits, as far as the journal takes it."""
        async with self._lock:
            self._rest_until, self._refused = -math.inf, False
            while self._waiting and not self._refused:
                await self._append(now)

    def _take(self, events: Iterable[Event]) -> None:
        taken = tuple(events)
        self.tail.extend(taken)
        self._waiting += [Entry.of(event) for event in taken]

    async def _append(self, now: Instant) -> None:
        """Commit what waits, the oldest of it; `failing` until nothing is left."""
        if not self._waiting:
            return
        self._refused = False
        taken = self._waiting[:AT_ONCE]
        entries = taken if not self._given_up else [self._confession(now), *taken]
        append = asyncio.ensure_future(self._journal.append(entries, now))
        cancelled = await _ended(append)
        try:
            self.seq = append.result()
        except BodyError as error:
            self._refuse(entries, error, now)
        except JournalError as error:
            self._keep(error, now)
        else:
            del self._waiting[: len(taken)]
            self._given_up, self.failing = 0, bool(self._waiting)
            self._failures = 0
        if cancelled is not None:
            raise cancelled

    async def _look(self, now: Instant) -> None:
        """See now and then whether the disk has room; old telemetry goes while it has none."""
        room = self._room
        if room is None or not room.due(now):
            return
        await asyncio.to_thread(room.look, now, failed=self._refused)
        if room.short:
            await self._shed(room)
        self._take(room.taken())

    async def _relieved(self, now: Instant) -> bool:
        """Whether the ballast was given up, so that what waits can be tried again at once."""
        if self._room is None:
            return False
        relieved = await asyncio.to_thread(self._room.look, now, failed=True)
        self._take(self._room.taken())
        return relieved

    async def _shed(self, room: Room) -> None:
        """Remove some old frames; few enough that no cycle is late for it."""
        try:
            for _ in range(SHEDS):
                room.shed("history", *await self._history.shed())
        except HistoryError as error:
            log.warning("no old frames removed", extra={"error": str(error)})

    def _confession(self, now: Instant) -> Entry:
        body = {"events": self._given_up}
        return Entry.of(Event("journal.given_up", "station", now.wall, now.wall, body))

    def _refuse(self, entries: Iterable[Entry], error: BodyError, now: Instant) -> None:
        """An event that cannot be written is our own fault: say which, and let the others through.

        `entries` are the oldest that wait, and a confession before them.
        """
        log.error("an event cannot be recorded", extra={"error": str(error)})
        sound = [entry for entry in entries if _is_sound(entry)]
        refused: list[Plain] = [entry.kind for entry in entries if not _is_sound(entry)]
        told = Event(
            "journal.refused", "station", now.wall, now.wall, {"kinds": refused, "error": str(error)}
        )
        later = self._waiting[AT_ONCE:]
        self._waiting, self._given_up = [*sound, Entry.of(told), *later], 0  # a confession is among the sound

    def _keep(self, error: JournalError, now: Instant) -> None:
        if not self.failing:
            log.error("the journal takes no rows", extra={"error": str(error)})
        self.failing = self._refused = True
        self._failures += 1
        if self._failures >= TRIES:
            self._rest_until = now.monotonic + REST_S
        self._bound()

    def _bound(self) -> None:
        """Give up the oldest of what waits when it is too much."""
        surplus = len(self._waiting) - WAITING_LIMIT
        if surplus > 0:
            self._given_up += surplus
            del self._waiting[:surplus]

    async def snapshot(self, image: ProcessImage, views: Mapping[str, CircuitView]) -> None:
        """Write all points, with what control made of them, to the history; a failure is logged, no more.

        On a full disk nothing is written, and the frame counted.
        """
        room, wall = self._room, image.now.wall
        if room is not None and room.short:
            room.shed("telemetry", 1, wall, wall)
            return
        try:
            await self._history.append(int(wall * 1e9), {**image.readings, **made(views, wall)})
        except HistoryError as error:
            log.warning("snapshot not stored", extra={"error": str(error)})

    def observe(self, image: ProcessImage, views: Mapping[str, CircuitView]) -> None:
        """Hand all points to the history, which keeps what changed; costs the cycle next to nothing.

        On a full disk nothing is kept: its minutes say that they are partial, or are missing.
        """
        if self._room is None or not self._room.short:
            wall = image.now.wall
            self._history.look(int(wall * 1e9), {**image.readings, **made(views, wall)})

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
