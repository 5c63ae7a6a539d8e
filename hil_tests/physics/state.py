"""State, inputs and disturbances of the simulated substation. Pure data.

A state is mutable for speed; whoever steps it in place owns it. `PlantState.copy` makes an independent one.
Temperatures in C, powers in W, energies in J, pressures in bar, positions and shares 0..1 unless the name
says else.
"""

from copy import copy
from dataclasses import dataclass, field

RING = 128  # cells a pipe can hold; a power of two, longer than the longest delay


@dataclass(slots=True)
class Sensors:
    """What the probes of a circuit show before noise, and what its heat meter last showed."""

    supply_c: float
    secondary_return_c: float
    primary_return_c: float
    meter_supply_c: float = 0.0
    meter_return_c: float = 0.0
    meter_m3h: float = 0.0
    meter_w: float = 0.0
    pocket_1_c: float = 0.0  # two stages stand for the way of the water to the supply probe
    pocket_2_c: float = 0.0


@dataclass(slots=True)
class Account:
    """Running totals since the state was made; energies in J."""

    primary_j: float = 0.0  # taken from the primary water
    gains_j: float = 0.0  # people, appliances and sun
    lost_j: float = 0.0  # through walls, windows and pipes
    refilled_j: float = 0.0  # carried away by lost water, which cold make-up water replaced
    volume_m3: float = 0.0
    makeup_m3: float = 0.0
    leaked_m3: float = 0.0
    strokes: float = 0.0  # travel of the actuator
    starts: int = 0
    energy_kwh: float = 0.0  # the meter's register


@dataclass(slots=True)
class CircuitState:
    """One circuit. Lists are per branch (near, mid, far)."""

    motor: float  # the position the actuator reports
    stem: float  # where the plug is
    moving: bool
    primary_out_c: float
    secondary_out_c: float
    secondary_in_c: float
    first_c: list[float]  # emitter cells
    second_c: list[float]
    air_c: list[float]
    mass_c: list[float]
    supply_ring: list[float]  # excess over the ground, scaled (see network)
    return_ring: list[float]
    sensors: Sensors
    account: Account = field(default_factory=Account)
    index: int = 0
    scale: float = 1.0
    pipe_sum: float = 0.0  # of all cells in both pipes, scaled
    waiting_kg: float = 0.0  # entered the supply pipe since the last whole cell
    waiting_kg_k: float = 0.0
    pump_percent: float = 0.0
    makeup_percent: float = 0.0
    water_m3: float = 0.0  # above what fills the loop at 0 bar, with the expansion by heat
    expansion_m3: float = 0.0
    static_bar: float = 0.0
    primary_kg_s: float = 0.0
    secondary_kg_s: float = 0.0
    makeup_m3h: float = 0.0
    leak_m3h: float = 0.0
    power_w: float = 0.0
    fault: bool = False

    def copy(self) -> "CircuitState":
        """An independent copy."""
        twin = copy(self)
        twin.sensors = copy(self.sensors)
        twin.account = copy(self.account)
        for name in _LISTS:
            setattr(twin, name, getattr(self, name).copy())
        return twin


_LISTS = ("first_c", "second_c", "air_c", "mass_c", "supply_ring", "return_ring")


@dataclass(slots=True)
class PrimaryState:
    """The mains: what the station is offered, and the noise behind it."""

    supply_c: float
    differential_bar: float
    slow_outdoor_c: float  # the source follows the weather by hours
    wander_k: float = 0.0  # OU noise
    swell: float = 0.0
    ripple: float = 0.0
    ramp_k: float = 0.0
    ramp_target_k: float = 0.0
    step: float = 1.0
    step_target: float = 1.0
    available: float = 1.0  # share of the differential pressure the network still gives
    next_ramp_s: float = 0.0
    next_step_s: float = 0.0


@dataclass(slots=True)
class PlantState:
    """The whole station at `time` (Unix s). `seed` is the random generator's state: same seed, same run."""

    time: float
    seed: int
    outdoor_c: float
    primary: PrimaryState
    circuits: tuple[CircuitState, ...]
    tank_m: float = 1.9
    sump_m: float = 0.3
    sump_pump: bool = False
    mains_power: bool = True
    door_open: bool = False
    since_tick_s: float = 0.0
    meter_due_s: float = 0.0
    probe_outdoor_c: float = 0.0
    probe_supply_c: float = 0.0
    probe_differential_bar: float = 0.0

    def copy(self) -> "PlantState":
        """An independent copy."""
        twin = copy(self)
        twin.primary = copy(self.primary)
        twin.circuits = tuple(circuit.copy() for circuit in self.circuits)
        return twin


@dataclass(frozen=True, slots=True)
class Commands:
    """What a circuit's devices were told: valve and speeds in %, run commands."""

    valve_percent: float = 0.0
    pump_run: bool = False
    pump_percent: float = 0.0
    makeup_run: bool = False
    makeup_percent: float = 0.0


@dataclass(frozen=True, slots=True)
class CircuitDisturbance:
    """What a story does to a circuit; the burst in m3/h at the static pressure of design."""

    burst_m3h: float = 0.0
    actuator_stuck: bool = False
    pump_trip: bool = False


SOUND = CircuitDisturbance()


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What a story does to the plant. Circuits in the plant's order; an empty tuple: all are sound."""

    mains_power: bool = True
    source_cold: bool = False  # the source is out: the mains cool
    differential_share: float = 1.0  # of the primary differential pressure that is left
    outdoor_offset_k: float = 0.0
    door_open: bool = False
    burst_in_station: bool = False  # burst water runs into the sump
    circuits: tuple[CircuitDisturbance, ...] = ()


UNDISTURBED = Disturbance()


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that acts on the plant in a step: weather, commands in the plant's order, a story."""

    outdoor_c: float
    commands: tuple[Commands, ...]
    sun_w_m2: float = 0.0
    disturbance: Disturbance = UNDISTURBED
