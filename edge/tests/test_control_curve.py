"""Heat curve and outdoor filter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.control.curve import interpolate, supply_setpoint
from edge.control.outdoor import filtered, mixed
from edge.site import Curve

CURVE = Curve(points=((-20, 62), (-5, 50), (15, 30)), minimum_c=35, maximum_c=58)


@pytest.mark.parametrize(
    ("outdoor_c", "supply_c"),
    [(-40, 62), (-20, 62), (-12.5, 56), (-5, 50), (5, 40), (15, 30), (30, 30)],
)
def test_between_points_the_curve_is_straight_and_beyond_them_it_is_held(
    outdoor_c: float, supply_c: float
) -> None:
    assert interpolate(CURVE.points, outdoor_c) == pytest.approx(supply_c)


@pytest.mark.parametrize(
    ("outdoor_c", "setpoint_c", "bound"),
    [(-30, 58, "limit.supply_maximum"), (0, 45, ""), (20, 35, "limit.supply_minimum")],
)
def test_minimum_and_maximum_bound_the_setpoint_and_say_so(
    outdoor_c: float, setpoint_c: float, bound: str
) -> None:
    assert supply_setpoint(CURVE, outdoor_c) == (setpoint_c, bound)


@given(st.floats(-60, 60), st.floats(-60, 60))
def test_colder_outdoors_never_asks_for_cooler_supply(one_c: float, other_c: float) -> None:
    colder, warmer = sorted((one_c, other_c))
    assert supply_setpoint(CURVE, colder)[0] >= supply_setpoint(CURVE, warmer)[0]


def test_the_filter_has_gone_63_percent_of_a_step_after_its_time_constant() -> None:
    value: float | None = 0.0
    for _ in range(20 * 360):
        value = filtered(value, -10.0, 20.0, 10.0)
    assert value == pytest.approx(-6.321, abs=1e-3)


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=50))
def test_the_filter_does_not_care_how_time_is_cut_into_cycles(steps: list[float]) -> None:
    value = 5.0
    for dt in steps:
        value = filtered(value, -5.0, 2.0, dt)
    assert value == pytest.approx(filtered(5.0, -5.0, 2.0, sum(steps)))


def test_without_a_past_or_without_a_filter_the_actual_temperature_counts() -> None:
    assert filtered(None, -7.0, 20.0, 1.0) == -7.0
    assert filtered(3.0, -7.0, 0.0, 1.0) == -7.0


def test_the_actual_temperature_has_its_share() -> None:
    assert mixed(-10.0, 0.0, 0.25) == pytest.approx(-7.5)
