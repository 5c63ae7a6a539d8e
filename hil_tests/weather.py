"""Outdoor temperature for the bench: measured series and synthetic seasons, at any second.

Hours of the files are local time, Asia/Shanghai, which has no daylight saving since 1991: hours follow each
other by 3600 s. Between hours the temperature runs linearly; holes of up to six hours are filled the same
way, longer ones stay holes, and asking for such a moment is an error.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
FOLDER = Path(__file__).parent / "weather"
LONGEST_HOLE_H = 6
_SEASON_DAYS = 212  # 1 October to 30 April


class WeatherError(ValueError):
    """A series that cannot be read or does not reach to the moment asked for."""


@dataclass(frozen=True, slots=True)
class Series:
    """Hourly temperatures in C from `start` (Unix s); NaN where nothing is known."""

    name: str
    start: float
    hours: tuple[float, ...]

    def at(self, wall: float) -> float:
        """Temperature in C at Unix time `wall`; WeatherError outside the series and in its holes."""
        place = (wall - self.start) / 3600.0
        index = math.floor(place)
        if 0 <= index < len(self.hours) - 1:
            here, there = self.hours[index], self.hours[index + 1]
            value = here + (there - here) * (place - index)
            if not math.isnan(value):
                return value
        moment = datetime.fromtimestamp(wall, ZONE)
        raise WeatherError(f"{self.name} has no temperature for {moment:%Y-%m-%d %H:%M}")

    def moved(self, years: int) -> "Series":
        """The same weather `years` later; past a 29 February that only one of them has it is a day off."""
        first = datetime.fromtimestamp(self.start, ZONE)
        return Series(self.name, first.replace(year=first.year + years).timestamp(), self.hours)


def local(text: str) -> float:
    """Unix time of a local time such as `2026-01-15T06:00` (Asia/Shanghai)."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()


def _filled(values: list[float]) -> tuple[float, ...]:
    """Linear through holes of up to LONGEST_HOLE_H hours between two known ones."""
    known = [index for index, value in enumerate(values) if not math.isnan(value)]
    for before, after in pairwise(known):
        if 1 < after - before <= LONGEST_HOLE_H + 1:
            slope = (values[after] - values[before]) / (after - before)
            for index in range(before + 1, after):
                values[index] = values[before] + slope * (index - before)
    return tuple(values)


def _row(path: Path, number: int, row: Sequence[str]) -> tuple[date, list[float]]:
    try:
        day = date.fromisoformat(row[0])
        hours = [float(text) if text else math.nan for text in row[1:]]
    except (ValueError, IndexError) as error:
        raise WeatherError(f"{path}, line {number}: {error}") from None
    if len(hours) != 24:
        raise WeatherError(f"{path}, line {number}: a day has 24 hours, not {len(hours)}")
    return day, hours


def load(name: str, folder: Path = FOLDER) -> Series:
    """A shipped series by its file's name without `.csv`, e.g. `beijing_2012_2014`; WeatherError if unfit."""
    path = folder / f"{name}.csv"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise WeatherError(f"{path}: {error.strerror}") from None
    rows = [_row(path, number, row) for number, row in enumerate(csv.reader(lines[1:]), 2)]
    if not rows:
        raise WeatherError(f"{path}: no days")
    first = rows[0][0]
    values = [math.nan] * (24 * ((rows[-1][0] - first).days + 1))
    for number, (day, hours) in enumerate(rows, 2):
        offset = 24 * (day - first).days
        if offset < 0:
            raise WeatherError(f"{path}, line {number}: {day} lies before the first day")
        values[offset : offset + 24] = hours
    start = datetime(first.year, first.month, first.day, tzinfo=ZONE).timestamp()
    return Series(name, start, _filled(values))


@dataclass(frozen=True, slots=True)
class Climate:
    """A typical winter: mean of 15 November to 15 March in C, amplitudes and standard deviation in K."""

    mean_c: float
    seasonal_k: float
    diurnal_k: float
    anomaly_k: float
    persistence: float


def climates(folder: Path = FOLDER) -> dict[str, Climate]:
    """Every place of climate.csv by its name in lower case."""
    with (folder / "climate.csv").open(encoding="utf-8", newline="") as file:
        return {
            row.pop("place"): Climate(**{key: float(text) for key, text in row.items()})
            for row in csv.DictReader(file)
        }


def _daily(climate: Climate, random: Random) -> list[float]:
    """Daily means from 1 October: half a sine, lowest in mid January, AR(1) anomalies, one cold wave."""
    wave = random.uniform(80.0, 122.0)  # between 20 December and 31 January
    depth = random.uniform(8.0, 12.0)
    innovation = climate.anomaly_k * math.sqrt(1.0 - climate.persistence**2)
    anomaly, days = 0.0, []
    for day in range(_SEASON_DAYS + 1):
        anomaly = climate.persistence * anomaly + innovation * random.gauss(0.0, 1.0)
        course = 2.0 / math.pi - math.sin(math.pi * (day - 45.0) / 120.0)  # day 45 is 15 November
        since = day - wave
        falling = min(1.0, max(0.0, since / 1.5))  # down in 36 h, four days to recover
        cold = depth * min(falling, max(0.0, 1.0 - (since - 1.5) / 4.0))
        days.append(climate.mean_c + climate.seasonal_k * course + anomaly - cold)
    return days


def synthetic(place: str, first_year: int, seed: int, folder: Path = FOLDER) -> Series:
    """A seeded season, 1 October `first_year` to 30 April, of a place of climate.csv; else WeatherError."""
    known = climates(folder)
    if place not in known:
        raise WeatherError(f"{folder / 'climate.csv'} has no {place!r}; it has {', '.join(sorted(known))}")
    climate, random = known[place], Random(f"{place} {first_year} {seed}")
    days = _daily(climate, random)
    hours = []
    for day in range(_SEASON_DAYS):
        clear = random.uniform(0.4, 1.6)  # clouds damp the diurnal wave
        for hour in range(24):
            mean = days[day] + (days[day + 1] - days[day]) * hour / 24.0
            wave = climate.diurnal_k * clear * math.cos(2.0 * math.pi * (hour - 15) / 24.0)
            hours.append(mean + wave)
    start = datetime(first_year, 10, 1, tzinfo=ZONE).timestamp()
    return Series(f"{place} {seed}", start, tuple(hours))


@lru_cache(maxsize=512)
def _clear(day: int, seed: int) -> float:
    """What the clouds of a day leave of the sun."""
    return Random(day * 1009 + seed).uniform(0.1, 1.0)


def sun_w_m2(wall: float, seed: int = 1) -> float:
    """Sun on the windows in W/m2: half a sine from 07:30 to 16:30, dimmed by the day's seeded cloud."""
    moment = datetime.fromtimestamp(wall, UTC) + timedelta(hours=8)
    hour = moment.hour + moment.minute / 60.0
    if not 7.5 < hour < 16.5:
        return 0.0
    return 500.0 * _clear(moment.toordinal(), seed) * math.sin(math.pi * (hour - 7.5) / 9.0)
