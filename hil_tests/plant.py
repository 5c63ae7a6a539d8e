"""The simulated substation's physics, as others use it: station, state, advance, measure, warm start."""

from hil_tests.physics.measure import commands, measure
from hil_tests.physics.noise import Noise
from hil_tests.physics.parameters import Plant, station
from hil_tests.physics.plant import LONGEST_STEP_S, advance, step
from hil_tests.physics.state import (
    SOUND,
    UNDISTURBED,
    CircuitDisturbance,
    CircuitState,
    Commands,
    Disturbance,
    Inputs,
    PlantState,
)
from hil_tests.physics.steady import heat_curve, steady_commands, steady_state

__all__ = [
    "LONGEST_STEP_S",
    "SOUND",
    "UNDISTURBED",
    "CircuitDisturbance",
    "CircuitState",
    "Commands",
    "Disturbance",
    "Inputs",
    "Noise",
    "Plant",
    "PlantState",
    "advance",
    "commands",
    "heat_curve",
    "measure",
    "station",
    "steady_commands",
    "steady_state",
    "step",
]
