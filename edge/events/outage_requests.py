"""What people say of outages: expected recovery, another cause, plans. Pure.

Every word is kept with who and why, none overwrites another; the answer is a text of the catalogue. An outage
is named by its id, by its circuit, or by the id of the station's outage, which means all its circuits.
"""

from dataclasses import replace

from edge.clock import Instant, plausible
from edge.events.group import concerned
from edge.events.heat import Circuits, Station, changed, revised
from edge.events.outage import CircuitWatch
from edge.events.outage_record import Attribution, Expected
from edge.events.planned import Plan, subject
from edge.records import Event
from edge.requests import (
    Answer,
    CancelPlan,
    ExpectRecovery,
    OutageRequest,
    PlanStop,
    Reattribute,
    accepted,
    body,
    refused,
)
from edge.site import Site

Asked = tuple[dict[str, CircuitWatch], Station, list[Event], Answer]


def ask(circuits: Circuits, station: Station, request: OutageRequest, site: Site, now: Instant) -> Asked:
    """Circuits and station after the request, what the journal says of it, and the answer."""
    if isinstance(request, ExpectRecovery):
        return _expect(circuits, station, request, now)
    if isinstance(request, Reattribute):
        return _attribute(circuits, station, request, site, now)
    if isinstance(request, PlanStop):
        return dict(circuits), *_plan(station, request, site, now)
    return dict(circuits), *_cancel(circuits, station, request, now)


def _meant(circuits: Circuits, station: Station, name: str) -> list[str]:
    """The circuits of which `name` is an outage that is open, else the one that is over."""
    group = station.group
    wanted = set(group.members.values()) if group is not None and group.id == name else {name}
    found = [c for c, w in circuits.items() if w.outage is not None and ({w.outage.id, c} & wanted)]
    return found or [c for c, w in circuits.items() if w.last is not None and ({w.last.id, c} & wanted)]


def _expect(circuits: Circuits, station: Station, request: ExpectRecovery, now: Instant) -> Asked:
    """A recovery expected by somebody, or not any more; one in the past of the loss is refused."""
    new, events = dict(circuits), list[Event]()
    for name in _meant(circuits, station, request.outage):
        outage = circuits[name].outage
        if outage is None:
            continue
        if request.at is not None and request.at <= now.wall:
            return new, station, [], refused("request.recovery_past")
        before = outage.expected_recovery
        made = Expected(request.at, now.wall, request.who, request.why)
        outage = replace(outage, expected_recovery=request.at, expectations=(*outage.expectations, made))
        new[name] = replace(circuits[name], outage=outage)
        words = body(request) | {"old": before, "new": request.at}
        events.append(changed(outage, "expected_recovery", now, now.wall, **words))
    if not events:
        return new, station, [], refused("request.no_outage", outage=request.outage)
    return new, station, events, accepted("request.recovery_kept")


def _attribute(circuits: Circuits, station: Station, request: Reattribute, site: Site, now: Instant) -> Asked:
    """A cause found by somebody; what the evidence says is judged on behind it. Of a past outage too."""
    new, events = dict(circuits), list[Event]()
    made = Attribution(request.cause, now.wall, request.who, request.why)
    for name in _meant(circuits, station, request.outage):
        watch = circuits[name]
        old = watch.outage or watch.last
        if old is None:
            continue
        outage = replace(old, attributions=(*old.attributions, made))
        words = body(request) | {"from": old.stands.value, "to": request.cause.value}
        if watch.outage is not None:
            new[name] = replace(watch, outage=outage)
            events.append(changed(outage, "attributed", now, now.wall, **words))
        else:
            new[name] = replace(watch, last=outage)
            events.append(revised(outage, "attributed", site, now, **words))
    if not events:
        return new, station, [], refused("request.no_outage", outage=request.outage)
    return new, station, events, accepted("request.cause_kept")


Planning = tuple[Station, list[Event], Answer]


def _plan(station: Station, request: PlanStop, site: Site, now: Instant) -> Planning:
    """A stop entered ahead: of circuits there are, that ends after it begins, that has not begun."""
    known = {circuit.id for circuit in site.circuits}
    unknown = [name for name in request.circuits if name not in known]
    if unknown or not request.circuits:
        return station, [], refused("request.plan_circuits", circuits=", ".join(unknown))
    if request.end <= request.begin or request.begin <= now.wall:
        return station, [], refused("request.plan_times")
    if not plausible(request.begin) or not plausible(request.end):  # a mistyped year; 9999 has no next day
        return station, [], refused("request.plan_year")
    if request.id in station.plans:
        return station, [], refused("request.plan_known", plan=request.id)
    plan = Plan(replace(request, circuits=tuple(dict.fromkeys(request.circuits))), now.wall)
    circuits = [circuit for circuit in site.circuits if circuit.id in request.circuits]
    event = Event(
        "outage.planned", subject(request.id), now.wall, now.wall, plan.body() | concerned(circuits)
    )
    plans = {**station.plans, request.id: plan}
    return replace(station, plans=plans), [event], accepted("request.plan_kept", plan=request.id)


def _cancel(circuits: Circuits, station: Station, request: CancelPlan, now: Instant) -> Planning:
    """A plan called off; not one whose stop has begun."""
    plan = station.plans.get(request.id)
    if plan is None:
        return station, [], refused("request.no_plan", plan=request.id)
    if any(w.outage and w.outage.planned and w.outage.planned.plan == request.id for w in circuits.values()):
        return station, [], refused("request.plan_running", plan=request.id)
    plans = {key: one for key, one in station.plans.items() if key != request.id}
    words = plan.body() | {"cancelled_by": request.who, "reason": request.why, "cancelled_at": now.wall}
    event = Event("outage.plan_cancelled", subject(request.id), now.wall, now.wall, words)
    return replace(station, plans=plans), [event], accepted("request.plan_cancelled", plan=request.id)
