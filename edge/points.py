"""The trade's points: every name a site may map, with its unit and the range a working sensor can show.

`<circuit>.<quantity>`, `station.<quantity>`, `room.<id>.temperature`. Pure data; the ranges are plausibility
limits of the sensor, not control limits.
"""

from dataclasses import dataclass

from drivers import Unit


@dataclass(frozen=True, slots=True)
class Quantity:
    """Unit, plausible range (inclusive, in that unit), whether the service may write it, whether it is slow.

    What is slow waits on a busy line for what control needs: totals, rooms, levels, the door.
    """

    unit: Unit
    low: float
    high: float
    output: bool = False
    slow: bool = False


_TEMPERATURE = Quantity(Unit.CELSIUS, -10.0, 180.0)
_PRESSURE = Quantity(Unit.BAR, -1.0, 25.0)
_FLOW = Quantity(Unit.CUBIC_METRE_PER_HOUR, -5.0, 5000.0)
_STATE = Quantity(Unit.STATE, 0.0, 65535.0)
_PERCENT = Quantity(Unit.PERCENT, -1.0, 101.0)
_PERCENT_OUTPUT = Quantity(Unit.PERCENT, 0.0, 100.0, output=True)
_STATE_OUTPUT = Quantity(Unit.STATE, 0.0, 1.0, output=True)

CIRCUIT: dict[str, Quantity] = {
    "primary_supply_temperature": _TEMPERATURE,
    "primary_return_temperature": _TEMPERATURE,
    "primary_flow": _FLOW,
    "heat_power": Quantity(Unit.KILOWATT, -1000.0, 200_000.0),
    "heat_energy": Quantity(Unit.KILOWATT_HOUR, 0.0, 1e12, slow=True),
    "primary_volume": Quantity(Unit.CUBIC_METRE, 0.0, 1e12, slow=True),
    "secondary_supply_temperature": _TEMPERATURE,
    "secondary_return_temperature": _TEMPERATURE,
    "secondary_supply_pressure": _PRESSURE,
    "secondary_return_pressure": _PRESSURE,
    "makeup_flow": _FLOW,
    "meter_number": Quantity(Unit.STATE, 0.0, 1e12, slow=True),  # of the heat meter, or the make-up meter
    "makeup_volume": Quantity(Unit.CUBIC_METRE, 0.0, 1e9, slow=True),
    "valve_position": _PERCENT,
    "valve_setpoint": _PERCENT_OUTPUT,
    "pump_1.frequency": Quantity(Unit.HERTZ, 0.0, 70.0),
    "pump_1.running": _STATE,
    "pump_1.fault": _STATE,
    "pump_1.run": _STATE_OUTPUT,
    "pump_1.speed_setpoint": _PERCENT_OUTPUT,
    "makeup_pump.frequency": Quantity(Unit.HERTZ, 0.0, 70.0),
    "makeup_pump.running": _STATE,
    "makeup_pump.fault": _STATE,
    "makeup_pump.run": _STATE_OUTPUT,
    "makeup_pump.speed_setpoint": _PERCENT_OUTPUT,
}

STATION: dict[str, Quantity] = {
    "outdoor_temperature": Quantity(Unit.CELSIUS, -50.0, 50.0),
    "primary_supply_temperature": _TEMPERATURE,
    "primary_differential_pressure": Quantity(Unit.BAR, -1.0, 16.0),
    "tank_level": Quantity(Unit.METRE, -0.2, 20.0, slow=True),
    "sump_level": Quantity(Unit.METRE, -0.2, 10.0, slow=True),
    "mains_power": _STATE,
    "door": Quantity(Unit.STATE, 0.0, 65535.0, slow=True),
}

ROOM: dict[str, Quantity] = {"temperature": Quantity(Unit.CELSIUS, -20.0, 50.0, slow=True)}

# What control makes, recorded beside what is read: the set point of the supply and the valve as commanded.
MADE: dict[str, Unit] = {"setpoint": Unit.CELSIUS, "valve_command": Unit.PERCENT}


def quantity(point: str) -> Quantity | None:
    """The quantity of a point name, or None when the trade has no such point."""
    head, _, rest = point.partition(".")
    if head == "station":
        return STATION.get(rest)
    if head == "room":
        return ROOM.get(rest.partition(".")[2])
    return CIRCUIT.get(rest)
