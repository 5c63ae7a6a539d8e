"""What one cycle knows of a circuit and of the station, gathered once. Pure.

Alarms and outage evidence are small functions of these facts. None means "not known now" and is never a
number or a state. Only GOOD readings become facts: a doubtful value accuses nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.image import ProcessImage
from edge.records import CircuitView
from edge.site import Circuit, Site

# A primary side that gives less than this gives no heat: a tenth of the usual 50 W and 1 l/h per heated m2.
NO_POWER_KW_PER_M2 = 0.005
NO_FLOW_M3H_PER_M2 = 0.0001
VALVE_OPEN_PERCENT = 5.0
PUMP_STANDS_HZ = 1.0
USUAL_W_PER_M2 = 50.0
_MOST_SHARE = 1.2  # of the design load: weather colder than that of the design is rare
_JUDGED_SHARE = 0.2  # of the design load: in milder weather sun and people heat as much as we do
_KWH_PER_M3K = 1.163  # of water; its change with temperature is within the doubt of this way
_ROOM_C = 20.0
_EMITTERS = {"radiator": 1.3, "floor": 1.1}  # exponents of the heat given (EN 442; EN 1264)
_SHORT_SHARE = 0.25  # of the deficit: a supply this close to its setpoint gives what is asked of it


@dataclass(frozen=True, slots=True)
class Limits:
    """What is no property of one circuit. None: not judged.

    `room_minimum_c` comes from the regulation pack; `sump_high_m` is the flood mark of an enclosed space
    (our choice: 1 m, above the level at which a drain pump has long started). `disk_full` is the gateway's
    own trouble, known each cycle.
    """

    room_minimum_c: float | None = None
    sump_high_m: float | None = 1.0
    disk_full: bool = False


@dataclass(frozen=True, slots=True)
class CircuitFacts:
    """One circuit in one cycle. `due` is None while it is not known whether heat is due (start-up)."""

    circuit: Circuit
    due: bool | None
    setpoint_c: float | None
    supply_c: float | None
    primary_supply_c: float | None
    primary_flow_m3h: float | None
    heat_power_kw: float | None
    return_bar: float | None
    source_bar: float | None  # differential pressure of the primary network at the station
    makeup_flow_m3h: float | None
    makeup_running: bool | None
    tank_m: float | None
    valve_commanded: float | None  # %
    valve_position: float | None  # %
    pump_stands: bool | None
    pump_fault: bool | None
    mains: bool | None
    outdoor_c: float | None = None  # as control uses it: filtered and mixed
    branch_supply_c: float | None = None  # primary side of this circuit
    branch_return_c: float | None = None
    makeup_counted: bool = False  # the make-up meter shows something good
    leaking: bool = False  # as found so far (leak.py)

    @property
    def due_kw(self) -> float | None:
        """Heat due by the outdoor temperature and the design load; by the usual load where none is given."""
        if self.outdoor_c is None:
            return None
        load, coldest = self.circuit.load, self.circuit.curve.points[0][0]
        design_c = coldest if load.design_outdoor_c is None else load.design_outdoor_c
        span_k = load.heating_limit_c - min(design_c, load.heating_limit_c - 1.0)
        share = min(_MOST_SHARE, max(0.0, (load.heating_limit_c - self.outdoor_c) / span_k))
        return share * self.design_kw

    @property
    def design_kw(self) -> float:
        """The design load."""
        return (self.circuit.load.design_w_per_m2 or USUAL_W_PER_M2) * self.circuit.heated_area_m2 / 1000.0

    @property
    def delivered_kw(self) -> tuple[float, str] | None:
        """Heat drawn from the primary side, and how it is known: `meter`, `flow` (with two temperatures)."""
        if self.heat_power_kw is not None:
            return max(0.0, self.heat_power_kw), "meter"
        spread_k = difference(self.branch_supply_c, self.branch_return_c)
        if spread_k is None or self.primary_flow_m3h is None:
            return None
        return max(0.0, _KWH_PER_M3K * self.primary_flow_m3h * spread_k), "flow"

    @property
    def measured_share(self) -> float | None:
        """Share of the heat due that is measured; None without a design load given, and in mild weather."""
        if self.circuit.load.design_w_per_m2 is None:
            return None
        delivered, due_kw = self.delivered_kw, self.due_kw
        if delivered is None or due_kw is None or due_kw < _JUDGED_SHARE * self.design_kw:
            return None
        return delivered[0] / due_kw

    @property
    def heat_share(self) -> tuple[float, str] | None:
        """Share of the heat due that is delivered, and how it is known.

        `meter`, `flow`: measured; else `temperatures`: what the emitters give at this supply to what they
        would at its setpoint, by their exponent. None when nothing says it.
        """
        measured, delivered = self.measured_share, self.delivered_kw
        if measured is not None and delivered is not None:
            return measured, delivered[1]
        if self.supply_c is None or self.setpoint_c is None or self.setpoint_c <= _ROOM_C + 5.0:
            return None
        excess = max(0.0, self.supply_c - _ROOM_C) / (self.setpoint_c - _ROOM_C)
        return float(excess ** _EMITTERS[self.circuit.emitter]), "temperatures"

    @property
    def supply_short(self) -> bool | None:
        """Whether the supply is noticeably below its setpoint."""
        return exceeds(self.shortfall_k, _SHORT_SHARE * self.circuit.detection.supply_deficit_k)

    @property
    def shortfall_k(self) -> float | None:
        """How far the supply is below its setpoint (K); negative when above."""
        return difference(self.setpoint_c, self.supply_c)

    @property
    def valve_open(self) -> bool | None:
        """Whether the primary valve lets water through: as measured, else as commanded."""
        return exceeds(first(self.valve_position, self.valve_commanded), VALVE_OPEN_PERCENT)

    @property
    def pressure_lost(self) -> bool | None:
        """Return pressure below what keeps the system full (GB 55010-2021 4.1.7)."""
        return below(self.return_bar, self.circuit.circulation.minimum_return_bar)

    @property
    def source_pressure_low(self) -> bool | None:
        """Too little differential pressure in the primary network to give any flow."""
        return below(self.source_bar, self.circuit.detection.source_pressure_bar)

    @property
    def source_cold(self) -> bool | None:
        """Primary supply not warmer than the setpoint by the margin; unknown with the valve shut.

        Behind a shut valve a branch cools by itself and says nothing of the source.
        """
        excess = difference(self.primary_supply_c, self.setpoint_c)
        if self.valve_open is not True:
            return None
        return below(excess, self.circuit.detection.source_supply_margin_k)

    @property
    def no_heat_drawn(self) -> bool | None:
        """Heat power or primary flow about zero; unknown when neither is known."""
        area = self.circuit.heated_area_m2
        power = below(self.heat_power_kw, NO_POWER_KW_PER_M2 * area)
        flow = below(self.primary_flow_m3h, NO_FLOW_M3H_PER_M2 * area)
        return either(power, flow)


@dataclass(frozen=True, slots=True)
class StationFacts:
    """The station in one cycle; limits of the circuits reduced to the strictest."""

    any_due: bool
    mains: bool | None
    door: bool | None
    tank_m: float | None
    tank_minimum_m: float
    sump_m: float | None
    sump_high_m: float | None
    source_bar: float | None
    source_minimum_bar: float
    disk_full: bool = False


def first(*values: float | None) -> float | None:
    """The first value that is known."""
    return next((value for value in values if value is not None), None)


def difference(value: float | None, other: float | None) -> float | None:
    """`value - other`, None when either is not known."""
    return None if value is None or other is None else value - other


def below(value: float | None, limit: float) -> bool | None:
    """`value < limit`, None when the value is not known."""
    return None if value is None else value < limit


def exceeds(value: float | None, limit: float) -> bool | None:
    """`value > limit`, None when the value is not known."""
    return None if value is None else value > limit


def either(one: bool | None, other: bool | None) -> bool | None:
    """Logical or over what is known: True wins over unknown, unknown over False only when both are."""
    if one or other:
        return True
    return None if one is None and other is None else False


def _stands(running: bool | None, frequency_hz: float | None) -> bool | None:
    return not running if running is not None else below(frequency_hz, PUMP_STANDS_HZ)


def _due(view: CircuitView | None) -> bool | None:
    if view is None or (view.heating and not view.ready):
        return None
    return view.heating


def circuit_facts(
    circuit: Circuit, image: ProcessImage, view: CircuitView | None, leaking: bool = False
) -> CircuitFacts:
    """Everything known of `circuit`. The station's primary supply goes before the circuit's own branch."""
    value, state, name = image.value, image.state, circuit.id
    return CircuitFacts(
        circuit=circuit,
        due=_due(view),
        setpoint_c=view.setpoint_c if view is not None else None,
        supply_c=value(f"{name}.secondary_supply_temperature"),
        primary_supply_c=first(
            value("station.primary_supply_temperature"), value(f"{name}.primary_supply_temperature")
        ),
        primary_flow_m3h=value(f"{name}.primary_flow"),
        heat_power_kw=value(f"{name}.heat_power"),
        return_bar=value(f"{name}.secondary_return_pressure"),
        source_bar=value("station.primary_differential_pressure"),
        makeup_flow_m3h=value(f"{name}.makeup_flow"),
        makeup_running=state(f"{name}.makeup_pump.running"),
        tank_m=value("station.tank_level"),
        valve_commanded=view.valve_percent if view is not None else None,
        valve_position=value(f"{name}.valve_position"),
        pump_stands=_stands(state(f"{name}.pump_1.running"), value(f"{name}.pump_1.frequency")),
        pump_fault=state(f"{name}.pump_1.fault"),
        mains=state("station.mains_power"),
        outdoor_c=view.outdoor_c if view is not None else None,
        branch_supply_c=first(
            value(f"{name}.primary_supply_temperature"), value("station.primary_supply_temperature")
        ),
        branch_return_c=value(f"{name}.primary_return_temperature"),
        makeup_counted=value(f"{name}.makeup_volume") is not None,
        leaking=leaking,
    )


def station_facts(
    image: ProcessImage, views: Mapping[str, CircuitView], site: Site, limits: Limits
) -> StationFacts:
    """Everything known of the station. `door` is a state: not 0 means open."""
    return StationFacts(
        any_due=any(_due(view) is True for view in views.values()),
        mains=image.state("station.mains_power"),
        door=image.state("station.door"),
        tank_m=image.value("station.tank_level"),
        tank_minimum_m=max(circuit.pressurisation.tank_minimum_m for circuit in site.circuits),
        sump_m=image.value("station.sump_level"),
        sump_high_m=limits.sump_high_m,
        source_bar=image.value("station.primary_differential_pressure"),
        source_minimum_bar=max(circuit.detection.source_pressure_bar for circuit in site.circuits),
        disk_full=limits.disk_full,
    )
