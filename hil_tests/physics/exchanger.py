"""Valve, actuator and plate heat exchanger: from a command to the supply temperature. Pure.

Equations: equal-percentage characteristic kv/kvs = R^(h-1); series of two flow coefficients;
effectiveness-NTU of a counter-flow exchanger (VDI Heat Atlas, C1) with film coefficients proportional to
flow^0.75.
"""

import math

from hil_tests.physics.noise import fading
from hil_tests.physics.parameters import HEAT_CAPACITY, Exchanger, Valve
from hil_tests.physics.state import CircuitState

_STAGNANT = 0.02  # below this share of the design flow the water of a side circulates within itself


def move_actuator(valve: Valve, state: CircuitState, target: float, dt: float) -> None:
    """Turn the motor towards `target` (0..1) for dt s; dead band at the start, play before the plug."""
    missing = target - state.motor
    distance = missing if missing >= 0.0 else -missing
    if not state.moving:
        if distance <= valve.dead_band:
            return
        state.moving = True
        state.account.starts += 1
    reach = dt / valve.running_time_s
    if distance <= reach:
        state.motor = target
        state.moving = False
        reach = distance
    else:
        state.motor += reach if missing > 0.0 else -reach
    state.account.strokes += reach
    slack = 0.5 * valve.play
    if state.stem < state.motor - slack:
        state.stem = state.motor - slack
    elif state.stem > state.motor + slack:
        state.stem = state.motor + slack


def primary_flow(valve: Valve, stem: float, differential_bar: float) -> float:
    """Primary flow in kg/s for a plug position (0..1) and a differential pressure in bar."""
    if differential_bar <= 0.0:
        return 0.0
    lift = min(1.0, max(0.0, stem))
    lift += valve.distortion * 4.0 * lift * (1.0 - lift)
    share: float = valve.rangeability ** (lift - 1.0)
    if lift < 0.02:  # the plug lands on its seat
        share = valve.leak + (share - valve.leak) * lift * 50.0
    kv = valve.kvs * share
    resistance = 1.0 / (kv * kv) + 1.0 / (valve.series_kv * valve.series_kv)
    return math.sqrt(differential_bar / resistance) / 3.6


def heat_flow(exchanger: Exchanger, m1: float, m2: float, hot_c: float, cold_c: float) -> float:
    """Steady heat in W from a flow m1 entering at hot_c to a flow m2 entering at cold_c, in kg/s and C."""
    films: float = (exchanger.primary_kg_s / m1) ** 0.75 + (exchanger.secondary_kg_s / m2) ** 0.75
    small, large = (m1, m2) if m1 < m2 else (m2, m1)
    smaller = small * HEAT_CAPACITY
    units = 2.0 * exchanger.ua / (films * smaller)
    ratio = small / large
    if ratio > 0.999:
        effectiveness = units / (1.0 + units)
    else:
        left = math.exp(-units * (1.0 - ratio))
        effectiveness = (1.0 - left) / (1.0 - ratio * left)
    return effectiveness * smaller * (hot_c - cold_c)


def exchange(
    exchanger: Exchanger, state: CircuitState, hot_c: float, cold_c: float, dt: float
) -> tuple[float, float]:
    """Advance both sides by dt with the flows of the state; mean outlets (primary, secondary) in C.

    Each side is one well-mixed lump that runs to its steady outlet. A stagnant side circulates within itself,
    so that it warms or cools to the other side and no energy is lost.
    """
    m1, m2 = state.primary_kg_s, state.secondary_kg_s
    least = _STAGNANT * exchanger.primary_kg_s
    if m1 < least:
        hot_c = (m1 * hot_c + (least - m1) * state.primary_out_c) / least
        m1 = least
    least = _STAGNANT * exchanger.secondary_kg_s
    if m2 < least:
        cold_c = (m2 * cold_c + (least - m2) * state.secondary_out_c) / least
        m2 = least
    heat = heat_flow(exchanger, m1, m2, hot_c, cold_c) / HEAT_CAPACITY
    lag = exchanger.primary_kg / m1
    end = hot_c - heat / m1
    gap = state.primary_out_c - end
    left = math.exp(-dt / lag)
    state.primary_out_c = end + gap * left
    primary = end + gap * (1.0 - left) * lag / dt
    lag = exchanger.secondary_kg / m2
    end = cold_c + heat / m2
    gap = state.secondary_out_c - end
    left = math.exp(-dt / lag)
    state.secondary_out_c = end + gap * left
    return primary, end + gap * (1.0 - left) * lag / dt


def follow_probes(state: CircuitState, dt: float) -> None:
    """Let the temperature probes follow: 2.5 s of way and 10 s of pocket at the supply, 20 s elsewhere."""
    probes = state.sensors
    way = fading(dt, 1.25)
    slow = fading(dt, 20.0)
    water = state.secondary_out_c
    probes.pocket_1_c = water + (probes.pocket_1_c - water) * way
    probes.pocket_2_c = probes.pocket_1_c + (probes.pocket_2_c - probes.pocket_1_c) * way
    probes.supply_c = probes.pocket_2_c + (probes.supply_c - probes.pocket_2_c) * fading(dt, 10.0)
    water = state.secondary_in_c
    probes.secondary_return_c = water + (probes.secondary_return_c - water) * slow
    water = state.primary_out_c
    probes.primary_return_c = water + (probes.primary_return_c - water) * slow
