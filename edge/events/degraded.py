"""Degraded supply: less heat than is due, and yet no stop. A pure state machine beside the outage's.

    what is known of the circuit                                        it is
    pump stands, mains or pressure lost, no heat drawn without source   a stop (evidence.py)
    supply too cold, heat measured below `stop_share` of that due       a stop
    supply too cold, nothing measures the heat                          a stop
    supply short, heat from `stop_share` to below `degraded_share`      degraded, after `degraded_s`
    heat at `degraded_share` and a tenth of it more, or supply near     restored, after `recover_s`
    a stop begins while degraded                                        the stop takes over: degraded ends
    out, and `stop_share` half as much again for `degraded_s` on end    the stop is over when that began,
                                                                        degraded from the same moment
Two things must say it: the share of heat (by meter, else flow and temperatures, else the emitters' law), and
a supply below its setpoint by a quarter of the deficit. A meter that shows little at a full supply shows
that little is used. Heat due needs the site's own design load; without it only temperatures are compared.
A degraded supply opens no duty of a stop: its events are kinds of their own.
"""

from dataclasses import dataclass, replace

from edge.clock import Instant
from edge.events.facts import CircuitFacts
from edge.events.outage_record import affected
from edge.events.plain import mapping, number
from edge.events.undelivered import NOTHING, Account, count, estimate, from_plain
from edge.records import Event, Plain

_BACK = 1.1  # times the share: noise at the limit ends nothing


@dataclass(frozen=True, slots=True)
class Degraded:
    """A degraded supply that is not over. Unix s; `lowest` is the smallest share seen, `method` how."""

    circuit: str
    since: float
    detected_at: float
    lowest: float
    method: str
    account: Account = NOTHING

    def body(self) -> dict[str, Plain]:
        """What the journal keeps: enough to rebuild it after a restart."""
        return {
            "circuit": self.circuit,
            "since": self.since,
            "detected_at": self.detected_at,
            "lowest_share": round(self.lowest, 3),
            "method": self.method,
            "account": self.account.body(),
        }


@dataclass(frozen=True, slots=True)
class DegradedWatch:
    """The memory of one circuit. Monotonic s; `lowest` and `account` count from `low_since` on."""

    low_since: float | None = None
    back_since: float | None = None
    lowest: float = 1.0
    account: Account = NOTHING
    open: Degraded | None = None


_AT_REST = DegradedWatch()


def from_body(value: Plain) -> Degraded:
    """From its journal body; KeyError, TypeError or ValueError when it is none."""
    body = mapping(value)
    return Degraded(
        str(body["circuit"]),
        number(body["since"]),
        number(body["detected_at"]),
        number(body["lowest_share"]),
        str(body["method"]),
        from_plain(body["account"]),
    )


def step(
    watch: DegradedWatch, facts: CircuitFacts, warm: bool, out: bool, seconds: float, now: Instant
) -> tuple[DegradedWatch, tuple[Event, ...]]:
    """One cycle of one circuit. `warm`: it was at its setpoint, or had time to be; `out`: a stop is open."""
    if facts.due is None:
        return watch, ()
    if not facts.due:
        return _ended(watch, facts, "heat_not_due", now.monotonic, now)
    low = _low(facts, watch) if warm else False
    watch = _timed(watch, low, facts, seconds, now.monotonic)
    detection = facts.circuit.detection
    if out:
        return _interrupted(watch, facts, now)
    if watch.open is not None:
        back = watch.back_since
        if back is not None and now.monotonic - back >= detection.recover_s:
            return _ended(watch, facts, "heat_back", back, now)
        return watch, ()
    since = watch.low_since
    if since is None or now.monotonic - since < detection.degraded_s or not low:
        return watch, ()
    return _begun(watch, facts, since, now)


def _low(facts: CircuitFacts, watch: DegradedWatch) -> bool | None:
    """Whether less heat than due is given; None when it is not known."""
    share, short = facts.heat_share, facts.supply_short
    if share is None or short is None:
        return None
    limit = facts.circuit.detection.degraded_share * (_BACK if watch.open is not None else 1.0)
    return short and share[0] < limit


def _timed(
    watch: DegradedWatch, low: bool | None, facts: CircuitFacts, seconds: float, moment: float
) -> DegradedWatch:
    """What is not known neither begins nor ends anything; time in it is not counted either."""
    if low is None:
        return watch
    if not low:
        back = moment if watch.back_since is None else watch.back_since
        if watch.open is not None:
            return replace(watch, back_since=back)
        return _AT_REST
    share = facts.heat_share
    lowest = watch.lowest if share is None else min(watch.lowest, share[0])
    account = count(watch.account, facts, seconds)
    since = moment if watch.low_since is None else watch.low_since
    return replace(watch, low_since=since, back_since=None, lowest=lowest, account=account)


def _begun(
    watch: DegradedWatch, facts: CircuitFacts, since: float, now: Instant
) -> tuple[DegradedWatch, tuple[Event, ...]]:
    share = facts.heat_share
    begun = now.wall - (now.monotonic - since)
    found = Degraded(
        facts.circuit.id,
        begun,
        now.wall,
        watch.lowest,
        "" if share is None else share[1],
        watch.account,
    )
    body = found.body() | _measured(facts) | affected(facts.circuit)
    event = Event("supply.degraded", found.circuit, begun, now.wall, body)
    return replace(watch, open=found), (event,)


def _measured(facts: CircuitFacts) -> dict[str, Plain]:
    share, delivered, due = facts.heat_share, facts.delivered_kw, facts.due_kw
    return {
        "share": None if share is None else round(share[0], 3),
        "limit": facts.circuit.detection.degraded_share,
        "delivered_kw": None if delivered is None else round(delivered[0], 1),
        "due_kw": None if due is None else round(due, 1),
        "supply_c": facts.supply_c,
        "setpoint_c": facts.setpoint_c,
    }


def _interrupted(
    watch: DegradedWatch, facts: CircuitFacts, now: Instant
) -> tuple[DegradedWatch, tuple[Event, ...]]:
    """A stop is open: a degraded supply is over, what is low may go on to be one after it."""
    if watch.open is None:
        return watch, ()
    _, events = _ended(watch, facts, "stop", now.monotonic, now)
    return DegradedWatch(), events


def _ended(
    watch: DegradedWatch, facts: CircuitFacts, reason: str, moment: float, now: Instant
) -> tuple[DegradedWatch, tuple[Event, ...]]:
    found = watch.open
    if found is None:
        return DegradedWatch(), ()
    ended = max(found.since, now.wall - (now.monotonic - moment))
    given = facts.circuit.load.design_w_per_m2 is not None
    body = replace(found, lowest=watch.lowest, account=watch.account).body() | {
        "ended_at": ended,
        "end_reason": reason,
        "undelivered": estimate(watch.account, ended - found.since, given),
        **affected(facts.circuit),
    }
    return DegradedWatch(), (Event("supply.restored", found.circuit, ended, now.wall, body),)


def to_plain(watch: DegradedWatch, moment: float) -> dict[str, Plain]:
    """The memory; `moment` is monotonic now. What is open stands in the journal."""
    low, back = watch.low_since, watch.back_since
    return {
        "low_age": None if low is None else moment - low,
        "back_age": None if back is None else moment - back,
        "lowest": watch.lowest,
        "account": watch.account.body(),
    }
