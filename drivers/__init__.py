"""The face of the drivers: all that the service may import of them."""

from drivers.addresses import BusAddress, bus_address, overlaps
from drivers.cjt188.probing import HeatReading, heat_readings
from drivers.driver import Browsable, Driver, Point
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
    UntrustedError,
)
from drivers.explaining import explain
from drivers.mbus.search import Found, Outcome, PrimaryScan, Searchable, SecondarySearch
from drivers.modbus.profile import ModbusProfile
from drivers.node import Node
from drivers.opening import open_driver
from drivers.profile import Profile, load_profile, parse_profile
from drivers.profile_base import FailSafe
from drivers.reading import Quality, Reading, Reason, Total
from drivers.settings import (
    Bus,
    Cjt188Bus,
    DeviceSetting,
    Endpoint,
    MBusBus,
    MemoryBus,
    ModbusRtuBus,
    ModbusTcpBus,
    OpcUaBus,
    SerialPort,
    TcpHost,
    Tls,
)
from drivers.timing import read_seconds, write_seconds
from drivers.traffic import Meaning, Tap, Traffic, Verdict
from drivers.units import Unit, convert, factor

__all__ = [
    "Browsable",
    "Bus",
    "BusAddress",
    "Cjt188Bus",
    "ClosedError",
    "ConfigurationError",
    "DeviceError",
    "DeviceSetting",
    "Driver",
    "DriverError",
    "Endpoint",
    "FailSafe",
    "Found",
    "HeatReading",
    "LocalProtocolError",
    "MBusBus",
    "Meaning",
    "MemoryBus",
    "ModbusProfile",
    "ModbusRtuBus",
    "ModbusTcpBus",
    "NoAnswerError",
    "Node",
    "OpcUaBus",
    "Outcome",
    "Point",
    "PrimaryScan",
    "Profile",
    "ProtocolError",
    "Quality",
    "Reading",
    "Reason",
    "RemoteProtocolError",
    "Searchable",
    "SecondarySearch",
    "SerialPort",
    "Tap",
    "TcpHost",
    "Tls",
    "Total",
    "Traffic",
    "TransportError",
    "Unit",
    "UntrustedError",
    "Verdict",
    "bus_address",
    "convert",
    "explain",
    "factor",
    "heat_readings",
    "load_profile",
    "open_driver",
    "overlaps",
    "parse_profile",
    "read_seconds",
    "write_seconds",
]
