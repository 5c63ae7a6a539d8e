"""An RTU master on minimalmodbus. Runs in the peers' own environment; says what it read as JSON.

`minimalmodbus_master.py meter|valve TTY BAUD`: reads two temperatures of unit 8, or moves the valve at unit
22 to 25 % by one register, sets three more together, and reads all four back.
"""

import json
import sys

import minimalmodbus


def unit(number: int, tty: str, baud: str) -> minimalmodbus.Instrument:
    """A unit on the line."""
    found = minimalmodbus.Instrument(tty, number)
    found.serial.baudrate = int(baud)
    found.serial.timeout = 1.0
    return found


def meter(tty: str, baud: str) -> list[float]:
    """Flow and return temperature."""
    asked = unit(8, tty, baud)
    return [asked.read_float(6), asked.read_float(8)]


def valve(tty: str, baud: str) -> list[int]:
    """Setpoint and fail-safe registers, after they were written."""
    asked = unit(22, tty, baud)
    asked.write_register(0, 2500, functioncode=6)
    asked.write_registers(512, [0, 3000, 600])
    return [asked.read_register(0), *asked.read_registers(512, 3)]


print(json.dumps({"meter": meter, "valve": valve}[sys.argv[1]](*sys.argv[2:])))
