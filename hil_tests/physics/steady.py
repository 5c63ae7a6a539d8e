"""Equilibrium of the plant: a warm start, and the heat curve that suits it. Pure; half a second of work."""

import math
from dataclasses import dataclass

from hil_tests.physics.exchanger import heat_flow, primary_flow
from hil_tests.physics.houses import SUN_ON_MASS, window_w_k
from hil_tests.physics.noise import following
from hil_tests.physics.parameters import (
    BRANCHES,
    GROUND_C,
    HEAT_CAPACITY,
    Circuit,
    Plant,
    bisect,
)
from hil_tests.physics.primary import pressure_curve, supply_curve
from hil_tests.physics.state import RING, CircuitState, Commands, PlantState, PrimaryState, Sensors


@dataclass(frozen=True, slots=True)
class Balance:
    """A circuit at rest, temperatures in C; tuples per branch."""

    supply_c: float
    return_c: float
    arrives_c: tuple[float, ...]
    first_c: tuple[float, ...]
    second_c: tuple[float, ...]
    air_c: tuple[float, ...]
    mass_c: tuple[float, ...]

    @property
    def room_c(self) -> float:
        """Mean of the branches' rooms, each alike."""
        return sum(self.air_c) / len(self.air_c)


def _cooled(circuit: Circuit, temperature_c: float, cells: int) -> float:
    """Water after the way of so many cells at design flow."""
    age = cells * circuit.network.cell_kg / circuit.exchanger.secondary_kg_s
    return GROUND_C + (temperature_c - GROUND_C) * math.exp(-age / circuit.network.cooling_time_s)


def _emitter_cell(circuit: Circuit, branch: int, arrives_c: float, air_c: float) -> float:
    """Temperature of an emitter cell at rest."""
    houses = circuit.buildings
    flow = circuit.exchanger.secondary_kg_s * circuit.network.flow_share[branch] / houses.area_m2[branch]
    if arrives_c <= air_c:
        return arrives_c
    water, constant, exponent = flow * HEAT_CAPACITY, houses.emitter_w, houses.exponent
    return bisect(
        lambda t: water * (t - arrives_c) + constant * max(0.0, t - air_c) ** exponent, air_c, arrives_c
    )


def _branch(
    circuit: Circuit, branch: int, arrives_c: float, outdoor_c: float, sun_w_m2: float
) -> tuple[float, float, float, float]:
    """First and second emitter cell, air and mass of one branch at rest."""
    houses = circuit.buildings
    factor = houses.loss_factor[branch]
    sun = houses.sun_aperture * sun_w_m2
    inward, outward = houses.air_mass_w_k, houses.mass_outdoor_w_k * factor

    def mass_at(air: float) -> float:
        return (inward * air + outward * outdoor_c + sun * SUN_ON_MASS) / (inward + outward)

    def surplus(air: float) -> float:
        first = _emitter_cell(circuit, branch, arrives_c, air)
        second = _emitter_cell(circuit, branch, first, air)
        heat: float = sum(houses.emitter_w * max(0.0, t - air) ** houses.exponent for t in (first, second))
        direct = (houses.direct_w_k * factor + window_w_k(houses, air)) * (air - outdoor_c)
        gains = houses.gains_w + sun * (1.0 - SUN_ON_MASS)
        return direct + inward * (air - mass_at(air)) - heat - gains

    air = bisect(surplus, outdoor_c, 60.0)
    first = _emitter_cell(circuit, branch, arrives_c, air)
    return first, _emitter_cell(circuit, branch, first, air), air, mass_at(air)


def balance(circuit: Circuit, supply_c: float, outdoor_c: float, sun_w_m2: float = 0.0) -> Balance:
    """Where a circuit settles at design flow with a constant supply and outdoor temperature."""
    delays = circuit.network.delay_cells
    arrives = tuple(_cooled(circuit, supply_c, delays[branch]) for branch in BRANCHES)
    rows = [_branch(circuit, branch, arrives[branch], outdoor_c, sun_w_m2) for branch in BRANCHES]
    first, second, air, mass = (tuple(row[i] for row in rows) for i in range(4))
    shares = circuit.network.flow_share
    back = sum(shares[branch] * _cooled(circuit, second[branch], delays[branch]) for branch in BRANCHES)
    return Balance(supply_c, back, arrives, first, second, air, mass)


def supply_for(circuit: Circuit, room_c: float, outdoor_c: float, sun_w_m2: float = 0.0) -> Balance:
    """The equilibrium whose mean room is `room_c`."""
    supply = bisect(lambda t: balance(circuit, t, outdoor_c, sun_w_m2).room_c - room_c, room_c, 95.0)
    return balance(circuit, supply, outdoor_c, sun_w_m2)


def heat_curve(
    circuit: Circuit, room_c: float = 20.5, outdoors_c: tuple[float, ...] = (-20, -15, -10, -5, 0, 5, 10)
) -> list[tuple[float, float, float]]:
    """(outdoor, supply, return) in C that keep rooms at `room_c` without sun: settings for a controller."""
    rows = []
    for outdoor in outdoors_c:
        rest = supply_for(circuit, room_c, outdoor)
        rows.append((outdoor, round(rest.supply_c, 1), round(rest.return_c, 1)))
    return rows


def _rings(circuit: Circuit, rest: Balance) -> tuple[list[float], list[float]]:
    """Both pipes filled as they are at rest."""
    network = circuit.network
    supply = [_cooled(circuit, rest.supply_c, -index & (RING - 1)) - GROUND_C for index in range(RING)]
    back = [0.0] * RING
    for branch in BRANCHES:
        delay = network.delay_cells[branch]
        for ahead in range(1, delay + 1):
            arrived = _cooled(circuit, rest.second_c[branch], delay - ahead)
            back[ahead] += network.flow_share[branch] * (arrived - GROUND_C)
    return supply, back


def _pipe_sum(circuit: Circuit, supply: list[float], back: list[float]) -> float:
    held = sum(back)
    for branch in BRANCHES:
        delay = circuit.network.delay_cells[branch]
        held += circuit.network.flow_share[branch] * sum(supply[-age & (RING - 1)] for age in range(delay))
    return held


def _circuit_state(circuit: Circuit, rest: Balance, primary: PrimaryState, running: bool) -> CircuitState:
    design = circuit.exchanger
    m2 = design.secondary_kg_s
    heat = m2 * HEAT_CAPACITY * (rest.supply_c - rest.return_c)

    def surplus(stem: float) -> float:
        flow = max(1e-6, primary_flow(circuit.valve, stem, primary.differential_bar))
        return heat_flow(design, flow, m2, primary.supply_c, rest.return_c) - heat

    stem = bisect(surplus, 0.0, 1.0) if running else 0.0
    flow = max(1e-6, primary_flow(circuit.valve, stem, primary.differential_bar))
    primary_return = primary.supply_c - heat / (flow * HEAT_CAPACITY) if running else rest.return_c
    supply, back = _rings(circuit, rest)
    water = circuit.water
    mean = 0.5 * (rest.supply_c + rest.return_c)
    expansion = water.volume_m3 * 5.3e-6 * (mean - 4.0) ** 2
    probes = Sensors(rest.supply_c, rest.return_c, primary_return)
    probes.pocket_1_c = probes.pocket_2_c = rest.supply_c
    probes.meter_supply_c, probes.meter_return_c = primary.supply_c, primary_return
    probes.meter_m3h, probes.meter_w = (flow * 3.6, heat) if running else (0.0, 0.0)
    return CircuitState(
        motor=stem,
        stem=stem,
        moving=False,
        primary_out_c=primary_return,
        secondary_out_c=rest.supply_c,
        secondary_in_c=rest.return_c,
        first_c=list(rest.first_c),
        second_c=list(rest.second_c),
        air_c=list(rest.air_c),
        mass_c=list(rest.mass_c),
        supply_ring=supply,
        return_ring=back,
        sensors=probes,
        pipe_sum=_pipe_sum(circuit, supply, back),
        pump_percent=circuit.design_speed if running else 0.0,
        water_m3=water.static_bar * water.compliance_m3_bar - expansion,
        expansion_m3=expansion,
        static_bar=water.static_bar,
        primary_kg_s=flow if running else 0.0,
        secondary_kg_s=m2 if running else 0.0,
        power_w=heat if running else 0.0,
    )


def steady_state(
    plant: Plant, time: float, outdoor_c: float, room_c: float = 20.5, seed: int = 1, running: bool = True
) -> PlantState:
    """A station in balance at Unix `time`: rooms at `room_c`, pumps at design speed, valves as needed.

    With `running` False pumps stand and valves are shut, but everything is still warm: a station before its
    start.
    """
    mains = plant.mains
    primary = PrimaryState(supply_curve(mains, outdoor_c), pressure_curve(mains, outdoor_c), outdoor_c)
    primary.next_ramp_s = time + 3.0 * 3600.0
    primary.next_step_s = time + 2.0 * 3600.0
    circuits = tuple(
        _circuit_state(circuit, supply_for(circuit, room_c, outdoor_c), primary, running)
        for circuit in plant.circuits
    )
    state = PlantState(time, following(following(seed)), outdoor_c, primary, circuits)
    state.probe_outdoor_c = outdoor_c
    state.probe_supply_c = primary.supply_c
    state.probe_differential_bar = primary.differential_bar
    return state


def steady_commands(plant: Plant, state: PlantState) -> tuple[Commands, ...]:
    """Commands that leave a state as it is: the valves where they are, the pumps at their design speed."""
    return tuple(
        Commands(100.0 * now.motor, True, circuit.design_speed, False, 60.0)
        for circuit, now in zip(plant.circuits, state.circuits, strict=True)
    )
