"""A journal as text: JSON Lines for programs, CSV for a spreadsheet. Row by row, read-only, each checked.

JSON Lines keep all that the hash was made from, so that the chain can be checked from them alone. CSV is for
people: UTF-8 with a mark so that spreadsheets read Chinese, times in Beijing civil time (Asia/Shanghai).
Beside the time that was recorded stands the one it is dated to (`times.py`): the same shift holds for the
times inside a body. Inside the details, too, times are civil times, names of the catalogue are its words, and
numbers are as short as they are read.
A row that does not verify is not shown as if it did: in its place stands what is wrong with it.
"""

import contextlib
import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal
from zoneinfo import ZoneInfo

import apsw

from edge.chain import Fault, Row, check_body
from edge.steps import ANCHOR
from edge.texts import LANGUAGES, Texts
from edge.times import Anchors, Dated, anchors, date
from edge.verification import DAMAGE, Found, Scan, fetch, opened

BEIJING = ZoneInfo("Asia/Shanghai")
COLUMNS = (
    "seq",
    "time",
    "clock",
    "dated_at",
    "dating",
    "kind",
    "what",
    "subject",
    "occurred",
    "detected",
    "details",
    "hash",
    "fault",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is run, not shown, by spreadsheets
_ANCHORS = "select seq from rows where kind = ? order by seq"
_TIMES = ("occurred", "detected")  # of the event itself; columns of their own
# Names of times within a body, besides all that end in _at.
_MOMENTS = frozenset(("since", "until", "due", "at", "from", "to", "counted_to", "expected_recovery"))
_OLDEST = 1e9  # Unix s, 2001: below it no clock was set


@dataclass(frozen=True, slots=True)
class Exported:
    """How many rows were written whole, and how many faults in the place of rows."""

    rows: int
    faults: int


def local(wall: object) -> str:
    """Unix seconds as Beijing civil time, ISO 8601 to the millisecond; empty when it is no time."""
    if isinstance(wall, bool) or not isinstance(wall, int | float):
        return ""
    try:
        return datetime.fromtimestamp(wall, BEIJING).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return ""


def _content(row: Row) -> dict[str, Any]:
    """The body; a body that verifies but is no map came from another hand and is shown whole."""
    content: object = row.content
    return content if isinstance(content, dict) else {"body": content}


def _dated_at(dated: Dated) -> str:
    return "" if dated.wall_ns is None else local(dated.wall_ns / 1e9)


def _json_row(row: Row, dated: Dated) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "time": local(row.wall_ns / 1e9),
        "dated_at": _dated_at(dated) or None,
        "dating": dated.dating.value,
        "boot_id": row.boot_id,
        "boottime_ns": row.boottime_ns,
        "wall_ns": row.wall_ns,
        "clock_state": row.clock_state,
        "kind": row.kind,
        "subject": row.subject,
        "body": _content(row),
        "body_hash": row.body_hash.hex(),
        "hash": row.hash.hex(),
    }


def _json_fault(fault: Fault) -> dict[str, Any]:
    return {"seq": fault.seq, "fault": fault.what, "detail": fault.detail}


def _json_lines(found: Iterator[Found], known: Anchors) -> Iterator[tuple[Found, str]]:
    for one in found:
        plain = _json_fault(one) if isinstance(one, Fault) else _json_row(one, date(one, known))
        yield one, json.dumps(plain, ensure_ascii=False) + "\n"


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict) and value.keys() != set(LANGUAGES):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _is_time(name: str, value: float) -> bool:
    """Unix seconds, by the name; a clock that was never set shows its seconds."""
    last = name.rpartition(".")[2]
    return (last in _MOMENTS or last.endswith("_at")) and value >= _OLDEST


def _number(value: float) -> str:
    """As many places as somebody reads; JSON Lines have them all."""
    short = round(value, 3) if abs(value) >= 1.0 else float(f"{value:.3g}")
    return json.dumps(short)


def _text(value: str, texts: Texts) -> str:
    """A key of the catalogue in words, unless they have gaps to fill in."""
    spoken = texts(value) if "." in value else value
    return value if "{" in spoken else spoken


def _word(name: str, value: object, texts: Texts) -> str:
    match value:
        case str():
            return _text(value, texts)
        case float() if _is_time(name, value):
            return local(value)
        case float() if math.isfinite(value):
            return _number(value)
        case dict() if value.keys() == set(LANGUAGES):
            return str(value[texts.language])
        case dict():
            return (
                "{" + ", ".join(f"{key}: {_word(str(key), one, texts)}" for key, one in value.items()) + "}"
            )
        case list():
            return "[" + ", ".join(_word(name, one, texts) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _details(content: Mapping[str, Any], texts: Texts) -> str:
    rest = {key: value for key, value in content.items() if key not in _TIMES}
    return "; ".join(f"{key}: {_word(key, value, texts)}" for key, value in _flat(rest))


def _cell(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA) else text


def _csv_row(row: Row, dated: Dated, texts: Texts) -> list[str]:
    content = _content(row)
    cells = [
        str(row.seq),
        local(row.wall_ns / 1e9),
        texts(f"clock.{row.clock_state}"),
        _dated_at(dated),
        texts(f"dating.{dated.dating.value}"),
        row.kind,
        texts(f"kind.{row.kind}"),
        row.subject,
        *(local(content.get(time)) for time in _TIMES),
        _details(content, texts),
        row.hash.hex(),
        "",
    ]
    return [_cell(cell) for cell in cells]


def _csv_fault(fault: Fault, texts: Texts) -> list[str]:
    return [str(fault.seq), *[""] * (len(COLUMNS) - 2), texts(fault.what)]


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _csv_lines(found: Iterator[Found], known: Anchors, texts: Texts) -> Iterator[tuple[Found, str]]:
    for one in found:
        cells = _csv_fault(one, texts) if isinstance(one, Fault) else _csv_row(one, date(one, known), texts)
        yield one, _line(cells)


def _write(lines: Iterator[tuple[Found, str]], out: BinaryIO) -> Exported:
    rows = faults = 0
    for found, line in lines:
        out.write(line.encode())
        rows, faults = (rows, faults + 1) if isinstance(found, Fault) else (rows + 1, faults)
    return Exported(rows, faults)


def _to_jsonl(found: Iterator[Found], known: Anchors, out: BinaryIO, texts: Texts) -> Exported:
    return _write(_json_lines(found, known), out)


def _to_csv(found: Iterator[Found], known: Anchors, out: BinaryIO, texts: Texts) -> Exported:
    headers = [texts(f"export.{column}") for column in COLUMNS]
    out.write(("\ufeff" + _line(headers)).encode())
    return _write(_csv_lines(found, known, texts), out)


_FORMATS: Mapping[str, Callable[[Iterator[Found], Anchors, BinaryIO, Texts], Exported]] = {
    "jsonl": _to_jsonl,
    "csv": _to_csv,
}


def known_anchors(connection: apsw.Connection) -> Anchors:
    """The anchors of a journal whose body is the recorded one, as far as a torn file can be read.

    They stand after the rows that they date, so they are read first; what is wrong with them the walk tells.
    """
    whole: list[Row] = []
    with contextlib.suppress(*DAMAGE):
        numbers: list[tuple[Any, ...]] = connection.execute(_ANCHORS, (ANCHOR,)).fetchall()
        for (seq,) in numbers:
            whole += [row for row in fetch(connection, seq - 1, 1) if isinstance(row, Row)]
    return anchors(row for row in whole if check_body(row) is None)


def export(journal: Path, out: BinaryIO, form: Literal["jsonl", "csv"], texts: Texts) -> Exported:
    """Write the journal at `journal`, in use or closed, to `out` (bytes, UTF-8).

    FileNotFoundError when there is no such file; apsw.Error when it is no journal at all.
    """
    with opened(journal) as connection:
        return _FORMATS[form](iter(Scan(connection)), known_anchors(connection), out, texts)
