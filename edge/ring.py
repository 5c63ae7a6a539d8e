"""The tables of samples, minutes and hours in the file of the history, each within its share of the size.

Works on a connection it is given, inside the caller's transaction. The hour in hand is made of the minutes
in the file, so that a restart costs at most the minute in hand. What cannot be read is dropped and counted.
`before` of a row is how many bytes its table was given before it, ever: two rows tell what lies between them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import apsw

from drivers import Quality, Reason, Unit
from edge import aggregates, blocks
from edge.aggregates import HOUR_S, MINUTE_S, Aggregate, Hour, Minute, Sums, joined
from edge.deadband import Block
from edge.frames import UNCERTAIN, Name, judged
from edge.tables import blob as blob_of

SCHEMA = """
create table if not exists samples (seq integer primary key, before integer not null,
  start_ms integer not null, end_ms integer not null, blob blob not null) strict;
create index if not exists samples_by_start on samples (start_ms);
create table if not exists minutes (seq integer primary key, before integer not null,
  start_s integer not null, partial integer not null, blob blob not null) strict;
create index if not exists minutes_by_start on minutes (start_s);
create table if not exists hours (seq integer primary key, before integer not null,
  start_s integer not null, partial integer not null, upto integer not null, blob blob not null) strict;
"""
# Of the whole file, in bytes of blobs; the frames have what is left, at least three eighths.
SHARES: Mapping[str, float] = {"samples": 1 / 4, "minutes": 1 / 4, "hours": 1 / 8}
TABLES: Mapping[int, str] = {MINUTE_S: "minutes", HOUR_S: "hours"}
COUNT = "insert into counters values (?, ?) on conflict (name) do update set value = value + excluded.value"
# What a damaged blob makes of itself.
UNREADABLE = (ValueError, KeyError, IndexError, TypeError, OverflowError)
_ROOM = 64  # bytes of a row beside its blob
_PAGE = 1024
_AT_ONCE = 32  # rows dropped in one go
_SAMPLES = """select seq, blob from samples
  where start_ms <= ? and start_ms > ? and end_ms >= ? order by start_ms, seq"""
_AGGREGATES = (
    "select seq, start_s, partial, blob from {} where start_s >= ? and start_s < ? order by start_s, seq"
)
_PENDING = """select seq, start_s, partial, blob from minutes
  where seq > (select coalesce(max(upto), 0) from hours) order by seq"""


@dataclass(frozen=True, slots=True)
class Sample:
    """A point at a moment (Unix ms): a value in its unit, None where BAD, and its quality with the reason.

    It holds until the next one, at most a minute: each minute says anew what every point was.
    """

    wall_ms: int
    value: float | None
    unit: Unit
    quality: Quality
    reason: Reason


class Ring:
    """What the thread of the history keeps apart from frames. `limit`: bytes of the whole file."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._minute: Minute | None = None
        self._hour: Hour | None = None
        self._resumed = False

    def detach(self) -> None:
        """The file is closed, or something failed: what it holds is what counts."""
        self._resumed = False

    def _resume(self, connection: apsw.Connection, ids: Mapping[Name, int]) -> None:
        """Make the hour in hand of the minutes that are in no hour yet."""
        self._hour, self._resumed = None, True
        names = {number: name for name, number in ids.items()}
        pending: list[Any] = connection.execute(_PENDING).fetchall()
        for seq, start, partial, blob in pending:
            points = _read(connection, "minutes", seq, blob, names, None)
            if points is not None:
                self._into_hour(connection, ids, seq, start, points, partial=bool(partial))

    def store(
        self, connection: apsw.Connection, block: Block, ids: Mapping[Name, int], next_s: float
    ) -> None:
        """Write a block, and the minute and the hour that are over at `next_s` (Unix s), the next look."""
        if not self._resumed:
            self._resume(connection, ids)
        blob = blocks.encode(block, ids)
        self._put(connection, "samples", block.times[0], block.times[-1], blob)
        if self._minute is None or self._minute.start != block.minute:
            self._minute = Minute(block.minute)
        self._minute.add(block)
        if next_s // MINUTE_S * MINUTE_S != block.minute:
            self._end_minute(connection, ids, next_s)

    def end(self, connection: apsw.Connection, ids: Mapping[Name, int]) -> None:
        """Write the minute in hand; the hour is made of its minutes at the next start."""
        if self._minute is not None:
            self._end_minute(connection, ids, self._minute.start)

    def _end_minute(self, connection: apsw.Connection, ids: Mapping[Name, int], next_s: float) -> None:
        minute, self._minute = self._minute, None
        if minute is None:
            return
        blob = aggregates.encode(minute.points, ids)
        seq = self._put(connection, "minutes", minute.start, int(minute.partial), blob)
        self._into_hour(connection, ids, seq, minute.start, minute.points, partial=minute.partial)
        if next_s // HOUR_S != minute.start // HOUR_S:
            self._end_hour(connection, ids)

    def _into_hour(
        self,
        connection: apsw.Connection,
        ids: Mapping[Name, int],
        seq: int,
        start: int,
        points: Mapping[Name, Sums],
        *,
        partial: bool,
    ) -> None:
        begin = start // HOUR_S * HOUR_S
        if self._hour is not None and self._hour.start != begin:  # of a run before, or the clock was set
            self._end_hour(connection, ids)
        if self._hour is None:
            self._hour = Hour(begin)
        self._hour.add(seq, points, partial=partial)

    def _end_hour(self, connection: apsw.Connection, ids: Mapping[Name, int]) -> None:
        hour, self._hour = self._hour, None
        if hour is not None:
            blob = aggregates.encode(hour.points, ids)
            self._put(connection, "hours", hour.start, int(hour.partial), hour.upto, blob)

    def _put(self, connection: apsw.Connection, table: str, *columns: int | bytes) -> int:
        """Append a row, drop the oldest rows of the table above its share; the number of the row."""
        before = _end(connection, table)
        places = ", ".join("?" * len(columns))
        connection.execute(f"insert into {table} values (null, ?, {places})", (before, *columns))  # noqa: S608
        seq = connection.last_insert_rowid()
        room = int(SHARES[table] * self._limit)
        while _end(connection, table) - _begin(connection, table) > room and _drop(connection, table, seq):
            pass
        return seq


def _end(connection: apsw.Connection, table: str) -> int:
    """How many bytes the table was given, ever."""
    newest = f"select before, length(blob) from {table} order by seq desc limit 1"  # noqa: S608 - as above
    found = connection.execute(newest).fetchone()
    return 0 if found is None else int(found[0]) + _room(int(found[1]))


def _begin(connection: apsw.Connection, table: str) -> int:
    """Of them, how many before its oldest row."""
    oldest = f"select before from {table} order by seq limit 1"  # noqa: S608 - as above
    found = connection.execute(oldest).fetchone()
    return 0 if found is None else int(found[0])


def _drop(connection: apsw.Connection, table: str, newest: int) -> bool:
    oldest = f"select seq from {table} where seq < ? order by seq limit {_AT_ONCE}"  # noqa: S608 - as above
    connection.execute(f"delete from {table} where seq in ({oldest})", (newest,))  # noqa: S608 - as above
    return connection.changes() > 0


def _room(length: int) -> int:
    """Bytes of a row in the file: a long one has pages of its own."""
    row = length + _ROOM
    return row if row < _PAGE // 2 else -(-row // _PAGE) * _PAGE


def _read(
    connection: apsw.Connection,
    table: str,
    seq: int,
    blob: object,
    names: Mapping[int, Name],
    only: str | None,
) -> Any:  # noqa: ANN401 - a Block of samples, else sums
    """What a blob holds; None when it is damaged: it is dropped and counted if the file is open to write."""
    decode = blocks.decode if table == "samples" else aggregates.decode
    try:
        return decode(blob_of(blob), names, only)
    except UNREADABLE:
        if not connection.readonly("main"):
            connection.execute(f"delete from {table} where seq = ?", (seq,))  # noqa: S608 - a name of ours
            connection.execute(COUNT, ("damaged", 1))
        return None


def samples(
    connection: apsw.Connection, names: Mapping[int, Name], point: str, begin_ms: int, end_ms: int
) -> Iterator[Sample]:
    """The samples of a point from `begin_ms` to before `end_ms`, in order of their blocks' start."""
    longest = begin_ms - MINUTE_S * 1000  # no block is longer
    rows: list[Any] = connection.execute(_SAMPLES, (end_ms, longest, begin_ms)).fetchall()
    for seq, blob in rows:
        block = _read(connection, "samples", seq, blob, names, point)
        if block is not None:
            yield from (one for one in _of_block(block) if begin_ms <= one.wall_ms < end_ms)


def _of_block(block: Block) -> Iterator[Sample]:
    for (_, unit), series in block.series.items():
        for tick, value, mark in zip(series.ticks, series.values, series.marks, strict=True):
            known = None if mark < UNCERTAIN else value
            yield Sample(block.times[tick], known, unit, *judged(mark))


def aggregated(
    connection: apsw.Connection, names: Mapping[int, Name], point: str, begin: int, end: int, step: int
) -> Iterator[Aggregate]:
    """The minutes (`step` 60) or hours (3600) of a point that begin from `begin` to before `end`, Unix s."""
    table = TABLES[step]
    rows = connection.execute(_AGGREGATES.format(table), (begin, end)).fetchall()
    return joined(_aggregates(connection, names, point, step, rows))


def _aggregates(
    connection: apsw.Connection, names: Mapping[int, Name], point: str, step: int, rows: list[Any]
) -> Iterator[Aggregate]:
    for seq, start, partial, blob in rows:
        points = _read(connection, TABLES[step], seq, blob, names, point)
        for (_, unit), each in (points or {}).items():
            yield each.aggregate(start, step, unit, partial=bool(partial))
