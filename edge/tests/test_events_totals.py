"""Totalisers followed over years of numbers: what each trace means, and that the total has no gap."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import Quality, Reading, Reason, Total, Unit, factor
from edge.events import WatchState, restore, resume, to_plain
from edge.events.meter import Count
from edge.events.totals import KINDS, follow
from edge.events.watch import judge
from edge.image import ProcessImage
from edge.points import quantity
from edge.records import Event, Plain
from edge.site import Site
from edge.tests.events_bench import LIMITS, VIEWS, WALL, at, make_site
from edge.texts import Texts

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
        self.second += after
        readings = {self.point: shown(number, self.second, self.unit, self.rolls_over, self.point)}
        if identity is not None:
            readings[NUMBER] = Reading.good(identity, Unit.STATE, WALL + self.second)
        self.take(readings)

    def take(self, readings: dict[str, Reading]) -> None:
        now = at(self.second)
        counts, events = follow(self.counts, ProcessImage(now, readings), SITE, now)
        self.counts = dict(counts)
        self.events += events

    def run(self, numbers: Iterable[str | float | None]) -> "Register":
        for number in numbers:
            self.read(number)
        return self

    @property
    def count(self) -> Count:
        return self.counts[self.point]

    def total(self, unit: Unit | None = None) -> Fraction:
        return self.count.total(unit or self.unit)

    @property
    def told(self) -> list[tuple[str, object]]:
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
)


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace.name)
def test_each_trace_is_told_for_what_it_is_and_leaves_its_total(trace: Trace) -> None:
    register = Register(trace.point, trace.unit, trace.rolls_over).run(trace.numbers)
    assert register.told == trace.told
    assert register.total() == Fraction(trace.total)


Identified = tuple[str, list[tuple[str, float | None]], list[tuple[str, str]], str]
IDENTITIES: tuple[Identified, ...] = (
    # two numbers of energy, each with its meter number; what it is called, and the total
    ("another meter", [("45001", 17.0), ("31000", 18.0)], [("exchanged", "certain")], "45003"),
    ("another meter at zero", [("45001", 17.0), ("0", 18.0)], [("exchanged", "certain")], "45003"),
    (
        "another meter, a larger number",
        [("45001", 17.0), ("45002", 18.0)],
        [("exchanged", "certain")],
        "45003",
    ),
    ("the same meter at zero", [("45001", 17.0), ("0", 17.0)], [("reset", "certain")], "45003"),
    ("the same meter, another number", [("45001", 17.0), ("31000", 17.0)], [("reset", "uncertain")], "45003"),
    ("not told", [("45001", 17.0), ("31000", None)], [("replaced_or_reset", "uncertain")], "45003"),
    ("0 is no meter number", [("45001", 17.0), ("45002", 0.0)], [], "45004"),
)


@pytest.mark.parametrize(("name", "rows", "told", "total"), IDENTITIES, ids=[row[0] for row in IDENTITIES])
def test_a_meters_number_decides_between_exchange_and_reset(
    name: str,
    rows: list[tuple[str, float | None]],
    told: list[tuple[str, str]],
    total: str,
) -> None:
    register = Register()
    (first, old), (second, new) = rows
    register.read(first, identity=old)
    register.read(first, identity=old)
    for step in range(3):
        register.read(str(int(second) + step), identity=new)
    assert register.told == told
    assert register.total() == Fraction(total)
    if told and told[0][0] == "exchanged":
        assert (register.events[0].body["old_meter"], register.events[0].body["meter"]) == ("17", "18")


def test_a_meter_number_misread_once_exchanges_nothing() -> None:
    register = Register()
    for number, identity in (("5", 17.0), ("6", 17.0), ("7", 18.0), ("8", 17.0), ("9", None), ("10", 17.0)):
        register.read(number, identity=identity)
    assert register.told == [("implausible", "withdrawn")]
    assert register.total() == 10


def test_a_new_meter_in_another_unit_goes_on_where_the_old_one_ended() -> None:
    register = Register().run(["45000", "45001", *SILENT])
    register.unit = MWH
    register.run(["0.2", "0.2", "0.3", "0.301"])
    assert register.told == [("exchanged", "likely")]
    body = register.events[0].body
    assert (body["old"], body["old_unit"], body["new"], body["unit"]) == ("45001", "kWh", "0.2", "MWh")
    assert register.total(KWH) == 45001 + 101


def test_the_same_meter_told_in_another_unit_is_not_another_meter() -> None:
    register = Register().run(["45000", "45001"])
    register.unit = MWH
    register.run(["45.001", "45.002"])
    assert register.told == []
    assert register.total(KWH) == 45002


def test_an_event_says_what_a_person_needs_to_judge_it() -> None:
    register = Register().run(["45000", "45001", "0.50", "1.50", "2.50"])
    event = register.events[0]
    assert (event.kind, event.subject) == ("meter.reset", ENERGY)
    assert (event.occurred - WALL, event.detected - WALL) == (3 * MINUTE, 5 * MINUTE)
    body = event.body
    assert (body["old"], body["new"], body["unit"], body["evidence"]) == (
        "45001",
        "0.50",
        "kWh",
        ["near_zero"],
    )
    assert body["old_at"] == WALL + 2 * MINUTE
    assert Fraction(str(body["total"])) == Fraction(36, 10) * 45003
    assert body["total_unit"] == "MJ"


def test_a_number_in_doubt_is_neither_energy_nor_zero_while_it_waits() -> None:
    register = Register().run(["45000", "45001"])
    for number in ("0", "0", "7000000", "0", "7000000"):
        register.read(number)
        assert register.total() == 45001
    assert register.told == []
    assert register.run(["45002"]).total() == 45002


def test_a_meter_that_stutters_is_recorded_once_an_hour() -> None:
    register = Register().run(["45000", "45001"])
    for _ in range(100):
        register.run(["0", "45001"])
    assert register.events[0].body["refused"] == 1
    assert len(register.events) == 4
    assert register.total() == 45001


def test_the_first_reading_of_all_is_believed_only_once_another_agrees() -> None:
    assert Register().run(["0", "45000", "45001"]).told == []
    assert Register().run(["0", "45000", "45001"]).total() == 45001


def test_one_reading_seen_in_many_cycles_confirms_nothing() -> None:
    register = Register().run(["45000", "45001", "0"])
    same = {ENERGY: shown("0", register.second)}
    for _ in range(600):
        register.second += 1
        register.take(same)
    assert register.told == []
    assert register.total() == 45001


def test_a_doubtful_reading_is_not_counted() -> None:
    register = Register().run(["45000", "45001"])
    reading = Reading(0.0, KWH, Quality.UNCERTAIN, Reason.DOUBTFUL, WALL + 999)
    register.take({ENERGY: reading})
    assert register.count.pending is None


def test_after_a_long_pause_as_much_is_believed_as_the_circuit_can_have_taken() -> None:
    most = 20_000 * 0.150 * 24 * 30  # kWh of 20 000 m2 in 30 days
    for taken, told in ((most, []), (2 * most, [("implausible", "uncertain")])):
        register = Register().run(["1000", "1000"])
        register.second += 30 * DAY
        register.run([str(int(1000 + taken + step)) for step in range(4)])
        assert register.told == told


@pytest.mark.parametrize("rows", [TRACES[11].numbers, TRACES[14].numbers])
def test_every_kind_and_every_word_of_a_finding_is_in_the_catalogue(
    rows: Sequence[str | float | None],
) -> None:
    texts = Texts.load("zh")
    assert [kind for kind in KINDS if f"kind.{kind}" not in texts] == []
    for event in Register().run(rows).events:
        words = [f"meter.verdict.{event.body['verdict']}"]
        words += [f"meter.evidence.{each}" for each in event.body["evidence"]]  # type: ignore[union-attr]
        assert [word for word in words if word not in texts] == []


# --- exactness

STEPS = st.lists(st.decimals(0, 20, places=2), min_size=2, max_size=40)
GAPS = st.lists(st.sampled_from([0, 0, 0, 1, 3]), min_size=40, max_size=40)


def rolled(steps: Sequence[Decimal], start: Decimal, size: Decimal) -> list[Decimal]:
    """What a register of that size shows after each step."""
    numbers = [start]
    for step in steps:
        numbers.append((numbers[-1] + step) % size)
    return numbers


@given(STEPS, st.decimals(0, 999, places=2), GAPS)
def test_whatever_runs_over_and_whatever_is_missed_the_total_is_exact(
    steps: list[Decimal], start: Decimal, gaps: list[int]
) -> None:
    register = Register(rolls_over="1000.00")
    register.run([str(start)])  # the first reading of all needs a second one
    numbers = rolled(steps, start, Decimal("1000.00"))
    for number, gap in zip(numbers, gaps, strict=False):
        register.run([None] * gap)
        register.run([str(number)])
    for _ in range(4):  # what is in doubt at the end is confirmed
        register.read(str(numbers[-1]))
    assert register.total() - Fraction(start) == Fraction(sum(steps))


@given(st.lists(st.integers(0, 40), min_size=4, max_size=30), st.integers(2, 28), st.sampled_from(
    ["0", "99999999", "45123.5", "44999", "45001", "45060"]
))  # fmt: skip
def test_one_false_reading_never_changes_the_total(steps: list[int], place: int, false: str) -> None:
    numbers, total = [], 45000
    for step in steps:
        total += step
        numbers.append(str(total))
    clean, spoiled = Register().run(numbers), Register()
    numbers.insert(min(place, len(numbers) - 2), false)
    spoiled.run(numbers)
    assert spoiled.total() == clean.total() == total


@given(st.lists(st.floats(0, 2**14, width=32), min_size=2, max_size=40).map(sorted))
def test_floats_do_not_drift(numbers: list[float]) -> None:
    register = Register(unit=MWH)
    for number in numbers:
        register.read(format(Decimal(repr(number)), "f"), after=400 * DAY)
    assert register.told == []
    assert register.total() == Fraction(repr(numbers[-1]))


@given(st.lists(st.sampled_from([None, "0", "1", "50", "450000", "450001", "99999999"]), max_size=40))
def test_whatever_a_meter_shows_nothing_is_counted_that_could_not_have_been(
    numbers: list[str | None],
) -> None:
    register, last = Register(rolls_over="100000000"), Fraction(0)
    most = 20_000 * 0.150 / 3600 * (40 * MINUTE + 7500) * 3  # kWh; three readings in doubt may come at once
    for number in numbers:
        known = bool(register.counts) and not register.count.fresh
        register.read(number)
        if known:
            assert register.total() - last <= most + 20  # two steps of a float that large
        if register.counts:
            last = register.total()


# --- over restarts


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


@pytest.mark.parametrize("cut", range(1, 13))
@pytest.mark.parametrize("trace", TRACES[:18], ids=lambda trace: trace.name)
def test_a_restart_at_any_moment_changes_no_finding_and_no_total(trace: Trace, cut: int) -> None:
    register = Register(trace.point, trace.unit, trace.rolls_over).run(trace.numbers[:cut])
    restarted(register, 5.0, 0.0, memory=True, journal=True).run(trace.numbers[cut:])
    assert register.told == trace.told
    assert register.total() == Fraction(trace.total)


def test_a_meter_exchanged_while_we_were_off_is_seen_on_return() -> None:
    register = restarted(Register().run(["45000", "45001"]), 3 * DAY, 500.0, memory=True, journal=True)
    register.run(["400000", "400001", "400002", "400003"])
    assert register.told == [("implausible", "uncertain")]
    register = restarted(Register().run(["9000000", "9000001"]), DAY, 500.0, memory=True, journal=True)
    register.run(["400000", "400001", "400002", "400003"])
    assert register.told == [("exchanged", "likely")]
    assert register.total() == 9000001 + 3


def test_the_journal_alone_keeps_the_total_once_a_meter_was_exchanged() -> None:
    register = Register().run(TRACES[11].numbers)
    restarted(register, 60.0, 0.0, memory=False, journal=True).run(["31004", "31005"])
    assert register.total() == Fraction(TRACES[11].total) + 2


def test_a_memory_older_than_the_exchange_gives_way_to_the_journal() -> None:
    register = Register().run(["45000", "45001"])
    memory = to_plain(WatchState(totals=dict(register.counts)), at(register.second))
    register.run([*SILENT, "31000", "31001", "31002", "31003"])
    rows: list[dict[str, Plain]]
    rows = [{"kind": e.kind, "subject": e.subject, "body": e.body} for e in register.events]
    found = resume(restore(rows), memory, at(register.second))
    register.counts = dict(found.totals)
    register.run(["31004"])
    assert register.told == [("exchanged", "likely")]
    assert register.total() == 45005


@pytest.mark.parametrize(
    "totals", [None, 3, {ENERGY: {}}, {ENERGY: {"shown": {"number": "NaN"}}}, {ENERGY: {"shown": 5}}]
)
def test_a_memory_of_totals_that_cannot_be_read_starts_anew(totals: object) -> None:
    memory = {"at": WALL, "circuits": {}, "totals": totals}
    assert resume(WatchState(), memory, at(0)).totals == {}  # type: ignore[arg-type]


def test_a_row_of_a_meter_that_cannot_be_read_is_named_and_left_out() -> None:
    found = restore([{"kind": "meter.reset", "subject": ENERGY, "body": {"base": "1"}}])
    assert (found.totals, found.discarded) == ({}, (ENERGY,))


def test_the_judge_follows_meters_and_tells_of_them() -> None:
    state, events = WatchState(), list[Event]()
    for minute, number in enumerate(["45000", "45001", "0", "1", "2"]):
        now = at(minute * MINUTE)
        image = ProcessImage(now, {ENERGY: shown(number, minute * MINUTE)})
        judged = judge(state, image, VIEWS, SITE, LIMITS, now)
        state, events = judged.state, [*events, *judged.events]
    assert [event.kind for event in events if event.kind.startswith("meter.")] == ["meter.reset"]
    assert state.totals[ENERGY].total(KWH) == 45003
