"""The lowest lawful temperature of a room: by the text, the unit's usage rates, or the contract. Pure."""

from dataclasses import dataclass, replace

from edge.rules.facts import RoomDay, UsageRates
from edge.rules.judge import Missing
from edge.rules.model import Pack
from edge.rules.sections import RoomRule, UsageRow


@dataclass(frozen=True, slots=True)
class Threshold:
    """The lowest lawful temperature of a room (degC), or None with what is missing or why there is none."""

    value_c: float | None
    clauses: tuple[str, ...] = ()
    reason: str = ""  # "silent", "by_agreement", "contract"
    missing: Missing = ()


def threshold_of(pack: Pack, facts: RoomDay) -> Threshold:
    """The threshold of the room of these facts, a dwelling or not."""
    if facts.residential:
        return room_threshold(pack, facts.usage, facts.contract_c)
    other = pack.room.non_residential if pack.room is not None else None
    if other is None:
        return Threshold(None, reason="silent")
    return _named(pack, other.threshold_parameter, other.clause, facts.contract_c)


def room_threshold(pack: Pack, usage: UsageRates | None = None, contract_c: float | None = None) -> Threshold:
    """The threshold of a dwelling, by the unit's usage rates where the text asks for them."""
    rule = pack.room
    if rule is None:
        return Threshold(None, reason="silent")
    if rule.by_usage:
        return _by_usage(pack, rule, usage, contract_c)
    if rule.threshold_parameter is None:
        return Threshold(rule.threshold_c, (rule.clause,))
    return _named(pack, rule.threshold_parameter, rule.clause, contract_c)


def _named(pack: Pack, name: str, clause: str, contract_c: float | None) -> Threshold:
    value = contract_c if contract_c is not None else pack.number(name)
    return Threshold(value, (clause,), "contract", () if value is not None else (name,))


def _by_usage(pack: Pack, rule: RoomRule, usage: UsageRates | None, contract_c: float | None) -> Threshold:
    condition = pack.flag(rule.condition_parameter)
    if rule.condition_parameter is not None and not condition:
        missing = (rule.condition_parameter,) if condition is None else ()
        return Threshold(None, (rule.clause,), "silent", missing)
    names = (rule.estate_usage_parameter, rule.zone_usage_parameter)
    rates = (
        (usage.estate_percent, usage.zone_percent)
        if usage is not None
        else (pack.number(names[0]), pack.number(names[1]))
    )
    unset = [name for name, rate in zip(names, rates, strict=True) if rate is None and name is not None]
    if rates[0] is None or rates[1] is None:
        return Threshold(None, (rule.clause,), "silent", tuple(unset))
    return _row(pack, rule, UsageRates(rates[0], rates[1]), contract_c)


def _row(pack: Pack, rule: RoomRule, rates: UsageRates, contract_c: float | None) -> Threshold:
    for row in rule.by_usage:
        if not _covers(row, rates):
            continue
        if row.threshold_parameter is None:
            return Threshold(row.threshold_c, (row.clause,))
        named = _named(pack, row.threshold_parameter, row.clause, contract_c)
        return replace(named, reason="by_agreement") if row.by_agreement else named
    return Threshold(None, (rule.clause,), "silent")  # rates of which the text says nothing


def _covers(row: UsageRow, rates: UsageRates) -> bool:
    below = row.zone_below_percent is None or rates.zone_percent < row.zone_below_percent
    reaches = rates.zone_percent >= row.zone_from_percent
    return rates.estate_percent >= row.estate_from_percent and reaches and below
