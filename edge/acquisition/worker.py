"""One task per bus: reads the devices that are due, writes what the cycle wants, keeps silent devices apart.

Order on a bus: writes first, then a technician's errand, then the device most overdue. A failed read puts BAD
readings, never silence.
A device that does not answer is probed with growing pauses (doubling from its period up to `PROBE_LIMIT_S`),
so that it costs only itself. Periods and pauses are in the clock's seconds, I/O time limits in real ones.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from drivers import DeviceError, Driver, DriverError, Point, ProtocolError, Reading, Reason, Tap
from edge.acquisition.errands import Errands, Job
from edge.acquisition.listeners import Listeners
from edge.clock import Clock
from edge.image import Inbox
from edge.records import Command, Event

log = logging.getLogger(__name__)

T = TypeVar("T")

PROBE_LIMIT_S = 60.0  # a returned device is seen within a minute; OpenEMS waits up to five
LOST_AFTER = 3  # failed reads in a row until a device counts as lost

REASONS: tuple[tuple[type[DriverError], Reason], ...] = (
    (ProtocolError, Reason.PROTOCOL),
    (DeviceError, Reason.DEVICE),
    (DriverError, Reason.NO_ANSWER),
)


@dataclass(slots=True)
class PolledDevice:
    """A device, its points to read, and how it is doing. `due` is a monotonic time in s."""

    id: str
    points: tuple[Point, ...]
    period_s: float
    due: float = 0.0
    failures: int = 0
    reads: int = 0
    errors: int = 0
    last_error: str = ""

    @property
    def lost(self) -> bool:
        """True while the device counts as lost."""
        return self.failures >= LOST_AFTER

    def pause_s(self) -> float:
        """Time until the next read: the period, doubled for every failure in a row beyond the first."""
        doubled = self.period_s * 2.0 ** min(max(self.failures - 1, 0), 10)
        return self.period_s if self.failures == 0 else min(doubled, max(PROBE_LIMIT_S, self.period_s))


@dataclass(slots=True)
class BusWorker:
    """Serves one bus through one driver. `outputs` maps the names of writable points of this bus.

    `traffic` is the tap that the driver was opened with.
    """

    id: str
    driver: Driver
    devices: Sequence[PolledDevice]
    outputs: dict[str, Point]
    inbox: Inbox
    clock: Clock
    traffic: Listeners = field(default_factory=Listeners)
    events: list[Event] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)  # points whose last write was not accepted
    _wanted: dict[str, Command] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _errands: Errands = field(init=False)

    def __post_init__(self) -> None:
        self._errands = Errands(self._wake.set)

    def submit(self, command: Command) -> None:
        """Want a value written; the newest command for a point replaces an older one not yet written."""
        self._wanted[command.point] = command
        self._wake.set()

    async def errand(self, job: Job[T]) -> T:
        """Run a technician's job on the driver in its turn of the queue, and return what it returns.

        What the job raises is raised here. Cancelling the caller removes a job whose turn has not come. The
        job should be ONE exchange: everybody else on the bus waits for it.
        """
        return await self._errands.ask(job)

    def listen(self, tap: Tap) -> Callable[[], None]:
        """Tell `tap` of every frame on this bus; what is returned ends that."""
        return self.traffic.add(tap)

    def drain_events(self) -> tuple[Event, ...]:
        """What happened on this bus since the last call."""
        events = tuple(self.events)
        self.events.clear()
        return events

    async def run(self) -> None:
        """Serve the bus until cancelled."""
        try:
            async with self.driver:
                while True:
                    self._wake.clear()  # before the writes: a command that comes during them must not wait
                    await self._write_wanted()
                    if self._errands.waiting:
                        await self._errands.run_next(self.driver)
                    await self._read_or_idle()
        finally:
            self._errands.close()

    async def _read_or_idle(self) -> None:
        """Read the device most overdue; where none is due, wait."""
        device = min(self.devices, key=lambda each: each.due, default=None)
        now = self.clock.now().monotonic
        if device is not None and device.due <= now:
            await self._read(device)
        else:
            await self._idle(device.due if device is not None else now + 1.0)

    async def _idle(self, until: float) -> None:
        """Wait for the next due time or for a command, whichever is first."""
        wait_s = max(0.0, until - self.clock.now().monotonic) / self.clock.speed
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _write_wanted(self) -> None:
        for name in [name for name in self._wanted if not self._is_lost(name)]:
            command = self._wanted.pop(name)
            if command.until < self.clock.now().monotonic:
                continue  # void: whoever asked has not renewed it
            try:
                await self.driver.write(self.outputs[name], command.value)
            except DriverError as error:
                self._write_failed(name, error)
            else:
                self.failed.discard(name)

    def _is_lost(self, output: str) -> bool:
        """A lost device is not written to, its neighbours need the line; its commands wait until void."""
        wanted = self.outputs[output].device
        return any(device.lost for device in self.devices if device.id == wanted)

    def _write_failed(self, point: str, error: DriverError) -> None:
        if point in self.failed:
            return
        self.failed.add(point)
        log.warning("write failed", extra={"point": point, "error": str(error)})
        self._tell("output.failed", point, {"error": str(error)})

    async def _read(self, device: PolledDevice) -> None:
        try:
            readings = await self.driver.read(device.points)
        except DriverError as error:
            self._read_failed(device, error)
        else:
            self.inbox.put(readings, self.clock.now().monotonic)
            self._read_succeeded(device)
        device.due = self._next_due(device)

    def _next_due(self, device: PolledDevice) -> float:
        """On the device's own grid while it answers; times missed on a full line are not made up for."""
        now = self.clock.now().monotonic
        return max(device.due + device.period_s, now) if device.failures == 0 else now + device.pause_s()

    def _read_failed(self, device: PolledDevice, error: DriverError) -> None:
        now = self.clock.now()
        reason = next(reason for kind, reason in REASONS if isinstance(error, kind))
        bad = {point.name: Reading.bad(reason, point.unit, now.wall) for point in device.points}
        self.inbox.put(bad, now.monotonic)
        device.failures += 1
        device.errors += 1
        device.last_error = str(error)
        if device.failures == LOST_AFTER:
            log.warning("device lost", extra={"device": device.id, "error": str(error)})
            self._tell("device.lost", device.id, {"bus": self.id, "error": str(error)})

    def _read_succeeded(self, device: PolledDevice) -> None:
        device.reads += 1
        if device.lost:
            log.info("device returned", extra={"device": device.id, "failures": device.failures})
            self._tell("device.returned", device.id, {"bus": self.id, "failures": device.failures})
        device.failures = 0

    def _tell(self, kind: str, subject: str, body: dict[str, str | int]) -> None:
        wall = self.clock.now().wall
        self.events.append(Event(kind, subject, wall, wall, body))
