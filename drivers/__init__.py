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
from drivers.reading import Quality, Reading, Reason
from drivers.units import Unit, convert

__all__ = [
    "ClosedError",
    "ConfigurationError",
    "DeviceError",
    "Driver",
    "DriverError",
    "LocalProtocolError",
    "NoAnswerError",
    "Point",
    "ProtocolError",
    "Quality",
    "Reading",
    "Reason",
    "RemoteProtocolError",
    "TransportError",
    "Unit",
    "convert",
]
