"""What devices and a story do to the simulated substation, and what its probes show of it."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from edge.points import CIRCUIT, STATION, quantity
from hil_tests.plant import (
    CircuitDisturbance,
    Commands,
    Disturbance,
    Inputs,
    Noise,
    advance,
    commands,
    measure,
)
from hil_tests.plant_trial import (
    HIGH,
    HOLDING,
    LOW,
    OUTDOOR_C,
    PRIMARY_LOST,
    QUIET,
    STEADY,
    mean_room,
    on,
    opened,
    run,
    told,
)


@pytest.mark.parametrize("circuit", [HIGH, LOW])
@pytest.mark.parametrize("dt", [1.0, 5.0, 10.0])
def test_the_valve_moves_no_faster_than_its_running_time(circuit: int, dt: float) -> None:
    running = QUIET.circuits[circuit].valve.running_time_s
    state = run(STEADY, running, told(circuit, lambda old: replace(old, valve_percent=0.0)))
    assert state.circuits[circuit].motor == 0.0
    inputs = Inputs(OUTDOOR_C, told(circuit, lambda old: replace(old, valve_percent=100.0)))
    passed = 0.0
    while state.circuits[circuit].motor < 1.0:
        before = state.circuits[circuit].motor
        state = advance(QUIET, state, inputs, dt)
        passed += dt
        assert state.circuits[circuit].motor - before <= dt / running + 1e-12
    assert running <= passed <= running + dt


def test_a_command_within_the_dead_band_does_not_start_the_motor() -> None:
    still = run(STEADY, 60.0, opened(HIGH, 0.7), dt=1.0).circuits[HIGH]
    assert still.motor == STEADY.circuits[HIGH].motor
    assert still.account.starts == 0
    moved = run(STEADY, 60.0, opened(HIGH, 0.9), dt=1.0).circuits[HIGH]
    assert moved.account.starts == 1
    assert moved.motor == pytest.approx(STEADY.circuits[HIGH].motor + 0.009)


def test_after_a_reversal_the_plug_stays_until_the_play_is_used_up() -> None:
    up = run(STEADY, 60.0, opened(HIGH, 3.0), dt=1.0)
    back = run(up, 60.0, opened(HIGH, 2.1), dt=1.0)
    assert back.circuits[HIGH].motor == pytest.approx(up.circuits[HIGH].motor - 0.009)
    assert back.circuits[HIGH].stem == up.circuits[HIGH].stem
    further = run(back, 60.0, opened(HIGH, 0.0), dt=1.0)
    assert further.circuits[HIGH].stem == pytest.approx(further.circuits[HIGH].motor + 0.005)


@pytest.mark.parametrize(
    "trouble", [Disturbance(mains_power=False), on(HIGH, CircuitDisturbance(actuator_stuck=True))]
)
def test_the_actuator_holds_without_mains_and_when_stuck(trouble: Disturbance) -> None:
    later = run(STEADY, 300.0, opened(HIGH, -40.0), trouble)
    assert later.circuits[HIGH].motor == STEADY.circuits[HIGH].motor
    released = run(later, 300.0, opened(HIGH, -40.0))
    assert released.circuits[HIGH].motor == pytest.approx(STEADY.circuits[HIGH].motor - 0.4)


def test_without_mains_pumps_stand_and_come_back_with_it() -> None:
    dark = run(STEADY, 120.0, HOLDING, Disturbance(mains_power=False))
    points = measure(QUIET, dark, Noise(1))
    assert points["station.mains_power"] == 0.0
    for name in ("high", "low"):
        assert points[f"{name}.pump_1.running"] == 0.0
        assert points[f"{name}.pump_1.fault"] == 0.0
        assert points[f"{name}.secondary_supply_pressure"] == pytest.approx(
            points[f"{name}.secondary_return_pressure"], abs=0.05
        )
    light = run(dark, 120.0, HOLDING)
    assert measure(QUIET, light, Noise(1))["high.pump_1.frequency"] == pytest.approx(45.0)


def test_a_tripped_pump_stands_with_a_fault_and_the_other_circuit_goes_on() -> None:
    later = run(STEADY, 600.0, disturbance=on(HIGH, CircuitDisturbance(pump_trip=True)))
    points = measure(QUIET, later, Noise(1))
    assert (points["high.pump_1.running"], points["high.pump_1.fault"]) == (0.0, 1.0)
    assert (points["low.pump_1.running"], points["low.pump_1.fault"]) == (1.0, 0.0)
    assert later.circuits[LOW].secondary_out_c == pytest.approx(STEADY.circuits[LOW].secondary_out_c, abs=0.2)


def test_a_burst_empties_the_circuit_and_the_pump_then_moves_nothing() -> None:
    burst = on(HIGH, CircuitDisturbance(burst_m3h=15.0))
    minutes = [run(STEADY, 60.0 * minute, disturbance=burst).circuits[HIGH] for minute in (1, 5, 10, 30)]
    pressures = [circuit.static_bar for circuit in minutes]
    assert pressures == sorted(pressures, reverse=True)
    assert pressures[0] < 6.0 - 0.3
    assert pressures[-1] < 0.2
    assert minutes[-1].secondary_kg_s < 0.2 * STEADY.circuits[HIGH].secondary_kg_s
    assert run(STEADY, 1800.0, disturbance=burst).circuits[LOW].static_bar > 2.8


def test_the_make_up_pump_brings_the_pressure_back_and_draws_on_the_tank() -> None:
    low = run(STEADY, 300.0, disturbance=on(HIGH, CircuitDisturbance(burst_m3h=15.0)))
    later = run(low, 600.0, HOLDING)
    assert later.circuits[HIGH].static_bar > low.circuits[HIGH].static_bar + 0.5
    assert later.circuits[HIGH].account.makeup_m3 > 0.2
    assert later.tank_m < STEADY.tank_m + 0.1
    points = measure(QUIET, later, Noise(1))
    assert points["high.makeup_pump.running"] == 1.0
    assert points["high.makeup_volume"] > 0.2


def test_a_burst_inside_the_station_fills_the_sump() -> None:
    trouble = replace(on(HIGH, CircuitDisturbance(burst_m3h=15.0)), burst_in_station=True, mains_power=False)
    assert run(STEADY, 900.0, disturbance=trouble).sump_m > STEADY.sump_m + 0.5


def test_three_hours_without_primary_heat_cool_the_supply_to_the_return_and_the_rooms_a_little() -> None:
    later = run(STEADY, 3 * 3600.0, disturbance=PRIMARY_LOST)
    for number, now in enumerate(later.circuits):
        assert now.secondary_out_c - now.secondary_in_c < 1.0
        assert now.power_w < 0.1 * STEADY.circuits[number].power_w
    assert 1.0 < mean_room(STEADY, HIGH) - mean_room(later, HIGH) < 4.0
    assert 0.3 < mean_room(STEADY, LOW) - mean_room(later, LOW) < 2.0  # the floor gives its heat on
    assert later.circuits[HIGH].secondary_out_c > mean_room(later, HIGH)


def test_after_the_outage_the_same_valve_brings_the_supply_back() -> None:
    back = run(run(STEADY, 3 * 3600.0, disturbance=PRIMARY_LOST), 3600.0)
    assert back.circuits[LOW].secondary_out_c > STEADY.circuits[LOW].secondary_out_c - 6.0
    assert back.circuits[HIGH].power_w > 0.9 * STEADY.circuits[HIGH].power_w


def test_every_point_of_the_trade_is_measured_within_its_range() -> None:
    points = measure(QUIET, run(STEADY, 60.0), Noise(1))
    outputs = {name for name, known in CIRCUIT.items() if known.output}
    wanted = {f"{circuit}.{name}" for circuit in ("high", "low") for name in CIRCUIT.keys() - outputs}
    wanted |= {f"station.{name}" for name in STATION}
    wanted |= {f"room.{name}.temperature" for name in ("h1", "h2", "h3", "l1", "l2", "l3")}
    assert set(points) == wanted
    for point, value in points.items():
        known = quantity(point)
        assert known is not None
        assert known.low <= value <= known.high, point


def test_probes_show_the_water_with_noise_of_a_few_hundredths_in_steps_of_a_twentieth() -> None:
    state, noise = run(STEADY, 300.0), Noise(7)
    values = [measure(QUIET, state, noise)["high.secondary_supply_temperature"] for _ in range(400)]
    mean = sum(values) / len(values)
    assert mean == pytest.approx(state.circuits[HIGH].secondary_out_c, abs=0.02)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    assert 0.02 < spread < 0.05
    assert all(abs(value * 20.0 - round(value * 20.0)) < 1e-6 for value in values)


def test_a_heat_meter_shows_new_values_every_eight_seconds_only() -> None:
    state = run(STEADY, 60.0, dt=1.0)
    shown = []
    for _ in range(40):
        state = run(state, 1.0, dt=1.0)
        shown.append(measure(QUIET, state, Noise(1))["high.primary_flow"])
    changes = [n for n, (a, b) in enumerate(pairwise(shown)) if a != b]
    assert 4 <= len(changes) <= 5
    assert all(b - a == 8 for a, b in pairwise(changes))


def test_the_meter_counts_the_heat_that_was_taken() -> None:
    account = run(STEADY, 7200.0).circuits[HIGH].account
    assert account.energy_kwh == pytest.approx(account.primary_j / 3.6e6)
    assert account.energy_kwh == pytest.approx(STEADY.circuits[HIGH].power_w * 2e-3, rel=0.02)


def test_commands_come_from_points_and_what_nobody_wrote_is_off() -> None:
    high, low = commands(QUIET, {"high.valve_setpoint": 40.0, "high.pump_1.run": 1.0})
    assert high == Commands(40.0, True, 0.0, False, 0.0)
    assert low == Commands()
