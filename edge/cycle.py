"""THE loop: freeze, decide, judge, journal, write, publish; the watchdog is fed last, if all went well.

One step a period on absolute monotonic deadlines. A missed deadline is skipped and counted, not made up for.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgpack

from edge.blind import unseen
from edge.clock import Clock, Instant
from edge.compliance import Compliance, follow, new_day
from edge.control.decide import Decision, decide
from edge.control.state import ControlState, to_plain
from edge.events import Judgement, Limits, WatchState, judge, with_clock_step
from edge.events import to_plain as watch_to_plain
from edge.holds import Hold, Holds
from edge.image import Inbox, ProcessImage
from edge.outputs import Outputs
from edge.recorder import Recorder
from edge.records import Command, Event
from edge.requests import Answer, Request
from edge.rules.model import Pack
from edge.site import Site
from edge.timekeeping import Timekeeper

log = logging.getLogger(__name__)

STATE_PERIOD_S = 60.0  # control state kept for a bumpless restart; the heartbeat of the service
OVERRUN_REPORT_S = 3600.0  # overruns are counted always and recorded at most this often
CONTROL_STATE = "control"
WATCH_STATE = "watch"
ALIVE = "alive"  # the heartbeat, inside the state of the watch: a commit of its own would cost two pages


class Bus(Protocol):
    """What the cycle needs of whoever serves a bus."""

    @property
    def outputs(self) -> Mapping[str, object]:
        """The points it can write, by name."""

    @property
    def failed(self) -> Collection[str]:
        """Points whose last write was not accepted."""

    def submit(self, command: Command) -> None:
        """Want a value written."""

    def drain_events(self) -> tuple[Event, ...]:
        """What happened since the last call."""


@dataclass(frozen=True, slots=True)
class Minds:
    """What deciding and judging remember from one cycle to the next."""

    control: ControlState
    watch: WatchState
    compliance: Compliance


@dataclass(slots=True)
class Pace:
    """How well the cycle keeps time: steps done, deadlines missed, the longest step in s."""

    steps: int = 0
    missed: int = 0
    longest_s: float = 0.0
    reported_missed: int = 0
    reported_at: float = -math.inf


@dataclass(frozen=True, slots=True)
class Outcome:
    """One finished cycle, for whoever shows it."""

    image: ProcessImage
    decision: Decision
    judgement: Judgement
    compliance: Compliance


@dataclass(slots=True)
class Cycle:
    """The heart of the service. `publish` is told of every finished step, `alive` after it."""

    site: Site
    pack: Pack
    limits: Limits
    inbox: Inbox
    workers: Sequence[Bus]
    recorder: Recorder
    clock: Clock
    minds: Minds
    publish: Callable[[Outcome], None]
    alive: Callable[[], None]
    timekeeper: Timekeeper
    pace: Pace = field(default_factory=Pace)
    outputs: Outputs = field(init=False)
    holds: Holds = field(init=False)
    judged: Judgement | None = None  # of the last step
    _routes: Mapping[str, Bus] = field(init=False)
    _asked: list[tuple[Request, asyncio.Future[Answer]]] = field(default_factory=list)
    _snapshot_at: float = -math.inf
    _state_at: float = -math.inf

    def __post_init__(self) -> None:
        self.holds = Holds(self.site)
        self._routes = {point: worker for worker in self.workers for point in worker.outputs}
        self.outputs = Outputs({f"{c.id}.valve_setpoint": c.valve.renew_s for c in self.site.circuits})

    async def run(self) -> None:
        """Step until cancelled."""
        period = self.site.site.cycle_s
        deadline = self.clock.now().monotonic + period
        while True:
            await self.clock.sleep_until(deadline)
            await self.step(self.clock.now())
            deadline = self._next(deadline, period)

    def hold(self, point: str, value: float, until_monotonic: float, who: str, why: str) -> None:
        """A technician holds an output from the next step on; ValueError when it must not be held so.

        `value` in the point's unit; `until_monotonic` in s of the cycle's clock.
        """
        self.holds.begin(Hold(point, value, until_monotonic, who, why), self.clock.now())

    def release(self, point: str, who: str = "") -> None:
        """Back to automatic from the next step on; a point that is not held is no error."""
        self.holds.end(point, self.clock.now(), by=who)

    async def request(self, request: Request) -> Answer:
        """Hand a technician's request to the next step; its answer comes after the events are stored."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked.append((request, answer))
        return await answer

    def _next(self, deadline: float, period: float) -> float:
        """The next deadline in the future; those already past are missed."""
        now = self.clock.now().monotonic
        self.pace.longest_s = max(self.pace.longest_s, now - deadline)
        missed = max(0, math.floor((now - deadline) / period))
        self.pace.missed += missed
        return deadline + (1 + missed) * period

    async def step(self, now: Instant) -> None:
        """One cycle at `now`."""
        clock_events = self._clock(now)
        image = self.inbox.freeze(now)
        compliance = new_day(self.minds.compliance, self.pack, now)
        decision = decide(self.minds.control, image, self.site, compliance.heating, now)
        decision = self.holds.arbitrated(decision, now)
        asked = self._taken()
        judgement = judge(
            self.minds.watch,
            image,
            decision.views,
            self.site,
            replace(self.limits, disk_full=self.recorder.disk_full),
            now,
            [request for request, _ in asked],
        )
        compliance, duties = follow(
            compliance, self.pack, self.site, judgement.outages, judgement.events, now
        )
        self.minds = Minds(decision.state, judgement.state, compliance)
        self.judged = judgement
        events = [*clock_events, *self._bus_events(), *decision.events, *judgement.events, *duties]
        events += [*self._overruns(now), *self.holds.drain_events()]
        await self._record_and_write(decision, events, image)
        self._answer([answer for _, answer in asked], judgement.answers)
        self.pace.steps += 1
        self.publish(Outcome(image, decision, judgement, compliance))
        self.alive()

    def _taken(self) -> list[tuple[Request, asyncio.Future[Answer]]]:
        """The requests of this step; whoever has gone away meanwhile wants nothing any more."""
        asked, self._asked = self._asked, []
        return [(request, answer) for request, answer in asked if not answer.done()]

    def _answer(self, waiting: Sequence[asyncio.Future[Answer]], answers: Sequence[Answer]) -> None:
        for future, answer in zip(waiting, answers, strict=True):
            if not future.done():
                future.set_result(replace(answer, recorded=not self.recorder.failing))

    async def _record_and_write(self, decision: Decision, events: list[Event], image: ProcessImage) -> None:
        """The intent first, then the field."""
        now = image.now
        routed = [command for command in decision.commands if command.point in self._routes]
        await self.recorder.record([*events, *self.outputs.intents(routed, now)], now)
        for worker in self.workers:
            self.outputs.forget(worker.failed)
        for command in self.outputs.due(routed, now):
            self._routes[command.point].submit(command)
        await self._keep(decision, image)

    async def _keep(self, decision: Decision, image: ProcessImage) -> None:
        now = image.now.monotonic
        self.recorder.observe(image, decision.views)
        half = self.site.site.cycle_s / 2  # the cycle nearest to the period, not the one after it
        if now - self._snapshot_at >= self.site.recording.snapshot_s - half:
            self._snapshot_at = now
            await self.recorder.snapshot(image, decision.views)
        if now - self._state_at >= STATE_PERIOD_S:
            self._state_at = now
            await self.keep_state(image.now)

    async def keep_state(self, now: Instant, *, stopped: bool = False) -> None:
        """Keep what the next start goes on from, and that we were alive; `stopped` at an orderly end."""
        await self.recorder.keep_state(CONTROL_STATE, msgpack.packb(to_plain(self.minds.control)))
        alive = self.timekeeper.heartbeat(now, self.recorder.seq, stopped=stopped).plain()
        watch = watch_to_plain(self.minds.watch, now) | {ALIVE: alive}
        await self.recorder.keep_state(WATCH_STATE, msgpack.packb(watch))

    def _clock(self, now: Instant) -> list[Event]:
        """What became of the clocks since the last step, before anything is dated in this one."""
        look = self.timekeeper.look(now)
        events = list(look.events)
        if look.step_s:
            watch = with_clock_step(self.minds.watch, look.step_s, look.since)
            self.minds = replace(self.minds, watch=watch)
        for begin, end in look.dark:
            watch, found = unseen(self.minds.watch, begin, end, now)
            self.minds = replace(self.minds, watch=watch)
            events += found
        return events

    def _bus_events(self) -> list[Event]:
        return [event for worker in self.workers for event in worker.drain_events()]

    def _overruns(self, now: Instant) -> list[Event]:
        pace = self.pace
        if pace.missed == pace.reported_missed or now.monotonic - pace.reported_at < OVERRUN_REPORT_S:
            return []
        body = {
            "missed": pace.missed - pace.reported_missed,
            "steps": pace.steps,
            "longest_s": pace.longest_s,
        }
        self.pace = replace(pace, reported_missed=pace.missed, reported_at=now.monotonic, longest_s=0.0)
        log.warning("cycle overrun", extra=body)
        return [Event("service.overrun", "station", now.wall, now.wall, body)]
