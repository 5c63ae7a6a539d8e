"""The tables of a journal file, and how rows get into them. Runs on the thread of the store."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from edge.chain import Row

_SCHEMA = """
create table if not exists rows (
  seq integer primary key, boot_id text not null, boottime_ns integer not null, wall_ns integer not null,
  clock_state text not null, kind text not null, subject text not null, body_hash blob not null,
  hash blob not null) strict;
create table if not exists bodies (seq integer primary key, body blob not null) strict;
create table if not exists receipts (reader text primary key, seq integer not null) strict, without rowid;
create index if not exists rows_by_kind on rows (kind, subject);
"""
_INSERT_ROW = "insert into rows values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_BODY = "insert into bodies values (?, ?)"
PUT_RECEIPT = "insert into receipts values (?, ?) on conflict (reader) do update set seq = excluded.seq"
RECEIPTS = "select reader, seq from receipts"


def beside(path: Path, suffix: str) -> Path:
    """The file that belongs to `path` by its name."""
    return path.with_name(path.name + suffix)


def prepare(connection: apsw.Connection) -> None:
    """Create what is missing."""
    connection.execute(_SCHEMA)


def insert(connection: apsw.Connection, rows: Sequence[Row]) -> None:
    """Put linked rows into both tables; the caller holds the transaction."""
    header = [(r.seq, r.boot_id, r.boottime_ns, r.wall_ns, r.clock_state, r.kind, r.subject) for r in rows]
    connection.executemany(
        _INSERT_ROW, [(*h, r.body_hash, r.hash) for h, r in zip(header, rows, strict=True)]
    )
    connection.executemany(_INSERT_BODY, [(row.seq, row.body) for row in rows])


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """All or nothing. After a failed commit the connection should be dropped, whatever the rollback said."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        with suppress(apsw.Error):  # SQLite may have rolled back by itself
            connection.execute("rollback")
        raise
