"""Leaks found by make-up water against a learned night base. Pure.

Make-up is counted by the hour: by the total of its meter (every change of meter already bridged, totals.py),
else by the flow. At night nobody vents or fills, and what is made up then is what is lost.

    base        median of the nights' rates (01:00 to 05:00), of at most 14; judged from `nights` nights on
    learned     base + the greatest of (factor - 1) base, five times the median deviation, and a share of the
                trade's limit; never above the trade's limit
    trade       1 % of the circulation (alarms.py)

    stage        condition                                             next         journal
    none         an hour, or less, above the trade's limit             suspected    leak.suspected
    none         six hours above the learned limit                     suspected    leak.suspected
    suspected    two hours above the trade's limit                     confirmed    leak.confirmed
    suspected    twelve hours, both halves above the learned limit     confirmed    leak.confirmed
    any          an hour within the trade's limit, and six hours
                 below four fifths of the lower limit                  none         leak.cleared
Filling and commissioning are no leak: nothing is judged while heat is not due, nor in the first day after.
The learned limit is not asked of hours in an outage and six hours after it: water that cools shrinks. Nights
with a leak, or with a gap, are not learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from statistics import fmean, median
from zoneinfo import ZoneInfo

from edge.clock import ClockState, Instant
from edge.events.alarms import MAKEUP_M3H_PER_M2
from edge.events.facts import CircuitFacts
from edge.events.plain import mapping, number, optional
from edge.records import Event, Plain
from edge.site import Circuit

_LOCAL = ZoneInfo("Asia/Shanghai")
_HOUR_S = 3600.0
_HOUR_BOUNDS_S = (3000.0, 4200.0)  # of an hour that was seen whole and not stretched by a clock that was set
_GAP_S = 900.0  # a longer silence breaks the series of hours
_NIGHT_END, _NIGHT_HOURS, _MOST_NIGHTS = 5, 4, 14
_LONG, _SHORT = 6, 2  # hours
_DEVIATIONS, _CLEAR_SHARE = 5.0, 0.8
_SETTLING_S, _COOLED_S = 86_400.0, 6 * _HOUR_S


class Stage(StrEnum):
    """How sure a leak is."""

    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Leak:
    """A leak that is not over. Unix s, m3/h; `base_m3h` None: not learned yet. `why`: trade or night_base."""

    stage: Stage
    since: float
    why: str
    rate_m3h: float
    base_m3h: float | None
    limit_m3h: float
    volume_m3: float

    def body(self) -> dict[str, Plain]:
        """What the journal keeps: enough to rebuild it after a restart."""
        return {
            "stage": self.stage.value,
            "since": self.since,
            "why": self.why,
            "rate_m3h": round(self.rate_m3h, 4),
            "base_m3h": None if self.base_m3h is None else round(self.base_m3h, 4),
            "limit_m3h": round(self.limit_m3h, 4),
            "volume_m3": round(self.volume_m3, 3),
        }


@dataclass(frozen=True, slots=True)
class LeakWatch:
    """The memory of one circuit. `hours`: m3/h of whole hours without a gap, newest last; monotonic s.

    `volume_m3` is that of the running hour, which began at `began` and is hour number `hour` of Unix time.
    """

    hours: tuple[float, ...] = ()
    volume_m3: float = 0.0
    hour: int | None = None
    began: float = 0.0
    total_m3: float | None = None
    seen: float | None = None
    settled_at: float | None = None  # heat is due and the network is full from here on
    cooled_until: float = float("-inf")
    nights: tuple[float, ...] = ()
    open: Leak | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """m3/h; `learned` and `base` None until enough nights are known."""

    trade: float
    learned: float | None
    base: float | None

    @property
    def lower(self) -> float:
        """The one that is reached first."""
        return self.trade if self.learned is None else self.learned


def limits(circuit: Circuit, nights: Sequence[float]) -> Limits:
    """The limits of a circuit with these nights behind it."""
    trade = MAKEUP_M3H_PER_M2 * circuit.heated_area_m2
    if len(nights) < circuit.leak.nights:
        return Limits(trade, None, None)
    base = median(nights)
    deviation = median(abs(night - base) for night in nights)
    margin = max(
        (circuit.leak.factor - 1.0) * base, _DEVIATIONS * deviation, circuit.leak.margin_share * trade
    )
    return Limits(trade, min(trade, base + margin), base)


def step(
    watch: LeakWatch, facts: CircuitFacts, total_m3: float | None, out: bool, now: Instant
) -> tuple[LeakWatch, tuple[Event, ...]]:
    """One cycle of one circuit. `total_m3`: the running total, None while its meter says nothing good."""
    if facts.due is None:
        return watch, ()
    if not facts.due:
        return _ended(LeakWatch(nights=watch.nights, open=watch.open), facts, now)
    watch = _settled(watch, out, now.monotonic)
    watch = _measured(watch, facts, total_m3, now.monotonic)
    watch, whole = _on_the_hour(watch, now)
    if now.monotonic < (watch.settled_at or now.monotonic):
        return watch, ()
    if whole and watch.open is None:
        watch = _learnt(watch, now)
    return _judged(watch, facts, whole, now)


def _settled(watch: LeakWatch, out: bool, moment: float) -> LeakWatch:
    if watch.settled_at is not None and not out:
        return watch
    settled = moment + _SETTLING_S if watch.settled_at is None else watch.settled_at
    cooled = moment + _COOLED_S if out else watch.cooled_until
    return replace(watch, settled_at=settled, cooled_until=cooled)


def _measured(watch: LeakWatch, facts: CircuitFacts, total_m3: float | None, moment: float) -> LeakWatch:
    """The running hour with what was made up since the last cycle; a long silence begins anew."""
    if total_m3 is None and facts.makeup_flow_m3h is None:
        return watch
    gap = 0.0 if watch.seen is None else moment - watch.seen
    if watch.seen is None or gap > _GAP_S:
        return replace(watch, hours=(), hour=None, volume_m3=0.0, total_m3=total_m3, seen=moment)
    if total_m3 is not None:
        added = 0.0 if watch.total_m3 is None else max(0.0, total_m3 - watch.total_m3)
    else:
        added = max(0.0, facts.makeup_flow_m3h or 0.0) * gap / _HOUR_S
    known = total_m3 if total_m3 is not None else watch.total_m3
    leak = watch.open
    if leak is not None and added > 0.0:
        leak = replace(leak, volume_m3=leak.volume_m3 + added)
    return replace(watch, volume_m3=watch.volume_m3 + added, total_m3=known, seen=moment, open=leak)


def _on_the_hour(watch: LeakWatch, now: Instant) -> tuple[LeakWatch, bool]:
    """A new hour: the last one joins the series if it was seen whole, else the series is broken."""
    hour = int(now.wall // _HOUR_S)
    if hour == watch.hour:
        return watch, False
    lasted = now.monotonic - watch.began
    whole = watch.hour is not None and _HOUR_BOUNDS_S[0] <= lasted <= _HOUR_BOUNDS_S[1]
    hours = (*watch.hours, watch.volume_m3 * _HOUR_S / lasted)[-2 * _LONG :] if whole else ()
    return replace(watch, hours=hours, hour=hour, began=now.monotonic, volume_m3=0.0), whole


def _learnt(watch: LeakWatch, now: Instant) -> LeakWatch:
    """At the end of a night that was seen whole, with a clock that is right, its rate is learned."""
    ends = datetime.fromtimestamp(now.wall, _LOCAL).hour == _NIGHT_END
    calm = now.monotonic >= watch.cooled_until
    if not ends or not calm or len(watch.hours) < _NIGHT_HOURS or now.state is ClockState.UNSYNCED:
        return watch
    return replace(watch, nights=(*watch.nights, fmean(watch.hours[-_NIGHT_HOURS:]))[-_MOST_NIGHTS:])


def _judged(
    watch: LeakWatch, facts: CircuitFacts, whole: bool, now: Instant
) -> tuple[LeakWatch, tuple[Event, ...]]:
    found = limits(facts.circuit, watch.nights)
    if watch.open is None:
        return _begun(watch, facts, found, now)
    if not whole:
        return watch, ()
    if _is_over(watch, found):
        return _ended(watch, facts, now)
    if watch.open.stage is Stage.SUSPECTED and _is_sure(watch, found, now):
        leak = replace(watch.open, stage=Stage.CONFIRMED, rate_m3h=_rate(watch))
        event = Event("leak.confirmed", facts.circuit.id, leak.since, now.wall, leak.body())
        return replace(watch, open=leak), (event,)
    return watch, ()


def _rate(watch: LeakWatch) -> float:
    """What is made up now: the mean of up to six hours."""
    return fmean(watch.hours[-_LONG:]) if watch.hours else watch.volume_m3


def _above_learned(watch: LeakWatch, found: Limits, hours: Sequence[float], now: Instant) -> bool:
    cool = now.monotonic >= watch.cooled_until + _LONG * _HOUR_S  # none of the hours is of shrinking water
    if found.learned is None or len(hours) < _LONG or not cool:
        return False
    return fmean(hours) > found.learned


def _begun(
    watch: LeakWatch, facts: CircuitFacts, found: Limits, now: Instant
) -> tuple[LeakWatch, tuple[Event, ...]]:
    newest = watch.hours[-_LONG:]
    if watch.volume_m3 > found.trade or (newest and newest[-1] > found.trade):
        why, rate, hours, limit = "trade", max(watch.volume_m3, *newest[-1:]), 1, found.trade
    elif _above_learned(watch, found, newest, now):
        why, rate, hours, limit = "night_base", fmean(newest), _LONG, found.lower
    else:
        return watch, ()
    since = now.wall - (hours - 1) * _HOUR_S - (now.monotonic - watch.began)
    volume = sum(newest[-hours:]) if why == "night_base" else watch.volume_m3 or newest[-1]
    leak = Leak(Stage.SUSPECTED, since, why, rate, found.base, limit, volume)
    event = Event("leak.suspected", facts.circuit.id, leak.since, now.wall, leak.body())
    return replace(watch, open=leak), (event,)


def _is_sure(watch: LeakWatch, found: Limits, now: Instant) -> bool:
    newest = watch.hours[-_SHORT:]
    if len(newest) == _SHORT and min(newest) > found.trade:
        return True
    halves = (watch.hours[-2 * _LONG : -_LONG], watch.hours[-_LONG:])
    return all(_above_learned(watch, found, half, now) for half in halves)


def _is_over(watch: LeakWatch, found: Limits) -> bool:
    newest = watch.hours[-_LONG:]
    return len(newest) == _LONG and newest[-1] <= found.trade and fmean(newest) < _CLEAR_SHARE * found.lower


def _ended(watch: LeakWatch, facts: CircuitFacts, now: Instant) -> tuple[LeakWatch, tuple[Event, ...]]:
    leak = watch.open
    if leak is None:
        return watch, ()
    body = replace(leak, rate_m3h=_rate(watch)).body()
    return replace(watch, open=None), (Event("leak.cleared", facts.circuit.id, now.wall, now.wall, body),)


def from_body(value: Plain) -> Leak:
    """A leak from its journal body; KeyError, TypeError or ValueError when it is none."""
    body = mapping(value)
    return Leak(
        Stage(str(body["stage"])),
        number(body["since"]),
        str(body["why"]),
        number(body["rate_m3h"]),
        optional(body["base_m3h"]),
        number(body["limit_m3h"]),
        number(body["volume_m3"]),
    )


def to_plain(watch: LeakWatch, moment: float) -> dict[str, Plain]:
    """The memory; `moment` is monotonic now. A restart gives up the running hour, not the nights."""
    return {
        "nights": list(watch.nights),
        "settle_s": None if watch.settled_at is None else watch.settled_at - moment,
        "cool_s": max(0.0, watch.cooled_until - moment),
        "open": None if watch.open is None else watch.open.body(),
    }


def from_plain(value: Plain, saved: float) -> LeakWatch:
    """A memory of any age; `saved` is the monotonic time of now at which it was saved."""
    body = mapping(value)
    nights = body["nights"]
    if isinstance(nights, str) or not isinstance(nights, Sequence):
        raise TypeError("nights are kept in a list")
    settle = optional(body["settle_s"])
    known = None if body["open"] is None else from_body(body["open"])
    return LeakWatch(
        nights=tuple(number(night) for night in nights),
        settled_at=None if settle is None else saved + settle,
        cooled_until=saved + number(body["cool_s"]),
        open=known,
    )
