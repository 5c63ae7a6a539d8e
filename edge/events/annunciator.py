"""The engine of the alarms: delays, hysteresis, causes, chatter, floods. Pure, and knows no alarm by name.

A condition must hold for its entry delay before the alarm is raised and be gone for its exit delay before it
is cleared. An unknown condition (None) changes nothing: it neither raises nor clears. A pending alarm
outlives unknown moments for as long as its entry delay (60 s at least), then it is forgotten.
One whose cause is active is suppressed instead of raised. One that was raised too often is chattering: it
stays active until its condition has been gone for ten minutes, and how often it came back is counted.
Durations are monotonic; wall times are counted back from the present one, so that a record made after the
clock was set is dated by the better clock and never begins after it was detected.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from drivers import Unit
from edge.clock import Instant
from edge.events.alarm_states import Signal, State
from edge.events.alarms import INHIBITS, Row
from edge.events.board import (
    CHATTER_RAISES,
    FLOOD_BEGINS,
    FLOOD_ENDS,
    MOST_SHELVED_S,
    WINDOW_S,
    Alarm,
    Board,
    Flood,
    Raised,
    Track,
    at_rest,
    moved,
    told,
    unshelved,
)
from edge.records import Event

_GAP_S = 60.0
_EXIT_UNSEEN_S = 5.0  # Ouman H23, exit delay
_STATION = "station"


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
        limit = -row.hysteresis if track is not None and track.active else 0.0
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
    """The board after this cycle and what happened to alarms in it, in an order of its own.

    A subject that is on the board and not observed counts as gone: its point or circuit may exist no more.
    """
    recent = [raised for raised in board.recent if now.monotonic - raised.at < WINDOW_S]
    often = Counter(raised.subject for raised in recent)
    turn = _Turn(now, dict(board.tracks), _causes(board), board.next_order, recent, often)
    for seen in sorted(observations, key=lambda each: (each.priority, each.subject)):
        turn.take(seen)
    turn.end()
    flood, events = _flooded(board.flood, recent, turn.raised, now)
    return Board(turn.tracks, turn.order, tuple(recent), flood), (*turn.events, *events)


def _causes(board: Board) -> Mapping[str, str]:
    """What is not to be raised (by key where the station causes it, else by place and key), and its cause."""
    causes: dict[str, str] = {}
    for alarm in board.active():
        for key in INHIBITS.get(alarm.key, ()):
            causes.setdefault(key if alarm.where == _STATION else f"{alarm.where}:{key}", alarm.subject)
    return causes


@dataclass(slots=True)
class _Turn:
    """One cycle at work: what is left of the old board, and what becomes of it."""

    now: Instant
    left: dict[str, Track]
    causes: Mapping[str, str]
    order: int
    recent: list[Raised]
    often: Mapping[str, int]  # how often each was raised in the window
    tracks: dict[str, Track] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    raised: int = 0

    def take(self, seen: Observation) -> None:
        """One observation."""
        track = self.left.pop(seen.subject, None) or Track(None, self.now.monotonic)
        follow = self._active if track.active else self._waiting
        self._keep(seen.subject, follow(track, seen))

    def end(self) -> None:
        """What was not observed is gone; shelves whose time is over give back."""
        for subject in sorted(self.left):
            track = self.left[subject]
            gone = self._released(track, _EXIT_UNSEEN_S) if track.active else self._gone(track)
            self._keep(subject, gone)
        for subject, track in sorted(self.tracks.items()):
            if track.state is State.SHELVED:
                self._keep(subject, self._shelf(track))

    def _keep(self, subject: str, track: Track) -> None:
        kept = at_rest(track)
        if kept is not None:
            self.tracks[subject] = kept
        else:
            self.tracks.pop(subject, None)

    def _active(self, track: Track, seen: Observation) -> Track:
        if seen.holds is None:
            return replace(track, gone_since=None)
        if not seen.holds:
            return self._released(track, seen.exit_s)
        return replace(self._counted(track, seen), seen=self.now.monotonic, gone_since=None)

    def _counted(self, track: Track, seen: Observation) -> Track:
        """A chattering alarm that would have cleared is back: counted, and no more."""
        alarm, gone = track.alarm, track.gone_since
        if alarm is None or not alarm.chattering or gone is None or self.now.monotonic - gone < seen.exit_s:
            return track
        return replace(track, alarm=replace(alarm, repeats=alarm.repeats + 1))

    def _released(self, track: Track, exit_s: float) -> Track:
        """An active track whose condition is gone: cleared after its delay, a chattering one when quiet."""
        assert track.alarm is not None
        now = self.now
        gone = now.monotonic if track.gone_since is None else track.gone_since
        if now.monotonic - gone < (max(exit_s, WINDOW_S) if track.alarm.chattering else exit_s):
            return replace(track, gone_since=gone)
        cleared = now.wall - (now.monotonic - gone)
        track = moved(replace(track, alarm=replace(track.alarm, active=False)), Signal.CLEAR)
        assert track.alarm is not None
        event = told("alarm.cleared", track, now, cleared_at=cleared)
        self.events.append(replace(event, occurred=cleared))
        calm = replace(track.alarm, chattering=False, repeats=0)
        return replace(track, alarm=calm, since=None, gone_since=None, masked=False)

    def _waiting(self, track: Track, seen: Observation) -> Track:
        """A track that is not active: pending, suppressed, or waiting for a person."""
        now = self.now.monotonic
        if seen.holds is None:
            return track if now - track.seen <= max(_GAP_S, seen.entry_s) else self._gone(track)
        if not seen.holds:
            return self._gone(track)
        since = now if track.since is None else track.since
        track = replace(track, since=since, seen=now)
        cause = self.causes.get(seen.key) or self.causes.get(f"{seen.where}:{seen.key}")
        if cause is None and track.masked:  # on its own from now on
            return self._unsuppressed(replace(track, since=now))
        if now - since < seen.entry_s:
            return track
        return self._raise(track, seen, since) if cause is None else self._suppressed(track, seen, cause)

    def _gone(self, track: Track) -> Track:
        return self._unsuppressed(replace(track, since=None))

    def _unsuppressed(self, track: Track) -> Track:
        track = replace(track, masked=False)
        if track.state is not State.SUPPRESSED:
            return track
        track = moved(track, Signal.UNSUPPRESS)
        self.events.append(told("alarm.unsuppressed", track, self.now))
        return track

    def _suppressed(self, track: Track, seen: Observation, cause: str) -> Track:
        """Its entry delay has passed while its cause is active: recorded once, not raised."""
        if track.state is not State.NORMAL:
            return replace(track, masked=True)
        alarm = self._alarm(track, seen, order=0, active=False)
        track = moved(replace(track, alarm=alarm, masked=True), Signal.SUPPRESS)
        self.events.append(
            replace(told("alarm.suppressed", track, self.now, by=cause), occurred=alarm.occurred)
        )
        return track

    def _raise(self, track: Track, seen: Observation, since: float) -> Track:
        often = self.often.get(seen.subject, 0) >= CHATTER_RAISES
        alarm = replace(self._alarm(track, seen, self.order, active=True), chattering=often)
        track = moved(replace(track, alarm=alarm, since=since, gone_since=None), Signal.RAISE)
        shown = track.state is not State.SHELVED
        self.recent.append(Raised(self.now.monotonic, seen.subject, alarm.occurred, alarm.order, shown))
        self.order += 1
        self.raised += shown
        self.events.append(replace(told("alarm.raised", track, self.now), occurred=alarm.occurred))
        if often:
            self.events.append(told("alarm.chattering", track, self.now, times=CHATTER_RAISES + 1))
        return track

    def _alarm(self, track: Track, seen: Observation, order: int, active: bool) -> Alarm:
        """The alarm of this observation; its state and shelf are those it had."""
        elapsed = 0.0 if track.since is None else self.now.monotonic - track.since
        return Alarm(
            seen.subject,
            seen.key,
            seen.where,
            seen.priority,
            self.now.wall - elapsed,
            self.now.wall,
            order,
            seen.value,
            seen.unit.value,
            seen.reason,
            track.state,
            active,
            None if track.alarm is None else track.alarm.until,
        )

    def _shelf(self, track: Track) -> Track:
        """A shelved track; back on the board when its time is over, by the monotonic clock."""
        assert track.alarm is not None
        end = track.shelf_end
        if end is None:  # after a restart
            left = (track.alarm.until or 0.0) - self.now.wall
            end = self.now.monotonic + min(max(left, 0.0), MOST_SHELVED_S)
        if self.now.monotonic < end:
            return replace(track, shelf_end=end)
        track, event = unshelved(track, self.now, "")
        self.events.append(event)
        return track


def _flooded(
    flood: Flood | None, recent: Iterable[Raised], raised: int, now: Instant
) -> tuple[Flood | None, list[Event]]:
    """The flood after this cycle. It stands under the alarm whose condition was first in its ten minutes."""
    shown = [each for each in recent if each.shown]
    if flood is None:
        if len(shown) <= FLOOD_BEGINS:
            return None, []
        first = min(shown, key=lambda each: (each.occurred, each.order))
        flood = Flood(now.wall, first.subject, first.occurred, len(shown), len(shown))
        return flood, [Event("alarm.flood_started", _STATION, first.occurred, now.wall, flood.body())]
    flood = replace(flood, count=flood.count + raised, peak=max(flood.peak, len(shown)))
    if len(shown) >= FLOOD_ENDS:
        return flood, []
    ended = Event("alarm.flood_ended", _STATION, now.wall, now.wall, flood.body() | {"ended_at": now.wall})
    return None, [ended]
