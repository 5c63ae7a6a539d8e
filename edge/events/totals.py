"""What people pay by: every totaliser followed from number to number, so that its total has no gap. Pure.

A number that follows from the last is an advance. One that does not - a drop, more than the circuit can have
taken, another meter number - is in doubt: it is no energy, and no zero, until later readings agree with it
(`CONFIRM_READINGS` of them over `CONFIRM_S`; meters that start show 0 for a while). What it was is then found
by evidence (breaks.py), and the count goes on from it. A new meter counts from the first number seen of it.

What a technician knows better (the old meter's last number) is a correction of `Count.base`, and has its
place in the journal, not here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from drivers import Quality, Reading, Unit
from edge.clock import Instant
from edge.events.breaks import Break, Finding, another, find, follows
from edge.events.meter import EXACT, Count, Pending, Shown, digits, exact_factor, shown_to_plain
from edge.image import ProcessImage
from edge.records import Event, Plain
from edge.site import Circuit, Site

CONFIRM_READINGS = 3
CONFIRM_S = 120.0
TOLD_S = 3600.0  # a meter that stutters is recorded at most this often
_LAG_S = 300.0  # numbers are old when they come: meters integrate every 2 to 60 s, hubs ask them less often
_RENEWED_S = 7200.0  # some renew their register every hour only: what a standing number may hold back
_SILENCE_S, _SILENT_PERIODS = 60.0, 3.0  # time enough to change a meter or its electronics

# The most a heated m2 can take, in MJ or l per s (our choice; usual are 50 W, 1 l/h, 0.025 l/h of make-up).
_MOST_PER_M2: dict[str, float] = {
    "heat_energy": 150.0 / 1e6,  # W
    "primary_volume": 15.0 / 3600.0,  # l/h: 150 W at a difference of 9 K
    "makeup_volume": 5.0 / 3600.0,  # l/h: a network being filled
}
QUANTITIES = tuple(_MOST_PER_M2)


@dataclass(frozen=True, slots=True)
class Meter:
    """A totaliser's place: `most` it can count a second (MJ or l), and the pause in s that is a silence."""

    point: str
    most: float
    silent_s: float


def follow(
    counts: Mapping[str, Count], image: ProcessImage, site: Site, now: Instant
) -> tuple[Mapping[str, Count], tuple[Event, ...]]:
    """All totalisers of the site one cycle on. Only readings that are GOOD and new are looked at."""
    changed: dict[str, Count] = {}
    events: list[Event] = []
    for circuit, point, reading in _readings(image, site):
        count = counts.get(point)
        if count is not None and reading.timestamp == count.looked:
            continue
        shown = _shown(reading, _identity(point, image, site))
        if shown is None:
            continue
        if count is None:
            new = _first(shown, now)
        else:
            new, found = step(count, shown, _meter(point, circuit, site), now)
            events += found
        changed[point] = replace(new, looked=reading.timestamp)
    return ({**counts, **changed} if changed else counts), tuple(events)


def _readings(image: ProcessImage, site: Site) -> Iterator[tuple[Circuit, str, Reading]]:
    for circuit in site.circuits:
        for quantity in QUANTITIES:
            point = f"{circuit.id}.{quantity}"
            reading = image.readings.get(point)
            if reading is not None and reading.quality is Quality.GOOD:
                yield circuit, point, reading


def _shown(reading: Reading, identity: str | None) -> Shown | None:
    """A reading as a totaliser's number: its register's digits, or its value's; None for another unit."""
    total = reading.total
    number, unit, rolls_over = (
        (_written(reading.value or 0.0), reading.unit, None)
        if total is None
        else (total.number, total.unit, total.rolls_over)
    )
    try:
        exact_factor(unit)
    except ValueError:
        return None
    return Shown(number, unit, rolls_over, identity, reading.timestamp) if number.is_finite() else None


def _written(value: float) -> Decimal:
    """The decimal a float was made from, its exponent the last digit that is known to move."""
    return Decimal(int(value)) if value.is_integer() else Decimal(repr(value))


def _identity(point: str, image: ProcessImage, site: Site) -> str | None:
    """The meter number read from the same device, if it gives one; 0 is what a meter shows that starts."""
    name = f"{point.partition('.')[0]}.meter_number"
    if name not in image.readings or not any(name in d.points and point in d.points for d in site.devices):
        return None
    value = image.value(name)
    return f"{value:.0f}" if value else None


def _meter(point: str, circuit: Circuit, site: Site) -> Meter:
    periods = [device.period_s for device in site.devices if point in device.points]
    most = _MOST_PER_M2[point.partition(".")[2]] * circuit.heated_area_m2
    return Meter(point, most, _SILENCE_S + _SILENT_PERIODS * max(periods, default=0.0))


def _first(shown: Shown, now: Instant) -> Count:
    return Count(shown, Decimal(0), now.monotonic, now.monotonic)


def step(count: Count, new: Shown, meter: Meter, now: Instant) -> tuple[Count, tuple[Event, ...]]:
    """The count after one new reading, and what was found out by it."""
    old = count.shown
    if _taken_back(count, new):
        shown, moment = _known(new, old), now.monotonic
        accepted = replace(count, shown=shown, seen=moment, moved=moment, pending=None)
        return _withdrawn(replace(accepted, refused=count.refused + 1), old, meter, now)
    if follows(old, new, _could(count, now.monotonic, meter)):
        return _accepted(count, new, meter, now)
    if count.fresh:
        return _first(new, now), ()
    return _doubted(count, new, meter, now)


def _taken_back(count: Count, new: Shown) -> bool:
    """A single reading showed more than this one: it was that reading's fault."""
    old = count.shown
    same = new.unit is old.unit and not another(old, new)
    return same and count.before is not None and count.before <= new.number < old.number


def _known(new: Shown, old: Shown) -> Shown:
    """The meter number stays known while the meter does not tell it."""
    return new if new.identity is not None else replace(new, identity=old.identity)


def _could(count: Count, moment: float, meter: Meter) -> float:
    """The most that can have been counted between the number believed and `moment` (MJ or l)."""
    stood = min(count.seen - count.moved, _RENEWED_S)
    return meter.most * (moment - count.seen + stood + _LAG_S)


def _accepted(count: Count, new: Shown, meter: Meter, now: Instant) -> tuple[Count, tuple[Event, ...]]:
    old, moment = count.shown, now.monotonic
    new = _known(new, old)
    if new.unit is old.unit and new.number <= old.number:
        shown, before, moved = replace(new, number=old.number), None, count.moved
    else:
        shown, moved = new, moment
        before = old.number if new.unit is old.unit else None
    accepted = replace(count, shown=shown, before=before, seen=moment, moved=moved, fresh=False, pending=None)
    if count.pending is None:
        return accepted, ()
    return _withdrawn(accepted, count.pending.first, meter, now)


def _doubted(count: Count, new: Shown, meter: Meter, now: Instant) -> tuple[Count, tuple[Event, ...]]:
    moment, pending = now.monotonic, count.pending
    if pending is not None and follows(
        pending.last, new, meter.most * (moment - pending.seen + _RENEWED_S + _LAG_S)
    ):
        pending = replace(pending, last=_known(new, pending.last), seen=moment, times=pending.times + 1)
    else:
        pending = Pending(new, new, moment, moment)
    if pending.times >= CONFIRM_READINGS and moment - pending.since >= CONFIRM_S:
        return _broken(count, pending, meter, now)
    return replace(count, pending=pending, refused=count.refused + 1), ()


def _broken(count: Count, pending: Pending, meter: Meter, now: Instant) -> tuple[Count, tuple[Event, ...]]:
    """A number in doubt was confirmed: the count goes on from it."""
    gone_s = pending.since - count.seen
    finding = find(
        Break(
            count.shown,
            pending.first,
            pending.last.identity,
            could=Decimal(_could(count, pending.since, meter)),
            little=Decimal(meter.most * (gone_s + _LAG_S)),
            silent=gone_s > meter.silent_s,
            resumed=_resumed(count, pending, meter),
        )
    )
    base = EXACT.add(count.exact, EXACT.subtract(finding.counted, pending.first.exact))
    new = Count(
        shown=_known(pending.last, count.shown),
        base=base,
        seen=pending.seen,
        moved=pending.seen,
        fresh=False,
        broken=now.wall,
        told=count.told,
        former=count.shown,
        left=count.seen,
    )
    return new, (_event(finding, count.shown, pending.first, new, meter, now),)


def _resumed(count: Count, pending: Pending, meter: Meter) -> Decimal | None:
    """How far (MJ or l) the number is from the one before the last break, when it follows from that."""
    former, first = count.former, pending.first
    if former is None or first.unit is not former.unit:
        return None
    most = meter.most * (pending.since - count.left + _RENEWED_S + _LAG_S)
    return EXACT.subtract(first.exact, former.exact) if follows(former, first, most) else None


def _withdrawn(count: Count, refused: Shown, meter: Meter, now: Instant) -> tuple[Count, tuple[Event, ...]]:
    """A number that nobody repeated: nothing was counted, and it is told now and then."""
    if 0.0 <= now.wall - count.told < TOLD_S:
        return count, ()
    finding = Finding("meter.implausible", "withdrawn", ("not_repeated",))
    event = _event(finding, count.shown, refused, count, meter, now)
    return replace(count, told=now.wall, refused=0), (event,)


def _event(finding: Finding, old: Shown, new: Shown, count: Count, meter: Meter, now: Instant) -> Event:
    """Old and new numbers as the meters show them, the evidence, and the count as it goes on from here."""
    unit: Unit = exact_factor(count.shown.unit)[0]
    body: dict[str, Plain] = {
        "verdict": finding.verdict,
        "evidence": list(finding.evidence),
        "old": digits(old.number),
        "old_unit": old.unit.value,
        "old_at": old.at,
        "old_meter": old.identity,
        "new": digits(new.number),
        "unit": new.unit.value,
        "meter": new.identity,
        "refused": count.refused,
        "total": digits(count.exact),
        "base": digits(count.base),
        "total_unit": unit.value,
        "believed": shown_to_plain(count.shown),
        "broken_at": count.broken,
    }
    return Event(finding.kind, meter.point, min(new.at, now.wall), now.wall, body)


def doubtful(counts: Mapping[str, Count]) -> list[str]:
    """Points whose meter shows a number that is not believed yet."""
    return [point for point, count in counts.items() if count.pending is not None]
