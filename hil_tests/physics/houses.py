"""Pipes, emitters and houses of a circuit, stepped every ten seconds or so. Pure.

Plug flow by volume: a pipe is a ring of cells of equal mass. Supply water entered at cell i reaches branch b
at i + delay(b); what then leaves its emitters is booked into the return ring at i + delay(b), weighted by the
branch's share of the flow. Heat loss by age costs nothing: a cell is stored as its excess over the ground
times a scale that grows as exp(t / cooling time), so that dividing by the scale of the day of reading cools
it by its age.
"""

import math

from hil_tests.physics.parameters import BRANCHES, GROUND_C, HEAT_CAPACITY, Buildings, Circuit, Network
from hil_tests.physics.state import RING, CircuitState

_MASK = RING - 1
SUN_ON_MASS = 0.5  # the sun falls on floors and walls as much as it warms the air


def _move_cell(network: Network, state: CircuitState, arrived: list[float]) -> None:
    """Push one whole cell into the supply pipe; add what arrives at the branches; set the return."""
    entered = state.waiting_kg_k / state.waiting_kg
    state.waiting_kg -= network.cell_kg
    state.waiting_kg_k -= network.cell_kg * entered
    scale = state.scale
    index = state.index = (state.index + 1) & _MASK
    supply, back = state.supply_ring, state.return_ring
    held = supply[index] = (entered - GROUND_C) * scale
    for branch in BRANCHES:
        delay, share = network.delay_cells[branch], network.flow_share[branch]
        reached = supply[(index - delay) & _MASK]
        arrived[branch] += GROUND_C + reached / scale
        leaving = (state.second_c[branch] - GROUND_C) * scale
        back[(index + delay) & _MASK] += share * leaving
        held += share * (leaving - reached)
    left = back[index]
    state.pipe_sum += held - left
    state.secondary_in_c = GROUND_C + left / scale
    back[index] = 0.0


def _emit(constant: float, exponent: float, excess: float) -> float:
    """Heat in W/m2 of an emitter cell; a cell colder than the room takes heat."""
    if excess >= 0.0:
        return float(constant * excess**exponent)
    return float(-constant * (-excess) ** exponent)


def window_w_k(houses: Buildings, air_c: float) -> float:
    """Extra loss in W/K per m2 by windows people open when it is too warm."""
    over = air_c - houses.window_c
    return houses.window_w_k2 * over if over > 0.0 else 0.0


def _step_branch(
    circuit: Circuit,
    state: CircuitState,
    branch: int,
    arrived: tuple[float, int],
    weather: tuple[float, float],
    h: float,
) -> None:
    """One branch for h seconds; `arrived`: sum of the temperatures of the cells that came, their number."""
    houses, network = circuit.buildings, circuit.network
    outdoor_c, sun_w = weather
    arrived_k, cells = arrived
    area = houses.area_m2[branch]
    air, mass = state.air_c[branch], state.mass_c[branch]
    first, second = state.first_c[branch], state.second_c[branch]
    given_1 = _emit(houses.emitter_w, houses.exponent, first - air)
    given_2 = _emit(houses.emitter_w, houses.exponent, second - air)
    water = network.cell_kg * network.flow_share[branch] * HEAT_CAPACITY / area
    state.first_c[branch] = first + (water * (arrived_k - cells * first) - given_1 * h) / houses.cell_j_k
    state.second_c[branch] = second + (water * cells * (first - second) - given_2 * h) / houses.cell_j_k
    sun = houses.sun_aperture * sun_w
    air_gains, mass_gains = houses.gains_w + sun * (1.0 - SUN_ON_MASS), sun * SUN_ON_MASS
    factor = houses.loss_factor[branch]
    direct = (houses.direct_w_k * factor + window_w_k(houses, air)) * (air - outdoor_c)
    through = houses.mass_outdoor_w_k * factor * (mass - outdoor_c)
    inward = houses.air_mass_w_k * (air - mass)
    state.air_c[branch] = air + (given_1 + given_2 + air_gains - direct - inward) * h / houses.air_j_k
    state.mass_c[branch] = mass + (inward + mass_gains - through) * h / houses.mass_j_k
    state.account.gains_j += (air_gains + mass_gains) * area * h
    state.account.lost_j += (direct + through) * area * h


def step_houses(circuit: Circuit, state: CircuitState, outdoor_c: float, sun_w_m2: float, h: float) -> None:
    """Advance pipes, emitters and houses by h seconds with the water that passed the station meanwhile."""
    network = circuit.network
    grown = math.exp(h / network.cooling_time_s)
    state.account.lost_j += pipe_excess_j(circuit, state) * (1.0 - 1.0 / grown)
    state.scale *= grown
    arrived = [0.0, 0.0, 0.0]
    cells = 0
    while state.waiting_kg >= network.cell_kg:
        _move_cell(network, state, arrived)
        cells += 1
    for branch in BRANCHES:
        _step_branch(circuit, state, branch, (arrived[branch], cells), (outdoor_c, sun_w_m2), h)
    water = circuit.water
    mean = 0.5 * (state.secondary_out_c + state.secondary_in_c)
    state.expansion_m3 = water.volume_m3 * 5.3e-6 * (mean - 4.0) ** 2  # 20 to 80 C, +-10 %


def pipe_excess_j(circuit: Circuit, state: CircuitState) -> float:
    """Heat in the pipes over the ground's temperature, without the cell that is just filling."""
    return state.pipe_sum / state.scale * circuit.network.cell_kg * HEAT_CAPACITY


def stored_j(circuit: Circuit, state: CircuitState) -> float:
    """All heat stored in a circuit in J over the ground's temperature; for energy balances."""
    houses, exchanger = circuit.buildings, circuit.exchanger
    total = pipe_excess_j(circuit, state)
    total += (state.waiting_kg_k - state.waiting_kg * GROUND_C) * HEAT_CAPACITY
    total += exchanger.secondary_kg * (state.secondary_out_c - GROUND_C) * HEAT_CAPACITY
    total += exchanger.primary_kg * (state.primary_out_c - GROUND_C) * HEAT_CAPACITY
    for branch in BRANCHES:
        emitter = state.first_c[branch] + state.second_c[branch] - 2.0 * GROUND_C
        house = houses.air_j_k * (state.air_c[branch] - GROUND_C)
        house += houses.mass_j_k * (state.mass_c[branch] - GROUND_C)
        total += houses.area_m2[branch] * (houses.cell_j_k * emitter + house)
    return total
