"""Stories: what goes wrong in the simulated station, when and for how long. Pure but for reading the file.

A story is TOML: `name`, `start` (local time), `duration`, `weather` (a shipped series), `weather_years` (by
how many years it is moved), and any number of `[[disturbance]]` with `at`, `for`, `kind` and what the kind
needs (see KINDS). Times are a number with s, min or h. `effects` says what is wrong at a moment; the plant's
process applies `Effects.plant`, the devices' processes the rest.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from hil_tests.story_effects import KINDS, Effects, Event, Story, Wanted, a_name, effects
from hil_tests.weather import local

__all__ = ["FOLDER", "Effects", "Event", "Story", "StoryError", "effects", "load", "seconds", "shipped"]

FOLDER = Path(__file__).parent / "stories"
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


class StoryError(ValueError):
    """A story that cannot be told; the message names file and key."""


def seconds(text: object) -> float:
    """Seconds of `90s`, `20min`, `1.5h`; ValueError with what is allowed."""
    for unit, factor in _SECONDS.items() if isinstance(text, str) else ():
        number = str(text).removesuffix(unit)
        if number != text and number.replace(".", "", 1).isdigit():
            return float(number) * factor
    raise ValueError(f"must be a time such as 90s, 20min or 1.5h, not {text!r}")


class _Table:
    """A TOML table that is taken apart key by key; what is left over is an error."""

    def __init__(self, where: str, data: Mapping[str, object]) -> None:
        self._where = where
        self._data = dict(data)

    def error(self, key: str, words: str) -> StoryError:
        return StoryError(f"{self._where}: {key} {words}")

    def take(self, key: str, wanted: Wanted) -> str | float | bool:
        value = self._data.pop(key, wanted.default)
        if value is None:
            raise self.error(key, f"is missing; it must be {wanted.words}")
        if not wanted.check(value) or not isinstance(value, str | float | int):
            raise self.error(key, f"must be {wanted.words}, not {value!r}")
        return value

    def seconds(self, key: str) -> float:
        try:
            return seconds(self._data.pop(key, None))
        except ValueError as error:
            raise self.error(key, str(error)) from None

    def finish(self) -> None:
        for key in self._data:
            raise self.error(key, "is no key of a story here")


def _event(where: str, data: Mapping[str, object]) -> Event:
    table = _Table(where, data)
    kind = str(table.take("kind", Wanted(KINDS.__contains__, "one of " + ", ".join(KINDS))))
    at, lasts = table.seconds("at"), table.seconds("for")
    if lasts <= 0.0:
        raise table.error("for", "must be longer than nothing")
    parameters = {key: table.take(key, wanted) for key, wanted in KINDS[kind][1].items()}
    table.finish()
    return Event(kind, at, lasts, parameters)


def _start(table: _Table) -> float:
    text = str(table.take("start", Wanted(a_name, "a local time such as 2026-01-15T06:00")))
    try:
        return local(text)
    except ValueError:
        raise table.error("start", f"must be a local time such as 2026-01-15T06:00, not {text!r}") from None


def load(path: Path) -> Story:
    """The story of a file; StoryError names file and key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StoryError(f"{path}: {error}") from None
    rows = data.pop("disturbance", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise StoryError(f"{path}: disturbance must be written as [[disturbance]]")
    table = _Table(str(path), data)
    start, duration = _start(table), table.seconds("duration")
    name = str(table.take("name", Wanted(a_name, "a name")))
    weather = str(table.take("weather", Wanted(a_name, "the name of a series", "beijing_2012_2014")))
    years = table.take("weather_years", Wanted(lambda years: isinstance(years, int), "a number of years", 0))
    table.finish()
    events = tuple(_event(f"{path}: disturbance {n}", row) for n, row in enumerate(rows, 1))
    for number, event in enumerate(events, 1):
        if event.at + event.lasts > duration:
            raise StoryError(f"{path}: disturbance {number}: at and for reach past the story's duration")
    return Story(name, start, duration, weather, int(years), events)


def shipped(name: str) -> Story:
    """A story the bench ships, e.g. `demo`."""
    return load(FOLDER / f"{name}.toml")
