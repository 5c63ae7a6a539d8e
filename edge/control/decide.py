"""One cycle of control: process image in, commands out. Pure; the moment is an argument.

Every cycle gives the full set of commands, each with its holder, reason and end; the shell writes them on
change and renews them. What is judged of one circuit never reaches another; they share the outdoor sensor
and the mains.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.clock import Instant
from edge.control import faults, outdoor
from edge.control.circuit import Cycle, run
from edge.control.faults import OUTDOOR, Sensor
from edge.control.state import CircuitState, ControlState
from edge.image import ProcessImage
from edge.records import CircuitView, Command, Event
from edge.site import Circuit, Site

LONGEST_STEP_S = 10.0  # after a longer pause control goes on as if this much time had passed
MAINS_ENTRY_S, MAINS_EXIT_S = 2.0, 5.0  # rides through a dip

OUTDOOR_POINT = f"station.{OUTDOOR}"


@dataclass(frozen=True, slots=True)
class Decision:
    """The new state, every output wanted now, what happened, and what is shown of each circuit."""

    state: ControlState
    commands: tuple[Command, ...]
    events: tuple[Event, ...]
    views: Mapping[str, CircuitView]


def decide(state: ControlState, image: ProcessImage, site: Site, heating: bool, now: Instant) -> Decision:
    """All outputs of this cycle. `heating` says whether the season asks for heat."""
    lapsed_s = 0.0 if state.monotonic is None else max(0.0, now.monotonic - state.monotonic)
    dt = min(lapsed_s, LONGEST_STEP_S)
    sensor = state.outdoor.after(image.value(OUTDOOR_POINT), site.sensor_fault, now)
    filtered_c = _filter(state.filtered_c, sensor, site, dt)
    mains = state.mains.after(_mains_lost(image), now.monotonic, MAINS_ENTRY_S, MAINS_EXIT_S)
    cycle = Cycle(image, site.points(), site.sensor_fault, heating, mains.on, now, dt, lapsed_s)
    outcomes = {
        circuit.id: run(
            circuit,
            state.circuits.get(circuit.id, CircuitState()),
            _outdoor(circuit, sensor, filtered_c, site.sensor_fault.outdoor_substitute_c),
            cycle,
        )
        for circuit in site.circuits
    }
    own = _outdoor_events(state.outdoor, sensor, site, now)
    return Decision(
        ControlState(
            {name: outcome.state for name, outcome in outcomes.items()},
            sensor,
            filtered_c,
            mains,
            now.monotonic,
            now.wall,
        ),
        tuple(command for outcome in outcomes.values() for command in outcome.commands),
        (*own, *(event for outcome in outcomes.values() for event in outcome.events)),
        {name: outcome.view for name, outcome in outcomes.items()},
    )


def _mains_lost(image: ProcessImage) -> bool | None:
    present = image.state("station.mains_power")
    return None if present is None else not present


def _filter(previous: Mapping[str, float], sensor: Sensor, site: Site, dt: float) -> Mapping[str, float]:
    """Filtered outdoor temperatures (degC) by circuit; they rest while the sensor is broken."""
    actual_c = sensor.value
    if actual_c is None:
        return previous
    return {
        circuit.id: outdoor.filtered(previous.get(circuit.id), actual_c, circuit.curve.filter_h, dt)
        for circuit in site.circuits
    }


def _outdoor(
    circuit: Circuit, sensor: Sensor, filtered_c: Mapping[str, float], substitute_c: float
) -> float | None:
    """The outdoor temperature for the curve (degC); None until the sensor has reported or is given up."""
    if sensor.fault.on:
        return substitute_c
    if sensor.last is None:
        return None
    return outdoor.mixed(filtered_c[circuit.id], sensor.last, circuit.curve.actual_share)


def _outdoor_events(before: Sensor, after: Sensor, site: Site, now: Instant) -> tuple[Event, ...]:
    if before.fault.on is after.fault.on:
        return ()
    return (faults.event(before, after, OUTDOOR_POINT, site.sensor_fault.outdoor_substitute_c, now),)
