"""The seam behind which every protocol stands: one driver serves one bus, and starts no tasks of its own."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from drivers.node import Node
from drivers.reading import Reading
from drivers.settings import DeviceSetting
from drivers.units import Unit


@dataclass(frozen=True, slots=True)
class Point:
    """One point of one device: `name` is the house's, `register` the name the device's profile gives it.

    `unit` is the unit readings are delivered in and writes are given in; the profile's own unit is converted.
    """

    name: str
    device: str
    register: str
    unit: Unit


class Driver(Protocol):
    """One bus. Enter it to connect (a dead peer does not prevent entering), leave it to disconnect."""

    async def __aenter__(self) -> Self:
        """Prepare the bus; a connection that fails here is tried again by the next request."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the port and every resource."""

    async def read(self, points: Sequence[Point]) -> Mapping[str, Reading]:
        """Read points of ONE device: a reading for every point asked, by `Point.name`.

        A point the device cannot give becomes a BAD reading. DriverError when the device gave nothing at all.
        """

    async def write(self, point: Point, value: float) -> None:
        """Write `value` (in `point.unit`) and return when the device has accepted it; else DriverError."""

    def adopt(self, device: DeviceSetting) -> None:
        """Serve one more device, or the same id by another profile: what scans and probes are made of.

        ConfigurationError when it does not fit the bus. Nothing is sent.
        """

    def dismiss(self, device: str) -> None:
        """Serve that device no longer; an id nobody knows is no error."""


@runtime_checkable
class Browsable(Protocol):
    """A driver whose server can be asked what it has (OPC UA)."""

    def browse(
        self, node: str | None = None, depth: int = 1, limit: int = 1000
    ) -> AsyncGenerator[Node, None]:
        """The nodes below `node` ("ns=3;s=...", "nsu=<uri>;s=..."; None: the Objects folder), parents first.

        `depth` levels deep, `limit` nodes at most. Uses the driver's connection; needs no devices. Close the
        iterator if you leave it early (`contextlib.aclosing`). DriverError when the server is silent.
        """

    async def certificate(self) -> str | None:
        """SHA-256 of our own certificate, made if there is none yet; None where the bus is insecure."""

    async def trust(self, thumbprint: str) -> str:
        """Believe the server whose rejected certificate has this SHA-256; the name in it.

        ConfigurationError where there is none, or the bus is insecure.
        """
