"""What becomes of the wall clock from one cycle to the next: steps, sleeps of the machine, anchors. Pure.

Wall time less boot time is constant while nobody sets the clock: slewing (adjtime, NTP) makes both run
faster or slower alike. So a difference is a step, whatever its cause, and its size is exact. Boot time less
monotonic time grows only while the machine is suspended.

    found                                      rows
    wall - boot moved by 0.5 s or more         clock.step, then clock.anchor
    first synchronised in a boot or since then clock.anchor
    boot - monotonic grew by 0.5 s or more     service.asleep

Smaller steps are not lost: they add up against the offset of the last row until they are worth one. An anchor
is a pair of boot time and wall time that readers date earlier rows of the same boot with (`times.py`).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edge.chain import Row
from edge.clock import ClockState, Instant
from edge.records import Event, Plain

STEP_S = 0.5  # timesyncd steps from 0.4 s on; less is slewed or adds up
STEP = "clock.step"
ANCHOR = "clock.anchor"
ASLEEP = "service.asleep"


@dataclass(frozen=True, slots=True)
class Seen:
    """The clocks of this boot as last seen: wall less boot time (s), and what the wall clock was worth."""

    offset_s: float
    state: ClockState
    anchored: bool = False  # an anchor since the last step, or since boot, says a synchronised time
    asleep_s: float | None = None  # boot less monotonic time
    synced_once: bool = False  # in this boot, as far as is known


@dataclass(frozen=True, slots=True)
class Watched:
    """One look at the clocks. A step of `step_s` made no longer what was dated from `since` (Unix s) on.

    Until a boot's clock is synchronised, a step corrects it: what was dated in an earlier boot had the right
    time, so that its length is right only with the step. Later, a step makes everything longer or shorter.
    """

    seen: Seen
    events: tuple[Event, ...]
    step_s: float = 0.0
    since: float = -math.inf


def watch(seen: Seen | None, now: Instant, boot_id: str) -> Watched:
    """Compare `now` with what was `seen` last; None at the first look in a boot, which finds no step."""
    offset_s, asleep_s = now.wall - now.boottime, now.boottime - now.monotonic
    before = seen if seen is not None else Seen(offset_s, now.state)
    step_s = offset_s - before.offset_s
    stepped = abs(step_s) >= STEP_S
    events = [_step(before, step_s, now)] if stepped else []
    anchored = (before.anchored and not stepped) or now.state is ClockState.SYNCED
    if stepped or anchored is not before.anchored:
        events.append(anchor(now, boot_id))
    slept_s = 0.0 if before.asleep_s is None else asleep_s - before.asleep_s
    slept = slept_s >= STEP_S
    if slept:
        events.append(_asleep(slept_s, now))
    after = Seen(
        offset_s if stepped else before.offset_s,
        now.state,
        anchored,
        asleep_s if slept or before.asleep_s is None else before.asleep_s,
        before.synced_once or now.state is ClockState.SYNCED,
    )
    since = -math.inf if before.synced_once else before.offset_s - STEP_S  # the wall time at boot
    return Watched(after, tuple(events), step_s if stepped else 0.0, since)


def _step(before: Seen, step_s: float, now: Instant) -> Event:
    body: dict[str, Plain] = {
        "from": now.wall - step_s,
        "to": now.wall,
        "step_s": step_s,
        "clock_before": before.state.value,
        "clock": now.state.value,
    }
    return Event(STEP, "station", now.wall, now.wall, body)


def _asleep(slept_s: float, now: Instant) -> Event:
    """The machine was suspended since the last cycle: nothing was measured or controlled meanwhile."""
    return Event(ASLEEP, "station", now.wall - slept_s, now.wall, {"asleep_s": slept_s})


def nanoseconds(seconds: float) -> int:
    """As a row is stamped: whole microseconds, for a float of Unix seconds is good to no more."""
    return round(seconds * 1_000_000) * 1000


def anchor(now: Instant, boot_id: str) -> Event:
    """Boot time and wall time of one moment, and what the wall time was worth; `error_s` None: not known."""
    boottime_ns, wall_ns = nanoseconds(now.boottime), nanoseconds(now.wall)
    body: dict[str, Plain] = {
        "boot_id": boot_id,
        "boottime_ns": boottime_ns,
        "wall_ns": wall_ns,
        "offset_ns": wall_ns - boottime_ns,
        "error_s": now.error_s,
        "clock": now.state.value,
    }
    return Event(ANCHOR, "station", now.wall, now.wall, body)


def resumed(rows: Iterable[Row], boot_id: str) -> Seen | None:
    """What earlier lives of the service saw in this boot, from their rows in order of seq; None: nothing.

    A step that happened while no service ran is found in this way, and one on record is not found again.
    """
    seen: Seen | None = None
    for row in rows:
        if row.boot_id != boot_id or boot_id == "unknown":
            continue
        state = _STATES.get(row.clock_state, ClockState.UNSYNCED)
        told = row.kind in (STEP, ANCHOR)
        anchored = state is ClockState.SYNCED if told else seen is not None and seen.anchored
        synced = state is ClockState.SYNCED or (seen is not None and seen.synced_once)
        seen = Seen((row.wall_ns - row.boottime_ns) / 1e9, state, anchored, synced_once=synced)
    return seen


_STATES = {state.value: state for state in ClockState}
