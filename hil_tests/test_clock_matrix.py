"""The clock of a real process is set, and the process is killed: what does its record say?"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from edge.chain import Row
from edge.resources import config_dir
from edge.tests.field import START
from edge.verification import COLUMNS, opened, verify

STEPS = (3600.0, 3599.0, -315_576_000.0, 0.0)  # offsets in turn: +1 h, -1 s, ten years back, right again


def rows(journal: Path) -> list[Row]:
    """All rows; none while there is no journal."""
    try:
        with opened(journal) as connection:
            return [Row(*found) for found in connection.execute(f"select {COLUMNS} from rows order by seq")]  # noqa: S608
    except (FileNotFoundError, apsw.Error):
        return []


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


@pytest.mark.timeout(120)
def test_is_each_setting_of_the_clock_one_row_and_a_kill_an_interval_with_bounds(tmp_path: Path) -> None:
    text = (config_dir() / "sites" / "demo.toml").read_text(encoding="utf-8")
    (tmp_path / "site.toml").write_text(text[: text.index("[upstream]")], encoding="utf-8")
    journal, offset = tmp_path / "data" / "journal.sqlite", tmp_path / "offset"
    origin = START - time.monotonic() * 20.0
    offset.write_text("0", encoding="ascii")

    def set_clock(seconds: float) -> None:
        new = offset.with_suffix(".new")
        new.write_text(str(seconds), encoding="ascii")
        new.replace(offset)

    def count(kind: str) -> int:
        return len([row for row in rows(journal) if row.kind == kind])

    def life() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "hil_tests.clock_process", str(tmp_path), str(origin)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    service = life()
    try:
        until(lambda: count("clock.anchor") == 1, "the first anchor")
        for number, seconds in enumerate(STEPS, 1):
            set_clock(seconds)
            until(lambda wanted=number: count("clock.step") == wanted, "the step is told")  # type: ignore[misc]
        service.kill()
        service.wait(10)
        set_clock(7200.0)  # while nobody looks
        service = life()
        until(lambda: count("clock.step") == len(STEPS) + 1, "a step while it was dead is told")
        service.send_signal(signal.SIGTERM)
        assert service.wait(20) == 0
    finally:
        service.kill()
        service.wait(10)
    found = rows(journal)
    assert verify(journal).ok
    assert [row.seq for row in found] == list(range(1, len(found) + 1))
    blind = [row.content for row in found if row.kind == "service.blind"]
    assert [(one["why"], one["boot_changed"]) for one in blind] == [("killed", False)]
    assert 0.0 <= blind[0]["at_least_s"] <= blind[0]["at_most_s"] < 1200.0
