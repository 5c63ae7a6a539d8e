"""What a bus and its devices need to be told: plain frozen data, made by the service's configuration.

Field names are settled; the service builds these and hands them to `open_driver`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from drivers.profile import Profile

Parity = Literal["N", "E", "O"]
Security = Literal["Sign", "SignAndEncrypt"]


@dataclass(frozen=True, slots=True)
class ModbusRtuBus:
    """A serial line with one master. The standard's default is 19200 baud, even parity, one stop bit.

    `timeout_s` runs from the request to the whole answer, so that it includes both transmissions: reading 100
    registers takes 0.24 s at 9600 baud and 0.95 s at 2400.
    """

    port: str
    baud: int = 19200
    parity: Parity = "E"
    stop_bits: Literal[1, 2] = 1
    timeout_s: float = 0.5


@dataclass(frozen=True, slots=True)
class ModbusTcpBus:
    """A Modbus TCP server: a device, or a gateway with several units behind it."""

    host: str
    port: int = 502
    timeout_s: float = 1.0


@dataclass(frozen=True, slots=True)
class OpcUaBus:
    """An OPC UA server. Without certificates `insecure = True` must say so.

    With `certificate`, `private_key` and `server_certificate` (DER or PEM files) the policy is
    Basic256Sha256; `application_uri` must equal the URI in the subject alternative name of our certificate.
    """

    url: str
    sampling_ms: float = 1000.0
    timeout_s: float = 4.0
    insecure: bool = False
    security: Security = "SignAndEncrypt"
    certificate: Path | None = None
    private_key: Path | None = None
    server_certificate: Path | None = None
    application_uri: str | None = None
    user: str | None = None
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class MemoryBus:
    """No bus at all: the values live in this process."""


Bus = ModbusRtuBus | ModbusTcpBus | OpcUaBus | MemoryBus


@dataclass(frozen=True, slots=True)
class DeviceSetting:
    """One device on a bus. `id` is the name points use; `unit_id` is the Modbus address, None elsewhere."""

    id: str
    profile: Profile
    unit_id: int | None = None
