"""The substation's physics in time: `advance` (pure) and `step` (the same in place). No I/O, no clock.

Two rates: valves, exchangers, pumps, pressures and probes move with every step; pipes, emitters, houses, the
source and the water tank are slow and move every ten seconds with what has passed meanwhile. Steps of 1 to 10
s are stable because every lag is integrated exactly over the step; see test_plant.py for what a coarser step
costs.
"""

from hil_tests.physics.exchanger import exchange, follow_probes, move_actuator, primary_flow
from hil_tests.physics.houses import step_houses
from hil_tests.physics.noise import fading, following, normal
from hil_tests.physics.parameters import HEAT_CAPACITY, Circuit, Plant
from hil_tests.physics.primary import step_mains, step_pressure
from hil_tests.physics.state import (
    SOUND,
    CircuitDisturbance,
    CircuitState,
    Commands,
    Inputs,
    PlantState,
)
from hil_tests.physics.water import balance_water, circulate, refill, step_station_water, turn_pumps

TICK_S = 10.0
METER_REFRESH_S = 8.0
LONGEST_STEP_S = 10.0


def _exchange_heat(circuit: Circuit, state: CircuitState, supply_c: float, dt: float) -> None:
    """Heat across the exchanger, what it leaves in both flows, and the totals."""
    primary_c, secondary_c = exchange(circuit.exchanger, state, supply_c, refill(state, dt), dt)
    passed = state.secondary_kg_s * dt
    state.waiting_kg += passed
    state.waiting_kg_k += passed * secondary_c
    power = state.power_w = state.primary_kg_s * HEAT_CAPACITY * (supply_c - primary_c)
    account = state.account
    account.primary_j += power * dt
    account.energy_kwh += power * dt / 3.6e6
    account.volume_m3 += state.primary_kg_s * dt * 0.001


def _step_circuit(
    circuit: Circuit,
    state: CircuitState,
    commands: Commands,
    disturbance: CircuitDisturbance,
    plant: PlantState,
    dt: float,
) -> None:
    """The fast part of one circuit."""
    if plant.mains_power and not disturbance.actuator_stuck:
        target = commands.valve_percent * 0.01
        move_actuator(circuit.valve, state, min(1.0, max(0.0, target)), dt)
    else:
        state.moving = False
    turn_pumps(state, commands, disturbance, plant.mains_power, dt)
    circulate(circuit, state, dt)
    state.primary_kg_s = primary_flow(circuit.valve, state.stem, plant.primary.differential_bar)
    _exchange_heat(circuit, state, plant.primary.supply_c, dt)
    balance_water(circuit, state, disturbance.burst_m3h, plant.tank_m, dt)
    follow_probes(state, dt)


def _follow_station_probes(state: PlantState, dt: float) -> None:
    slow = fading(dt, 20.0)
    primary = state.primary
    state.probe_supply_c = primary.supply_c + (state.probe_supply_c - primary.supply_c) * slow
    state.probe_outdoor_c = state.outdoor_c + (state.probe_outdoor_c - state.outdoor_c) * fading(dt, 300.0)
    bar = primary.differential_bar
    state.probe_differential_bar = bar + (state.probe_differential_bar - bar) * fading(dt, 2.0)


def _refresh_meters(state: PlantState) -> None:
    """Heat meters show a new set of values; each pair of probes with 0.03 K of noise, the flow with 0.3 %."""
    state.meter_due_s = state.time + METER_REFRESH_S
    for circuit in state.circuits:
        probes = circuit.sensors
        seed = following(state.seed)
        probes.meter_supply_c = state.probe_supply_c + 0.03 * normal(seed)
        seed = following(seed)
        probes.meter_return_c = probes.primary_return_c + 0.03 * normal(seed)
        seed = state.seed = following(seed)
        probes.meter_m3h = circuit.primary_kg_s * 3.6 * (1.0 + 0.003 * normal(seed))
        spread = probes.meter_supply_c - probes.meter_return_c
        probes.meter_w = probes.meter_m3h / 3.6 * HEAT_CAPACITY * spread


def _tick(plant: Plant, state: PlantState, inputs: Inputs) -> None:
    """The slow part, for the seconds since the last."""
    h = state.since_tick_s
    state.since_tick_s = 0.0
    step_mains(plant.mains, state, inputs.disturbance, h)
    for circuit, circuit_state in zip(plant.circuits, state.circuits, strict=True):
        step_houses(circuit, circuit_state, state.outdoor_c, inputs.sun_w_m2, h)
    step_station_water(plant, state, inputs.disturbance.burst_in_station, h)


def step(plant: Plant, state: PlantState, inputs: Inputs, dt: float) -> None:
    """Move `state` IN PLACE by dt s (0 < dt <= 10). For the owner of the state; others call `advance`."""
    if not 0.0 < dt <= LONGEST_STEP_S:
        raise ValueError(f"a step is longer than 0 and at most {LONGEST_STEP_S:g} s, not {dt!r} s")
    disturbance = inputs.disturbance
    state.time += dt
    state.outdoor_c = inputs.outdoor_c + disturbance.outdoor_offset_k
    state.mains_power = disturbance.mains_power
    state.door_open = disturbance.door_open
    step_pressure(plant.mains, state, disturbance, dt)
    troubles = disturbance.circuits
    for number, circuit in enumerate(plant.circuits):
        trouble = troubles[number] if troubles else SOUND
        _step_circuit(circuit, state.circuits[number], inputs.commands[number], trouble, state, dt)
    _follow_station_probes(state, dt)
    if state.time >= state.meter_due_s:
        _refresh_meters(state)
    state.since_tick_s += dt
    if state.since_tick_s >= TICK_S - 1e-9:
        _tick(plant, state, inputs)


def advance(plant: Plant, state: PlantState, inputs: Inputs, dt: float) -> PlantState:
    """The state dt seconds later (0 < dt <= 10); the given one is left as it was. Same seed, same future."""
    later = state.copy()
    step(plant, later, inputs, dt)
    return later
