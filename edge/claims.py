"""What somebody else was given of a record, held against its file: a receipt, a checkpoint. Pure.

Only against these can a cut tail, or a file that was set back whole, be found.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge.chain import SEGMENT, Fault, Head, Row, stands_on
from edge.checkpoint import Note
from edge.proof import Era
from edge.tables import Base


@dataclass(frozen=True, slots=True)
class Receipt:
    """Somebody has stored everything up to `head` of the record `log` (hash of its first row; None: any)."""

    head: Head
    log: bytes | None = None


def read_receipt(text: str) -> Receipt:
    """A receipt as the head-end gives it: {"seq": 1234, "hash": hex, "log": hex or missing}; ValueError."""
    said = json.loads(text)
    if not isinstance(said, dict) or type(said.get("seq")) is not int or said["seq"] < 0:
        raise ValueError("a receipt is {log, seq, hash}")
    log = said.get("log")
    head = Head(said["seq"], bytes.fromhex(said["hash"]))
    return Receipt(head, None if log is None else bytes.fromhex(log))


def write_receipt(receipt: Receipt) -> str:
    """The reverse of `read_receipt`."""
    log = None if receipt.log is None else receipt.log.hex()
    return json.dumps({"log": log, "seq": receipt.head.seq, "hash": receipt.head.hash.hex()}) + "\n"


class Claims:
    """Looks for what was claimed while the rows pass."""

    def __init__(self, begin: Base, receipt: Receipt | None, since: Note | None) -> None:
        self._begin = begin
        self._receipt = receipt
        self._since = since
        self._log = begin.log
        self._found: bytes | None = None  # hash of the receipted row
        self._root: bytes | None = None  # of the tree of the claimed size
        self._lost: list[tuple[int, int]] = []  # numbers that went with a damaged file

    def row(self, row: Row) -> None:
        """The next row that stands."""
        self._log = self._log or row.hash
        if self._receipt is not None and row.seq == self._receipt.head.seq:
            self._found = row.hash
        if row.kind == SEGMENT:
            try:
                head = stands_on(row)
            except ValueError:
                return
            self._lost.append((head.seq if head else 0, row.seq))

    def tree(self, size: int, root: bytes) -> None:
        """The tree after that row, where its size is the claimed one."""
        if self._since is not None and size == self._since.checkpoint.size:
            self._root = root

    @property
    def size(self) -> int:
        """The size of the tree whose root is wanted; 0 for none."""
        return 0 if self._since is None else self._since.checkpoint.size

    def against_receipt(self) -> Iterator[Fault]:
        """What is wrong with the receipt."""
        if self._receipt is None:
            return
        head, log = self._receipt.head, self._receipt.log
        if log is not None and log != self._log:
            yield Fault(head.seq, "record.other_log", "the receipt is for another record")
        elif self._begin.head.seq >= head.seq > 0:
            if head.seq == self._begin.head.seq and head.hash != self._begin.head.hash:
                yield Fault(head.seq, "record.receipt", "the row is not the one that was receipted")
        elif self._found is None and head.seq > 0:
            yield Fault(head.seq, self._why_gone(head.seq), "a row that was receipted is not in the file")
        elif head.seq > 0 and self._found != head.hash:
            yield Fault(head.seq, "record.receipt", "the row is not the one that was receipted")

    def _why_gone(self, seq: int) -> str:
        lost = any(after < seq < segment for after, segment in self._lost)
        return "record.lost" if lost else "record.truncated"

    def against_checkpoint(self, eras: Sequence[Era], size: int, publics: Sequence[bytes]) -> Iterator[Fault]:
        """What is wrong with the checkpoint; `size` rows are in the tree at the end."""
        if self._since is None:
            return
        told = self._since.checkpoint
        at = next((number for number, era in enumerate(eras) if era.origin == told.origin), None)
        if at is None:
            yield Fault(0, "record.other_log", told.origin)
        elif self._since.signer(publics) is None:
            yield Fault(0, "record.since_key", "the checkpoint is not signed with a key of this record")
        elif at + 1 < len(eras) and told.size > eras[at + 1].after:
            yield Fault(0, "record.lost", f"rows {eras[at + 1].after + 1} to {told.size} of the tree")
        elif told.size > size:
            yield Fault(0, "record.truncated", f"the checkpoint is over {told.size} rows, {size} are left")
        elif self._root is not None and self._root != told.root:
            yield Fault(0, "record.since", f"the first {told.size} rows are not those that were signed")
