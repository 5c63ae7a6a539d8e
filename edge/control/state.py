"""What control remembers from cycle to cycle, and the little of it that outlives a restart. Pure.

A restart takes the valve from its measured position; of the stored state it uses the filtered outdoor
temperature, the last command (only where the position cannot be measured) and the modes (to tell the change).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edge.clock import Instant
from edge.control.faults import Sensor
from edge.control.latch import Latch
from edge.control.pumps import MakeupState
from edge.control.situation import CALM, Latches
from edge.control.valve import ValveState
from edge.records import Plain
from edge.site import Site

VERSION = 1
KEPT_S = 6 * 3600.0  # a filtered outdoor temperature older than this is worth less than the present one


@dataclass(frozen=True, slots=True)
class Modes:
    """Key of the mode each output is in; "" before the first cycle."""

    valve: str = ""
    pump_1: str = ""
    makeup_pump: str = ""


@dataclass(frozen=True, slots=True)
class CircuitState:
    """One circuit. `pump_commanded` is None before the first command."""

    supply: Sensor = field(default_factory=Sensor)
    position: Sensor = field(default_factory=Sensor)
    pressure: Sensor = field(default_factory=Sensor)
    latches: Latches = field(default_factory=lambda: CALM)
    valve: ValveState = field(default_factory=ValveState)
    makeup: MakeupState = field(default_factory=MakeupState)
    pump_commanded: bool | None = None
    ready: bool = False
    modes: Modes = field(default_factory=Modes)


@dataclass(frozen=True, slots=True)
class ControlState:
    """Everything; `monotonic` and `wall` are of the last cycle, None before the first."""

    circuits: Mapping[str, CircuitState]
    outdoor: Sensor = field(default_factory=Sensor)
    filtered_c: Mapping[str, float] = field(default_factory=dict)  # outdoor, by circuit: each has its filter
    mains: Latch = field(default_factory=Latch)
    monotonic: float | None = None
    wall: float | None = None


def initial(site: Site) -> ControlState:
    """Nothing known, nothing commanded."""
    return ControlState({circuit.id: CircuitState() for circuit in site.circuits})


def to_plain(state: ControlState) -> dict[str, Plain]:
    """What is worth keeping over a restart, as msgpack can carry it."""
    return {
        "version": VERSION,
        "wall": state.wall,
        "circuits": {
            name: {
                "outdoor_filtered_c": state.filtered_c.get(name),
                "command_percent": circuit.valve.command_percent,
                "modes": [circuit.modes.valve, circuit.modes.pump_1, circuit.modes.makeup_pump],
            }
            for name, circuit in state.circuits.items()
        },
    }


def from_plain(plain: object, site: Site, now: Instant) -> ControlState:
    """State to start from; malformed, of another version, too old, from the future: ignored."""
    fresh = initial(site)
    if not isinstance(plain, Mapping) or plain.get("version") != VERSION:
        return fresh
    wall, circuits = _number(plain.get("wall")), plain.get("circuits")
    if wall is None or not 0 <= now.wall - wall <= KEPT_S or not isinstance(circuits, Mapping):
        return fresh
    kept = {name: circuits[name] for name in fresh.circuits if isinstance(circuits.get(name), Mapping)}
    filtered = {name: _number(body.get("outdoor_filtered_c")) for name, body in kept.items()}
    return replace(
        fresh,
        circuits={name: _circuit(kept.get(name, {})) for name in fresh.circuits},
        filtered_c={
            name: value for name, value in filtered.items() if value is not None and abs(value) <= 60
        },
    )


def _circuit(body: Mapping[str, object]) -> CircuitState:
    command, modes = _number(body.get("command_percent")), body.get("modes")
    known = isinstance(modes, list | tuple) and len(modes) == 3 and all(isinstance(m, str) for m in modes)
    return CircuitState(
        valve=ValveState(command_percent=command if command is not None and 0 <= command <= 100 else None),
        modes=Modes(*modes) if known and isinstance(modes, list | tuple) else Modes(),
    )


def _number(value: object) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable and isinstance(value, int | float) else None
