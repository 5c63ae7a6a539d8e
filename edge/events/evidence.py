"""The evidence of an outage as data, and which cause it speaks for. Pure.

A row is a *symptom* (it proves that users get no heat), speaks for a *cause*, or both. `strong` evidence
names a cause by itself; weak evidence only where nothing better is known. `dates` marks evidence whose
beginning is when heat went away.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drivers import Unit
from edge.clock import Instant
from edge.events.alarms import makeup_excess, makeup_long_s, valve_delay_s, valve_deviation
from edge.events.facts import CircuitFacts, below, exceeds
from edge.records import Cause, Plain

PARTIAL = 1.5  # times the share of a stop: heat flows again
_PRESSURE_BACK_BAR = 0.1  # above the minimum: the hysteresis of control's interlock


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of evidence. `delay_s` is how long it must hold before it counts.

    `stays` takes the place of `holds` once it holds: the hysteresis of a measured value.
    """

    what: str
    cause: Cause | None
    symptom: bool
    strong: bool
    dates: bool
    holds: Callable[[CircuitFacts], bool | None]
    value: Callable[[CircuitFacts], float | None]
    unit: Unit
    delay_s: Callable[[CircuitFacts], float] = lambda _: 0.0
    stays: Callable[[CircuitFacts], bool | None] | None = None


@dataclass(frozen=True, slots=True)
class Timer:
    """Monotonic s: since when a condition holds, and when it was last seen to hold."""

    since: float
    seen: float


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of evidence as recorded: what, since when (Unix s), the value measured last."""

    what: str
    since: float
    value: float | None
    unit: str

    def body(self) -> dict[str, Plain]:
        """As the journal keeps it."""
        return {"what": self.what, "since": self.since, "value": self.value, "unit": self.unit}


def _low(f: CircuitFacts, of_deficit: float, of_share: float) -> bool | None:
    """A supply too cold is no stop while a meter shows heat delivered: it is degraded (degraded.py)."""
    share = f.measured_share
    if share is not None and share >= of_share * f.circuit.detection.stop_share:
        return False
    return exceeds(f.shortfall_k, of_deficit * f.circuit.detection.supply_deficit_k)


def _supply_low(f: CircuitFacts) -> bool | None:
    return _low(f, 1.0, 1.0)


def _supply_still_low(f: CircuitFacts) -> bool | None:
    """Noise at the limits must not begin the confirmation anew."""
    return _low(f, 0.85, PARTIAL)


def _pressure_still_lost(f: CircuitFacts) -> bool | None:
    """As long as control keeps the pump off: when it stops, the pressure at its suction side rises again."""
    return below(f.return_bar, f.circuit.circulation.minimum_return_bar + _PRESSURE_BACK_BAR)


def _no_heat_drawn(f: CircuitFacts) -> bool | None:
    if not f.no_heat_drawn:
        return f.no_heat_drawn
    if f.source_pressure_low or f.source_cold:
        return True
    return False if f.source_pressure_low is False and f.source_cold is False else None


def _mains_lost(f: CircuitFacts) -> bool | None:
    return None if f.mains is None else not f.mains


def _no_primary_flow(f: CircuitFacts) -> bool | None:
    if f.valve_position is None or f.no_heat_drawn is None:
        return None
    return f.no_heat_drawn and f.valve_open is True


def _pump_not_running(f: CircuitFacts) -> bool | None:
    """The pump stands though it has power and water: its own fault, not a consequence."""
    if f.mains is False or f.pressure_lost:
        return False
    return f.pump_stands


def _valve_astray(f: CircuitFacts) -> bool | None:
    """Without mains an actuator stands where it is: no fault of its own."""
    return False if f.mains is False else exceeds(valve_deviation(f), 0.0)


def _valve_shut(f: CircuitFacts) -> bool | None:
    """Commanded open by a fifth of the stroke or more, measured shut."""
    if f.mains is False:
        return False
    if f.valve_commanded is None or f.valve_position is None:
        return None
    return f.valve_commanded >= 20.0 and f.valve_position < 2.0


def _flag(state: bool | None) -> float | None:
    return None if state is None else float(state)


_C, _KW, _BAR, _PC, _ST = Unit.CELSIUS, Unit.KILOWATT, Unit.BAR, Unit.PERCENT, Unit.STATE
_POWER, _SOURCE, _WATER, _EQUIPMENT = Cause.POWER, Cause.SOURCE, Cause.WATER, Cause.EQUIPMENT

# what, cause, symptom, strong, dates, condition, value, unit, delay
EVIDENCE: tuple[Row, ...] = (
    Row(
        "supply_low", None, True, False, True, _supply_low, lambda f: f.supply_c, _C, stays=_supply_still_low
    ),
    Row("no_heat_drawn", None, True, False, True, _no_heat_drawn, lambda f: f.heat_power_kw, _KW),
    Row(
        "pump_stopped", None, True, False, True, lambda f: f.pump_stands, lambda f: _flag(f.pump_stands), _ST
    ),
    Row("mains_lost", _POWER, True, True, True, _mains_lost, lambda f: _flag(f.mains), _ST),
    Row(
        "pressure_lost",
        _WATER,
        True,
        True,
        True,
        lambda f: f.pressure_lost,
        lambda f: f.return_bar,
        _BAR,
        stays=_pressure_still_lost,
    ),
    Row(
        "source_pressure_low",
        _SOURCE,
        False,
        True,
        True,
        lambda f: f.source_pressure_low,
        lambda f: f.source_bar,
        _BAR,
    ),
    Row("source_cold", _SOURCE, False, True, True, lambda f: f.source_cold, lambda f: f.primary_supply_c, _C),
    Row(
        "no_primary_flow",
        _SOURCE,
        False,
        False,  # a strainer or an exchanger may be blocked as well
        True,
        _no_primary_flow,
        lambda f: f.primary_flow_m3h,
        Unit.CUBIC_METRE_PER_HOUR,
    ),
    Row(
        "makeup_long",
        _WATER,
        False,
        False,  # cooling water shrinks: every outage makes the make-up pump run
        False,
        lambda f: f.makeup_running,
        lambda f: _flag(f.makeup_running),
        _ST,
        makeup_long_s,
    ),
    Row(
        "makeup_rate",
        _WATER,
        False,
        False,
        False,
        lambda f: exceeds(makeup_excess(f), 0.0),
        lambda f: f.makeup_flow_m3h,
        Unit.CUBIC_METRE_PER_HOUR,
        lambda _: 120.0,
    ),
    Row(
        "tank_low",
        _WATER,
        False,
        False,
        False,
        lambda f: below(f.tank_m, f.circuit.pressurisation.tank_minimum_m),
        lambda f: f.tank_m,
        Unit.METRE,
        lambda _: 30.0,
    ),
    Row(
        "pump_fault",
        _EQUIPMENT,
        False,
        True,
        True,
        lambda f: f.pump_fault,
        lambda f: _flag(f.pump_fault),
        _ST,
    ),
    Row(
        "pump_not_running",
        _EQUIPMENT,
        False,
        True,
        True,
        _pump_not_running,
        lambda f: _flag(f.pump_stands),
        _ST,
        lambda _: 60.0,  # as the alarm
    ),
    Row(
        "valve_not_following",
        _EQUIPMENT,
        False,
        True,
        False,  # a valve may stand still for long before anybody is cold
        _valve_astray,
        lambda f: f.valve_position,
        _PC,
        valve_delay_s,
    ),
    Row(
        "valve_shut",
        _EQUIPMENT,
        False,
        True,
        True,
        _valve_shut,
        lambda f: f.valve_position,
        _PC,
        lambda f: 1.5 * f.circuit.valve.running_time_s,
    ),
)
BY_NAME: Mapping[str, Row] = {row.what: row for row in EVIDENCE}


def update(
    timers: Mapping[str, Timer], facts: CircuitFacts, now: Instant, skip: frozenset[str]
) -> dict[str, Timer]:
    """Timers of the evidence that holds; one not known now is kept for `confirm_s`. `skip`: do not start."""
    kept: dict[str, Timer] = {}
    for row in EVIDENCE:
        old = timers.get(row.what)
        holds = (row.holds if old is None else row.stays or row.holds)(facts)
        if holds and (old is not None or row.what not in skip):
            kept[row.what] = Timer(now.monotonic if old is None else old.since, now.monotonic)
        elif (
            holds is None
            and old is not None
            and now.monotonic - old.seen <= facts.circuit.detection.confirm_s
        ):
            kept[row.what] = old
    return kept


def items(
    timers: Mapping[str, Timer], facts: CircuitFacts, now: Instant, not_before: float
) -> tuple[Item, ...]:
    """What holds long enough to count, oldest first. None of it began before `not_before` (monotonic s)."""
    found = []
    for what, timer in timers.items():
        row = BY_NAME[what]
        age = now.monotonic - max(timer.since, not_before)
        if age >= row.delay_s(facts):
            found.append(Item(what, now.wall - age, row.value(facts), row.unit.value))
    return tuple(sorted(found, key=lambda item: item.since))
