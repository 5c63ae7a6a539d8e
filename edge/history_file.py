"""The file of the history as its thread sees it: frames, states, names of points; the ring beside them.

A file that is damaged is put aside and a new one begun; after any failure the connection is dropped and the
file opened anew by the next use.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from drivers import Reading, Unit
from edge import ring
from edge.aggregates import Aggregate
from edge.deadband import Block, Gatherer
from edge.frames import Frame, Name, decode, encode
from edge.ring import UNREADABLE, Ring, Sample
from edge.store import StoreError, abandon, connect
from edge.tables import beside, transaction

log = logging.getLogger(__name__)

SKIPPED = 10_000  # seqs left out after an unclean end, more than one power cut can have cost
_DROP_AT_ONCE = 64  # frames; dropping one by one would cost a search each

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


class HistoryFile:
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
        """Store a frame; its seq."""
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
        """What was kept of a point, `begin_ms` to before `end_ms`, Unix ms."""
        with self._guarded() as connection:
            return list(ring.samples(connection, self._names, point, begin_ms, end_ms))

    def aggregates(self, point: str, begin: int, end: int, step: int) -> list[Aggregate]:
        """Its minutes or hours that begin from `begin` to before `end`, Unix s."""
        with self._guarded() as connection:
            return list(ring.aggregated(connection, self._names, point, begin, end, step))

    def counted(self, name: str) -> int:
        """A counter kept in the file, 0 when it never counted."""
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
        """Remove the oldest frames: how many, and the Unix s of the first and the last."""
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
        """Up to `limit` frames above `after`; a damaged one is dropped and counted."""
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
        """The seq of the newest frame."""
        with self._guarded():
            return self._seq

    def put_state(self, key: str, blob: bytes) -> None:
        """Keep a blob under its key."""
        with self._guarded() as connection:
            connection.execute(_PUT_STATE, (key, blob))

    def get_state(self, key: str) -> bytes | None:
        """The blob, or None."""
        with self._guarded() as connection:
            found = connection.execute("select blob from states where key = ?", (key,)).fetchone()
            return None if found is None else bytes(found[0])

    def close(self) -> None:
        """Write what was gathered and close, so that the next start knows the last seq."""
        self._settle(None)
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.execute(_SET, ("last", self._seq))
            connection.execute(_SET, ("clean", 1))
        finally:
            connection.close()
