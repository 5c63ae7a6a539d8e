"""Plans, overruns, findings of people and reopened outages as the documents judge them."""

from dataclasses import replace

import pytest

from edge.clock import ClockState, Instant
from edge.compliance import Compliance, follow, restore
from edge.events import Confidence, Outage
from edge.events.outage_record import Attribution, Expected, Planned
from edge.events.planned import Plan, subject
from edge.loading import read_site
from edge.outage_facts import OVERRUN, of_outage
from edge.records import Cause, Event, Plain
from edge.requests import PlanStop
from edge.resources import config_dir
from edge.rules import Pack, load_pack
from edge.rules.facts import Expectation, Phase
from edge.rules.refund import refund_basis

SITE = read_site(config_dir() / "sites" / "demo.toml")
H = 3600.0
LOST = 1_768_428_000.0  # 2026-01-15 06:00 in Zhangye
OUTAGE = Outage("high-1", "high", LOST, LOST, LOST + 300.0, Cause.SOURCE, Confidence.HIGH, ())
LINK = Planned("p1", "within", LOST, LOST + 4 * H, LOST - 72 * H, LOST - 60 * H, "overhaul")


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack("zhangye-2023").bind(SITE.regulation.parameters)


def at(hours: float) -> Instant:
    return Instant(LOST + hours * H, hours * H, hours * H, ClockState.SYNCED)


def ended(outage: Outage, hours: float) -> Event:
    over = replace(outage, ended_at=LOST + hours * H, end_reason="heat_back")
    return Event("outage.ended", "high", LOST + hours * H, LOST + hours * H, over.body())


def test_a_planned_stop_is_known_since_it_was_entered_and_told_when_its_notice_says() -> None:
    (facts,) = of_outage(replace(OUTAGE, planned=LINK), Phase.SEASON).values()
    assert (facts.planned, facts.detected_at, facts.announced_at) == (True, LOST - 72 * H, LOST - 60 * H)
    assert (facts.expected_recovery, facts.maintenance) == (LOST + 4 * H, True)


def test_what_outlasts_its_plan_owes_the_duties_of_a_sudden_stop_from_the_plans_end(pack: Pack) -> None:
    late = replace(OUTAGE, planned=replace(LINK, relation="overrun"))
    memory, said = follow(Compliance(), pack, SITE, {"high": late}, [], at(4.6))
    reports = {event.subject: event.body["due"] for event in said if "report_authority" in event.subject}
    assert reports[f"high-1{OVERRUN}:report_authority"] == LOST + 6 * H
    _, said = follow(memory, pack, SITE, {}, [ended(late, 5.0)], at(5.0))
    assert [event.subject for event in said if event.kind == "refund.basis"] == ["high-1"]


def test_what_began_before_its_plan_is_a_sudden_stop() -> None:
    (facts,) = of_outage(replace(OUTAGE, planned=replace(LINK, relation="before")), Phase.SEASON).values()
    assert (facts.planned, facts.detected_at) == (False, LOST + 300.0)


def test_the_rules_are_given_the_cause_a_person_found_and_every_expectation() -> None:
    made = Expected(LOST + 9 * H, LOST + H, "li", "")
    found = replace(
        OUTAGE,
        attributions=(Attribution(Cause.POWER, LOST + H, "li", ""),),
        expectations=(made, replace(made, recovery=None, at=LOST + 2 * H)),
    )
    (facts,) = of_outage(found, Phase.SEASON).values()
    assert facts.cause is Cause.POWER
    assert facts.expectations == (Expectation(LOST + H, LOST + 9 * H), Expectation(LOST + 2 * H, None))


def test_a_plan_is_owed_its_notice_before_it_begins_and_nothing_once_it_is_called_off() -> None:
    pack = load_pack("zibo-2022").bind({})
    stop = PlanStop("p1", ("high",), LOST, LOST + 30 * H, "overhaul", "li", "valve")
    body = Plan(stop, LOST - 100 * H).body()
    entered = Event("outage.planned", subject("p1"), LOST - 100 * H, LOST - 100 * H, body)
    memory, said = follow(Compliance(), pack, SITE, {}, [entered], at(-100.0))
    due = {event.subject: event.body["due"] for event in said if event.kind.startswith("duty.")}
    assert LOST - 48 * H in due.values()  # 提前2天
    rows: list[dict[str, Plain]] = [{"kind": entered.kind, "subject": entered.subject, "body": body}]
    assert set(restore(rows, pack).facts) == set(memory.facts) == {"plan-p1-high"}
    gone = replace(entered, kind="outage.plan_cancelled")
    memory, _ = follow(memory, pack, SITE, {}, [gone], at(-99.0))
    assert memory.facts == {}


def test_an_outage_that_is_opened_again_owes_its_repair_again_and_one_refund_of_the_whole(pack: Pack) -> None:
    memory, _ = follow(Compliance(), pack, SITE, {"high": OUTAGE}, [], at(0.2))
    memory, first = follow(memory, pack, SITE, {}, [ended(OUTAGE, 1.0)], at(1.1))
    memory, again = follow(memory, pack, SITE, {"high": OUTAGE}, [], at(1.5))
    _, last = follow(memory, pack, SITE, {}, [ended(OUTAGE, 30.0)], at(30.1))
    kinds = [(e.kind, e.subject) for e in (*first, *again, *last) if "restore" in e.subject]
    assert [kind for kind, _ in kinds] == ["duty.closed", "duty.opened", "duty.closed"]
    refunds = [event.body["reason"] for event in (*first, *last) if event.kind == "refund.basis"]
    assert refunds == ["below_threshold", "due"]


@pytest.mark.parametrize("step_h", [1.0, -1.0, -87_600.0])
def test_setting_the_clock_makes_no_outage_longer_or_shorter_before_the_rules(
    pack: Pack, step_h: float
) -> None:
    """Heat is lost for 26 hours; after two of them the clock is set by `step_h`."""
    set_ = replace(OUTAGE, clock_s=step_h * H)
    (facts,) = of_outage(set_, Phase.SEASON).values()
    assert facts.duration(LOST + (20.0 + step_h) * H) == 20.0 * H
    over = replace(set_, ended_at=max(LOST, LOST + (26.0 + step_h) * H), lasted_s=26.0 * H)
    (facts,) = of_outage(over, Phase.SEASON).values()
    assert (facts.lost_at, facts.duration(0.0)) == (LOST, 26.0 * H)
    basis = refund_basis(pack, facts)
    unset = replace(OUTAGE, ended_at=LOST + 26.0 * H, lasted_s=26.0 * H)
    (plain,) = of_outage(unset, Phase.SEASON).values()
    assert basis.evidence["hours"] == 26.0
    assert basis.quantity == refund_basis(pack, plain).quantity


def test_a_deadline_stays_as_far_away_when_the_clock_is_set(pack: Pack) -> None:
    memory, said = follow(Compliance(), pack, SITE, {"high": OUTAGE}, [], at(0.1))
    due = {duty.id: duty.due for duty in memory.duties["high-1"]}
    memory, said = follow(memory, pack, SITE, {"high": replace(OUTAGE, clock_s=H)}, [], at(1.2))
    assert {duty.id: duty.due for duty in memory.duties["high-1"]} == {
        name: None if moment is None else moment + H for name, moment in due.items()
    }
    assert said == ()
