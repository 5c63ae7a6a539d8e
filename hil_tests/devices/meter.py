"""Kamstrup MULTICAL 603 with a Modbus module, datagram xx-yy-300: floats from address 0, high word first.

The plant gives what the calculator shows (refreshed every 10 s); this is its register map. A quantity the
meter does not have, or whose sensor is broken, reads as NaN, the maker's "invalid". Source: Kamstrup
58101758_B1.
"""

import math
import struct
from collections.abc import Sequence

from hil_tests.blackboard import Blackboard
from hil_tests.devices.pdu import ILLEGAL_ADDRESS, Refusal

_FLOATS = 40  # the datagram ends with mass M1 at address 78
_LAYOUT = struct.Struct(f">{_FLOATS}f")
_WORDS = struct.Struct(f">{2 * _FLOATS}H")
# address -> quantity of the circuit, factor to the meter's unit (l/h; kW, kWh and m3 by configuration)
_QUANTITIES: tuple[tuple[int, str, float], ...] = (
    (0, "primary_flow", 1000.0),
    (4, "heat_power", 1.0),
    (6, "primary_supply_temperature", 1.0),
    (8, "primary_return_temperature", 1.0),
    (20, "heat_energy", 1.0),
    (48, "heat_energy", 1.0),
    (52, "primary_volume", 1.0),
)


class Meter:
    """The registers of the heat meter of one circuit."""

    def __init__(self, board: Blackboard, circuit: str) -> None:
        self._board = board
        self._sources = [(address // 2, f"{circuit}.{name}", factor) for address, name, factor in _QUANTITIES]

    def holding(self, address: int, count: int) -> Sequence[int]:
        """Any block of the datagram."""
        if address + count > 2 * _FLOATS:
            raise Refusal(ILLEGAL_ADDRESS)
        values = [math.nan] * _FLOATS
        for index, slot, factor in self._sources:
            value = self._board.get(slot)
            values[index] = value * factor if math.isfinite(value) else math.nan
        values[7] = values[3] - values[4]  # T1 - T2
        return _WORDS.unpack(_LAYOUT.pack(*values))[address : address + count]

    def inputs(self, address: int, count: int) -> Sequence[int]:
        """The map knows function 3 only."""
        raise Refusal(ILLEGAL_ADDRESS)

    def write(self, address: int, words: Sequence[int]) -> None:
        """Nothing can be written."""
        raise Refusal(ILLEGAL_ADDRESS)

    def tick(self, now: float) -> float:
        """Nothing happens by itself."""
        return math.inf
