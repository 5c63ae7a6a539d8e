"""Minutes and hours: what remains of a point when its samples are gone, also over a restart."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import Quality, Reading, Reason, Unit
from edge import aggregates
from edge.__main__ import main
from edge.aggregates import Minute, Sums
from edge.deadband import Gatherer
from edge.history import BACKLOG, History

HOUR = 1_795_003_200
LIMIT = 1 << 22
SUPPLY, ENERGY = "high.secondary_supply_temperature", "high.heat_energy"

Image = Mapping[str, Reading]


def celsius(value: float) -> Reading:
    return Reading.good(value, Unit.CELSIUS, float(HOUR))


BAD = Reading.bad(Reason.NO_ANSWER, Unit.CELSIUS, float(HOUR))
DOUBTFUL = Reading(90.0, Unit.CELSIUS, Quality.UNCERTAIN, Reason.DOUBTFUL, float(HOUR))


async def _looked(history: History, images: Sequence[Image], start: int = HOUR) -> None:
    for second, image in enumerate(images):
        history.look((start + second) * 10**9, image)
        if second % (BACKLOG // 2) == 0:
            await history.last()
    await history.last()


@given(st.lists(st.sampled_from([celsius(40.0), celsius(41.0), celsius(-3.35), BAD, DOUBTFUL]), min_size=1))
def test_counts_and_values_of_a_minute_are_those_of_its_looks(readings: list[Reading]) -> None:
    gatherer, minute = Gatherer({}), Minute(HOUR)
    for tick, reading in enumerate(readings[:60]):
        gatherer.look(HOUR * 1000 + 1000 * tick, {SUPPLY: reading})
    block = gatherer.take()
    assert block is not None
    minute.add(block)
    ids, names = {(SUPPLY, Unit.CELSIUS): 7}, {7: (SUPPLY, Unit.CELSIUS)}
    (sums,) = aggregates.decode(aggregates.encode(minute.points, ids), names).values()
    found = sums.aggregate(HOUR, 60, Unit.CELSIUS, partial=minute.partial)
    good = [reading.value for reading in readings[:60] if reading.value is not None and reading.is_good]
    counts = [sum(each.quality is quality for each in readings[:60]) for quality in reversed(Quality)]
    assert [found.good, found.uncertain, found.bad] == counts
    if not good:
        assert (found.low, found.high, found.mean, found.first, found.last) == (None,) * 5
        return
    assert (found.low, found.high, found.first, found.last) == (min(good), max(good), good[0], good[-1])
    assert found.mean == pytest.approx(sum(good) / len(good), abs=0.005)


_SUMS = st.lists(st.floats(-100, 100), max_size=5).map(
    lambda values: (
        Sums(len(values), 0, 1, min(values), max(values), sum(values), values[0], values[-1])
        if values
        else Sums(bad=1)
    )
)


@given(st.lists(_SUMS, min_size=1, max_size=6), st.integers(0, 6))
def test_it_does_not_matter_in_how_many_pieces_sums_are_added(parts: list[Sums], cut: int) -> None:
    whole, one, other = Sums(), Sums(), Sums()
    for place, part in enumerate(parts):
        whole.add(part)
        (one if place < cut else other).add(part)
    one.add(other)
    assert one.total == pytest.approx(whole.total)
    one.total = whole.total
    assert one == whole


async def test_an_hour_is_made_of_its_minutes_with_what_was_bad_in_it(tmp_path: Path) -> None:
    images: list[Image] = [{SUPPLY: celsius(40.0)} for _ in range(1800)]
    images += [{SUPPLY: BAD} for _ in range(600)] + [{SUPPLY: celsius(50.0)} for _ in range(1200)]
    async with await History.open(tmp_path / "h.db", LIMIT) as history:
        await _looked(history, [*images, images[0]])
        (hour,) = await history.aggregates(SUPPLY, HOUR - 3600, HOUR + 7200, 3600)
        minutes = await history.aggregates(SUPPLY, HOUR, HOUR + 3600, 60)
    assert (hour.good, hour.bad, hour.low, hour.high, hour.mean) == (3000, 600, 40.0, 50.0, 44.0)
    assert not hour.partial
    assert len(minutes) == 60
    assert [(minute.good, minute.bad) for minute in minutes[29:31]] == [(60, 0), (0, 60)]


async def test_a_total_has_its_first_and_last_number_and_no_mean(tmp_path: Path) -> None:
    images = [{ENERGY: Reading.good(812_345.0 + n, Unit.KILOWATT_HOUR, float(HOUR))} for n in range(61)]
    async with await History.open(tmp_path / "h.db", LIMIT) as history:
        await _looked(history, images)
        (minute,) = await history.aggregates(ENERGY, HOUR, HOUR + 60, 60)
    assert (minute.first, minute.last, minute.mean) == (812_345.0, 812_404.0, None)


@pytest.mark.parametrize("orderly", [True, False])
async def test_an_hour_goes_on_after_a_restart_and_says_what_it_did_not_see(
    tmp_path: Path, orderly: bool
) -> None:
    path = tmp_path / "h.db"
    history = await History.open(path, LIMIT)
    await _looked(history, [{SUPPLY: celsius(40.0)}] * 1830)
    if orderly:
        await history.close()
    else:  # killed: half a minute was in hand
        history._file._drop()
    async with await History.open(path, LIMIT) as again:
        await _looked(again, [{SUPPLY: celsius(50.0)}] * 1681, HOUR + 1920)
        (hour,) = await again.aggregates(SUPPLY, HOUR, HOUR + 3600, 3600)
    assert hour.good == 1680 + (1830 if orderly else 1800)
    assert (hour.low, hour.high, hour.partial) == (40.0, 50.0, True)


async def test_a_minute_of_which_half_was_not_seen_is_partial(tmp_path: Path) -> None:
    async with await History.open(tmp_path / "h.db", LIMIT) as history:
        await _looked(history, [{SUPPLY: celsius(40.0)}] * 79, HOUR + 42)
        found = await history.aggregates(SUPPLY, HOUR, HOUR + 120, 60)
    assert [(minute.good, minute.partial) for minute in found] == [(18, True), (60, False)]


async def test_a_clock_set_back_leaves_one_minute_of_each_start(tmp_path: Path) -> None:
    async with await History.open(tmp_path / "h.db", LIMIT) as history:
        await _looked(history, [{SUPPLY: celsius(40.0)}] * 90)
        await _looked(history, [{SUPPLY: celsius(44.0)}] * 90, HOUR)
        found = await history.aggregates(SUPPLY, HOUR, HOUR + 60, 60)
    assert [(minute.good, minute.low, minute.high, minute.mean) for minute in found] == [
        (120, 40.0, 44.0, 42.0)
    ]


async def test_another_step_is_refused_and_the_file_stays(tmp_path: Path) -> None:
    async with await History.open(tmp_path / "h.db", LIMIT) as history:
        with pytest.raises(KeyError):
            await history.aggregates(SUPPLY, HOUR, HOUR + 60, 61)
        await history.last()
    assert set(os.listdir(tmp_path)) == {"h.db"}  # not put aside as damaged


async def _day(path: Path) -> None:
    async with await History.open(path, LIMIT) as history:
        images: list[Image] = [{SUPPLY: celsius(40.0 + n % 2), "b": celsius(1.0)} for n in range(3660)]
        images[10] = {SUPPLY: BAD, "b": celsius(1.0)}
        await _looked(history, images)


async def test_the_history_is_written_as_a_table_of_samples_minutes_or_hours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "h.db", tmp_path / "out.csv"
    await _day(path)
    command = ["export", "--lang", "en", "--history", str(path), "--output", str(out)]
    assert main([*command, "--points", SUPPLY, "--step", "raw", "--to", "2026-11-18T20:00:12"]) == 0
    head, *rows = out.read_text(encoding="utf-8-sig").splitlines()
    assert head == "point,time (Beijing time),value,unit,quality,reason"
    assert len(rows) == 12
    assert rows[9] == f"{SUPPLY},2026-11-18T20:00:09.000+08:00,41,degC,good,"
    assert rows[10] == f"{SUPPLY},2026-11-18T20:00:10.000+08:00,,degC,bad,no answer"
    assert main([*command, "--step", "hour"]) == 0
    _, other, supply = out.read_text(encoding="utf-8-sig").splitlines()
    assert other == "b,2026-11-18T20:00:00.000+08:00,degC,3600,0,0,1,1,1,1,1,"
    assert supply.startswith(f"{SUPPLY},2026-11-18T20:00:00.000+08:00,degC,3599,0,1,40,41,40.5")
    assert main([*command, "--step", "minute", "--points", "b", "--from", "2026-11-18T20:30"]) == 0
    assert len(out.read_text(encoding="utf-8-sig").splitlines()) == 1 + 31
    assert "31 rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "code"), [([], 2), (["--points", "nobody"], 1), (["j.sqlite"], 2), (["--step", "raw"], 0)]
)
async def test_what_cannot_be_exported_is_said(tmp_path: Path, given: list[str], code: int) -> None:
    path = tmp_path / "h.db"
    async with await History.open(path, LIMIT) as history:
        await _looked(history, [{"b": celsius(1.0)}])
    asked = given if given == [] else ["--history", str(path), *given]
    assert main(["export", *asked, "--output", str(tmp_path / "out.csv")]) == code
