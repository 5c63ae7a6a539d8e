"""How a frame of readings becomes a short blob of bytes and a Reading again. Pure.

Layout of a frame, msgpack, column by column because columns repeat less:

    [ids, values, marks, times]
    ids     numbers of the table of points; one stands for a name together with its unit
    values  None where BAD; whole numbers as integers, others as 64 bit floats
    marks   nil when all are GOOD, else quality * 16 + place of the reason in REASONS, per reading
    times   one number when all are equal, else one per reading: source time stamp minus the time of the
            frame, in whole microseconds

Names and units stand once in the table of points of the file, not in every frame.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType

import msgpack

from drivers import Quality, Reading, Reason, Unit

# Order is part of the layout: append, never insert.
REASONS = (
    Reason.NONE,
    Reason.NEVER_READ,
    Reason.NO_ANSWER,
    Reason.PROTOCOL,
    Reason.DEVICE,
    Reason.NOT_A_NUMBER,
    Reason.SENTINEL,
    Reason.OUT_OF_RANGE,
    Reason.STALE,
    Reason.DOUBTFUL,
    Reason.SUBSTITUTE,
    Reason.STUCK,
)
_PLACE = {reason: place for place, reason in enumerate(REASONS)}
GOOD = int(Quality.GOOD) << 4  # the marks of quality and reason, as in the layout
UNCERTAIN = int(Quality.UNCERTAIN) << 4  # below it: BAD
MARKS = frozenset({GOOD}) | {
    int(quality) << 4 | place
    for quality in (Quality.BAD, Quality.UNCERTAIN)
    for reason, place in _PLACE.items()
    if reason is not Reason.NONE
}
_WHOLE = 1 << 53  # above it a float is not every integer

Name = tuple[str, Unit]  # a point and the unit it reads in


@dataclass(frozen=True, slots=True)
class Columns:
    """The readings of one moment: names and units beside the columns `values`, `marks`, `times` of above.

    What a frame is read back as. A head-end gets it without a Reading being made of every value.
    """

    names: Sequence[str]
    units: Sequence[Unit]
    values: Sequence[float | int | None]
    marks: Sequence[int] | None
    times: Sequence[int] | int

    def readings(self, wall_ns: int) -> dict[str, Reading]:
        """The readings by point name; ValueError, IndexError or TypeError when the columns contradict."""
        marks = [GOOD] * len(self.names) if self.marks is None else self.marks
        times = [self.times] * len(self.names) if isinstance(self.times, int) else self.times
        base = wall_ns // 1000
        rows = zip(self.names, self.units, self.values, marks, times, strict=True)
        return {
            name: _reading(value, unit, mark, (base + micros) / 1_000_000)
            for name, unit, value, mark, micros in rows
        }


@dataclass(frozen=True, slots=True)
class Frame:
    """The readings of one moment; `wall_ns` is Unix time of the moment in nanoseconds."""

    seq: int
    wall_ns: int
    columns: Columns

    @property
    def readings(self) -> dict[str, Reading]:
        """The readings by point name."""
        return self.columns.readings(self.wall_ns)


def _number(value: float | None) -> float | int | None:
    if value is not None and abs(value) < _WHOLE and value == int(value):
        return int(value)
    return value


def mark_of(quality: Quality, reason: Reason) -> int:
    """Quality and reason as one number."""
    return int(quality) << 4 | _PLACE[reason]


def judged(mark: int) -> tuple[Quality, Reason]:
    """What a mark says; ValueError or IndexError when it says nothing."""
    return Quality(mark >> 4), REASONS[mark & 15]


def columns(
    wall_ns: int, readings: Mapping[str, Reading]
) -> tuple[list[float | int | None], list[int] | None, list[int] | int]:
    """Values, marks and times of the readings, in their order."""
    values = [_number(reading.value) for reading in readings.values()]
    good = all(reading.quality is Quality.GOOD for reading in readings.values())
    marks = None if good else [mark_of(reading.quality, reading.reason) for reading in readings.values()]
    base = wall_ns // 1000
    times = [round(reading.timestamp * 1_000_000) - base for reading in readings.values()]
    return values, marks, times[0] if len(set(times)) == 1 else times


def encode(wall_ns: int, readings: Mapping[str, Reading], ids: Mapping[Name, int]) -> bytes:
    """The blob of a frame; KeyError when `ids` lacks a point with its unit."""
    numbers = [ids[name, reading.unit] for name, reading in readings.items()]
    packed: bytes = msgpack.packb([numbers, *columns(wall_ns, readings)])
    return packed


def _reading(value: float | None, unit: Unit, mark: int, timestamp: float) -> Reading:
    number = None if value is None else float(value)
    return Reading(number, unit, *judged(mark), timestamp)


def decode(blob: bytes, names: Mapping[int, Name]) -> Columns:
    """The columns of a blob; ValueError, KeyError or TypeError when it is damaged."""
    ids, values, marks, times = msgpack.unpackb(blob)
    points = [names[number] for number in ids]
    found = Columns([name for name, _ in points], [unit for _, unit in points], values, marks, times)
    check(found)
    return found


def check(columns: Columns) -> None:
    """ValueError or TypeError when the columns cannot be readings: lengths, types, marks that contradict."""
    size = len(columns.names)
    marks = [GOOD] * size if columns.marks is None else columns.marks
    times = [columns.times] * size if isinstance(columns.times, int) else columns.times
    for column in (columns.units, columns.values, marks, times):
        if type(column) is not list or len(column) != size:
            raise ValueError("columns of different length")
    if not set(map(type, columns.values)) <= {float, int, NoneType} or not set(map(type, times)) <= {int}:
        raise TypeError("a value or a time that is no number")
    if not set(marks) <= MARKS:
        raise ValueError("a mark that says nothing")
    if [value is None for value in columns.values] != [mark < UNCERTAIN for mark in marks]:
        raise ValueError("a value without quality, or the other way round")
    if not all(map(math.isfinite, [value for value in columns.values if value is not None])):
        raise ValueError("a value that is not finite")
