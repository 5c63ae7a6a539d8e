"""Puts a damaged journal aside and begins a new file that goes on where the chain still holds."""

import os
from collections.abc import Iterator
from pathlib import Path

import apsw

from edge.chain import GENESIS, SEGMENT, Draft, Entry, Fault, Row, link
from edge.clock import Clock
from edge.records import Plain
from edge.store import abandon, connect, sync_folder
from edge.tables import PUT_RECEIPT, RECEIPTS, beside, insert, prepare, transaction
from edge.verification import DAMAGE, Scan, opened

SMALLEST_ROW = 100  # bytes a row takes at least: two hashes, a boot id, numbers, a kind


class Quarantine:
    """Puts a damaged file aside and begins a new one with what of it verifies."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def replace(self, why: str) -> None:
        """After this `path` is a sound file. Whenever it is interrupted, the next open begins it again."""
        fresh, aside = beside(self._path, ".new"), self._aside()
        for leftover in (fresh, beside(fresh, "-wal"), beside(fresh, "-shm")):
            leftover.unlink(missing_ok=True)
        self._begin(fresh, aside.name, why)
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
        head = GENESIS
        for row in self._whole():
            insert(connection, [row])
            head = row.head
        connection.executemany(PUT_RECEIPT, self._receipts())
        body: dict[str, Plain] = {
            "damaged": aside,
            "why": why,
            "last_seq": head.seq,
            "last_hash": head.hash.hex(),
        }
        draft = Draft.of(Entry(SEGMENT, "journal", body))
        seq = max(head.seq, self._most_seq()) + 1
        insert(connection, [link(head, draft, self._clock.now(), self._clock.boot_id, seq)])

    def _whole(self) -> Iterator[Row]:
        """The rows up to the first fault."""
        try:
            with opened(self._path) as connection:
                for found in Scan(connection):
                    if isinstance(found, Fault):
                        return
                    yield found
        except DAMAGE:
            return

    def _receipts(self) -> list[tuple[str, int]]:
        try:
            with opened(self._path) as connection:
                return [(str(reader), int(seq)) for reader, seq in connection.execute(RECEIPTS)]
        except DAMAGE:
            return []

    def _most_seq(self) -> int:
        """No seq above this was ever given: an upper bound from sizes, which damage does not change."""
        kept = self._path.parent.glob(f"{self._path.name}*")
        return sum(file.stat().st_size for file in kept if not file.name.endswith("-shm")) // SMALLEST_ROW
