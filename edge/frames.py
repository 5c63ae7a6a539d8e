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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
)
_PLACE = {reason: place for place, reason in enumerate(REASONS)}
_GOOD = int(Quality.GOOD) << 4
_WHOLE = 1 << 53  # above it a float is not every integer

Name = tuple[str, Unit]  # a point and the unit it reads in


@dataclass(frozen=True, slots=True)
class Frame:
    """The readings of one moment; `wall_ns` is Unix time of the moment in nanoseconds."""

    seq: int
    wall_ns: int
    readings: Mapping[str, Reading]


def _number(value: float | None) -> float | int | None:
    if value is not None and abs(value) < _WHOLE and value == int(value):
        return int(value)
    return value


def _mark(reading: Reading) -> int:
    return int(reading.quality) << 4 | _PLACE[reading.reason]


def _micros(timestamp: float, wall_ns: int) -> int:
    return round(timestamp * 1_000_000) - wall_ns // 1000


def encode(wall_ns: int, readings: Mapping[str, Reading], ids: Mapping[Name, int]) -> bytes:
    """The blob of a frame; KeyError when `ids` lacks a point with its unit."""
    numbers = [ids[name, reading.unit] for name, reading in readings.items()]
    values = [_number(reading.value) for reading in readings.values()]
    marks = [_mark(reading) for reading in readings.values()]
    times = [_micros(reading.timestamp, wall_ns) for reading in readings.values()]
    shared = times[0] if len(set(times)) == 1 else times
    packed: bytes = msgpack.packb([numbers, values, None if set(marks) <= {_GOOD} else marks, shared])
    return packed


def _reading(value: float | None, unit: Unit, mark: int, timestamp: float) -> Reading:
    number = None if value is None else float(value)
    return Reading(number, unit, Quality(mark >> 4), REASONS[mark & 15], timestamp)


def decode(wall_ns: int, blob: bytes, names: Mapping[int, Name]) -> dict[str, Reading]:
    """The readings of a blob; ValueError, KeyError, IndexError or TypeError when it is damaged."""
    columns: list[Any] = msgpack.unpackb(blob)
    ids, values, marks, times = columns
    marks = [_GOOD] * len(ids) if marks is None else marks
    times = times if isinstance(times, list) else [times] * len(ids)
    base = wall_ns // 1000
    return {
        names[number][0]: _reading(value, names[number][1], mark, (base + micros) / 1_000_000)
        for number, value, mark, micros in zip(ids, values, marks, times, strict=True)
    }
