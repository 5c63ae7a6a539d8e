"""What hangs where in the demo's substation: devices, unit ids, slots shared with the plant. Pure data."""

from dataclasses import dataclass

CIRCUITS = ("high", "low")
MOTORS = ("pump_1", "makeup_pump")
ROOMS = ("h1", "h2", "h3", "l1", "l2", "l3")

_CIRCUIT_POINTS = (
    "primary_supply_temperature",
    "primary_return_temperature",
    "primary_flow",
    "heat_power",
    "heat_energy",
    "primary_volume",
    "secondary_supply_temperature",
    "secondary_return_temperature",
    "secondary_supply_pressure",
    "secondary_return_pressure",
    "makeup_flow",
    "makeup_volume",
    "valve_position",
    "pump_1.frequency",
    "pump_1.fault",
    "makeup_pump.frequency",
    "makeup_pump.fault",
)
_STATION_POINTS = (
    "outdoor_temperature",
    "primary_supply_temperature",
    "primary_differential_pressure",
    "tank_level",
    "sump_level",
    "mains_power",
    "door",
)
_PLC_CIRCUIT = (
    "secondary_supply_temperature",
    "secondary_return_temperature",
    "secondary_supply_pressure",
    "secondary_return_pressure",
    "makeup_flow",
    "makeup_volume",
)
SHOWN = (
    *(f"{circuit}.{point}" for circuit in CIRCUITS for point in _CIRCUIT_POINTS),
    *(f"station.{point}" for point in _STATION_POINTS),
    *(f"room.{room}.temperature" for room in ROOMS),
)
TOLD = (
    *(f"{circuit}.valve_setpoint" for circuit in CIRCUITS),
    *(f"{circuit}.{motor}.run" for circuit in CIRCUITS for motor in MOTORS),
    *(f"{circuit}.{motor}.speed_setpoint" for circuit in CIRCUITS for motor in MOTORS),
)
PLC_POINTS = (
    *(f"{circuit}.{point}" for circuit in CIRCUITS for point in _PLC_CIRCUIT),
    *(f"station.{point}" for point in _STATION_POINTS),
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A Modbus device: `serves` is the circuit, motor or room its registers show."""

    name: str
    unit_id: int
    serves: str


METERS = (Unit("meter_high", 8, "high"), Unit("meter_low", 9, "low"))
ACTUATORS = (Unit("valve_high", 21, "high"), Unit("valve_low", 22, "low"))
INVERTERS = (
    Unit("pump_high", 1, "high.pump_1"),
    Unit("pump_low", 2, "low.pump_1"),
    Unit("makeup_high", 3, "high.makeup_pump"),
    Unit("makeup_low", 4, "low.makeup_pump"),
)
ROOM_UNITS = tuple(Unit(f"room_{room}", number, room) for number, room in enumerate(ROOMS, 1))
RUNNING_TIME_S = {"high": 120.0, "low": 60.0}


def plc_identifier(point: str) -> str:
    """The PLC's name for a point: `high.makeup_flow` is `High.MakeupFlow`."""
    return ".".join("".join(word.capitalize() for word in part.split("_")) for part in point.split("."))


def silent_slots() -> dict[str, str]:
    """What a story calls a device -> the slot that mutes it: its name, or `<circuit>.meter` for a meter."""
    table = {unit.name: f"story.{unit.name}.silent" for unit in (*ACTUATORS, *INVERTERS, *ROOM_UNITS)}
    return table | {f"{unit.serves}.meter": f"story.{unit.name}.silent" for unit in METERS}


def slots() -> dict[str, str]:
    """All slots of the blackboard with the process that writes them."""
    table = dict.fromkeys(SHOWN, "plant")
    table |= dict.fromkeys(("plant.time", "plant.mains_power", "plant.late_s"), "plant")
    table |= dict.fromkeys(silent_slots().values(), "plant")
    for unit in (*METERS, *ACTUATORS, *INVERTERS, *ROOM_UNITS):
        table[f"fault.{unit.name}.silent"] = "bench"
    table |= {f"{unit.serves}.valve_setpoint": unit.name for unit in ACTUATORS}
    for unit in INVERTERS:
        table |= {f"{unit.serves}.run": unit.name, f"{unit.serves}.speed_setpoint": unit.name}
    table |= {f"line1.{name}": "line1" for name in ("requests", "collisions", "short_gaps", "busy_s")}
    table["fault.line1.noise"] = "bench"  # share of frames that lose a bit
    return table
