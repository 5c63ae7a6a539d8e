"""What must hold of the rules for any facts, not only those of the stories."""

from dataclasses import replace
from datetime import date
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.records import Cause
from edge.rules.civil import DAY_S, HOUR_S
from edge.rules.duties import DutyState, duties
from edge.rules.facts import Expectation, OutageFacts, Phase, RoomDay
from edge.rules.model import Pack
from edge.rules.refund import RefundKind, refund_basis
from edge.rules.repair import repair_class
from edge.rules.room_refund import refund_band
from edge.rules.rooms import room_verdict
from edge.rules.season import text_season
from edge.tests.rules_stories import ALL, lost, pack, readings

PACKS: dict[str, Pack] = {name: pack(name) for name in ALL}
HOURS = st.floats(min_value=0, max_value=200)
RANK = {"general": 0, "larger": 1, "major": 2}


@st.composite
def outages(draw: st.DrawFn, name: str) -> OutageFacts:
    start = lost(name)
    at = st.none() | HOURS.map(lambda hours: start + hours * HOUR_S)
    made = st.builds(Expectation, HOURS.map(lambda hours: start + hours * HOUR_S), at)
    return OutageFacts(
        id="o",
        circuit="high",
        lost_at=start,
        detected_at=start + draw(st.floats(0, 600)),
        cause=draw(st.sampled_from(Cause)),
        ended_at=draw(at),
        expected_recovery=draw(at),
        expectations=tuple(draw(st.lists(made, max_size=4))),
        planned=draw(st.booleans()),
        supply_cut=draw(st.none() | st.booleans()),
        supplier_at_fault=draw(st.none() | st.booleans()),
        user_fault=draw(st.booleans()),
        phase=draw(st.sampled_from(Phase)),
    )


NAMED = st.sampled_from(ALL).flatmap(lambda name: st.tuples(st.just(name), outages(name)))


@given(st.lists(st.floats(min_value=-20, max_value=30), min_size=2, max_size=8))
def test_the_refund_share_never_falls_as_the_room_gets_colder(temperatures: list[float]) -> None:
    bands = [refund_band(PACKS["zibo-2022"], value) for value in sorted(temperatures, reverse=True)]
    shares = [0.0 if band is None else band.share for band in bands]
    assert shares == sorted(shares)


@given(st.floats(min_value=-20, max_value=30))
def test_every_temperature_below_18_has_exactly_one_band_and_none_above(value: float) -> None:
    rule = PACKS["zibo-2022"].refund_room
    assert rule is not None
    holding = [b for b in rule.bands if (b.from_c is None or value >= b.from_c) and value < b.below_c]
    assert len(holding) == (1 if value < 18 else 0)


@given(NAMED, st.lists(HOURS, min_size=2, max_size=6))
def test_a_duty_that_has_arisen_never_vanishes_as_time_goes_on(
    named: tuple[str, OutageFacts], times: list[float]
) -> None:
    name, facts = named
    arisen: set[str] = set()
    for hours in sorted(times):
        found = duties(PACKS[name], facts, facts.lost_at + hours * HOUR_S)
        now_arisen = {duty.id for duty in found if duty.state is not DutyState.PENDING}
        assert arisen <= now_arisen
        arisen = now_arisen


@given(NAMED, st.lists(HOURS, min_size=2, max_size=6))
def test_a_duty_overdue_stays_overdue_unless_its_class_is_judged_again(
    named: tuple[str, OutageFacts], times: list[float]
) -> None:
    name, facts = named
    late: set[str] = set()
    for hours in sorted(times):
        found = duties(PACKS[name], facts, facts.lost_at + hours * HOUR_S)
        fixed = [duty for duty in found if duty.urgency != "urgency.repair_class"]
        now_late = {duty.id for duty in fixed if duty.state is DutyState.OVERDUE}
        assert late <= now_late
        late = now_late


@given(NAMED)
def test_duties_do_not_depend_on_the_order_in_which_expectations_are_listed(
    named: tuple[str, OutageFacts],
) -> None:
    name, facts = named
    turned = replace(facts, expectations=facts.expectations[::-1])
    now = facts.lost_at + 30 * HOUR_S
    assert duties(PACKS[name], facts, now) == duties(PACKS[name], turned, now)


@given(st.lists(st.floats(min_value=5, max_value=30), min_size=1, max_size=24), st.data())
def test_a_rooms_verdict_does_not_depend_on_the_order_of_its_readings(
    temperatures: list[float], data: st.DataObject
) -> None:
    day = date(2027, 1, 10)
    taken = readings(day, *temperatures)
    mixed = tuple(data.draw(st.permutations(taken)))
    for name in ("zhangye-2023", "zhengzhou-2026", "zibo-2022", "jilin-2012"):
        first, second = (room_verdict(PACKS[name], RoomDay("r", day, order)) for order in (taken, mixed))
        assert first == second


@given(outages("jilin-2012"), st.lists(HOURS, min_size=2, max_size=6))
def test_the_class_never_falls_as_time_goes_on(facts: OutageFacts, times: list[float]) -> None:
    running = replace(facts, ended_at=None, planned=False, cause=Cause.EQUIPMENT)
    verdicts = [
        repair_class(PACKS["jilin-2012"], running, running.lost_at + hours * HOUR_S)
        for hours in sorted(times)
    ]
    for earlier, later in pairwise(verdicts):
        assert RANK[earlier.key or earlier.at_least or ""] <= RANK[later.key or later.at_least or ""]
        assert earlier.key is None or later.key is not None


@given(NAMED, HOURS, HOURS)
def test_a_longer_stop_is_never_refunded_less(
    named: tuple[str, OutageFacts], one: float, other: float
) -> None:
    name, facts = named
    short, long = sorted((one, other))
    bases = [
        refund_basis(PACKS[name], replace(facts, ended_at=facts.lost_at + hours * HOUR_S))
        for hours in (short, long)
    ]
    amounts = [0.0 if basis.kind is RefundKind.NONE else basis.quantity or 0.0 for basis in bases]
    assert amounts[0] <= amounts[1]


@given(NAMED)
def test_every_verdict_that_is_not_silence_cites_its_clause(named: tuple[str, OutageFacts]) -> None:
    name, facts = named
    prefix = PACKS[name].document.prefix + "-"
    for duty in duties(PACKS[name], facts, facts.lost_at + DAY_S):
        assert duty.clause.startswith(prefix)
        assert duty.words
    basis = refund_basis(PACKS[name], facts, facts.lost_at + DAY_S)
    assert basis.reason == "silent" or all(clause.startswith(prefix) for clause in basis.clauses)
    assert basis.reason == "silent" or basis.clauses


@given(st.dates(min_value=date(2000, 1, 1), max_value=date(2099, 12, 31)))
def test_every_day_lies_in_or_before_exactly_one_season(day: date) -> None:
    first, last = text_season("11-01", "03-31", day)
    assert day <= last
    assert first < last
    assert text_season("11-01", "03-31", first) == (first, last)
    assert (last - day).days < 366
