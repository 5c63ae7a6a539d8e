"""What holds for any image: limits, holders, determinism, no exception. And that the tables are complete."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers import Reason
from edge.control import decide, from_plain, initial, modes, to_plain
from edge.control.curve import SUPPLY_MAXIMUM, SUPPLY_MINIMUM
from edge.control.modes import CIRCULATION, MAKEUP, VALVE, Situation
from edge.control.situation import CALM, WATCHES, Condition
from edge.control.valve import SETPOINT_RAMP, VALVE_MAXIMUM, VALVE_MINIMUM, Action
from edge.points import CIRCUIT, STATION, quantity
from edge.records import Holder
from edge.tests.control_bench import (
    RUNNING,
    Station,
    Value,
    doubtful,
    image,
    instant,
    make_site,
    with_valve,
)
from edge.texts import Texts

SITE = with_valve(make_site(), minimum_percent=5.0, maximum_percent=90.0)
POINTS = [f"{name}.{what}" for name in ("high", "low") for what in CIRCUIT] + [
    f"station.{what}" for what in STATION
]


def _value(point: str) -> st.SearchStrategy[Value]:
    """Anything a point of the image can show: in range or far out of it, doubtful, bad for any reason."""
    known = quantity(point)
    assert known is not None
    plausible = st.floats(known.low, min(known.high, 200.0))
    wild = st.floats(-1e9, 1e9)
    return st.one_of(
        plausible,
        wild,
        st.sampled_from([reason for reason in Reason if reason]),
        wild.map(lambda value: doubtful(point, value)),
    )


def _is_plausible(point: str, value: Value) -> bool:
    known = quantity(point)
    assert known is not None
    return not isinstance(value, float) or known.low <= value <= known.high


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(POINTS).flatmap(lambda point: st.tuples(st.just(point), _value(point))),
        st.floats(0.0, 120.0),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(CHANGES)
def test_on_any_path_commands_are_bounded_held_by_someone_and_expire(
    changes: list[tuple[tuple[str, Value], float, bool]],
) -> None:
    station = Station(SITE)
    station.cycle(0.0)
    for (point, value), dt, heating in changes:
        station.values[point] = value
        station.heating = heating
        before = station.decision
        decision = station.cycle(dt)
        assert before is not None
        now = instant(station.seconds).monotonic
        assert len({command.point for command in decision.commands}) == len(decision.commands)
        for command in decision.commands:
            known = quantity(command.point)
            assert known is not None
            assert known.output
            assert known.low <= command.value <= known.high
            assert isinstance(command.holder, Holder)
            assert command.reason.startswith("reason.")
            assert now < command.until < math.inf
        for view in decision.views.values():
            assert view.setpoint_c is None or 25.0 <= view.setpoint_c <= 60.0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-10, 120), st.floats(0, 100), st.floats(0.5, 10.0)), min_size=2, max_size=80)
)
def test_in_automatic_the_valve_is_never_asked_to_move_faster_than_its_motor(
    path: list[tuple[float, float, float]],
) -> None:
    station = Station(SITE)
    station.cycle(0.0)
    for supply_c, position, dt in path:
        station.values["high.secondary_supply_temperature"] = supply_c
        station.values["high.valve_position"] = position
        assert station.state is not None
        before = station.state.circuits["high"].valve
        station.cycle(dt)
        after = station.state.circuits["high"].valve
        if before.action is Action.CONTROL and after.action is Action.CONTROL:
            assert before.command_percent is not None
            assert after.command_percent is not None
            assert 5.0 <= after.command_percent <= 90.0
            # what was saved up below the actuator's resolution comes on top
            assert abs(after.command_percent - before.command_percent) <= dt + 0.5 + 1e-9


@settings(max_examples=50, deadline=None)
@given(CHANGES)
def test_the_same_past_gives_the_same_decisions_and_leaves_its_inputs_alone(
    changes: list[tuple[tuple[str, Value], float, bool]],
) -> None:
    values = dict(RUNNING)
    state = other = initial(SITE)
    seconds = 0.0
    for (point, value), dt, heating in changes:
        values[point] = value
        seconds += dt
        now = instant(seconds)
        kept = replace(state)
        first = decide(state, image(values, now), SITE, heating, now)
        second = decide(other, image(values, now), SITE, heating, now)
        assert first == second
        assert state == kept
        state, other = first.state, second.state


@settings(max_examples=50, deadline=None)
@given(CHANGES)
def test_any_state_can_be_stored_and_read_back(
    changes: list[tuple[tuple[str, Value], float, bool]],
) -> None:
    station = Station(SITE)
    station.cycle(0.0)
    for (point, value), dt, _ in changes:
        if _is_plausible(point, value):  # the image lets nothing else through, and nothing else is read back
            station.values[point] = value
        station.cycle(dt)
    assert station.state is not None
    stored = to_plain(station.state)
    again = from_plain(stored, SITE, instant(station.seconds))
    assert to_plain(replace(again, wall=station.state.wall)) == stored


@given(
    st.builds(
        Situation, *[st.booleans()] * 6, st.frozensets(st.sampled_from(Condition), max_size=len(Condition))
    )
)
def test_some_row_of_every_table_applies_to_every_situation(situation: Situation) -> None:
    assert modes.choose(VALVE, situation) in VALVE
    assert modes.choose(CIRCULATION, situation) in CIRCULATION
    assert modes.choose(MAKEUP, situation) in MAKEUP


@pytest.mark.parametrize("table", [VALVE, CIRCULATION, MAKEUP])
def test_the_tables_stand_in_the_order_of_who_may_write(table: tuple[modes.Mode[object], ...]) -> None:
    ranks = [mode.holder for mode in table if mode.holder is not Holder.SAFE]
    assert ranks == sorted(ranks)
    assert len({mode.key for mode in table}) == len(table)


def test_every_condition_is_watched() -> None:
    assert set(WATCHES) == set(Condition) == set(CALM)


def test_every_reason_and_limit_has_its_words() -> None:
    texts = Texts.load("en")
    reasons = {mode.reason for table in (VALVE, CIRCULATION, MAKEUP) for mode in table}
    limits = {SUPPLY_MAXIMUM, SUPPLY_MINIMUM, VALVE_MAXIMUM, VALVE_MINIMUM, SETPOINT_RAMP}
    assert sorted(key for key in reasons | limits if key not in texts) == []
