"""The board after a restart: every alarm from the newest row of its subject, and what no row holds. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import cast

from edge.events.alarm_states import State
from edge.events.board import WINDOW_S, Alarm, Board, Flood, Raised, Track
from edge.events.plain import mapping, number, optional
from edge.records import Plain


def track_of(row: Mapping[str, Plain]) -> Track | None:
    """The track a row leaves behind, None of one at rest; KeyError, TypeError, ValueError if garbled."""
    body = mapping(row["body"])
    raised = row["kind"] == "alarm.raised"  # rows of an older release say no more
    before = State.UNACKNOWLEDGED if raised else State.NORMAL
    alarm = Alarm(
        subject=str(row["subject"]),
        key=str(body["alarm"]),
        where=str(body["where"]),
        priority=int(number(body["priority"])),
        occurred=number(body["occurred_at"]),
        detected=number(body["detected_at"]),
        order=int(number(body["order"])),
        value=optional(body["value"]),
        unit=str(body["unit"]),
        reason=str(body["reason"]),
        state=State(str(body.get("state", before))),
        active=body.get("active", raised) is True,
        until=optional(body.get("until")),
    )
    if alarm.active:
        chatter = body.get("chattering") is True
        alarm = replace(alarm, chattering=chatter, repeats=int(number(body.get("repeats", 0))))
    since = 0.0 if alarm.active or alarm.state is State.SUPPRESSED else None
    track = Track(since, 0.0, alarm, masked=alarm.state is State.SUPPRESSED)
    return None if alarm.state is State.NORMAL and not alarm.active else track


def flood_of(row: Mapping[str, Plain]) -> Flood | None:
    """The flood that began and has not ended."""
    if row["kind"] != "alarm.flood_started":
        return None
    body = mapping(row["body"])
    return Flood(
        began=number(body["began_at"]),
        first=str(body["first"]),
        first_at=number(body["first_at"]),
        count=int(number(body["count"])),
        peak=int(number(body["peak"])),
    )


def board_of(tracks: Mapping[str, Track], flood: Flood | None) -> Board:
    """A board whose numbers go on after those in use."""
    orders = [track.alarm.order for track in tracks.values() if track.alarm is not None]
    return Board(tracks, max(orders, default=0) + 1, flood=flood)


def to_plain(board: Board, moment: float) -> dict[str, Plain]:
    """What no row holds: ten minutes of raisings with their ages (s), the flood's count, the next number."""
    recent: list[Plain] = [
        [moment - each.at, each.subject, each.occurred, each.order, each.shown] for each in board.recent
    ]
    count = None if board.flood is None else [board.flood.count, board.flood.peak]
    return {"recent": recent, "flood": count, "next_order": board.next_order}


def resume(board: Board, memory: Plain, saved: float) -> Board:
    """The board completed by a memory; `saved` is when it was saved, on the present monotonic clock.

    KeyError, TypeError, ValueError when it is not understood.
    """
    known = mapping(memory)
    recent = tuple(_raised(each, saved) for each in _list(known["recent"]))
    flood = board.flood
    if flood is not None and known["flood"] is not None:
        count, peak = (int(number(each)) for each in _list(known["flood"]))
        flood = replace(flood, count=max(flood.count, count), peak=max(flood.peak, peak))
    order = max(board.next_order, int(number(known["next_order"])))
    return replace(board, recent=recent, flood=flood, next_order=order)


def _raised(plain: Plain, saved: float) -> Raised:
    age, subject, occurred, order, shown = _list(plain)
    if not 0.0 <= number(age) <= WINDOW_S:
        raise ValueError(f"no age of a raising: {age}")
    return Raised(saved - number(age), str(subject), number(occurred), int(number(order)), shown is True)


def _list(value: Plain) -> list[Plain]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"expected a list, found {type(value).__name__}")
    return list(cast("Iterable[Plain]", value))
