"""Shipped and synthetic weather."""

import math
from pathlib import Path
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_tests.weather import FOLDER, WeatherError, climates, load, local, sun_w_m2, synthetic

_HEAD = "date," + ",".join(f"h{hour:02d}" for hour in range(24)) + "\n"


def _series(tmp_path: Path, *days: str) -> Path:
    (tmp_path / "place.csv").write_text(_HEAD + "\n".join(days) + "\n", encoding="utf-8")
    return tmp_path


def test_a_full_hour_reads_as_measured_and_half_an_hour_lies_between() -> None:
    beijing = load("beijing_2012_2014")
    assert beijing.at(local("2013-01-10T00:00")) == -12.0
    assert beijing.at(local("2013-01-10T12:00")) == -4.0
    one, two = beijing.at(local("2013-01-10T12:00")), beijing.at(local("2013-01-10T13:00"))
    assert beijing.at(local("2013-01-10T12:30")) == pytest.approx((one + two) / 2)


def test_weather_of_2013_serves_a_simulation_of_2026() -> None:
    measured = load("beijing_2012_2014")
    moved = measured.moved(13)
    for day in ("11-01T00:00", "12-24T18:00"):
        assert moved.at(local(f"2025-{day}")) == measured.at(local(f"2012-{day}"))
    assert moved.at(local("2026-03-31T23:00")) == measured.at(local("2013-03-31T23:00"))


@pytest.mark.parametrize("name", ["beijing_2012_2014", "shenyang_2012_2014"])
@pytest.mark.parametrize("year", [2012, 2013])
def test_each_shipped_season_has_no_hole(name: str, year: int) -> None:
    series = load(name)
    first, last = local(f"{year}-11-01T00:00"), local(f"{year + 1}-03-31T23:00")
    values = [series.at(first + 3600.0 * hour) for hour in range(int((last - first) / 3600.0) + 1)]
    assert len(values) == 151 * 24
    assert -35.0 < min(values) < 0.0 < max(values) < 30.0


def test_a_short_hole_is_bridged_and_a_long_one_is_an_error(tmp_path: Path) -> None:
    day = [str(hour) for hour in range(24)]
    short = ["2020-01-01", *day[:5], *[""] * 6, *day[11:]]
    long = ["2020-01-02", *day[:5], *[""] * 7, *day[12:]]
    series = load("place", _series(tmp_path, ",".join(short), ",".join(long)))
    assert series.at(local("2020-01-01T07:30")) == pytest.approx(7.5)
    with pytest.raises(WeatherError, match="place has no temperature for 2020-01-02 07:30"):
        series.at(local("2020-01-02T07:30"))


def test_outside_the_series_is_an_error_and_not_the_nearest_value() -> None:
    with pytest.raises(WeatherError, match="2011-01-01"):
        load("beijing_2012_2014").at(local("2011-01-01T00:00"))
    with pytest.raises(WeatherError, match="2013-07-01"):  # the files hold heating seasons only
        load("beijing_2012_2014").at(local("2013-07-01T00:00"))


def test_a_bad_file_names_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(WeatherError, match=r"place\.csv, line 2: a day has 24 hours, not 2"):
        load("place", _series(tmp_path, "2020-01-01,1,2"))
    with pytest.raises(WeatherError, match=r"place\.csv, line 2: .*warm"):
        load("place", _series(tmp_path, "2020-01-01" + ",warm" * 24))
    with pytest.raises(WeatherError, match=r"nowhere\.csv: No such file"):
        load("nowhere", tmp_path)


@pytest.mark.parametrize("place", ["zhengzhou", "zibo", "changchun", "zhangye", "baiyin"])
def test_synthetic_winters_have_the_mean_and_the_spread_of_their_place(place: str) -> None:
    climate = climates()[place]
    means, anomalies = [], []
    for seed in range(8):
        series = synthetic(place, 2025, seed)
        first = local("2025-11-15T00:00")
        hours = [series.at(first + 3600.0 * hour) for hour in range(120 * 24)]
        days = [fmean(hours[24 * day : 24 * day + 24]) for day in range(120)]
        means.append(fmean(days))
        anomalies.append(stdev(days))
    assert fmean(means) == pytest.approx(climate.mean_c, abs=1.2)  # the cold wave takes a little
    assert climate.anomaly_k * 0.7 < fmean(anomalies) < climate.anomaly_k + 4.0


def test_a_synthetic_season_repeats_with_its_seed_and_differs_with_another() -> None:
    assert synthetic("zibo", 2025, 3) == synthetic("zibo", 2025, 3)
    assert synthetic("zibo", 2025, 3).hours != synthetic("zibo", 2025, 4).hours


def test_an_unknown_place_is_told_what_there_is() -> None:
    with pytest.raises(WeatherError, match=r"no 'atlantis'; it has baiyin, changchun"):
        synthetic("atlantis", 2025, 1)


@given(st.floats(local("2025-10-01T00:00"), local("2026-04-30T00:00")))
def test_the_sun_is_bounded_and_sets(wall: float) -> None:
    light = sun_w_m2(wall)
    assert 0.0 <= light <= 500.0
    assert math.isfinite(light)
    midnight = local("2026-01-15T00:00")
    assert sun_w_m2(midnight) == 0.0


def test_the_source_and_its_licence_stand_beside_the_data() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in text
    assert "UCI Machine Learning Repository" in text
