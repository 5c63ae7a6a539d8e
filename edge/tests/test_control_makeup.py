"""The make-up pump: band, run time, lockout, tank."""

from drivers import Reason
from edge.tests.control_bench import Row, Station, make_site, play

SITE = make_site()  # 3.0 bar, band 0.4 bar, at most 60 s
PRESSURE = "high.secondary_return_pressure"
PUMP = "high.makeup_pump.run"
TANK = "station.tank_level"


def test_it_starts_half_a_band_below_and_stops_half_a_band_above() -> None:
    play(
        Station(SITE),
        (
            Row(5, {PRESSURE: 2.81}, {PUMP: 0.0}),
            Row(1, {PRESSURE: 2.79}, {PUMP: 1.0, "high.makeup_pump.speed_setpoint": 80.0}),
            Row(30, {PRESSURE: 3.19}, {PUMP: 1.0}),
            Row(1, {PRESSURE: 3.21}, {PUMP: 0.0}),
            Row(60, {PRESSURE: 2.81}, {PUMP: 0.0, "low.makeup_pump.run": 0.0}),
        ),
    )


def test_running_too_long_without_reaching_the_band_locks_it_out_for_15_minutes() -> None:
    station = Station(SITE)
    play(
        station,
        (
            Row(10, {}, {PUMP: 0.0}),
            Row(60, {PRESSURE: 2.5}, {PUMP: 1.0}),
            Row(1, {}, {PUMP: 0.0}),
            Row(899, {}, {PUMP: 0.0}),
            Row(2, {}, {PUMP: 1.0}),
        ),
    )
    modes = [event.body["to"] for event in station.happened("control.mode", "high.makeup_pump")]
    assert modes == ["pressure_band", "makeup_locked", "pressure_band"]


def test_the_lockout_ends_early_when_the_pressure_is_back() -> None:
    play(
        Station(SITE),
        (
            Row(10, {}, {}),
            Row(61, {PRESSURE: 2.5}, {PUMP: 0.0}),
            Row(1, {PRESSURE: 2.9}, {PUMP: 0.0}),
            Row(1, {PRESSURE: 2.7}, {PUMP: 1.0}),
        ),
    )


def test_a_broken_pressure_sensor_stops_it() -> None:
    play(
        Station(SITE),
        (
            Row(10, {PRESSURE: 2.5}, {PUMP: 1.0}),
            Row(11, {PRESSURE: Reason.NO_ANSWER}, {PUMP: 0.0, "high.mode": "automatic"}),
            Row(6, {PRESSURE: 2.5}, {PUMP: 1.0}),
        ),
    )


def test_a_nearly_empty_tank_stops_both_before_the_pumps_run_dry() -> None:
    low = {PRESSURE: 2.5, "low.secondary_return_pressure": 2.5}
    play(
        Station(SITE),
        (
            Row(10, low, {PUMP: 1.0, "low.makeup_pump.run": 1.0}),
            Row(6, {TANK: 0.29}, {PUMP: 0.0, "low.makeup_pump.run": 0.0}),
            Row(60, {TANK: 0.33}, {PUMP: 0.0}),
            Row(31, {TANK: 0.36}, {PUMP: 1.0}),
        ),
    )


def test_an_unknown_tank_level_does_not_let_the_pressure_fall() -> None:
    play(Station(SITE), (Row(50, {TANK: Reason.NO_ANSWER, PRESSURE: 2.5}, {PUMP: 1.0}),))


def test_a_loop_that_loses_its_pressure_is_refilled_while_the_circulation_pump_is_stopped() -> None:
    play(
        Station(SITE),
        (Row(12, {PRESSURE: 0.3}, {PUMP: 1.0, "high.pump_1.run": 0.0}),),
    )
