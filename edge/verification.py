"""Reads a journal without trusting it: every row is checked, damage is told by place and ends nothing.

Read-only, offline: a copy of the record is enough. What vouches for the rows is checked in `proof.py`, what
somebody else was given of them in `claims.py`.
"""

import bisect
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import apsw

from edge.chain import GENESIS, Fault, Head, Row, check, check_body, follows
from edge.checkpoint import Note
from edge.claims import Claims, Receipt
from edge.proof import KeyPeriod, Proof, pinned
from edge.tables import Base, base

COLUMNS = "seq, boot_id, boottime_ns, wall_ns, clock_state, kind, subject, body_hash, hash, body"
_NEXT = f"select {COLUMNS} from rows where seq > ? order by seq limit ?"  # noqa: S608 - constants
_TYPES = (int, str, int, int, str, str, str, bytes, bytes, bytes)
_CHUNK = 500  # rows a read transaction: a live journal must be able to checkpoint while it is verified
_NEAR = 2048  # rows behind a torn place that are tried one by one
_TELL = 20_000  # rows after which progress is told
_MOST_FAULTS = 1000  # a file of garbage is told from a few

# What a damaged file makes SQLite or the decoding of its text raise.
DAMAGE = (apsw.Error, UnicodeError, ValueError, OverflowError, MemoryError, TypeError)

Found: TypeAlias = "Row | Fault"


@dataclass(frozen=True, slots=True)
class Verification:
    """What a journal is worth: how many rows stand, the seq of the first of these, the last, all faults.

    `notices` are no faults but must be known (a file continued after damage, a key lost). `keys` are the keys
    that signed, in their order, `checkpoints` how many there are, `unsigned` how many rows stand after the
    last, `good` the rows at which the record is as it was signed.
    """

    rows: int
    first: int
    head: Head
    faults: tuple[Fault, ...]
    notices: tuple[Fault, ...] = ()
    keys: tuple[KeyPeriod, ...] = ()
    checkpoints: int = 0
    unsigned: int = 0
    good: tuple[int, ...] = ()

    @property
    def last(self) -> int:
        """Seq of the last row that stands; 0 when none does."""
        return self.head.seq

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return not self.faults

    def interval(self, seq: int) -> tuple[int, int]:
        """First and last row between two good checkpoints around row `seq`; last 0: no later one."""
        at = bisect.bisect_left(self.good, seq)
        first = self.good[at - 1] + 1 if at else self.first
        return first, self.good[at] if at < len(self.good) else 0


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
    """Walks the chain from `head`, or from where the rows begin: each whole row, a Fault for others.

    After a fault the walk goes on from the row as it was found, so that one edit is one or two faults.
    """

    def __init__(self, connection: apsw.Connection, head: Head | None = None) -> None:
        self._connection = connection
        head = base(connection).head if head is None else head
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


class _Tally:
    """Counts what a scan finds; keeps no rows."""

    def __init__(self, proof: Proof | None, claims: Claims) -> None:
        self._proof = proof
        self._claims = claims
        self._first, self._head, self._rows = 0, GENESIS, 0
        self._faults: list[Fault] = []

    @property
    def rows(self) -> int:
        """Rows that stand so far."""
        return self._rows

    def take(self, found: Found) -> None:
        assert self._proof is not None
        if isinstance(found, Fault):
            self._proof.fault()
            self.add([found])
            return
        self._rows += 1
        self._first = self._first or found.seq
        self._head = found.head
        self._claims.row(found)
        self.add(self._proof.row(found))
        if self._proof.size == self._claims.size:
            self._claims.tree(self._claims.size, self._proof.tree.root)

    def add(self, faults: Iterable[Fault]) -> None:
        self._faults += islice(faults, _MOST_FAULTS - len(self._faults))

    def result(self, key: bytes | None) -> Verification:
        proof = self._proof
        self.add(self._claims.against_receipt())
        keys = [] if proof is None else proof.keys
        if proof is not None:
            self.add(self._claims.against_checkpoint(proof.eras, proof.size, tuple(proof.signers)))
        if key is not None:
            self.add(pinned(keys, () if proof is None else proof.signers, key))
        faults = tuple(self._faults)
        if proof is None:
            return Verification(self._rows, self._first, self._head, faults)
        told = (tuple(proof.notices), tuple(keys), proof.checkpoints, proof.unsigned(), tuple(proof.good))
        return Verification(self._rows, self._first, self._head, faults, *told)


def verify(
    path: Path,
    expected: Head | None = None,
    *,
    log: bytes | None = None,
    key: bytes | None = None,
    since: Note | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Verification:
    """Check the whole record at `path`, in use or closed, without writing to it.

    Rows, chain, tree, the signature of every checkpoint and the history of keys. `expected` is what somebody
    else was given, a receipt (of the record `log`, the hash of its first row); `since` a checkpoint: only
    against these can a cut tail or a file set back be found. `key` is the public key (32 bytes) that the
    auditor was given: without it whoever can write the file could have signed it anew with a key of his own.
    `progress` is told the rows seen, now and then. Damage is a fault, never an exception; a missing file is
    FileNotFoundError.
    """
    receipt = None if expected is None else Receipt(expected, log)
    tally = _Tally(None, Claims(Base(), receipt, since))
    try:
        with opened(path) as connection:
            begin = base(connection)
            proof = Proof(connection, begin)
            tally = _Tally(proof, Claims(begin, receipt, since))
            tally.add(proof.begin())
            for found in Scan(connection, begin.head):
                tally.take(found)
                if tally.rows % _TELL == 0:
                    progress(tally.rows)
            tally.add(proof.end())
            tally.add(_structure(connection))
    except DAMAGE as error:
        tally.add([Fault(0, "record.unreadable", f"{type(error).__name__}: {error}")])
    return tally.result(key)
