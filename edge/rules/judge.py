"""What several verdicts ask: does the supplier answer for it, and where does the text stop. Pure.

Three answers: True, False, and None with the names of the facts or parameters that are missing.
"""

from datetime import date
from enum import StrEnum
from typing import Protocol

from edge.records import Cause
from edge.rules.facts import Phase
from edge.rules.model import Pack
from edge.rules.outage_sections import Boundary, CauseRow, Exemption, SupplierRow

Missing = tuple[str, ...]


class Outcome(StrEnum):
    """The verdict on a room's day or on many of them."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    UNDECIDED = "undecided"
    NOT_APPLICABLE = "not_applicable"  # out of season, or the text has no rule


class Circumstances(Protocol):
    """What outages and cold rooms have in common."""

    @property
    def cause(self) -> Cause: ...  # noqa: D102
    @property
    def supply_cut(self) -> bool | None: ...  # noqa: D102
    @property
    def supplier_at_fault(self) -> bool | None: ...  # noqa: D102
    @property
    def user_fault(self) -> bool: ...  # noqa: D102
    @property
    def trial_run(self) -> bool: ...  # noqa: D102
    @property
    def maintenance(self) -> bool: ...  # noqa: D102


def matches(row: CauseRow, facts: Circumstances) -> bool | None:
    """Whether a row speaks of these circumstances; None when `supply_cut` would have to be known."""
    if row.cause is not facts.cause:
        return False
    cut = facts.supply_cut
    answers = {
        None: True,
        "presumed": cut is not False,
        "proven": cut,
        "not": None if cut is None else not cut,
    }
    return answers[row.supply_cut]


def _applies(rule: Exemption, facts: Circumstances) -> bool | None:
    if rule.by_cause is not None:
        return matches(rule.by_cause, facts)
    flags = {
        "user_fault": facts.user_fault,
        "trial_run": facts.trial_run,
        "maintenance": facts.maintenance,
        "found_not_supplier": facts.supplier_at_fault is False,
    }
    return flags[rule.by_flag or ""]


def exemption(pack: Pack, facts: Circumstances, covers: str) -> tuple[Exemption | None, Missing]:
    """The first exemption that holds for an `outage` or a `room`, or what must be known to tell.

    Where a person has found the supplier at fault, a cause alone exempts no more.
    """
    missing: list[str] = []
    for rule in pack.exemptions:
        overruled = rule.by_cause is not None and facts.supplier_at_fault is True
        if covers not in rule.covers or overruled:
            continue
        applies = _applies(rule, facts)
        if applies:
            return rule, ()
        if applies is None:
            missing.append("supply_cut")
        if rule.by_cause is not None and facts.cause is Cause.UNKNOWN:
            missing.append("cause")
    return None, unique(missing)


def supplier_answers(pack: Pack, facts: Circumstances) -> tuple[bool | None, Missing]:
    """Whether the supplier is the cause: a person's finding first, then the pack's rows."""
    if facts.supplier_at_fault is not None:
        return facts.supplier_at_fault, ()
    if facts.user_fault:
        return False, ()
    rows = pack.supplier_fault.rows if pack.supplier_fault is not None else ()
    answers = [(row, matches(row, facts)) for row in rows]
    for row, match in answers:
        if match:
            return _row_answer(pack, row)
    undecided = any(match is None for _, match in answers)
    return None, ("supply_cut", "supplier_at_fault") if undecided else ("supplier_at_fault",)


def _row_answer(pack: Pack, row: SupplierRow) -> tuple[bool | None, Missing]:
    if row.supplier_parameter is None:
        return row.supplier, ()
    value = pack.flag(row.supplier_parameter)
    return value, () if value is not None else (row.supplier_parameter, "supplier_at_fault")


def in_phases(phases: tuple[Phase, ...], phase: Phase) -> bool | None:
    """Whether a rule holds in a phase; None when the phase is not known and the rule is limited."""
    if not phases or phase in phases:
        return True
    return None if phase is Phase.UNKNOWN else False


def reached(hours: float, limit_h: float, boundary: Boundary) -> bool:
    """`at_least` includes the figure (以上), `more_than` excludes it (超过)."""
    return hours >= limit_h if boundary == "at_least" else hours > limit_h


def validity(pack: Pack, day: date) -> Missing:
    """`validity` where the document is not in force on that day: told with each verdict, it stops none."""
    return () if pack.in_force(day) else ("validity",)


def unique(names: list[str] | Missing) -> Missing:
    """Each name once, in the order of its first mention."""
    return tuple(dict.fromkeys(names))
