"""The Inbox takes readings at any time; `freeze` makes of it the ProcessImage that one cycle decides on.

Freezing judges quality once for everybody: a reading outside its quantity's range is BAD, one older than
`limit_s` of its point is BAD as stale, and one that has not moved for `stuck_s` is BAD as stuck, where the
site says how long a living sensor stands still. No I/O, no clock: the moment is an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from drivers import Quality, Reading, Reason, Unit
from edge.clock import Instant
from edge.points import quantity

RECENT_S = 0.5  # a time stamp this young is taken for the moment of receipt


@dataclass(frozen=True, slots=True)
class ProcessImage:
    """What is known of the plant at `now`. Every expected point has a reading; others do not exist."""

    now: Instant
    readings: Mapping[str, Reading]

    def get(self, point: str) -> Reading:
        """The reading, or a BAD one (never read) for a point that is not mapped."""
        found = self.readings.get(point)
        return found if found is not None else Reading.bad(Reason.NEVER_READ, _unit(point), self.now.wall)

    def value(self, point: str) -> float | None:
        """The value of a GOOD reading, else None: the caller must say what a missing value means."""
        reading = self.readings.get(point)
        return reading.value if reading is not None and reading.quality is Quality.GOOD else None

    def state(self, point: str) -> bool | None:
        """A GOOD state as a truth value, else None."""
        value = self.value(point)
        return None if value is None else value != 0


def _unit(point: str) -> Unit:
    known = quantity(point)
    return known.unit if known is not None else Unit.ONE


@dataclass(slots=True)
class _Slot:
    reading: Reading
    since: float  # monotonic s of receipt, or of its source's own time stamp if that is older
    limit_s: float
    low: float
    high: float


@dataclass(slots=True)
class _Watch:
    """Whether a value moves. Times are monotonic s.

    Only time in which the point was read counts: what was not read for longer than `gap_s` may have moved.
    """

    stuck_s: float
    gap_s: float
    value: float | None = None
    moved: float = 0.0  # when it was first read, put off by every silence since
    read: float = 0.0

    def look(self, value: float, monotonic: float) -> None:
        """A value was read."""
        if value != self.value:
            self.value, self.moved = value, monotonic
        elif monotonic - self.read > self.gap_s:
            self.moved += monotonic - self.read
        self.read = monotonic

    @property
    def stuck(self) -> bool:
        """True while the newest value is the same as `stuck_s` before it."""
        return self.read - self.moved >= self.stuck_s


class Inbox:
    """The latest reading of each expected point. `limits` gives the age in s at which it is stale.

    `stuck` gives, for points whose value ought to move, how many s it may stay the same.
    """

    def __init__(
        self, limits: Mapping[str, float], now: Instant, stuck: Mapping[str, float] | None = None
    ) -> None:
        self._watches = {
            point: _Watch(stuck_s, limits[point], moved=now.monotonic)
            for point, stuck_s in (stuck or {}).items()
        }
        self._slots: dict[str, _Slot] = {}
        for point, limit_s in limits.items():
            known = quantity(point)
            low, high = (known.low, known.high) if known is not None else (float("-inf"), float("inf"))
            never = Reading.bad(Reason.NEVER_READ, _unit(point), now.wall)
            self._slots[point] = _Slot(never, now.monotonic, limit_s, low, high)

    def put(self, readings: Mapping[str, Reading], monotonic: float, wall: float = -inf) -> None:
        """Take readings received at `monotonic`; points nobody expects are refused with KeyError.

        `wall` is Unix s of the same moment: a reading ages from the time stamp of its source, and is compared
        here, once, so that a clock that is set later makes none older.
        """
        oldest = wall - RECENT_S
        for point, reading in readings.items():
            slot = self._slots[point]
            slot.reading = reading
            slot.since = monotonic if reading.timestamp >= oldest else monotonic - (wall - reading.timestamp)
        if self._watches:
            self._look(readings, monotonic)

    def _look(self, readings: Mapping[str, Reading], monotonic: float) -> None:
        """Apart from `put`, so that only points that are watched cost anything."""
        for point in self._watches.keys() & readings.keys():
            value = readings[point].value
            if value is not None:
                self._watches[point].look(value, monotonic)

    def freeze(self, now: Instant) -> ProcessImage:
        """The image of this moment: aged, range-checked, and without what is stuck."""
        readings = {point: _judge(slot, now) for point, slot in self._slots.items()}
        for point, watch in self._watches.items():
            reading = readings[point]
            if reading.value is not None and watch.stuck:
                readings[point] = Reading.bad(Reason.STUCK, reading.unit, reading.timestamp)
        return ProcessImage(now, readings)


def _judge(slot: _Slot, now: Instant) -> Reading:
    reading = slot.reading
    if reading.value is None:
        return reading
    if now.monotonic - slot.since > slot.limit_s:
        return Reading.bad(Reason.STALE, reading.unit, reading.timestamp)
    if not slot.low <= reading.value <= slot.high:
        return Reading.bad(Reason.OUT_OF_RANGE, reading.unit, reading.timestamp)
    return reading
