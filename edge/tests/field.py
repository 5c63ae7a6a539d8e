"""A field of devices in this process, for tests of the service: values, deaths and what was written.

With `cost_s` and `silence_s` it takes time, too; in a LeapLoop that is simulated time, which costs none.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from drivers import Bus, DeviceError, DeviceSetting, NoAnswerError, Point, Reading, Reason, Tap
from edge.clock import ClockState, Instant

T = TypeVar("T")
START = 1_768_428_000.0  # 2026-01-15 06:00 in Zhangye


class LeapLoop(asyncio.SelectorEventLoop):
    """An event loop whose time leaps to the next timer whenever nothing else is to be done."""

    def __init__(self) -> None:
        self.leaping = 0.0
        super().__init__(_Leaper(self))

    def time(self) -> float:
        """Simulated seconds."""
        return self.leaping


class _Leaper(selectors.SelectSelector):
    """Waits for nobody: the time it was to wait has passed at once."""

    def __init__(self, loop: LeapLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and timeout:
            self._loop.leaping += timeout
        return found


class LeapClock:
    """The clock of a LeapLoop."""

    boot_id = "leap"
    speed = 1.0

    def now(self) -> Instant:
        """This moment."""
        at = asyncio.get_running_loop().time()
        return Instant(START + at, at, at, ClockState.SYNCED)

    async def sleep_until(self, monotonic: float) -> None:
        """Return at `monotonic`."""
        await asyncio.sleep(max(0.0, monotonic - asyncio.get_running_loop().time()))


def in_simulated_time(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end; an hour of it takes as long as what it computes."""
    with asyncio.Runner(loop_factory=LeapLoop) as runner:
        return runner.run(main)


class Field:
    """What every bus of a site reads from and writes to; `values` by point name, in the point's unit."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self.values = dict(values)
        self.dead: set[str] = set()  # ids of devices that do not answer
        self.asked: list[str] = []  # device of every read, in order
        self.written: list[tuple[str, float]] = []
        self.on_write: Callable[[Point], None] = lambda _point: None  # called while a write is under way
        self.partly: set[str] = set()  # ids of devices that leave the last of several points unanswered
        self.refusing: set[str] = set()  # ids of devices that answer and refuse every write
        self.cost_s = 0.0  # of an exchange, and of one that is not answered
        self.silence_s = 0.0
        self.read: list[tuple[float, tuple[str, ...]]] = []  # loop time and points of every read asked for
        self.spoil: Callable[[str, float], float] = lambda _point, value: value  # what is kept of a write
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
        self._field.read.append((asyncio.get_running_loop().time(), tuple(p.name for p in points)))
        await self._answer(device)
        if self._field.deaf and not self._overheard:
            await self._overhear()
        found = {point.name: self._reading(point) for point in points}
        if device in self._field.partly and len(points) > 1:
            await _pass(self._field.silence_s)
            found[points[-1].name] = Reading.bad(Reason.NO_ANSWER, points[-1].unit, self._now())
        return found

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
        await self._answer(point.device)
        if point.device in self._field.refusing:
            raise DeviceError(f"{point.device} refuses", 2)
        self._field.written.append((point.name, value))
        self._field.values[point.name] = self._field.spoil(point.name, value)
        self._field.on_write(point)
        if point.name.endswith(".valve_setpoint"):
            self._field.values[point.name.replace("setpoint", "position")] = value

    async def _answer(self, device: str) -> None:
        if device in self._field.dead:
            await _pass(self._field.silence_s)
            raise NoAnswerError(f"{device} is silent")
        await _pass(self._field.cost_s)


async def _pass(seconds: float) -> None:
    if seconds:
        await asyncio.sleep(seconds)
