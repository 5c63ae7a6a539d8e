"""Which readings are worth keeping: those that leave the dead band or change their quality. Pure.

A dead band is the largest difference, in the point's unit, between what is kept and what was read: at every
look of the cycle the last value kept is within the band of the reading. Values with a band are kept as whole
numbers of a step that is no larger than the band; a band of 0 keeps every change, exactly.

A sample carries the moment of the look, not the time stamp of its source: one look a cycle, one time for all.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from drivers import Quality, Reading, Reason, Unit
from edge.frames import GOOD, Name, mark_of

# Half of what the trade's sensors resolve or control cares for. Units that are not here: every change.
BY_UNIT: Mapping[Unit, float] = {
    Unit.CELSIUS: 0.05,
    Unit.BAR: 0.01,
    Unit.METRE: 0.01,
    Unit.CUBIC_METRE_PER_HOUR: 0.05,
    Unit.KILOWATT: 1.0,
    Unit.PERCENT: 0.2,
    Unit.HERTZ: 0.1,
}
# By the last word of the point's name, where its quantity differs from the others of its unit.
BY_QUANTITY: Mapping[str, float] = {
    "temperature": 0.1,  # of a room
    "outdoor_temperature": 0.1,
    "makeup_flow": 0.01,  # leaks are small
}

# Steps per unit: 1, 2, 5 and their decades, so that 41.3 with 20 steps per degree comes back as 41.3.
SCALES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
MINUTE_MS = 60_000
TICKS_LIMIT = 6000  # looks of a block
SAMPLES_LIMIT = 200_000  # of a block, all points: what the memory holds until it is written
_WHOLE = float(1 << 53)
_GOOD = Quality.GOOD  # an enumeration is slow to ask for its members
_GONE = mark_of(Quality.BAD, Reason.NEVER_READ)  # what the image says of a point it does not have


def band_of(point: str, unit: Unit, site: Mapping[str, float]) -> float:
    """The dead band of a point in its unit: the site's, its quantity's or its unit's."""
    own = site.get(point)
    if own is not None:
        return own
    return BY_QUANTITY.get(point.rpartition(".")[2], BY_UNIT.get(unit, 0.0))


def scale_of(band: float) -> int:
    """Steps per unit for values kept within `band`; 0: they are kept exactly."""
    return next((scale for scale in SCALES if 1 / scale <= band), 0)


@dataclass(slots=True)
class Series:
    """The samples of one point in a block: number of the look, value, mark (as in frames.py), side by side.

    Where the mark is BAD the value says nothing. A sample holds until the next one of its series.
    """

    ticks: "array[int]" = field(default_factory=lambda: array("H"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    marks: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class Block:
    """What was kept over the looks of one minute, or a part of it. `times`: of each look, Unix ms, rising.

    It is complete in itself: every point begins with what it was at its first look in the block.
    """

    times: "array[int]"
    series: Mapping[Name, Series]

    @property
    def minute(self) -> int:
        """The minute it belongs to: Unix s of its start."""
        return self.times[0] // MINUTE_MS * 60


class _Held:
    """What is held of one point: the limits within which nothing new is kept."""

    __slots__ = ("band", "high", "low", "mark", "scale", "seen", "series", "unit")

    def __init__(self, unit: Unit, band: float) -> None:
        self.unit = unit
        self.band = band
        self.scale = scale_of(band)
        self.series = Series()
        self.seen: Reading | None = None
        self.mark = -1
        self.low, self.high = inf, -inf  # nothing is within: the first reading is kept

    def keep(self, tick: int, value: float | None, mark: int) -> None:
        kept = 0.0 if value is None else _stepped(value, self.scale)
        self.series.ticks.append(tick)
        self.series.values.append(kept)
        self.series.marks.append(mark)
        self.mark = mark
        self.low, self.high = kept - self.band, kept + self.band


def _stepped(value: float, scale: int) -> float:
    """The value as a whole number of steps, where that is nearer than a float's own resolution."""
    if not scale or abs(value) * scale >= _WHOLE:
        return value
    return round(value * scale) / scale


class Gatherer:
    """Collects the changes of a minute. `bands` are the site's own, by point, in the point's unit."""

    def __init__(self, bands: Mapping[str, float]) -> None:
        self._bands = bands
        self._held: dict[str, _Held] = {}
        self._over: dict[Name, Series] = {}  # of points whose unit changed within the block
        self._times = array("q")
        self._samples = 0

    def due(self, now_ms: int) -> bool:
        """True when what was gathered must be taken before a look at `now_ms`.

        The minute is over, the clock was set back, or the block is as large as it may be.
        """
        if not self._times:
            return False
        other = now_ms // MINUTE_MS != self._times[0] // MINUTE_MS
        full = len(self._times) >= TICKS_LIMIT or self._samples >= SAMPLES_LIMIT
        return other or full or now_ms <= self._times[-1]

    def look(self, now_ms: int, readings: Mapping[str, Reading]) -> None:
        """Keep of `readings`, those of one moment, what changed."""
        tick = len(self._times)
        self._times.append(now_ms)
        held_of = self._held
        for name, reading in readings.items():
            held = held_of.get(name)
            if held is None or held.unit is not reading[1]:
                held = self._begin(tick, name, reading[1])
            elif reading is held.seen:
                continue
            held.seen = reading
            value = reading[0]
            mark = GOOD if reading[2] is _GOOD else mark_of(reading.quality, reading.reason)
            if mark == held.mark and (value is None or held.low <= value <= held.high):
                continue
            held.keep(tick, value, mark)
            self._samples += 1
        if len(held_of) != len(readings):
            self._miss(tick, readings)

    def _begin(self, tick: int, name: str, unit: Unit) -> _Held:
        before = self._held.get(name)
        if before is not None:
            before.keep(tick, None, _GONE)
            series = self._over.setdefault((name, before.unit), before.series)
            if series is not before.series:  # the unit changed and changed back: one series again
                _extend(series, before.series)
        held = self._held[name] = _Held(unit, band_of(name, unit, self._bands))
        return held

    def _miss(self, tick: int, readings: Mapping[str, Reading]) -> None:
        """A point that the image no longer has is BAD from here on."""
        for name in self._held.keys() - readings.keys():
            held = self._held[name]
            if held.mark != _GONE:
                held.seen = None
                held.keep(tick, None, _GONE)

    def take(self) -> Block | None:
        """What was gathered, None when there was no look; begins anew."""
        if not self._times:
            return None
        series = self._over
        for name, held in self._held.items():
            key = (name, held.unit)
            if key in series:
                _extend(series[key], held.series)
            else:
                series[key] = held.series
        block = Block(self._times, series)
        self._held, self._over, self._times, self._samples = {}, {}, array("q"), 0
        return block


def _extend(series: Series, more: Series) -> None:
    series.ticks.extend(more.ticks)
    series.values.extend(more.values)
    series.marks.extend(more.marks)
