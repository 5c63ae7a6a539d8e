"""A driver without a bus: values live in this process. It proves the seam and serves tests and trials."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from drivers.driver import Point
from drivers.errors import ConfigurationError, LocalProtocolError
from drivers.profile import MemoryProfile, MemoryRegister
from drivers.reading import Reading, Reason
from drivers.settings import DeviceSetting
from drivers.values import unit_factor


class MemoryDriver:
    """Keeps (device, register) -> value in the register's unit; what was never put there was never read."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._devices: dict[str, MemoryProfile] = {}
        self._now = now
        self.values: dict[tuple[str, str], float] = {}

    def adopt(self, device: DeviceSetting) -> None:
        """Serve a device."""
        self._devices[device.id] = device.expect(MemoryProfile)

    def dismiss(self, device: str) -> None:
        """Serve it no longer."""
        self._devices.pop(device, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.values.clear()

    async def read(self, points: Sequence[Point]) -> Mapping[str, Reading]:
        """Readings by point name, stamped with this moment."""
        return {point.name: self._reading(point) for point in points}

    async def write(self, point: Point, value: float) -> None:
        """Keep `value`; LocalProtocolError when the profile does not allow it."""
        register = self._register(point)
        wanted = value * unit_factor(point.unit, register.unit)
        if register.write is None or not register.write.low <= wanted <= register.write.high:
            raise LocalProtocolError(
                f"{point.device}.{point.register}: the profile does not allow writing {wanted}"
            )
        self.values[point.device, point.register] = wanted

    def _register(self, point: Point) -> MemoryRegister:
        try:
            return self._devices[point.device].registers[point.register]
        except KeyError as error:
            raise ConfigurationError(
                f"{point.device}.{point.register}: no such device or register"
            ) from error

    def _reading(self, point: Point) -> Reading:
        factor = unit_factor(self._register(point).unit, point.unit)
        value = self.values.get((point.device, point.register))
        if value is None:
            return Reading.bad(Reason.NEVER_READ, point.unit, self._now())
        return Reading.good(value * factor, point.unit, self._now())
