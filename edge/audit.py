"""`substation-edge verify`: the record of a station checked offline, on a copy, and told in words."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge.chain import Fault
from edge.checkpoint import Note, decode_key, encode_key, fingerprint, parse
from edge.claims import Receipt, read_receipt
from edge.clock import Clock, SystemClock
from edge.texts import Texts
from edge.verification import Verification, verify

T = TypeVar("T")
_MOST_TEXT = 64 << 10  # bytes of a receipt, a key or a checkpoint
_TELL_S = 1.0


class _UnusableError(Exception):
    """What was to be checked against cannot be read: `path`, and why."""


@dataclass(frozen=True, slots=True)
class Against:
    """What the auditor brings along."""

    receipt: Receipt | None
    key: bytes | None
    since: Note | None


def run(options: argparse.Namespace, texts: Texts, clock: Clock | None = None) -> int:
    """Check and print; 0 whole, 1 faults, 2 could not be done."""
    try:
        against = _against(options)
    except _UnusableError as error:
        print(texts("cli.verify.unusable", why=error), file=sys.stderr)
        return 2
    if not options.journal.is_file():
        print(texts("cli.no_file", file=options.journal), file=sys.stderr)
        return 2
    told = _Progress(texts, clock or SystemClock()) if sys.stderr.isatty() else None
    receipt = against.receipt
    found = verify(
        options.journal,
        receipt.head if receipt else None,
        log=receipt.log if receipt else None,
        key=against.key,
        since=against.since,
        progress=told or (lambda rows: None),
    )
    _print(found, against, texts)
    return 1 if found.faults else 0


class _Progress:
    """A line a second on a terminal."""

    def __init__(self, texts: Texts, clock: Clock) -> None:
        self._texts = texts
        self._clock = clock
        self._next = clock.now().monotonic + _TELL_S

    def __call__(self, rows: int) -> None:
        now = self._clock.now().monotonic
        if now >= self._next:
            self._next = now + _TELL_S
            print(self._texts("cli.verify.progress", rows=rows), file=sys.stderr, flush=True)


def _against(options: argparse.Namespace) -> Against:
    return Against(
        _read(options.receipt, read_receipt) if options.receipt else None,
        _key(options.key) if options.key else None,
        _read(options.since, parse) if options.since else None,
    )


def _key(text: str) -> bytes:
    if Path(text).is_file():
        return _read(Path(text), decode_key)
    try:
        return decode_key(text)
    except ValueError as error:
        raise _UnusableError(f"{text}: {error}") from error


def _read(path: Path, reader: Callable[[str], T]) -> T:
    try:
        with path.open("rb") as file:
            return reader(file.read(_MOST_TEXT).decode())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _UnusableError(f"{path}: {error}") from error


def _print(found: Verification, against: Against, texts: Texts) -> None:
    for fault in found.faults:
        print(_fault(fault, found, texts), file=sys.stderr)
    for notice in found.notices:
        print(_line("cli.verify.notice", notice, texts))
    for period in found.keys:
        text = texts(
            "cli.verify.key",
            id=fingerprint(period.public),
            key=encode_key(period.public),
            seq=period.seq,
            how=texts(f"cli.verify.how.{period.how}"),
        )
        print(text)
    key = "cli.verify.bad" if found.faults else "cli.verify.good"
    print(texts(key, rows=found.rows, faults=len(found.faults), hash=found.head.hash.hex()))
    print(texts("cli.verify.signed", checkpoints=found.checkpoints, unsigned=found.unsigned))
    for name in ("receipt", "key"):
        if getattr(against, name) is None:
            print(texts(f"cli.verify.without_{name}"))


def _line(key: str, fault: Fault, texts: Texts) -> str:
    return texts(key, seq=fault.seq, what=texts(fault.what), detail=fault.detail)


def _fault(fault: Fault, found: Verification, texts: Texts) -> str:
    line = _line("cli.verify.fault", fault, texts)
    if fault.seq == 0 or not found.good:
        return line
    first, last = found.interval(fault.seq)
    if last:
        return f"{line}\n    {texts('cli.verify.interval', first=first, last=last)}"
    return f"{line}\n    {texts('cli.verify.interval_open', first=first)}"
