"""Minutes and hours of a point: what remains of it when its samples are gone. Pure.

Everything is counted in looks, one a cycle: a value counts for every look at which it was held, so that the
mean is weighted by time. Only GOOD looks make low, high, mean, first and last; the others are counted by
quality. Hours are made of minutes: counts add, means are weighted by their good looks.

Layout of a blob (see blocks.py for its coding), a place for each point:

    [ids, good, uncertain, bad, scales, lows, highs, firsts, lasts, means]
    scales   steps per unit, 0 where the five are floats; None in the five where no look was GOOD
    lows     in steps; highs, firsts, lasts in steps above the low
    means    above the low, in the finer steps of `_finer`
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from operator import mul, sub
from typing import Any

from drivers import Unit
from edge.blocks import pack, steps, unpack
from edge.deadband import MINUTE_MS, Block, Series
from edge.frames import GOOD, UNCERTAIN, Name

MINUTE_S, HOUR_S = 60, 3600
UNSEEN_MS = 30_000  # a minute of which so much was not looked at is partial
# What counts up: its difference says something, its mean nothing.
TOTALS = frozenset(
    {
        Unit.KILOWATT_HOUR,
        Unit.MEGAWATT_HOUR,
        Unit.MEGAJOULE,
        Unit.GIGAJOULE,
        Unit.GIGACALORIE,
        Unit.CUBIC_METRE,
        Unit.LITRE,
    }
)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One point over one minute or hour.

    `start` Unix s, `step` s. `good`, `uncertain`, `bad`: looks of that quality. The values are those of GOOD
    looks, in `unit`, None when there was none; `mean` is None for totals, whose `first` and `last` tell.
    `partial`: the service did not look all the time (started, stopped, killed, machine asleep).
    """

    start: int
    step: int
    unit: Unit
    good: int
    uncertain: int
    bad: int
    low: float | None
    high: float | None
    mean: float | None
    first: float | None
    last: float | None
    partial: bool


@dataclass(slots=True)
class Sums:
    """What an aggregate is made of; `total` is the sum over the good looks. No values while `good` is 0."""

    good: int = 0
    uncertain: int = 0
    bad: int = 0
    low: float = 0.0
    high: float = 0.0
    total: float = 0.0
    first: float = 0.0
    last: float = 0.0

    def add(self, later: "Sums") -> None:
        """Take in what came after."""
        self.uncertain += later.uncertain
        self.bad += later.bad
        if not later.good:
            return
        if self.good:
            self.low, self.high = min(self.low, later.low), max(self.high, later.high)
        else:
            self.low, self.high, self.first = later.low, later.high, later.first
        self.good += later.good
        self.total += later.total
        self.last = later.last

    def aggregate(self, start: int, step: int, unit: Unit, *, partial: bool) -> Aggregate:
        """As it is read."""
        counts = (self.good, self.uncertain, self.bad)
        if not self.good:
            return Aggregate(start, step, unit, *counts, None, None, None, None, None, partial)
        mean = None if unit in TOTALS else self.total / self.good
        return Aggregate(
            start, step, unit, *counts, self.low, self.high, mean, self.first, self.last, partial
        )


Points = MutableMapping[Name, Sums]


def merge(points: Points, later: Mapping[Name, Sums]) -> None:
    """Take what came later into `points`."""
    for name, sums in later.items():
        points.setdefault(name, Sums()).add(sums)


def sums(series: Series, looks: int) -> Sums:
    """The sums of one point over a block of so many looks."""
    held = list(map(sub, chain(series.ticks[1:], (looks,)), series.ticks))
    values: Sequence[float] = series.values
    found = Sums()
    if series.marks.count(GOOD) != len(held):
        for mark, looked in zip(series.marks, held, strict=True):
            if mark < UNCERTAIN:
                found.bad += looked
            elif mark != GOOD:
                found.uncertain += looked
        good = [place for place, mark in enumerate(series.marks) if mark == GOOD]
        values, held = [values[place] for place in good], [held[place] for place in good]
    if held:
        found.good, found.total = sum(held), sum(map(mul, values, held))
        found.low, found.high, found.first, found.last = min(values), max(values), values[0], values[-1]
    return found


class Minute:
    """The minute in hand: the blocks of it, and how long nobody looked."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.points: dict[Name, Sums] = {}
        self._seen = start * 1000
        self._unseen = 0  # ms, the longest

    def add(self, block: Block) -> None:
        """Take in a block of this minute."""
        looks = len(block.times)
        merge(self.points, {name: sums(series, looks) for name, series in block.series.items()})
        gaps = map(sub, block.times, chain((self._seen,), block.times))
        self._unseen = max(self._unseen, *gaps)
        self._seen = block.times[-1]

    @property
    def partial(self) -> bool:
        """Whether a good part of it was not looked at."""
        return max(self._unseen, self.start * 1000 + MINUTE_MS - self._seen) > UNSEEN_MS


class Hour:
    """The hour in hand: of how many minutes it is, and up to which row of them."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.upto = 0
        self.points: dict[Name, Sums] = {}
        self._minutes = 0

    def add(self, seq: int, points: Mapping[Name, Sums], *, partial: bool) -> None:
        """Take in a minute, the row `seq` of its table."""
        merge(self.points, points)
        self.upto = seq
        self._minutes += not partial

    @property
    def partial(self) -> bool:
        """Whether a minute is missing or was partial."""
        return self._minutes < HOUR_S // MINUTE_S


def encode(points: Mapping[Name, Sums], ids: Mapping[Name, int]) -> bytes:
    """The blob; KeyError when `ids` lacks a point with its unit."""
    rows = [(ids[name], each.good, each.uncertain, each.bad, *_coded(each)) for name, each in points.items()]
    return pack(list(zip(*rows, strict=True)) if rows else [[]] * 10)


def _coded(each: Sums) -> tuple[float | None, ...]:
    if not each.good:
        return (0, None, None, None, None, None)
    mean = each.total / each.good
    scale, whole = steps((each.low, each.high, each.first, each.last))
    if not scale:
        return (0, each.low, each.high, each.first, each.last, mean)
    low, high, first, last = whole
    return (scale, low, high - low, first - low, last - low, round((mean - each.low) * _finer(scale)))


def _finer(scale: int) -> int:
    """Steps per unit of a mean, which lies between those of its values; a state's is a share of time."""
    return max(10 * scale, 200)


def decode(blob: bytes, names: Mapping[int, Name], only: str | None = None) -> dict[Name, Sums]:
    """The sums, of all points or of the `only` one; ValueError, KeyError or TypeError when it is damaged."""
    found: dict[Name, Sums] = {}
    for number, good, uncertain, bad, *coded in zip(*unpack(blob, 10), strict=True):
        name = names[number]
        if only is None or name[0] == only:
            found[name] = _decoded(good, coded)
            found[name].uncertain, found[name].bad = int(uncertain), int(bad)
    return found


def _decoded(good: int, coded: Sequence[Any]) -> Sums:
    if not good:
        return Sums()
    scale, low, high, first, last, mean = coded
    if scale:
        high, first, last = (low + high) / scale, (low + first) / scale, (low + last) / scale
        low = low / scale
        mean = low + mean / _finer(scale)
    if not all(map(isfinite, (low, high, first, last, mean))):
        raise ValueError("a value that is not finite")
    return Sums(int(good), 0, 0, low, high, mean * good, first, last)


def joined(found: Iterable[Aggregate]) -> Iterator[Aggregate]:
    """Those of one start and unit as one: a restart or a clock set back leaves two.

    `found` in order of their start, those of one start in the order they were made.
    """
    waiting: dict[Unit, Aggregate] = {}
    for each in found:
        if waiting and next(iter(waiting.values())).start != each.start:
            yield from waiting.values()
            waiting = {}
        before = waiting.get(each.unit)
        waiting[each.unit] = each if before is None else _two(before, each)
    yield from waiting.values()


def _two(one: Aggregate, other: Aggregate) -> Aggregate:
    both = _sums_of(one)
    both.add(_sums_of(other))
    return both.aggregate(one.start, one.step, one.unit, partial=one.partial or other.partial)


def _sums_of(each: Aggregate) -> Sums:
    if each.low is None or each.high is None or each.first is None or each.last is None:
        return Sums(0, each.uncertain, each.bad)
    total = (each.mean or 0.0) * each.good
    return Sums(each.good, each.uncertain, each.bad, each.low, each.high, total, each.first, each.last)
