"""The first cycles: safe outputs, bumpless takeover, what is kept over a restart."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.control import from_plain, initial, to_plain
from edge.records import Holder
from edge.tests.control_bench import (
    BROKEN,
    RUNNING,
    Row,
    Station,
    instant,
    make_site,
    play,
    restarted,
    with_valve,
)

SITE = make_site()
REQUIRED = (
    "station.outdoor_temperature",
    "high.secondary_supply_temperature",
    "high.valve_position",
    "high.secondary_return_pressure",
)


@pytest.mark.parametrize("missing", REQUIRED)
def test_until_every_required_input_has_reported_nothing_is_commanded(missing: str) -> None:
    station = Station(SITE, dict(RUNNING) | {missing: BROKEN})
    decision = station.run(30)
    assert [command.point for command in decision.commands if command.point.startswith("high.")] == []
    assert decision.views["high"].holder is Holder.SAFE
    assert not decision.views["high"].ready
    station.run(0, **{missing.replace(".", "__"): RUNNING[missing]})
    assert station.value("high.valve_setpoint") is not None


def test_one_circuit_does_not_wait_for_the_other() -> None:
    station = Station(SITE, dict(RUNNING) | {"low.secondary_supply_temperature": BROKEN})
    station.run(5)
    assert station.value("high.valve_setpoint") == pytest.approx(40.0)
    assert station.value("low.valve_setpoint") is None


def test_a_safe_opening_is_held_where_one_is_configured() -> None:
    station = Station(with_valve(SITE, safe=15.0), {})
    station.run(5)
    command = station.command("high.valve_setpoint")
    assert command is not None
    assert (command.value, command.holder, command.reason) == (15.0, Holder.SAFE, "reason.safe")


@pytest.mark.parametrize(
    ("never", "expect"),
    [
        ("station.outdoor_temperature", {"high.mode": "automatic", "high.outdoor_c": 0.0}),
        ("high.secondary_supply_temperature", {"high.mode": "supply_broken", "high.valve_setpoint": 40.0}),
        ("high.valve_position", {"high.mode": "automatic", "high.valve_setpoint": 0.0}),
        ("high.secondary_return_pressure", {"high.mode": "automatic", "high.makeup_pump.run": 0.0}),
    ],
)
def test_an_input_that_never_comes_is_broken_after_a_minute(never: str, expect: dict[str, object]) -> None:
    play(
        Station(SITE, dict(RUNNING) | {never: BROKEN}),
        (Row(59, {}, {"high.mode": "safe"}), Row(1, {}, expect)),
    )


@given(opening=st.floats(0, 100), supply_c=st.floats(5, 75), outdoor_c=st.floats(-30, 20))
def test_the_first_automatic_command_is_where_the_valve_is(
    opening: float, supply_c: float, outdoor_c: float
) -> None:
    station = Station(SITE, dict(RUNNING))
    station.run(
        0,
        high__valve_position=opening,
        high__secondary_supply_temperature=supply_c,
        station__outdoor_temperature=outdoor_c,
    )
    assert station.value("high.valve_setpoint") == pytest.approx(opening, abs=1.0)


def test_a_cold_loop_is_warmed_along_a_ramp() -> None:
    station = Station(SITE, dict(RUNNING) | {"high.secondary_supply_temperature": 25.0}, following=True)
    decision = station.run(30)
    assert decision.views["high"].setpoint_c == pytest.approx(50.0)  # what is owed
    assert decision.views["high"].limited_by == "limit.setpoint_ramp"
    assert station.value("high.valve_setpoint") == pytest.approx(46.7, abs=0.5)  # not 20 K x 2.2 %/K at once


def test_a_loop_too_hot_at_the_start_is_not_kept_hot_by_a_ramp() -> None:
    station = Station(SITE, dict(RUNNING) | {"high.secondary_supply_temperature": 58.0}, following=True)
    decision = station.run(20)
    assert decision.views["high"].limited_by == ""
    opening = station.value("high.valve_setpoint")
    assert opening is not None
    assert opening < 35.0


def test_every_command_is_renewed_each_cycle_and_outlives_one_missed_renewal() -> None:
    station = Station(SITE)
    for _ in range(3):
        decision = station.cycle()
        assert {command.point for command in decision.commands} == {
            f"{circuit}.{what}"
            for circuit in ("high", "low")
            for what in (
                "valve_setpoint",
                "pump_1.run",
                "pump_1.speed_setpoint",
                "makeup_pump.run",
                "makeup_pump.speed_setpoint",
            )
        }
        assert {command.until for command in decision.commands} == {instant(station.seconds).monotonic + 60.0}


def test_an_output_nobody_mapped_is_not_commanded() -> None:
    device = SITE.devices[0]
    points = {point: name for point, name in device.points.items() if "makeup_pump" not in point}
    site = SITE.model_copy(update={"devices": (device.model_copy(update={"points": points}),)})
    decision = Station(site).run(1)
    assert not any("makeup_pump" in command.point for command in decision.commands)


def test_after_a_pause_longer_than_the_commands_lived_control_starts_anew_from_the_measured_valve() -> None:
    station = Station(SITE)
    station.run(10)
    station.values["high.valve_position"] = 70.0  # the actuator fell back meanwhile
    station.cycle(61.0)
    assert station.value("high.valve_setpoint") == pytest.approx(70.0)


# -- over a restart


def _later(station: Station, seconds: float) -> Station:
    assert station.state is not None
    stored = msgpack.unpackb(msgpack.packb(to_plain(station.state)))
    station.seconds += seconds
    return restarted(station, from_plain(stored, SITE, instant(station.seconds)))


def test_the_filtered_outdoor_temperature_outlives_a_restart() -> None:
    station = Station(SITE)
    station.run(10)
    again = _later(station, 600)
    decision = again.run(0, station__outdoor_temperature=5.0)
    assert decision.views["high"].outdoor_c == pytest.approx(
        0.0, abs=0.01
    )  # half 5 degC, half the filter's -5


def test_a_filtered_outdoor_temperature_of_yesterday_is_forgotten() -> None:
    station = Station(SITE)
    station.run(10)
    decision = _later(station, 86_400).run(0, station__outdoor_temperature=5.0)
    assert decision.views["high"].outdoor_c == pytest.approx(5.0)


def test_after_a_restart_the_measured_position_counts_and_not_the_stored_command() -> None:
    station = Station(SITE)
    station.run(10)
    again = _later(station, 60)
    again.run(0, high__valve_position=55.0)
    assert again.value("high.valve_setpoint") == pytest.approx(55.0)


def test_only_where_the_position_cannot_be_measured_the_stored_command_counts() -> None:
    station = Station(SITE)
    station.run(10)
    again = _later(station, 60)
    again.run(61, high__valve_position=BROKEN)
    assert again.value("high.valve_setpoint") == pytest.approx(40.0)


def test_a_restart_is_told_as_a_change_of_mode_only_where_there_is_one() -> None:
    station = Station(SITE)
    station.run(10)
    again = _later(station, 5)
    again.run(0)
    assert [event for event in again.events if event.kind == "control.mode"] == []


@pytest.mark.parametrize(
    "stored",
    [
        None,
        b"",
        [],
        {"version": 2},
        {"version": 1, "wall": "now", "circuits": {}},
        {"version": 1, "wall": float("nan"), "circuits": {}},
        {"version": 1, "wall": instant(0).wall + 3600, "circuits": {}},
        {"version": 1, "wall": instant(0).wall, "circuits": {"high": 3, "other": {}}},
        {
            "version": 1,
            "wall": instant(0).wall,
            "circuits": {
                "high": {"command_percent": 1e9, "outdoor_filtered_c": float("inf"), "modes": [1, 2, 3]}
            },
        },
    ],
)
def test_a_stored_state_that_makes_no_sense_is_a_fresh_start(stored: object) -> None:
    assert from_plain(stored, SITE, instant(0)) == initial(SITE)


@pytest.mark.parametrize(
    "broken", ["high.secondary_supply_temperature", "station.primary_supply_temperature"]
)
def test_a_valve_found_open_beyond_its_limit_is_not_held_there(broken: str) -> None:
    values = dict(RUNNING) | {broken: BROKEN, "high.valve_position": 95.0}
    if broken.startswith("station."):
        values["station.primary_differential_pressure"] = 0.0
    station = Station(with_valve(SITE, maximum_percent=60.0), values)
    for _ in range(100):
        station.run(1)
        commanded = station.value("high.valve_setpoint")
        assert commanded is None or commanded <= 60.0


def test_a_command_kept_over_a_restart_is_bound_by_the_limits_of_today() -> None:
    kept = {"command_percent": 95.0, "outdoor_filtered_c": 0.0, "modes": ["", "", ""]}
    plain = {"version": 1, "wall": instant(0).wall - 10.0, "circuits": {"high": kept}}
    site = with_valve(SITE, maximum_percent=60.0)
    blind = {"high.secondary_supply_temperature": BROKEN, "high.valve_position": BROKEN}
    station = Station(site, dict(RUNNING) | blind)
    station.state = from_plain(plain, site, instant(0))
    station.run(100)
    assert station.value("high.valve_setpoint") == 60.0
