"""The journal: append-only, hash-chained, durable. What `append` acknowledged survives a power cut.

The layout of the chain stands in `chain.py`. Nothing here blocks the event loop: all SQLite work happens on
one thread that owns the only connection (`ledger.py`). Appends made in one turn of the loop, or while a
commit is under way, share the next commit; a lone append never waits for company.

Signed checkpoints vouch for the rows (`notary.py`, `checkpoint.py`); their keys lie in the folder `keys`
beside the journal and are made at the first append.

A file found damaged is put aside as `<name>.damaged-<n>` and a new one begun with the rows that still verify;
the row of kind `journal.segment` that follows them names the damaged file (`quarantine.py`).
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from edge.chain import BodyError, Draft, Entry, Fault, Head, Row
from edge.clock import Clock, Instant
from edge.ledger import Append, DamagedError, JournalError, Ledger
from edge.purge import Purged
from edge.store import Worker
from edge.verification import Verification, verify

__all__ = [
    "BodyError",
    "DamagedError",
    "Entry",
    "Fault",
    "Head",
    "Journal",
    "JournalError",
    "Purged",
    "Row",
    "Verification",
    "verify",
]

RETENTION_S = 6 * 365.25 * 86400.0  # metering and compliance: more than the five years CJJ/T 223 asks for


def _settle(group: list[Append], lasts: list[int], error: Exception | None) -> None:
    """Tell everyone who still waits; runs on the event loop."""
    for index, one in enumerate(group):
        if one.done.done():  # the caller was cancelled meanwhile
            continue
        if error is None:
            one.done.set_result(lasts[index])
        else:
            one.done.set_exception(JournalError(str(error)))


class Journal:
    """The face of the journal for the event loop: `async with await Journal.open(path, clock) as journal`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._ledger = Ledger(path, clock)
        self._worker = Worker("journal")
        self._waiting: deque[Append] = deque()  # the loop appends, the thread takes: both are atomic
        self._submitted = False
        self._closed = False
        self.commits = 0  # commits since the start, of one or more appends each

    @classmethod
    async def open(cls, path: Path, clock: Clock) -> "Journal":
        """Open or create the journal at `path` and check its tail.

        A damaged file is replaced first (the clock dates the row that says so). JournalError when the file
        can be neither used nor replaced.
        """
        journal = cls(path, clock)
        try:
            await journal.last()
        except BaseException:
            await journal.close()
            raise
        return journal

    async def append(self, entries: Sequence[Entry], now: Instant) -> int:
        """Record `entries` in this order; the seq of the last, once all are durable.

        BodyError (a ValueError) before anything is done when an entry cannot be written; JournalError when
        the commit failed: then nothing is acknowledged. A caller that is cancelled does not know.
        """
        drafts = Draft.all(entries)
        self._refuse_closed()
        loop = asyncio.get_running_loop()
        one = Append(drafts, now, loop.create_future())
        self._waiting.append(one)
        if not self._submitted:
            self._submitted = True
            loop.call_soon(self._submit, loop)
        return await one.done

    def _submit(self, loop: asyncio.AbstractEventLoop) -> None:
        self._submitted = False
        self._worker.post(lambda: self._flush(loop))

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the thread: commit all that wait by now."""
        group = []
        while self._waiting:
            group.append(self._waiting.popleft())
        if not group:
            return
        lasts: list[int] = []
        failed: Exception | None = None
        try:
            lasts = self._ledger.append(group)
            self.commits += 1
        except Exception as error:  # noqa: BLE001 - told to everyone who waits
            failed = error
        loop.call_soon_threadsafe(_settle, group, lasts, failed)

    async def rows(self, after: int, limit: int) -> list[Row]:
        """Up to `limit` rows with seq above `after`, in order, each checked against the one before.

        DamagedError names the first row that is not whole; rows below it are read with a smaller `limit`.
        """
        self._refuse_closed()
        return await self._worker.run(self._ledger.rows, after, limit)

    async def latest(self, prefix: str) -> list[Row]:
        """The newest row of each subject among all kinds that begin with `prefix`, in order of seq.

        A row that is not the one that was written is left out.
        """
        self._refuse_closed()
        return await self._worker.run(self._ledger.latest, prefix)

    async def last(self) -> Head:
        """Seq and hash of the last row; (0, 32 zero bytes) in an empty journal."""
        self._refuse_closed()
        return await self._worker.run(self._ledger.last)

    async def set_receipt(self, reader: str, seq: int) -> None:
        """Keep, durably, up to which seq `reader` has stored; may go down when a reader lost its copy."""
        if seq < 0:
            raise ValueError(f"a receipt cannot be negative: {seq}")
        self._refuse_closed()
        await self._worker.run(self._ledger.set_receipt, reader, seq)

    async def receipts(self) -> dict[str, int]:
        """Reader to the seq up to which it has stored."""
        self._refuse_closed()
        return await self._worker.run(self._ledger.receipts)

    async def log(self) -> bytes | None:
        """The name of this record: the hash of its first row, even when that was purged; None before it."""
        self._refuse_closed()
        return await self._worker.run(self._ledger.log)

    async def checkpoint(self) -> str:
        """A signed note over all rows, the newest or one written now (see `checkpoint.py`).

        "" while there is no row, or no key because the disk refuses one.
        """
        self._refuse_closed()
        return await self._worker.run(self._ledger.checkpoint)

    async def rotate_key(self) -> int:
        """Sign with a new key from now on; the seq of the row `key.rotated`, which the old key signed."""
        self._refuse_closed()
        return await self._worker.run(self._ledger.rotate_key)

    async def purge(
        self,
        now: Instant,
        retention_s: float = RETENTION_S,
        reader: str = "upstream.journal",
        before: int | None = None,
    ) -> Purged:
        """Remove rows that `reader` has receipted and that are older than `retention_s` (at least 30 days).

        At most some 2,000 rows a call, up to a checkpoint; `more` in the answer asks for another call. Rows
        from seq `before` on stay: what is still open must be found at the next start.
        """
        self._refuse_closed()
        return await self._worker.run(self._ledger.purge, now, retention_s, reader, before)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise JournalError("the journal is closed")

    async def close(self) -> None:
        """Finish what was asked, checkpoint and close; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        await asyncio.sleep(0)  # an append of this turn is submitted first
        try:
            await self._worker.run(self._ledger.close)
        finally:
            self._worker.stop()

    async def __aenter__(self) -> "Journal":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
