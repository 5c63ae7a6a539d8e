"""The refund basis of an outage: kind, quantity and share, with clause, evidence and what is missing. Pure.

The basis only: the money itself is never the gateway's.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from edge.records import Plain
from edge.rules.civil import DAY_S, HOUR_S, days_touched, local_day
from edge.rules.facts import OutageFacts
from edge.rules.judge import Missing, exemption, in_phases, reached, supplier_answers, unique, validity
from edge.rules.model import Pack
from edge.rules.outage_sections import OutageRefund


class RefundKind(StrEnum):
    """How a refund is counted."""

    NONE = "none"
    BY_DAY = "by_day"
    BY_HOUR = "by_hour"
    FULL_DAYS = "full_days"


@dataclass(frozen=True, slots=True)
class RefundBasis:
    """What an outage is refunded by. `reason` tells why there is none, or "due".

    Reasons: `due`, `silent` (the text has no such rule), `below_threshold`, `exempt`, `not_supplier`,
    `out_of_season`. `quantity` is in `unit` ("day" or "hour"), `share` of the fee for that time (0 to 1);
    both None where they are not settled. While anything stands under `missing` the basis is not settled.
    """

    outage: str
    kind: RefundKind
    reason: str
    clauses: tuple[str, ...] = ()
    quantity: float | None = None
    unit: str = ""
    share: float | None = None
    exemption: str | None = None
    missing: Missing = ()
    evidence: Mapping[str, Plain] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """True when nothing is missing."""
        return not self.missing


def refund_basis(pack: Pack, outage: OutageFacts, now: float | None = None) -> RefundBasis:
    """The basis of one outage; of an outage that goes on, the provisional one at `now` (Unix s).

    An outage without end and without `now` counts up to its detection; `ended_at` is then missing.
    """
    end = outage.ended_at if outage.ended_at is not None else (outage.detected_at if now is None else now)
    evidence = _evidence(outage, end)
    rule = pack.refund_outage
    if rule is None:
        return RefundBasis(outage.id, RefundKind.NONE, "silent", evidence=evidence)
    hours = outage.duration(end) / HOUR_S
    running = () if outage.ended_at is not None else ("ended_at",)
    none = RefundBasis(outage.id, RefundKind.NONE, "", (rule.clause,), missing=running, evidence=evidence)
    season = in_phases(rule.phases, outage.phase)
    if season is False:
        return replace(none, reason="out_of_season")
    if not _passed(rule, hours):
        return replace(none, reason="below_threshold")
    basis = _answered(pack, rule, outage, none)
    if basis.reason:
        return basis
    unsure = () if season else ("season",)
    return _due(pack, rule, outage, end, replace(basis, missing=basis.missing + unsure))


def _passed(rule: OutageRefund, hours: float) -> bool:
    return rule.after_h is None or rule.boundary is None or reached(hours, rule.after_h, rule.boundary)


def _evidence(outage: OutageFacts, end: float) -> dict[str, Plain]:
    return {
        "lost_at": outage.lost_at,
        "ended_at": outage.ended_at,
        "counted_to": end,
        "hours": outage.duration(end) / HOUR_S,
        "cause": str(outage.cause),
        "supply_cut": outage.supply_cut,
        "planned": outage.planned,
    }


def _answered(pack: Pack, rule: OutageRefund, outage: OutageFacts, none: RefundBasis) -> RefundBasis:
    """`none` with a reason where nobody owes, else with what is missing to be sure."""
    exempt, unknown = exemption(pack, outage, "outage")
    if exempt is not None:
        return replace(none, reason="exempt", clauses=(rule.clause, exempt.clause), exemption=exempt.id)
    if not rule.supplier_fault:
        return replace(none, missing=none.missing + unknown)
    at_fault, needed = supplier_answers(pack, outage)
    if at_fault is False:
        return replace(none, reason="not_supplier")
    return replace(none, missing=none.missing + unknown + needed)


def _due(pack: Pack, rule: OutageRefund, outage: OutageFacts, end: float, basis: RefundBasis) -> RefundBasis:
    rounding = rule.rounding or pack.text(rule.rounding_parameter)
    share = rule.share if rule.share_parameter is None else pack.number(rule.share_parameter)
    by_hour = rule.kind == "by_hour"
    quantity = outage.duration(end) / HOUR_S if by_hour else _days(rounding, outage.start, end)
    missing = list(basis.missing)
    if quantity is None and rule.rounding_parameter is not None:
        missing.append(rule.rounding_parameter)
    if share is None and rule.share_parameter is not None:
        missing.append(rule.share_parameter)
    return replace(
        basis,
        kind=RefundKind(rule.kind),
        reason="due",
        quantity=quantity,
        unit="hour" if by_hour else "day",
        share=share,
        missing=unique((*missing, *validity(pack, local_day(outage.lost_at)))),
        evidence={**basis.evidence, "words": rule.words, "rounding": rounding},
    )


def _days(rounding: str | None, start: float, end: float) -> float | None:
    return None if rounding is None else _ROUNDINGS[rounding](start, end)


_ROUNDINGS: dict[str, Callable[[float, float], float]] = {
    "exact": lambda start, end: max(0.0, end - start) / DAY_S,
    "full_24h": lambda start, end: float(max(0, math.floor((end - start) / DAY_S))),
    "started_24h": lambda start, end: float(max(0, math.ceil((end - start) / DAY_S))),
    "calendar_day": lambda start, end: float(days_touched(start, end)),
}
