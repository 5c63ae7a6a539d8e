"""What passes on a bus, frame by frame, for statistics and for the technician's monitor. Pure data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a frame, or its absence, was."""

    REQUEST = "request"
    ANSWER = "answer"  # the one awaited, well formed
    REFUSED = "refused"  # well formed, and says that the device cannot or will not
    SILENCE = "silence"  # nothing, or not all of it, in time
    CHECKSUM = "checksum"  # spoilt on the line
    MALFORMED = "malformed"  # the protocol forbids it
    FOREIGN = "foreign"  # well formed, of another device or to another request
    RETRY = "retry"  # a request sent once more; `data` is empty, the request follows
    LOST = "lost"  # the connection went away


@dataclass(frozen=True, slots=True)
class Traffic:
    """One frame on the line, of `device` (its id; "" for nobody on this bus). `at`: the loop's time in s."""

    device: str
    verdict: Verdict
    data: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a frame says, as facts a catalogue makes a sentence of: its key there, and the values it names."""

    key: str
    values: Mapping[str, str | int]


Tap = Callable[[Traffic], None]
"""Told of every frame, in order; must return at once and raise nothing."""


def unheard(_: Traffic) -> None:
    """The tap of a bus nobody listens to: drivers need not even tell it."""
