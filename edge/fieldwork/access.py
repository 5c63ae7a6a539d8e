"""The seam between the tools and the buses: the running service's, or ports that we open ourselves.

A job is one exchange on a bus's driver. Devices adopted for it have ids that begin with "~" and are dismissed
with it, so that nothing of a technician's stays behind on a bus of the service.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, TypeVar

from drivers import Bus, DeviceSetting, Driver, Tap, Traffic, open_driver
from edge.assembly import Fitted
from edge.events import Judgement
from edge.fieldwork.messages import FieldworkError
from edge.records import Event
from edge.requests import Answer, Request

T = TypeVar("T")
Job = Callable[[Driver], Awaitable[T]]
Remove = Callable[[], None]


@dataclass(frozen=True, slots=True)
class BusView:
    """A bus as a technician sees it: its id, its settings, the devices the site has on it."""

    id: str
    setting: Bus
    devices: tuple[Fitted, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """An output wanted by a technician: for `seconds` of the service's clock."""

    point: str
    value: float
    seconds: float
    who: str
    why: str


class Access(Protocol):
    """What the tools need of the buses."""

    @property
    def live(self) -> bool:
        """True where the running service is behind it."""

    @property
    def buses(self) -> Mapping[str, BusView]:
        """All buses by id."""

    @property
    def folder(self) -> Path | None:
        """Of the site file: the site's own profiles stand there."""

    async def run(self, bus: str, job: Job[T]) -> T:
        """Run one exchange on a bus, in its turn; whatever it raises is raised here."""

    def spend(self, bus: str, register: str, interval_s: float, per_day: int | None, anyway: bool) -> float:
        """Count a write of a register that is no output; if not 0.0, it must rest so long (s) instead."""

    def listen(self, bus: str, tap: Tap) -> Remove:
        """Tell `tap` of every frame on a bus until the returned function is called."""

    def now(self) -> float:
        """Unix seconds."""

    async def record(self, event: Event) -> None:
        """Put an event into the journal, where there is one."""

    def hold(self, wanted: Hold) -> None:
        """Hold an output of the service."""

    def release(self, point: str, who: str) -> None:
        """Give an output back to the service."""

    async def request(self, request: Request) -> Answer:
        """Hand a request to the service's next cycle; FieldworkError where no service runs."""

    def judged(self) -> Judgement:
        """What the service's last cycle found; FieldworkError where there is none."""


class Worker(Protocol):
    """What is needed of whoever serves a bus."""

    async def errand(self, job: Job[T]) -> T:
        """Run one exchange in its turn."""

    def spend(self, register: str, interval_s: float, per_day: int | None, anyway: bool) -> float:
        """Count a write of a register that is no output, or say how long it must rest (s)."""

    def listen(self, tap: Tap) -> Remove:
        """Tell of every frame."""


@dataclass(frozen=True, slots=True)
class Live:
    """On the buses of the running service."""

    buses: Mapping[str, BusView]
    folder: Path | None
    workers: Mapping[str, Worker]
    clock: Callable[[], float]
    recorder: Callable[[Event], Awaitable[None]]
    holder: Callable[[Hold], None]
    releaser: Callable[[str, str], None]
    requester: Callable[[Request], Awaitable[Answer]]
    judgement: Callable[[], Judgement | None]
    live: bool = True

    async def run(self, bus: str, job: Job[T]) -> T:
        """In the bus's queue: after due writes and control inputs."""
        return await self.workers[bus].errand(job)

    def spend(self, bus: str, register: str, interval_s: float, per_day: int | None, anyway: bool) -> float:
        """In the bus's budget of the day."""
        return self.workers[bus].spend(register, interval_s, per_day, anyway)

    def listen(self, bus: str, tap: Tap) -> Remove:
        """Beside the service's own statistics."""
        return self.workers[bus].listen(tap)

    def now(self) -> float:
        """The service's wall time."""
        return self.clock()

    async def record(self, event: Event) -> None:
        """Durable when this returns."""
        await self.recorder(event)

    def hold(self, wanted: Hold) -> None:
        """By the cycle, under interlocks and frost protection."""
        self.holder(wanted)

    def release(self, point: str, who: str) -> None:
        """Back to automatic control."""
        self.releaser(point, who)

    async def request(self, request: Request) -> Answer:
        """Answered by the next cycle."""
        return await self.requester(request)

    def judged(self) -> Judgement:
        """At the start there is none for a second."""
        found = self.judgement()
        if found is None:
            raise FieldworkError("starting")
        return found


@dataclass(slots=True)
class Own:
    """Ports that we open ourselves, each with its first job; leave it to close them."""

    buses: Mapping[str, BusView]
    folder: Path | None
    clock: Callable[[], float]
    live: bool = False
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _drivers: dict[str, Driver] = field(default_factory=dict)
    _taps: dict[str, list[Tap]] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._drivers.clear()
        await self._stack.aclose()

    async def run(self, bus: str, job: Job[T]) -> T:
        """At once: nobody else is on the bus."""
        return await job(await self._driver(bus))

    def spend(self, bus: str, register: str, interval_s: float, per_day: int | None, anyway: bool) -> float:
        """Nobody remembers from one command to the next: the technician is warned and counts himself."""
        return 0.0

    async def open(self, bus: str) -> None:
        """Open a port to listen only; DriverError when that fails for good."""
        await self._driver(bus)

    async def _driver(self, bus: str) -> Driver:
        if bus not in self._drivers:
            view = self.buses[bus]
            devices: Sequence[DeviceSetting] = [
                DeviceSetting(each.setting.id, each.profile, each.setting.unit_id, each.setting.address)
                for each in view.devices
            ]
            driver = open_driver(view.setting, devices, self.clock, lambda traffic: self._tell(bus, traffic))
            self._drivers[bus] = await self._stack.enter_async_context(driver)
        return self._drivers[bus]

    def _tell(self, bus: str, traffic: Traffic) -> None:
        for tap in tuple(self._taps.get(bus, ())):
            tap(traffic)

    def listen(self, bus: str, tap: Tap) -> Remove:
        """Told of what we send ourselves and what answers."""
        taps = self._taps.setdefault(bus, [])
        taps.append(tap)

        def remove() -> None:
            if tap in taps:
                taps.remove(tap)

        return remove

    def now(self) -> float:
        """This machine's wall time."""
        return self.clock()

    async def record(self, event: Event) -> None:
        """Without a service there is no journal to write to."""

    def hold(self, wanted: Hold) -> None:
        """Nobody controls: the caller writes the register itself."""
        raise NotImplementedError("outputs are held by the service only")

    def release(self, point: str, who: str) -> None:
        """Nothing is held."""
        raise NotImplementedError("outputs are held by the service only")

    async def request(self, request: Request) -> Answer:
        """Nobody judges."""
        raise FieldworkError("no_service")

    def judged(self) -> Judgement:
        """Nobody judges."""
        raise FieldworkError("no_service")
