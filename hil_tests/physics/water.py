"""Pumps, pressures and water of the secondary loop, tank and sump. Pure."""

import math

from hil_tests.physics.noise import fading
from hil_tests.physics.parameters import GROUND_C, HEAT_CAPACITY, Circuit, Plant
from hil_tests.physics.state import CircuitDisturbance, CircuitState, Commands, PlantState

_UP_PERCENT_S = 10.0  # ramp of the inverter
_DOWN_PERCENT_S = 12.0  # run-out of a pump without power
_SUMP_AREA_M2 = 1.5
_SEEPAGE_M3H = 0.02
_SUMP_PUMP_M3H = 10.0


def follow_speed(percent: float, target: float, dt: float) -> float:
    """Speed in % after dt seconds on the way to the target."""
    if target >= percent:
        return min(target, percent + _UP_PERCENT_S * dt)
    return max(target, percent - _DOWN_PERCENT_S * dt)


def turn_pumps(
    state: CircuitState, commands: Commands, disturbance: CircuitDisturbance, power: bool, dt: float
) -> None:
    """Circulation and make-up pump towards what they were told, if they have power and no fault."""
    state.fault = disturbance.pump_trip
    turning = commands.pump_run and power and not state.fault
    target = commands.pump_percent if turning else 0.0
    if state.pump_percent != target:
        state.pump_percent = follow_speed(state.pump_percent, target, dt)
    target = commands.makeup_percent if commands.makeup_run and power else 0.0
    if state.makeup_percent != target:
        state.makeup_percent = follow_speed(state.makeup_percent, target, dt)


def circulate(circuit: Circuit, state: CircuitState, dt: float) -> None:
    """Secondary flow: proportional to the pump's speed, less when the suction runs dry below 0.5 bar."""
    flow = circuit.exchanger.secondary_kg_s * state.pump_percent / circuit.design_speed
    if state.static_bar < 0.5:
        flow *= max(0.0, state.static_bar) * 2.0
    state.secondary_kg_s = flow + (state.secondary_kg_s - flow) * fading(dt, 2.0)


def _makeup_m3h(circuit: Circuit, state: CircuitState, tank_m: float) -> float:
    """What the make-up pump lifts against the pressure: a parabola from the shut-off head."""
    if state.makeup_percent <= 0.0 or tank_m <= 0.05:
        return 0.0
    water = circuit.water
    speed = state.makeup_percent * 0.01
    left = speed * speed - state.static_bar / water.shutoff_bar
    if left <= 0.0:
        return 0.0
    return water.makeup_m3h * math.sqrt(left / (1.0 - water.static_bar / water.shutoff_bar))


def balance_water(circuit: Circuit, state: CircuitState, burst_m3h: float, tank_m: float, dt: float) -> None:
    """Leak, make-up, relief and the static pressure that results; cold make-up water cools the return."""
    water, account = circuit.water, state.account
    makeup = state.makeup_m3h = _makeup_m3h(circuit, state, tank_m)
    bar = state.static_bar
    leak = (water.leak_m3h + burst_m3h) * math.sqrt(bar / water.static_bar) if bar > 0.0 else 0.0
    state.leak_m3h = leak
    lost = leak + (5.0 * (bar - water.relief_bar) if bar > water.relief_bar else 0.0)
    hours = dt / 3600.0
    state.water_m3 += (makeup - lost) * hours
    account.makeup_m3 += makeup * hours
    account.leaked_m3 += lost * hours
    filled = (state.water_m3 + state.expansion_m3) / water.compliance_m3_bar
    state.static_bar = filled if filled > 0.0 else 0.0


def refill(state: CircuitState, dt: float) -> float:
    """Return temperature in C after the make-up water has mixed in; books what that costs."""
    makeup = state.makeup_m3h / 3.6
    if makeup == 0.0 or state.secondary_kg_s <= makeup:
        return state.secondary_in_c
    share = makeup / state.secondary_kg_s
    state.account.refilled_j += makeup * HEAT_CAPACITY * (state.secondary_in_c - GROUND_C) * dt
    return state.secondary_in_c - share * (state.secondary_in_c - GROUND_C)


def step_station_water(plant: Plant, state: PlantState, in_station: bool, h: float) -> None:
    """Tank with a float valve on town water, sump with its pump, h seconds."""
    hours = h / 3600.0
    drawn = sum(circuit.makeup_m3h for circuit in state.circuits)
    opening = min(1.0, max(0.0, (plant.tank_full_m - state.tank_m) / 0.1))
    filled = plant.town_water_m3h * opening
    state.tank_m = max(0.0, state.tank_m + (filled - drawn) * hours / plant.tank_area_m2)
    inflow = _SEEPAGE_M3H + (sum(circuit.leak_m3h for circuit in state.circuits) if in_station else 0.0)
    if state.sump_m > 0.8:
        state.sump_pump = True
    elif state.sump_m < 0.2:
        state.sump_pump = False
    outflow = _SUMP_PUMP_M3H if state.sump_pump and state.mains_power else 0.0
    state.sump_m = min(2.0, max(0.0, state.sump_m + (inflow - outflow) * hours / _SUMP_AREA_M2))
