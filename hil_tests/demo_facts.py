"""What the head-end knows after a demonstration: read from the receiver's file, nothing else. No clock, no
network.

Steady are the moments outside every disturbance of the story, and as long again after it as it lasted, but at
least `SETTLED_S`: a house that was without heat for three hours takes about as long to be warm again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

from drivers import Reading
from edge.upstream.codec import HISTORY, JOURNAL, unpack_row
from edge.upstream.telemetry import decode_readings
from edge.verification import opened
from hil_tests.story_effects import Story

SETTLED_S = 1800.0
BEGUN_S = 900.0  # and the first quarter of an hour is the start
NEAR_K = 1.0
STANDARD_C = 18.0

_ROWS = "select stream, row from rows join logs on logs.id = rows.log where gateway = ? order by logs.id, seq"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A journal row as the head-end has it; `wall` in Unix s."""

    wall: float
    kind: str
    subject: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """All readings of one moment; `wall` in Unix s."""

    wall: float
    readings: Mapping[str, Reading]

    def good(self, point: str) -> float | None:
        """The value of a GOOD reading."""
        reading = self.readings.get(point)
        return reading.value if reading is not None and reading.is_good else None


@dataclass(frozen=True, slots=True)
class Copy:
    """Everything the head-end has stored of one gateway, in order."""

    journal: tuple[Recorded, ...]
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Tracking:
    """How well a circuit's supply followed its setpoint in steady hours."""

    circuit: str
    share: float | None  # of the frames within NEAR_K; None when nothing was measured
    worst_k: float | None


@dataclass(frozen=True, slots=True)
class Rooms:
    """Room temperatures in C; None when none was measured. `share` of all values at STANDARD_C or more."""

    lowest_steady_c: float | None
    lowest_c: float | None
    share: float | None


@dataclass(slots=True)
class Told:
    """What the journal says of one outage: bodies of its newest rows."""

    outage: Mapping[str, Any]
    ended_at: float | None = None
    duties: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    refund: Mapping[str, Any] | None = None


def read_copy(path: Path, gateway: str) -> Copy:
    """The receiver's file at `path`; ValueError or KeyError when a stored row is not one."""
    journal: list[Recorded] = []
    frames: list[Frame] = []
    with opened(path) as connection:
        for stream, blob in connection.execute(_ROWS, (gateway,)):
            fields: Sequence[Any] = unpack_row(bytes(blob), stream).fields
            if stream == JOURNAL:
                _, _, wall_ns, _, kind, subject, _, body = fields
                journal.append(Recorded(wall_ns / 1e9, kind, subject, msgpack.unpackb(body)))
            elif stream == HISTORY:
                frames.append(Frame(fields[0] / 1e9, decode_readings(*fields)))
    return Copy(tuple(journal), tuple(frames))


def is_steady(story: Story, wall: float) -> bool:
    """True when nothing is wrong at Unix time `wall` and what was wrong before has settled."""
    elapsed = wall - story.start
    troubled = any(
        event.at <= elapsed < event.at + event.lasts + max(event.lasts, SETTLED_S) for event in story.events
    )
    return BEGUN_S <= elapsed <= story.duration and not troubled


def steady(story: Story, frames: Iterable[Frame]) -> list[Frame]:
    """The frames of steady moments."""
    return [frame for frame in frames if is_steady(story, frame.wall)]


def tracking(circuit: str, frames: Iterable[Frame]) -> Tracking:
    """Supply temperature against setpoint of a circuit in these frames."""
    errors = [
        abs(supply - setpoint)
        for frame in frames
        if (supply := frame.good(f"{circuit}.secondary_supply_temperature")) is not None
        and (setpoint := frame.good(f"{circuit}.setpoint")) is not None
    ]
    if not errors:
        return Tracking(circuit, None, None)
    return Tracking(circuit, sum(error <= NEAR_K for error in errors) / len(errors), max(errors))


def _room_values(frames: Iterable[Frame]) -> Iterator[float]:
    for frame in frames:
        for point in frame.readings:
            value = frame.good(point) if point.startswith("room.") else None
            if value is not None:
                yield value


def rooms(story: Story, frames: Sequence[Frame]) -> Rooms:
    """What the rooms' sensors showed."""
    values = list(_room_values(frames))
    quiet = list(_room_values(steady(story, frames)))
    share = sum(value >= STANDARD_C for value in values) / len(values) if values else None
    return Rooms(min(quiet, default=None), min(values, default=None), share)


def outages(journal: Iterable[Recorded]) -> dict[str, Told]:
    """Outages by id, in the order of their beginning, with duties and refund basis."""
    found: dict[str, Told] = {}
    for row in journal:
        if row.kind in ("outage.started", "outage.changed"):
            told = found.setdefault(str(row.body["id"]), Told(row.body))
            told.outage = row.body
        elif row.kind == "outage.ended" and row.body["id"] in found:
            found[str(row.body["id"])].ended_at = float(row.body["ended_at"])
        elif row.kind == "duty.opened":
            outage, _, duty = row.subject.rpartition(":")
            if outage in found:
                found[outage].duties[duty] = row.body
        elif row.kind == "refund.basis" and row.subject in found:
            found[row.subject].refund = row.body
    return found
