"""What the watch records of outages and plans, as the facts that the rules judge. Pure.

    record                                facts
    an outage                             one, with the cause that stands and every expectation ever made
    one that is a plan's (`within`)       planned, known since the plan was entered, told when its notice says
    one that outlasts its plan            the same, for the refund; and one more, a sudden stop from the end
                                          of the plan, for the duties of the time after it
    one that began before its plan        not planned
    a plan whose stop has not begun       planned, from its beginning to its end, one for each circuit
Whether water or power was cut from outside, no evidence of the station tells: `supply_cut` stays unknown.
"""

from dataclasses import replace

from edge.events.outage_record import Outage
from edge.events.planned import Plan
from edge.rules.facts import Expectation, OutageFacts, Phase

PLAN = "plan-"  # begins the id of a stop that is to come
OVERRUN = "+overrun"  # ends the id of the time after a plan's end: duties, and no refund of its own
_OVERHAUL, _TRIAL_RUN = "overhaul", "trial_run"


def of_outage(outage: Outage, phase: Phase) -> dict[str, OutageFacts]:
    """The facts of an outage by id: one, or two where it outlasts its plan."""
    plan = outage.planned if outage.planned is not None and outage.planned.relation != "before" else None
    whole = OutageFacts(
        outage.id,
        outage.circuit,
        outage.lost_at,
        outage.detected_at if plan is None else plan.entered_at,
        cause=outage.stands,
        ended_at=outage.ended_at,
        expected_recovery=outage.expected_recovery,
        expectations=tuple(Expectation(one.at, one.recovery) for one in outage.expectations),
        phase=phase,
        began=_began(outage),
    )
    if plan is None:
        return {whole.id: whole}
    whole = replace(whole, planned=True, announced_at=plan.notice, maintenance=plan.kind == _OVERHAUL)
    whole = replace(whole, trial_run=plan.kind == _TRIAL_RUN)
    if outage.expected_recovery is None:
        whole = replace(whole, expected_recovery=plan.end)
    if plan.relation != "overrun":
        return {whole.id: whole}
    return {whole.id: whole, **_overrun(outage, plan.end, phase)}


def _began(outage: Outage) -> float | None:
    """When heat was lost by the clock as it was set since; None where it was not set meanwhile."""
    if not outage.clock_s:
        return None
    if outage.ended_at is None or outage.lasted_s is None:
        return outage.lost_at + outage.clock_s
    return outage.ended_at - outage.lasted_s


def _overrun(outage: Outage, end: float, phase: Phase) -> dict[str, OutageFacts]:
    over = outage.ended_at
    facts = OutageFacts(
        outage.id + OVERRUN,
        outage.circuit,
        end,
        end,
        cause=outage.stands,
        ended_at=None if over is None else max(over, end),
        expected_recovery=outage.expected_recovery,
        phase=phase,
    )
    return {facts.id: facts}


def plan_id(plan: str, circuit: str) -> str:
    """The id of a stop that has not begun."""
    return f"{PLAN}{plan}-{circuit}"


def of_plan(plan: Plan, phase: Phase) -> dict[str, OutageFacts]:
    """The stops of a plan that are to come, in the phase of the day it begins."""
    stop = plan.stop
    return {
        plan_id(stop.id, circuit): OutageFacts(
            plan_id(stop.id, circuit),
            circuit,
            stop.begin,
            plan.entered_at,
            expected_recovery=stop.end,
            planned=True,
            announced_at=stop.notice,
            maintenance=stop.kind == _OVERHAUL,
            trial_run=stop.kind == _TRIAL_RUN,
            phase=phase,
        )
        for circuit in stop.circuits
    }
