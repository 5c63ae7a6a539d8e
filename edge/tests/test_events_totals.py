"""Totalisers followed over years of numbers: what each trace means, and that the total has no gap."""

import contextlib
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import Quality, Reading, Reason, Total, Unit, factor
from edge.events import WatchState, judge
from edge.events.breaks import KINDS
from edge.events.meter import exact_factor
from edge.image import ProcessImage
from edge.records import Event
from edge.tests.events_bench import LIMITS, VIEWS, WALL, at
from edge.tests.totals_bench import (
    DAY,
    ENERGY,
    KWH,
    MINUTE,
    MWH,
    NUMBER,
    SILENT,
    SITE,
    TRACES,
    Register,
    Trace,
    restarted,
    shown,
)
from edge.texts import Texts


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


@pytest.mark.parametrize("rows", [trace.numbers for trace in TRACES if trace.told])
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


def test_the_judge_follows_meters_and_tells_of_them() -> None:
    state, events = WatchState(), list[Event]()
    for minute, number in enumerate(["45000", "45001", "0", "1", "2"]):
        now = at(minute * MINUTE)
        image = ProcessImage(now, {ENERGY: shown(number, minute * MINUTE)})
        judged = judge(state, image, VIEWS, SITE, LIMITS, now)
        state, events = judged.state, [*events, *judged.events]
    assert [event.kind for event in events if event.kind.startswith("meter.")] == ["meter.reset"]
    assert state.totals[ENERGY].total(KWH) == 45003


def test_every_unit_of_energy_and_volume_is_an_exact_decimal_of_the_sum() -> None:
    found = {}
    for unit in Unit:
        with contextlib.suppress(ValueError):
            found[unit] = exact_factor(unit)
    assert {Unit.KILOWATT_HOUR, Unit.GIGACALORIE, Unit.CUBIC_METRE} <= set(found)
    for unit, (base, exact) in found.items():
        assert Fraction(exact) == factor(unit, base)


def test_a_meter_taken_away_and_brought_back_counts_on_with_what_the_other_counted() -> None:
    register = Register().run(["45000", "45001", *SILENT, "31000", "31001", "31002", *SILENT])
    register.run(["45001", "45001", "45002", "45003"])
    assert register.told == [("exchanged", "likely"), ("resumed", "likely")]
    assert register.total() == 45001 + 2 + 2


READINGS = st.one_of(
    st.none(),
    st.floats(0, 1e12),
    st.builds(
        Total,
        st.decimals(-(10**12), 10**12, allow_nan=False),
        st.sampled_from([KWH, MWH, Unit.GIGACALORIE, Unit.CUBIC_METRE, Unit.STATE]),
        st.none() | st.decimals(1, 10**9),
    ),
)


@given(
    st.lists(
        st.tuples(READINGS, st.none() | st.floats(0, 1e12), st.floats(0.1, 1e7), st.floats(-1e6, 1e6)),
        max_size=30,
    )
)
def test_nothing_that_a_meter_can_show_stops_the_watch(
    rows: list[tuple[float | Total | None, float | None, float, float]],
) -> None:
    register, seconds = Register(), 0.0
    for what, identity, elapsed, jump in rows:
        seconds += elapsed
        register.second = seconds
        wall = WALL + seconds + jump
        reading = Reading.bad(Reason.STALE, KWH, wall)
        if what is not None:
            value, total = (1.0, what) if isinstance(what, Total) else (what, None)
            reading = Reading.good(value, KWH, wall, total)
        number = {} if identity is None else {NUMBER: Reading.good(identity, Unit.STATE, wall)}
        register.take({ENERGY: reading, **number})
    assert all(event.occurred <= event.detected for event in register.events)
    restarted(register, 10.0, 0.0, memory=True, journal=True)
