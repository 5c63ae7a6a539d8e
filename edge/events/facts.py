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


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that are no property of one circuit. None: not judged.

    `room_minimum_c` comes from the regulation pack; `sump_high_m` is the flood mark of an enclosed space
    (our choice: 1 m, above the level at which a drain pump has long started).
    """

    room_minimum_c: float | None = None
    sump_high_m: float | None = 1.0


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


def circuit_facts(circuit: Circuit, image: ProcessImage, view: CircuitView | None) -> CircuitFacts:
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
    )
