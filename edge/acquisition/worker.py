"""One task per bus: writes what the cycle wants, reads what is due, runs errands, keeps silent devices apart.

Order on a bus: writes, control inputs that are due, a technician's errands, slow points, probes. A failed
read puts BAD readings, never silence. Periods and pauses are in the clock's seconds, I/O time limits in real
ones.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from drivers import DeviceError, Driver, DriverError, ProtocolError, Reading, Reason, Tap
from edge.acquisition.device import PolledDevice
from edge.acquisition.errands import Errands, Job
from edge.acquisition.listeners import Listeners
from edge.acquisition.schedule import Schedule, Task, Turn
from edge.acquisition.settings import Output
from edge.acquisition.statistics import Ledger
from edge.acquisition.wear import Wear
from edge.acquisition.writes import Writes
from edge.clock import Clock
from edge.image import Inbox
from edge.records import Command, Event, Plain

log = logging.getLogger(__name__)

T = TypeVar("T")

REASONS: tuple[tuple[type[DriverError], Reason], ...] = (
    (ProtocolError, Reason.PROTOCOL),
    (DeviceError, Reason.DEVICE),
    (DriverError, Reason.NO_ANSWER),
)


@dataclass(slots=True)
class BusWorker:
    """Serves one bus through one driver. `outputs` maps the names of writable points of this bus.

    `timeout_s` is the bus's time limit in real seconds, `traffic` the tap that the driver was opened with.
    """

    id: str
    driver: Driver
    devices: Sequence[PolledDevice]
    outputs: Mapping[str, Output]
    inbox: Inbox
    clock: Clock
    timeout_s: float = 1.0
    traffic: Listeners = field(default_factory=Listeners)
    events: list[Event] = field(default_factory=list)
    writes: Writes = field(init=False)
    _schedule: Schedule = field(init=False)
    _errands: Errands = field(init=False)
    _wear: Wear = field(default_factory=Wear)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.writes = Writes(self.outputs, self.clock, self._is_lost, self._tell)
        self._schedule = Schedule(self.devices, self.timeout_s * self.clock.speed)
        self._errands = Errands(self._wake.set)
        self.traffic.add(Ledger({device.id: device.statistics for device in self.devices}))
        now = self.clock.now().monotonic
        for device in self.devices:
            device.fail_safe.begin(now)

    @property
    def failed(self) -> set[str]:
        """Points whose last write was not accepted."""
        return self.writes.failed

    def submit(self, command: Command) -> None:
        """Want a value written; the newest command for a point replaces an older one not yet written."""
        self.writes.want(command)
        self._wake.set()

    async def errand(self, job: Job[T]) -> T:
        """Run a technician's job on the driver in its turn of the queue, and return what it returns.

        What the job raises is raised here. Cancelling the caller removes a job whose turn has not come. The
        job should be ONE exchange: everybody else on the bus waits for it.
        """
        return await self._errands.ask(job)

    def spend(self, register: str, interval_s: float, per_day: int | None, anyway: bool) -> float:
        """Count a technician's write of a register that is no output; if not 0.0, it is to rest so long (s).

        Then it does not count and must not be written, but for `anyway`.
        """
        now = self.clock.now().monotonic
        rest_s = 0.0 if anyway else self._wear.rest_s(register, interval_s, per_day, now)
        if rest_s == 0.0:
            self._wear.count(register, now)
        return rest_s

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
                    await self._serve(self.clock.now().monotonic)
        finally:
            self._errands.close()

    async def _serve(self, now: float) -> None:
        """Use the line once, or wait until there is something to do."""
        if await self.writes.work(self.driver, now):
            return
        turn = self._schedule.urgent(now)
        if self._errands.waiting and (turn is None or self._errands.impatient):
            await self._errands.run_next(self.driver)
            return
        turn = turn or self._schedule.patient(now)
        if turn is None:
            await self._idle(min(self._schedule.next_due(now), self.writes.next_due()))
            return
        await (self._verify(turn.device) if turn.task is Task.FAIL_SAFE else self._read(turn))
        self._schedule.ended(turn, now, self.clock.now().monotonic)

    async def _idle(self, until: float) -> None:
        """Wait for the next due time, a command or an errand, whichever is first."""
        wait_s = max(0.0, until - self.clock.now().monotonic) / self.clock.speed
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _read(self, turn: Turn) -> None:
        device, begun = turn.device, self.clock.now().monotonic
        probing = turn.task is Task.PROBE and not device.health.half and len(device.points) > 1
        probed: Mapping[str, Reading] = {}
        try:
            if probing:
                probed = await self._probe(device)
            # a probe was answered: it lives, everything it has at once
            whole = device.points if turn.task is Task.PROBE else device.points_of(turn.groups)
            readings = await self.driver.read(whole)
        except DriverError as error:
            self._read_failed(device, error, begun, probed)
        else:
            self._read_succeeded(turn, readings)
            took_s = self.clock.now().monotonic - begun
            if took_s >= self._schedule.timeout_s and _left_out(readings):
                device.health.doubt(took_s)

    async def _probe(self, device: PolledDevice) -> Mapping[str, Reading]:
        """What a probe gives counts at once, whatever becomes of the read behind it."""
        found = await self.driver.read((device.probe,))
        known = {point.name: found[point.name] for point in device.points if point.name in found}
        moment = self.clock.now()
        self.inbox.put(known, moment.monotonic, moment.wall)
        return known

    def _read_failed(
        self, device: PolledDevice, error: DriverError, begun: float, probed: Mapping[str, Reading]
    ) -> None:
        """`probed` is what a probe gave before the read behind it failed, and stands."""
        now = self.clock.now()
        reason = next(reason for kind, reason in REASONS if isinstance(error, kind))
        lost = (point for point in device.points if point.name not in probed)
        bad = {point.name: Reading.bad(reason, point.unit, now.wall) for point in lost}
        self.inbox.put(bad, now.monotonic, now.wall)
        device.statistics.errors += 1
        device.statistics.last_error = str(error)
        device.statistics.interrupted()
        judge = device.health.answered_half if probed else device.health.failed
        if judge(now.monotonic, now.monotonic - begun, device.period_s):
            self._tell("device.lost", device.id, {"bus": self.id, "error": str(error)})

    def _read_succeeded(self, turn: Turn, readings: Mapping[str, Reading]) -> None:
        device, moment = turn.device, self.clock.now()
        now = moment.monotonic
        self.inbox.put(readings, now, moment.wall)
        device.statistics.reads += 1
        failures = device.health.failures
        if turn.task is Task.PROBE:
            for group in device.groups:
                group.resume(now)
            device.fail_safe.begin(now)
        else:
            device.statistics.missed += sum(device.groups[number].done(now) for number in turn.groups)
        if turn.task is Task.PROBE or 0 in turn.groups:
            device.statistics.read(now)
        if device.health.answered():
            self.writes.returned(device.id)
            self._tell("device.returned", device.id, {"bus": self.id, "failures": failures})

    async def _verify(self, device: PolledDevice) -> None:
        """Read the fail-safe registers; the reads of its points, not this one, judge whether it lives."""
        watch = device.fail_safe
        try:
            readings = await self.driver.read(watch.points)
        except DriverError:
            watch.failed(self.clock.now().monotonic)
            return
        for body in watch.judge(readings, self.clock.now().monotonic):
            self._tell("device.fail_safe", device.id, {"bus": self.id, **body})

    def _is_lost(self, device: str) -> bool:
        """A lost device is not written to, its neighbours need the line; its commands wait until void."""
        return any(each.lost for each in self.devices if each.id == device)

    def _tell(self, kind: str, subject: str, body: dict[str, Plain]) -> None:
        wall = self.clock.now().wall
        log.log(_LEVELS.get(kind, logging.WARNING), kind, extra={"subject": subject, **_flat(body)})
        self.events.append(Event(kind, subject, wall, wall, body))


def _left_out(readings: Mapping[str, Reading]) -> bool:
    """True when the device answered, but not for all that was asked."""
    return any(reading.reason is Reason.NO_ANSWER for reading in readings.values())


_LEVELS = {"device.returned": logging.INFO, "output.accepted": logging.INFO}


def _flat(body: dict[str, Plain]) -> dict[str, Plain]:
    """What a log line can carry of a body."""
    return {key: value for key, value in body.items() if not isinstance(value, dict)}
