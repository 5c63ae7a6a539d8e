"""The primary valve: hold, shut, frost opening, or the PI started without a bump. Pure."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from edge.control import pi
from edge.control.pi import PiState
from edge.site import Circuit, Valve

SETPOINT_K_PER_S = 5.0 / 60.0  # 300 K/h: Siemens allows 1..600 K/h for the rise of the setpoint
RESOLUTION_PERCENT = 0.5  # less vanishes in the positioner's dead band (0.8 %) and only costs starts
FROST_PERCENT = 20.0  # a small flow through an equal-percentage plug: the loop must not freeze, no more
SHUT_PERCENT = 0.0  # an interlock shuts fully: `minimum_percent` bounds control, not protection

VALVE_MAXIMUM = "limit.valve_maximum"
VALVE_MINIMUM = "limit.valve_minimum"
SETPOINT_RAMP = "limit.setpoint_ramp"


class Action(StrEnum):
    """What is done with the valve in one cycle."""

    SAFE = "safe"
    SHUT = "shut"
    FROST = "frost"
    HOLD = "hold"  # where it is
    SETTLE = "settle"  # where it last held the setpoint
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class ValveState:
    """What the valve loop remembers. Openings in % of stroke."""

    action: Action = Action.SAFE
    command_percent: float | None = None  # as last issued
    pi: PiState = field(default_factory=PiState)
    setpoint_c: float | None = None  # on its ramp; None when not in use
    settled_percent: float | None = None  # where the supply was last within the dead band
    limited_by: str = ""


@dataclass(frozen=True, slots=True)
class ValveInput:
    """What the valve loop is given: degC and %; None is unknown."""

    setpoint_c: float | None
    supply_c: float | None
    position_percent: float | None
    dt: float


def move(action: Action, valve: ValveState, circuit: Circuit, given: ValveInput) -> ValveState:
    """The valve one cycle later under `action`."""
    if action is Action.CONTROL and given.setpoint_c is not None and given.supply_c is not None:
        return _control(valve, circuit, given, given.setpoint_c, given.supply_c)
    if action in _HOLDING:
        return _hold(action, valve, circuit.valve, given)
    settings = circuit.valve
    fixed = {
        Action.SAFE: None if settings.safe == "hold" else settings.safe,
        Action.SHUT: SHUT_PERCENT,
        Action.FROST: min(FROST_PERCENT, settings.maximum_percent),
    }[action]
    if fixed is None:  # nothing is written; a command of before the restart is still known
        return replace(valve, action=action, setpoint_c=None, limited_by="")
    return ValveState(action, fixed)


_HOLDING = (Action.CONTROL, Action.HOLD, Action.SETTLE)


def _hold(action: Action, valve: ValveState, settings: Valve, given: ValveInput) -> ValveState:
    """Stay at the last command of control; after anything else, where the valve is measured to be.

    Never above the limit: a valve found beyond it, or a command of before the limit was lowered, comes back.

    A failing source lets control open the valve until the loss is detected; SETTLE takes that back, so that
    the returning heat finds the opening it left (overshoot 0.2..0.7 K, not 0.9..1.3 K, on the bench's plant).
    """
    holding = valve.action in _HOLDING
    command = valve.command_percent
    if action is Action.SETTLE and valve.settled_percent is not None:
        command = valve.settled_percent
    elif given.position_percent is not None and (not holding or command is None):
        command = max(given.position_percent, 0.0)
    command = None if command is None else min(command, settings.maximum_percent)
    ramp = None
    if holding and valve.setpoint_c is not None and given.setpoint_c is not None:
        ramp = _ramp(valve.setpoint_c, given.setpoint_c, given.dt)
    return replace(valve, action=action, command_percent=command, setpoint_c=ramp, limited_by="")


def _ramp(from_c: float, to_c: float, dt: float) -> float:
    step = SETPOINT_K_PER_S * dt
    return min(max(to_c, from_c - step), from_c + step)


def _control(
    valve: ValveState, circuit: Circuit, given: ValveInput, target_c: float, supply_c: float
) -> ValveState:
    settings = circuit.valve
    if valve.action is not Action.CONTROL or valve.command_percent is None:
        valve = _start(valve, circuit, given, target_c, supply_c)
    ramped = valve.setpoint_c if valve.setpoint_c is not None else target_c
    setpoint_c = _ramp(ramped, target_c, given.dt)
    loop, unbounded = pi.step(settings, valve.pi, setpoint_c - supply_c, given.position_percent, given.dt)
    ramping = abs(target_c - setpoint_c) > settings.dead_band_k
    limited_by = _limit(settings, unbounded) or (SETPOINT_RAMP if ramping else "")
    command = _worth_moving(settings, valve.command_percent, loop.output_percent)
    resting = abs(target_c - supply_c) <= settings.dead_band_k
    settled = command if resting else valve.settled_percent
    return ValveState(Action.CONTROL, command, loop, setpoint_c, settled, limited_by)


def _start(
    valve: ValveState, circuit: Circuit, given: ValveInput, target_c: float, supply_c: float
) -> ValveState:
    """Take over where the valve is measured to be; failing that, at the last command; failing that, closed.

    A cold loop warms up along the ramp: the setpoint starts at the measured supply, unless a hold kept it.
    """
    settings = circuit.valve
    known = given.position_percent if given.position_percent is not None else valve.command_percent
    start = min(max(known or 0.0, settings.minimum_percent), settings.maximum_percent)
    setpoint_c = valve.setpoint_c
    if setpoint_c is None:
        setpoint_c = min(max(supply_c, circuit.curve.minimum_c), target_c)
    loop = pi.bumpless(settings, start, setpoint_c - supply_c)
    return ValveState(Action.CONTROL, start, loop, setpoint_c)


def _limit(settings: Valve, unbounded: float) -> str:
    if unbounded > settings.maximum_percent:
        return VALVE_MAXIMUM
    return VALVE_MINIMUM if unbounded < settings.minimum_percent else ""


def _worth_moving(settings: Valve, command: float | None, output: float) -> float:
    """The new command; a move below the actuator's resolution is saved up, except onto an end stop."""
    at_end = output in (settings.minimum_percent, settings.maximum_percent)
    if command is not None and not at_end and abs(output - command) < RESOLUTION_PERCENT:
        return command
    return output
