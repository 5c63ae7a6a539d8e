"""Puts a damaged journal aside and begins a new file that goes on where the chain still holds."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from edge.chain import SEGMENT, Draft, Entry, Fault, Head, Row, Sealed, seal
from edge.checkpoint import Note, parse
from edge.clock import Clock
from edge.merkle import DIGEST, Frontier
from edge.notary import Notary
from edge.records import Plain
from edge.store import abandon, connect, sync_folder
from edge.tables import (
    CHECKPOINTS,
    KEYS,
    PUT_CHECKPOINT,
    PUT_KEY,
    PUT_RECEIPT,
    RECEIPTS,
    Base,
    Subject,
    base,
    beside,
    insert,
    prepare,
    put_base,
    put_newest,
    transaction,
)
from edge.verification import DAMAGE, Scan, opened

SMALLEST_ROW = 100  # bytes a row takes at least: two hashes, a boot id, numbers, a kind
_HEAD_END = "upstream.journal"  # the reader whose receipts say what is safe elsewhere


class Quarantine:
    """Puts a damaged file aside and begins a new one with what of it verifies.

    The new file's tree goes on from that of the old one, but under a name of its own (see `checkpoint.py`).
    The row of kind `journal.segment` holds the newest checkpoint of the old one that covers only kept rows
    which the head-end has receipted, if there is one.
    """

    def __init__(self, path: Path, clock: Clock, notary: Notary) -> None:
        self._path = path
        self._clock = clock
        self._notary = notary

    def replace(self, why: str) -> None:
        """After this `path` is a sound file. Whenever it is interrupted, the next open begins it again."""
        fresh, aside = beside(self._path, ".new"), self._aside()
        for leftover in (fresh, beside(fresh, "-wal"), beside(fresh, "-shm")):
            leftover.unlink(missing_ok=True)
        if self._path.is_dir():  # nothing to save in it
            self._path.rename(aside)
            self._path.touch()
        self._begin(fresh, aside.name, why)
        if not aside.exists():
            os.link(self._path, aside)
        wal = beside(self._path, "-wal")
        if wal.exists():
            os.link(wal, beside(aside, "-wal"))
        sync_folder(self._path.parent)
        for old in (wal, beside(self._path, "-shm")):
            old.unlink(missing_ok=True)
        fresh.replace(self._path)
        sync_folder(self._path.parent)

    def _aside(self) -> Path:
        number = 1
        while beside(self._path, f".damaged-{number}").exists():
            number += 1
        return beside(self._path, f".damaged-{number}")

    def _begin(self, fresh: Path, aside: str, why: str) -> None:
        connection = connect(fresh, "FULL")
        try:
            prepare(connection)
            with transaction(connection):
                self._fill(connection, aside, why)
        except BaseException:
            abandon(connection)
            raise
        connection.close()

    def _fill(self, connection: apsw.Connection, aside: str, why: str) -> None:
        kept = self._salvage(connection)
        now = self._clock.now()
        self._notary.attach(connection, kept.begin)
        self._notary.adopt(kept.unsigned)
        body: dict[str, Plain] = {
            "damaged": aside,
            "why": why,
            "last_seq": kept.head.seq,
            "last_hash": kept.head.hash.hex(),
            "checkpoint": kept.receipted or None,
        }
        lost = self._notary.prepare(now)
        segment = Draft.of(Entry(SEGMENT, "journal", body))
        seq = max(kept.head.seq, self._most_seq(kept.begin)) + 1
        rows, head = seal(kept.head, [segment], now, self._clock.boot_id, seq)
        more, head = seal(head, lost, now, self._clock.boot_id)
        rows += more
        insert(connection, rows)
        tree = self._notary.tree.grown(row[8] for row in rows)
        self._notary.write(connection, rows, tree, head)
        kept.changed.update({(row[5], row[6]): row[0] for row in rows})
        put_newest(connection, kept.changed, head.seq)

    def _salvage(self, connection: apsw.Connection) -> "_Kept":
        """Copy what verifies: rows up to the first fault, the checkpoints over them, keys, receipts."""
        receipts, keys, checkpoints = self._receipts(), self._read(KEYS), self._read(CHECKPOINTS)
        publics = [bytes(key) for (key,) in keys if isinstance(key, bytes) and len(key) == DIGEST]
        sound = {note.seq: note for note in map(_Signed.of, checkpoints) if note and note.is_signed(publics)}
        begin = self._base(sound)
        kept = _Kept(begin, begin.head, begin.tree)
        if begin.log:
            put_base(connection, begin)
            kept.sign(connection, sound[begin.head.seq], 0)
        for row in self._whole(begin):
            kept.take(connection, row)
            if (found := sound.get(row.seq)) and found.covers(kept.tree):
                kept.sign(connection, found, receipts.get(_HEAD_END, 0))
        signers = {one.note.signer(publics) for one in sound.values()}
        known = [public for public in publics if public in signers or self._notary.has(public)]
        connection.executemany(PUT_KEY, enumerate(known, 1))
        connection.executemany(PUT_RECEIPT, receipts.items())
        return kept

    def _base(self, sound: Mapping[int, "_Signed"]) -> Base:
        """Where the old file began, if that is vouched for."""
        try:
            with opened(self._path) as connection:
                begin = base(connection)
        except DAMAGE:
            return Base()
        signed = sound.get(begin.head.seq)
        return begin if signed is not None and signed.covers(begin.tree) else Base()

    def _whole(self, begin: Base) -> Iterator[Row]:
        """The rows up to the first fault."""
        try:
            with opened(self._path) as connection:
                for found in Scan(connection, begin.head):
                    if isinstance(found, Fault):
                        return
                    yield found
        except DAMAGE:
            return

    def _read(self, query: str) -> list[tuple[Any, ...]]:
        try:
            with opened(self._path) as connection:
                return list(connection.execute(query))
        except DAMAGE:
            return []

    def _receipts(self) -> dict[str, int]:
        try:
            return {str(reader): int(seq) for reader, seq in self._read(RECEIPTS)}
        except DAMAGE:
            return {}

    def _most_seq(self, begin: Base) -> int:
        """No seq above this was ever given: an upper bound from sizes, which damage does not change."""
        kept = self._path.parent.glob(f"{self._path.name}*")
        size = sum(file.stat().st_size for file in kept if not file.name.endswith("-shm"))
        return begin.head.seq + size // SMALLEST_ROW


@dataclass(frozen=True, slots=True)
class _Signed:
    """A checkpoint as it stands in a file."""

    seq: int
    note: Note
    text: str
    tree: Frontier

    @classmethod
    def of(cls, columns: tuple[Any, ...]) -> "_Signed | None":
        """None for what cannot be one."""
        try:
            size, seq, text, frontier = columns
            return cls(int(seq), parse(text), text, Frontier.unpacked(size, frontier))
        except DAMAGE:
            return None

    def is_signed(self, publics: Sequence[bytes]) -> bool:
        """Do note, tree and a key fit each other?"""
        return self.covers(self.tree) and self.note.signer(publics) is not None

    def covers(self, tree: Frontier) -> bool:
        """Is it over this tree?"""
        told = self.note.checkpoint
        return (told.size, told.root) == (tree.size, tree.root)


@dataclass(slots=True)
class _Kept:
    """What of the damaged file goes into the new one."""

    begin: Base
    head: Head
    tree: Frontier
    unsigned: list[Sealed] = field(default_factory=list)  # rows after the last checkpoint
    changed: dict[Subject, int] = field(default_factory=dict)
    receipted: str = ""  # the last checkpoint that covers only what the head-end has

    def take(self, connection: apsw.Connection, row: Row) -> None:
        """Copy a row."""
        insert(connection, [row.sealed])
        self.head, self.tree = row.head, self.tree.grown([row.hash])
        self.changed[row.kind, row.subject] = row.seq
        self.unsigned.append(row.sealed)

    def sign(self, connection: apsw.Connection, signed: _Signed, receipt: int) -> None:
        """Copy a checkpoint over what was copied."""
        connection.execute(PUT_CHECKPOINT, (signed.tree.size, signed.seq, signed.text, signed.tree.packed()))
        self.unsigned.clear()
        if signed.seq <= receipt:
            self.receipted = signed.text
