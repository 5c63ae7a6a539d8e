"""What every driver returns: a value that cannot be separated from its unit, quality, reason and time.

Pure data. Nothing here reads a clock or knows a protocol.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum, StrEnum
from functools import partial
from typing import NamedTuple, Self, cast

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


_GOOD, _NONE = Quality.GOOD, Reason.NONE  # an enumeration is slow to ask for its members


class _Fields(NamedTuple):
    value: float | None
    unit: Unit
    quality: Quality
    reason: Reason
    timestamp: float
    total: Total | None = None


class Reading(_Fields):
    """A measured value. `value` is None exactly when the quality is BAD; missing is never 0.

    `timestamp` is Unix time in seconds (UTC) of the source where the protocol carries one, else of receipt.
    `total` goes with values of totalisers (energy, volume) only. A tuple underneath: thousands are made a
    second, and nothing else that cannot be changed is made as fast.
    """

    __slots__ = ()

    def __new__(
        cls,
        value: float | None,
        unit: Unit,
        quality: Quality,
        reason: Reason,
        timestamp: float,
        total: Total | None = None,
    ) -> Self:
        """ValueError when value, quality and reason contradict each other."""
        made = checked((value, unit, quality, reason, timestamp, total))
        if (value is None) != (quality is Quality.BAD):
            raise ValueError(f"a BAD reading has no value and only a BAD one has none: {made!r}")
        if value is not None and not math.isfinite(value):
            raise ValueError(f"a reading's value must be finite: {made!r}")
        if (reason is Reason.NONE) != (quality is Quality.GOOD):
            raise ValueError(f"a reading that is not GOOD needs a reason, a GOOD one has none: {made!r}")
        return cast(Self, made)

    @classmethod
    def good(cls, value: float, unit: Unit, timestamp: float, total: Total | None = None) -> "Reading":
        """A value measured and believed; raises ValueError for NaN and infinities."""
        if not math.isfinite(value):
            raise ValueError(f"a reading's value must be finite: {value!r}")
        return checked((value, unit, _GOOD, _NONE, timestamp, total))

    @classmethod
    def bad(cls, reason: Reason, unit: Unit, timestamp: float) -> "Reading":
        """No value, and why; raises ValueError for no reason."""
        if reason is Reason.NONE:
            raise ValueError("a BAD reading needs a reason")
        return checked((None, unit, Quality.BAD, reason, timestamp, None))

    @property
    def is_good(self) -> bool:
        """True when the value may be used for control without a second thought."""
        return self.quality is Quality.GOOD


checked: Callable[[tuple[float | None, Unit, Quality, Reason, float, Total | None]], Reading]
checked = partial(tuple.__new__, Reading)
"""A Reading of fields whose invariants the caller has seen to, in the order of the fields."""
