"""What a bus and its devices need to be told: plain frozen data, made by the service's configuration.

Field names are settled; the service builds these and hands them to `open_driver`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from drivers.errors import ConfigurationError
from drivers.profile import Profile

P = TypeVar("P", bound=Profile)

Parity = Literal["N", "E", "O"]
Security = Literal["Sign", "SignAndEncrypt"]
Policy = Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"]


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A tty with its line settings; always eight data bits."""

    port: str
    baud: int
    parity: Parity
    stop_bits: Literal[1, 2] = 1


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS to a device: whose certificate is believed, and our own where the device asks for one.

    `ca` is the file of the authority (or the device's own certificate); without it nothing is believed.
    `server_name` is the name in the certificate where it is not the host's.
    """

    ca: Path
    certificate: Path | None = None
    private_key: Path | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class TcpHost:
    """A device or a converter behind a TCP port."""

    host: str
    port: int
    tls: Tls | None = None


Endpoint = SerialPort | TcpHost


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

    @property
    def endpoint(self) -> SerialPort:
        """Where the bytes go."""
        return SerialPort(self.port, self.baud, self.parity, self.stop_bits)


@dataclass(frozen=True, slots=True)
class ModbusTcpBus:
    """A Modbus TCP server: a device, or a gateway with several units behind it.

    `framing = "rtu"` is for converters that carry the frames of the serial line over TCP as they are.
    """

    host: str
    port: int = 502
    timeout_s: float = 1.0
    framing: Literal["tcp", "rtu"] = "tcp"
    tls: Tls | None = None

    @property
    def endpoint(self) -> TcpHost:
        """Where the bytes go."""
        return TcpHost(self.host, self.port, self.tls)


@dataclass(frozen=True, slots=True)
class MBusBus:
    """An M-Bus segment behind a level converter. `timeout_s`: from request to first byte of the answer."""

    endpoint: Endpoint
    timeout_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Cjt188Bus:
    """Meters that speak CJ/T 188, behind a serial port or a TCP converter."""

    endpoint: Endpoint
    timeout_s: float = 1.0


@dataclass(frozen=True, slots=True)
class OpcUaBus:
    """An OPC UA server. Without certificates (`pki`) `insecure = True` must say so.

    `pki` is the folder with `own/` (our certificate, made at first use), `trusted/` (whom we believe) and
    `rejected/` (who asked to be believed); see drivers.opcua.pki. `application_uri` names us in a certificate
    that is made; None: `urn:<host name>:substation-edge`. `accept_expired` believes a trusted certificate
    beyond its end. `timeout_s` is the time for one answer.
    """

    url: str
    sampling_ms: float = 1000.0
    timeout_s: float = 4.0
    insecure: bool = False
    policy: Policy = "Basic256Sha256"
    security: Security = "SignAndEncrypt"
    pki: Path | None = None
    application_uri: str | None = None
    accept_expired: bool = False
    user: str | None = None
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class MemoryBus:
    """No bus at all: the values live in this process."""


Bus = ModbusRtuBus | ModbusTcpBus | OpcUaBus | MBusBus | Cjt188Bus | MemoryBus


@dataclass(frozen=True, slots=True)
class DeviceSetting:
    """One device on a bus. `id` is the name points use; `unit_id` is the Modbus address, None elsewhere.

    `address` is the address on M-Bus (`"5"` primary; `"12345678"` or `"12345678.KAM.35.04"` secondary, F for
    any digit) and on CJ/T 188 (the number on the meter).
    """

    id: str
    profile: Profile
    unit_id: int | None = None
    address: str | None = None

    def expect(self, wanted: type[P]) -> P:
        """The profile if it is one of `wanted`; ConfigurationError when the bus speaks something else."""
        if not isinstance(self.profile, wanted):
            raise ConfigurationError(
                f"device {self.id}: its profile speaks {self.profile.profile.protocol}, the bus does not: "
                "choose another profile or move it to another bus"
            )
        return self.profile
