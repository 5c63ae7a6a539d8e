"""What a circuit is facing in this cycle, and the table of conditions judged from it. Pure.

A condition is a Latch over a question with hysteresis. An unknown answer (None) leaves it as it is, so a
lost sensor neither trips an interlock nor releases one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from edge.control.latch import Latch
from edge.site import Circuit


class Condition(StrEnum):
    """What may stand against plain automatic control."""

    OVERHEATED = "overheated"
    NO_CIRCULATION = "no_circulation"
    LOW_PRESSURE = "low_pressure"
    FREEZING = "freezing"
    PRIMARY_LOST = "primary_lost"
    TANK_LOW = "tank_low"


@dataclass(frozen=True, slots=True)
class Facts:
    """One circuit at one moment. None is unknown; temperatures in degC, pressures in bar, level in m."""

    circuit: Circuit
    heating: bool
    mains_lost: bool
    setpoint_c: float | None
    supply_c: float | None
    return_c: float | None
    return_bar: float | None
    primary_supply_c: float | None
    primary_differential_bar: float | None
    tank_m: float | None
    pump_commanded: bool | None  # None before the first command
    pump_running: bool | None
    opening_percent: float | None


# Above the largest overshoot that control leaves after a disturbance (2.9 K after a jump of the differential
# pressure, plant study), below the 10 K at which separate safety thermostats are commonly set.
OVERHEATED_K = 5.0
FREEZING_C, THAWED_C = 5.0, 7.0  # Siemens, TROVIS: open below 5 degC until 7 degC
RETURN_HYSTERESIS_BAR = 0.1
TANK_HYSTERESIS_M = 0.05
SOURCE_HYSTERESIS = 1.2  # the differential pressure must come back to this multiple of its limit
SOURCE_HYSTERESIS_K = 1.0
STAGNANT_PERCENT = 10.0  # below this opening the primary sensor shows the pipe's cooling, not the network


def _overheated(facts: Facts, on: bool) -> bool | None:
    if facts.supply_c is None:
        return None
    return facts.supply_c > facts.circuit.curve.maximum_c + (0.0 if on else OVERHEATED_K)


def _no_circulation(facts: Facts, _on: bool) -> bool | None:
    if facts.mains_lost or facts.pump_commanded is False or facts.pump_running is False:
        return True
    return None if facts.pump_commanded is None and facts.pump_running is None else False


def _low_pressure(facts: Facts, on: bool) -> bool | None:
    if facts.return_bar is None:
        return None
    return facts.return_bar < facts.circuit.circulation.minimum_return_bar + on * RETURN_HYSTERESIS_BAR


def _freezing(facts: Facts, on: bool) -> bool | None:
    known = [value for value in (facts.supply_c, facts.return_c) if value is not None]
    if facts.heating or not known:
        return False if facts.heating else None
    return min(known) < (THAWED_C if on else FREEZING_C)


def _primary_lost(facts: Facts, on: bool) -> bool:
    """By pressure, or by temperature while the valve lets enough through; what is unknown is no evidence."""
    detection = facts.circuit.detection
    pressure = facts.primary_differential_bar
    if pressure is not None and pressure < detection.source_pressure_bar * (SOURCE_HYSTERESIS if on else 1.0):
        return True
    if facts.primary_supply_c is None or facts.setpoint_c is None or facts.opening_percent is None:
        return False
    margin_k = detection.source_supply_margin_k + on * SOURCE_HYSTERESIS_K
    cold = facts.primary_supply_c < facts.setpoint_c + margin_k
    return cold and facts.opening_percent >= STAGNANT_PERCENT


def _tank_low(facts: Facts, on: bool) -> bool | None:
    if facts.tank_m is None:
        return None
    return facts.tank_m < facts.circuit.pressurisation.tank_minimum_m + on * TANK_HYSTERESIS_M


@dataclass(frozen=True, slots=True)
class Watch:
    """One row: the question (given whether it is on), and how long it must hold to come and to go (s)."""

    holds: Callable[[Facts, bool], bool | None]
    entry_s: float
    exit_s: float


WATCHES: Mapping[Condition, Watch] = {
    Condition.OVERHEATED: Watch(_overheated, entry_s=5.0, exit_s=30.0),
    Condition.NO_CIRCULATION: Watch(_no_circulation, entry_s=15.0, exit_s=5.0),  # Siemens: feedback in 15 s
    Condition.LOW_PRESSURE: Watch(_low_pressure, entry_s=10.0, exit_s=30.0),
    Condition.FREEZING: Watch(_freezing, entry_s=10.0, exit_s=300.0),  # Siemens: at least 5 min
    Condition.PRIMARY_LOST: Watch(_primary_lost, entry_s=3.0, exit_s=60.0),
    Condition.TANK_LOW: Watch(_tank_low, entry_s=5.0, exit_s=30.0),
}

Latches = Mapping[Condition, Latch]
CALM: Latches = {condition: Latch() for condition in WATCHES}


def watch(latches: Latches, facts: Facts, monotonic: float) -> Latches:
    """All conditions one cycle later."""
    return {
        condition: latches[condition].after(
            row.holds(facts, latches[condition].on), monotonic, row.entry_s, row.exit_s
        )
        for condition, row in WATCHES.items()
    }
