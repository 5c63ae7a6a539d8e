"""A meter to be followed: its readings, and traces of numbers with what they mean."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

import msgpack

from drivers import Reading, Reason, Total, Unit, factor
from edge.events import WatchState, restore, resume, to_plain
from edge.events.meter import Count
from edge.events.totals import follow
from edge.image import ProcessImage
from edge.points import quantity
from edge.records import Event
from edge.site import Site
from edge.tests.events_bench import WALL, at, make_site

ENERGY, VOLUME, NUMBER = "high.heat_energy", "high.primary_volume", "high.meter_number"
KWH, MWH, GJ, M3 = Unit.KILOWATT_HOUR, Unit.MEGAWATT_HOUR, Unit.GIGAJOULE, Unit.CUBIC_METRE
MINUTE, DAY = 60, 86_400


def site() -> Site:
    """The bench's station, its heat meter telling its number as well."""
    found = make_site()
    devices = [
        device.model_copy(update={"points": {**device.points, VOLUME: "v", NUMBER: "n"}})
        if ENERGY in device.points
        else device
        for device in found.devices
    ]
    return found.model_copy(update={"devices": tuple(devices)})


SITE = site()


def shown(
    number: str | float | None,
    second: float,
    unit: Unit = KWH,
    rolls_over: str | None = None,
    point: str = ENERGY,
) -> Reading:
    """A meter's reading: decimal text with its total, a float without, None for no answer."""
    known = quantity(point)
    assert known is not None
    if number is None:
        return Reading.bad(Reason.NO_ANSWER, known.unit, WALL + second)
    if isinstance(number, float):
        return Reading.good(number, known.unit, WALL + second)
    total = Total(Decimal(number), unit, None if rolls_over is None else Decimal(rolls_over))
    value = float(Fraction(total.number) * factor(unit, known.unit))
    return Reading.good(value, known.unit, WALL + second, total)


@dataclass
class Register:
    """Feeds readings of one point and keeps what was found out."""

    point: str = ENERGY
    unit: Unit = KWH
    rolls_over: str | None = None
    counts: dict[str, Count] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    second: float = 0.0

    def read(self, number: str | float | None, after: float = MINUTE, identity: float | None = None) -> None:
        """One reading, `after` s since the last; with `identity` the meter tells its number."""
        self.second += after
        readings = {self.point: shown(number, self.second, self.unit, self.rolls_over, self.point)}
        if identity is not None:
            readings[NUMBER] = Reading.good(identity, Unit.STATE, WALL + self.second)
        self.take(readings)

    def take(self, readings: dict[str, Reading]) -> None:
        """One cycle with these readings."""
        now = at(self.second)
        counts, events = follow(self.counts, ProcessImage(now, readings), SITE, now)
        self.counts = dict(counts)
        self.events += events

    def run(self, numbers: Iterable[str | float | None]) -> "Register":
        """A reading a minute."""
        for number in numbers:
            self.read(number)
        return self

    @property
    def count(self) -> Count:
        """What is remembered."""
        return self.counts[self.point]

    def total(self, unit: Unit | None = None) -> Fraction:
        """The running total, in the register's unit if no other is asked for."""
        return self.count.total(unit or self.unit)

    @property
    def told(self) -> list[tuple[str, object]]:
        """Kinds and verdicts so far."""
        return [(event.kind.removeprefix("meter."), event.body["verdict"]) for event in self.events]


@dataclass(frozen=True)
class Trace:
    """Numbers a minute apart, what they mean, and the total they leave."""

    name: str
    numbers: Sequence[str | float | None]
    told: list[tuple[str, str]]
    total: str
    unit: Unit = KWH
    rolls_over: str | None = None
    point: str = ENERGY


SILENT: tuple[None, ...] = (None,) * 10
TRACES = (
    Trace("advance", ["100", "101", "101", "103"], [], "103"),
    Trace("no answer in between", ["100", None, None, "103"], [], "103"),
    Trace("a plain value without a total", [100.5, 100.75, 101.0], [], "101"),
    Trace(
        "eight digits of BCD run over",
        ["99999990", "99999999", "00000003", "4", "5", "6"],
        [("rolled_over", "certain")],
        "100000006",
        rolls_over="100000000",
    ),
    Trace(
        "CJ/T 188 with two decimals runs over",
        ["999999.90", "999999.99", "0.01", "0.02", "0.03", "0.04"],
        [("rolled_over", "certain")],
        "1000000.04",
        rolls_over="1000000",
    ),
    Trace(
        "an ACS550's counter of 16 bits runs over",
        ["65534", "65535", "0", "1", "2", "3"],
        [("rolled_over", "certain")],
        "65539",
        rolls_over="65536",
    ),
    Trace(
        "an integer of 32 bits in tenths of a cubic metre runs over",
        ["429496729.4", "429496729.5", "0.2", "0.3", "0.4"],
        [("rolled_over", "certain")],
        "429496730.0",
        unit=M3,
        rolls_over="429496729.6",
        point=VOLUME,
    ),
    Trace(
        "the same drop without a known range is no roll-over",
        ["99999999", "99999999", "3", "4", "5", "6"],
        [("reset", "likely")],
        "100000002",
    ),
    Trace(
        "a meter shows 0 for a minute while it starts",
        ["45000", "45001", "0", "0", "45002"],
        [("implausible", "withdrawn")],
        "45002",
    ),
    Trace(
        "a meter near the top of its range shows 0 while it starts",
        ["99999998", "99999999", "0", "99999999", "99999999"],
        [("implausible", "withdrawn")],
        "99999999",
        rolls_over="100000000",
    ),
    Trace(
        "a meter is reset",
        ["45000", "45001", "0", "0", "1", "2", "3"],
        [("reset", "likely")],
        "45004",
    ),
    Trace(
        "a meter shows 0 for ten minutes and then goes on: the gap is closed",
        ["45000", "45001", *["0"] * 10, "45010", "45011", "45012"],
        [("reset", "likely"), ("resumed", "likely")],
        "45012",
    ),
    Trace(
        "a TUF-2000's signed integer runs over",
        ["2147483646", "2147483647", "1", "2", "3", "4"],
        [("rolled_over", "certain")],
        "2147483652",
        unit=M3,
        rolls_over="2147483648",
        point=VOLUME,
    ),
    Trace(
        "after a silence another number: an exchange",
        ["45000", "45001", *SILENT, "31000", "31001", "31002", "31003"],
        [("exchanged", "likely")],
        "45004",
    ),
    Trace(
        "after a silence near zero: nobody can tell",
        ["45000", "45001", *SILENT, "2", "3", "4", "5"],
        [("replaced_or_reset", "uncertain")],
        "45004",
    ),
    Trace(
        "another number at once: nobody can tell",
        ["45000", "45001", "31000", "31001", "31002"],
        [("replaced_or_reset", "uncertain")],
        "45003",
    ),
    Trace(
        "a jump that stays is told and not counted",
        ["45000", "45001", "900000", "900001", "900002"],
        [("implausible", "likely")],
        "45003",
    ),
    Trace("a spike", ["45000", "45001", "900000", "45002"], [("implausible", "withdrawn")], "45002"),
    Trace(
        "a spike small enough to be true, taken back by the next reading",
        ["45000", "45001", "45100", "45002", "45003"],
        [("implausible", "withdrawn")],
        "45003",
    ),
    Trace("a last digit that flickers", ["7.25", "7.25", "7.24", "7.25", "7.26"], [], "7.26"),
    Trace("no heat for ten hours, then heat", ["500"] * 600 + ["600"], [], "600"),
    Trace(
        "a meter that counts back what flows back",
        ["45000", "45001", "45001", "44998", "44997", "44997", "44998"],
        [("implausible", "likely")],
        "44998",
    ),
    Trace(
        "a plain value in whole numbers that flickers", [1552.0, 1552.0, 1551.0, 1552.0, 1553.0], [], "1553"
    ),
    Trace(
        "a young meter is reset",
        ["1552", "1553", "1553", "0", "0", "0", "0"],
        [("reset", "likely")],
        "1553",
    ),
    Trace(
        "a young meter at once shows less, though not next to nothing",
        ["1552", "1553", "1553", "700", "700", "700"],
        [("replaced_or_reset", "uncertain")],
        "1553",
    ),
)


def restarted(register: Register, pause: float, boot: float, memory: bool, journal: bool) -> Register:
    """The service killed and started again `pause` s later on a machine that booted anew."""
    state = WatchState(totals=register.counts)
    kept = msgpack.unpackb(msgpack.packb(to_plain(state, at(register.second))))
    rows = [{"kind": e.kind, "subject": e.subject, "body": e.body} for e in register.events]
    rows = msgpack.unpackb(msgpack.packb(rows))
    register.second += pause
    found = restore(rows if journal else [])
    found = resume(found, kept if memory else None, at(register.second, boot))
    register.counts = dict(found.totals)
    return register
