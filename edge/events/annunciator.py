"""The engine of the alarms: delays, hysteresis, first-out order. Pure, and knows no alarm by name.

A condition must hold for its entry delay before the alarm is raised and be gone for its exit delay before it
is cleared. An unknown condition (None) changes nothing: it neither raises nor clears. A pending alarm
outlives unknown moments for as long as its entry delay (60 s at least), then it is forgotten.
Durations are monotonic; wall times are counted back from the present one, so that a record made after the
clock was set is dated by the better clock and never begins after it was detected.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from drivers import Unit
from edge.clock import Instant
from edge.events.alarms import INHIBITS, Row
from edge.records import Event, Plain

_GAP_S = 60.0
_EXIT_UNSEEN_S = 5.0  # Ouman H23, exit delay
_STATION = "station"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An active alarm. `occurred` is when its condition began, `detected` when it was raised (Unix s)."""

    subject: str
    key: str
    where: str
    priority: int
    occurred: float
    detected: float
    order: int
    value: float | None
    unit: str
    reason: str

    def body(self) -> dict[str, Plain]:
        """What the journal keeps: enough to rebuild the alarm after a restart."""
        return {
            "alarm": self.key,
            "where": self.where,
            "priority": self.priority,
            "order": self.order,
            "occurred_at": self.occurred,
            "detected_at": self.detected,
            "value": self.value,
            "unit": self.unit,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Track:
    """What is remembered of a subject that is not at rest: pending (`alarm` None) or active."""

    since: float  # monotonic s, when the condition began
    seen: float  # monotonic s, when it last held
    alarm: Alarm | None = None
    gone_since: float | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """All subjects that are not at rest, and the number the next alarm gets."""

    tracks: Mapping[str, Track]
    next_order: int = 1

    def active(self) -> tuple[Alarm, ...]:
        """Active alarms in first-out order: by when the condition began, then by when it was raised."""
        found = [track.alarm for track in self.tracks.values() if track.alarm is not None]
        return tuple(sorted(found, key=lambda alarm: (alarm.occurred, alarm.order)))


@dataclass(frozen=True, slots=True)
class Observation:
    """One alarm's condition in this cycle. Those that are neither known nor due need not be made."""

    subject: str
    where: str
    key: str
    priority: int
    holds: bool | None
    entry_s: float
    exit_s: float
    value: float | None
    unit: Unit
    reason: str = ""


F = TypeVar("F")


def observe(
    rows: Iterable[Row[F]], where: str, facts: F, board: Board, name: str = "", reason: str = ""
) -> list[Observation]:
    """The observations of all rows at one place; rows at rest are left out.

    `name` is appended to the subject where one row serves many points (`high:sensor:heat_power`).
    """
    found: list[Observation] = []
    for row in rows:
        subject = f"{where}:{row.key}:{name}" if name else f"{where}:{row.key}"
        track = board.tracks.get(subject)
        excess = row.measure(facts)
        if track is None and (excess is None or excess <= 0.0):
            continue
        active = track is not None and track.alarm is not None
        limit = -row.hysteresis if active else 0.0
        holds = None if excess is None else excess > limit
        found.append(
            Observation(
                subject,
                where,
                row.key,
                row.priority,
                holds,
                row.entry(facts),
                row.exit_s,
                row.value(facts),
                row.unit,
                reason,
            )
        )
    return found


def step(board: Board, observations: Iterable[Observation], now: Instant) -> tuple[Board, tuple[Event, ...]]:
    """The board after this cycle and what was raised and cleared in it.

    A subject that is on the board and not observed counts as gone: its point or circuit may exist no more.
    """
    left = dict(board.tracks)
    masks = _masks(board) if left else frozenset()
    tracks: dict[str, Track] = {}
    events: list[Event] = []
    order = board.next_order
    for seen in observations:
        old = left.pop(seen.subject, None)
        new = _advance(old, seen, masks, order, now)
        if new is not None:
            tracks[seen.subject] = new
        event = _event(seen.subject, old, new, now)
        if event is not None:
            events.append(event)
            order += event.kind == "alarm.raised"
    for subject, old in left.items():
        new = _release(old, _EXIT_UNSEEN_S, now)
        if new is not None:
            tracks[subject] = new
        event = _event(subject, old, new, now)
        if event is not None:
            events.append(event)
    return Board(tracks, order), tuple(events)


def _masks(board: Board) -> frozenset[str]:
    """Subjects (and, from the station, keys of any place) not to be raised: consequences of active alarms."""
    masks: set[str] = set()
    for track in board.tracks.values():
        if track.alarm is None:
            continue
        where = track.alarm.where
        for key in INHIBITS.get(track.alarm.key, ()):
            masks.add(key if where == _STATION else f"{where}:{key}")
    return frozenset(masks)


def _advance(
    old: Track | None, seen: Observation, masks: frozenset[str], order: int, now: Instant
) -> Track | None:
    """The track after one observation; None when the subject is at rest."""
    active = old is not None and old.alarm is not None
    holds = seen.holds
    if not active and (seen.key in masks or f"{seen.where}:{seen.key}" in masks):
        holds = None if holds else holds
    if old is None:
        return _pend(Track(now.monotonic, now.monotonic), seen, order, now) if holds else None
    if holds:
        kept = replace(old, seen=now.monotonic, gone_since=None)
        return kept if active else _pend(kept, seen, order, now)
    if active:
        return replace(old, gone_since=None) if holds is None else _release(old, seen.exit_s, now)
    gap_s = max(_GAP_S, seen.entry_s)
    return old if holds is None and now.monotonic - old.seen <= gap_s else None


def _pend(track: Track, seen: Observation, order: int, now: Instant) -> Track:
    """A pending track, raised when its entry delay has passed."""
    elapsed = now.monotonic - track.since
    if elapsed < seen.entry_s:
        return track
    alarm = Alarm(
        seen.subject,
        seen.key,
        seen.where,
        seen.priority,
        now.wall - elapsed,
        now.wall,
        order,
        seen.value,
        seen.unit.value,
        seen.reason,
    )
    return replace(track, alarm=alarm)


def _release(track: Track, exit_s: float, now: Instant) -> Track | None:
    """A track whose condition is gone: dropped at once when pending, after the exit delay when active."""
    if track.alarm is None:
        return None
    gone = now.monotonic if track.gone_since is None else track.gone_since
    return None if now.monotonic - gone >= exit_s else replace(track, gone_since=gone)


def _event(subject: str, old: Track | None, new: Track | None, now: Instant) -> Event | None:
    """What the journal is told of this change; None when nobody outside needs to know."""
    before = old.alarm if old is not None else None
    after = new.alarm if new is not None else None
    if before is None and after is not None:
        return Event("alarm.raised", subject, after.occurred, after.detected, after.body())
    if before is not None and after is None and old is not None:
        gone = now.monotonic if old.gone_since is None else old.gone_since
        cleared = now.wall - (now.monotonic - gone)
        return Event("alarm.cleared", subject, cleared, now.wall, before.body() | {"cleared_at": cleared})
    return None
