"""Twenty outages as tables of inputs over time, and the record that must come of each.

A row is (second, what changes then). The last rows of a trace bring the heat back, unless it says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from drivers import Reason
from edge.events import WatchState
from edge.records import Cause, Plain
from edge.requests import CancelPlan, ExpectRecovery, PlanStop, Reattribute, Request
from edge.site import Load, Site
from edge.tests.events_bench import HEALTHY, SITE, VIEWS, WALL, Tape

Changes = Mapping[str, float | Reason | None]
H = 3600
OK: Changes = {
    "station__mains_power": 1.0,
    "station__primary_differential_pressure": 1.5,
    "station__primary_supply_temperature": 90.0,
    "high__heat_power": 500.0,
    "high__primary_flow": 10.0,
    "high__pump_1_running": 1.0,
    "high__pump_1_frequency": 40.0,
    "high__pump_1_fault": 0.0,
    "high__secondary_supply_temperature": 50.0,
    "high__secondary_return_pressure": 3.0,
    "high__valve_position": 50.0,
}
NO_SOURCE: Changes = {
    "station__primary_differential_pressure": 0.05,
    "high__heat_power": 0.0,
    "high__primary_flow": 0.0,
}
NO_MAINS: Changes = {"station__mains_power": 0.0, "high__pump_1_running": 0.0, "high__pump_1_frequency": 0.0}
NO_PUMP: Changes = {"high__pump_1_running": 0.0, "high__pump_1_frequency": 0.0, "high__pump_1_fault": 1.0}
NO_WATER: Changes = {"high__secondary_return_pressure": 0.2}
LUKEWARM: Changes = {"high__secondary_supply_temperature": 38.0, "high__heat_power": 280.0}
COLD: Changes = {"high__secondary_supply_temperature": 39.0}
SILENT: Changes = {
    name.replace(".", "__", 1): Reason.NO_ANSWER for name in HEALTHY if name.startswith("high.")
}
AWAKE = {name: OK.get(name, HEALTHY[name.replace("__", ".", 1)]) for name in SILENT}
LOADED = SITE.model_copy(
    update={
        "circuits": tuple(c.model_copy(update={"load": Load(design_w_per_m2=50.0)}) for c in SITE.circuits)
    }
)


@dataclass(frozen=True)
class Trace:
    """Inputs over time, and the record of `high`: (what, second it happened, cause or reason)."""

    name: str
    rows: tuple[tuple[int, Changes | Request], ...]
    record: tuple[tuple[str, int, str], ...]
    end: int = 3 * H
    site: Site = SITE
    step: int = 10
    ended: Mapping[str, Plain] | None = None  # what the end says besides
    plan: Mapping[str, Plain] | None = None


def plan(begin: int, end: int) -> PlanStop:
    return PlanStop("p1", ("high",), WALL + begin, WALL + end, "overhaul", "li", "valve", WALL)


def span(cause: str, since: int, until: int | None) -> dict[str, Plain]:
    return {"cause": cause, "since": WALL + since, "until": None if until is None else WALL + until}


TRACES = (
    Trace(
        "the source fails",
        ((600, NO_SOURCE), (4200, OK)),
        (("started", 600, "source"), ("ended", 4200, "heat_back")),
        ended={"causes": [span("source", 600, 4200)], "interrupted_s": 0.0, "blind_s": 0.0},
    ),
    Trace(
        "the mains fail",
        ((600, NO_MAINS), (4200, OK)),
        (("started", 600, "power"), ("ended", 4200, "heat_back")),
    ),
    Trace(
        "a burst empties the circuit",
        ((600, NO_WATER), (4200, OK)),
        (("started", 600, "water"), ("ended", 4200, "heat_back")),
    ),
    Trace(
        "the pump trips",
        ((600, NO_PUMP), (4200, OK)),
        (("started", 600, "equipment"), ("ended", 4200, "heat_back")),
    ),
    Trace(
        "the supply is cold and nobody knows why",
        ((600, COLD), (4200, OK)),
        (("started", 600, "unknown"), ("ended", 4200, "heat_back")),
    ),
    Trace(
        "half the heat for two hours: degraded, and no outage",
        ((600, LUKEWARM), (7800, OK)),
        (("degraded", 600, "meter"), ("restored", 7800, "heat_back")),
        site=LOADED,
    ),
    Trace(
        "half the heat for half an hour is neither",
        ((600, LUKEWARM), (2400, OK)),
        (),
        site=LOADED,
    ),
    Trace(
        "degraded, and then it stops: the stop takes over",
        ((600, LUKEWARM), (6000, NO_SOURCE), (9600, OK)),
        (
            ("degraded", 600, "meter"),
            ("started", 6000, "source"),
            ("restored", 6300, "stop"),
            ("ended", 9600, "heat_back"),
        ),
        site=LOADED,
        end=4 * H,
    ),
    Trace(
        "stopped, and then half the heat: the stop ends where the heat began to flow",
        ((600, NO_SOURCE), (3000, {**OK, **LUKEWARM}), (10800, OK)),
        (
            ("started", 600, "source"),
            ("ended", 3000, "degraded"),
            ("degraded", 3000, "meter"),
            ("restored", 10800, "heat_back"),
        ),
        site=LOADED,
        end=4 * H,
    ),
    Trace(
        "a meter that shows little while the supply is warm accuses nobody",
        ((600, {"high__heat_power": 150.0}), (9000, OK)),
        (),
        site=LOADED,
    ),
    Trace(
        "the mains flap: two losses within half an hour are one outage with an interruption",
        ((600, NO_MAINS), (2400, OK), (3600, NO_MAINS), (6000, OK)),
        (
            ("started", 600, "power"),
            ("ended", 2400, "heat_back"),
            ("changed", 3600, "rejoined"),
            ("ended", 6000, "heat_back"),
        ),
        ended={"lost_at": WALL + 600, "interrupted_s": 1200.0, "interruptions": [[WALL + 2400, WALL + 3600]]},
    ),
    Trace(
        "dips of four minutes are none",
        tuple((600 + 600 * n + 240 * (k % 2), OK if k % 2 else NO_MAINS) for n in range(8) for k in range(2)),
        (),
    ),
    Trace(
        "another cause soon after is another outage",
        ((600, NO_MAINS), (2400, OK), (3600, NO_SOURCE), (6000, OK)),
        (
            ("started", 600, "power"),
            ("ended", 2400, "heat_back"),
            ("started", 3600, "source"),
            ("ended", 6000, "heat_back"),
        ),
    ),
    Trace(
        "source and then mains: both with their intervals, the first keeps it",
        ((600, NO_SOURCE), (2400, NO_MAINS), (4200, {**OK, **NO_SOURCE}), (6000, OK)),
        (("started", 600, "source"), ("ended", 6000, "heat_back")),
        ended={"cause": "source", "causes": [span("source", 600, 6000), span("power", 2400, 4200)]},
    ),
    Trace(
        "a planned stop in its window",
        ((60, plan(H, 2 * H)), (3700, NO_WATER), (7000, OK)),
        (("started", 3700, "water"), ("changed", 4000, "plan_within"), ("ended", 7000, "heat_back")),
        plan={"relation": "within", "plan": "p1", "kind": "overhaul"},
    ),
    Trace(
        "a planned stop that outlasts its window by more than half an hour",
        ((60, plan(H, 2 * H)), (3700, NO_WATER), (10200, OK)),
        (
            ("started", 3700, "water"),
            ("changed", 4000, "plan_within"),
            ("changed", 9010, "plan_overrun"),
            ("ended", 10200, "heat_back"),
        ),
        end=4 * H,
        plan={"relation": "overrun", "end": WALL + 2 * H},
    ),
    Trace(
        "heat lost an hour before the plan's beginning is not the plan's",
        ((60, plan(2 * H, 3 * H)), (3600, NO_PUMP), (9000, OK)),
        (("started", 3600, "equipment"), ("changed", 7200, "plan_before"), ("ended", 9000, "heat_back")),
        plan={"relation": "before"},
    ),
    Trace(
        "a plan that was called off plans nothing",
        ((60, plan(H, 2 * H)), (120, CancelPlan("p1", "li", "parts late")), (3700, NO_PUMP), (7000, OK)),
        (("started", 3700, "equipment"), ("ended", 7000, "heat_back")),
    ),
    Trace(
        "nothing answers: an outage stays open and marked, and none begins",
        ((600, NO_SOURCE), (3000, SILENT), (6000, AWAKE)),
        (
            ("started", 600, "source"),
            ("changed", 3000, "held"),
            ("changed", 6010, "resumed"),
            ("ended", 6000, "heat_back"),
        ),
    ),
    Trace(
        "a person names the cause and expects the recovery, twice",
        (
            (600, COLD),
            (1200, ExpectRecovery("high", WALL + 2 * H, "li", "pump ordered")),
            (1300, Reattribute("high", Cause.SOURCE, "wang", "plant said so")),
            (1400, ExpectRecovery("high", WALL + 3 * H, "li", "delivery late")),
            (4200, OK),
        ),
        (
            ("started", 600, "unknown"),
            ("changed", 1200, "expected_recovery"),
            ("changed", 1300, "attributed"),
            ("changed", 1400, "expected_recovery"),
            ("ended", 4200, "heat_back"),
        ),
        ended={
            "cause": "source",
            "judged": "unknown",
            "expected_recovery": WALL + 3 * H,
            "attributions": [{"cause": "source", "at": WALL + 1300, "who": "wang", "why": "plant said so"}],
            "expectations": [
                {"recovery": WALL + 2 * H, "at": WALL + 1200, "who": "li", "why": "pump ordered"},
                {"recovery": WALL + 3 * H, "at": WALL + 1400, "who": "li", "why": "delivery late"},
            ],
        },
    ),
)


def play(trace: Trace) -> Tape:
    """Ten seconds a cycle, as a trace has hours."""
    tape = Tape(WatchState(), dict(HEALTHY), dict(VIEWS), site=trace.site, period=trace.step)
    for second, change in trace.rows:
        tape.run(second)
        if isinstance(change, Mapping):
            tape.run(second, **change)
        else:
            tape.asked.append(change)
    return tape.run(trace.end)


def told(tape: Tape) -> list[tuple[str, int, str]]:
    """What the record says of `high`, in the words of the traces."""
    found = []
    for event in tape.events:
        family, _, what = event.kind.partition(".")
        if event.subject == "high" and family in ("outage", "supply"):
            word = {"started": "cause", "changed": "reason", "degraded": "method"}.get(what, "end_reason")
            found.append((what, round(event.occurred - WALL), str(event.body[word])))
    return found


def test_there_are_twenty_traces_and_every_cause_is_among_them() -> None:
    assert len(TRACES) == 20
    causes = {entry[2] for trace in TRACES for entry in trace.record if entry[0] == "started"}
    assert causes == {cause.value for cause in Cause}


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace.name)
def test_the_record_of_a_trace_is_the_one_expected(trace: Trace) -> None:
    tape = play(trace)
    assert told(tape) == list(trace.record)
    assert tape.outages == {}
    ends = [event for event in tape.of("outage.ended") if event.subject == "high"]
    for key, value in (trace.ended or {}).items():
        assert ends[-1].body[key] == value, key
    if trace.plan is not None:
        link = ends[-1].body["planned"]
        assert isinstance(link, Mapping)
        assert {key: link[key] for key in trace.plan} == trace.plan
