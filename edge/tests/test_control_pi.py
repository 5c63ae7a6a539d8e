"""The PI on the valve: dead band, anti-windup, bumpless changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.control.pi import DEVIATION_LIMIT_K, PiState, bumpless, step
from edge.site import Valve

VALVE = Valve(gain_percent_per_k=2.0, integral_time_s=50, dead_band_k=0.3, running_time_s=100)
ERRORS = st.floats(-150, 150)
OPENINGS = st.floats(0, 100)


def _run(
    state: PiState, error_k: float, seconds: int, settings: Valve = VALVE, position: float | None = None
) -> PiState:
    for _ in range(seconds):
        state, _ = step(settings, state, error_k, position, 1.0)
    return state


def test_inside_the_dead_band_the_valve_rests_for_ever() -> None:
    start = bumpless(VALVE, 40.0, 0.3)
    state = start
    for second in range(3600):
        state, _ = step(VALVE, state, 0.3 if second % 2 else -0.3, None, 1.0)
    assert state.output_percent == 40.0


def test_leaving_the_dead_band_begins_without_a_jump() -> None:
    state = _run(bumpless(VALVE, 40.0, 0.29), 0.29, 10)
    state, _ = step(VALVE, state, 0.31, None, 1.0)
    assert state.output_percent == pytest.approx(40.0, abs=0.06)  # 2 %/K x 0.02 K, and one second's integral


def test_a_lasting_error_opens_by_its_gain_every_integral_time() -> None:
    state = _run(bumpless(VALVE, 20.0, 5.0), 5.0, 50)
    assert state.output_percent == pytest.approx(30.0, abs=0.01)


def test_an_error_that_turns_round_at_the_end_stop_moves_the_valve_at_once() -> None:
    state = _run(bumpless(VALVE, 95.0, 10.0), 10.0, 3600)
    assert state.output_percent == 100.0
    for _ in range(5):
        state, _ = step(VALVE, state, -1.0, None, 1.0)
    assert state.output_percent < 100.0


def test_the_output_never_runs_ahead_of_the_motor() -> None:
    state = bumpless(VALVE, 20.0, 0.0)
    after, wanted = step(VALVE, state, 20.0, None, 1.0)
    assert wanted > 55.0
    assert after.output_percent == pytest.approx(21.0)  # 100 % in 100 s


def test_while_the_motor_is_under_way_nothing_winds_up() -> None:
    state = _run(bumpless(VALVE, 20.0, 0.0), 15.0, 25)
    assert state.integral_percent == pytest.approx(20.0)  # wanted 50 % for 25 s, got to 45 %


def test_a_stuck_actuator_does_not_wind_up_the_integral() -> None:
    state = _run(bumpless(VALVE, 40.0, 0.0), 5.0, 3600, position=40.0)
    assert state.output_percent < 40.0 + 10.0 + 2.0 * 5.0 + 1.0


def test_a_changed_gain_moves_nothing_while_the_error_is_small() -> None:
    state = _run(bumpless(VALVE, 40.0, 0.2), 0.2, 100)
    other = VALVE.model_copy(update={"gain_percent_per_k": 20.0})
    assert step(other, state, 0.2, None, 1.0)[0].output_percent == 40.0


def test_no_time_passed_moves_nothing() -> None:
    assert step(VALVE, bumpless(VALVE, 40.0, 3.0), 20.0, None, 0.0)[0].output_percent == 40.0


@given(OPENINGS, ERRORS)
def test_the_first_output_is_where_the_valve_was_whatever_the_error(opening: float, error_k: float) -> None:
    state = bumpless(VALVE, opening, error_k)
    assert step(VALVE, state, error_k, opening, 0.0)[0].output_percent == pytest.approx(opening)


@given(OPENINGS, st.lists(st.tuples(ERRORS, st.floats(0, 10), st.none() | OPENINGS), min_size=1, max_size=60))
def test_output_and_integral_stay_bounded_on_any_path(
    start: float, path: list[tuple[float, float, float | None]]
) -> None:
    state = bumpless(VALVE, start, path[0][0])
    span = 100.0 + VALVE.gain_percent_per_k * DEVIATION_LIMIT_K
    for error_k, dt, position in path:
        before = state.output_percent
        state, _ = step(VALVE, state, error_k, position, dt)
        assert 0.0 <= state.output_percent <= 100.0
        assert abs(state.output_percent - before) <= 100.0 * dt / VALVE.running_time_s + 1e-9
        assert -span - 1e-9 <= state.integral_percent <= span + 1e-9
