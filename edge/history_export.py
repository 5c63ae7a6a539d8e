"""The history as CSV for a spreadsheet: samples of points, or their minutes or hours. Read-only, offline.

UTF-8 with a mark so that spreadsheets read Chinese, times in Beijing civil time (Asia/Shanghai). A BAD sample
has an empty value; numbers are as they were kept, within the point's dead band.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import apsw

from drivers import Reason, Unit
from edge import ring
from edge.aggregates import HOUR_S, MINUTE_S, Aggregate
from edge.export import BEIJING, local
from edge.frames import Name
from edge.ring import Sample
from edge.texts import Texts
from edge.verification import opened

STEPS: Mapping[str, int] = {"raw": 0, "minute": MINUTE_S, "hour": HOUR_S}
RAW = ("point", "time", "value", "unit", "quality", "reason")
AGGREGATE = (
    "point",
    "time",
    "unit",
    "good",
    "uncertain",
    "bad",
    "low",
    "high",
    "mean",
    "first",
    "last",
    "partial",
)
_SLICE_S = 24 * HOUR_S


class NoPointError(Exception):
    """The history never saw the point that is its text."""


def moment(text: str) -> float:
    """A date or a date with a time (ISO 8601) as Unix s; Beijing civil time unless it says otherwise."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=BEIJING)).timestamp()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"


def _raw(point: str, one: Sample, texts: Texts) -> list[str]:
    quality = texts(f"history.quality.{one.quality.name.lower()}")
    why = texts(f"bad.{one.reason.value}") if one.reason is not Reason.NONE else ""
    return [point, local(one.wall_ms / 1000), _number(one.value), one.unit.value, quality, why]


def _aggregate(point: str, one: Aggregate) -> list[str]:
    counts = [str(one.good), str(one.uncertain), str(one.bad)]
    values = [_number(value) for value in (one.low, one.high, one.mean, one.first, one.last)]
    return [point, local(one.start), one.unit.value, *counts, *values, "1" if one.partial else ""]


def _names(connection: apsw.Connection) -> dict[int, Name]:
    found: list[Any] = connection.execute("select id, name, unit from points").fetchall()
    return {int(number): (str(name), Unit(unit)) for number, name, unit in found}


def _span(connection: apsw.Connection, step: int, begin: float | None, end: float | None) -> tuple[int, int]:
    """From when to when (Unix s) there is something to look for."""
    table, column, width = (ring.TABLES[step], "start_s", 1) if step else ("samples", "start_ms", 1000)
    found: list[Any] = connection.execute(f"select min({column}), max({column}) from {table}").fetchall()  # noqa: S608 - names of ours
    first, last = found[0]
    if first is None:
        return 0, 0
    first, last = int(first) // width, int(last) // width + HOUR_S
    return max(first, int(begin or first)), min(last, last if end is None else int(end))


def _rows(
    connection: apsw.Connection,
    names: Mapping[int, Name],
    point: str,
    step: int,
    span: tuple[int, int],
    texts: Texts,
) -> Iterator[list[str]]:
    for begin in range(*span, _SLICE_S):
        end = min(begin + _SLICE_S, span[1])
        if step:
            for one in ring.aggregated(connection, names, point, begin, end, step):
                yield _aggregate(point, one)
        else:
            for sample in ring.samples(connection, names, point, begin * 1000, end * 1000):
                yield _raw(point, sample, texts)


def export(
    history: Path,
    out: BinaryIO,
    points: Sequence[str],
    step: str,
    begin: float | None,
    end: float | None,
    texts: Texts,
) -> int:
    """Write `points` (none: all) of the history at `history`, in use or closed, to `out`; how many rows.

    `step` is one of STEPS; from `begin` to before `end`, Unix s, None: as far as there is anything.
    NoPointError; FileNotFoundError when there is no such file; apsw.Error when it is no history.
    """
    with opened(history) as connection:
        names = _names(connection)
        known = sorted({name for name, _ in names.values()})
        for point in points:
            if point not in known:
                raise NoPointError(point)
        span = _span(connection, STEPS[step], begin, end)
        write = _writer(out)
        write([texts(f"history.{column}") for column in (AGGREGATE if STEPS[step] else RAW)])
        rows = 0
        for point in points or known:
            for cells in _rows(connection, names, point, STEPS[step], span, texts):
                write(cells)
                rows += 1
        return rows


def _writer(out: BinaryIO) -> Callable[[Sequence[str]], None]:
    out.write(b"\xef\xbb\xbf")

    def write(cells: Sequence[str]) -> None:
        with closing(io.StringIO()) as line:
            csv.writer(line).writerow(cells)
            out.write(line.getvalue().encode())

    return write
