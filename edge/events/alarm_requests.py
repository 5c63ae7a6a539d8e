"""What a technician does with an alarm: acknowledge, reset, shelve, unshelve. Pure.

Each does what the table of states allows, or is refused in words. All (`subject` None) means all that can be.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from edge.clock import Instant
from edge.events.alarm_states import TRANSITIONS, Signal, State
from edge.events.alarms import ROWS, Row
from edge.events.board import MOST_SHELVED_S, Alarm, Board, Track, at_rest, moved, told, unshelved
from edge.records import Event, Plain
from edge.requests import (
    Acknowledge,
    AlarmRequest,
    Answer,
    Reset,
    Shelve,
    Unshelve,
    accepted,
    refused,
)
from edge.site import Site

_Asked = tuple[Board, Sequence[Event], Answer]
_LEAST_SHELVED_S = 1.0


def ask(board: Board, request: AlarmRequest, site: Site, now: Instant) -> _Asked:
    """The board after one request, what happened by it, and the answer; refused, nothing has changed."""
    match request:
        case Acknowledge():
            return _each(board, request.subject, Signal.ACKNOWLEDGE, request.who, now)
        case Reset():
            return _each(board, request.subject, Signal.RESET, request.who, now)
        case Shelve():
            return _shelve(board, request, site, now)
        case Unshelve():
            return _unshelve(board, request, now)


_KINDS: dict[Signal, Callable[[Track, Instant, str], Event]] = {
    Signal.ACKNOWLEDGE: lambda track, now, who: told("alarm.acknowledged", track, now, who=who),
    Signal.RESET: lambda track, now, who: told("alarm.reset", track, now, who=who),
}


def _each(board: Board, subject: str | None, signal: Signal, who: str, now: Instant) -> _Asked:
    """Acknowledge or reset one, or all that can be."""
    track = None if subject is None else board.tracks.get(subject)
    if subject is not None and (track is None or (track.state, signal) not in TRANSITIONS):
        state = State.NORMAL if track is None else track.state
        return board, (), refused(f"request.alarm.not_{signal}", subject=subject, state=state.value)
    known = board.tracks if subject is None else [subject]
    able = [name for name in sorted(known) if (board.tracks[name].state, signal) in TRANSITIONS]
    if not able:
        return board, (), refused(f"request.alarm.none_to_{signal}")
    after = {name: moved(board.tracks[name], signal) for name in able}
    events = [_KINDS[signal](track, now, who) for track in after.values()]
    return _with(board, after.items()), events, accepted(f"request.alarm.{signal}", count=len(able))


def _shelve(board: Board, request: Shelve, site: Site, now: Instant) -> _Asked:
    row = row_of(request.subject, site)
    track = board.tracks.get(request.subject) or Track(None, now.monotonic)
    if row is None and track.alarm is None:
        return board, (), refused("request.alarm.unknown", subject=request.subject)
    priority = track.alarm.priority if track.alarm is not None else row.priority if row is not None else 1
    if priority == 1 and not request.why.strip():
        return board, (), refused("request.alarm.why", subject=request.subject)
    left = request.until - now.wall
    if not _LEAST_SHELVED_S <= left <= MOST_SHELVED_S:
        return board, (), refused("request.alarm.until", hours=round(MOST_SHELVED_S / 3600))
    if (track.state, Signal.SHELVE) not in TRANSITIONS:
        return (
            board,
            (),
            refused("request.alarm.not_shelve", subject=request.subject, state=track.state.value),
        )
    alarm = track.alarm or _resting(request.subject, priority, now)
    track = moved(replace(track, alarm=alarm, shelf_end=now.monotonic + left), Signal.SHELVE)
    assert track.alarm is not None
    track = replace(track, alarm=replace(track.alarm, until=request.until))
    more: dict[str, Plain] = {"who": request.who, "why": request.why}
    event = told("alarm.shelved", track, now, **more)
    return _with(board, [(request.subject, track)]), [event], accepted("request.alarm.shelve")


def _unshelve(board: Board, request: Unshelve, now: Instant) -> _Asked:
    track = board.tracks.get(request.subject)
    if track is None or track.state is not State.SHELVED:
        return board, (), refused("request.alarm.not_unshelve", subject=request.subject)
    track, event = unshelved(track, now, request.who)
    return _with(board, [(request.subject, track)]), [event], accepted("request.alarm.unshelve")


def _with(board: Board, changed: Iterable[tuple[str, Track]]) -> Board:
    tracks = dict(board.tracks)
    for subject, track in changed:
        kept = at_rest(track)
        if kept is None:
            tracks.pop(subject, None)
        else:
            tracks[subject] = kept
    return replace(board, tracks=tracks)


def _resting(subject: str, priority: int, now: Instant) -> Alarm:
    """An alarm that is put aside before it comes: never raised, its order is 0."""
    where, key, _ = _parts(subject)
    return Alarm(subject, key, where, priority, now.wall, now.wall, 0, None, "", "", active=False)


def _parts(subject: str) -> tuple[str, str, str]:
    """Where, which row, and the point of a row that serves many."""
    where, _, rest = subject.partition(":")
    key, _, name = rest.partition(":")
    return where, key, name


def row_of(subject: str, site: Site) -> Row[object] | None:
    """The row of a subject that this site can have, None of any other word."""
    where, key, name = _parts(subject)
    row = ROWS.get(key)
    places = {"station", *(c.id for c in site.circuits), *(d.id for d in site.devices)}
    places |= {f"room.{room.id}" for room in site.rooms}
    known = where in places and (not name or f"{where}.{name}" in site.points())
    return row if known else None
