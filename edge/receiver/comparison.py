"""Is the receiver's copy the journal? Offline, read-only on both files."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge.chain import Fault
from edge.tables import base
from edge.upstream.codec import JOURNAL, pack_row
from edge.upstream.source import journal_wire
from edge.verification import Scan, opened

_ROWS = """
select seq, row from rows join logs on logs.id = rows.log
where gateway = ? and stream = ? and logs.log = ? and seq > ? order by seq
"""


class Kind(StrEnum):
    """How a row differs."""

    DAMAGED = "damaged"  # the journal's own row is not whole
    NOT_RECEIVED = "not_received"
    NOT_IN_JOURNAL = "not_in_journal"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not the same on both sides."""

    seq: int
    kind: Kind


def compare(journal_path: Path, receiver_path: Path, gateway: str) -> list[Difference]:
    """Differences between a journal and the receiver's copy of it, byte for byte; [] when there are none."""
    with opened(journal_path) as connection:
        begin = base(connection)
    own, faults = _journal(journal_path)
    log = begin.log or (own[min(own)][0] if own else b"")
    copy = _copy(receiver_path, gateway, log, begin.head.seq)
    return sorted([*faults, *_differences(own, copy)], key=lambda difference: difference.seq)


def _journal(path: Path) -> tuple[dict[int, tuple[bytes, bytes]], list[Difference]]:
    """(hash, packed row) by seq, and what is not whole."""
    rows: dict[int, tuple[bytes, bytes]] = {}
    faults = []
    with opened(path) as connection:
        for found in Scan(connection):
            if isinstance(found, Fault):
                faults.append(Difference(found.seq, Kind.DAMAGED))
            else:
                rows[found.seq] = (found.hash, pack_row(journal_wire(found)))
    return rows, faults


def _copy(path: Path, gateway: str, log: bytes, after: int) -> dict[int, bytes]:
    """The receiver's rows of that log, but for those that the journal has purged."""
    with opened(path) as connection:
        return {seq: bytes(row) for seq, row in connection.execute(_ROWS, (gateway, JOURNAL, log, after))}


def _differences(own: dict[int, tuple[bytes, bytes]], copy: dict[int, bytes]) -> Iterator[Difference]:
    for seq in own.keys() - copy.keys():
        yield Difference(seq, Kind.NOT_RECEIVED)
    for seq in copy.keys() - own.keys():
        yield Difference(seq, Kind.NOT_IN_JOURNAL)
    for seq in own.keys() & copy.keys():
        if own[seq][1] != copy[seq]:
            yield Difference(seq, Kind.DIFFERENT)
