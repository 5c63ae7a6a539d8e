"""A quiet station in steady heating, and ways to run it for a while: what the plant's tests share. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from drivers import Reading
from edge.points import quantity
from hil_tests.physics.parameters import Plant
from hil_tests.plant import (
    SOUND,
    CircuitDisturbance,
    Commands,
    Disturbance,
    Inputs,
    PlantState,
    station,
    steady_commands,
    steady_state,
    step,
)

START = 1_768_428_000.0  # 2026-01-15 06:00 in Shanghai
HIGH, LOW = 0, 1
QUIET = station(unrest=0.0)
OUTDOOR_C = -2.0
STEADY = steady_state(QUIET, START, OUTDOOR_C)
KEEP = steady_commands(QUIET, STEADY)
HOLDING = tuple(replace(command, makeup_run=True, makeup_percent=76.0) for command in KEEP)
PRIMARY_LOST = Disturbance(source_cold=True, differential_share=0.01)


def readings(points: Mapping[str, float], wall: float) -> dict[str, Reading]:
    """What `measure` gives, as the image of a service has it."""
    known = {point: quantity(point) for point in points}
    return {p: Reading.good(points[p], q.unit, wall) for p, q in known.items() if q is not None}


def run(
    state: PlantState,
    seconds: float,
    told: tuple[Commands, ...] = KEEP,
    disturbance: Disturbance | None = None,
    dt: float = 5.0,
    plant: Plant = QUIET,
) -> PlantState:
    """A copy of the state after some time of constant inputs."""
    later = state.copy()
    inputs = Inputs(OUTDOOR_C, told, disturbance=disturbance or Disturbance())
    for _ in range(round(seconds / dt)):
        step(plant, later, inputs, dt)
    return later


def trace(
    state: PlantState, seconds: int, told: tuple[Commands, ...], value: Callable[[PlantState], float]
) -> list[float]:
    """A value after each second."""
    later, values = state.copy(), []
    for _ in range(seconds):
        step(QUIET, later, Inputs(OUTDOOR_C, told), 1.0)
        values.append(value(later))
    return values


def told(circuit: int, change: Callable[[Commands], Commands]) -> tuple[Commands, ...]:
    """The steady commands with one circuit's changed."""
    return tuple(change(command) if n == circuit else command for n, command in enumerate(KEEP))


def opened(circuit: int, percent: float) -> tuple[Commands, ...]:
    """The steady commands with one valve opened by so many % more."""
    return told(circuit, lambda old: replace(old, valve_percent=old.valve_percent + percent))


def on(circuit: int, trouble: CircuitDisturbance) -> Disturbance:
    """A trouble on one circuit."""
    return Disturbance(circuits=tuple(trouble if n == circuit else SOUND for n in (HIGH, LOW)))


def mean_room(state: PlantState, circuit: int) -> float:
    """Mean of a circuit's branches in C."""
    return sum(state.circuits[circuit].air_c) / 3.0
