"""The refund of a room's day below standard: by bands of temperature, or by a share of the contract. Pure."""

from dataclasses import dataclass, replace
from statistics import fmean

from edge.rules.facts import RoomDay
from edge.rules.judge import Missing, Outcome, exemption, supplier_answers, unique
from edge.rules.model import Pack
from edge.rules.outage_sections import Band, RoomRefund


@dataclass(frozen=True, slots=True)
class RoomRefundShare:
    """Refund of one room's day; `share` of that day's fee (0 to 1), None where it is not settled."""

    kind: str  # "bands", "by_day", "by_time", "none"
    reason: str  # "due", "silent", "compliant", "undecided", "exempt", "not_supplier", "condition", "no_band"
    clauses: tuple[str, ...] = ()
    share: float | None = None
    missing: Missing = ()


def room_refund(pack: Pack, facts: RoomDay, outcome: Outcome, values: list[float]) -> RoomRefundShare:
    """The refund of a room's day; `values` are its good readings in rising order (degC)."""
    rule = pack.refund_room
    if rule is None:
        return RoomRefundShare("none", "silent")
    none = RoomRefundShare("none", "compliant", (rule.clause,))
    if outcome is Outcome.UNDECIDED:
        return replace(none, reason="undecided", missing=("verdict",))
    if outcome is not Outcome.FAIL:
        return none
    exempt, unknown = exemption(pack, facts, "room")
    if exempt is not None:
        return replace(none, reason="exempt", clauses=(rule.clause, exempt.clause))
    reason, missing = _conditions(pack, rule, facts)
    if reason != "due":
        return replace(none, reason=reason)
    return _share(pack, rule, values, replace(none, kind=rule.kind, reason="due", missing=unknown + missing))


def _conditions(pack: Pack, rule: RoomRefund, facts: RoomDay) -> tuple[str, Missing]:
    """Whether the text's conditions hold: the site's flag, and the supplier being the cause."""
    name = rule.condition_parameter
    condition = True if name is None else pack.flag(name)
    if condition is False:
        return "condition", ()
    unset = () if condition or name is None else (name,)
    if not rule.supplier_fault:
        return "due", unset
    at_fault, needed = supplier_answers(pack, facts)
    return ("not_supplier", ()) if at_fault is False else ("due", unset + needed)


def _share(pack: Pack, rule: RoomRefund, values: list[float], due: RoomRefundShare) -> RoomRefundShare:
    if not rule.bands:
        share = pack.number(rule.share_parameter)
        needed = () if share is not None else (rule.share_parameter or "",)
        return replace(due, share=share, missing=unique((*due.missing, *needed)))
    how = pack.text(rule.day_value_parameter)
    if how is None:
        return replace(due, missing=unique((*due.missing, rule.day_value_parameter or "")))
    band = refund_band(pack, values[0] if how == "lowest" else fmean(values))
    if band is None:
        return replace(due, kind="none", reason="no_band")
    return replace(due, share=band.share, clauses=unique((*due.clauses, band.clause)))


def refund_band(pack: Pack, temperature_c: float) -> Band | None:
    """The band of a room temperature (degC): lower end included, upper end not; None above all bands."""
    bands = pack.refund_room.bands if pack.refund_room is not None else ()
    for band in bands:
        if (band.from_c is None or temperature_c >= band.from_c) and temperature_c < band.below_c:
            return band
    return None
