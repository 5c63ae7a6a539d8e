"""The alarms as data: one row each. Pure.

`measure` says how far a condition is past its limit (in the unit of the row): above 0 the alarm is due, an
active one clears below `-hysteresis`, None means not known. A row tells its delays with their source;
what to do about it stands in the text catalogue under `alarm.<key>.action`. The engine is annunciator.py
and knows no alarm by name: a new alarm is a new row and two texts.

Priorities: 1 act at once (people, frost, loss of heat), 2 act today, 3 take note (Siemens: urgent and
non-urgent; the notice is ours). Delays without another source: Ouman H23, entry 10 s to 1 min, exit 5 s.
`inhibits` names alarms that are mere consequences: they are not raised while this one is active, of the
same circuit or, from the station, of any circuit. What control stops is control's own matter.
`latched` rows are trips: gone, they stay until somebody has acknowledged and reset them, because the reason
must be looked for on site even when the number is well again (ISA-18.2: latching alarms): boiling over,
freezing, flooding, and a pump's fault. Not the door: whoever opened it closes it. Not pressure and mains:
they come back by themselves, and the outage keeps them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from drivers import Unit
from edge.events.facts import CircuitFacts, StationFacts, difference
from edge.site import SensorFault

F = TypeVar("F")

_NO = -math.inf  # a definite no, whatever the hysteresis
_DEVIATION_SETPOINT_C = 30.0  # deviation is not judged below this setpoint (TROVIS; controllers 8.5, 53)
_DEVIATION_K = 10.0  # ECL 5 to 15 K
_OVER_CURVE_K = 5.0  # above the curve's own maximum (our choice; sites trip some 10 K higher in hardware)
_FROST_C = 5.0  # Siemens, TROVIS: flow below 5 degC, until 7
_VALVE_DEVIATION = 5.0  # % for three running times (controllers 8.3, 37)
# CJJ 88: make-up at most 1 % of circulation; circulation about 2.5 l/h per m2 (45 W/m2 over 15 K).
MAKEUP_M3H_PER_M2 = 0.000025


@dataclass(frozen=True, slots=True)
class Row(Generic[F]):
    """One alarm. `entry` gives its delay in s from the facts, since some depend on the circuit's settings."""

    key: str
    priority: int
    entry: Callable[[F], float]
    measure: Callable[[F], float | None]
    value: Callable[[F], float | None]
    unit: Unit
    hysteresis: float = 0.0
    exit_s: float = 5.0
    inhibits: tuple[str, ...] = ()
    latched: bool = False


@dataclass(frozen=True, slots=True)
class PointFacts:
    """A point (or all points of a device) in one cycle; `broken` None: not judged yet, at start-up."""

    broken: bool | None
    fault: SensorFault


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """A room in one cycle, judged only while heat is due."""

    due: bool | None
    temperature_c: float | None
    minimum_c: float | None


@dataclass(frozen=True, slots=True)
class Seconds:
    """An entry delay that is the same everywhere (s)."""

    delay_s: float

    def __call__(self, _: object) -> float:
        """The delay, whatever the facts."""
        return self.delay_s


def _truth(state: bool | None) -> float | None:
    return None if state is None else (1.0 if state else _NO)


def _number(state: bool | None) -> float | None:
    return None if state is None else float(state)


def _when(condition: bool | None, excess: float | None) -> float | None:
    """The excess while the condition holds; a definite no when it does not."""
    if condition is None:
        return None
    return excess if condition else _NO


def _deviation(f: CircuitFacts, sign: float, limit_k: float) -> float | None:
    shortfall = f.shortfall_k
    if shortfall is None or f.setpoint_c is None:
        return None
    return _when(f.due, sign * shortfall - limit_k if f.setpoint_c >= _DEVIATION_SETPOINT_C else _NO)


def _supply_low(f: CircuitFacts) -> float | None:
    return _deviation(f, 1.0, f.circuit.detection.supply_deficit_k)


def _supply_high(f: CircuitFacts) -> float | None:
    return _deviation(f, -1.0, _DEVIATION_K)


def _over_temperature(f: CircuitFacts) -> float | None:
    return difference(f.supply_c, f.circuit.curve.maximum_c + _OVER_CURVE_K)


def _frost(f: CircuitFacts) -> float | None:
    return difference(_FROST_C, f.supply_c)


def _pressure_low(f: CircuitFacts) -> float | None:
    return difference(f.circuit.circulation.minimum_return_bar, f.return_bar)


def _pressure_high(f: CircuitFacts) -> float | None:
    hold = f.circuit.pressurisation
    return difference(f.return_bar, hold.setpoint_bar + 2.0 * hold.band_bar)  # one and a half above the band


def _pump_not_running(f: CircuitFacts) -> float | None:
    return _when(f.due, _truth(f.pump_stands))


def valve_deviation(f: CircuitFacts) -> float | None:
    """How far commanded and measured valve position differ beyond 5 % of stroke (%)."""
    deviation = difference(f.valve_commanded, f.valve_position)
    return None if deviation is None else abs(deviation) - _VALVE_DEVIATION


def valve_delay_s(f: CircuitFacts) -> float:
    """Three running times: one for the stroke, two for doubt."""
    return 3.0 * f.circuit.valve.running_time_s


def makeup_excess(f: CircuitFacts) -> float | None:
    """Make-up rate above 1 % of the circulation (m3/h)."""
    return difference(f.makeup_flow_m3h, MAKEUP_M3H_PER_M2 * f.circuit.heated_area_m2)


def makeup_long_s(f: CircuitFacts) -> float:
    """Two thirds of the longest run allowed, so that it is told before control stops the pump."""
    return f.circuit.pressurisation.maximum_run_s * 2 / 3


def _primary_cold(f: CircuitFacts) -> float | None:
    if f.valve_open is not True:
        return _when(f.due, None)
    wanted = f.circuit.detection.source_supply_margin_k
    return _when(f.due, difference(wanted, difference(f.primary_supply_c, f.setpoint_c)))


def _primary_dp(f: StationFacts) -> float | None:
    return _when(f.any_due, difference(f.source_minimum_bar, f.source_bar))


def _sump(f: StationFacts) -> float | None:
    return difference(f.sump_m, f.sump_high_m) if f.sump_high_m is not None else _NO


def _room_cold(f: RoomFacts) -> float | None:
    return _when(f.due, difference(f.minimum_c, f.temperature_c)) if f.minimum_c is not None else _NO


def _point_entry(f: PointFacts) -> float:
    return f.fault.entry_delay_s


_C, _BAR, _M, _PC, _ST = Unit.CELSIUS, Unit.BAR, Unit.METRE, Unit.PERCENT, Unit.STATE
_M3H = Unit.CUBIC_METRE_PER_HOUR

CIRCUIT_ALARMS: tuple[Row[CircuitFacts], ...] = (
    # RVD240: more than 10 K below setpoint; ECL: for 10 min
    Row("supply_low", 2, Seconds(600), _supply_low, lambda f: f.supply_c, _C, 2.0),
    Row("supply_high", 2, Seconds(600), _supply_high, lambda f: f.supply_c, _C, 2.0),
    Row("over_temperature", 1, Seconds(10), _over_temperature, lambda f: f.supply_c, _C, 2.0, latched=True),
    Row("frost", 1, Seconds(60), _frost, lambda f: f.supply_c, _C, 2.0, latched=True),
    Row(
        "pressure_low",
        1,
        Seconds(10),
        _pressure_low,
        lambda f: f.return_bar,
        _BAR,
        0.05,
        inhibits=("pump_not_running",),  # control stops the pump of an empty system
    ),
    Row("pressure_high", 2, Seconds(30), _pressure_high, lambda f: f.return_bar, _BAR, 0.05),
    Row(
        "pump_fault",
        1,
        Seconds(5),
        lambda f: _truth(f.pump_fault),
        lambda f: _number(f.pump_fault),
        _ST,
        inhibits=("pump_not_running",),
        latched=True,
    ),
    # ECL wants feedback in 15 s; control may wait half a minute after pressure or mains came back
    Row("pump_not_running", 1, Seconds(60), _pump_not_running, lambda f: _number(f.pump_stands), _ST),
    Row("valve_not_following", 2, valve_delay_s, valve_deviation, lambda f: f.valve_position, _PC, 2.0),
    Row(
        "makeup_long",
        2,
        makeup_long_s,
        lambda f: _truth(f.makeup_running),
        lambda f: _number(f.makeup_running),
        _ST,
        exit_s=60.0,  # a pump that only pauses is still making up
    ),
    # longer than one ordinary topping-up
    Row("makeup_rate", 2, Seconds(600), makeup_excess, lambda f: f.makeup_flow_m3h, _M3H, exit_s=60.0),
    # judged by the hour and the night (leak.py): nothing is left to wait for
    Row(
        "leak",
        2,
        Seconds(0),
        lambda f: _truth(f.leaking),
        lambda f: f.makeup_flow_m3h,
        _M3H,
    ),
    Row("primary_cold", 2, Seconds(300), _primary_cold, lambda f: f.primary_supply_c, _C, 2.0),
)

STATION_ALARMS: tuple[Row[StationFacts], ...] = (
    Row(
        "mains_lost",
        1,
        Seconds(3),  # longer than a switch-over, shorter than every consequence below
        lambda f: _truth(None if f.mains is None else not f.mains),
        lambda f: _number(f.mains),
        _ST,
        inhibits=("pump_fault", "pump_not_running", "valve_not_following", "device_lost", "meter_silent"),
    ),
    Row(
        "tank_low",
        2,
        Seconds(30),
        lambda f: difference(f.tank_minimum_m, f.tank_m),
        lambda f: f.tank_m,
        _M,
        0.05,
    ),
    Row("sump_high", 1, Seconds(10), _sump, lambda f: f.sump_m, _M, 0.02, latched=True),
    Row("primary_dp_low", 2, Seconds(60), _primary_dp, lambda f: f.source_bar, _BAR, 0.05),
    # longer than a file that is written and removed again (our choice); the row storage.full comes at once
    Row("disk_full", 2, Seconds(10), lambda f: _truth(f.disk_full), lambda f: _number(f.disk_full), _ST),
    Row("door_open", 3, Seconds(60), lambda f: _truth(f.door), lambda f: _number(f.door), _ST),
)

# A room is slow and a window may stand open: an hour below the standard (our choice), half a degree to clear.
ROOM_COLD: Row[RoomFacts] = Row(
    "room_cold", 3, Seconds(3600), _room_cold, lambda f: f.temperature_c, _C, 0.5, exit_s=300.0
)

SENSOR: Row[PointFacts] = Row("sensor", 2, _point_entry, lambda f: _truth(f.broken), lambda f: None, _ST)
# RMH760B: no pulse for 20 s; here no answer
METER_SILENT: Row[PointFacts] = Row(
    "meter_silent", 2, Seconds(20), lambda f: _truth(f.broken), lambda f: None, _ST
)
# A meter that starts shows 0 for a while; what lasts longer is worth a look at its display (our choice)
METER_DOUBTFUL: Row[PointFacts] = Row(
    "meter_doubtful", 2, Seconds(60), lambda f: _truth(f.broken), lambda f: None, _ST
)
DEVICE_LOST: Row[PointFacts] = Row(
    "device_lost", 2, Seconds(20), lambda f: _truth(f.broken), lambda f: None, _ST
)

ROWS: dict[str, Row[Any]] = {
    row.key: row
    for rows in (
        CIRCUIT_ALARMS,
        STATION_ALARMS,
        (ROOM_COLD, SENSOR, METER_SILENT, METER_DOUBTFUL, DEVICE_LOST),
    )
    for row in rows
}
INHIBITS: dict[str, tuple[str, ...]] = {key: row.inhibits for key, row in ROWS.items()}
LATCHED: frozenset[str] = frozenset(key for key, row in ROWS.items() if row.latched)
KEYS: frozenset[str] = frozenset(ROWS)
