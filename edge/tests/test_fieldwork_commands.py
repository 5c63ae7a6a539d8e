"""The tools' command lines: what a technician types, what he sees, and the exit code a script gets."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from edge.fieldwork.show import _wrapped
from edge.tests.fieldwork_bench import rooms
from edge.tests.fieldwork_commands import run, slave_thread


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_line_of_a_read_fits_80_columns_without_colour_codes(
    language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with slave_thread(rooms()) as port:
        line = ("--host", "127.0.0.1", "--tcp-port", str(port), "--lang", language)
        assert run("read", *line, "--unit", "17", "--address", "0", "--count", "5", "--type", "f32") == 0
    shown = capsys.readouterr()
    assert "83.47" in shown.out
    assert max(cell_len(each) for each in (shown.out + shown.err).splitlines()) <= 80
    assert "\x1b" not in shown.out + shown.err


def test_with_json_each_line_is_a_message_and_says_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    with slave_thread(rooms()) as port:
        line = ("--host", "127.0.0.1", "--tcp-port", str(port), "--timeout", "0.1", "--json")
        assert run("scan", *line, "--from", "16", "--to", "18") == 0
    messages = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert messages[0]["through"] == "direct"
    assert [each["place"] for each in messages if each["kind"] == "found"] == [17]
    assert messages[-1] == {"kind": "done"}


def test_a_probe_writes_the_draft_where_it_was_wanted(tmp_path: Path) -> None:
    with slave_thread(rooms()) as port:
        line = ("--host", "127.0.0.1", "--tcp-port", str(port), "--lang", "en")
        draft = tmp_path / "draft.toml"
        assert run("probe", *line, "--unit", "17", "--to", "59", "--wait", "0", "--draft", str(draft)) == 0
    assert 'order = "ABCD"' in draft.read_text(encoding="utf-8")


def test_a_device_that_is_silent_gives_1_and_says_what_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    with slave_thread(rooms()) as port:
        line = ("--host", "127.0.0.1", "--tcp-port", str(port), "--timeout", "0.1", "--lang", "en")
        assert run("read", *line, "--unit", "99", "--address", "0") == 1
    assert "baud and parity" in " ".join(capsys.readouterr().err.split())


def test_registers_that_are_all_refused_give_1() -> None:
    with slave_thread(rooms()) as port:
        line = ("--host", "127.0.0.1", "--tcp-port", str(port), "--lang", "en")
        assert run("read", *line, "--unit", "17", "--address", "900") == 1


def test_a_port_that_is_not_there_gives_an_error_and_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("scan", "--port", "/dev/ttyNOWHERE", "--to", "9", "--lang", "zh") == 2
    assert "dialout" in capsys.readouterr().err


def test_without_service_and_site_one_is_told_what_to_give(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--socket", str(tmp_path / "none.sock"), "--site", str(tmp_path / "none.toml"), "--lang", "en")
    assert run("read", "meter_high", *where) == 2
    assert "--site" in capsys.readouterr().err


def test_a_service_that_runs_but_cannot_be_reached_is_never_worked_around(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "status.json").write_text("{}", encoding="utf-8")
    assert run("scan", "line1", "--socket", str(tmp_path / "fieldwork.sock"), "--lang", "en") == 2
    assert "two masters" in capsys.readouterr().err


def test_a_write_without_terminal_and_without_yes_is_not_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--socket", str(tmp_path / "none.sock"), "--site", str(tmp_path / "none.toml"), "--lang", "en")
    assert run("write", "meter.register", "--why", "x", *where) == 2
    assert "value to write is missing" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("write", "x", "1", "--for", "2 days"), ("scan", "--baud", "fast")])
def test_an_argument_that_cannot_be_is_refused_by_the_parser(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        run(*words)


@given(st.text("ab （“，。）”热量表1", max_size=200), st.integers(8, 80))
def test_a_sentence_in_lines_loses_nothing_and_fits(text: str, width: int) -> None:
    lines = _wrapped(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= width for line in lines)


def test_chinese_breaks_between_characters_and_never_before_its_punctuation() -> None:
    assert _wrapped("  检查端口，再检查（网线）。", 12) == ["  检查端口，", "  再检查（网", "  线）。"]
