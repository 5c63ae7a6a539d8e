"""Alarms, outages and plans at the command line, through the running service's socket."""

import asyncio
import json
from pathlib import Path

import pytest

from drivers.tests.slaves import serve_tcp
from edge.__main__ import main
from edge.fieldwork.messages import FieldworkError
from edge.fieldwork.requesting import moment
from edge.fieldwork.server import user_name
from edge.tests.events_bench import WALL
from edge.tests.fieldwork_bench import Service, error, kinds, rooms, service, until

DOOR = "station:door_open"


async def _alarms(running: Service) -> dict[str, str]:
    """States by subject."""
    return {each["subject"]: each["state"] for each in kinds(await running.ask(verb="alarm"), "alarm")}


async def _comes_to(running: Service, state: str | None) -> None:
    async with asyncio.timeout(15.0):
        while (await _alarms(running)).get(DOOR) != state:
            await asyncio.sleep(0.02)


async def test_an_alarm_is_listed_acknowledged_and_recorded_with_the_user_of_this_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        running.field.values["station.door"] = 1.0
        await _comes_to(running, "unacknowledged")
        where = ["--socket", str(running.paths.socket), "--lang", "en"]
        assert await asyncio.to_thread(main, ["alarm", "acknowledge", DOOR, *where]) == 0
        assert (await _alarms(running))[DOOR] == "acknowledged"
        assert await asyncio.to_thread(main, ["alarm", *where]) == 0
        rows = await running.rows("alarm.acknowledged")
        running.field.values["station.door"] = 0.0
        await _comes_to(running, None)
    assert [(row["alarm"], row["who"]) for row in rows] == [("door_open", user_name())]
    shown = capsys.readouterr().out
    assert "1 alarm(s) acknowledged" in shown
    assert "station door open  [acknowledged]" in shown


async def test_a_shelved_alarm_is_kept_with_its_reason_and_comes_back_by_request(tmp_path: Path) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        running.field.values["station.door"] = 1.0
        await _comes_to(running, "unacknowledged")
        done = await running.ask(verb="alarm", do="shelve", subject=DOOR, for_s=7200, why="painting")
        assert kinds(done, "answer")[0]["accepted"]
        assert (await _alarms(running))[DOOR] == "shelved"
        await running.ask(verb="alarm", do="unshelve", subject=DOOR)
        assert (await _alarms(running))[DOOR] == "unacknowledged"
        (row,) = await running.rows("alarm.shelved")
    assert (row["why"], row["who"]) == ("painting", user_name())


async def test_what_is_refused_gives_1_and_its_reason_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        where = ["--socket", str(running.paths.socket), "--lang", "en"]
        await until(running.paths.status.exists)
        refused = (
            (["alarm", "acknowledge", "high:frost"], "its state is normal"),
            (["alarm", "reset", "--all"], "nothing to reset"),
            (["alarm", "shelve", "high:frost", "--for", "2h"], "needs a reason"),
            (["alarm", "shelve", "attic:frost", "--for", "2h"], "no such alarm"),
            (["alarm", "shelve", DOOR, "--for", "25h"], "at most 24 hours"),
        )
        for words, expected in refused:
            assert await asyncio.to_thread(main, [*words, *where]) == 1
            assert expected in " ".join(capsys.readouterr().out.split())
        assert error(await running.ask(verb="alarm", do="acknowledge")) == "one_or_all"
        assert error(await running.ask(verb="alarm", do="shelve", subject=DOOR)) == "bad_argument"
        assert error(await running.ask(verb="alarm", do="dance")) == "bad_argument"
        assert error(await running.ask(verb="plan", do="cancel", id="p")) == "reason"


async def test_messages_of_the_alarms_are_json_lines_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        running.field.values["station.door"] = 1.0
        await _comes_to(running, "unacknowledged")
        socket = str(running.paths.socket)
        assert await asyncio.to_thread(main, ["alarm", "--json", "--socket", socket]) == 0
    messages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(m["priority"], m["state"]) for m in messages if m.get("subject") == DOOR] == [
        (3, "unacknowledged")
    ]


async def test_a_planned_stop_is_entered_listed_and_cancelled_with_who_and_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        where = ["--socket", str(running.paths.socket), "--lang", "en"]
        times = ["--from", "+2d", "--to", "+3d", "--notice=-1h"]
        entered = ["plan", "stop", "exchanger", "--circuits", "high,low", *times, "--why", "cleaning"]
        assert await asyncio.to_thread(main, [*entered, *where]) == 0
        assert await asyncio.to_thread(main, ["plan", *where]) == 0
        assert await asyncio.to_thread(main, [*entered, *where]) == 1  # it is there already
        assert await asyncio.to_thread(main, ["plan", "cancel", "exchanger", "--why", "no crew", *where]) == 0
        (planned,) = await running.rows("outage.planned")
        (cancelled,) = await running.rows("outage.plan_cancelled")
    assert (planned["who"], planned["why"], planned["circuits"]) == (user_name(), "cleaning", ["high", "low"])
    assert (cancelled["cancelled_by"], cancelled["reason"]) == (user_name(), "no crew")
    assert "high, low  repair  users told" in capsys.readouterr().out


async def test_an_expected_recovery_of_no_outage_is_refused(tmp_path: Path) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        asked = await running.ask(verb="outage", do="expect", outage="high", at="+2h", why="dispatch says")
        found = await running.ask(verb="outage", do="cause", outage="high", cause="water", why="burst seen")
        assert [m["accepted"] for m in (*kinds(asked, "answer"), *kinds(found, "answer"))] == [False, False]
        assert kinds(await running.ask(verb="outage"), "outage") == []


def test_without_a_service_there_are_no_alarms_to_speak_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in (["alarm"], ["outage"], ["plan", "cancel", "p", "--why", "x"]):
        assert main([*verb, "--socket", str(tmp_path / "none.sock"), "--lang", "en"]) == 2
        assert "no service runs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("+2h", 7200),
        ("-30m", -1800),
        ("+1d", 86400),
        ("18:00", 10 * 3600),
        ("8:30", 1800),
        ("24:00", 16 * 3600),
        ("2026-01-16 08:00", 86400),
        ("2026-01-16T08:00", 86400),
    ],
)
def test_a_time_is_written_as_people_write_it_in_the_stations_zone(text: str, seconds: int) -> None:
    assert moment(text, WALL) == WALL + seconds


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "2026-02-30 08:00", "+2", "24:01", "9999999", "1:2", "9999-12-31 24:00"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(FieldworkError, match="bad_time"):
        moment(text, WALL)
