"""Stops planned ahead, and which outage is the plan's. Pure.

    an outage of a circuit of the plan                                   relation   planned
    heat lost from half an hour before the plan's beginning to its end   within     yes
    heat lost earlier, and still gone when the plan begins               before     no
    within, and still open half an hour after the plan's end             overrun    yes; the time after is
                                                                                    owed as a sudden stop
    lost before the plan was entered, or after it was cancelled          -          no
The half hour is ours: closing valves and draining begins before the hour that was announced.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from edge.events.outage_record import Outage, Planned
from edge.events.plain import mapping, number, optional
from edge.records import Plain
from edge.requests import PlanStop

TOLERANCE_S = 1800.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A stop as entered at `entered_at` (Unix s)."""

    stop: PlanStop
    entered_at: float

    def body(self) -> dict[str, Plain]:
        """What the journal keeps: enough to rebuild the plan after a restart."""
        stop = self.stop
        return {
            "id": stop.id,
            "circuits": list(stop.circuits),
            "begin": stop.begin,
            "end": stop.end,
            "kind": stop.kind,
            "who": stop.who,
            "why": stop.why,
            "notice": stop.notice,
            "entered_at": self.entered_at,
        }

    def link(self, relation: str) -> Planned:
        """What an outage keeps of the plan."""
        stop = self.stop
        return Planned(stop.id, relation, stop.begin, stop.end, self.entered_at, stop.notice, stop.kind)


Plans = Mapping[str, Plan]


def from_body(value: Plain) -> Plan:
    """A plan from its journal body; KeyError, TypeError or ValueError when it is none."""
    body = mapping(value)
    circuits = body["circuits"]
    if isinstance(circuits, str) or not isinstance(circuits, Sequence):
        raise TypeError("a plan names its circuits in a list")
    stop = PlanStop(
        str(body["id"]),
        tuple(str(one) for one in circuits),
        number(body["begin"]),
        number(body["end"]),
        str(body["kind"]),
        str(body["who"]),
        str(body["why"]),
        optional(body["notice"]),
    )
    return Plan(stop, number(body["entered_at"]))


def subject(plan: str) -> str:
    """What the journal's rows of a plan are about."""
    return f"plan:{plan}"


def related(outage: Outage, plans: Iterable[Plan], wall: float) -> Planned | None:
    """What the plans are to this outage now, by the module's table."""
    known = outage.planned
    if known is not None and known.relation == "within" and wall > known.end + TOLERANCE_S:
        return replace(known, relation="overrun")
    if known is not None:
        return known
    found = (_relation(outage, plan, wall) for plan in plans if outage.circuit in plan.stop.circuits)
    return min((one for one in found if one is not None), key=lambda one: one.begin, default=None)


def _relation(outage: Outage, plan: Plan, wall: float) -> Planned | None:
    begin, end = plan.stop.begin, plan.stop.end
    if plan.entered_at > outage.lost_at or outage.lost_at >= end:
        return None
    if outage.lost_at >= begin - TOLERANCE_S:
        return plan.link("within")
    return plan.link("before") if wall >= begin else None


def current(plans: Plans, wall: float) -> Plans:
    """Plans that may still have to do with an outage; what is over is in the journal."""
    if all(wall <= plan.stop.end + TOLERANCE_S for plan in plans.values()):
        return plans
    return {key: plan for key, plan in plans.items() if wall <= plan.stop.end + TOLERANCE_S}
