"""Composition root: puts the rooms of the house together, runs them in one TaskGroup, ends them in order.

Every adapter is a defaulted argument, so that a test or a bench can hand in its own. No logic of its own.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import msgpack

from drivers import Bus, DeviceSetting, Driver, Tap, open_driver
from edge import blind, compliance, restart, status
from edge.acquisition import BusWorker, Listeners
from edge.assembly import age_limits, bus_setting, device_setting, polled, stuck_limits
from edge.ballast import Ballast, Room
from edge.check import Loaded, load
from edge.clock import Clock, Instant, SystemClock
from edge.control.state import ControlState, from_plain, initial
from edge.cycle import ALIVE, CONTROL_STATE, STATE_PERIOD_S, WATCH_STATE, Cycle, Minds, Outcome
from edge.events import Limits, WatchState, restore, resume
from edge.fieldwork.access import BusView, Hold, Live
from edge.fieldwork.arguments import SOCKET
from edge.fieldwork.server import Server
from edge.history import History, HistoryError
from edge.housekeeping import keep_house
from edge.image import Inbox
from edge.journal import Journal, JournalError, Row
from edge.loading import SiteError
from edge.notify import Notifier
from edge.recorder import Recorder
from edge.records import Event, Plain
from edge.rules.civil import local_day
from edge.site import Bus as SiteBus
from edge.store import sync_folder
from edge.timekeeping import Timekeeper
from edge.upstream import Upstream, UpstreamStatus
from edge.upstream.codec import HISTORY
from edge.upstream.source import READERS

log = logging.getLogger(__name__)

FAREWELL_S = 3.0  # real seconds
STARTS = 4  # groups in which buses begin: at once is a burst, one by one wakes a machine for each
STATUS_POINTS = 300  # written each second; a larger station is shown less often, for it costs 5 us a point

OpenDriver = Callable[[Bus, Sequence[DeviceSetting], Callable[[], float], Tap], Driver]


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the service finds its site and keeps what it must remember."""

    site: Path
    data: Path
    status: Path

    @property
    def last_good(self) -> Path:
        """The copy of the last site file that passed every check."""
        return self.data / "site.last-good.toml"

    @property
    def socket(self) -> Path:
        """Where a technician's tools find the service."""
        return self.status.with_name(SOCKET)


def load_or_fall_back(paths: Paths) -> tuple[Loaded, SiteError | None]:
    """The site; when it is faulty the last good one with the error. SiteError when there is neither.

    A wrong configuration never stops a running plant (design, invariant 9).
    """
    try:
        loaded = load(paths.site, None)
    except SiteError as error:
        if not paths.last_good.exists():
            raise
        return load(paths.last_good, None, beside=paths.site.parent), error
    _keep_as_good(paths)
    return loaded, None


def _keep_as_good(paths: Paths) -> None:
    """Replace the last good site in one step; where that fails (a full disk) the older one stays."""
    new = paths.last_good.with_name(paths.last_good.name + ".new")
    try:
        text = paths.site.read_bytes()
        if paths.last_good.exists() and paths.last_good.read_bytes() == text:
            return
        with new.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(paths.last_good)
        sync_folder(paths.data)
    except OSError as error:
        log.error("the site file is not kept as the last good one", extra={"error": str(error)})


async def serve(
    paths: Paths,
    clock: Clock | None = None,
    opener: OpenDriver = open_driver,
    notifier: Notifier | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run until SIGTERM, SIGINT or `stop`. SiteError when no usable site exists; a task that dies ends us."""
    clock = clock if clock is not None else SystemClock()
    notifier = notifier if notifier is not None else Notifier()
    stop = stop if stop is not None else _on_signals()
    started = clock.now()
    with contextlib.suppress(OSError):  # a full disk: the folder is made when there is room
        paths.data.mkdir(parents=True, exist_ok=True)
    loaded, rejected = load_or_fall_back(paths)
    limit, bands = loaded.site.recording.history_mib << 20, loaded.site.recording.dead_bands
    async with AsyncExitStack() as stack:
        stack.callback(notifier.close)
        # Both are opened by their first use, and again after a failure: a plant must start without them.
        room = await asyncio.to_thread(_room, paths.data, started)
        journal = await stack.enter_async_context(Journal(paths.data / "journal.sqlite", clock))
        after = await _receipted(journal)
        history = await stack.enter_async_context(History(paths.data / "history.sqlite", limit, after, bands))
        service = _Service(loaded, paths, clock, notifier, journal, history, started, room)
        await service.begin(rejected)
        await service.run(opener, stop)


def _room(data: Path, started: Instant) -> Room:
    """The room on the disk: on a full one the ballast goes before the journal is opened, which needs some."""
    room = Room(Ballast(data / "ballast"))
    room.look(started, failed=False)
    if room.short:
        room.look(started, failed=True)
    return room


async def _receipted(journal: Journal) -> int:
    """Up to which frame the head-end has our history, as far as that can be read."""
    try:
        return (await journal.receipts()).get(READERS[HISTORY], 0)
    except JournalError as error:
        log.error("the receipts cannot be read", extra={"error": str(error)})
        return 0


def _on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


_WATCHED = ("alarm.", "outage.", "meter.", "supply.", "leak.", "station.")  # kinds that rebuild the watch


class _Service:
    """One run of the service, from the first row it records to the last."""

    def __init__(
        self,
        loaded: Loaded,
        paths: Paths,
        clock: Clock,
        notifier: Notifier,
        journal: Journal,
        history: History,
        started: Instant,
        room: Room,
    ) -> None:
        self._loaded = loaded
        self._paths = paths
        self._clock = clock
        self._notifier = notifier
        self._journal = journal
        self._history = history
        self._started = started
        self._last_row: Row | None = None  # of the life before
        self._recorder = Recorder(journal, history, room)
        self._status_due = 0.0
        self._unseen = False  # the status could not be written
        head_end = loaded.site.upstream
        gateway = loaded.site.site.gateway
        self._upstream = None if head_end is None else Upstream(head_end, gateway, journal, history)

    async def begin(self, rejected: SiteError | None) -> None:
        """Record that we started, and on which configuration."""
        self._last_row = await restart.row_before(self._journal, self._started, self._clock.boot_id)
        used = self._paths.site if rejected is None else self._paths.last_good
        digest = hashlib.sha256(used.read_bytes()).hexdigest()
        await self._record(
            "service.started", {"version": version("substation-edge"), "boot": self._clock.boot_id}
        )
        await self._record("config.loaded", {"sha256": digest, "pack": self._loaded.pack.id})
        await self._begin_regulation()
        if rejected is not None:
            faults: list[Plain] = [f"{p.key}: {p.code}" for p in rejected.problems]
            log.error("site file rejected, running on the last good one", extra={"faults": faults})
            await self._record("config.rejected", {"file": str(self._paths.site), "faults": faults})

    async def _begin_regulation(self) -> None:
        """A document that is not in force today (or a clock that was never set) is said, and no more."""
        pack, now = self._loaded.pack, self._clock.now()
        today = local_day(now.wall)
        if pack.in_force(today):
            return
        body: dict[str, Plain] = {"pack": pack.id, "number": pack.document.number, "day": str(today)}
        log.warning("the regulation is not in force today", extra={**body, "clock": now.state.value})
        await self._record("regulation.not_in_force", body)

    async def _record(self, kind: str, body: dict[str, Plain]) -> None:
        now = self._clock.now()
        await self._recorder.record([Event(kind, "station", now.wall, now.wall, body)], now)

    async def run(self, opener: OpenDriver, stop: asyncio.Event) -> None:
        """All tasks, until `stop`; then the last words, and a moment for them to reach the head-end."""
        workers = self._workers(opener)
        minds, timekeeper = await self._remember(), await self._timekeeper()
        if timekeeper.blind is not None:
            minds = await self._in_the_dark(minds, timekeeper.blind)
        cycle = self._cycle(workers, minds, timekeeper)
        jobs = {f"bus {worker.id}": worker.run for worker in workers} | {"cycle": cycle.run}
        jobs["house"] = lambda: keep_house(self._journal, self._clock)
        jobs["fieldwork"] = Server(self._paths.socket, self._access(workers, cycle)).run
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job(), name=name) for name, job in jobs.items()]
            sender = group.create_task(self._upstream.run(), name="upstream") if self._upstream else None
            await stop.wait()
            self._notifier.tell("STOPPING=1")
            await _end(tasks)
            await self._record("service.stopped", {"why": "asked"})
            await self._recorder.flush(self._clock.now())
            await cycle.keep_state(self._clock.now(), stopped=True)
            if sender is not None:
                await self._farewell()
                await _end([sender])

    async def _farewell(self) -> None:
        """Wait until everything is receipted, at most `FAREWELL_S`: what is left is sent next time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                while (found := self._upstream_status()) and found.connected:
                    if found.streams["journal"].receipted >= self._recorder.seq:
                        return
                    await asyncio.sleep(0.05)

    def _upstream_status(self) -> UpstreamStatus | None:
        return None if self._upstream is None else self._upstream.status

    def _workers(self, opener: OpenDriver) -> list[BusWorker]:
        site, clock = self._loaded.site, self._clock
        devices = self._loaded.devices
        self._inbox = Inbox(age_limits(devices, site, clock.speed), clock.now(), stuck_limits(devices))
        began = clock.now().monotonic
        places = [number % STARTS / STARTS for number in range(len(site.buses))]
        return [
            self._worker(bus, began, place, opener) for bus, place in zip(site.buses, places, strict=True)
        ]

    def _worker(self, bus: SiteBus, began: float, place: float, opener: OpenDriver) -> BusWorker:
        """The task of one bus, in step with those that have the same `place` (0 to 1) in the round."""
        fitted = [each for each in self._loaded.devices if each.setting.bus == bus.id]
        traffic, settings = Listeners(), [device_setting(each) for each in fitted]
        driver = opener(bus_setting(bus), settings, lambda: self._clock.now().wall, traffic)
        devices = polled(fitted, began, place)
        outputs = {each.point.name: each for device in fitted for each in device.outputs}
        return BusWorker(bus.id, driver, devices, outputs, self._inbox, self._clock, bus.timeout_s, traffic)

    def _cycle(self, workers: list[BusWorker], minds: Minds, timekeeper: Timekeeper) -> Cycle:
        room = self._loaded.pack.room
        limits = Limits(room_minimum_c=None if room is None else room.threshold_c)

        def publish(outcome: Outcome) -> None:
            self._publish(cycle, workers, outcome)

        cycle = Cycle(
            self._loaded.site,
            self._loaded.pack,
            limits,
            self._inbox,
            workers,
            self._recorder,
            self._clock,
            minds,
            publish,
            self._alive,
            timekeeper,
        )
        return cycle

    def _access(self, workers: list[BusWorker], cycle: Cycle) -> Live:
        """The buses as a technician's tools see them; outputs stay the cycle's."""
        devices, buses = self._loaded.devices, self._loaded.site.buses
        on_bus = {bus.id: tuple(each for each in devices if each.setting.bus == bus.id) for bus in buses}
        return Live(
            {bus.id: BusView(bus.id, bus_setting(bus), on_bus[bus.id]) for bus in buses},
            self._paths.site.parent,
            {worker.id: worker for worker in workers},
            lambda: self._clock.now().wall,
            self._tell,
            lambda wanted: cycle.hold(*_monotonic(wanted, self._clock)),
            cycle.release,
            cycle.request,
            lambda: cycle.judged,
        )

    async def _tell(self, event: Event) -> None:
        await self._recorder.record([event], self._clock.now())

    def _alive(self) -> None:
        self._notifier.tell("READY=1\nWATCHDOG=1")

    def _publish(self, cycle: Cycle, workers: list[BusWorker], outcome: Outcome) -> None:
        """Once a second of real time, in a large station less often."""
        now = outcome.image.now.monotonic
        if now < self._status_due:
            return
        self._status_due = now + self._clock.speed * max(1.0, len(outcome.image.readings) / STATUS_POINTS)
        shown = status.document(
            self._loaded.site, outcome, cycle.pace, workers, self._recorder.tail, self._upstream_status()
        )
        try:
            status.write(self._paths.status, shown)
        except OSError as error:  # nobody sees the plant then; it is heated all the same
            if not self._unseen:
                log.error("the status cannot be written", extra={"error": str(error)})
            self._unseen = True
        else:
            self._unseen = False

    async def _timekeeper(self) -> Timekeeper:
        """Goes on from the clocks as last seen; says how long nobody looked."""
        kept = await self._kept(WATCH_STATE)
        heartbeat = blind.from_plain(kept.get(ALIVE)) if isinstance(kept, dict) else None
        return await restart.timekeeper(
            self._journal, self._last_row, heartbeat, self._started, self._clock.boot_id, STATE_PERIOD_S
        )

    async def _in_the_dark(self, minds: Minds, interval: blind.Blind) -> Minds:
        """Record how long nothing was seen, for the station and for every open outage."""
        now = self._clock.now()
        watch, events = blind.unseen(minds.watch, interval.from_wall, interval.to_wall, now)
        await self._recorder.record([interval.event(now), *events], now)
        return replace(minds, watch=watch)

    async def _remember(self) -> Minds:
        """What the last run left: control state in the history, alarms, outages and duties in the journal."""
        rows = [row for kind in _WATCHED for row in await self._latest(kind)]
        watch = restore(rows)
        if watch.discarded:
            log.warning("not rebuilt from the journal", extra={"subjects": watch.discarded})
        rows += [row for kind in ("duty.", "refund.", "repair.") for row in await self._latest(kind)]
        said = compliance.restore(rows, self._loaded.pack)
        return Minds(await self._control_state(), await self._watch_state(watch), said)

    async def _latest(self, family: str) -> list[dict[str, Plain]]:
        """The newest rows of a family of kinds; none where the file cannot be read: a plant must start."""
        try:
            return [_plain(row) for row in await self._journal.latest(family)]
        except JournalError as error:
            log.error("not read from the journal", extra={"kinds": family, "error": str(error)})
            return []

    async def _control_state(self) -> ControlState:
        kept = await self._kept(CONTROL_STATE)
        site = self._loaded.site
        return initial(site) if kept is None else from_plain(kept, site, self._clock.now())

    async def _watch_state(self, restored: WatchState) -> WatchState:
        kept = await self._kept(WATCH_STATE)
        return restored if kept is None else resume(restored, kept, self._clock.now())

    async def _kept(self, key: str) -> Plain:
        """A state of the last run, or None when there is none that can be read."""
        try:
            blob = await self._history.get_state(key)
            kept: Plain = None if blob is None else msgpack.unpackb(blob)
        except (HistoryError, ValueError) as error:
            log.warning("state not restored", extra={"key": key, "error": str(error)})
            return None
        return kept


def _monotonic(wanted: Hold, clock: Clock) -> tuple[str, float, float, str, str]:
    """A technician's wish in the words of the cycle."""
    until = clock.now().monotonic + wanted.seconds
    return wanted.point, wanted.value, until, wanted.who, wanted.why


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: `asyncio.wait_for` of Python 3.11 can swallow a cancellation."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=1.0)


def _plain(row: Row) -> dict[str, Plain]:
    return {"kind": row.kind, "subject": row.subject, "body": msgpack.unpackb(row.body)}
