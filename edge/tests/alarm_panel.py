"""A panel of alarms without a station: conditions go straight to the engine, requests to the board."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgpack

from drivers import Unit
from edge.clock import ClockState, Instant
from edge.events.alarm_requests import ask
from edge.events.alarm_states import State
from edge.events.alarms import ROWS
from edge.events.annunciator import Observation, step
from edge.events.board import Board
from edge.events.watch import restore
from edge.records import Event, Plain
from edge.requests import AlarmRequest, Answer
from edge.tests.events_bench import SITE, WALL

ENTRY_S, EXIT_S = 10.0, 5.0


def seen(subject: str, holds: bool | None) -> Observation:
    """An observation of one subject with the panel's delays."""
    where, key = subject.split(":")[:2]
    return Observation(subject, where, key, ROWS[key].priority, holds, ENTRY_S, EXIT_S, None, Unit.STATE)


def newest(events: Sequence[Event]) -> list[Mapping[str, Plain]]:
    """The newest row of each subject, as the journal gives them back."""
    rows = {
        event.subject: {"kind": event.kind, "subject": event.subject, "body": event.body} for event in events
    }
    return [msgpack.unpackb(msgpack.packb(row)) for row in rows.values()]


@dataclass
class Panel:
    """Conditions by subject, one cycle a second; `wall_step` is how far the wall clock was set."""

    holds: dict[str, bool | None] = field(default_factory=dict)
    board: Board = field(default_factory=lambda: Board({}))
    second: float = 0.0
    wall_step: float = 0.0
    events: list[Event] = field(default_factory=list)

    @property
    def now(self) -> Instant:
        """This moment."""
        moment = 1000.0 + self.second
        return Instant(WALL + self.second + self.wall_step, moment, moment, ClockState.SYNCED)

    def run(self, seconds: float, every_s: float = 1.0) -> "Panel":
        """Cycles for so long."""
        end = self.second + seconds
        while self.second < end:
            self.second = min(end, self.second + every_s)
            due = [seen(subject, holds) for subject, holds in self.holds.items()]
            self.board, events = step(
                self.board,
                [o for o in due if o.holds is not False or o.subject in self.board.tracks],
                self.now,
            )
            self.events += events
        return self

    def set(self, subject: str, holds: bool | None, seconds: float = 11.0) -> "Panel":
        """A condition, and time for its delays to pass."""
        self.holds[subject] = holds
        return self.run(seconds)

    def ask(self, request: AlarmRequest) -> Answer:
        """A request between two cycles."""
        self.board, events, answer = ask(self.board, request, SITE, self.now)
        self.events += events
        return answer

    def state(self, subject: str) -> State:
        """As in the table."""
        track = self.board.tracks.get(subject)
        return State.NORMAL if track is None else track.state

    def restart(self) -> "Panel":
        """From the rows alone; the monotonic clock starts anew, which `step` must not mind."""
        self.board = restore(newest(self.events)).board
        return self

    def kinds(self, subject: str) -> list[str]:
        """What was told of a subject, without the family's name."""
        return [event.kind.removeprefix("alarm.") for event in self.events if event.subject == subject]
