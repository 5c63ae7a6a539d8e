"""What crosses the broker: messages to bytes and back. Pure, no I/O, no clock; shared with the receiver.

All payloads are msgpack maps with `v` = VERSION. Whatever comes in is hostile until `decode_*` has returned:
size, nesting, keys, types and ranges are checked, anything else raises MalformedError and nothing besides.
`log` (32 bytes) names one journal or history file from its first row on: rows of two logs are never mixed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import msgpack

VERSION = 1
DIGEST_BYTES = 32  # SHA-256
MAXIMUM_RECEIPT = 1024  # bytes; a receipt is below 150
MAXIMUM_MESSAGE = 2 << 20  # bytes of a batch: a single body may have 1 MiB
MAXIMUM_ROWS = 1000
MAXIMUM_NAME = 64  # characters of a gateway's id
MAXIMUM_SEQ = (1 << 63) - 1

JOURNAL, HISTORY = "journal", "history"
Field: TypeAlias = "int | str | bytes"


class MalformedError(ValueError):
    """The other side (or whoever speaks in its name) sent something that is no message of ours."""


class Problem(StrEnum):
    """Why the head-end does not take the rows it was offered; `NONE` when all is well."""

    NONE = ""
    FORK = "fork"  # another row stands under the same number
    CHAIN = "chain"  # a row does not follow from the one before it


@dataclass(frozen=True, slots=True)
class WireRow:
    """One row as it travels. `hash` is the journal's link, or for a history frame `frame_hash`.

    `fields` are all that the hash was made from, so that the receiver can make it again (see FIELDS).
    """

    seq: int
    hash: bytes
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Hello:
    """The gateway asks: how far have you stored this log of mine?"""

    gateway: str
    stream: str
    log: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """All rows the gateway still has between `after` (exclusive) and the last one, in order.

    `prev` is the hash of the row before the first: it carries the chain over rows that are gone for good.
    """

    gateway: str
    stream: str
    log: bytes
    after: int
    prev: bytes
    rows: tuple[WireRow, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The head-end has stored everything up to `seq`, whose hash is `hash` (zeros when it has nothing).

    `again` asks to go on from `seq`: it answers a Hello, a gap, or follows a restart of the receiver.
    """

    stream: str
    log: bytes
    seq: int
    hash: bytes
    again: bool
    problem: Problem = Problem.NONE


NO_HASH = bytes(DIGEST_BYTES)

# Types of WireRow.fields per stream.
FIELDS: Mapping[str, tuple[type, ...]] = {
    # boot_id, boottime_ns, wall_ns, clock_state, kind, subject, body_hash, body: see edge/chain.py
    JOURNAL: (str, int, int, str, str, str, bytes, bytes),
    # wall_ns, readings: see telemetry.py
    HISTORY: (int, bytes),
}

_HELLO_KEYS = {"v": int, "gateway": str, "stream": str, "log": bytes}
_BATCH_KEYS = {**_HELLO_KEYS, "after": int, "prev": bytes, "rows": list}
_RECEIPT_KEYS = {
    "v": int, "stream": str, "log": bytes, "seq": int, "hash": bytes, "again": bool, "problem": str,
}  # fmt: skip


def topic(gateway: str, leaf: str) -> str:
    """`substation/<gateway>/<leaf>`; leaf is a stream, `hello`, `receipt`, or with gateway `+` a filter."""
    return f"substation/{gateway}/{leaf}"


def parse_topic(name: str) -> tuple[str, str]:
    """(gateway, leaf) of a topic of ours; raises MalformedError."""
    parts = name.split("/")
    if len(parts) != 3 or parts[0] != "substation" or not parts[1]:
        raise MalformedError("foreign topic")
    return parts[1], parts[2]


def encode_hello(hello: Hello) -> bytes:
    """Payload of `substation/<gateway>/hello`."""
    return _pack({"v": VERSION, "gateway": hello.gateway, "stream": hello.stream, "log": hello.log})


def decode_hello(payload: bytes) -> Hello:
    """Raises MalformedError."""
    plain = _unpack(payload, MAXIMUM_RECEIPT, _HELLO_KEYS)
    return Hello(_name(plain["gateway"]), _stream(plain["stream"]), _digest(plain["log"]))


def encode_batch(batch: Batch) -> bytes:
    """Payload of `substation/<gateway>/<stream>`."""
    return _pack(
        {
            "v": VERSION,
            "gateway": batch.gateway,
            "stream": batch.stream,
            "log": batch.log,
            "after": batch.after,
            "prev": batch.prev,
            "rows": [[row.seq, row.hash, *row.fields] for row in batch.rows],
        }
    )


def decode_batch(payload: bytes) -> Batch:
    """Raises MalformedError; rows rise in seq from above `after`. Hashes are not checked here."""
    plain = _unpack(payload, MAXIMUM_MESSAGE, _BATCH_KEYS)
    stream = _stream(plain["stream"])
    listed = plain["rows"]
    if not 1 <= len(listed) <= MAXIMUM_ROWS:
        raise MalformedError("number of rows")
    rows = tuple(_row(item, FIELDS[stream]) for item in listed)
    after = _seq(plain["after"])
    before = after
    for row in rows:
        if row.seq <= before:
            raise MalformedError("rows out of order")
        before = row.seq
    gateway, log, prev = _name(plain["gateway"]), _digest(plain["log"]), _digest(plain["prev"])
    return Batch(gateway, stream, log, after, prev, rows)


def encode_receipt(receipt: Receipt) -> bytes:
    """Payload of `substation/<gateway>/receipt`."""
    return _pack(
        {
            "v": VERSION,
            "stream": receipt.stream,
            "log": receipt.log,
            "seq": receipt.seq,
            "hash": receipt.hash,
            "again": receipt.again,
            "problem": receipt.problem.value,
        }
    )


def decode_receipt(payload: bytes) -> Receipt:
    """Raises MalformedError."""
    plain = _unpack(payload, MAXIMUM_RECEIPT, _RECEIPT_KEYS)
    if plain["problem"] not in set(Problem):
        raise MalformedError("unknown problem")
    return Receipt(
        stream=_stream(plain["stream"]),
        log=_digest(plain["log"]),
        seq=_seq(plain["seq"]),
        hash=_digest(plain["hash"]),
        again=plain["again"],
        problem=Problem(plain["problem"]),
    )


def frame_hash(wall_ns: int, blob: bytes) -> bytes:
    """SHA-256 of wall_ns (8 bytes, signed, big end first) followed by the blob."""
    return hashlib.sha256(wall_ns.to_bytes(8, "big", signed=True) + blob).digest()


def pack_row(row: WireRow) -> bytes:
    """A row as the receiver keeps it: byte-equal exactly when the rows are equal."""
    return _pack([row.seq, row.hash, *row.fields])


def unpack_row(blob: bytes, stream: str) -> WireRow:
    """The inverse of pack_row; raises MalformedError."""
    return _row(_unpack_any(blob, MAXIMUM_MESSAGE), FIELDS[stream])


def row_bytes(row: WireRow) -> int:
    """About how many bytes the row takes on the line."""
    return DIGEST_BYTES + 16 + sum(len(field) if not isinstance(field, int) else 9 for field in row.fields)


def _pack(plain: Mapping[str, object] | Sequence[object]) -> bytes:
    packed: bytes = msgpack.packb(plain, use_bin_type=True)
    return packed


def _unpack_any(payload: bytes, limit: int) -> Any:  # noqa: ANN401 (hostile until checked)
    if len(payload) > limit:
        raise MalformedError("too large")
    try:
        return msgpack.unpackb(payload, raw=False, strict_map_key=True)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MalformedError(f"no msgpack: {type(error).__name__}") from None


def _unpack(payload: bytes, limit: int, keys: Mapping[str, type]) -> dict[str, Any]:
    plain = _unpack_any(payload, limit)
    if type(plain) is not dict or plain.keys() != keys.keys():
        raise MalformedError("keys")
    for key, wanted in keys.items():
        if type(plain[key]) is not wanted:  # exact: True is no int here
            raise MalformedError(f"type of {key}")
    if plain["v"] != VERSION:
        raise MalformedError("version")
    return plain


def _row(item: object, kinds: tuple[type, ...]) -> WireRow:
    if type(item) is not list or len(item) != 2 + len(kinds):
        raise MalformedError("shape of a row")
    if type(item[0]) is not int or type(item[1]) is not bytes:
        raise MalformedError("type in a row")
    if any(type(value) is not wanted for value, wanted in zip(item[2:], kinds, strict=True)):
        raise MalformedError("type in a row")
    if any(type(value) is int and not -MAXIMUM_SEQ <= value <= MAXIMUM_SEQ for value in item[2:]):
        raise MalformedError("number out of range")
    return WireRow(_seq(item[0]), _digest(item[1]), tuple(item[2:]))


def _seq(value: int) -> int:
    if not 0 <= value <= MAXIMUM_SEQ:
        raise MalformedError("seq out of range")
    return value


def _digest(value: bytes) -> bytes:
    if len(value) != DIGEST_BYTES:
        raise MalformedError("length of a digest")
    return value


def _name(value: str) -> str:
    if not 1 <= len(value) <= MAXIMUM_NAME:
        raise MalformedError("length of a name")
    return value


def _stream(value: str) -> str:
    if value not in FIELDS:
        raise MalformedError("unknown stream")
    return value
