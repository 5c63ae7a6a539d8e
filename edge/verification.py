"""Reads a journal without trusting it: every row is checked, damage is told by place and ends nothing.

Read-only. Nothing here imports the journal: an auditor needs this file, `chain.py` and a copy of the record.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import apsw

from edge.chain import GENESIS, Fault, Head, Row, check, check_body, follows

COLUMNS = "r.seq, boot_id, boottime_ns, wall_ns, clock_state, kind, subject, body_hash, hash, body"
_SELECT = f"select {COLUMNS} from rows r left join bodies b on b.seq = r.seq"  # noqa: S608 - constants
_NEXT = f"{_SELECT} where r.seq > ? order by r.seq limit ?"
_TYPES = (int, str, int, int, str, str, str, bytes, bytes, bytes)
_CHUNK = 500  # rows a read transaction: a live journal must be able to checkpoint while it is verified
_NEAR = 2048  # rows behind a torn place that are tried one by one
_MOST_FAULTS = 1000  # a file of garbage is told from a few

# What a damaged file makes SQLite or the decoding of its text raise.
DAMAGE = (apsw.Error, UnicodeError, ValueError, OverflowError, MemoryError, TypeError)

Found: TypeAlias = "Row | Fault"


@dataclass(frozen=True, slots=True)
class Verification:
    """What a journal is worth: how many rows stand, the seq of the first of these, the last, all faults."""

    rows: int
    first: int
    head: Head
    faults: tuple[Fault, ...]

    @property
    def last(self) -> int:
        """Seq of the last row that stands; 0 when none does."""
        return self.head.seq

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return not self.faults


def to_row(columns: tuple[Any, ...]) -> Found:
    """A row of the right types, or the fault that it is none."""
    if all(isinstance(value, kind) for value, kind in zip(columns, _TYPES, strict=True)):
        return Row(*columns)
    seq = columns[0] if isinstance(columns[0], int) else 0
    if columns[-1] is None:
        return Fault(seq, "record.body_missing", "the row has no body")
    return Fault(seq, "record.unreadable", "a column has the wrong type")


def fetch(connection: apsw.Connection, after: int, limit: int) -> list[Found]:
    """Up to `limit` rows with seq above `after`, unchecked; raises one of DAMAGE where the file is torn."""
    return [to_row(columns) for columns in connection.execute(_NEXT, (after, limit))]


def _readable_after(connection: apsw.Connection, seq: int) -> int | None:
    """A seq behind a torn place from which reading goes on, or None: looks near first, then ever farther."""
    for step in (*range(1, _NEAR), *(_NEAR << doubling for doubling in range(40))):
        after = seq + step
        with contextlib.suppress(*DAMAGE):
            return after if fetch(connection, after, 1) else None
    return None


class Scan:
    """Walks the chain from `head`. Yields each whole row, and a Fault for what is not whole.

    After a fault the walk goes on from the row as it was found, so that one edit is one or two faults.
    """

    def __init__(self, connection: apsw.Connection, head: Head = GENESIS) -> None:
        self._connection = connection
        self._head: Head | None = head  # None: the hash before the next row is not known
        self._after = head.seq
        self._size = _CHUNK

    def __iter__(self) -> Iterator[Found]:
        while True:
            try:
                chunk = fetch(self._connection, self._after, self._size)
            except DAMAGE as error:
                if self._size > 1:  # find the place row by row
                    self._size = 1
                    continue
                if (yield from self._skip(error)):
                    continue
                return
            if not chunk:
                return
            yield from self._walk(chunk)

    def _skip(self, error: BaseException) -> Generator[Found, None, bool]:
        yield Fault(self._after + 1, "record.unreadable", f"{type(error).__name__}: {error}")
        readable = _readable_after(self._connection, self._after)
        self._head = None
        self._size = _CHUNK
        if readable is not None:
            self._after = readable
        return readable is not None

    def _walk(self, chunk: list[Found]) -> Iterator[Found]:
        for found in chunk:
            yield from self._fault(found) if isinstance(found, Fault) else self._row(found)
        last = chunk[-1].seq
        self._after = last if last > self._after else self._after + len(chunk)  # a torn tree may lead back

    def _fault(self, fault: Fault) -> Iterator[Found]:
        self._head = None
        yield fault

    def _row(self, row: Row) -> Iterator[Found]:
        head, self._head = self._head, row.head
        if head is not None and not follows(head, row):
            yield Fault(row.seq, "record.missing", f"row {head.seq} is followed by {row.seq}")
            head = None
        fault = check_body(row) if head is None else check(head, row)
        yield fault or row


def _open_in_place(path: Path, flags: str) -> apsw.Connection:
    uri = f"{path.resolve().as_uri()}?{flags}"
    connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    connection.set_busy_timeout(2000)
    return connection


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[apsw.Connection]:
    """A read-only connection that leaves no trace; FileNotFoundError when there is no such file.

    A file in use is read where it lies, a closed one as immutable. A copy whose WAL was never played back
    (a gateway that was killed) is copied once more, so that the evidence stays as it is.
    """
    if not path.is_file():
        raise FileNotFoundError(path)
    wal = _beside(path, "-wal")
    with tempfile.TemporaryDirectory() as folder:
        if not wal.exists() or wal.stat().st_size == 0:
            connection = _open_in_place(path, "mode=ro&immutable=1")
        elif _beside(path, "-shm").exists():
            connection = _open_in_place(path, "mode=ro")
        else:
            copy = Path(folder) / path.name
            shutil.copy(path, copy)
            shutil.copy(wal, _beside(copy, "-wal"))
            connection = apsw.Connection(str(copy))
        with contextlib.closing(connection):
            yield connection


def _structure(connection: apsw.Connection) -> Iterator[Fault]:
    try:
        said = [str(line) for (line,) in connection.execute("pragma integrity_check(20)")]
    except DAMAGE as error:
        said = [str(error)]
    if said != ["ok"]:
        yield Fault(0, "record.structure", "; ".join(said))


def _against_receipt(found: bytes | None, expected: Head) -> Iterator[Fault]:
    if found is None:
        yield Fault(expected.seq, "record.truncated", "a row that was receipted is not in the file")
    elif found != expected.hash:
        yield Fault(expected.seq, "record.receipt", "the row is not the one that was receipted")


class _Tally:
    """Counts what a scan finds; keeps no rows."""

    def __init__(self, expected: Head | None) -> None:
        self._expected = expected
        self._receipted: bytes | None = None
        self._first, self._head, self._rows = 0, GENESIS, 0
        self._faults: list[Fault] = []

    def take(self, found: Found) -> None:
        if isinstance(found, Fault):
            self.fault(found)
            return
        self._rows += 1
        self._first = self._first or found.seq
        self._head = found.head
        if self._expected is not None and found.seq == self._expected.seq:
            self._receipted = found.hash

    def fault(self, fault: Fault) -> None:
        if len(self._faults) < _MOST_FAULTS:
            self._faults.append(fault)

    def result(self) -> Verification:
        if self._expected is not None:
            for fault in _against_receipt(self._receipted, self._expected):
                self.fault(fault)
        return Verification(self._rows, self._first, self._head, tuple(self._faults))


def verify(path: Path, expected: Head | None = None) -> Verification:
    """Check the whole chain of the journal at `path`, in use or closed, without writing to it.

    `expected` is what somebody else was given (a receipt): only against it can a cut tail, or a history
    written anew from some row on, be found. Damage is a fault, never an exception; a missing file is
    FileNotFoundError.
    """
    tally = _Tally(expected)
    try:
        with opened(path) as connection:
            for found in Scan(connection):
                tally.take(found)
            for fault in _structure(connection):
                tally.fault(fault)
    except DAMAGE as error:
        tally.fault(Fault(0, "record.unreadable", f"{type(error).__name__}: {error}"))
    return tally.result()
