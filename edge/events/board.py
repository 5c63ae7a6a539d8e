"""What is remembered of the alarms: the board and its tracks, and one signal through the table. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from edge.clock import Instant
from edge.events.alarm_states import Signal, State, after
from edge.events.alarms import LATCHED
from edge.records import Event, Plain

WINDOW_S = 600.0  # ISA-18.2 counts alarms in ten minutes
CHATTER_RAISES = 3  # in the window; more is chatter (our choice: our delays filter what is quicker)
FLOOD_BEGINS = 10  # ISA-18.2: a flood begins with more than 10 alarms in 10 minutes
FLOOD_ENDS = 5  # and ends with fewer than 5
MOST_SHELVED_S = 86400.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that is not at rest. `occurred` is when its condition began, `detected` when it was raised.

    Times are Unix s. `active`: raised and not cleared. `order` counts the raised ones from 1; 0 was never
    raised. `until`: the end of its shelf. `repeats`: how often a chattering one came back while it was held.
    """

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
    state: State = State.NORMAL
    active: bool = True
    until: float | None = None
    chattering: bool = False
    repeats: int = 0

    @property
    def latching(self) -> bool:
        """True when it has tripped and is of a row that stays until it is reset."""
        return self.key in LATCHED and self.order > 0

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
            "state": self.state.value,
            "active": self.active,
            "until": self.until,
            "chattering": self.chattering,
            "repeats": self.repeats,
        }


@dataclass(frozen=True, slots=True)
class Track:
    """What is remembered of a subject that is not at rest. Times are monotonic s.

    `since`: when its condition began, None while it does not hold; `seen`: when it last held; `masked`: its
    entry delay passed while its cause was active.
    """

    since: float | None
    seen: float
    alarm: Alarm | None = None
    gone_since: float | None = None
    masked: bool = False
    shelf_end: float | None = None

    @property
    def active(self) -> bool:
        """Raised and not cleared."""
        return self.alarm is not None and self.alarm.active

    @property
    def state(self) -> State:
        """As in the table."""
        return State.NORMAL if self.alarm is None else self.alarm.state


@dataclass(frozen=True, slots=True)
class Raised:
    """One raising of the last ten minutes; `shown` is False for one that was shelved. `at`: monotonic s."""

    at: float
    subject: str
    occurred: float
    order: int
    shown: bool


@dataclass(frozen=True, slots=True)
class Flood:
    """More alarms than anybody can read, under the one that came first. `began` and `first_at`: Unix s."""

    began: float
    first: str
    first_at: float
    count: int
    peak: int  # in any ten minutes

    def body(self) -> dict[str, Plain]:
        """What the journal keeps."""
        return {
            "began_at": self.began,
            "first": self.first,
            "first_at": self.first_at,
            "count": self.count,
            "peak": self.peak,
        }


@dataclass(frozen=True, slots=True)
class Board:
    """All subjects that are not at rest, the number the next alarm gets, and what came in ten minutes."""

    tracks: Mapping[str, Track]
    next_order: int = 1
    recent: tuple[Raised, ...] = ()
    flood: Flood | None = None

    def active(self) -> tuple[Alarm, ...]:
        """Active alarms in first-out order: by when the condition began, then by when it was raised."""
        return _in_order(alarm for alarm in self._alarms() if alarm.active)

    def shown(self) -> tuple[Alarm, ...]:
        """Every alarm that is not at rest, in first-out order."""
        return _in_order(self._alarms())

    def _alarms(self) -> list[Alarm]:
        return [track.alarm for track in self.tracks.values() if track.alarm is not None]


def _in_order(alarms: Iterable[Alarm]) -> tuple[Alarm, ...]:
    return tuple(sorted(alarms, key=lambda alarm: (alarm.occurred, alarm.order, alarm.subject)))


def moved(track: Track, signal: Signal) -> Track:
    """The track after one signal; the same where the table has no such transition."""
    alarm = track.alarm
    if alarm is None:
        return track
    return replace(track, alarm=replace(alarm, state=after(alarm.state, signal, alarm.latching)))


def told(kind: str, track: Track, now: Instant, **more: Plain) -> Event:
    """The event of a change of an alarm, now."""
    assert track.alarm is not None
    return Event(kind, track.alarm.subject, now.wall, now.wall, track.alarm.body() | more)


def at_rest(track: Track) -> Track | None:
    """Without an alarm that is normal again; None when nothing is left to remember."""
    if track.alarm is not None and track.alarm.state is State.NORMAL and not track.alarm.active:
        track = replace(track, alarm=None, shelf_end=None)
    return None if track.alarm is None and track.since is None else track


def unshelved(track: Track, now: Instant, by: str) -> tuple[Track, Event]:
    """A shelved track back on the board; `by` is the person, "" when its time was over."""
    signal = Signal.UNSHELVE_ACTIVE if track.active else Signal.UNSHELVE
    track = moved(track, signal)
    assert track.alarm is not None
    track = replace(track, alarm=replace(track.alarm, until=None), shelf_end=None)
    return track, told("alarm.unshelved", track, now, who=by)
