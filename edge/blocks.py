"""How a block of samples becomes a short blob of bytes and a block again. Pure.

zlib of msgpack, column by column, because a column repeats less than a row:

    [start, times, ids, lengths, ticks, scales, values, marks]
    start    Unix ms of the first look; times: ms from each look to the one before it (0 for the first)
    ids      numbers of the table of points; lengths: samples of each
    ticks    of all samples, point after point: number of the look, less that of the sample before
    scales   steps per unit of each point, 0 where its values are floats
    values   of all samples: whole steps, less those of the sample before; or floats as they are
    marks    nil when all are GOOD, else as in frames.py, of all samples

The steps are found from the values (the first of SCALES that gives every one of them back), so that coding
loses nothing whatever the values are. zlib's own check sum shows damage.
"""

import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from math import isfinite
from operator import sub
from typing import Any

import msgpack

from edge.deadband import SCALES, Block, Series
from edge.frames import GOOD, MARKS, Name

LEVEL = 6  # of zlib: see docs/decisions/0010-the-history.md for what the others cost
LARGEST = 1 << 26  # bytes a blob may unfold to
_EXACT = float(1 << 53)


def pack(columns: Sequence[Any]) -> bytes:
    """Columns of plain values as a blob."""
    packed: bytes = msgpack.packb(columns)
    return zlib.compress(packed, LEVEL)


def unpack(blob: bytes, size: int) -> list[Any]:
    """The `size` columns of a blob; ValueError when it is damaged or absurdly large."""
    unfold = zlib.decompressobj()
    try:
        columns = msgpack.unpackb(unfold.decompress(blob, LARGEST))
    except zlib.error as error:
        raise ValueError(f"a damaged block: {error}") from error
    if not unfold.eof or type(columns) is not list or len(columns) != size:
        raise ValueError("no block")
    return columns


def steps(values: Sequence[float]) -> tuple[int, list[int]]:
    """Steps per unit and the values in steps; 0 and nothing when no scale gives all of them back."""
    if max(map(abs, values), default=0.0) * SCALES[-1] < _EXACT:
        for scale in SCALES:
            whole = [round(value * scale) for value in values]
            if all(number / scale == value for number, value in zip(whole, values, strict=True)):
                return scale, whole
    return 0, []


def differences(numbers: Sequence[int]) -> Iterator[int]:
    """Each number less the one before it, the first as it is."""
    return map(sub, numbers, chain((0,), numbers))


def encode(block: Block, ids: Mapping[Name, int]) -> bytes:
    """The blob; KeyError when `ids` lacks a point with its unit."""
    start = block.times[0]
    numbers, lengths, scales = [], [], []
    ticks: list[int] = []
    values: list[float] = []
    marks = bytearray()
    for name, series in block.series.items():
        scale, whole = steps(series.values)
        numbers.append(ids[name])
        lengths.append(len(series.ticks))
        scales.append(scale)
        ticks += differences(series.ticks)
        values += differences(whole) if scale else series.values
        marks += series.marks
    good = marks.count(GOOD) == len(marks)
    times = [0, *map(sub, block.times[1:], block.times)]
    return pack([start, times, numbers, lengths, ticks, scales, values, None if good else bytes(marks)])


def decode(blob: bytes, names: Mapping[int, Name], only: str | None = None) -> Block:
    """The block, of all points or of the `only` one; ValueError, KeyError or TypeError when it is damaged."""
    start, times, numbers, lengths, ticks, scales, values, marks = unpack(blob, 8)
    size = sum(lengths)
    marks = bytes([GOOD]) * size if marks is None else marks
    if min(lengths, default=1) < 1 or not size == len(ticks) == len(values) == len(marks):
        raise ValueError("columns of different length")
    whole = array("q", accumulate(times, initial=start))[1:]
    found: dict[Name, Series] = {}
    ends = list(accumulate(lengths))
    for number, scale, length, end in zip(numbers, scales, lengths, ends, strict=True):
        if only is None or names[number][0] == only:
            part = slice(end - length, end)
            found[names[number]] = _series(ticks[part], values[part], marks[part], scale)
            if found[names[number]].ticks[-1] >= len(whole):
                raise ValueError("a sample of a look that never was")
    return Block(whole, found)


def _series(ticks: Iterable[int], values: Sequence[float], marks: bytes, scale: int) -> Series:
    if scale:
        values = [number / scale for number in accumulate(values)]
    if not set(marks) <= MARKS or not all(map(isfinite, values)):
        raise ValueError("a mark that says nothing, or a value that is not finite")
    return Series(array("H", accumulate(ticks)), array("d", values), bytearray(marks))
