"""Vouches for the rows of a journal file: lets its Merkle tree grow, signs checkpoints, keeps the keys.

A checkpoint is due after EVERY_ROWS rows, after EVERY_S seconds (with the next row), and at once with a row
of AT_ONCE. It is written in the transaction of the rows it covers. Nothing here may keep rows from being
recorded: while there is no key (the disk refuses) rows go on without checkpoints, and the next one tries
again.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import apsw

from edge.chain import SEGMENT, Draft, Entry, Head, Sealed
from edge.checkpoint import Checkpoint, encode_key, fingerprint, origin, parse, sign
from edge.clock import Instant
from edge.keys import Key, Keyring
from edge.merkle import Frontier
from edge.records import Plain
from edge.tables import KEYS, PUT_CHECKPOINT, PUT_KEY, Base, blob

log = logging.getLogger(__name__)

EVERY_ROWS = 100
EVERY_S = 60.0  # on the monotonic clock of the rows
ROTATED = "key.rotated"  # the key before signs the checkpoint over this row; the next ones have the new key
LOST = "key.lost"  # nobody could sign for the new key: it signs for itself from this row on
PURGED = "journal.purged"
AT_ONCE = frozenset(
    (
        *("outage.started", "outage.ended", "service.started", "service.stopped", "config.loaded"),
        *(SEGMENT, ROTATED, LOST, PURGED),
    )
)
_LAST = "select size, seq, note, frontier from checkpoints order by size desc limit 1"
_HASH = "select hash from rows where seq = ?"


def key_change(kind: str, old: bytes, new: bytes, now: Instant) -> Draft:
    """The row that tells of a new key."""
    body: dict[str, Plain] = {
        "old": encode_key(old),
        "new": encode_key(new),
        "occurred": now.wall,
        "detected": now.wall,
    }
    return Draft.of(Entry(kind, "journal", body))


class Notary:
    """What stands behind the rows of an open file. `tree` is over all its rows, `origin` names the record."""

    def __init__(self, folder: Path) -> None:
        self._ring = Keyring(folder)
        self._keyless = False  # said already: a commit a second would say it each time
        self._reset(Base())

    def _reset(self, base: Base) -> None:
        self.tree, self.origin = base.tree, ""
        self.note = ""  # the newest checkpoint
        self.signed = base.tree.size  # rows that it covers
        self._key: Key | None = None
        self._publics: list[bytes] = []
        self._since: float | None = None  # monotonic time of the last checkpoint, or of the first row since

    def attach(self, connection: apsw.Connection, base: Base) -> tuple[Head, str]:
        """Take over what the newest checkpoint says: the row it stands on; what is wrong with it, or ""."""
        self._reset(base)
        self._publics = [blob(public) for (public,) in connection.execute(KEYS)]
        found = connection.execute(_LAST).fetchone()
        if found is None:
            return base.head, "the checkpoint of the purge is missing" if base.tree.size else ""
        size, seq, note, frontier = found
        try:
            signed, tree = parse(note), Frontier.unpacked(size, frontier)
        except ValueError as error:
            return base.head, f"checkpoint of {size} rows: {error}"
        told = signed.checkpoint
        if (told.size, told.root) != (size, tree.root) or signed.signer(self._publics) is None:
            return base.head, f"checkpoint of {size} rows: not the one that was signed"
        last = base.head.hash if seq == base.head.seq else _hash_at(connection, seq)
        if last is None:
            return base.head, f"checkpoint of {size} rows: the last of them is missing"
        self.tree, self.origin, self.note, self.signed = tree, told.origin, note, size
        return Head(seq, last), ""

    def adopt(self, rows: Iterable[Sealed], tree: Frontier | None = None) -> None:
        """`rows` are in the file; `tree` where the caller has grown it already."""
        rows = tuple(rows)
        self.tree = self.tree.grown(row[8] for row in rows) if tree is None else tree
        self.origin = self._origin_after(rows)

    def _origin_after(self, rows: Iterable[Sealed]) -> str:
        name = self.origin
        for row in rows:
            if row[5] == SEGMENT or not name:
                name = origin(row[8])
        return name

    def due(self, rows: Iterable[Sealed], size: int, now: Instant) -> bool:
        """Must a checkpoint be written with `rows`, which make the tree `size` large?"""
        if self._since is None:
            self._since = now.monotonic
        late = now.monotonic - self._since >= EVERY_S
        return size - self.signed >= EVERY_ROWS or late or not AT_ONCE.isdisjoint([row[5] for row in rows])

    def prepare(self, now: Instant) -> list[Draft]:
        """Have a key if that is possible; the row that must be recorded first when ours was lost."""
        try:
            told = self._prepare(now)
        except OSError as error:
            if not self._keyless:
                log.warning("no key for checkpoints", extra={"error": str(error)})
            self._keyless = True
            return []
        self._keyless = False
        return told

    def _prepare(self, now: Instant) -> list[Draft]:
        if self._key is None and self._publics:
            self._key = self._ring.find(self._publics[-1])
        if self._key is None:
            newest = self._ring.newest()
            usable = newest is not None and newest.public not in self._publics
            self._key = newest if usable else self._ring.make()
        assert self._key is not None
        if not self._publics or self._key.public in self._publics:
            return []
        return [key_change(LOST, self._publics[-1], self._key.public, now)]

    def has(self, public: bytes) -> bool:
        """Do we hold the private part of this key?"""
        try:
            return self._ring.find(public) is not None
        except OSError:
            return False

    def successor(self) -> tuple[bytes, Key]:
        """The public key in use, and a new pair to follow it; OSError when there can be none."""
        if self._key is None:
            raise OSError("there is no key that could sign for a new one")
        return self._key.public, self._ring.make()

    def write(self, connection: apsw.Connection, rows: Iterable[Sealed], tree: Frontier, head: Head) -> str:
        """Put the checkpoint over `tree`, which ends with `head`, into the file: its note, "" without key."""
        if self._key is None:
            return ""
        told = Checkpoint(self._origin_after(rows), tree.size, tree.root)
        note = sign(told, self._key.public, self._key.sign)
        connection.execute(PUT_CHECKPOINT, (tree.size, head.seq, note, tree.packed()))
        if self._key.public not in self._publics:
            self.trust(connection, self._key.public)
        return note

    def trust(self, connection: apsw.Connection, public: bytes) -> None:
        """Put a new public key into the file."""
        number = connection.execute("select count(*) from keys").get
        connection.execute(PUT_KEY, (number + 1, public))

    def written(self, note: str, size: int, now: Instant) -> None:
        """The transaction is through: the checkpoint `note` counts, where there was one."""
        if note and self._key is not None:
            self.note, self.signed, self._since = note, size, now.monotonic
            self.succeed(self._key)

    def succeed(self, key: Key) -> None:
        """From now on `key` signs; the file has its public part."""
        self._key = key
        if key.public not in self._publics:
            self._publics.append(key.public)
            log.info("key of the journal", extra={"key": fingerprint(key.public)})


def _hash_at(connection: apsw.Connection, seq: int) -> bytes | None:
    found = connection.execute(_HASH, (seq,)).fetchone()
    return None if found is None else blob(found[0])
