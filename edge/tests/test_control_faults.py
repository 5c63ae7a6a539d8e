"""Broken sensors: what stands in, when, and what is recorded."""

import pytest

from drivers import Reason
from edge.tests.control_bench import BROKEN, RUNNING, WALL, Row, Station, doubtful, make_site, play

SITE = make_site()
OUTDOOR = "station.outdoor_temperature"
SUPPLY = "high.secondary_supply_temperature"
POSITION = "high.valve_position"


def test_a_broken_outdoor_sensor_is_replaced_by_its_substitute_after_10_s_and_back_after_5_s() -> None:
    station = Station(SITE)
    play(
        station,
        (
            Row(60, {}, {"high.outdoor_c": -5.0, "high.setpoint_c": 50.0}),
            Row(10, {OUTDOOR: BROKEN}, {"high.outdoor_c": -5.0}),
            Row(1, {}, {"high.outdoor_c": 0.0, "high.setpoint_c": 45.0, "low.setpoint_c": 45.0}),
            Row(3600, {}, {"high.outdoor_c": 0.0}),
            Row(5, {OUTDOOR: -5.0}, {"high.outdoor_c": 0.0}),
            Row(1, {}, {"high.outdoor_c": -5.0, "high.setpoint_c": 50.0}),
        ),
    )
    (broken,) = station.happened("control.substituted", OUTDOOR)
    (back,) = station.happened("control.restored", OUTDOOR)
    assert (broken.occurred - WALL, broken.detected - WALL) == (61, 71)
    assert broken.body == {"treatment": "substitute", "value": 0.0, "start": WALL + 61}
    assert (back.occurred - WALL, back.detected - WALL) == (3672, 3677)
    assert back.body == {"treatment": "substitute", "value": 0.0, "start": WALL + 61, "end": WALL + 3672}


def test_the_filter_takes_no_substitute() -> None:
    station = Station(SITE)
    station.run(10)
    station.run(7200, station__outdoor_temperature=BROKEN)
    decision = station.run(10, station__outdoor_temperature=-5.0)
    assert decision.views["high"].outdoor_c == pytest.approx(-5.0)


def test_the_setpoint_goes_to_the_substitutes_along_the_ramp_and_not_in_a_leap() -> None:
    station = Station(SITE)
    station.run(10)
    decision = station.run(12, station__outdoor_temperature=BROKEN)
    assert decision.views["high"].limited_by == "limit.setpoint_ramp"
    assert station.value("high.valve_setpoint") == pytest.approx(40.0, abs=2.0)


def test_a_broken_supply_sensor_holds_its_valve_and_leaves_pump_and_neighbour_alone() -> None:
    station = Station(SITE)
    play(
        station,
        (
            Row(10, {}, {"high.mode": "automatic", "high.valve_setpoint": 40.0}),
            Row(10, {SUPPLY: BROKEN}, {"high.mode": "automatic"}),
            Row(
                1,
                {},
                {
                    "high.mode": "supply_broken",
                    "high.limited_by": "reason.supply_broken",
                    "low.mode": "automatic",
                },
            ),
            Row(86_400 / 24, {POSITION: 46.0}, {"high.valve_setpoint": 40.0, "high.pump_1.run": 1.0}),
            Row(6, {SUPPLY: 50.0}, {"high.mode": "automatic", "high.valve_setpoint": 46.0}),
        ),
    )
    (broken,) = station.happened("control.substituted", SUPPLY)
    assert (broken.body["treatment"], broken.body["value"]) == ("hold", 40.0)
    assert [event.body["to"] for event in station.happened("control.mode", "high")] == [
        "automatic",
        "supply_broken",
        "automatic",
    ]


def test_a_lost_position_feedback_lets_control_go_on_from_its_own_command() -> None:
    station = Station(SITE)
    play(
        station,
        (
            Row(10, {}, {"high.valve_setpoint": 40.0}),
            Row(20, {POSITION: BROKEN}, {"high.mode": "automatic", "high.valve_setpoint": 40.0}),
            Row(20, {SUPPLY: 48.0}, {"high.mode": "automatic", "high.limited_by": ""}),
        ),
    )
    assert station.value("high.valve_setpoint") == pytest.approx(45.8, abs=0.5)  # 2 K x (2.2 % + 20 s of 50)
    (broken,) = station.happened("control.substituted", POSITION)
    assert broken.body["treatment"] == "model"


@pytest.mark.parametrize(
    "point", ["high.secondary_return_temperature", "high.pump_1.running", "station.tank_level"]
)
def test_inputs_without_a_rule_have_no_influence(point: str) -> None:
    station = Station(SITE, dict(RUNNING) | {point: BROKEN, "room.r1.temperature": BROKEN})
    station.run(120)
    assert station.value("high.valve_setpoint") == 40.0
    assert station.value("high.pump_1.run") == 1.0
    assert [event for event in station.events if event.kind != "control.mode"] == []


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason])
def test_any_reason_to_distrust_the_supply_sensor_holds_the_valve(reason: Reason) -> None:
    station = Station(SITE)
    station.run(10)
    station.run(11, high__secondary_supply_temperature=reason)
    assert station.decision is not None
    assert station.decision.views["high"].limited_by == "reason.supply_broken"


def test_a_value_the_device_calls_doubtful_is_not_controlled_with() -> None:
    station = Station(SITE)
    station.run(10)
    station.run(11, high__secondary_supply_temperature=doubtful(SUPPLY, 20.0))
    assert station.value("high.valve_setpoint") == 40.0


def test_a_gap_shorter_than_the_delay_is_bridged_and_not_recorded() -> None:
    station = Station(SITE)
    station.run(10)
    station.run(9, high__secondary_supply_temperature=BROKEN, station__outdoor_temperature=BROKEN)
    station.run(10, high__secondary_supply_temperature=50.0, station__outdoor_temperature=-5.0)
    assert [event.kind for event in station.events if event.kind != "control.mode"] == []
