"""The only module that reads a clock. Everything else is given an Instant."""

import asyncio
import math
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class ClockState(StrEnum):
    """How far the wall clock may be trusted."""

    SYNCED = "synced"
    HOLDOVER = "holdover"
    UNSYNCED = "unsynced"


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on all clocks: `wall` Unix s (UTC), `monotonic` s for durations, `boottime` s since boot."""

    wall: float
    monotonic: float
    boottime: float
    state: ClockState


class Clock(Protocol):
    """What the shell of the service needs of time. `speed` is control seconds per real second."""

    boot_id: str
    speed: float

    def now(self) -> Instant:
        """This moment."""

    async def sleep_until(self, monotonic: float) -> None:
        """Return at or after the given monotonic time of this clock."""


_SYNCHRONISED = Path("/run/systemd/timesync/synchronized")  # touched by timesyncd after each synchronisation
_OLDEST_PLAUSIBLE = 1_767_225_600.0  # 2026-01-01 UTC: an earlier wall time means the clock was never set


def boot_id() -> str:
    """The kernel's id of this boot, or `unknown` where it is hidden."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


class SystemClock:
    """The gateway's own clocks."""

    speed = 1.0

    def __init__(self) -> None:
        self.boot_id = boot_id()
        self._trusted = ClockState.HOLDOVER
        self._looked = -math.inf

    def now(self) -> Instant:
        """This moment."""
        wall, monotonic = time.time(), time.monotonic()
        state = self._state(monotonic) if wall >= _OLDEST_PLAUSIBLE else ClockState.UNSYNCED
        return Instant(wall, monotonic, time.clock_gettime(time.CLOCK_BOOTTIME), state)

    def _state(self, monotonic: float) -> ClockState:
        """Looked up once a second: a busy bus asks for the time far more often."""
        if monotonic - self._looked >= 1.0:
            self._looked = monotonic
            self._trusted = ClockState.SYNCED if _SYNCHRONISED.exists() else ClockState.HOLDOVER
        return self._trusted

    async def sleep_until(self, monotonic: float) -> None:
        """Return at or after `monotonic`."""
        await asyncio.sleep(max(0.0, monotonic - time.monotonic()))


class ScaledClock:
    """A clock that runs `speed` times as fast from a shared origin, for a bench of several processes.

    `origin_monotonic` is the system's monotonic time at which this clock's wall time was `origin_wall`;
    CLOCK_MONOTONIC is the same in all processes of a machine, so all that share the origin agree.
    It scales the plant's and the control's time; time limits of input and output stay on real time.
    """

    def __init__(self, origin_wall: float, origin_monotonic: float, speed: float) -> None:
        if speed <= 0:
            raise ValueError(f"the speed of a clock must be positive, not {speed}")
        self.boot_id = boot_id()
        self.speed = speed
        self._wall = origin_wall
        self._monotonic = origin_monotonic

    def _elapsed(self) -> float:
        return (time.monotonic() - self._monotonic) * self.speed

    def now(self) -> Instant:
        """This moment in scaled time; the scaled monotonic time starts at 0 at the origin."""
        elapsed = self._elapsed()
        wall = self._wall + elapsed
        state = ClockState.SYNCED if wall >= _OLDEST_PLAUSIBLE else ClockState.UNSYNCED
        return Instant(wall, elapsed, elapsed, state)

    async def sleep_until(self, monotonic: float) -> None:
        """Return at or after the scaled `monotonic`."""
        await asyncio.sleep(max(0.0, (monotonic - self._elapsed()) / self.speed))
