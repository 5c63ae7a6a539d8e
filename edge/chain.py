"""The words and the arithmetic of the journal's hash chain. Pure: bytes in, bytes out.

Layout, complete enough for a stranger to check a record without this program:

- `body`       canonical msgpack of a map: keys are strings in code-point order at every level, integers and
               strings in their shortest msgpack form, floats are finite and 64 bit, no bin, no ext type.
- `body_hash`  SHA-256 of the bytes of `body` (32 bytes). The chain is made of it and not of the body, so that
               a body can be erased (its column set to null) while the chain still holds.
- `header`     msgpack of this array of 9, in shortest forms:
               [1, seq, boot_id, boottime_ns, wall_ns, clock_state, kind, subject, body_hash]
               1 is the version of this layout; seq counts from 1; boottime_ns since boot and wall_ns since
               1970-01-01 UTC are whole nanoseconds; clock_state is `synced`, `holdover` or `unsynced`;
               body_hash is a bin of 32; the others are integers and strings.
- `hash`       SHA-256 of (hash of the row before, 32 bytes) followed by (header). Before the first row stand
               32 zero bytes.

`seq` rises by one from row to row, but for a row of kind `journal.segment`. It is written when a damaged file
was put aside: it stands on the last row that was still whole (its body names that row's `last_seq` and
`last_hash`, hex), and its own seq is larger than any the damaged file can have used.
A row stands in one table, `rows`, whose columns are those of the header, `hash` and `body`. A check of the
chain is then, in full (sqlite3 and msgpack given; where old rows were purged, the table `purged` holds the
hash to begin with, and a row `journal.purged` says the same):

    prev = bytes(32)
    for *head, body_hash, hash, body in db.execute("select seq, boot_id, boottime_ns, wall_ns, clock_state,"
            " kind, subject, body_hash, hash, body from rows order by seq"):
        assert hashlib.sha256(body).digest() == body_hash
        prev = hashlib.sha256(prev + msgpack.packb([1, *head, body_hash])).digest()
        assert prev == hash, head[0]

The table `checkpoints` holds signed heads of the Merkle tree over `hash` of the rows in this order: see
`checkpoint.py` and `merkle.py`.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import msgpack

from edge.clock import Instant
from edge.records import Event, Plain

LAYOUT = 1
SEGMENT = "journal.segment"  # kind of the row that follows a damaged file
MAX_BODY = 1 << 20  # bytes; a body is evidence, not an archive
_MAX_DEPTH = 32
_MICRO = 1_000_000  # a float of Unix seconds is good to a quarter of a microsecond, not to a nanosecond


class BodyError(ValueError):
    """What was to be recorded cannot be written so that a stranger reads the same from it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to record: `kind` dotted lower case, `subject` what it concerns, `body` plain values only."""

    kind: str
    subject: str
    body: Mapping[str, Plain]

    @classmethod
    def of(cls, event: Event) -> "Entry":
        """The entry of an event; the two times stand in the body as `occurred` and `detected` (Unix s)."""
        times: dict[str, Plain] = {"occurred": event.occurred, "detected": event.detected}
        return cls(event.kind, event.subject, {**event.body, **times})


class Head(NamedTuple):
    """Where a chain stands: the seq and the hash of its last row."""

    seq: int
    hash: bytes


GENESIS = Head(0, bytes(32))


@dataclass(frozen=True, slots=True)
class Row:
    """A recorded entry as it stands in the file; see the layout above. `body` is the msgpack as stored."""

    seq: int
    boot_id: str
    boottime_ns: int
    wall_ns: int
    clock_state: str
    kind: str
    subject: str
    body_hash: bytes
    hash: bytes
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        """The body as plain values."""
        content: dict[str, Any] = msgpack.unpackb(self.body, strict_map_key=True)
        return content

    @property
    def head(self) -> Head:
        """The chain up to and with this row."""
        return Head(self.seq, self.hash)

    @property
    def sealed(self) -> "Sealed":
        """The fields in their order."""
        clocks = (self.boottime_ns, self.wall_ns, self.clock_state)
        proof = (self.body_hash, self.hash, self.body)
        return (self.seq, self.boot_id, *clocks, self.kind, self.subject, *proof)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at `seq`: `what` is a key of the text catalogue, `detail` is for an engineer."""

    seq: int
    what: str
    detail: str = ""


def _plain_float(value: float) -> float:
    if not math.isfinite(value):
        raise BodyError(f"a float in a body must be finite, not {value}")
    return float(value)


def _plain_int(value: int) -> int:
    if not -(1 << 63) <= value < 1 << 64:
        raise BodyError(f"an integer in a body must fit 64 bits, not {value}")
    return int(value)


def _plain_str(value: str) -> str:
    if type(value) is str and value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BodyError(f"a string in a body must be Unicode text: {value!r}") from error
    return str(value)


def _plain_map(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    wrong = [key for key in value if not isinstance(key, str)]
    if wrong:
        raise BodyError(f"a key in a body must be a string, not {wrong[0]!r}")
    return {_plain_str(key): _plain(value[key], depth + 1) for key in sorted(value)}


def _plain(value: object, depth: int = 0) -> Any:  # noqa: ANN401 - the union of all that msgpack can carry
    """`value` with sorted keys and nothing but plain types; BodyError where that cannot be."""
    if depth > _MAX_DEPTH:
        raise BodyError(f"a body may nest at most {_MAX_DEPTH} deep")
    match value:
        case None | bool():
            return value
        case str():
            return _plain_str(value)
        case int():
            return _plain_int(value)
        case float():
            return _plain_float(value)
        case Mapping():
            return _plain_map(value, depth)
        case Sequence() if not isinstance(value, bytes | bytearray | memoryview):
            return [_plain(item, depth + 1) for item in value]
    raise BodyError(f"a body holds plain values only, not {type(value).__name__}")


_TEXT = frozenset({str})
_SIMPLE = frozenset({str, int, float, bool, type(None)})


def _simple(body: Mapping[Any, Any]) -> dict[str, Any] | None:
    """`body` with sorted keys when it is flat and plain at a glance; None when that needs a closer look."""
    if type(body) is not dict or not _TEXT.issuperset(map(type, body)):
        return None
    values = body.values()
    if not _SIMPLE.issuperset(map(type, values)):
        return None
    for value in values:
        if type(value) is float and not math.isfinite(value):
            return None
    return dict(sorted(body.items()))


def canonical(body: Mapping[str, Plain], pack: Callable[[object], bytes] = msgpack.packb) -> bytes:
    """The one msgpack of a body; BodyError for anything that is not plain, finite and of bounded size."""
    if not isinstance(body, Mapping):
        raise BodyError(f"a body is a map, not {type(body).__name__}")
    simple = _simple(body)
    try:
        packed = pack(_plain(body) if simple is None else simple)
    except (OverflowError, UnicodeEncodeError):  # an integer or a string: the slow way says which
        packed = pack(_plain(body))
    if len(packed) > MAX_BODY:
        raise BodyError(f"a body may have {MAX_BODY} bytes, not {len(packed)}")
    return packed


def digest(prev: bytes, row: Row) -> bytes:
    """SHA-256 over the hash before and the header of `row`."""
    clocks = (row.boottime_ns, row.wall_ns, row.clock_state)
    header = msgpack.packb((LAYOUT, row.seq, row.boot_id, *clocks, row.kind, row.subject, row.body_hash))
    return hashlib.sha256(prev + header).digest()


class Draft(NamedTuple):
    """An entry whose body is already canonical: nothing about it can fail any more."""

    kind: str
    subject: str
    body: bytes

    @classmethod
    def of(cls, entry: Entry, pack: Callable[[object], bytes] = msgpack.packb) -> "Draft":
        """Check and encode; BodyError names what is wrong."""
        kind, subject = entry.kind, entry.subject
        if not kind or not subject:
            raise BodyError(f"an entry needs a kind and a subject: {kind!r}, {subject!r}")
        return cls(_plain_str(kind), _plain_str(subject), canonical(entry.body, pack))

    @classmethod
    def all(cls, entries: Iterable[Entry]) -> list["Draft"]:
        """All or none; see `of`."""
        pack = msgpack.Packer().pack  # one packer for all is twice as fast; it must stay on its thread
        return [cls.of(entry, pack) for entry in entries]


Sealed: TypeAlias = tuple[int, str, int, int, str, str, str, bytes, bytes, bytes]  # the fields of a Row


def seal(
    head: Head, drafts: Sequence[Draft], now: Instant, boot_id: str, seq: int | None = None
) -> tuple[list[Sealed], Head]:
    """The rows that `drafts` become after `head`, and the head after them. `seq`: a segment leaves a gap."""
    boottime, wall, state = (
        round(now.boottime * _MICRO) * 1000,
        round(now.wall * _MICRO) * 1000,
        str(now.state),
    )
    number = head.seq if seq is None else seq - 1
    prev, sha256, pack = head.hash, hashlib.sha256, msgpack.Packer().pack
    rows: list[Sealed] = []
    for kind, subject, body in drafts:
        number += 1
        body_hash = sha256(body).digest()
        header = pack((LAYOUT, number, boot_id, boottime, wall, state, kind, subject, body_hash))
        prev = sha256(prev + header).digest()
        rows.append((number, boot_id, boottime, wall, state, kind, subject, body_hash, prev, body))
    return rows, Head(number, prev) if rows else head


def link(head: Head, draft: Draft, now: Instant, boot_id: str, seq: int | None = None) -> Row:
    """The row that `draft` becomes after `head`; `seq` only for a segment, which may leave a gap."""
    return Row(*seal(head, [draft], now, boot_id, seq)[0][0])


def follows(head: Head, row: Row) -> bool:
    """True when the seq of `row` is the next, or a segment says why it is not."""
    return row.seq == head.seq + 1 or (row.kind == SEGMENT and row.seq > head.seq)


def check(head: Head, row: Row) -> Fault | None:
    """What is wrong with `row` standing after `head`, or None."""
    if not follows(head, row):
        return Fault(row.seq, "record.missing", f"row {head.seq} is followed by {row.seq}")
    return check_body(row) or check_link(head.hash, row)


def check_body(row: Row) -> Fault | None:
    """Does the body belong to its header?"""
    if hashlib.sha256(row.body).digest() == row.body_hash:
        return None
    return Fault(row.seq, "record.body", "the body is not the one that was recorded")


def check_link(prev: bytes, row: Row) -> Fault | None:
    """Does the header stand on the row before?"""
    if digest(prev, row) == row.hash:
        return None
    return Fault(row.seq, "record.link", "the row, or the one before it, is not the one that was recorded")


def stands_on(row: Row) -> Head | None:
    """The row that a segment continues, as its body says; None for every other kind.

    A reader who holds rows beyond it (the damaged ones, sent in good health) checks the segment against its
    own copy of that row: `check_link(stands_on(row).hash, row)`. BodyError when the body does not say.
    """
    if row.kind != SEGMENT:
        return None
    try:
        content = row.content
        return Head(int(content["last_seq"]), bytes.fromhex(content["last_hash"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BodyError(f"row {row.seq} does not say what it stands on") from error
