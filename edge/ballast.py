"""Room on the disk: a ballast file that goes when the disk is full, and what is shed before events are.

The ballast holds blocks that nobody else can take. While less is free than LOW_SHARE of it, telemetry is not
written and the oldest of it goes; when the journal cannot commit either, the ballast goes, and events have
its room for a while (4 MiB are some thousand commits). It is made again when as much again is left besides.
Everything that was shed is counted, and recorded as `storage.shed` when it is over.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from edge.clock import Instant
from edge.records import Event, Plain
from edge.store import sync_folder

log = logging.getLogger(__name__)

SIZE = 4 << 20  # bytes
CHECK_S = 5.0  # between two looks at the disk, while the journal takes rows
LOW_SHARE = 0.25  # of the ballast: with less free than this the disk counts as full


class Ballast:
    """The file. Every method touches the disk; OSError where that fails."""

    def __init__(self, path: Path, size: int = SIZE) -> None:
        self._path = path
        self.size = size

    def free(self) -> int:
        """Bytes that we could still write; makes the folder where it is missing."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        found = os.statvfs(self._path.parent)
        return found.f_bavail * found.f_frsize

    @property
    def held(self) -> bool:
        """Is it there?"""
        return self._path.exists()

    def drop(self) -> None:
        """Give its room away."""
        self._path.unlink(missing_ok=True)

    def make(self) -> None:
        """Take the room, all of it or nothing; blocks are reserved, not written."""
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, self.size)
            os.fsync(handle)
        except OSError:
            self.drop()
            raise
        finally:
            os.close(handle)
        sync_folder(self._path.parent)


@dataclass(slots=True)
class _Shed:
    """So many frames, between two wall times (Unix s)."""

    count: int = 0
    first: float = 0.0
    last: float = 0.0

    def add(self, count: int, first: float, last: float) -> None:
        if not count:
            return
        self.first = min(self.first, first) if self.count else first
        self.last = max(self.last, last) if self.count else last
        self.count += count


class Room:
    """Whether the disk has room. `short` while it has none; `events` are taken by whoever records them."""

    def __init__(self, ballast: Ballast) -> None:
        self._ballast = ballast
        self.short = False
        self.events: list[Event] = []
        self._due = float("-inf")  # monotonic
        self._began = 0.0  # wall time
        self._shed: dict[str, _Shed] = {}
        self._unwell = False

    def due(self, now: Instant) -> bool:
        """Is it time to look again?"""
        return now.monotonic >= self._due

    def look(self, now: Instant, *, failed: bool = False) -> bool:
        """See how much is free, and do what follows; `failed`: the journal could not commit.

        True when the ballast was given up just now, so that a commit is worth another try. Touches the disk.
        """
        self._due = now.monotonic + CHECK_S
        try:
            return self._look(now, failed)
        except OSError as error:  # a disk that does not even tell how full it is; the journal will say more
            if not self._unwell:
                log.warning("the room on the disk is not known", extra={"error": str(error)})
            self._unwell = True
            return False

    def _look(self, now: Instant, failed: bool) -> bool:
        free, held, size = self._ballast.free(), self._ballast.held, self._ballast.size
        self._unwell = False
        if not self.short and free < LOW_SHARE * size:
            self._begin(now, free)
        if self.short and failed and held:
            self._ballast.drop()
            log.error("the ballast is given up", extra={"bytes": size})
            return True
        if not failed and free >= (size if held else 2 * size):
            if not held:
                self._ballast.make()
            if self.short:
                self._end(now, free)
        return False

    def _begin(self, now: Instant, free: int) -> None:
        self.short, self._began, self._shed = True, now.wall, {}
        log.error("the disk is full", extra={"free": free})
        body = {"free_bytes": free, "ballast_bytes": self._ballast.size if self._ballast.held else 0}
        self.events.append(Event("storage.full", "station", now.wall, now.wall, body))

    def _end(self, now: Instant, free: int) -> None:
        self.short = False
        log.warning("the disk has room again", extra={"free": free})
        for what, shed in self._shed.items():
            told: dict[str, Plain] = {"what": what, "count": shed.count, "from": shed.first, "to": shed.last}
            self.events.append(Event("storage.shed", "station", shed.first, now.wall, told))
        body: dict[str, Plain] = {"free_bytes": free, "full_s": now.wall - self._began}
        self.events.append(Event("storage.recovered", "station", now.wall, now.wall, body))

    def shed(self, what: str, count: int, first: float, last: float) -> None:
        """Count what was not written (`telemetry`) or removed (`history`), between two wall times."""
        if count:
            self._shed.setdefault(what, _Shed()).add(count, first, last)

    def taken(self) -> list[Event]:
        """The events since the last call."""
        events, self.events = self.events, []
        return events
