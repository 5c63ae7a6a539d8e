"""Interlocks, frost protection, the loss of the primary network, and the season."""

import pytest

from edge.records import Holder
from edge.tests.control_bench import BROKEN, RUNNING, Row, Station, make_site, play

SITE = make_site()
SUPPLY = "high.secondary_supply_temperature"
RETURN = "high.secondary_return_temperature"
PRESSURE = "high.secondary_return_pressure"
POSITION = "high.valve_position"
PUMP = "high.pump_1.running"
MAINS = "station.mains_power"
DIFFERENTIAL = "station.primary_differential_pressure"
PRIMARY = "station.primary_supply_temperature"


def test_too_hot_a_supply_shuts_the_valve_until_it_is_below_the_maximum() -> None:
    play(
        Station(SITE),
        (
            Row(10, {}, {"high.mode": "automatic"}),
            Row(30, {SUPPLY: 64.9}, {"high.mode": "automatic"}),
            Row(5, {SUPPLY: 65.1}, {"high.mode": "automatic"}),
            Row(
                1, {}, {"high.mode": "over_temperature", "high.valve_setpoint": 0.0, "low.mode": "automatic"}
            ),
            Row(3600, {SUPPLY: 60.5}, {"high.holder": Holder.INTERLOCK, "high.pump_1.run": 1.0}),
            Row(30, {SUPPLY: 59.0, POSITION: 3.0}, {"high.mode": "over_temperature"}),
            Row(1, {}, {"high.mode": "automatic", "high.valve_setpoint": 3.0}),
        ),
    )


def test_a_supply_sensor_that_breaks_while_too_hot_does_not_release_the_interlock() -> None:
    station = Station(SITE)
    station.run(10)
    station.run(10, high__secondary_supply_temperature=70.0)
    play(
        station, (Row(600, {SUPPLY: BROKEN}, {"high.mode": "over_temperature", "high.valve_setpoint": 0.0}),)
    )


def test_without_circulation_the_valve_shuts_and_the_pump_is_still_asked_to_run() -> None:
    play(
        Station(SITE),
        (
            Row(14, {PUMP: 0.0}, {"high.mode": "automatic"}),
            Row(
                1,
                {},
                {"high.mode": "no_circulation", "high.valve_setpoint": 0.0, "high.holder": Holder.INTERLOCK},
            ),
            Row(60, {}, {"high.pump_1.run": 1.0, "low.mode": "automatic"}),
            Row(6, {PUMP: 1.0, POSITION: 12.0}, {"high.mode": "automatic", "high.valve_setpoint": 12.0}),
        ),
    )


def test_low_return_pressure_stops_the_pump_before_it_cavitates_and_then_the_valve() -> None:
    station = Station(SITE)
    play(
        station,
        (
            Row(9, {PRESSURE: 0.45}, {"high.pump_1.run": 1.0}),
            Row(1, {}, {"high.pump_1.run": 0.0, "high.mode": "automatic"}),
            Row(16, {PUMP: 0.0}, {"high.mode": "no_circulation", "high.valve_setpoint": 0.0}),
            Row(120, {PRESSURE: 0.55}, {"high.pump_1.run": 0.0}),
            Row(31, {PRESSURE: 0.7}, {"high.pump_1.run": 1.0}),
            Row(7, {PUMP: 1.0}, {"high.mode": "automatic"}),
        ),
    )
    stopped = station.happened("control.mode", "high.pump_1")[1]
    assert stopped.body == {
        "from": "automatic",
        "to": "low_pressure",
        "reason": "reason.low_pressure",
        "holder": "interlock",
    }


def test_without_mains_everything_is_off_and_afterwards_the_valve_starts_where_it_is() -> None:
    station = Station(SITE)
    play(
        station,
        (
            Row(10, {}, {"high.pump_1.run": 1.0}),
            Row(
                3,
                {MAINS: 0.0, PUMP: 0.0, "low.pump_1.running": 0.0},
                {"high.pump_1.run": 0.0, "high.makeup_pump.run": 0.0, "low.pump_1.run": 0.0},
            ),
            Row(15, {}, {"high.mode": "no_circulation", "low.mode": "no_circulation"}),
            Row(7200, {}, {"high.mode": "no_circulation"}),
            Row(6, {MAINS: 1.0}, {"high.pump_1.run": 1.0, "high.mode": "no_circulation"}),
            Row(
                6,
                {PUMP: 1.0, SUPPLY: 35.0, POSITION: 31.0},
                {"high.mode": "automatic", "high.valve_setpoint": 31.0},
            ),
        ),
    )


def test_a_dip_of_the_mains_is_ridden_through() -> None:
    play(
        Station(SITE),
        (
            Row(10, {}, {}),
            Row(1, {MAINS: 0.0}, {"high.pump_1.run": 1.0}),
            Row(5, {MAINS: 1.0}, {"high.pump_1.run": 1.0}),
        ),
    )


@pytest.mark.parametrize(
    "lost", [{DIFFERENTIAL: 0.1}, {PRIMARY: 52.0}, {"high.primary_supply_temperature": 52.0}]
)
def test_without_heat_from_the_primary_network_the_valve_waits_where_it_last_held_the_setpoint(
    lost: dict[str, float],
) -> None:
    station = Station(SITE, following=True)
    station.run(60)
    station.run(20, high__secondary_supply_temperature=47.0)  # control opens meanwhile
    opened = station.value("high.valve_setpoint")
    assert opened is not None
    assert opened > 45.0
    play(
        station,
        (
            Row(4, lost, {"high.mode": "primary_lost", "high.valve_setpoint": 40.0}),
            Row(3 * 3600, {SUPPLY: 25.0}, {"high.valve_setpoint": 40.0, "high.setpoint_c": 50.0}),
            Row(
                60,
                {DIFFERENTIAL: 1.5, PRIMARY: 90.0, "high.primary_supply_temperature": 90.0, SUPPLY: 48.0},
                {"high.mode": "primary_lost"},
            ),
            Row(1, {}, {"high.mode": "automatic", "high.valve_setpoint": 40.0}),
        ),
    )


def test_a_cold_primary_pipe_behind_a_nearly_shut_valve_is_no_evidence_of_a_loss() -> None:
    station = Station(SITE, dict(RUNNING) | {POSITION: 2.0, PRIMARY: 20.0, SUPPLY: 45.0}, following=True)
    station.run(120)
    assert station.value("high.valve_setpoint") is not None
    assert station.values[POSITION] == pytest.approx(10.0, abs=2.0)  # opens until the sensor must be believed


def test_where_the_primary_side_is_not_measured_nothing_is_held() -> None:
    values = {point: value for point, value in RUNNING.items() if "primary" not in point}
    play(Station(SITE, dict(values)), (Row(60, {SUPPLY: 30.0}, {"high.mode": "automatic"}),))


def test_outside_the_season_valve_and_pump_are_off_and_the_pressure_is_still_held() -> None:
    station = Station(SITE, heating=False)
    play(
        station,
        (
            Row(1, {}, {"high.mode": "off_season", "high.valve_setpoint": 0.0, "high.pump_1.run": 0.0}),
            Row(60, {PUMP: 0.0, PRESSURE: 2.7}, {"high.makeup_pump.run": 1.0, "high.mode": "off_season"}),
        ),
    )
    assert station.decision is not None
    assert not station.decision.views["high"].heating


def test_when_the_season_begins_the_valve_waits_for_the_pump() -> None:
    station = Station(SITE, dict(RUNNING) | {PUMP: 0.0, POSITION: 0.0, SUPPLY: 20.0}, heating=False)
    station.run(60)
    station.run(10, heating=True)
    play(
        station,
        (
            Row(0, {}, {"high.pump_1.run": 1.0, "high.mode": "no_circulation"}),
            Row(7, {PUMP: 1.0}, {"high.mode": "automatic"}),
        ),
    )


def test_an_idle_loop_close_to_freezing_is_circulated_and_warmed_until_7_degrees() -> None:
    cold = dict(RUNNING) | {PUMP: 0.0, POSITION: 0.0, SUPPLY: 6.0, RETURN: 6.0}
    play(
        Station(SITE, cold, heating=False),
        (
            Row(60, {}, {"high.mode": "off_season"}),
            Row(11, {RETURN: 4.9}, {"high.mode": "no_circulation", "high.pump_1.run": 1.0}),
            Row(
                6,
                {PUMP: 1.0},
                {"high.mode": "frost", "high.holder": Holder.FROST, "high.valve_setpoint": 20.0},
            ),
            Row(600, {SUPPLY: 15.0, RETURN: 6.9}, {"high.mode": "frost", "low.mode": "off_season"}),
            Row(299, {RETURN: 7.1}, {"high.mode": "frost"}),
            Row(3, {}, {"high.mode": "off_season", "high.valve_setpoint": 0.0, "high.pump_1.run": 0.0}),
        ),
    )


def test_frost_protection_works_with_one_sensor_left() -> None:
    cold = dict(RUNNING) | {RETURN: 4.0}
    del cold[SUPPLY]
    play(Station(SITE, cold, heating=False), (Row(80, {}, {"high.mode": "frost"}),))


def test_an_interlock_goes_before_frost_protection() -> None:
    cold = dict(RUNNING) | {SUPPLY: 4.0, RETURN: 4.0, PRESSURE: 0.2}
    play(
        Station(SITE, cold, heating=False),
        (Row(60, {PUMP: 0.0}, {"high.pump_1.run": 0.0, "high.valve_setpoint": 0.0}),),
    )
