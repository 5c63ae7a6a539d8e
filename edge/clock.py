"""The only module that reads a clock. Everything else is given an Instant."""

import asyncio
import ctypes
import math
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class ClockState(StrEnum):
    """How far the wall clock may be trusted.

    Synced: a time server disciplines it now. Holdover: it was set once (by a server, by hand, by a clock with
    a battery or from the time saved before the last boot) and runs on by itself. Unsynced: it was never set.
    """

    SYNCED = "synced"
    HOLDOVER = "holdover"
    UNSYNCED = "unsynced"


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on all clocks: `wall` Unix s (UTC), `monotonic` s for durations, `boottime` s since boot.

    `monotonic` stands still while the machine is suspended, `boottime` does not. `error_s` is how far `wall`
    may be off, as the kernel says; None where it does not.
    """

    wall: float
    monotonic: float
    boottime: float
    state: ClockState
    error_s: float | None = None


class Clock(Protocol):
    """What the shell of the service needs of time. `speed` is control seconds per real second."""

    boot_id: str
    speed: float

    def now(self) -> Instant:
        """This moment."""

    async def sleep_until(self, monotonic: float) -> None:
        """Return at or after the given monotonic time of this clock."""


_SYNCHRONISED = Path("/run/systemd/timesync/synchronized")  # touched by timesyncd at each synchronisation
_SYNCHRONISED_FOR_S = 6144.0  # three of timesyncd's longest polling intervals (PollIntervalMaxSec=2048)
_PLAUSIBLE = (1_767_225_600.0, 4_102_444_800.0)  # 2026 to 2100, UTC: outside the clock was never set
_STA_UNSYNC = 0x0040  # linux/timex.h: nobody disciplines the clock; set by every setting of it, too
_TIME_ERROR = 5  # linux/timex.h: what adjtimex returns while the clock is not synchronised
_LOOK_S = 1.0
_READ_WITHIN_S = 0.01


class _Timex(ctypes.Structure):
    """The beginning of `struct timex` of Linux (adjtimex(2)); the rest, of any architecture, is room."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # us
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    ]


@dataclass(frozen=True, slots=True)
class Discipline:
    """Whether a time server disciplines the clock now, and how far it may be off (s) when it does."""

    synced: bool
    error_s: float | None = None


def kernel_discipline() -> Discipline | None:
    """What the kernel says, by adjtimex(2) without any change; None where a sandbox forbids the question."""
    timex = _Timex()
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):  # no such function: not Linux
        return None
    if state < 0:
        return None
    synced = state != _TIME_ERROR and not timex.status & _STA_UNSYNC
    return Discipline(synced, timex.maxerror / 1e6 if synced else None)


def file_discipline(path: Path, wall: float) -> Discipline:
    """What timesyncd's mark says at `wall` (Unix s): synchronised when it was touched not long before."""
    try:
        age_s = wall - path.stat().st_mtime
    except OSError:
        return Discipline(synced=False)
    return Discipline(synced=-1.0 <= age_s <= _SYNCHRONISED_FOR_S)


def plausible(wall: float) -> bool:
    """False when the wall clock can only be one that was never set."""
    return _PLAUSIBLE[0] <= wall < _PLAUSIBLE[1]


def boot_id() -> str:
    """The kernel's id of this boot, or `unknown` where it is hidden."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _read(tries: int = 5) -> tuple[float, float, float]:
    """Wall, monotonic and boot time of one moment: read again when something came in between."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    wall, monotonic = time.time(), time.monotonic()
    boottime = time.clock_gettime(time.CLOCK_BOOTTIME)
    if boottime - before > _READ_WITHIN_S and tries > 1:
        return _read(tries - 1)
    return wall, monotonic, boottime


class SystemClock:
    """The gateway's own clocks."""

    speed = 1.0

    def __init__(self, synchronised: Path = _SYNCHRONISED) -> None:
        self.boot_id = boot_id()
        self._synchronised = synchronised
        self._found = Discipline(synced=False)
        self._looked = -math.inf

    def now(self) -> Instant:
        """This moment."""
        wall, monotonic, boottime = _read()
        if monotonic - self._looked >= _LOOK_S:  # a busy bus asks for the time far more often
            self._looked = monotonic
            self._found = kernel_discipline() or file_discipline(self._synchronised, wall)
        if not plausible(wall):
            return Instant(wall, monotonic, boottime, ClockState.UNSYNCED)
        state = ClockState.SYNCED if self._found.synced else ClockState.HOLDOVER
        return Instant(wall, monotonic, boottime, state, self._found.error_s)

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
        state = ClockState.SYNCED if plausible(wall) else ClockState.UNSYNCED
        return Instant(wall, elapsed, elapsed, state)

    async def sleep_until(self, monotonic: float) -> None:
        """Return at or after the scaled `monotonic`."""
        await asyncio.sleep(max(0.0, (monotonic - self._elapsed()) / self.speed))
