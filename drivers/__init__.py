"""The face of the drivers: all that the service may import of them."""

from drivers.driver import Driver, Point
from drivers.errors import (
    ClosedError,
    ConfigurationError,
    DeviceError,
    DriverError,
    LocalProtocolError,
    NoAnswerError,
    ProtocolError,
    RemoteProtocolError,
    TransportError,
)
from drivers.opening import open_driver
from drivers.profile import Profile, load_profile
from drivers.reading import Quality, Reading, Reason
from drivers.settings import Bus, DeviceSetting, MemoryBus, ModbusRtuBus, ModbusTcpBus, OpcUaBus
from drivers.units import Unit, convert

__all__ = [
    "Bus",
    "ClosedError",
    "ConfigurationError",
    "DeviceError",
    "DeviceSetting",
    "Driver",
    "DriverError",
    "LocalProtocolError",
    "MemoryBus",
    "ModbusRtuBus",
    "ModbusTcpBus",
    "NoAnswerError",
    "OpcUaBus",
    "Point",
    "Profile",
    "ProtocolError",
    "Quality",
    "Reading",
    "Reason",
    "RemoteProtocolError",
    "TransportError",
    "Unit",
    "convert",
    "load_profile",
    "open_driver",
]
