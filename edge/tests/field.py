"""A field of devices in this process, for tests of the service: values, deaths and what was written."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from drivers import Bus, DeviceSetting, NoAnswerError, Point, Reading, Reason, Tap


class Field:
    """What every bus of a site reads from and writes to; `values` by point name, in the point's unit."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self.values = dict(values)
        self.dead: set[str] = set()  # ids of devices that do not answer
        self.asked: list[str] = []  # device of every read, in order
        self.written: list[tuple[str, float]] = []
        self.on_write: Callable[[Point], None] = lambda _point: None  # called while a write is under way
        self.deaf = False  # each bus overhears its first cancellation, as wait_for of Python 3.11 may

    def open(
        self, bus: Bus, devices: Sequence[DeviceSetting], now: Callable[[], float], tap: Tap
    ) -> "FieldDriver":
        """An opener as `serve` wants it."""
        return FieldDriver(self, now)


class FieldDriver:
    """One bus of the field."""

    def __init__(self, field: Field, now: Callable[[], float]) -> None:
        self._field = field
        self._now = now
        self._overheard = False

    def adopt(self, device: DeviceSetting) -> None:
        """Every device is there already."""

    def dismiss(self, device: str) -> None:
        """Nothing to forget."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def read(self, points: Sequence[Point]) -> Mapping[str, Reading]:
        """All points of one device; a point without a value is BAD."""
        device = points[0].device
        self._field.asked.append(device)
        self._answer(device)
        if self._field.deaf and not self._overheard:
            await self._overhear()
        return {point.name: self._reading(point) for point in points}

    async def _overhear(self) -> None:
        try:
            await asyncio.sleep(3600.0)
        except asyncio.CancelledError:
            self._overheard = True

    def _reading(self, point: Point) -> Reading:
        value = self._field.values.get(point.name)
        if value is None:
            return Reading.bad(Reason.DEVICE, point.unit, self._now())
        return Reading.good(value, point.unit, self._now())

    async def write(self, point: Point, value: float) -> None:
        """An actuator at once where it should be: the position follows the setpoint."""
        self._answer(point.device)
        self._field.written.append((point.name, value))
        self._field.values[point.name] = value
        self._field.on_write(point)
        if point.name.endswith(".valve_setpoint"):
            self._field.values[point.name.replace("setpoint", "position")] = value

    def _answer(self, device: str) -> None:
        if device in self._field.dead:
            raise NoAnswerError(f"{device} is silent")
