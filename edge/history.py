"""Telemetry in a file of bounded size, apart from the journal, which it must never hurt.

Frames are the readings of one moment, whole; they are what the head-end gets. Between them every change
beyond a point's dead band is kept (deadband.py), written once a minute as one block, with the aggregates of
minute and hour beside it (ring.py): they are read here and by `export`.

Its commits are not synced (synchronous=NORMAL): the file survives a power cut, its last frames may not. When
the file is full the oldest frames go, and how many went is counted. Appending a frame writes two or three
pages of 4 KiB to the flash: one frame a minute is about 15 MB a day, one a second 1 GB; append accordingly.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import apsw

from drivers import Reading, Unit
from edge import ring
from edge.aggregates import Aggregate
from edge.deadband import Block, Gatherer
from edge.frames import Frame, Name, decode, encode
from edge.ring import UNREADABLE, Ring, Sample
from edge.store import StoreError, Worker, abandon, connect
from edge.tables import beside, transaction

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

SMALLEST_LIMIT = 1 << 18  # bytes: below it a file holds little but its own structure
SKIPPED = 10_000  # seqs left out after an unclean end, more than one power cut can have cost
LOOKED_AT = 1000  # points a cycle; of more points than that only every second, third ... cycle is looked at
BACKLOG = 120  # looks that may wait for a slow disk; each holds the readings of one moment
_DROP_AT_ONCE = 64  # frames; dropping one by one would cost a search each
_SLICE_S = 3600  # read at once, so that whoever waits behind a long report waits for little
_SHED_AT_ONCE = 25  # frames: what is moved for them needs room itself, about as much as they take
_SHED_DOWN_TO = 1440  # frames, a day of them at one a minute, stay on a full disk

_SCHEMA = """
create table if not exists frames (seq integer primary key, wall_ns integer not null,
  blob blob not null) strict;
create table if not exists points (id integer primary key, name text not null, unit text not null,
  unique (name, unit)) strict;
create table if not exists states (key text primary key, blob blob not null) strict, without rowid;
create table if not exists counters (name text primary key, value integer not null) strict, without rowid;
"""
_COUNT = ring.COUNT
_SET = "insert into counters values (?, ?) on conflict (name) do update set value = excluded.value"
_PUT_STATE = "insert into states values (?, ?) on conflict (key) do update set blob = excluded.blob"
_DROP = "delete from frames where seq in (select seq from frames order by seq limit ?)"
_OLDEST = "select count(*), min(wall_ns), max(wall_ns) from (select wall_ns from frames order by seq limit ?)"
_FRAMES = "select seq, wall_ns, blob from frames where seq > ? order by seq limit ?"
# Our own numbers never collide: a constraint that fails is damage, too.
_BROKEN = (apsw.CorruptError, apsw.NotADBError, apsw.ConstraintError, *UNREADABLE)


class HistoryError(Exception):
    """A frame or a state was not stored or could not be read; control goes on without."""


def _scalar(connection: apsw.Connection, query: str, *args: str | int) -> int:
    found = connection.execute(query, args).fetchone()
    return 0 if found is None or found[0] is None else int(found[0])


class _File:
    """The history as its thread sees it."""

    def __init__(self, path: Path, limit_bytes: int, after: int, bands: Mapping[str, float]) -> None:
        self._path = path
        self._limit = limit_bytes
        self._gatherer = Gatherer(bands)
        self._ring = Ring(limit_bytes)
        self._lost = 0  # blocks that could not be stored, not yet counted in the file
        self._after = after
        self._connection: apsw.Connection | None = None
        self._broken = False  # the file must be put aside before it is used again
        self._ids: dict[Name, int] = {}
        self._names: dict[int, Name] = {}
        self._seq = 0

    def _open(self) -> apsw.Connection:
        if self._connection is None:
            try:
                self._connection = None if self._broken else self._attach()
            except _BROKEN:
                self._broken = True
            if self._connection is None:
                self._put_aside()
                self._connection = self._attach()
        return self._connection

    def _attach(self) -> apsw.Connection:
        if self._path.is_dir():
            raise ValueError("there is a folder in its place")
        connection = connect(self._path, "NORMAL")
        try:
            connection.execute(_SCHEMA + ring.SCHEMA)
            self._begin(connection)
        except BaseException:
            abandon(connection)
            raise
        return connection

    def _begin(self, connection: apsw.Connection) -> None:
        """Load the names and find the next seq. A seq that may once have been sent is not used again."""
        points = connection.execute("select id, name, unit from points")
        self._names = {int(number): (str(name), Unit(unit)) for number, name, unit in points}
        self._ids = {name: number for number, name in self._names.items()}
        last = max(self._after, self._seq, _scalar(connection, "select max(seq) from frames"))
        last = max(last, _scalar(connection, "select value from counters where name = 'last'"))
        clean = _scalar(connection, "select value from counters where name = 'clean'")
        unused = connection.execute("select 1 from counters limit 1").fetchone() is None
        self._seq = last if clean or (unused and not last) else last + SKIPPED
        connection.execute("pragma synchronous=FULL")  # that it is in use must survive a power cut
        connection.execute(_SET, ("clean", 0))
        connection.execute("pragma synchronous=NORMAL")

    def _put_aside(self) -> None:
        """Telemetry may be lost: one damaged file is kept for whoever wants to look, an older one goes."""
        for suffix in ("-wal", "-shm"):
            beside(self._path, suffix).unlink(missing_ok=True)
        self._path.replace(beside(self._path, ".damaged"))
        self._broken = False

    @contextmanager
    def _guarded(self) -> Iterator[apsw.Connection]:
        try:
            yield self._open()
        except (apsw.Error, OSError, StoreError, *UNREADABLE) as error:
            self._broken = isinstance(error, _BROKEN)
            self._drop()
            raise HistoryError(f"{type(error).__name__}: {error}") from error

    def _drop(self) -> None:
        self._ring.detach()
        connection, self._connection = self._connection, None
        if connection is not None:
            abandon(connection)

    def append(self, wall_ns: int, readings: Mapping[str, Reading]) -> int:
        with self._guarded() as connection:
            with transaction(connection):
                self._learn(connection, ((name, reading.unit) for name, reading in readings.items()))
                blob = encode(wall_ns, readings, self._ids)
                connection.execute("insert into frames values (?, ?, ?)", (self._seq + 1, wall_ns, blob))
                self._shed(connection)
            self._seq += 1
            return self._seq

    def _learn(self, connection: apsw.Connection, names: Iterable[Name]) -> None:
        """Give a number to every point not seen before; a failed commit drops the numbers with the file."""
        for key in names:
            if key in self._ids:
                continue
            number = len(self._names) + 1
            connection.execute("insert into points values (?, ?, ?)", (number, key[0], key[1].value))
            self._ids[key], self._names[number] = number, key

    def look(self, now_ms: int, readings: Mapping[str, Reading]) -> None:
        """Keep what changed; a minute that is over is written. A failure costs that minute, no more."""
        if self._gatherer.due(now_ms):
            self._settle(now_ms)
        self._gatherer.look(now_ms, readings)

    def _settle(self, next_ms: int | None) -> None:
        """Write what was gathered; `next_ms` is the next look, None when there will be none."""
        block = self._gatherer.take()
        if block is None:
            return
        try:
            self._store(block, next_ms)
        except HistoryError as error:
            self._lost += 1
            log.warning("changes of a minute not stored", extra={"error": str(error)})

    def _store(self, block: Block, next_ms: int | None) -> None:
        with self._guarded() as connection, transaction(connection):
            self._learn(connection, block.series)
            if next_ms is None:
                self._ring.store(connection, block, self._ids, block.minute)
                self._ring.end(connection, self._ids)
            else:
                self._ring.store(connection, block, self._ids, next_ms / 1000)
            if self._lost:
                connection.execute(_COUNT, ("lost", self._lost))
            self._shed(connection)
        self._lost = 0

    def samples(self, point: str, begin_ms: int, end_ms: int) -> list[Sample]:
        with self._guarded() as connection:
            return list(ring.samples(connection, self._names, point, begin_ms, end_ms))

    def aggregates(self, point: str, begin: int, end: int, step: int) -> list[Aggregate]:
        with self._guarded() as connection:
            return list(ring.aggregated(connection, self._names, point, begin, end, step))

    def counted(self, name: str) -> int:
        with self._guarded() as connection:
            return _scalar(connection, "select value from counters where name = ?", name)

    def _shed(self, connection: apsw.Connection) -> None:
        while self._used(connection) > self._limit:
            connection.execute(_DROP, (_DROP_AT_ONCE,))
            dropped = connection.changes()
            if not dropped:
                return
            connection.execute(_COUNT, ("dropped", dropped))

    @staticmethod
    def _used(connection: apsw.Connection) -> int:
        pages = _scalar(connection, "pragma page_count") - _scalar(connection, "pragma freelist_count")
        return pages * _scalar(connection, "pragma page_size")

    def shed(self, frames: int, kept: int) -> tuple[int, float, float]:
        with self._guarded() as connection:
            count = _scalar(connection, "select count(*) from frames")
            bounds = connection.execute(_OLDEST, (max(0, min(frames, count - kept)),)).fetchone()
            if bounds is None or not bounds[0]:
                return 0, 0.0, 0.0
            with transaction(connection):
                connection.execute(_DROP, (bounds[0],))
                connection.execute(_COUNT, ("dropped", bounds[0]))
            connection.execute("pragma incremental_vacuum").fetchall()
            connection.execute("pragma wal_checkpoint(truncate)").fetchall()
            return int(bounds[0]), bounds[1] / 1e9, bounds[2] / 1e9

    def frames(self, after: int, limit: int) -> list[Frame]:
        with self._guarded() as connection:
            found: list[Any] = connection.execute(_FRAMES, (after, limit)).fetchall()
            frames = [self._frame(connection, *columns) for columns in found]
            return [frame for frame in frames if frame is not None]

    def _frame(self, connection: apsw.Connection, seq: int, wall_ns: int, blob: bytes) -> Frame | None:
        try:
            return Frame(seq, wall_ns, decode(blob, self._names))
        except UNREADABLE:  # one damaged frame must not stop the reader: it is dropped and counted
            connection.execute("delete from frames where seq = ?", (seq,))
            connection.execute(_COUNT, ("dropped", 1))
            return None

    def last(self) -> int:
        with self._guarded():
            return self._seq

    def put_state(self, key: str, blob: bytes) -> None:
        with self._guarded() as connection:
            connection.execute(_PUT_STATE, (key, blob))

    def get_state(self, key: str) -> bytes | None:
        with self._guarded() as connection:
            found = connection.execute("select blob from states where key = ?", (key,)).fetchone()
            return None if found is None else bytes(found[0])

    def close(self) -> None:
        self._settle(None)
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.execute(_SET, ("last", self._seq))
            connection.execute(_SET, ("clean", 1))
        finally:
            connection.close()


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
        self._file = _File(path, limit_bytes, after, bands or {})
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
        every = -(-len(readings) // LOOKED_AT) or 1
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
