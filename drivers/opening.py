"""From a bus's settings to the driver that serves it."""

from collections.abc import Callable, Sequence
from itertools import combinations

from drivers.addresses import bus_address, overlaps
from drivers.driver import Driver
from drivers.errors import ConfigurationError
from drivers.memory import MemoryDriver
from drivers.settings import (
    Bus,
    Cjt188Bus,
    DeviceSetting,
    MBusBus,
    MemoryBus,
    ModbusRtuBus,
    ModbusTcpBus,
    OpcUaBus,
)
from drivers.traffic import Tap, unheard

Clock = Callable[[], float]


def open_driver(bus: Bus, devices: Sequence[DeviceSetting], now: Clock, tap: Tap = unheard) -> Driver:
    """The driver of `bus` with its `devices`; `now` gives Unix seconds for readings without a source time.

    `tap` is told of every frame (serial lines and TCP; OPC UA has none). Nothing is connected before the
    driver is entered. ConfigurationError when bus and devices do not fit. The libraries of a protocol are
    loaded only when a bus needs them: OPC UA alone costs 40 MB.
    """
    driver = _make(bus, now, tap)
    for device in devices:
        driver.adopt(device)
    _refuse_doubles(devices)
    return driver


def _make(bus: Bus, now: Clock, tap: Tap) -> Driver:
    match bus:
        case MemoryBus():
            return MemoryDriver(now)
        case OpcUaBus():
            from drivers.opcua.driver import OpcUaDriver  # noqa: PLC0415 (40 MB and 0.3 s, only where it is used)

            return OpcUaDriver(bus, now)
        case ModbusRtuBus() | ModbusTcpBus():
            from drivers.modbus.driver import ModbusDriver  # noqa: PLC0415 (14 MB, only where it is used)

            return ModbusDriver(bus, now, tap)
        case MBusBus():
            from drivers.mbus.driver import MBusDriver  # noqa: PLC0415 (only where it is used)

            return MBusDriver(bus, now, tap)
        case Cjt188Bus():
            from drivers.cjt188.driver import Cjt188Driver  # noqa: PLC0415 (only where it is used)

            return Cjt188Driver(bus, now, tap)


def _refuse_doubles(devices: Sequence[DeviceSetting]) -> None:
    """Of devices that are adopted, so that each address is one."""
    for (one, first), (other, second) in combinations([(each, bus_address(each)) for each in devices], 2):
        if one.id == other.id:
            raise ConfigurationError(f"id {one.id} is given to two devices of one bus: change one")
        if overlaps(first, second):
            text = f"two devices of one bus, {one.id} and {other.id}, may be one"
            raise ConfigurationError(f"{text}: {_shown(one)} and {_shown(other)}: change one")


def _shown(device: DeviceSetting) -> str:
    return f"unit_id {device.unit_id}" if device.address is None else f"address {device.address}"
