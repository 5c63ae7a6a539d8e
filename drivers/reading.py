"""What every driver returns: a value that cannot be separated from its unit, quality, reason and time.

Pure data. Nothing here reads a clock or knows a protocol.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import cast

from drivers.units import Unit


class Quality(IntEnum):
    """How far a reading may be trusted; a larger number is better."""

    BAD = 0
    UNCERTAIN = 1
    GOOD = 2


class Reason(StrEnum):
    """Why a reading is not GOOD. `NONE` goes with GOOD only."""

    NONE = ""
    NEVER_READ = "never_read"
    NO_ANSWER = "no_answer"  # the device or the line is silent
    PROTOCOL = "protocol"  # the answer was malformed, foreign or of the wrong length
    DEVICE = "device"  # the device said it has no value (exception, Bad status)
    NOT_A_NUMBER = "not_a_number"
    SENTINEL = "sentinel"  # the register holds the maker's mark for "invalid"
    OUT_OF_RANGE = "out_of_range"
    STALE = "stale"  # was good, is too old
    DOUBTFUL = "doubtful"  # the device itself calls the value uncertain
    SUBSTITUTE = "substitute"  # made from another source
    STUCK = "stuck"  # has not moved for longer than a living sensor stands still


@dataclass(frozen=True, slots=True)
class Total:
    """What a totaliser's register shows, digit by digit, in its own unit: nothing is lost by conversion.

    `rolls_over` is the first number the register cannot show, in the same unit; None where nobody says.
    """

    number: Decimal
    unit: Unit
    rolls_over: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A measured value. `value` is None exactly when the quality is BAD; missing is never 0.

    `timestamp` is Unix time in seconds (UTC) of the source where the protocol carries one, else of receipt.
    `total` goes with values of totalisers (energy, volume) only.
    """

    value: float | None
    unit: Unit
    quality: Quality
    reason: Reason
    timestamp: float
    total: Total | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != (self.quality is Quality.BAD):
            raise ValueError(f"a BAD reading has no value and only a BAD one has none: {self!r}")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"a reading's value must be finite: {self!r}")
        if (self.reason is Reason.NONE) != (self.quality is Quality.GOOD):
            raise ValueError(f"a reading that is not GOOD needs a reason, a GOOD one has none: {self!r}")

    @classmethod
    def good(cls, value: float, unit: Unit, timestamp: float, total: Total | None = None) -> "Reading":
        """A value measured and believed; raises ValueError for NaN and infinities."""
        if not math.isfinite(value):
            raise ValueError(f"a reading's value must be finite: {value!r}")
        return _made(value, unit, Quality.GOOD, Reason.NONE, timestamp, total)

    @classmethod
    def bad(cls, reason: Reason, unit: Unit, timestamp: float) -> "Reading":
        """No value, and why; raises ValueError for no reason."""
        if reason is Reason.NONE:
            raise ValueError("a BAD reading needs a reason")
        return _made(None, unit, Quality.BAD, reason, timestamp, None)

    @property
    def is_good(self) -> bool:
        """True when the value may be used for control without a second thought."""
        return self.quality is Quality.GOOD


class _Draft:
    """A Reading while it is made: the same slots, not yet frozen."""

    __slots__ = ("quality", "reason", "timestamp", "total", "unit", "value")

    value: float | None
    unit: Unit
    quality: Quality
    reason: Reason
    timestamp: float
    total: Total | None


def _made(
    value: float | None,
    unit: Unit,
    quality: Quality,
    reason: Reason,
    timestamp: float,
    total: Total | None,
) -> Reading:
    """A Reading of fields whose invariants the caller has seen to.

    Thousands are made a second. A frozen dataclass sets each field by a call of `object.__setattr__`, 1.4 us
    in all; filling slots that are still writable and freezing the object by its class takes a fifth of that.
    """
    draft = _Draft()
    draft.value = value
    draft.unit = unit
    draft.quality = quality
    draft.reason = reason
    draft.timestamp = timestamp
    draft.total = total
    draft.__class__ = Reading  # type: ignore[assignment]  # CPython allows it between equal slots
    return cast(Reading, draft)
