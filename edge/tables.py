"""The tables of a journal file, and how rows get into them. Runs on the thread of the store.

`rows` is the record (see `chain.py`), `checkpoints` and `keys` are what vouches for it, `receipts` who has
stored how much of it. `newest` is a finger-post, no evidence: the newest row of each kind and subject, so
that a start need not read years of rows. It is brought up to date only now and then (its entry with two empty
names says up to which row), because an index would write a page more with every row.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import apsw

from edge.chain import GENESIS, Head, Sealed
from edge.merkle import EMPTY, Frontier

_SCHEMA = """
create table if not exists rows (
  seq integer primary key, boot_id text not null, boottime_ns integer not null, wall_ns integer not null,
  clock_state text not null, kind text not null, subject text not null, body_hash blob not null,
  hash blob not null, body blob) strict;
create table if not exists checkpoints (
  size integer primary key, seq integer not null, note text not null, frontier blob not null) strict;
create table if not exists keys (number integer primary key, public blob not null) strict;
create table if not exists receipts (reader text primary key, seq integer not null) strict, without rowid;
create table if not exists newest (
  kind text not null, subject text not null, seq integer not null,
  primary key (kind, subject)) strict, without rowid;
create table if not exists purged (
  only integer primary key check (only = 1), log blob not null, seq integer not null, hash blob not null,
  size integer not null, frontier blob not null) strict;
"""
_INSERT = "insert into rows values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_NEWEST = (
    "insert into newest values (?, ?, ?) on conflict (kind, subject) do update set seq = excluded.seq"
)
_NEWEST_OF = "select kind, subject, seq from newest where kind >= ? and kind < ? and kind <> ''"
_BASE = "select log, seq, hash, size, frontier from purged"
_PUT_BASE = "insert or replace into purged values (1, ?, ?, ?, ?, ?)"
PUT_RECEIPT = "insert into receipts values (?, ?) on conflict (reader) do update set seq = excluded.seq"
RECEIPTS = "select reader, seq from receipts"
PUT_CHECKPOINT = "insert into checkpoints values (?, ?, ?, ?)"
CHECKPOINTS = "select size, seq, note, frontier from checkpoints order by size"
PUT_KEY = "insert into keys values (?, ?)"
KEYS = "select public from keys order by number"
HEAD_AT = "select seq, hash from rows where seq <= ? order by seq desc limit 1"

Subject = tuple[str, str]  # kind and subject of a row


@dataclass(frozen=True, slots=True)
class Base:
    """Where the rows of a file begin: after `head`, in a tree that has `tree` already.

    `log` is the hash of the first row that ever was, b"" while nothing was purged.
    """

    head: Head = GENESIS
    tree: Frontier = EMPTY
    log: bytes = b""


def blob(value: object) -> bytes:
    """A column that must hold bytes; ValueError where a damaged file says something else."""
    if not isinstance(value, bytes):
        raise ValueError(f"a blob was expected, not {type(value).__name__}")
    return value


def beside(path: Path, suffix: str) -> Path:
    """The file that belongs to `path` by its name."""
    return path.with_name(path.name + suffix)


def prepare(connection: apsw.Connection) -> None:
    """Create what is missing."""
    connection.execute(_SCHEMA)


def insert(connection: apsw.Connection, rows: Sequence[Sealed]) -> None:
    """Put linked rows into the table; the caller holds the transaction."""
    connection.executemany(_INSERT, rows)


def base(connection: apsw.Connection) -> Base:
    """What a purge left to begin with; ValueError or TypeError when that is damaged."""
    try:
        found = connection.execute(_BASE).fetchone()
    except apsw.SQLError:  # a file that has no such table was never purged
        return Base()
    if found is None:
        return Base()
    log, seq, value, size, frontier = found
    return Base(Head(int(seq), blob(value)), Frontier.unpacked(size, frontier), blob(log))


def put_base(connection: apsw.Connection, found: Base) -> None:
    """Remember where the rows begin."""
    frontier = found.tree.packed()
    connection.execute(_PUT_BASE, (found.log, *found.head, found.tree.size, frontier))


def put_newest(connection: apsw.Connection, changed: Mapping[Subject, int], upto: int) -> None:
    """Bring the finger-post up to row `upto`."""
    rows = [(kind, subject, seq) for (kind, subject), seq in changed.items()]
    connection.executemany(_PUT_NEWEST, [*rows, ("", "", upto)])


def newest(connection: apsw.Connection, prefix: str) -> dict[Subject, int]:
    """Kind and subject -> seq of its newest row, for kinds that begin with `prefix`, as far as it is kept."""
    found = connection.execute(_NEWEST_OF, (prefix, prefix + "\U0010ffff"))
    return {(str(kind), str(subject)): int(seq) for kind, subject, seq in found}


def newest_upto(connection: apsw.Connection) -> int:
    """The row up to which the finger-post is right."""
    found = connection.execute("select seq from newest where kind = '' and subject = ''").fetchone()
    return 0 if found is None else int(found[0])


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
