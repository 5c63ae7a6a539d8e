"""What is rebuilt of outages, degraded supply, leaks and plans after a restart. Pure.

The journal alone says what is open: its newest row of each subject. The memory beside it, saved now and then,
adds what no row holds: timers that run, nights that were learned, the account of heat not delivered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edge.events import degraded, group, leak, outage_record, planned
from edge.events.degraded import DegradedWatch
from edge.events.heat import Station
from edge.events.leak import LeakWatch
from edge.events.outage import CircuitWatch, Phase
from edge.events.outage_record import Outage
from edge.events.plain import mapping, number, optional
from edge.events.undelivered import Account, from_plain
from edge.records import Plain

_OPEN = frozenset({"outage.started", "outage.changed"})
_OVER = frozenset({"outage.ended", "outage.revised"})
FAMILIES = frozenset({"outage", "supply", "leak", "station"})


@dataclass(slots=True)
class Rebuilt:
    """Circuits and station while rows are taken in."""

    circuits: dict[str, CircuitWatch] = field(default_factory=dict)
    station: Station = field(default_factory=Station)

    def take(self, row: Mapping[str, Plain]) -> None:
        """The newest row of one subject; KeyError, TypeError or ValueError when it cannot be understood."""
        kind, subject, body = str(row["kind"]), str(row["subject"]), row["body"]
        old = self.circuits.get(subject, CircuitWatch())
        if kind in _OPEN:
            known = outage_record.from_body(body)
            self.circuits[subject] = replace(old, phase=Phase.OUT, warm=True, outage=known)
        elif kind in _OVER:
            self.circuits[subject] = replace(old, last=outage_record.from_body(body))
        elif kind == "supply.degraded":
            watch = DegradedWatch(open=degraded.from_body(body))
            self.circuits[subject] = replace(old, warm=True, degraded=watch)
        elif kind in ("leak.suspected", "leak.confirmed"):
            self.circuits[subject] = replace(old, leak=LeakWatch(open=leak.from_body(body)))
        elif kind == "station.stopped":
            self.station = replace(self.station, group=group.from_body(body))
        elif kind == "outage.planned":
            plan = planned.from_body(body)
            self.station = replace(self.station, plans={**self.station.plans, plan.stop.id: plan})


def to_plain(watch: CircuitWatch, moment: float) -> dict[str, Plain]:
    """Of one circuit; `moment` is monotonic now."""
    outage, open_one = watch.outage, watch.degraded.open
    return {
        "degraded": degraded.to_plain(watch.degraded, moment),
        "leak": leak.to_plain(watch.leak, moment),
        "account": watch.account.body(),
        "partial_age": None if watch.partial_since is None else moment - watch.partial_since,
        "outage": None if outage is None else {"id": outage.id, **_kept(outage)},
        "degraded_since": None if open_one is None else open_one.since,
    }


def _kept(outage: Outage) -> dict[str, Plain]:
    return {
        "account": outage.account.body(),
        "causes": [span.body() for span in outage.spans],
        "undated": outage.undated,
        "clock_s": outage.clock_s,
    }


def resumed(watch: CircuitWatch, plain: Plain, saved: float, fresh: bool) -> CircuitWatch:
    """The watch as rebuilt from the journal, with what the memory of any age adds.

    `saved` is the monotonic time of now at which it was saved; `fresh`: only then its timers still run. A
    memory that is not understood is left aside.
    """
    try:
        body = mapping(plain)
        kept = leak.from_plain(body["leak"], saved)
        if fresh or kept.nights:
            watch = replace(watch, leak=replace(kept, open=watch.leak.open or kept.open))
        watch = replace(watch, outage=_completed(watch.outage, body["outage"]))
        return _timed(watch, body, saved) if fresh else watch
    except (KeyError, TypeError, ValueError):
        return watch


def _completed(outage: Outage | None, plain: Plain) -> Outage | None:
    """Heat counted, causes seen and steps of the clock since the newest row of the same outage."""
    if outage is None or plain is None:
        return outage
    body = mapping(plain)
    if body["id"] != outage.id:
        return outage
    account = from_plain(body["account"])
    spans = outage_record.spans_of(body["causes"])
    later = account.counted_s >= outage.account.counted_s
    if later and not outage.clock_s:  # no row has been written since the clock was set
        outage = replace(outage, clock_s=optional(body.get("clock_s")) or 0.0)
    return replace(outage, account=account, spans=spans) if later else outage


def _timed(watch: CircuitWatch, body: Mapping[str, Plain], saved: float) -> CircuitWatch:
    partial = optional(body["partial_age"])
    low = mapping(body["degraded"])
    found = DegradedWatch(
        low_since=_since(low["low_age"], saved),
        back_since=_since(low["back_age"], saved),
        lowest=number(low["lowest"]),
        account=from_plain(low["account"]),
        open=watch.degraded.open,
    )
    account: Account = from_plain(body["account"])
    since = None if partial is None or watch.outage is None else saved - partial
    return replace(watch, degraded=found, account=account, partial_since=since)


def _since(age: Plain, saved: float) -> float | None:
    known = optional(age)
    return None if known is None else saved - known
