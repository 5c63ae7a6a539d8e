"""The journal as its thread sees it: synchronous, one connection, opened when it is needed.

After an error nothing of the commit counts as written, the connection is dropped, and before the next job the
file is opened anew and its tail checked: a failed fsync is never simply tried again. Rows of a failed append
may still turn up in the file; they are then ordinary rows that nobody was promised.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from edge.chain import GENESIS, Draft, Fault, Head, Row, Sealed, check, check_body, seal
from edge.clock import Clock, Instant
from edge.notary import ROTATED, Notary, key_change
from edge.purge import Purged, boundary, remove, told
from edge.quarantine import Quarantine
from edge.store import StoreError, abandon, connect
from edge.tables import (
    HEAD_AT,
    PUT_RECEIPT,
    RECEIPTS,
    Subject,
    base,
    blob,
    insert,
    newest,
    newest_upto,
    prepare,
    put_newest,
    transaction,
)
from edge.verification import Scan, fetch

log = logging.getLogger(__name__)

TAIL = (
    2000  # rows checked when the file is opened, besides all after the last checkpoint; `verify` checks all
)
POST_EVERY = 1000  # rows after which the finger-post to the newest rows is brought up to date
KEYS_FOLDER = "keys"  # beside the journal

_TAIL_HEAD = "select seq, hash from rows order by seq desc limit 1 offset ?"
_FIRST = "select hash from rows order by seq limit 1"
_RECEIPT = "select seq from receipts where reader = ?"
_RECOUNT = "select kind, subject, max(seq) from rows group by kind, subject"
# What damage makes of itself. A flipped bit in the head of the file also reads as a schema that cannot be
# (SQLError) or a file that may only be read (ReadOnlyError); where really nothing can be written, putting the
# file aside fails too and the file stays as it is.
_DAMAGED = (
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.SQLError,
    apsw.ReadOnlyError,
    apsw.ConstraintError,
    UnicodeError,
    TypeError,
    ValueError,
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

    drafts: Sequence[Draft]
    now: Instant
    done: "asyncio.Future[int]"


class Ledger:
    """The journal as its thread sees it: synchronous, one connection, opened when needed."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._connection: apsw.Connection | None = None
        self._notary = Notary(path.parent / KEYS_FOLDER)
        self._head = GENESIS
        self._posted = 0  # the row up to which the finger-post is right
        self._changed: dict[Subject, int] = {}  # what it lacks
        self._damage = ""  # why the file must be put aside before it is used again

    def open(self) -> apsw.Connection:
        """The connection; opened where there is none, its tail checked, the file replaced if damaged."""
        if self._connection is not None:
            return self._connection
        why = self._damage or self._attach()
        if why:
            self._drop()
            Quarantine(self._path, self._clock, self._notary).replace(why)
            self._damage = ""
            if still := self._attach():
                raise StoreError(f"the journal is damaged as soon as it is written: {still}")
        assert self._connection is not None
        return self._connection

    def _attach(self) -> str:
        """Open the file and find the head of its chain; what is damaged, or nothing."""
        if self._path.is_dir():
            return "there is a folder in its place"
        try:
            self._connection = connect(self._path, "FULL")
            prepare(self._connection)
            return self._check_tail(self._connection)
        except _DAMAGED as error:
            return f"{type(error).__name__}: {error}"

    def _check_tail(self, connection: apsw.Connection) -> str:
        """Check the last rows and the last checkpoint; let the tree grow by the rows after it."""
        begin = base(connection)
        signed, why = self._notary.attach(connection, begin)
        if why:
            return why
        self._posted, self._changed = newest_upto(connection), {}
        tail = connection.execute(_TAIL_HEAD, (TAIL,)).fetchone()
        starts = (signed.seq, self._posted, begin.head.seq if tail is None else tail[0])
        self._head = _head_at(connection, min(starts))
        later: list[Sealed] = []
        for found in Scan(connection, self._head):
            if isinstance(found, Fault):
                return f"row {found.seq}: {found.what} {found.detail}"
            self._head = found.head
            if found.seq > self._posted:
                self._changed[found.kind, found.subject] = found.seq
            if found.seq > signed.seq:
                later.append(found.sealed)
        self._notary.adopt(later)
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
            return self._commit(connection, [(one.drafts, one.now) for one in group])

    def _commit(
        self,
        connection: apsw.Connection,
        parts: Sequence[tuple[Sequence[Draft], Instant]],
        also: Callable[[], None] | None = None,
    ) -> list[int]:
        """Record `parts` in one transaction, with the checkpoint that is due and what `also` does.

        Returns the seq of the last row of each part.
        """
        now = parts[-1][1]
        rows, head = seal(self._head, self._notary.prepare(now), now, self._clock.boot_id)
        lasts = []
        for drafts, when in parts:
            more, head = seal(head, drafts, when, self._clock.boot_id)
            rows += more
            lasts.append(head.seq)
        if rows:
            self._write(connection, rows, head, now, also)
        return lasts

    def _write(
        self,
        connection: apsw.Connection,
        rows: Sequence[Sealed],
        head: Head,
        now: Instant,
        also: Callable[[], None] | None,
    ) -> None:
        tree, note = self._notary.tree.grown([row[8] for row in rows]), ""
        changed = {(row[5], row[6]): row[0] for row in rows}
        post = head.seq - self._posted >= POST_EVERY
        with transaction(connection):
            insert(connection, rows)
            if self._notary.due(rows, tree.size, now):
                note = self._notary.write(connection, rows, tree, head)
            if also is not None:
                also()
            if post:
                put_newest(connection, self._changed | changed, head.seq)
        self._head = head
        self._notary.adopt(rows, tree)
        self._notary.written(note, tree.size, now)
        if post:
            self._posted, self._changed = head.seq, {}
        else:
            self._changed.update(changed)

    def checkpoint(self) -> str:
        """The newest checkpoint, over all rows: written now where it does not cover them; "" without rows."""
        with self._guarded(writing=True) as connection:
            if self._notary.signed < self._notary.tree.size:
                self._sign(connection)
            return self._notary.note

    def _sign(self, connection: apsw.Connection) -> None:
        """A checkpoint over the rows that are there already."""
        now = self._clock.now()
        if self._notary.prepare(now):  # the row of a lost key, which brings its checkpoint
            self._commit(connection, [((), now)])
            return
        tree = self._notary.tree
        with transaction(connection):
            note = self._notary.write(connection, (), tree, self._head)
            put_newest(connection, self._changed, self._head.seq)
        self._notary.written(note, tree.size, now)
        self._posted, self._changed = self._head.seq, {}

    def rotate_key(self) -> int:
        """Go on with a new key, named in a row over which the old key signs; the seq of that row."""
        with self._guarded(writing=True) as connection:
            now = self._clock.now()
            self._commit(connection, [((), now)])  # a lost key is told of first
            old, key = self._notary.successor()
            told_of = [key_change(ROTATED, old, key.public, now)]
            lasts = self._commit(
                connection, [(told_of, now)], lambda: self._notary.trust(connection, key.public)
            )
            self._notary.succeed(key)
            return lasts[-1]

    def purge(self, now: Instant, retention_s: float, reader: str, before: int | None) -> Purged:
        """Remove old rows: see `purge.py`."""
        with self._guarded(writing=True) as connection:
            receipt = int(connection.execute(_RECEIPT, (reader,)).get or 0)
            begin, end = base(connection), boundary(connection, now, retention_s, receipt, before)
            if end is None:
                return Purged()
            self._commit(connection, [([told(begin, end, now)], now)], lambda: remove(connection, end))
            self._changed = {key: seq for key, seq in self._changed.items() if seq > end.head.seq}
            more = boundary(connection, now, retention_s, receipt, before) is not None
            return Purged(end.tree.size - begin.tree.size, end.head.seq, more)

    def last(self) -> Head:
        """The end of the chain."""
        with self._guarded():
            return self._head

    def log(self) -> bytes | None:
        """The name of the record: the hash of the first row that ever was in it; None before that."""
        with self._guarded() as connection:
            found = connection.execute(_FIRST).fetchone()
            return base(connection).log or (None if found is None else blob(found[0]))

    def rows(self, after: int, limit: int) -> list[Row]:
        """Up to `limit` rows above `after`, each checked; DamagedError at the first that is not whole."""
        with self._guarded() as connection:
            head = _head_at(connection, after)
            return list(_checked(head, fetch(connection, head.seq, limit)))

    def latest(self, prefix: str) -> list[Row]:
        """The newest row of each subject among the kinds that begin with `prefix`.

        One whose body is not the recorded one is left out: it is `verify` that names it.
        """
        with self._guarded() as connection:
            try:
                return self._latest(connection, prefix)
            except DamagedError as error:  # the finger-post is wrong: it is made anew from the rows
                log.warning("the index of newest rows is made anew", extra={"error": str(error)})
                self._recount(connection)
                return self._latest(connection, prefix)

    def _latest(self, connection: apsw.Connection, prefix: str) -> list[Row]:
        found = newest(connection, prefix)
        found.update({key: seq for key, seq in self._changed.items() if key[0].startswith(prefix)})
        seqs: dict[str, int] = {}
        for (_, subject), seq in found.items():
            seqs[subject] = max(seq, seqs.get(subject, 0))
        kinds = {seq: kind for (kind, _), seq in found.items()}
        rows = [_row_of(connection, seq, kinds[seq], subject) for subject, seq in seqs.items()]
        return sorted((row for row in rows if row is not None), key=lambda row: row.seq)

    def _recount(self, connection: apsw.Connection) -> None:
        found = {(str(kind), str(subject)): int(seq) for kind, subject, seq in connection.execute(_RECOUNT)}
        with transaction(connection):
            connection.execute("delete from newest")
            put_newest(connection, found, self._head.seq)
        self._posted, self._changed = self._head.seq, {}

    def set_receipt(self, reader: str, seq: int) -> None:
        """Keep how far `reader` has stored."""
        with self._guarded(writing=True) as connection, transaction(connection):
            connection.execute(PUT_RECEIPT, (reader, seq))

    def receipts(self) -> dict[str, int]:
        """How far each reader has stored."""
        with self._guarded() as connection:
            return {str(reader): int(seq) for reader, seq in connection.execute(RECEIPTS)}

    def close(self) -> None:
        """Write the last checkpoint and close; the file alone is then the journal."""
        connection = self._connection
        if connection is None:
            return
        try:
            self.checkpoint()
        except JournalError as error:  # what was acknowledged is in the file or its WAL all the same
            log.error("no checkpoint at the end", extra={"error": str(error)})
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _head_at(connection: apsw.Connection, seq: int) -> Head:
    """The head of the chain at `seq` or the last row below it; where the rows begin when there is none."""
    found = connection.execute(HEAD_AT, (seq,)).fetchone()
    return base(connection).head if found is None else Head(*found)


def _row_of(connection: apsw.Connection, seq: int, kind: str, subject: str) -> Row | None:
    """Row `seq`, None when its body is damaged; DamagedError when it is not of that kind and subject."""
    found = fetch(connection, seq - 1, 1)
    row = found[0] if found else Fault(seq, "record.missing")
    if isinstance(row, Fault):
        if row.what == "record.missing":
            raise DamagedError(row)
        return None
    if (row.seq, row.kind, row.subject) != (seq, kind, subject):
        raise DamagedError(Fault(seq, "record.missing", "the row is another one than the index says"))
    return row if check_body(row) is None else None


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
