"""Journal and history as streams of wire rows, and how a receipt compares with them. Sends nothing."""

import secrets
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from edge.chain import GENESIS, SEGMENT, Head, Row
from edge.frames import Frame
from edge.history import History
from edge.journal import Journal
from edge.upstream.codec import DIGEST_BYTES, HISTORY, JOURNAL, NO_HASH, WireRow, frame_hash
from edge.upstream.telemetry import encode_columns

READERS = {JOURNAL: "upstream.journal", HISTORY: "upstream.history"}  # names of our receipts in the journal
_LOG_KEY = "upstream.log"


class Standing(Enum):
    """What we make of the row that a receipt names."""

    KNOWN = "known"
    AHEAD = "ahead"  # beyond our last row: our file was set back
    FORK = "fork"  # our row of that number is another one


class Source(Protocol):
    """A stream to be sent: numbered rows, each with a hash, in a file that has a name of its own."""

    stream: str

    async def log(self) -> bytes | None:
        """Name of the file (32 bytes), None while it is empty."""

    async def rows(self, head: Head, limit: int) -> tuple[Head, Sequence[WireRow]]:
        """Up to `limit` rows after `head`, and the head they stand on."""

    async def standing(self, head: Head) -> Standing:
        """Whether a receipt for `head` can be ours."""

    async def disown(self) -> bool:
        """Go on under a new name because the head-end has other rows under the old; False: not allowed."""


class JournalSource:
    """The journal. Its log is named by the hash of its first row: a lost file is a new log."""

    stream = JOURNAL

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._log: bytes | None = None

    async def log(self) -> bytes | None:
        """Hash of the first row."""
        if self._log is None:
            self._log = await self._journal.log()
        return self._log

    async def rows(self, head: Head, limit: int) -> tuple[Head, Sequence[WireRow]]:
        """Rows after `head`. A segment stands on the last whole row before it, not on `head`."""
        rows = await self._journal.rows(head.seq, limit)
        return (_before(rows[0], head) if rows else head), [journal_wire(row) for row in rows]

    async def standing(self, head: Head) -> Standing:
        """A row that was lost with a damaged file (a segment follows it) is accepted as receipted."""
        if head.seq == 0:
            return Standing.KNOWN if head.hash == NO_HASH else Standing.FORK
        found = await self._journal.rows(head.seq - 1, 1)
        if not found or found[0].seq < head.seq:
            return Standing.AHEAD
        if found[0].seq == head.seq:
            return Standing.KNOWN if found[0].hash == head.hash else Standing.FORK
        return Standing.KNOWN

    async def disown(self) -> bool:
        """Never: two records under one name are for a person to look at."""
        return False


class HistorySource:
    """The telemetry. Its log is a random name kept in its file; old frames may be gone."""

    stream = HISTORY

    def __init__(self, history: History) -> None:
        self._history = history
        self._log: bytes | None = None

    async def log(self) -> bytes | None:
        """The random name, made at the first call in a new file."""
        if self._log is None:
            self._log = await self._history.get_state(_LOG_KEY) or await self._rename()
        return self._log

    async def rows(self, head: Head, limit: int) -> tuple[Head, Sequence[WireRow]]:
        """Frames after `head`; frames are not chained, so they stand on its number only."""
        frames = await self._history.frames(head.seq, limit)
        return Head(head.seq, NO_HASH), [history_wire(frame) for frame in frames]

    async def standing(self, head: Head) -> Standing:
        """A frame that was dropped or lost in a power cut since is accepted as receipted."""
        if head.seq > await self._history.last():
            return Standing.AHEAD
        found = await self._history.frames(head.seq - 1, 1) if head.seq else []
        if found and found[0].seq == head.seq and history_wire(found[0]).hash != head.hash:
            return Standing.FORK
        return Standing.KNOWN

    async def disown(self) -> bool:
        """Telemetry may lose its tail in a power cut; it then goes on, and is sent again, as a new log."""
        self._log = await self._rename()
        return True

    async def _rename(self) -> bytes:
        name = secrets.token_bytes(DIGEST_BYTES)
        await self._history.put_state(_LOG_KEY, name)
        return name


def journal_wire(row: Row) -> WireRow:
    """A row of the journal as it travels."""
    fields = (row.boot_id, row.boottime_ns, row.wall_ns, row.clock_state, row.kind, row.subject)
    return WireRow(row.seq, row.hash, (*fields, row.body_hash, row.body))


def history_wire(frame: Frame) -> WireRow:
    """A frame of the history as it travels."""
    blob = encode_columns(frame.columns)
    return WireRow(frame.seq, frame_hash(frame.wall_ns, blob), (frame.wall_ns, blob))


def _before(row: Row, head: Head) -> Head:
    if row.kind != SEGMENT:
        return head
    stood_on = row.content
    last = Head(stood_on["last_seq"], bytes.fromhex(stood_on["last_hash"]))
    return last if last.seq else GENESIS
