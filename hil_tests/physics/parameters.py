"""What the simulated substation is made of: figures from areas and design temperatures. Pure.

The figures per kilowatt are those of a 5 MW and a 500 kW station: valve authority 0.4, rangeability 50,
exchanger with 3 K at the cold end, 45 W/m2 at the city's design temperature and 18 C rooms. They are
engineering estimates of a Chinese group heat station, not a fit to a measured one. Water is taken with 4186
J/kgK and 1000 kg/m3.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

HEAT_CAPACITY = 4186.0  # J/kgK, water
GROUND_C = 10.0  # round the buried pipes, and of town water
DESIGN_ROOM_C = 18.0
DESIGN_LOAD_W_M2 = 45.0
BRANCHES = (0, 1, 2)  # near, mid, far


@dataclass(frozen=True, slots=True)
class Valve:
    """Equal-percentage two-way valve with a spring-less actuator; flows in m3/h at 1 bar, positions 0..1."""

    kvs: float
    series_kv: float  # everything else between the primary mains: exchanger, strainer, meter
    rangeability: float
    leak: float  # share of kvs that passes when shut
    distortion: float  # the plug's departure from its characteristic at half stroke, share of the stroke
    running_time_s: float
    dead_band: float  # of the positioner: it does not start for less
    play: float  # of the gear, between the measured motor side and the plug


@dataclass(frozen=True, slots=True)
class Exchanger:
    """Counter-flow plate heat exchanger; UA in W/K at the design flows in kg/s, masses in kg of water."""

    ua: float
    primary_kg_s: float
    secondary_kg_s: float
    primary_kg: float
    secondary_kg: float  # water and metal


@dataclass(frozen=True, slots=True)
class Network:
    """Pipes between station and houses: one-way delays at design flow in cells of `cell_kg`, per branch."""

    cell_kg: float
    delay_cells: tuple[int, ...]
    flow_share: tuple[float, ...]
    cooling_time_s: float


@dataclass(frozen=True, slots=True)
class Buildings:
    """Per m2 of floor: emitter of two cells in series, air and mass of the house; tuples per branch."""

    area_m2: tuple[float, ...]
    emitter_w: float  # of one cell per K^exponent
    exponent: float
    cell_j_k: float
    direct_w_k: float  # air to outdoors
    air_mass_w_k: float
    mass_outdoor_w_k: float
    air_j_k: float
    mass_j_k: float
    loss_factor: tuple[float, ...]
    gains_w: float
    sun_aperture: float  # m2 of glass facing the sun per m2 of floor
    window_c: float  # people open windows above
    window_w_k2: float  # and lose this per K above and K to the outdoors


@dataclass(frozen=True, slots=True)
class Water:
    """Filling of the secondary loop: volumes in m3, pressures in bar, flows in m3/h."""

    volume_m3: float
    compliance_m3_bar: float
    static_bar: float
    head_bar: float  # circulation pump at design flow
    relief_bar: float
    leak_m3h: float  # of a sound network, at the static pressure
    makeup_m3h: float  # full speed against the static pressure
    shutoff_bar: float  # of the make-up pump


@dataclass(frozen=True, slots=True)
class Room:
    """A room with a sensor: its branch, and its fixed distance from the branch's mean room in K."""

    name: str
    branch: int
    offset_k: float


@dataclass(frozen=True, slots=True)
class Circuit:
    """One circuit: everything between the primary mains and its rooms."""

    name: str
    valve: Valve
    exchanger: Exchanger
    network: Network
    buildings: Buildings
    water: Water
    rooms: tuple[Room, ...]
    design_speed: float  # pump speed in % that gives the design flow


@dataclass(frozen=True, slots=True)
class Mains:
    """The primary side as the station sees it: supply by outdoor temperature, differential pressure."""

    design_outdoor_c: float
    design_supply_c: float
    mild_outdoor_c: float
    mild_supply_c: float
    lowest_c: float
    highest_c: float
    design_bar: float  # differential pressure in design weather
    mild_bar: float
    unrest: float = 1.0  # scales all noise, ramps and steps; 0 for a quiet network


@dataclass(frozen=True, slots=True)
class Plant:
    """The whole station. The order of `circuits` holds in states, inputs and disturbances too."""

    mains: Mains
    circuits: tuple[Circuit, ...]
    tank_area_m2: float = 4.0
    tank_full_m: float = 2.0
    town_water_m3h: float = 5.0


@dataclass(frozen=True, slots=True)
class Design:
    """What a circuit is dimensioned for; temperatures in C at the city's design outdoor temperature."""

    name: str
    area_m2: float
    primary_supply: float
    primary_return: float
    secondary_supply: float
    secondary_return: float
    exponent: float
    emitter_kg_m2: float  # water equivalent of the emitter
    delays_s: tuple[float, float, float]
    running_time_s: float
    dead_band: float
    play: float
    static_bar: float


HIGH = Design(
    name="high",
    area_m2=42_000.0,
    primary_supply=95.0,
    primary_return=48.0,
    secondary_supply=60.0,
    secondary_return=45.0,
    exponent=1.3,
    emitter_kg_m2=1.0,
    delays_s=(240.0, 540.0, 900.0),
    running_time_s=120.0,
    dead_band=0.008,
    play=0.010,
    static_bar=6.0,
)
LOW = Design(
    name="low",
    area_m2=28_000.0,
    primary_supply=95.0,
    primary_return=40.0,
    secondary_supply=45.0,
    secondary_return=37.0,
    exponent=1.1,
    emitter_kg_m2=22.0,
    delays_s=(60.0, 120.0, 200.0),
    running_time_s=60.0,
    dead_band=0.008,
    play=0.012,
    static_bar=3.0,
)

_AREA_SHARE = (0.35, 0.40, 0.25)
_FLOW_ERROR = (1.08, 1.00, 0.90)  # an imperfectly balanced network
_LOSS_FACTOR = (0.97, 1.00, 1.06)
_ROOM_OFFSETS = (0.3, 0.0, -0.3)  # south and middle floor, inner, north and top floor
_CELL_S = 10.0


def bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """The zero of a rising function between `low` and `high`; the nearer end when it has none there."""
    for _ in range(40):
        middle = 0.5 * (low + high)
        if function(middle) < 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


_STANDARD_KVS = (16.0, 25.0, 40.0, 63.0, 100.0, 125.0, 160.0)


def _valve(design: Design, primary_m3h: float) -> Valve:
    """The next size up from 125 m3/h for the 87 m3/h of the 5 MW station; the rest of the way as there."""
    wanted = 125.0 / 87.0 * primary_m3h
    return Valve(
        kvs=next(kvs for kvs in _STANDARD_KVS if kvs >= wanted),
        series_kv=103.0 / 87.0 * primary_m3h,
        rangeability=50.0,
        leak=0.0005,
        distortion=0.025,
        running_time_s=design.running_time_s,
        dead_band=design.dead_band,
        play=design.play,
    )


def _exchanger(design: Design, load_w: float, primary_kg_s: float, secondary_kg_s: float) -> Exchanger:
    hot = design.primary_supply - design.secondary_supply
    cold = design.primary_return - design.secondary_return
    mean = (hot - cold) / math.log(hot / cold)
    side_kg = 140.0 / 72.7 * secondary_kg_s
    metal_kg = 34.0 / 72.7 * secondary_kg_s
    # 403 kW/K where 384 would do: what the 15 % of surface reserve leave after 10 % of fouling
    return Exchanger(1.05 * load_w / mean, primary_kg_s, secondary_kg_s, side_kg, side_kg + metal_kg)


def _network(design: Design, secondary_kg_s: float) -> Network:
    weights = [area * error for area, error in zip(_AREA_SHARE, _FLOW_ERROR, strict=True)]
    spread = design.secondary_supply - design.secondary_return
    lost = 0.015 * spread / (design.secondary_supply - GROUND_C)  # 1.5 % of the heat on each way
    return Network(
        cell_kg=secondary_kg_s * _CELL_S,
        delay_cells=tuple(round(delay / _CELL_S) for delay in design.delays_s),
        flow_share=tuple(weight / sum(weights) for weight in weights),
        cooling_time_s=design.delays_s[1] / lost,
    )


def _emitter(design: Design, kg_s_m2: float) -> float:
    """Heat of one emitter cell in W per K^n and m2, so that two cool the design flow to the design return."""
    water = kg_s_m2 * HEAT_CAPACITY

    def missing(constant: float) -> float:
        supply = design.secondary_supply
        first = bisect(
            lambda t: water * (t - supply) + constant * (t - DESIGN_ROOM_C) ** design.exponent,
            DESIGN_ROOM_C,
            supply,
        )
        given: float = constant * (design.secondary_return - DESIGN_ROOM_C) ** design.exponent
        return given - water * (first - design.secondary_return)

    return bisect(missing, 0.0, 10.0)


def _buildings(design: Design, outdoor_c: float, kg_s_m2: float) -> Buildings:
    loss = DESIGN_LOAD_W_M2 / (DESIGN_ROOM_C - outdoor_c)
    air_mass = 9.0  # ISO 13790: 3.45 W/m2K on 4.5 m2 of surface in series with 9.1 W/m2K on 2.5 m2 of mass
    through_mass = 0.55 * loss
    return Buildings(
        area_m2=tuple(design.area_m2 * share for share in _AREA_SHARE),
        emitter_w=_emitter(design, kg_s_m2),
        exponent=design.exponent,
        cell_j_k=0.5 * design.emitter_kg_m2 * HEAT_CAPACITY,
        direct_w_k=0.45 * loss,
        air_mass_w_k=air_mass,
        mass_outdoor_w_k=1.0 / (1.0 / through_mass - 1.0 / air_mass),
        air_j_k=45_000.0,
        mass_j_k=loss * 60.0 * 3600.0 - 45_000.0,  # 60 h for the whole house
        loss_factor=_LOSS_FACTOR,
        gains_w=3.8,
        sun_aperture=0.035,
        window_c=23.0,
        window_w_k2=2.0,
    )


def _water(design: Design, secondary_kg_s: float) -> Water:
    volume = 2.0 * secondary_kg_s * design.delays_s[1] / 1000.0 + 0.0006 * design.area_m2
    return Water(
        volume_m3=volume,
        compliance_m3_bar=0.006 * volume,
        static_bar=design.static_bar,
        head_bar=1.6,
        relief_bar=design.static_bar + 1.5,
        leak_m3h=0.001 * volume,
        makeup_m3h=0.04 * secondary_kg_s * 3.6,  # four per cent of the circulation
        shutoff_bar=1.8 * design.static_bar,
    )


def circuit(design: Design, outdoor_c: float) -> Circuit:
    """A circuit dimensioned for a design and a city's design outdoor temperature in C."""
    load_w = design.area_m2 * DESIGN_LOAD_W_M2
    primary = load_w / HEAT_CAPACITY / (design.primary_supply - design.primary_return)
    secondary = load_w / HEAT_CAPACITY / (design.secondary_supply - design.secondary_return)
    rooms = tuple(Room(f"{design.name[0]}{branch + 1}", branch, _ROOM_OFFSETS[branch]) for branch in BRANCHES)
    return Circuit(
        name=design.name,
        valve=_valve(design, primary * 3.6),
        exchanger=_exchanger(design, load_w, primary, secondary),
        network=_network(design, secondary),
        buildings=_buildings(design, outdoor_c, secondary / design.area_m2),
        water=_water(design, secondary),
        rooms=rooms,
        design_speed=90.0,
    )


def station(design_outdoor_c: float = -9.0, unrest: float = 1.0) -> Plant:
    """The demo's station: radiators in the high zone, floor heating in the low zone, for a city's winter.

    The default is Lanzhou's (GB 50736-2012, Appendix A), for which the plant's figures were made.
    `unrest` scales the noise of the primary mains.
    """
    mains = Mains(design_outdoor_c, 95.0, 10.0, 72.0, 72.0, 102.0, 1.8, 1.5, unrest)
    return Plant(mains, (circuit(HIGH, design_outdoor_c), circuit(LOW, design_outdoor_c)))
