"""Telemetry in a file of bounded size, apart from the journal, which it must never hurt.

Frames are the readings of one moment, whole; they are what the head-end gets. Between them every change
beyond a point's dead band is kept (deadband.py), written once a minute as one block, with the aggregates of
minute and hour beside it (ring.py): they are read here and by `export`.

Its commits are not synced (synchronous=NORMAL): the file survives a power cut, its last frames may not. When
the file is full the oldest go, and how many frames went is counted. What a day writes to the flash is
measured by hil_tests/benchmarks/bench_history.py; a frame a second instead of a minute writes a GB more.
"""

from collections.abc import Callable, Iterator, Mapping
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar

from drivers import Reading
from edge import ring
from edge.aggregates import Aggregate
from edge.frames import Frame
from edge.history_file import SKIPPED, HistoryError, HistoryFile
from edge.ring import Sample
from edge.store import Worker

__all__ = ["SKIPPED", "SMALLEST_LIMIT", "History", "HistoryError"]

P = ParamSpec("P")
T = TypeVar("T")

SMALLEST_LIMIT = 1 << 18  # bytes: below it a file holds little but its own structure
LOOKED_AT = 1000  # points, every cycle; of larger sites every so many cycles, so that it is
SHARED = 250  # points a cycle on the average
BACKLOG = 120  # looks that may wait for a slow disk; each holds the readings of one moment
_SHED_AT_ONCE = 25  # frames: what is moved for them needs room itself, about as much as they take
_SHED_DOWN_TO = 1440  # frames, a day of them at one a minute, stay on a full disk
_SLICE_S = 3600  # read at once, so that whoever waits behind a long report waits for little


def _slices(begin: int, end: int, width: int) -> Iterator[tuple[int, int]]:
    """`begin` to `end` in pieces."""
    for start in range(begin, end, width):
        yield start, min(start + width, end)


class History:
    """The face of the history for the event loop: `async with await History.open(path, limit_bytes)`."""

    def __init__(
        self, path: Path, limit_bytes: int, after: int, bands: Mapping[str, float] | None = None
    ) -> None:
        if limit_bytes < SMALLEST_LIMIT:
            raise ValueError(f"a history needs at least {SMALLEST_LIMIT} bytes, not {limit_bytes}")
        self._file = HistoryFile(path, limit_bytes, after, bands or {})
        self._worker = Worker("history")
        self._closed = False
        self._cycles = 0
        self._given = 0  # looks handed to the thread
        self._taken = 0  # looks it has done; only the thread writes it

    @classmethod
    async def open(
        cls, path: Path, limit_bytes: int, after: int = 0, bands: Mapping[str, float] | None = None
    ) -> "History":
        """Open or create the file; a damaged one is renamed `<name>.damaged` and a new one begun.

        New frames are numbered above `after`: give the seq that the head-end has receipted, so that no number
        is used twice even when the file was lost. `bands` are the site's own dead bands, by point, in the
        point's unit. HistoryError when there is no usable file.
        """
        history = cls(path, limit_bytes, after, bands)
        try:
            await history.last()
        except BaseException:
            await history.close()
            raise
        return history

    async def _ask(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise HistoryError("the history is closed")
        return await self._worker.run(job, *args, **kwargs)

    async def append(self, wall_ns: int, readings: Mapping[str, Reading]) -> int:
        """Store the readings of one moment (Unix time in ns); the seq of the frame. May drop the oldest."""
        return await self._ask(self._file.append, wall_ns, dict(readings))

    def look(self, wall_ns: int, readings: Mapping[str, Reading]) -> None:
        """Keep what changed beyond its dead band since the last look; call it once a cycle.

        Returns at once, the thread does the work and the caller must not change `readings`. What could not be
        stored is logged and counted; what cannot be looked at because the disk is too slow is left out.
        """
        self._cycles += 1
        every = 1 if len(readings) <= LOOKED_AT else -(-len(readings) // SHARED)
        if self._closed or self._cycles % every or self._given - self._taken >= BACKLOG:
            return
        self._given += 1
        self._worker.post(lambda: self._look(wall_ns // 1_000_000, readings))

    def _look(self, now_ms: int, readings: Mapping[str, Reading]) -> None:
        self._file.look(now_ms, readings)
        self._taken += 1

    async def samples(self, point: str, begin: float, end: float) -> list[Sample]:
        """What was kept of a point from `begin` to before `end` (Unix s), by time; no point, no samples.

        At every look the sample that holds is within the point's dead band of what was read.
        """
        found: list[Sample] = []
        for start, stop in _slices(int(begin * 1000), int(end * 1000), _SLICE_S * 1000):
            found += await self._ask(self._file.samples, point, start, stop)
        return found

    async def aggregates(self, point: str, begin: float, end: float, step: int) -> list[Aggregate]:
        """Minutes (`step` 60) or hours (3600) of a point that begin from `begin` to before `end` (Unix s).

        What is missing was not looked at, or is older than its share of the file; KeyError for another step.
        """
        if step not in ring.TABLES:
            raise KeyError(step)
        found: list[Aggregate] = []
        width = _SLICE_S * step // 60
        for start, stop in _slices(ceil(begin), ceil(end), width):
            found += await self._ask(self._file.aggregates, point, start, stop, step)
        return found

    async def lost(self) -> int:
        """How many blocks of changes could not be stored, ever; told once a block is stored again."""
        return await self._ask(self._file.counted, "lost")

    async def damaged(self) -> int:
        """How many blocks and aggregates were dropped because they could not be read, ever."""
        return await self._ask(self._file.counted, "damaged")

    async def frames(self, after: int, limit: int) -> list[Frame]:
        """Up to `limit` frames with seq above `after`, in order; time stamps to the microsecond."""
        return await self._ask(self._file.frames, after, limit)

    async def shed(self, frames: int = _SHED_AT_ONCE, kept: int = _SHED_DOWN_TO) -> tuple[int, float, float]:
        """Remove the oldest frames, for the disk is full, and give their room back; the newest `kept` stay.

        How many went, and the wall times (Unix s) of the first and the last of them.
        """
        return await self._ask(self._file.shed, frames, kept)

    async def dropped(self) -> int:
        """How many frames were dropped, ever: to keep the size, or because they were damaged."""
        return await self._ask(self._file.counted, "dropped")

    async def last(self) -> int:
        """The seq of the newest frame; the next is one more."""
        return await self._ask(self._file.last)

    async def put_state(self, key: str, blob: bytes) -> None:
        """Keep a small blob under `key`; the newest may be lost in a power cut, not in a crash."""
        await self._ask(self._file.put_state, key, blob)

    async def get_state(self, key: str) -> bytes | None:
        """The blob under `key`, or None."""
        return await self._ask(self._file.get_state, key)

    async def close(self) -> None:
        """Finish what was asked and close; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._worker.run(self._file.close)
        finally:
            self._worker.stop()

    async def __aenter__(self) -> "History":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
