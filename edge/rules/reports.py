"""How often the authority is reported to on a day, and the period the report covers. Pure."""

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from edge.rules.facts import Phase, SeasonSetting
from edge.rules.judge import Missing, in_phases, unique, validity
from edge.rules.model import Pack
from edge.rules.season import season_phase
from edge.rules.sections import ReportRule
from edge.rules.values import periods


@dataclass(frozen=True, slots=True)
class Cadence:
    """`kind`: "half_month", "week", "day", or None with a `reason` ("silent", "out_of_season").

    `first` and `last` are the local days the report of that day covers.
    """

    kind: str | None
    reason: str
    clause: str | None = None
    first: date | None = None
    last: date | None = None
    missing: Missing = ()


def report_cadence(pack: Pack, day: date, setting: SeasonSetting | None = None) -> Cadence:
    """The most frequent report the text asks for on a local day."""
    if not pack.reports:
        return Cadence(None, "silent")
    season = season_phase(pack, day, setting)
    answers = [(rule, *_applies(pack, rule, day, season.phase)) for rule in pack.reports]
    missing = unique(tuple(name for _, _, names in answers for name in names))
    missing = unique((*missing, *season.missing, *validity(pack, day)))
    applying = [rule for rule, applies, _ in answers if applies]
    if not applying:
        return Cadence(None, "out_of_season", pack.reports[0].clause, missing=missing)
    chosen = max(applying, key=lambda rule: _ORDER.index(rule.cadence))
    first, last = _PERIODS[chosen.cadence](day)
    return Cadence(chosen.cadence, "due", chosen.clause, first, last, missing)


def _applies(pack: Pack, rule: ReportRule, day: date, phase: Phase) -> tuple[bool, Missing]:
    if not in_phases(rule.phases, phase):
        return False, ()
    if rule.periods_parameter is None and rule.always_parameter is None:
        return True, ()
    always, listed = pack.flag(rule.always_parameter), pack.text(rule.periods_parameter)
    named = any(first <= day <= last for first, last in periods(listed or ""))
    unset = ((rule.always_parameter, always), (rule.periods_parameter, listed))
    missing = tuple(name for name, value in unset if name is not None and value is None)
    return bool(always) or named, missing


def _half_month(day: date) -> tuple[date, date]:
    """1st to 15th, 16th to the month's end: the plain reading of 半月; the text names no days."""
    if day.day <= 15:
        return day.replace(day=1), day.replace(day=15)
    return day.replace(day=16), day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _week(day: date) -> tuple[date, date]:
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=6)


_ORDER = ("half_month", "week", "day")
_PERIODS: dict[str, Callable[[date], tuple[date, date]]] = {
    "half_month": _half_month,
    "week": _week,
    "day": lambda day: (day, day),
}
