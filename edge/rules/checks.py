"""Checks of a pack that need more than one section. Pure; each yields Problems."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise

from edge.rules.model import Pack
from edge.rules.outage_sections import Band
from edge.rules.problems import Problem
from edge.rules.sections import Cited, Parameter, Section

_LEAP_YEAR = 2024  # so that 02-29 is a day
_ALONE = frozenset({"season", "retention", "severe_cold"})  # other rooms ask for these parameters by name


def pack_problems(pack: Pack) -> Iterator[Problem]:
    """Everything wrong with a pack whose sections are sound by themselves."""
    yield from _silence(pack)
    yield from _clauses(pack)
    yield from _doubles(pack)
    yield from _dates(pack)
    yield from _bands(pack)
    yield from _classes(pack)
    yield from _references(pack)


def walk(section: Section, path: str = "") -> Iterator[tuple[str, Section]]:
    """Every section within, with its dotted path."""
    yield path, section
    for name in type(section).model_fields:
        value = getattr(section, name)
        inner = f"{path}.{name}" if path else name
        if isinstance(value, Section):
            yield from walk(value, inner)
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if isinstance(item, Section):
                    yield from walk(item, f"{inner}.{index}")


def _spoken(pack: Pack) -> dict[str, bool]:
    keys = {one.key for one in pack.statements}
    return {
        "season": pack.season is not None,
        "preparation": bool(pack.phases or pack.milestones),
        "room": pack.room is not None,
        "pass_rate": pack.pass_rate is not None,
        "sampling": pack.sampling is not None,
        "room_check": pack.room_check is not None,
        "settlement": pack.settlement is not None,
        "duties": bool(pack.duties),
        "repair": pack.repair is not None,
        "refund_room": pack.refund_room is not None,
        "refund_outage": pack.refund_outage is not None,
        "reports": bool(pack.reports),
        "retention": "retention" in keys,
        "severe_cold": "severe_cold" in keys,
        "metering": "metering" in keys,
    }


def _silence(pack: Pack) -> Iterator[Problem]:
    for topic, spoken in _spoken(pack).items():
        if spoken and topic in pack.silent:
            yield Problem(topic, "called silent, and a rule is given", "remove one of the two")
        if not spoken and topic not in pack.silent:
            yield Problem(topic, "no rule, and not named in `silent`", "add the rule or name it in `silent`")


def _clauses(pack: Pack) -> Iterator[Problem]:
    own = f"{pack.document.prefix}-"
    for path, section in walk(pack):
        clause = section.clause if isinstance(section, Cited | Parameter) else None
        if clause is not None and not clause.startswith(own):
            yield Problem(f"{path}.clause", f"{clause} is no clause of {pack.id}", f"cite one of {own}...")


def _doubles(pack: Pack) -> Iterator[Problem]:
    lists: dict[str, Sequence[str]] = {
        "duties": [one.id for one in pack.duties],
        "exemptions": [one.id for one in pack.exemptions],
        "milestones": [one.id for one in pack.milestones],
        "parameters": [one.name for one in pack.parameters],
        "statements": [one.key for one in pack.statements],
    }
    for key, names in lists.items():
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield Problem(key, f"{name} is given twice", "give each its own name")


def _dates(pack: Pack) -> Iterator[Problem]:
    for path, section in walk(pack):
        for name in ("start", "end", "by_end_of", "daily_from"):
            value = getattr(section, name, None)
            if value is not None and not _is_day(value):
                yield Problem(f"{path}.{name}", f"{value} is no day of the calendar", "write MM-DD")
    if pack.season is not None and pack.season.start == pack.season.end:
        yield Problem("season.end", "the season ends on the day it starts", "give the last day of the season")
    for index, phase in enumerate(pack.phases):
        if phase.start is not None and phase.end is not None and phase.end < phase.start:
            yield Problem(f"phases.{index}.end", "the phase ends before it starts", "put the dates in order")


def _is_day(month_day: str) -> bool:
    try:
        date.fromisoformat(f"{_LEAP_YEAR}-{month_day}")
    except ValueError:
        return False
    return True


def _bands(pack: Pack) -> Iterator[Problem]:
    if pack.refund_room is None or not pack.refund_room.bands:
        return
    bands = sorted(pack.refund_room.bands, key=lambda band: band.below_c)
    key = "refund_room.bands"
    for band in bands:
        if band.from_c is not None and band.from_c >= band.below_c:
            yield Problem(key, f"the band from {band.from_c} to {band.below_c} is empty", "order its ends")
    if bands[0].from_c is not None:
        yield Problem(key, f"a gap below {bands[0].from_c}", "leave out `from_c` of the coldest band")
    for colder, warmer in pairwise(bands):
        yield from _seam(key, colder, warmer)


def _seam(key: str, colder: Band, warmer: Band) -> Iterator[Problem]:
    remedy = "let each band begin where the colder one ends"
    if warmer.from_c is None or warmer.from_c < colder.below_c:
        reason = f"the bands below {colder.below_c} and below {warmer.below_c} are overlapping"
        yield Problem(key, reason, remedy)
    elif warmer.from_c > colder.below_c:
        yield Problem(key, f"a gap from {colder.below_c} to {warmer.from_c}", remedy)
    if warmer.share > colder.share:
        reason = f"the share falls from {warmer.share} to {colder.share} as the room gets colder"
        yield Problem(key, reason, "a colder room never gets less back")


def _classes(pack: Pack) -> Iterator[Problem]:
    if pack.repair is None:
        return
    key, classes = "repair.classes", pack.repair.classes
    if classes[-1].recoverable_within_h is not None:
        yield Problem(key, "the last class has a limit, so longer stops have no class", "leave its limit out")
    for shorter, longer in pairwise(classes):
        limit, next_limit = shorter.recoverable_within_h, longer.recoverable_within_h
        if limit is None or (next_limit is not None and next_limit <= limit):
            yield Problem(key, f"{longer.key} does not lie above {shorter.key}", "put the shortest first")
        if longer.deadline_h <= shorter.deadline_h:
            reason = f"{longer.key} must be repaired no later than {shorter.key}"
            yield Problem(key, reason, "let the deadlines grow with the classes")


def _references(pack: Pack) -> Iterator[Problem]:
    declared = {one.name: one for one in pack.parameters}
    used: set[str] = set()
    for path, section in walk(pack):
        for name in type(section).model_fields:
            value = getattr(section, name)
            if name.endswith("_parameter") and isinstance(value, str):
                used.add(value)
                if value not in declared:
                    yield Problem(f"{path}.{name}", f"no parameter {value}", "declare it in [[parameters]]")
    wants_repair = any(duty.deadline.urgency == "repair_class" for duty in pack.duties)
    if wants_repair and pack.repair is None:
        yield Problem("duties", "a deadline by repair class, but no classes", "add [repair]")
    for name, parameter in declared.items():
        if name not in used and parameter.topic not in _ALONE:
            yield Problem(f"parameters.{name}", "no rule needs it", "remove it or name it in a rule")
