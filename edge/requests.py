"""What a technician asks of the service: inputs of the next cycle, judged there with everything else. Pure.

A request is taken in whole or refused; the answer says which in a text of the catalogue, and goes out when
what was accepted is on record. `who` is the user of this machine as the kernel names him, `why` his own
words. Times are Unix s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from edge.records import Cause, Plain


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """An alarm has been seen, or all there are (`subject` None)."""

    subject: str | None
    who: str


@dataclass(frozen=True, slots=True)
class Reset:
    """A latched alarm whose condition is gone may go, or all such (`subject` None)."""

    subject: str | None
    who: str


@dataclass(frozen=True, slots=True)
class Shelve:
    """An alarm is put aside until a time; it comes back by itself."""

    subject: str
    until: float
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Unshelve:
    """A shelved alarm comes back before its time."""

    subject: str
    who: str


@dataclass(frozen=True, slots=True)
class ExpectRecovery:
    """Heat is expected back at a time; None: nobody knows any more."""

    outage: str
    at: float | None
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Reattribute:
    """A person finds another cause of an outage than the evidence gave."""

    outage: str
    cause: Cause
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class PlanStop:
    """A stop planned ahead for some circuits; `notice` is when the users were told, None: not yet."""

    id: str
    circuits: tuple[str, ...]
    begin: float
    end: float
    kind: str
    who: str
    why: str
    notice: float | None = None


@dataclass(frozen=True, slots=True)
class CancelPlan:
    """A planned stop is not to be."""

    id: str
    who: str
    why: str


AlarmRequest: TypeAlias = Acknowledge | Reset | Shelve | Unshelve
OutageRequest: TypeAlias = ExpectRecovery | Reattribute | PlanStop | CancelPlan
Request: TypeAlias = AlarmRequest | OutageRequest


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request: `text` is a key of the catalogue (`request.<...>`), `values` fill it in.

    `recorded` is False while the journal takes no rows: done, but a power cut now would undo it.
    """

    accepted: bool
    text: str
    values: Mapping[str, str | int | float] = field(default_factory=dict)
    recorded: bool = True


def accepted(text: str, **values: str | int | float) -> Answer:
    """It was done."""
    return Answer(True, text, values)


def refused(text: str, **values: str | int | float) -> Answer:
    """It was not done, and nothing was changed."""
    return Answer(False, text, values)


def body(request: Request) -> dict[str, Plain]:
    """Who and why, for the event that tells of an accepted request."""
    return {"who": request.who, "why": getattr(request, "why", "")}
