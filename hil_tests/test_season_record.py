"""What a winter leaves behind: its record verifies, and a person can read it in a spreadsheet.

Weather, plant, the very `decide`, `judge` and duties of the service, and what it would record of them, in a
real journal under the season's own time. Now and then something is lost, so that there is something to tell.
"""

import asyncio
import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.__main__ import main
from edge.chain import Entry
from edge.clock import ClockState, Instant
from edge.compliance import Compliance, follow, new_day
from edge.control import decide, initial
from edge.events import Limits, WatchState, judge
from edge.export import COLUMNS, local
from edge.image import ProcessImage
from edge.journal import Journal, verify
from edge.loading import read_site
from edge.outputs import Outputs
from edge.records import Event
from edge.resources import config_dir
from edge.tests.rules_stories import pack
from edge.texts import Texts
from hil_tests.plant import Inputs, Noise, commands, measure, station, steady_commands, steady_state, step
from hil_tests.plant_trial import readings
from hil_tests.season_run import DAY_S, STEP_S
from hil_tests.story import shipped
from hil_tests.story_effects import effects
from hil_tests.weather import load, sun_w_m2
from hil_tests.weather import local as day

SITE = read_site(config_dir() / "sites" / "demo.toml")
TROUBLES = ("primary_lost", "pump_trip", "mains_lost", "burst")  # one after the other
EVERY_S = 7 * DAY_S  # from the first hour on
WIDEST = 32_767  # characters: the most a cell of the common spreadsheets shows
SECONDS = re.compile(r"\b1[0-9]{9}\b")  # a time that nobody can read


class SeasonClock:
    """The time of the season."""

    boot_id = "5f0c9b1e-7a44-4c52-9d0b-1c8a3a6d2e70"
    speed = 1.0

    def __init__(self, wall: float) -> None:
        self.time = Instant(wall, 0.0, 0.0, ClockState.SYNCED)

    def now(self) -> Instant:
        return self.time

    def pass_on(self, seconds: float) -> None:
        now = self.time
        later = (now.wall + seconds, now.monotonic + seconds, now.boottime + seconds)
        self.time = Instant(*later, now.state)

    async def sleep_until(self, monotonic: float) -> None:
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Season:
    """From `first` (local date) for so many days, with a trouble every EVERY_S."""

    first: str
    days: float


def _happenings(season: Season, clock: SeasonClock) -> Iterator[list[Event]]:
    """What the service would record, cycle by cycle."""
    weather, plant, noise, document = load("beijing_2012_2014"), station(), Noise(7), pack("zhangye-2023")
    begin = clock.time.wall
    state = steady_state(plant, begin, weather.at(begin))
    mind, watch, compliance, outputs = initial(SITE), WatchState(), Compliance(), Outputs({})
    wanted, values = steady_commands(plant, state), dict[str, float]()
    stories = [shipped(name) for name in TROUBLES]
    for _ in range(round(season.days * DAY_S / STEP_S)):
        now = clock.now()
        week, into = divmod(now.wall - begin, EVERY_S)
        story = stories[int(week) % len(stories)]
        image = ProcessImage(now, readings(measure(plant, state, noise), now.wall))
        compliance = new_day(compliance, document, now)
        decision = decide(mind, image, SITE, compliance.heating, now)
        judged = judge(watch, image, decision.views, SITE, Limits(), now)
        compliance, duties = follow(compliance, document, SITE, judged.outages, judged.events, now)
        mind, watch = decision.state, judged.state
        yield [*decision.events, *judged.events, *duties, *outputs.intents(decision.commands, now)]
        values |= {command.point: command.value for command in decision.commands}
        wanted = commands(plant, values) if values else wanted
        disturbance = effects(story, into).plant
        inputs = Inputs(weather.at(now.wall), wanted, sun_w_m2(now.wall), disturbance=disturbance)
        step(plant, state, inputs, STEP_S)
        clock.pass_on(STEP_S)


async def _live(season: Season, path: Path) -> list[Event]:
    """Play the season with a journal at its side; all that was recorded."""
    clock = SeasonClock(day(f"{season.first}T00:00"))
    told: list[Event] = []
    async with await Journal.open(path, clock) as journal:
        for events in _happenings(season, clock):
            if events:
                await journal.append([Entry.of(event) for event in events], clock.now())
                told += events
    return told


def _read(path: Path) -> list[dict[str, str]]:
    """As a spreadsheet opens it: the mark at the beginning, then lines of cells."""
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    headers, *lines = csv.reader(content.decode("utf-8-sig").splitlines(), strict=True)
    assert len(lines) == content.count(b"\r\n") - 1, "one line is one row"
    assert headers == [Texts.load("zh")(f"export.{column}") for column in COLUMNS]
    return [dict(zip(COLUMNS, line, strict=True)) for line in lines]


def _chinese(text: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)


def _record_is_good(season: Season, folder: Path) -> None:
    path, table, lines = folder / "journal.sqlite", folder / "record.csv", folder / "record.jsonl"
    told = asyncio.run(_live(season, path))
    found = verify(path)
    assert found.ok
    assert (found.rows, found.unsigned) == (len(told), 0)
    assert main(["verify", str(path), "--lang", "zh"]) == 0
    assert main(["export", str(path), "--lang", "zh", "--format", "csv", "--output", str(table)]) == 0
    assert main(["export", str(path), "--lang", "zh", "--output", str(lines)]) == 0
    _table_is_good(_read(table), told)
    rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert [(row["seq"], row["kind"], row["subject"]) for row in rows] == [
        (number, event.kind, event.subject) for number, event in enumerate(told, 1)
    ]
    assert rows[-1]["hash"] == found.head.hash.hex()
    weeks = int(season.days * DAY_S // EVERY_S) + 1
    assert sum(event.kind == "outage.started" for event in told) >= weeks


def _table_is_good(cells: list[dict[str, str]], told: list[Event]) -> None:
    assert [int(row["seq"]) for row in cells] == list(range(1, len(told) + 1))
    for row, event in zip(cells, told, strict=True):
        assert (row["kind"], row["subject"]) == (event.kind, event.subject)
        assert (row["occurred"], row["detected"]) == (local(event.occurred), local(event.detected))
        assert row["time"] == row["dated_at"]
        assert row["time"].endswith("+08:00")
        assert _chinese(row["what"]), f"no words for {row['kind']}"
        assert _chinese(row["clock"])
        assert _chinese(row["dating"])
        assert row["fault"] == ""
        assert max(map(len, row.values())) < WIDEST
        assert not SECONDS.search(row["details"]), row["details"]
        assert "reason." not in row["details"], row["details"]


def test_the_record_of_a_winter_morning_verifies_and_can_be_read(tmp_path: Path) -> None:
    _record_is_good(Season("2013-01-20", 0.25), tmp_path)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_the_record_of_a_winter_verifies_and_can_be_read(tmp_path: Path) -> None:
    _record_is_good(Season("2012-11-01", 151.0), tmp_path)
