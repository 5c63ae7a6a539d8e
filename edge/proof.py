"""Checks what vouches for the rows: the tree, every checkpoint over it, the history of its keys. Reads only.

Rows are handed in as they are walked. A checkpoint whose root is not that of the rows places the change
between itself and the checkpoint before; from there the tree goes on as it was signed, so that the next
change is placed on its own.
"""

from collections import deque
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from edge.chain import SEGMENT, Fault, Row
from edge.checkpoint import Note, decode_key, fingerprint, origin, parse
from edge.merkle import Frontier
from edge.notary import AT_ONCE, EVERY_ROWS, LOST, PURGED, ROTATED
from edge.tables import KEYS, Base

_CHUNK = 200  # checkpoints read at once
_LOOK = 50  # rows without a checkpoint after which a journal in use is asked for new ones
_NEXT = "select size, seq, note, frontier from checkpoints where size > ? order by size limit ?"
_DAMAGE = (apsw.Error, UnicodeError, ValueError, OverflowError, TypeError)


@dataclass(frozen=True, slots=True)
class KeyPeriod:
    """A key that signed, from the checkpoint at row `seq` on; `how`: `first`, `rotated`, `lost` before it."""

    public: bytes
    seq: int
    how: str


@dataclass(frozen=True, slots=True)
class Era:
    """A name of the record, and how many rows there were before it was so called."""

    origin: str
    after: int


class Proof:
    """The tree over the rows seen so far, beside what was signed."""

    def __init__(self, connection: apsw.Connection, begin: Base) -> None:
        self._connection = connection
        self._begin = begin
        self._tree = begin.tree
        self._leaves: list[bytes] = []  # not in the tree yet: it grows a checkpoint at a time
        self.eras = [Era(origin(begin.log), 0)] if begin.log else []
        self.keys: list[KeyPeriod] = []
        self.signers: set[bytes] = set()  # keys of right checkpoints: a row may name what never signed
        self.good: list[int] = [begin.head.seq]  # rows at which the record is as it was signed
        self.checkpoints = 0
        self.notices: list[Fault] = []
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._unreadable = 0  # checkpoints of which not even the place is told
        self._asked = 0  # size of the last checkpoint read
        self._signed = begin.tree.size  # rows under the last checkpoint that is right
        self._broken = False  # a fault is told already since the last checkpoint
        self._at_once = 0  # seq of a row that needs a checkpoint and has none yet
        self._last = begin.head.seq
        self._current: bytes | None = None
        self._change: tuple[str, bytes, bytes] | None = None
        self._purged: dict[str, Any] | None = None
        self._publics = [one for (one,) in _read(connection, KEYS) if isinstance(one, bytes)]

    @property
    def size(self) -> int:
        """Rows so far, with those that were purged."""
        return self._tree.size + len(self._leaves)

    @property
    def tree(self) -> Frontier:
        """The tree over them."""
        self._tree, self._leaves = self._tree.grown(self._leaves), []
        return self._tree

    def begin(self) -> Iterator[Fault]:
        """The checkpoint on which a purged record begins."""
        if not self._begin.log:
            return
        self._read_more()
        if not self._waiting or self._waiting[0][0] != self.tree.size:
            yield Fault(self._last, "record.checkpoint", "the checkpoint before the first row is missing")
            return
        yield from self._check(self._waiting.popleft())

    def fault(self) -> None:
        """Something is wrong with a row, and told: its checkpoint need not say so again."""
        self._broken = True

    def row(self, row: Row) -> Iterator[Fault]:
        """The next row that stands."""
        unsigned = self.size - self._signed
        if not self._waiting and (unsigned == 0 or unsigned % _LOOK == 0 or row.kind in AT_ONCE):
            self._read_more()
        while self._waiting and self._waiting[0][1] < row.seq:  # the row it stood on is gone
            yield from self._check(self._waiting.popleft())
        self._note(row)
        self._leaves.append(row.hash)
        self._last = row.seq
        if self._waiting and self._waiting[0][1] == row.seq:
            yield from self._check(self._waiting.popleft())

    def end(self) -> Iterator[Fault]:
        """What is missing behind the last row."""
        for waiting in tuple(self._waiting):
            self._broken = True
            yield from self._check(waiting)
            yield Fault(self._last, "record.truncated", f"a checkpoint is over {waiting[0]} rows")
            break
        if self._at_once or self.size - self._signed >= EVERY_ROWS:
            yield Fault(self._at_once or self._last, "record.unsigned", f"{self.size - self._signed} rows")
        if self._unreadable:
            yield Fault(0, "record.checkpoint", f"{self._unreadable} cannot be read")
        yield from self._purge_told()

    def unsigned(self) -> int:
        """Rows after the last checkpoint that is right."""
        return self.size - self._signed

    def _read_more(self) -> None:
        found = _read(self._connection, _NEXT, (max(self._asked, self._begin.tree.size - 1), _CHUNK))
        whole = [one for one in found if isinstance(one[0], int) and isinstance(one[1], int)]
        self._unreadable += len(found) - len(whole)
        self._waiting.extend(whole)
        self._asked = whole[-1][0] if whole else self._asked

    def _note(self, row: Row) -> None:
        """What a row says of the record itself."""
        if not self.eras or row.kind == SEGMENT:
            self.eras.append(Era(origin(row.hash), self.size))
        if row.kind in AT_ONCE:
            self._at_once = row.seq
        if row.kind in _SPEAKS:
            try:
                _SPEAKS[row.kind](self, row)
            except (KeyError, TypeError, ValueError):
                self.notices.append(Fault(row.seq, "record.unreadable", row.kind))

    def _segment(self, row: Row) -> None:
        self.notices.append(Fault(row.seq, "record.continued", str(row.content["damaged"])))

    def _key_change(self, row: Row) -> None:
        content = row.content
        self._change = (row.kind, decode_key(content["old"]), decode_key(content["new"]))
        if row.kind == LOST:
            self.notices.append(Fault(row.seq, "record.key_lost", fingerprint(self._change[2])))

    def _purge(self, row: Row) -> None:
        self._purged = dict(row.content)

    def _check(self, columns: tuple[Any, ...]) -> Iterator[Fault]:
        """One checkpoint, now that all its rows were seen."""
        self.checkpoints += 1
        size, seq, text, frontier = columns
        place = seq if isinstance(seq, int) else self._last
        try:
            note, tree = parse(text), Frontier.unpacked(size, frontier)
        except _DAMAGE as error:
            yield Fault(place, "record.checkpoint", f"{type(error).__name__}: {error}")
            return
        told, signer = note.checkpoint, note.signer(self._publics)
        if (told.size, told.root) != (size, tree.root) or signer is None:
            yield Fault(place, "record.checkpoint", "not as it was signed, or with a key not in the file")
            return
        yield from self._compare(place, note, tree)
        yield from self._by(signer, place)
        self.good.append(place)
        self._tree, self._leaves = tree, []
        self._signed, self._at_once, self._broken = tree.size, 0, False

    def _compare(self, seq: int, note: Note, tree: Frontier) -> Iterator[Fault]:
        name = self.eras[-1].origin if self.eras else ""
        if note.checkpoint.origin != name:
            if not self._broken:
                yield Fault(seq, "record.origin", note.checkpoint.origin)
            self.eras.append(Era(note.checkpoint.origin, self._signed))
        if (tree.size, tree.root) != (self.tree.size, self.tree.root) and not self._broken:
            yield Fault(
                seq, "record.root", f"rows {self.good[-1] + 1} to {seq} are not those that were signed"
            )

    def _by(self, signer: bytes, seq: int) -> Iterator[Fault]:
        """Is that the key whose turn it was?"""
        self.signers.add(signer)
        change, self._change = self._change, None
        if self._current is None:
            self._follow(signer, seq, "first")
        elif change is not None and change[0] == LOST and signer == change[2]:
            self._follow(signer, seq, "lost")
        elif signer != self._current:
            yield Fault(seq, "record.key", f"{fingerprint(signer)} instead of {fingerprint(self._current)}")
            self._follow(signer, seq, "lost")
        if change is not None and change[0] == ROTATED and change[1] == self._current:
            self._follow(change[2], seq, "rotated")

    def _follow(self, public: bytes, seq: int, how: str) -> None:
        self._current = public
        self.keys.append(KeyPeriod(public, seq, how))

    def _purge_told(self) -> Iterator[Fault]:
        """Rows before the first must be gone by a row's word."""
        begin, said = self._begin, self._purged
        if not begin.log:
            return
        names = ("last_seq", "last_hash", "size", "root", "log")
        is_so = (*begin.head, begin.tree.size, begin.tree.root, begin.log)
        plain = [one.hex() if isinstance(one, bytes) else one for one in is_so]
        if said is None or [said.get(name) for name in names] != plain:
            yield Fault(begin.head.seq, "record.missing", "rows are gone and no row says why")


_SPEAKS = {
    SEGMENT: Proof._segment,
    ROTATED: Proof._key_change,
    LOST: Proof._key_change,
    PURGED: Proof._purge,
}


def _read(connection: apsw.Connection, query: str, values: tuple[int, ...] = ()) -> list[tuple[Any, ...]]:
    """Rows of a table that may be damaged or, in another's file, missing."""
    try:
        return list(connection.execute(query, values))
    except _DAMAGE:
        return []


def pinned(keys: Sequence[KeyPeriod], signers: Container[bytes], key: bytes) -> Iterator[Fault]:
    """What is wrong for somebody who was given the public key `key`: later ones must follow from it.

    It must have signed: a forger can name it as the successor of his own key, but not sign with it.
    """
    at = next((number for number, period in enumerate(keys) if period.public == key), None)
    if at is None or key not in signers:
        yield Fault(0, "record.key_unknown", fingerprint(key))
        return
    for period in keys[at + 1 :]:
        if period.how == "lost":
            yield Fault(period.seq, "record.key_broken", fingerprint(period.public))
