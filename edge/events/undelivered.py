"""The heat that an outage kept from the users, estimated, with its method and its doubt. Pure.

    heat due        by the outdoor temperature that control uses, on the line of the circuit's design load
    heat delivered  `meter` (heat meter), `flow` (flow and two temperatures), or `unmeasured`
    not delivered   due less delivered, over the time that was counted

While nothing measures what is delivered, all that was due is counted as not delivered, and all of it is in
doubt. Time that nobody saw (before the suspicion, the service's own dark time, no outdoor temperature) is no
heat and no loss: it stands apart as `not_counted_s`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.events.facts import CircuitFacts
from edge.events.plain import mapping, number
from edge.records import Plain

_MOST_STEP_S = 60.0  # a longer pause between two cycles was not watched
_UNMEASURED = "unmeasured"
# Shares of doubt (our judgement): a design load stated by the site, or the usual one assumed; heat meters
# keep within some per cent (EN 1434 class 3 at part load), a flow with two uncalibrated sensors does not.
_LOAD_DOUBT = {True: 0.2, False: 0.4}
_DELIVERED_DOUBT = {"meter": 0.05, "flow": 0.15}


@dataclass(frozen=True, slots=True)
class Account:
    """Sums over the time counted. `by` is kWh delivered, or due while unmeasured, by how it is known."""

    counted_s: float = 0.0
    due_kwh: float = 0.0
    by: Mapping[str, float] = field(default_factory=dict)

    def plus(self, other: "Account") -> "Account":
        """Both together."""
        names = self.by.keys() | other.by.keys()
        by = {name: self.by.get(name, 0.0) + other.by.get(name, 0.0) for name in sorted(names)}
        return Account(self.counted_s + other.counted_s, self.due_kwh + other.due_kwh, by)

    def body(self) -> dict[str, Plain]:
        """As it is remembered."""
        return {"counted_s": self.counted_s, "due_kwh": self.due_kwh, "by": dict(self.by)}


NOTHING = Account()


def from_plain(value: Plain) -> Account:
    """An account from its body; KeyError, TypeError or ValueError when it is none."""
    body = mapping(value)
    by = {name: number(kwh) for name, kwh in mapping(body["by"]).items()}
    return Account(number(body["counted_s"]), number(body["due_kwh"]), by)


def count(account: Account, facts: CircuitFacts, seconds: float) -> Account:
    """The account with one more step of so many seconds; unchanged where the heat due is not known."""
    due_kw = facts.due_kw
    if due_kw is None or facts.due is not True or not 0.0 < seconds <= _MOST_STEP_S:
        return account
    hours = seconds / 3600.0
    delivered = facts.delivered_kw
    power_kw, how = (due_kw, _UNMEASURED) if delivered is None else delivered
    by = {**account.by, how: account.by.get(how, 0.0) + power_kw * hours}
    return Account(account.counted_s + seconds, account.due_kwh + due_kw * hours, by)


def estimate(account: Account, lasted_s: float, load_given: bool) -> dict[str, Plain]:
    """What the record says of it: kWh with doubt (plus or minus), method, and what was not counted."""
    delivered = {how: kwh for how, kwh in account.by.items() if how in _DELIVERED_DOUBT}
    doubt = _LOAD_DOUBT[load_given] * account.due_kwh
    doubt += sum(_DELIVERED_DOUBT[how] * kwh for how, kwh in delivered.items())
    doubt += account.by.get(_UNMEASURED, 0.0)
    known = account.counted_s > 0.0
    kwh = max(0.0, account.due_kwh - sum(delivered.values()))
    return {
        "kwh": round(kwh, 1) if known else None,
        "doubt_kwh": round(doubt, 1) if known else None,
        "due_kwh": round(account.due_kwh, 1) if known else None,
        "due_method": "design_load" if load_given else "usual_load",
        "delivered_kwh": {how: round(kwh, 1) for how, kwh in delivered.items()},
        "delivered_methods": sorted(account.by),
        "counted_s": round(account.counted_s),
        "not_counted_s": round(max(0.0, lasted_s - account.counted_s)),
    }
