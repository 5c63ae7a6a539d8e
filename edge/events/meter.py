"""What is remembered of a totaliser: the number believed, what was counted before, a number in doubt. Pure.

Counted is in megajoules or litres: every unit of energy and of volume is a finite decimal of these, so that
sums stay exact from kWh to Gcal, whatever meters follow one another.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache

from drivers import Unit, factor
from edge.events.plain import mapping, number, optional
from edge.records import Plain

EXACT = Context(prec=400)  # nothing that a float can hold is rounded
_F32_STEP = Decimal(2) ** -23  # a float32 has 24 binary digits: its last one is at most this share of it
_OLDEST_S = 1e9


@dataclass(frozen=True, slots=True)
class Shown:
    """What a meter shows at one moment: digit by digit, in its own unit.

    `rolls_over` as in `drivers.Total`; `identity` is the meter's number where a point gives it; `at` is the
    reading's time (Unix s).
    """

    number: Decimal
    unit: Unit
    rolls_over: Decimal | None
    identity: str | None
    at: float

    @property
    def exact(self) -> Decimal:
        """The number in megajoules or litres."""
        return EXACT.multiply(self.number, exact_factor(self.unit)[1])

    @property
    def step(self) -> Decimal:
        """The least the register can move, in megajoules or litres."""
        exponent = self.number.as_tuple().exponent
        digit = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
        return max(digit, abs(self.number) * _F32_STEP) * exact_factor(self.unit)[1]


@cache
def exact_factor(unit: Unit) -> tuple[Unit, Decimal]:
    """The unit that `unit` is summed in, and the factor to it; ValueError when it is no unit of a total."""
    for base in (Unit.MEGAJOULE, Unit.LITRE):
        try:
            found = factor(unit, base)
        except ValueError:
            continue
        return base, Decimal(found.numerator) / Decimal(found.denominator)
    raise ValueError(f"{unit} counts neither energy nor volume")


@dataclass(frozen=True, slots=True)
class Pending:
    """A number that does not follow from the one believed, until later readings confirm or withdraw it.

    `since` and `seen` are monotonic times (s) of the first and the latest of `times` readings that agree.
    """

    first: Shown
    last: Shown
    since: float
    seen: float
    times: int = 1


@dataclass(frozen=True, slots=True)
class Count:
    """One totaliser. The running total is `base` and what the meter shows, in megajoules or litres.

    `base` changes when a meter rolls over, is exchanged or reset, and never else. `before` is the number
    before the present one while a single reading has shown the present one; `fresh` while a single reading
    has shown anything. `seen` is when the number was last seen, `moved` when it last changed (monotonic s).
    `broken` is when `base` last changed, `told` when a withdrawn number was last recorded (both Unix s), and
    `refused` counts the readings not believed since. `looked` is the time of the last reading, believed or
    not: what comes with it again is no news. `former` is the number believed before the last break, `left`
    when that was last seen (monotonic s).
    """

    shown: Shown
    base: Decimal
    seen: float
    moved: float
    before: Decimal | None = None
    fresh: bool = True
    pending: Pending | None = None
    broken: float = 0.0
    told: float = 0.0
    refused: int = 0
    looked: float = math.nan
    former: Shown | None = None
    left: float = 0.0

    @property
    def exact(self) -> Decimal:
        """The running total in megajoules or litres."""
        return EXACT.add(self.base, self.shown.exact)

    def total(self, unit: Unit) -> Fraction:
        """The running total in `unit`, exactly; without a gap over every meter that has counted it."""
        return Fraction(self.exact) * factor(exact_factor(self.shown.unit)[0], unit)


def digits(value: Decimal) -> str:
    """A number as people write it, without an exponent."""
    return f"{value:f}"


def shown_to_plain(shown: Shown) -> dict[str, Plain]:
    """For journal and memory."""
    return {
        "number": digits(shown.number),
        "unit": shown.unit.value,
        "rolls_over": None if shown.rolls_over is None else digits(shown.rolls_over),
        "identity": shown.identity,
        "at": shown.at,
    }


def shown_from_plain(value: Plain) -> Shown:
    """Back again; KeyError, TypeError or ValueError when it cannot be understood."""
    plain = mapping(value)
    rolls_over, identity = plain["rolls_over"], plain["identity"]
    return Shown(
        decimal(plain["number"]),
        _counted(Unit(str(plain["unit"]))),
        None if rolls_over is None else decimal(rolls_over),
        None if identity is None else str(identity),
        number(plain["at"]),
    )


def _counted(unit: Unit) -> Unit:
    exact_factor(unit)
    return unit


def decimal(value: Plain) -> Decimal:
    """A finite decimal written as text."""
    if not isinstance(value, str):
        raise TypeError(f"expected a decimal as text, found {type(value).__name__}")
    try:
        found = Decimal(value)
    except ArithmeticError as error:
        raise ValueError(f"no decimal: {value!r}") from error
    if not found.is_finite():
        raise ValueError(f"no number: {value!r}")
    return found


def to_plain(count: Count, now: float) -> dict[str, Plain]:
    """A count as plain values; monotonic times as ages at `now`, decimals as text."""
    pending = count.pending
    return {
        "shown": shown_to_plain(count.shown),
        "base": digits(count.base),
        "seen": now - count.seen,
        "moved": now - count.moved,
        "before": None if count.before is None else digits(count.before),
        "fresh": count.fresh,
        "broken": count.broken,
        "told": count.told,
        "refused": count.refused,
        "former": None if count.former is None else shown_to_plain(count.former),
        "left": 0.0 if count.former is None else now - count.left,
        "pending": None
        if pending is None
        else {
            "first": shown_to_plain(pending.first),
            "last": shown_to_plain(pending.last),
            "since": now - pending.since,
            "seen": now - pending.seen,
            "times": pending.times,
        },
    }


def from_plain(value: Plain, saved: float) -> Count:
    """Back again; `saved` is the monotonic time of now at which it was saved."""
    plain = mapping(value)
    before, pending, former = plain["before"], plain["pending"], plain["former"]
    return Count(
        shown=shown_from_plain(plain["shown"]),
        base=decimal(plain["base"]),
        seen=_time(plain["seen"], saved),
        moved=_time(plain["moved"], saved),
        before=None if before is None else decimal(before),
        fresh=plain["fresh"] is True,
        pending=None if pending is None else _pending(mapping(pending), saved),
        broken=number(plain["broken"]),
        told=number(plain["told"]),
        refused=int(number(plain["refused"])),
        former=None if former is None else shown_from_plain(former),
        left=_time(plain["left"], saved),
    )


def _pending(plain: Mapping[str, Plain], saved: float) -> Pending:
    return Pending(
        shown_from_plain(plain["first"]),
        shown_from_plain(plain["last"]),
        _time(plain["since"], saved),
        _time(plain["seen"], saved),
        int(number(plain["times"])),
    )


def _time(value: Plain, saved: float) -> float:
    age = number(value)
    if not 0.0 <= age <= 2 * _OLDEST_S:
        raise ValueError(f"no age: {age}")
    return saved - age


def from_journal(body: Mapping[str, Plain]) -> Count:
    """A count from the newest row of its meter: exact, since `base` changes only where a row says so."""
    return Count(
        shown=shown_from_plain(body["believed"]),
        base=decimal(body["base"]),
        seen=-_OLDEST_S,  # nobody knows how long ago, by the clock of this boot
        moved=-_OLDEST_S,
        fresh=False,
        broken=optional(body["broken_at"]) or 0.0,
    )
