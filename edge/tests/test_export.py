"""An exported record can be read by a person, by a spreadsheet, and checked by a stranger."""

import csv
import hashlib
import io
import json
from pathlib import Path

import apsw
import msgpack
import pytest

from edge.clock import ClockState, Instant
from edge.export import COLUMNS, Exported, export, local
from edge.journal import Entry, Journal, verify
from edge.records import Plain
from edge.steps import anchor
from edge.tests.journals import NOW, StandingClock, entry
from edge.texts import LANGUAGES, Texts

OUTAGE = Entry(
    "outage.started",
    "high",
    {
        "occurred": 1_795_000_000.0,
        "detected": 1_795_000_600.5,
        "cause": "source",
        "evidence": {"flow": 0.4, "n": None},
    },
)
FORMULA = Entry("device.lost", "=cmd|' /C calc'!A0", {"text": '第一行\n第二行; 逗号,引号"'})


async def _journal(folder: Path) -> Path:
    path = folder / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        await journal.append([OUTAGE, FORMULA, entry(3)], NOW)
    return path


def _csv(path: Path, language: str) -> list[list[str]]:
    out = io.BytesIO()
    export(path, out, "csv", Texts.load(language))
    assert out.getvalue().startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(out.getvalue().decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_spreadsheet_shows_headers_local_times_and_key_fields(tmp_path: Path, language: str) -> None:
    headers, outage, formula, last = _csv(await _journal(tmp_path), language)
    row = dict(zip(COLUMNS, outage, strict=True))
    assert not [header for header in headers if header.startswith("export.")]
    assert (row["seq"], row["kind"], row["subject"]) == ("1", "outage.started", "high")
    assert row["time"] == "2026-11-18T19:06:40.250+08:00"
    assert row["occurred"] == "2026-11-18T19:06:40.000+08:00"
    assert row["detected"] == "2026-11-18T19:16:40.500+08:00"
    assert row["details"] == "cause: source; evidence.flow: 0.4; evidence.n: null"
    assert row["what"] == Texts.load(language)("kind.outage.started") != "kind.outage.started"
    assert row["clock"] != "clock.synced"
    cells = dict(zip(COLUMNS, formula, strict=True))
    assert cells["subject"].startswith("'=")  # shown, not run
    assert cells["details"] == 'text: 第一行\n第二行; 逗号,引号"'
    assert last[0] == "3"


async def test_the_chain_can_be_checked_from_the_json_lines_alone(tmp_path: Path) -> None:
    path = await _journal(tmp_path)
    out = io.BytesIO()
    assert export(path, out, "jsonl", Texts.load("zh")) == Exported(3, 0)
    prev = bytes(32)
    for line in out.getvalue().decode().splitlines():
        row = json.loads(line)
        body_hash = hashlib.sha256(msgpack.packb(row["body"])).digest()
        names = ("seq", "boot_id", "boottime_ns", "wall_ns", "clock_state", "kind", "subject")
        prev = hashlib.sha256(prev + msgpack.packb([1, *(row[name] for name in names), body_hash])).digest()
        assert row["hash"] == prev.hex()
    assert prev == verify(path).head.hash


async def test_a_row_that_does_not_verify_is_shown_as_a_fault(tmp_path: Path) -> None:
    path = await _journal(tmp_path)
    with apsw.Connection(str(path)) as database:
        database.execute("update rows set body = x'80' where seq = 2")
    out = io.BytesIO()
    assert export(path, out, "jsonl", Texts.load("en")) == Exported(2, 1)
    assert json.loads(out.getvalue().decode().splitlines()[1])["fault"] == "record.body"
    row = _csv(path, "zh")[2]
    assert (row[0], row[-1]) == ("2", Texts.load("zh")("record.body"))
    assert not any(row[1:-1])


async def test_a_long_journal_is_written_without_being_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        await journal.append([entry(number) for number in range(3000)], NOW)

        class Counting(io.RawIOBase):
            largest = 0

            def write(self, data: bytes) -> int:  # type: ignore[override]
                self.largest = max(self.largest, len(data))
                return len(data)

        out = Counting()
        found = export(path, out, "jsonl", Texts.load("en"))  # type: ignore[arg-type]
        assert found == Exported(3000, 0)
        assert out.largest < 1000


async def test_rows_from_before_the_clock_was_set_are_dated_by_an_anchor_and_still_show_what_was_recorded(
    tmp_path: Path,
) -> None:
    """Two hours after a boot in 1970 the clock is set; nobody set it in the boot before."""
    path = tmp_path / "journal.db"
    unset, hour = ClockState.UNSYNCED, 3600.0
    lost = Instant(hour, hour, hour, unset)
    set_at = Instant(NOW.wall, 2 * hour, 2 * hour, ClockState.SYNCED)
    for boot, moments in (("other", (lost,)), ("this", (lost, set_at))):
        clock = StandingClock()
        clock.boot_id = boot
        async with await Journal.open(path, clock) as journal:
            for now in moments:
                said = [anchor(now, boot)] if now is set_at else []
                await journal.append([OUTAGE, *map(Entry.of, said)], now)
    before = path.read_bytes()
    out = io.BytesIO()
    export(path, out, "jsonl", Texts.load("en"))
    rows = [json.loads(line) for line in out.getvalue().decode().splitlines()]
    found = [(row["time"], row["dated_at"], row["dating"]) for row in rows if row["kind"] == "outage.started"]
    assert found == [
        ("1970-01-01T09:00:00.000+08:00", None, "unknown"),
        ("1970-01-01T09:00:00.000+08:00", local(NOW.wall - hour), "anchored"),
        (local(NOW.wall), local(NOW.wall), "as_recorded"),
    ]
    cells = [dict(zip(COLUMNS, line, strict=True)) for line in _csv(path, "en")[1:]]
    assert [(row["dated_at"], row["dating"]) for row in cells if row["kind"] == "outage.started"] == [
        ("", "not known"),
        (local(NOW.wall - hour), "from an anchor of the same boot"),
        (local(NOW.wall), "as recorded"),
    ]
    assert verify(path).ok
    assert path.read_bytes() == before


@pytest.mark.parametrize(("language", "area"), [("zh", "高区"), ("en", "high")])
async def test_details_are_for_a_reader_and_json_lines_keep_every_digit(
    tmp_path: Path, language: str, area: str
) -> None:
    wall = 1_795_000_000.0
    body: dict[str, Plain] = {
        "area": {"zh": "高区", "en": "high"},
        "due": wall,
        "kwh": 12.545555555555557,
        "list": [{"since": wall, "value": 0.001234567}],
    }
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        await journal.append([Entry("outage.changed", "high", body)], NOW)
    row = dict(zip(COLUMNS, _csv(path, language)[1], strict=True))
    moment = "2026-11-18T19:06:40.000+08:00"
    told = f"area: {area}; due: {moment}; kwh: 12.546; list: [{{since: {moment}, value: 0.00123}}]"
    assert row["details"] == told
    out = io.BytesIO()
    export(path, out, "jsonl", Texts.load(language))
    assert json.loads(out.getvalue())["body"] == body


async def test_an_anchor_whose_body_was_changed_dates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        await journal.append([entry(1)], Instant(50.0, 50.0, 50.0, ClockState.UNSYNCED))
        await journal.append([Entry.of(anchor(NOW, StandingClock.boot_id))], NOW)
    body = {**anchor(NOW, StandingClock.boot_id).body, "wall_ns": 1}
    with apsw.Connection(str(path)) as database:
        database.execute("update rows set body = ? where kind = 'clock.anchor'", (msgpack.packb(body),))
    out = io.BytesIO()
    export(path, out, "jsonl", Texts.load("en"))
    assert json.loads(out.getvalue().decode().splitlines()[0])["dating"] == "unknown"


@pytest.mark.parametrize("wall", [None, "x", True, 1e30, float("inf"), float("nan")])
def test_what_is_no_time_is_shown_as_none(wall: object) -> None:
    assert local(wall) == ""


def test_every_fault_has_words_in_both_languages() -> None:
    kinds = ("missing", "body", "body_missing", "link", "unreadable", "structure", "truncated", "receipt")
    texts = Texts.load("zh")
    assert [kind for kind in kinds if f"record.{kind}" not in texts] == []
