"""One circuit in one cycle: sense, judge, then act. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from edge.clock import Instant
from edge.control import faults, modes
from edge.control.curve import supply_setpoint
from edge.control.faults import POSITION, PRESSURE, SUPPLY, Sensor
from edge.control.modes import Mode, Run, Situation
from edge.control.pumps import MakeupState, makeup
from edge.control.situation import Condition, Facts, Latches, watch
from edge.control.state import CircuitState, Modes
from edge.control.valve import Action, ValveInput, ValveState, move
from edge.image import ProcessImage
from edge.records import CircuitView, Command, Event
from edge.site import Circuit, SensorFault

RENEWALS = 2.0  # a command outlives one missed renewal


@dataclass(frozen=True, slots=True)
class Cycle:
    """What all circuits share in one cycle. `dt` is bounded, `lapsed_s` is the true time since the last."""

    image: ProcessImage
    outputs: frozenset[str]  # points that are mapped
    sensor_fault: SensorFault
    heating: bool
    mains_lost: bool
    now: Instant
    dt: float
    lapsed_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one circuit adds to the decision."""

    state: CircuitState
    commands: tuple[Command, ...]
    events: tuple[Event, ...]
    view: CircuitView


@dataclass(frozen=True, slots=True)
class _Sensed:
    """The required sensors after this cycle, and the temperatures the curve made of the outdoor one."""

    supply: Sensor
    position: Sensor
    pressure: Sensor
    position_percent: float | None  # as measured now, else the last good one until it counts as broken
    outdoor_c: float | None
    setpoint_c: float | None
    cut_by: str


@dataclass(frozen=True, slots=True)
class _Judged:
    """Who holds what."""

    ready: bool
    latches: Latches
    makeup: MakeupState
    valve: Mode[Action]
    pump_1: Mode[Run]
    makeup_pump: Mode[Run]


def run(circuit: Circuit, before: CircuitState, outdoor_c: float | None, cycle: Cycle) -> Outcome:
    """The circuit one cycle later; `outdoor_c` is None until that sensor has reported or is given up."""
    sensed = _sense(circuit, before, outdoor_c, cycle)
    judged = _judge(circuit, before, sensed, cycle)
    state = _act(circuit, before, sensed, judged, cycle)
    return Outcome(
        state,
        tuple(_commands(circuit, state, judged, cycle)),
        (
            *_fault_events(circuit, before, state, cycle.now),
            *_mode_events(circuit, before, judged, cycle.now),
        ),
        _view(state, sensed, judged, cycle),
    )


def _sense(circuit: Circuit, before: CircuitState, outdoor_c: float | None, cycle: Cycle) -> _Sensed:
    def after(sensor: Sensor, quantity: str) -> Sensor:
        return sensor.after(cycle.image.value(f"{circuit.id}.{quantity}"), cycle.sensor_fault, cycle.now)

    position = after(before.position, POSITION)
    measured = cycle.image.value(f"{circuit.id}.{POSITION}")
    setpoint_c, cut_by = (None, "") if outdoor_c is None else supply_setpoint(circuit.curve, outdoor_c)
    return _Sensed(
        after(before.supply, SUPPLY),
        position,
        after(before.pressure, PRESSURE),
        measured if measured is not None else position.value,
        outdoor_c,
        setpoint_c,
        cut_by,
    )


def _facts(circuit: Circuit, before: CircuitState, sensed: _Sensed, cycle: Cycle) -> Facts:
    image, opening = cycle.image, sensed.position_percent
    primary_c = image.value(f"{circuit.id}.primary_supply_temperature")
    return Facts(
        circuit,
        cycle.heating,
        cycle.mains_lost,
        sensed.setpoint_c,
        sensed.supply.value,
        image.value(f"{circuit.id}.secondary_return_temperature"),
        sensed.pressure.value,
        primary_c if primary_c is not None else image.value("station.primary_supply_temperature"),
        image.value("station.primary_differential_pressure"),
        image.value("station.tank_level"),
        before.pump_commanded,
        image.state(f"{circuit.id}.pump_1.running"),
        opening if opening is not None else before.valve.command_percent,
    )


def _judge(circuit: Circuit, before: CircuitState, sensed: _Sensed, cycle: Cycle) -> _Judged:
    required = (sensed.supply, sensed.position, sensed.pressure)
    ready = before.ready or (sensed.outdoor_c is not None and all(sensor.settled for sensor in required))
    latches = watch(before.latches, _facts(circuit, before, sensed, cycle), cycle.now.monotonic)
    active = frozenset([condition for condition, latch in latches.items() if latch.on])
    pressure_bar = sensed.pressure.value
    pumping = makeup(
        before.makeup,
        circuit.pressurisation,
        pressure_bar,
        ready and not cycle.mains_lost and Condition.TANK_LOW not in active,
        cycle.dt,
        cycle.now.monotonic,
    )
    situation = Situation(
        ready,
        cycle.heating,
        cycle.mains_lost,
        sensed.supply.value is not None,
        pressure_bar is not None,
        pumping.locked_since is not None,
        active,
    )
    return _Judged(
        ready,
        latches,
        pumping,
        modes.choose(modes.VALVE, situation),
        modes.choose(modes.CIRCULATION, situation),
        modes.choose(modes.MAKEUP, situation),
    )


def _act(
    circuit: Circuit, before: CircuitState, sensed: _Sensed, judged: _Judged, cycle: Cycle
) -> CircuitState:
    valve = before.valve
    if cycle.lapsed_s > RENEWALS * circuit.valve.renew_s:  # our commands were void meanwhile: start anew
        valve = ValveState(command_percent=valve.command_percent)
    given = ValveInput(sensed.setpoint_c, sensed.supply.value, sensed.position_percent, cycle.dt)
    pump = judged.pump_1.action
    return CircuitState(
        sensed.supply,
        sensed.position,
        sensed.pressure,
        judged.latches,
        move(judged.valve.action, valve, circuit, given),
        judged.makeup,
        before.pump_commanded if pump is None else pump is True,
        judged.ready,
        Modes(judged.valve.key, judged.pump_1.key, judged.makeup_pump.key),
    )


def _commands(circuit: Circuit, state: CircuitState, judged: _Judged, cycle: Cycle) -> Iterator[Command]:
    """Every mapped output with a wanted value."""
    until = cycle.now.monotonic + RENEWALS * circuit.valve.renew_s
    for quantity, value, mode in _wanted(circuit, state, judged):
        point = f"{circuit.id}.{quantity}"
        if point in cycle.outputs:
            yield Command(point, value, mode.holder, mode.reason, until)


def _wanted(
    circuit: Circuit, state: CircuitState, judged: _Judged
) -> Iterator[tuple[str, float, Mode[Action] | Mode[Run]]]:
    opening = _opening(circuit, state)
    if opening is not None:
        yield "valve_setpoint", round(opening, 2), judged.valve  # actuators resolve 0.01 %
    if judged.pump_1.action is not None:
        yield "pump_1.run", float(judged.pump_1.action is True), judged.pump_1
        yield "pump_1.speed_setpoint", circuit.circulation.speed_percent, judged.pump_1
    if judged.makeup_pump.action is not None:
        yield "makeup_pump.run", float(state.makeup.running), judged.makeup_pump
        yield "makeup_pump.speed_setpoint", circuit.pressurisation.speed_percent, judged.makeup_pump


def _opening(circuit: Circuit, state: CircuitState) -> float | None:
    """The valve command (%), None where nothing is to be written."""
    unwritten = state.valve.action is Action.SAFE and circuit.valve.safe == "hold"
    return None if unwritten else state.valve.command_percent


def _fault_events(
    circuit: Circuit, before: CircuitState, state: CircuitState, now: Instant
) -> Iterator[Event]:
    command = state.valve.command_percent
    for quantity, old, new, stand_in in (
        (SUPPLY, before.supply, state.supply, command),
        (POSITION, before.position, state.position, command),
        (PRESSURE, before.pressure, state.pressure, None),
    ):
        if old.fault.on is not new.fault.on:
            yield faults.event(old, new, f"{circuit.id}.{quantity}", stand_in, now)


def _mode_events(circuit: Circuit, before: CircuitState, judged: _Judged, now: Instant) -> Iterator[Event]:
    """One `control.mode` per output whose mode changed: the circuit itself for the valve, else its pump."""
    for subject, old, mode in (
        (circuit.id, before.modes.valve, judged.valve),
        (f"{circuit.id}.pump_1", before.modes.pump_1, judged.pump_1),
        (f"{circuit.id}.makeup_pump", before.modes.makeup_pump, judged.makeup_pump),
    ):
        if old != mode.key:
            body = {"from": old, "to": mode.key, "reason": mode.reason, "holder": mode.holder.name.lower()}
            yield Event("control.mode", subject, now.wall, now.wall, body)


def _view(state: CircuitState, sensed: _Sensed, judged: _Judged, cycle: Cycle) -> CircuitView:
    """The setpoint shown is the heat owed, not the ramp towards it: who judges a deficit needs the former."""
    controlling = state.valve.action is Action.CONTROL
    return CircuitView(
        heating=cycle.heating,
        ready=state.ready,
        setpoint_c=sensed.setpoint_c,
        outdoor_c=sensed.outdoor_c,
        valve_percent=None if state.valve.action is Action.SAFE else state.valve.command_percent,
        holder=judged.valve.holder,
        limited_by=(state.valve.limited_by or sensed.cut_by) if controlling else judged.valve.reason,
    )
