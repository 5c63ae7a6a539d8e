"""The cause of an outage, from the evidence present. Pure.

Which cause wins (`attribute`):
1. Strong evidence before weak. Evidence that began more than half an hour before the first symptom is weak,
   since heat was delivered in spite of it.
2. Among equals the cause whose evidence BEGAN first wins (first-out): what follows is its consequence.
3. Unless a later one is decisive: mains lost explains a pump or valve that failed up to 60 s before it, lost
   pressure explains a pump that stopped up to 60 s before it. Devices are read seconds apart, so that a
   consequence may be seen first. Beyond 60 s they are two faults, and the first one keeps the outage.
4. Of evidence that began at the same moment: power, source, water, equipment.
Confidence: high when one cause has strong evidence, medium when two have, low with weak evidence only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge.events.evidence import BY_NAME, Item
from edge.records import Cause

LOOK_BACK_S = 1800.0
SAME_EVENT_S = 60.0


class Confidence(StrEnum):
    """How sure the attribution of a cause is."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The cause the evidence speaks for, since when (Unix s; None for unknown), and how surely."""

    cause: Cause
    confidence: Confidence
    strong: bool
    since: float | None


_RANK = {Cause.POWER: 0, Cause.SOURCE: 1, Cause.WATER: 2, Cause.EQUIPMENT: 3}
_EXPLAINS = frozenset({(Cause.POWER, Cause.EQUIPMENT), (Cause.WATER, Cause.EQUIPMENT)})
UNKNOWN = Verdict(Cause.UNKNOWN, Confidence.LOW, strong=False, since=None)


def attribute(evidence: Sequence[Item], suspected: float) -> Verdict:
    """The verdict on evidence present now; `suspected` is when the first symptom began (Unix s)."""
    graded = [
        (item.since, _RANK[row.cause], row.cause, row.strong and item.since >= suspected - LOOK_BACK_S)
        for item in evidence
        if (row := BY_NAME[item.what]).cause is not None
    ]
    strong = any(entry[3] for entry in graded)
    ranked = sorted((since, rank, cause) for since, rank, cause, good in graded if good or not strong)
    if not ranked:
        return UNKNOWN
    since, _, cause = ranked[0]
    for later, _, other in ranked[1:]:
        if decisive(other, later, cause, since):
            since, cause = later, other
            break
    rivals = {other for later, _, other in ranked if not decisive(cause, since, other, later)}
    sure = Confidence.HIGH if len(rivals) == 1 else Confidence.MEDIUM
    return Verdict(cause, sure if strong else Confidence.LOW, strong, since)


def decisive(later: Cause, later_since: float, earlier: Cause, earlier_since: float) -> bool:
    """Whether `later` explains `earlier`, which was merely seen first."""
    return (later, earlier) in _EXPLAINS and later_since - earlier_since <= SAME_EVENT_S


def lost_at(evidence: Sequence[Item], cause: Cause, suspected: float) -> float:
    """When heat was lost (Unix s): the earliest dating evidence that is a symptom or speaks for `cause`."""
    dating = [
        item.since
        for item in evidence
        if (row := BY_NAME[item.what]).dates
        and (row.symptom or row.cause is cause)
        and item.since >= suspected - LOOK_BACK_S
    ]
    return min([suspected, *dating])
