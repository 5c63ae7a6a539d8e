"""What the head-end has stored, in a SQLite file of its own: each row exactly once. Synchronous; one thread.

A log is one file of one gateway (see upstream/codec.py); rows are kept by (gateway, stream, log, seq), so
rows of a gateway that lost its file and began anew never mix with the old ones. Within a log rows are taken
in order only: what is stored has no hole but those the gateway declared, and its last row is its receipt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from edge.chain import GENESIS, Head, Row, check
from edge.store import abandon, connect
from edge.tables import transaction
from edge.upstream.codec import (
    HISTORY,
    JOURNAL,
    Batch,
    Hello,
    Problem,
    Receipt,
    WireRow,
    frame_hash,
    pack_row,
)

SCHEMA = """
create table if not exists logs (id integer primary key, gateway text not null, stream text not null,
  log blob not null, unique (gateway, stream, log)) strict;
create table if not exists rows (log integer not null references logs, seq integer not null,
  hash blob not null, row blob not null, received real not null,
  primary key (log, seq)) strict, without rowid;
create table if not exists forks (log integer not null references logs, seq integer not null,
  hash blob not null, row blob not null, received real not null,
  primary key (log, seq, hash)) strict, without rowid;
create table if not exists holes (log integer not null references logs, first integer not null,
  last integer not null, primary key (log, first)) strict, without rowid;
"""
_LOG = "select id from logs where gateway = ? and stream = ? and log = ?"
_NEW_LOG = "insert into logs (gateway, stream, log) values (?, ?, ?) returning id"
_HEAD = "select seq, hash from rows where log = ? order by seq desc limit 1"
_NEWEST = (
    "select gateway, stream, log from logs where id in (select max(id) from logs group by gateway, stream)"
)
_AT = "select row from rows where log = ? and seq = ?"
_HASH_AT = "select hash from rows where log = ? and seq = ?"
_INSERT = "insert into rows values (?, ?, ?, ?, ?)"
_INSERT_FORK = "insert or ignore into forks values (?, ?, ?, ?, ?)"
_INSERT_HOLE = "insert or ignore into holes values (?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch. `gap`: rows before it are still to come."""

    receipt: Receipt
    stored: tuple[WireRow, ...] = ()
    duplicates: int = 0
    holes: int = (
        0  # the gateway says it has nothing there (dropped telemetry, a damaged file, unused numbers)
    )
    forked: int | None = None  # seq of the first row that differs from the stored one
    gap: bool = False


def wire_to_row(row: WireRow) -> Row:
    """A journal row as the arithmetic of the chain wants it."""
    boot, boottime, wall, state, kind, subject, body_hash, body = row.fields
    return Row(row.seq, boot, boottime, wall, state, kind, subject, body_hash, row.hash, body)  # type: ignore[arg-type]  # codec.FIELDS has checked them


def _chained(batch: Batch) -> bool:
    head = Head(batch.after, batch.prev)
    if head.seq == 0 and (head != GENESIS or batch.rows[0].hash != batch.log):
        return False
    for row in map(wire_to_row, batch.rows):
        if check(head, row) is not None:
            return False
        head = row.head
    return True


def _framed(batch: Batch) -> bool:
    return all(frame_hash(*row.fields) == row.hash for row in batch.rows)  # type: ignore[arg-type]  # as above


_SOUND = {JOURNAL: _chained, HISTORY: _framed}


class Store:
    """The head-end's file. Every method is one transaction; `take` returns after the durable commit."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: apsw.Connection | None = None
        self._connection  # noqa: B018 (opened now, so that a file that cannot be used is told at once)

    @property
    def _connection(self) -> apsw.Connection:
        if self._opened is None:
            opened = connect(self._path, "FULL")
            try:
                opened.execute(SCHEMA)
            except BaseException:
                abandon(opened)
                raise
            self._opened = opened
        return self._opened

    def drop(self) -> None:
        """After an error: forget the connection and what it cached; the next call opens the file anew."""
        opened, self._opened = self._opened, None
        if opened is not None:
            abandon(opened)

    def close(self) -> None:
        """Checkpoint and close."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def take(self, batch: Batch, received: float) -> Outcome:
        """Store what is new of a batch, received at Unix time `received`; apsw.Error: nothing is stored."""
        log = self._log(batch.gateway, batch.stream, batch.log)
        head = self._head(log)
        if batch.after > head.seq:
            return Outcome(self._receipt(batch, head, again=True), gap=True)
        if not _SOUND[batch.stream](batch) or not self._joins(log, batch):
            return Outcome(self._receipt(batch, head, problem=Problem.CHAIN))
        forked = self._forked(log, batch, head)
        if forked is not None:
            self._keep_fork(log, forked, received)
            return Outcome(self._receipt(batch, head, problem=Problem.FORK), forked=forked.seq)
        return self._insert(log, batch, head, received)

    def answer(self, hello: Hello) -> Receipt:
        """Where a log stands; nothing is known of an unknown one."""
        found = self._connection.execute(_LOG, (hello.gateway, hello.stream, hello.log)).fetchone()
        return self._receipt(hello, GENESIS if found is None else self._head(found[0]), again=True)

    def newest(self) -> list[tuple[str, Receipt]]:
        """Gateway and standing of the newest log of each gateway's streams."""
        hellos = [Hello(*row) for row in self._connection.execute(_NEWEST)]
        return [(hello.gateway, self.answer(hello)) for hello in hellos]

    def _log(self, gateway: str, stream: str, log: bytes) -> int:
        found = self._connection.execute(_LOG, (gateway, stream, log)).fetchone()
        return -1 if found is None else int(found[0])  # made with its first row, not before

    def _head(self, log: int) -> Head:
        found = self._connection.execute(_HEAD, (log,)).fetchone()
        return GENESIS if found is None else Head(*found)

    @staticmethod
    def _receipt(
        of: Batch | Hello, head: Head, *, again: bool = False, problem: Problem = Problem.NONE
    ) -> Receipt:
        return Receipt(of.stream, of.log, head.seq, head.hash, again, problem)

    def _joins(self, log: int, batch: Batch) -> bool:
        """Does a journal batch stand on the very row that is stored?"""
        if batch.stream != JOURNAL or batch.after == 0:
            return True
        found = self._connection.execute(_HASH_AT, (log, batch.after)).fetchone()
        return found is not None and found[0] == batch.prev

    def _forked(self, log: int, batch: Batch, head: Head) -> WireRow | None:
        for row in batch.rows:
            if row.seq > head.seq:
                return None
            found = self._connection.execute(_AT, (log, row.seq)).fetchone()
            if found is None or found[0] != pack_row(row):
                return row
        return None

    def _keep_fork(self, log: int, row: WireRow, received: float) -> None:
        with transaction(self._connection):
            self._connection.execute(_INSERT_FORK, (log, row.seq, row.hash, pack_row(row), received))

    def _insert(self, log: int, batch: Batch, head: Head, received: float) -> Outcome:
        new = tuple(row for row in batch.rows if row.seq > head.seq)
        duplicates = len(batch.rows) - len(new)
        if not new:
            return Outcome(self._receipt(batch, head), duplicates=duplicates)
        holes = tuple(_holes(head.seq, new))
        with transaction(self._connection):
            if log < 0:
                names = (batch.gateway, batch.stream, batch.log)
                log = int(self._connection.execute(_NEW_LOG, names).get)
            rows = [(log, row.seq, row.hash, pack_row(row), received) for row in new]
            self._connection.executemany(_INSERT, rows)
            self._connection.executemany(_INSERT_HOLE, [(log, *hole) for hole in holes])
        receipt = self._receipt(batch, Head(new[-1].seq, new[-1].hash))
        return Outcome(receipt, new, duplicates, len(holes))


def _holes(before: int, rows: Sequence[WireRow]) -> Iterator[tuple[int, int]]:
    """Runs of numbers (first, last) that the gateway no longer has or never gave."""
    for row in rows:
        if row.seq > before + 1:
            yield before + 1, row.seq - 1
        before = row.seq
