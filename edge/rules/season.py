"""The heating year: phases, the season's days, what must be ready when, and what follows its end. Pure."""

from dataclasses import dataclass
from datetime import date, timedelta

from edge.rules.civil import DAY_S, HOUR_S, add_months, end_of, midnight
from edge.rules.facts import Phase, SeasonSetting
from edge.rules.judge import Missing, unique, validity
from edge.rules.model import Pack
from edge.rules.sections import MilestoneRule, PhaseRule, SeasonChange


@dataclass(frozen=True, slots=True)
class SeasonPhase:
    """Where a day lies. `start` and `end`: first and last local day of the season it belongs to or awaits.

    `set_by`: "text", "order" (a government's; `document` is its number), "site" (the text is silent),
    "nobody". `against` names a clause that the setting breaks, as an early end does in some texts.
    """

    phase: Phase
    clause: str | None
    start: date | None
    end: date | None
    set_by: str
    document: str | None = None
    against: str | None = None
    missing: Missing = ()

    @property
    def days(self) -> int | None:
        """Length of the season in days, the first and the last included."""
        return None if self.start is None or self.end is None else (self.end - self.start).days + 1


def season_phase(pack: Pack, day: date, setting: SeasonSetting | None = None) -> SeasonPhase:
    """The phase of a local day.

    Where the text names a season, only an order with its document number, who entered it and when moves it;
    any other setting is not followed and `season.document` is missing. Where the text is silent, the setting
    is the season; without one the site's bound `season_start` and `season_end` are.
    """
    season = _season(pack, day, setting or bound_season(pack))
    phase, clause = _phase(pack, day, season)
    missing = unique((*season.missing, *validity(pack, day)))
    return SeasonPhase(
        phase,
        clause or season.clause,
        season.start,
        season.end,
        season.set_by,
        season.document,
        season.against,
        missing,
    )


def bound_season(pack: Pack) -> SeasonSetting | None:
    """The season of the site's parameters, for packs whose text names none."""
    start, end = pack.text("season_start"), pack.text("season_end")
    if start is None or end is None:
        return None
    return SeasonSetting(date.fromisoformat(start), date.fromisoformat(end))


def _season(pack: Pack, day: date, setting: SeasonSetting | None) -> SeasonPhase:
    """The season in question; its phase is filled in later."""
    off = Phase.OFF
    if pack.season is None:
        return _silent_season(day, setting)
    clause = pack.season.clause
    start, end = text_season(pack.season.start, pack.season.end, day)
    text = SeasonPhase(off, clause, start, end, "text")
    if setting is not None and setting.is_order and setting.start <= day <= setting.end:
        start, end = text_season(pack.season.start, pack.season.end, setting.start)  # an extension's winter
    if setting is None or not _moves(setting, start, end):
        return text
    if not setting.is_order:
        return SeasonPhase(off, clause, start, end, "text", missing=("season.document",))
    change = _change(pack, setting, start, end)
    against = change.clause if change is not None and not change.allowed else None
    named = change.clause if change is not None else clause
    return SeasonPhase(off, named, setting.start, setting.end, "order", setting.document, against)


def _silent_season(day: date, setting: SeasonSetting | None) -> SeasonPhase:
    if setting is None:
        return SeasonPhase(Phase.UNKNOWN, None, None, None, "nobody", missing=("season_start", "season_end"))
    by = "order" if setting.is_order else "site"
    over = () if day <= setting.end else ("season_start", "season_end")  # of the winter to come
    return SeasonPhase(Phase.OFF, None, setting.start, setting.end, by, setting.document, missing=over)


def _moves(setting: SeasonSetting, start: date, end: date) -> bool:
    """A setting of another winter says nothing of this season."""
    same_winter = setting.start <= end and setting.end >= start
    return same_winter and (setting.start, setting.end) != (start, end)


def _change(pack: Pack, setting: SeasonSetting, start: date, end: date) -> SeasonChange | None:
    kind = "early_end" if setting.end < end else "early_start" if setting.start < start else "extension"
    return next((change for change in pack.season_changes if change.kind == kind), None)


def early_end_clause(pack: Pack) -> str | None:
    """The clause that forbids ending heat before the season's last day, or None where the text has none."""
    found = (one.clause for one in pack.season_changes if one.kind == "early_end" and not one.allowed)
    return next(found, None)


def text_season(start: str, end: str, day: date) -> tuple[date, date]:
    """First and last day of the season (MM-DD each) that `day` lies in or that comes next."""
    for year in (day.year - 1, day.year, day.year + 1):
        first = _on(year, start)
        last = _on(year if end > start else year + 1, end)
        if day <= last:
            return first, last
    raise AssertionError("the season of the next year ends after any day of this one")


def _on(year: int, month_day: str) -> date:
    """A day of a year; 29 February is the 28th where the year has none."""
    month, day = (int(part) for part in month_day.split("-"))
    return add_months(date(year, 1, day), month - 1)


def _phase(pack: Pack, day: date, season: SeasonPhase) -> tuple[Phase, str | None]:
    for rule in pack.phases:
        if _in_phase(rule, day, season.start):
            return rule.phase, rule.clause
    if season.start is None or season.end is None:
        return Phase.UNKNOWN, None
    return (Phase.SEASON if season.start <= day <= season.end else Phase.OFF), None


def _in_phase(rule: PhaseRule, day: date, season_start: date | None) -> bool:
    if rule.start is not None and rule.end is not None:
        return rule.start <= f"{day:%m-%d}" <= rule.end
    if season_start is None or rule.months_before_season is None:
        return False
    return add_months(season_start, -rule.months_before_season) <= day < season_start


@dataclass(frozen=True, slots=True)
class Milestone:
    """Something to be ready by `due` (Unix s), or each day from `daily_from` on; None while not known."""

    id: str
    clause: str
    words: str
    action: str  # catalogue key `milestone.<id>`
    due: float | None
    daily_from: float | None = None
    missing: Missing = ()


def milestones(pack: Pack, season_start: date | None, fill_on: date | None = None) -> tuple[Milestone, ...]:
    """What the preparation of a season asks, in the order of the document.

    A time before a day is due at that day's first moment, so many days earlier; `by_end_of` at its 24:00.
    """
    return tuple(_milestone(pack, rule, season_start, fill_on) for rule in pack.milestones)


def _milestone(pack: Pack, rule: MilestoneRule, season_start: date | None, fill_on: date | None) -> Milestone:
    due, missing = _milestone_due(pack, rule, season_start, fill_on)
    first = None
    if rule.daily_from is not None and season_start is not None:
        first = midnight(_before(season_start, rule.daily_from))
    return Milestone(rule.id, rule.clause, rule.words, f"milestone.{rule.id}", due, first, missing)


def _milestone_due(
    pack: Pack, rule: MilestoneRule, season_start: date | None, fill_on: date | None
) -> tuple[float | None, Missing]:
    named = pack.number(rule.days_before_fill_parameter)
    if rule.days_before_fill_parameter is not None and named is None:
        return None, (rule.days_before_fill_parameter,)
    ahead = named if rule.days_before_fill is None else float(rule.days_before_fill)
    if ahead is not None:
        return (None, ("fill_on",)) if fill_on is None else (midnight(fill_on) - ahead * DAY_S, ())
    if season_start is None:
        return None, ("season_start",)
    if rule.by_end_of is not None:
        return end_of(_before(season_start, rule.by_end_of)), ()
    if rule.months_before_season is not None:
        return midnight(add_months(season_start, -rule.months_before_season)), ()
    return midnight(season_start - timedelta(days=rule.days_before_season or 0)), ()


def _before(season_start: date, month_day: str) -> date:
    """The last such day not after the season's first day."""
    this_year = _on(season_start.year, month_day)
    return this_year if this_year <= season_start else _on(season_start.year - 1, month_day)


def settlement_due(pack: Pack, season_end: date) -> Milestone | None:
    """Until when refunds are settled (24:00 of the day), or None where the text names no time."""
    rule = pack.settlement
    if rule is None:
        return None
    due = end_of(add_months(season_end, rule.months_after_season))
    return Milestone("settle_refunds", rule.clause, rule.words, "milestone.settle_refunds", due)


def room_check_due(pack: Pack, requested_at: float) -> Milestone | None:
    """Until when a room is measured on site after a user's request, or None where the text names no time."""
    rule = pack.room_check
    if rule is None:
        return None
    due = requested_at + rule.within_h * HOUR_S
    return Milestone("check_room", rule.clause, rule.words, "milestone.check_room", due)
