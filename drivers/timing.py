"""How long a request and its answer keep a serial line busy: what the time budget of a bus is made of. Pure.

Bytes come from what the drivers would really send; times from the baud rate, the silence a protocol asks for
and the turnaround its profile states. A TCP connection has no such budget: None.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.driver import Point
from drivers.settings import Bus, Cjt188Bus, DeviceSetting, MBusBus, ModbusRtuBus, SerialPort


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, in bytes; `turnaround_s` before the answer, `silence_s` after it."""

    sent: int
    received: int
    turnaround_s: float
    silence_s: float


def character_s(port: SerialPort) -> float:
    """Seconds a byte takes on the line: start bit, eight data bits, parity, stop bits."""
    return (9 + (port.parity != "N") + port.stop_bits) / port.baud


def read_seconds(bus: Bus, device: DeviceSetting, points: Sequence[Point]) -> float | None:
    """How long the line is busy when these points of the device are read together."""
    return _seconds(bus, device, points, None)


def write_seconds(bus: Bus, device: DeviceSetting, point: Point) -> float | None:
    """How long the line is busy when the point is written once."""
    return _seconds(bus, device, (), point)


def _seconds(bus: Bus, device: DeviceSetting, points: Sequence[Point], written: Point | None) -> float | None:
    port = getattr(bus, "endpoint", None)
    if not isinstance(port, SerialPort):
        return None
    byte_s = character_s(port)
    return sum(
        (each.sent + each.received) * byte_s + each.turnaround_s + each.silence_s
        for each in _exchanges(bus, device, points, written)
    )


def _exchanges(
    bus: Bus, device: DeviceSetting, points: Sequence[Point], written: Point | None
) -> Sequence[Exchange]:
    match bus:
        case ModbusRtuBus():
            from drivers.modbus.timing import exchanges  # noqa: PLC0415 (loads pymodbus)

            return exchanges(bus, device, points, written)
        case MBusBus():
            from drivers.mbus.timing import exchanges as of_mbus  # noqa: PLC0415 (as the driver does)

            return of_mbus(bus, device)
        case Cjt188Bus():
            from drivers.cjt188.timing import exchanges as of_cjt188  # noqa: PLC0415 (as the driver does)

            return of_cjt188(bus, device)
    return ()
