"""Log lines: one record, one line, whatever is in it."""

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge import logs
from edge.logs import LineFormatter

NASTY = "one\ntwo\rthree\u2028four\x85five\x0bsix\x00seven\x1b[2J"


def line(
    journald: bool = False, message: str = "device lost", level: int = logging.WARNING, **extra: object
) -> str:
    record = logging.makeLogRecord(
        {"name": "edge.x", "levelno": level, "levelname": logging.getLevelName(level)}
    )
    record.msg = message
    vars(record).update(extra)
    return LineFormatter(journald).format(record)


@pytest.mark.parametrize("journald", [True, False])
def test_is_a_record_one_line_whatever_it_holds(journald: bool) -> None:
    found = line(journald, NASTY, error=NASTY)
    assert found.splitlines() == [found]
    assert found.isprintable()


def test_is_an_exception_one_line_too() -> None:
    record = logging.makeLogRecord(
        {"name": "edge.x", "levelno": logging.ERROR, "levelname": "ERROR", "msg": "no"}
    )
    try:
        raise RuntimeError("it is\ngone")
    except RuntimeError:
        record.exc_info = sys.exc_info()
    found = LineFormatter(journald=True).format(record)
    assert found.splitlines() == [found]
    assert "RuntimeError: it is" in found


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("meter_high", "x=meter_high"),
        ("no answer", 'x="no answer"'),
        ('say "so"', r'x="say \"so\""'),
        ("a=b", 'x="a=b"'),
        ("two\nlines", r'x="two\nlines"'),
        ("a\tb", r'x="a\tb"'),
        ("back\\slash", r'x="back\\slash"'),
        ("", 'x=""'),
        ("高区", "x=高区"),
        (41.5, "x=41.5"),
    ],
)
def test_can_an_extra_field_be_told_from_the_next(value: object, shown: str) -> None:
    assert line(x=value).endswith(" " + shown)


@pytest.mark.parametrize(
    ("level", "prefix"),
    [
        (logging.CRITICAL, "<2>"),
        (logging.ERROR, "<3>"),
        (logging.WARNING, "<4>"),
        (logging.INFO, "<6>"),
        (logging.DEBUG, "<7>"),
    ],
)
def test_does_journald_get_the_priority_and_no_second_time(level: int, prefix: str) -> None:
    found = line(journald=True, level=level)
    assert found == f"{prefix}{logging.getLevelName(level).lower()} edge.x: device lost"


def test_does_a_terminal_get_the_time_in_place_of_the_priority() -> None:
    assert line().partition(" ")[0].endswith("+00:00")


def said(stream_variable: str | None, path: Path) -> str:
    """What a process says on stderr into `path` when JOURNAL_STREAM is so; `%s` stands for its own stderr."""
    program = (
        "from edge import logs; import logging; logs.configure(); logging.getLogger('edge').warning('hello')"
    )
    environment = {name: value for name, value in os.environ.items() if name != "JOURNAL_STREAM"}
    with path.open("wb") as stderr:
        if stream_variable is not None:
            found = os.fstat(stderr.fileno())
            environment["JOURNAL_STREAM"] = stream_variable.replace("%s", f"{found.st_dev}:{found.st_ino}")
        subprocess.run(
            [sys.executable, "-c", program], env=environment, stderr=stderr, check=True, timeout=60
        )
    return path.read_text(encoding="utf-8")


def test_is_the_priority_written_only_to_the_stream_that_systemd_named(tmp_path: Path) -> None:
    assert said("%s", tmp_path / "journald").startswith("<4>warning edge: hello")
    assert not said(None, tmp_path / "terminal").startswith("<")
    assert not said("8:1", tmp_path / "redirected").startswith("<")  # inherited, but stderr goes elsewhere
    assert not said("nonsense", tmp_path / "nonsense").startswith("<")


def test_do_the_field_libraries_speak_up_from_warning_only(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = []
    try:
        logs.configure()
        for name in ("pymodbus.logging", "asyncua.client", "edge.cycle"):
            logging.getLogger(name).info("chatter")
        assert [words.split(" ")[2] for words in stream.getvalue().splitlines()] == ["edge.cycle:"]
    finally:
        root.handlers[:], root.level = before, level
