"""The season's loop, short: control against the plant, and the sums that make the table."""

import itertools
from pathlib import Path

import pytest

from edge.loading import read_site
from edge.resources import config_dir
from edge.texts import Texts
from hil_tests.season import PARTS, split, table
from hil_tests.season_plot import draw
from hil_tests.season_run import DAY_S, Result, join, run
from hil_tests.weather import load, local

SITE = config_dir() / "sites" / "demo.toml"
FIRST = local("2013-01-20T00:00")


@pytest.fixture(scope="module")
def day() -> Result:
    """A January day under control, after a quarter of a day of run-in."""
    return run(read_site(SITE), load("beijing_2012_2014"), FIRST, 1.0, 0.25)


def test_both_supplies_stay_within_a_kelvin_and_rooms_warm_on_a_january_day(day: Result) -> None:
    for score in day.scores:
        assert score.within / score.steps > 0.95
        assert score.warm_rooms == score.rooms
        assert score.free_rmse_k < 0.5


def test_the_scored_time_is_the_time_asked_for_without_the_run_in(day: Result) -> None:
    assert [score.days for score in day.scores] == [1.0, 1.0]
    assert len(day.samples) == 24
    assert day.samples[0].wall == pytest.approx(FIRST, abs=20.0)


def test_heat_and_travel_count_from_the_first_scored_step(day: Result) -> None:
    for score in day.scores:
        assert 10.0 < score.heat_j / DAY_S / score.area_m2 < 70.0  # W/m2
        assert 0.1 < score.strokes < 20.0
        assert score.starts < 1000


def test_the_parts_of_a_season_follow_each_other_without_a_gap() -> None:
    first, last = local("2012-11-01T00:00"), local("2013-04-01T00:00")
    parts = split(SITE, "beijing_2012_2014", first, last)
    assert len(parts) == PARTS
    assert sum(part.days for part in parts) == 151
    for before, after in itertools.pairwise(parts):
        assert after.start == before.start + before.days * DAY_S
    assert parts[-1].start + parts[-1].days * DAY_S == last


def test_joined_parts_weigh_by_their_steps_and_keep_the_worst(day: Result) -> None:
    whole = join([day, day])
    for one, two in zip(day.scores, whole.scores, strict=True):
        assert two.steps == 2 * one.steps
        assert two.rmse_k == pytest.approx(one.rmse_k)
        assert two.worst_k == one.worst_k
    assert len(whole.samples) == 48


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_word_of_the_table_is_in_the_catalogue(day: Result, language: str) -> None:
    texts = Texts.load(language)
    shown = table(day, texts, "", {"high": "H", "low": "L"})
    words = [str(cell) for column in shown.columns for cell in column.cells]
    assert len(words) == 30
    assert not any("season." in word or "{" in word for word in words)


def test_the_picture_is_drawn(day: Result, tmp_path: Path) -> None:
    path = tmp_path / "out" / "season.png"
    draw(day, path)
    assert path.read_bytes().startswith(b"\x89PNG")
