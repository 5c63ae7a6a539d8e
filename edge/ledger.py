"""The journal as its thread sees it: synchronous, one connection, opened when it is needed.

After an error nothing of the commit counts as written, the connection is dropped, and before the next job the
file is opened anew and its tail checked: a failed fsync is never simply tried again. Rows of a failed append
may still turn up in the file; they are then ordinary rows that nobody was promised.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from edge.chain import GENESIS, Draft, Fault, Head, Row, check, check_body, link
from edge.clock import Clock, Instant
from edge.quarantine import Quarantine
from edge.store import StoreError, abandon, connect
from edge.tables import PUT_RECEIPT, RECEIPTS, insert, prepare, transaction
from edge.verification import COLUMNS, Scan, fetch, to_row

TAIL = 2000  # rows checked when the file is opened; the whole chain is checked by `verify`

_TAIL_HEAD = "select seq, hash from rows order by seq desc limit 1 offset ?"
_HEAD_AT = "select seq, hash from rows where seq <= ? order by seq desc limit 1"
_LATEST = f"""
select {COLUMNS} from rows r join bodies b on b.seq = r.seq
where r.seq in (select max(seq) from rows where kind >= ?1 and kind < ?2 group by subject) order by r.seq
"""  # noqa: S608 - COLUMNS is a constant of ours
# What damage makes of itself. A flipped bit in the head of the file also reads as a schema that cannot be
# (SQLError) or a file that may only be read (ReadOnlyError); where really nothing can be written, putting the
# file aside fails too and the file stays as it is.
_DAMAGED = (
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.SQLError,
    apsw.ReadOnlyError,
    UnicodeError,
    TypeError,
)


class JournalError(Exception):
    """The journal did not do what was asked; nothing of it counts as recorded."""


class DamagedError(JournalError):
    """A row that was to be read is not the one that was written; `fault.seq` says which."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"row {fault.seq} of the journal is damaged: {fault.detail}")
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Append:
    """Entries that one caller waits for."""

    drafts: list[Draft]
    now: Instant
    done: "asyncio.Future[int]"


class Ledger:
    """The journal as its thread sees it: synchronous, one connection, opened when needed."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._connection: apsw.Connection | None = None
        self._head = GENESIS
        self._damage = ""  # why the file must be put aside before it is used again

    def open(self) -> apsw.Connection:
        """The connection; opened where there is none, its tail checked, the file replaced if damaged."""
        if self._connection is not None:
            return self._connection
        why = self._damage or self._attach()
        if why:
            self._drop()
            Quarantine(self._path, self._clock).replace(why)
            self._damage = ""
            if still := self._attach():
                raise StoreError(f"the journal is damaged as soon as it is written: {still}")
        assert self._connection is not None
        return self._connection

    def _attach(self) -> str:
        """Open the file and find the head of its chain; what is damaged, or nothing."""
        try:
            self._connection = connect(self._path, "FULL")
            prepare(self._connection)
            return self._check_tail(self._connection)
        except _DAMAGED as error:
            return f"{type(error).__name__}: {error}"

    def _check_tail(self, connection: apsw.Connection) -> str:
        start = connection.execute(_TAIL_HEAD, (TAIL,)).fetchone()
        self._head = GENESIS if start is None else Head(*start)
        for found in Scan(connection, self._head):
            if isinstance(found, Fault):
                return f"row {found.seq}: {found.what} {found.detail}"
            self._head = found.head
        return ""

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            abandon(connection)

    @contextmanager
    def _guarded(self, writing: bool = False) -> Iterator[apsw.Connection]:
        """The connection for one job; a failure drops it and is told as JournalError.

        A file that cannot be written because it is damaged is replaced at the next job; one where an old row
        cannot be read is still good for new ones.
        """
        try:
            yield self.open()
        except (apsw.Error, OSError, StoreError, *_DAMAGED) as error:
            self._drop()
            why = f"{type(error).__name__}: {error}"
            if writing and isinstance(error, _DAMAGED):
                self._damage = why
            raise JournalError(why) from error

    def append(self, group: Iterable[Append]) -> list[int]:
        """Commit all appends of `group` at once; the last seq of each."""
        with self._guarded(writing=True) as connection:
            head, lasts, rows = self._head, [], []
            for one in group:
                for draft in one.drafts:
                    rows.append(link(head, draft, one.now, self._clock.boot_id))
                    head = rows[-1].head
                lasts.append(head.seq)
            with transaction(connection):
                insert(connection, rows)
            self._head = head
            return lasts

    def last(self) -> Head:
        """The end of the chain."""
        with self._guarded():
            return self._head

    def rows(self, after: int, limit: int) -> list[Row]:
        """Up to `limit` rows above `after`, each checked; DamagedError at the first that is not whole."""
        with self._guarded() as connection:
            start = connection.execute(_HEAD_AT, (after,)).fetchone()
            head = GENESIS if start is None else Head(*start)
            return list(_checked(head, fetch(connection, head.seq, limit)))

    def latest(self, prefix: str) -> list[Row]:
        """The newest row of each subject among the kinds that begin with `prefix`.

        One whose body is not the recorded one is left out: it is `verify` that names it.
        """
        with self._guarded() as connection:
            found = connection.execute(_LATEST, (prefix, prefix + "\U0010ffff"))
            rows = [to_row(columns) for columns in found]
            return [row for row in rows if isinstance(row, Row) and check_body(row) is None]

    def set_receipt(self, reader: str, seq: int) -> None:
        """Keep how far `reader` has stored."""
        with self._guarded(writing=True) as connection, transaction(connection):
            connection.execute(PUT_RECEIPT, (reader, seq))

    def receipts(self) -> dict[str, int]:
        """How far each reader has stored."""
        with self._guarded() as connection:
            return {str(reader): int(seq) for reader, seq in connection.execute(RECEIPTS)}

    def close(self) -> None:
        """Checkpoint and close; the file alone is then the journal."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _sound(found: Row | Fault) -> Row:
    if isinstance(found, Fault):
        raise DamagedError(found)
    return found


def _checked(head: Head, found: Iterable[Row | Fault]) -> Iterator[Row]:
    """The rows, each checked against the one before: a wrong row is never handed on."""
    for row in map(_sound, found):
        if fault := check(head, row):
            raise DamagedError(fault)
        head = row.head
        yield row
