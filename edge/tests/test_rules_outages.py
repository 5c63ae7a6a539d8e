"""Outage stories under the five documents; each line of a table reads like the clause it names."""

from dataclasses import replace

import pytest

from edge.records import Cause
from edge.rules.civil import HOUR_S
from edge.rules.duties import Duty, DutyState, Raised, duties
from edge.rules.facts import OutageFacts, Phase
from edge.rules.judge import exemption
from edge.rules.pack import load_pack
from edge.rules.planned import planned_verdict
from edge.rules.refund import RefundKind, refund_basis
from edge.rules.repair import repair_class
from edge.tests.rules_stories import ALL, expecting, lost, outage, pack, planned

STOPPED = outage("zhangye-2023", Cause.EQUIPMENT, 26.0)
NO_FIGURE = None  # 立即, 及时, 尽快: urgency without a figure

# (pack, hours without heat) -> duty: (clause, recipient, hours after the loss it is due)
ALWAYS: dict[str, dict[str, tuple[str, str, float | None]]] = {
    "zhangye-2023": {
        "restore": ("ZY-35", "operator", NO_FIGURE),
        "report_authority": ("ZY-35", "authority", 2.0),
        "tell_users": ("ZY-35", "users", 2.0),
    },
    "zhengzhou-2026": {
        "repair_at_once": ("ZZ-34", "operator", NO_FIGURE),
        "report_authority": ("ZZ-34", "authority", 1.0),  # the site's figure: the text says 按照规定及时
    },
    "zibo-2022": {
        "repair_at_once": ("ZB-2.4", "operator", NO_FIGURE),
        "report_authority": ("ZB-2.4", "authority", NO_FIGURE),
        "tell_users": ("ZB-2.4", "users", NO_FIGURE),
        "report_safety_authority": ("ZB-5.1", "safety_authority", NO_FIGURE),
    },
    "jilin-2012": {},
    "baiyin-2023": {},
}
FROM_EIGHT_HOURS: dict[str, dict[str, tuple[str, str, float | None]]] = {
    "zhengzhou-2026": {"tell_users": ("ZZ-34", "users", NO_FIGURE)}
}


def due_h(duty: Duty, facts: OutageFacts) -> float | None:
    return None if duty.due is None else (duty.due - facts.lost_at) / HOUR_S


def told(facts: OutageFacts, name: str) -> dict[str, tuple[str, str, float | None]]:
    now = facts.lost_at + 100 * HOUR_S
    return {
        duty.id: (duty.clause, duty.recipient.removeprefix("recipient."), due_h(duty, facts))
        for duty in duties(pack(name), facts, now)
    }


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("cause", "hours", "repair_h"),
    [
        (Cause.SOURCE, 3.0, 6.0),
        (Cause.EQUIPMENT, 9.0, 24.0),
        (Cause.EQUIPMENT, 13.0, 24.0),
        (Cause.EQUIPMENT, 26.0, 72.0),
        (Cause.WATER, 10.0, 24.0),  # a burst
        (Cause.POWER, 3.0, None),  # the mains: no accident of the heating plant
    ],
)
def test_the_duties_of_a_sudden_stop_are_those_the_document_names(
    name: str, cause: Cause, hours: float, repair_h: float | None
) -> None:
    wanted = dict(ALWAYS[name])
    if hours >= 8:
        wanted |= FROM_EIGHT_HOURS.get(name, {})
    if name == "jilin-2012" and repair_h is not None:
        wanted["repair_within_class"] = ("JL-9", "operator", repair_h)
    assert told(outage(name, cause, hours), name) == wanted


def test_zhangye_tells_the_users_the_cause_the_area_and_the_expected_recovery() -> None:
    facts = outage("zhangye-2023", Cause.UNKNOWN, None)
    tell = next(
        duty for duty in duties(pack("zhangye-2023"), facts, facts.lost_at) if duty.id == "tell_users"
    )
    assert tell.contents == ("cause", "area", "expected_recovery")
    assert tell.missing == ("cause", "expected_recovery")
    assert "停热原因、停热范围、预计恢复时间" in tell.words


@pytest.mark.parametrize(
    ("minutes", "state"),
    [(0, "open"), (89, "open"), (90, "due_soon"), (119, "due_soon"), (120, "due_soon"), (121, "overdue")],
)
def test_zhangye_wants_the_report_within_two_hours_of_the_loss(minutes: int, state: str) -> None:
    facts = outage("zhangye-2023", Cause.SOURCE, None)
    found = duties(pack("zhangye-2023"), facts, facts.lost_at + minutes * 60)
    assert {duty.id: duty.state for duty in found}["report_authority"] == state


@pytest.mark.parametrize(("minutes", "arises"), [(7 * 60 + 59, False), (8 * 60, True), (8 * 60 + 1, True)])
def test_zhengzhou_tells_the_users_of_a_stop_of_eight_hours_the_figure_included(
    minutes: int, arises: bool
) -> None:
    ended = outage("zhengzhou-2026", Cause.EQUIPMENT, minutes / 60)
    assert ("tell_users" in told(ended, "zhengzhou-2026")) is arises


def test_zhengzhou_raises_the_notice_when_eight_hours_are_expected_not_only_when_they_have_passed() -> None:
    facts = expecting(outage("zhengzhou-2026", Cause.EQUIPMENT, None), (1.0, 8.0))
    tell = next(
        duty for duty in duties(pack("zhengzhou-2026"), facts, facts.lost_at) if duty.id == "tell_users"
    )
    assert (tell.raised_by, tell.opens_at) == (Raised.EXPECTED, facts.lost_at + HOUR_S)
    assert tell.state is DutyState.PENDING


def test_a_notice_that_hours_will_raise_is_announced_as_pending() -> None:
    facts = outage("zhengzhou-2026", Cause.EQUIPMENT, None)
    at = {
        hours: next(
            duty.state
            for duty in duties(pack("zhengzhou-2026"), facts, facts.lost_at + hours * HOUR_S)
            if duty.id == "tell_users"
        )
        for hours in (7.99, 8.0)
    }
    assert at == {7.99: DutyState.PENDING, 8.0: DutyState.OPEN}


def test_a_notice_once_raised_by_an_expectation_stays_when_the_expectation_falls() -> None:
    facts = expecting(outage("zhengzhou-2026", Cause.EQUIPMENT, None), (1.0, 10.0), (2.0, 4.0))
    found = duties(pack("zhengzhou-2026"), replace(facts, ended_at=facts.lost_at + 3 * HOUR_S), facts.lost_at)
    assert "tell_users" in {duty.id for duty in found}


def test_zhengzhou_names_the_parameter_where_the_site_has_not_said_within_what_time_to_report() -> None:
    facts = outage("zhengzhou-2026", Cause.EQUIPMENT, 3.0)
    report = duties(load_pack("zhengzhou-2026"), facts, facts.lost_at)[1]
    assert (report.id, report.due, report.missing) == ("report_authority", None, ("report_within_h",))


def test_a_stop_out_of_season_raises_no_duty_of_the_season() -> None:
    facts = replace(outage("zhangye-2023", Cause.EQUIPMENT, 30.0), phase=Phase.OFF)
    assert duties(pack("zhangye-2023"), facts, facts.lost_at) == ()
    assert refund_basis(pack("zhangye-2023"), facts).reason == "out_of_season"


def test_a_stop_in_an_unset_season_keeps_its_duties_and_says_what_is_missing() -> None:
    facts = replace(outage("zhangye-2023", Cause.EQUIPMENT, 30.0), phase=Phase.UNKNOWN)
    assert all("season" in duty.missing for duty in duties(pack("zhangye-2023"), facts, facts.lost_at))


def test_a_verdict_under_a_document_out_of_force_says_so_and_stops_nothing() -> None:
    facts = outage("zhangye-2023", Cause.EQUIPMENT, 30.0)
    found = duties(pack("baiyin-2023"), facts, facts.lost_at), refund_basis(pack("baiyin-2023"), facts)
    assert "validity" in found[1].missing


# --- planned stops


@pytest.mark.parametrize(("noticed_h", "in_time"), [(72.0, True), (48.0, True), (47.9, False), (None, False)])
def test_zibo_wants_two_days_notice_of_a_planned_stop_over_24_hours(
    noticed_h: float | None, in_time: bool
) -> None:
    facts = planned("zibo-2022", 30.0, noticed_h)
    verdict = planned_verdict(pack("zibo-2022"), facts, facts.lost_at)
    assert verdict.notice_due == facts.lost_at - 48 * HOUR_S
    assert verdict.notice_in_time is in_time
    assert (verdict.allowed, verdict.reason, verdict.clauses) == (None, "silent", ("ZB-2.4",))
    assert set(told(facts, "zibo-2022")) == {"planned_notice"}


@pytest.mark.parametrize(("hours", "asked"), [(23.9, False), (24.0, False), (24.1, True)])
def test_zibo_asks_for_notice_beyond_24_hours_the_figure_excluded(hours: float, asked: bool) -> None:
    assert ("planned_notice" in told(planned("zibo-2022", hours, None), "zibo-2022")) is asked


def test_zhengzhou_forbids_planned_stops_in_season_and_still_wants_the_users_told() -> None:
    facts = planned("zhengzhou-2026", 30.0, 72.0)
    verdict = planned_verdict(pack("zhengzhou-2026"), facts, facts.lost_at)
    assert (verdict.allowed, verdict.reason, verdict.clauses) == (False, "forbidden", ("ZZ-24(3)",))
    assert told(facts, "zhengzhou-2026") == {"tell_users": ("ZZ-34", "users", None)}
    summer = planned_verdict(pack("zhengzhou-2026"), replace(facts, phase=Phase.OFF), facts.lost_at)
    assert summer.allowed is True


@pytest.mark.parametrize(
    ("approved", "reason"), [(None, "approval_unknown"), (True, "approved"), (False, "not_approved")]
)
def test_zhangye_allows_a_planned_stop_only_with_approval_before_it(
    approved: bool | None, reason: str
) -> None:
    facts = replace(planned("zhangye-2023", 30.0, None), approved=approved)
    verdict = planned_verdict(pack("zhangye-2023"), facts, facts.lost_at)
    assert (verdict.allowed, verdict.reason, verdict.clauses) == (approved, reason, ("ZY-35",))
    assert told(facts, "zhangye-2023") == {"obtain_approval": ("ZY-35", "authority", 0.0)}


def test_a_sudden_stop_is_not_judged_as_a_planned_one() -> None:
    with pytest.raises(ValueError, match="not planned"):
        planned_verdict(pack("zibo-2022"), outage("zibo-2022", Cause.POWER, 3.0), lost("zibo-2022"))


# --- repair classes (JL-9)


@pytest.mark.parametrize(
    ("expected_h", "key", "due", "due_from"),
    [
        (3.0, "general", 6.0, None),
        (6.0, "general", 6.0, None),  # 6小时可恢复
        (6.01, "larger", 24.0, None),
        (
            24.0,
            "larger",
            24.0,
            None,
        ),  # 24小时内 and 24小时以上 both include 24: the shorter deadline keeps both
        (24.01, "major", 72.0, 48.0),
    ],
)
def test_jilin_classes_follow_the_expected_recovery(
    expected_h: float, key: str, due: float, due_from: float | None
) -> None:
    facts = outage("jilin-2012", Cause.EQUIPMENT, None, expected_h)
    verdict = repair_class(pack("jilin-2012"), facts, facts.lost_at + 60)
    assert (verdict.key, verdict.clause, verdict.reason) == (key, "JL-9", "expected")
    assert verdict.due == facts.lost_at + due * HOUR_S
    assert verdict.due_from == (None if due_from is None else facts.lost_at + due_from * HOUR_S)


def test_a_class_is_judged_again_when_the_expectation_changes() -> None:
    first = outage("jilin-2012", Cause.EQUIPMENT, None, 4.0)
    later = replace(first, expected_recovery=first.lost_at + 30 * HOUR_S)
    keys = [repair_class(pack("jilin-2012"), facts, first.lost_at + HOUR_S).key for facts in (first, later)]
    assert keys == ["general", "major"]


@pytest.mark.parametrize(
    ("elapsed_h", "key", "at_least", "due"),
    [
        (0.0, None, "general", 6.0),
        (6.0, None, "general", 6.0),
        (6.1, None, "larger", 24.0),
        (24.0, None, "larger", 24.0),
        (24.1, "major", "major", 72.0),
    ],
)
def test_without_an_expectation_the_class_is_unknown_until_the_elapsed_time_settles_it(
    elapsed_h: float, key: str | None, at_least: str, due: float
) -> None:
    facts = outage("jilin-2012", Cause.EQUIPMENT, None)
    verdict = repair_class(pack("jilin-2012"), facts, facts.lost_at + elapsed_h * HOUR_S)
    assert (verdict.key, verdict.at_least) == (key, at_least)
    assert verdict.reason == ("unknown" if key is None else "elapsed")
    assert verdict.missing == (("expected_recovery",) if key is None else ())
    assert verdict.due == facts.lost_at + due * HOUR_S


def test_elapsed_time_overrules_an_expectation_that_has_passed() -> None:
    facts = outage("jilin-2012", Cause.EQUIPMENT, None, 5.0)
    verdict = repair_class(pack("jilin-2012"), facts, facts.lost_at + 7 * HOUR_S)
    assert (verdict.key, verdict.expected_key, verdict.forced) == ("larger", "general", True)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (outage("jilin-2012", Cause.POWER, 3.0), "not_an_accident"),
        (replace(outage("jilin-2012", Cause.WATER, 3.0), supply_cut=True), "not_an_accident"),
        (planned("jilin-2012", 30.0, None), "planned"),
    ],
)
def test_jilin_classes_hold_for_accidents_of_the_plant_only(facts: OutageFacts, reason: str) -> None:
    verdict = repair_class(pack("jilin-2012"), facts, facts.lost_at + HOUR_S)
    assert (verdict.key, verdict.reason) == (None, reason)
    assert duties(pack("jilin-2012"), facts, facts.lost_at) == ()


def test_a_burst_and_a_fault_in_the_station_that_cuts_its_own_power_are_accidents() -> None:
    burst = outage("jilin-2012", Cause.WATER, 3.0)
    breaker = replace(outage("jilin-2012", Cause.POWER, 3.0), supply_cut=False)
    keys = [repair_class(pack("jilin-2012"), facts, facts.lost_at).key for facts in (burst, breaker)]
    assert keys == ["general", "general"]


@pytest.mark.parametrize("name", [name for name in ALL if name != "jilin-2012"])
def test_other_documents_know_no_repair_classes_and_say_so(name: str) -> None:
    facts = outage(name, Cause.EQUIPMENT, 30.0)
    assert repair_class(pack(name), facts, facts.lost_at).reason == "silent"
    assert "repair" in pack(name).silent


# --- refund bases

DUE = {
    # hours: {pack: (kind, quantity)}; what is not here is not due
    3.0: {"zibo-2022": ("full_days", 0.0), "baiyin-2023": ("by_day", 1.0)},
    9.0: {"zibo-2022": ("full_days", 0.0), "baiyin-2023": ("by_day", 1.0)},
    13.0: {
        "zhengzhou-2026": ("by_hour", 13.0),
        "zibo-2022": ("full_days", 0.0),
        "baiyin-2023": ("by_day", 1.0),
    },
    26.0: {
        "zhangye-2023": ("by_day", 2.0),
        "zhengzhou-2026": ("by_hour", 26.0),
        "zibo-2022": ("full_days", 1.0),
        "baiyin-2023": ("by_day", 2.0),
    },
}
CLAUSE = {"zhangye-2023": "ZY-35", "zhengzhou-2026": "ZZ-34", "zibo-2022": "ZB-2.4", "baiyin-2023": "BY-18"}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("hours", list(DUE))
def test_the_refund_of_a_stop_by_broken_equipment_is_what_the_document_gives(name: str, hours: float) -> None:
    basis = refund_basis(pack(name), outage(name, Cause.EQUIPMENT, hours))
    assert basis.settled
    if name not in DUE[hours]:
        assert basis.kind is RefundKind.NONE
        assert basis.reason == ("silent" if name == "jilin-2012" else "below_threshold")
        return
    kind, quantity = DUE[hours][name]
    assert (basis.kind, basis.quantity, basis.share, basis.reason) == (kind, quantity, 1.0, "due")
    assert basis.clauses == (CLAUSE[name],)


@pytest.mark.parametrize(
    ("name", "minutes", "reason"),
    [
        ("zhangye-2023", 24 * 60 - 1, "below_threshold"),
        ("zhangye-2023", 24 * 60, "below_threshold"),  # 超过24小时 excludes the figure
        ("zhangye-2023", 24 * 60 + 1, "due"),
        ("zhengzhou-2026", 12 * 60 - 1, "below_threshold"),
        ("zhengzhou-2026", 12 * 60, "due"),  # 十二小时以上 includes it
        ("zhengzhou-2026", 12 * 60 + 1, "due"),
    ],
)
def test_the_refund_limit_includes_its_figure_where_the_text_says_so(
    name: str, minutes: int, reason: str
) -> None:
    assert refund_basis(pack(name), outage(name, Cause.EQUIPMENT, minutes / 60)).reason == reason


@pytest.mark.parametrize(
    ("rounding", "days"), [("exact", 26 / 24), ("full_24h", 1.0), ("started_24h", 2.0), ("calendar_day", 2.0)]
)
def test_days_are_counted_as_the_site_says_where_the_text_does_not(rounding: str, days: float) -> None:
    bound = pack("zhangye-2023").bind({"outage_day_rounding": rounding})
    basis = refund_basis(bound, outage("zhangye-2023", Cause.EQUIPMENT, 26.0))
    assert basis.quantity == pytest.approx(days)


def test_without_a_rounding_the_days_are_missing_not_guessed() -> None:
    basis = refund_basis(load_pack("zhangye-2023"), outage("zhangye-2023", Cause.EQUIPMENT, 26.0))
    assert (basis.kind, basis.quantity, basis.missing) == (RefundKind.BY_DAY, None, ("outage_day_rounding",))


@pytest.mark.parametrize("cause", [Cause.POWER, Cause.WATER])
def test_zhangye_exempts_stops_from_water_or_power_cuts(cause: Cause) -> None:
    facts = replace(outage("zhangye-2023", cause, 26.0), supply_cut=True)
    basis = refund_basis(pack("zhangye-2023"), facts)
    assert (basis.kind, basis.reason, basis.clauses) == (RefundKind.NONE, "exempt", ("ZY-35", "ZY-33(3)"))


def test_zhangye_takes_lost_mains_as_a_power_cut_but_not_lost_water_as_a_water_cut() -> None:
    power = refund_basis(pack("zhangye-2023"), outage("zhangye-2023", Cause.POWER, 26.0))
    water = refund_basis(pack("zhangye-2023"), outage("zhangye-2023", Cause.WATER, 26.0))
    assert power.exemption == "power_cut"
    assert (water.kind, water.missing) == (RefundKind.BY_DAY, ("supply_cut",))


def test_a_burst_is_no_water_cut_and_is_refunded() -> None:
    burst = replace(outage("zhangye-2023", Cause.WATER, 26.0), supply_cut=False)
    basis = refund_basis(pack("zhangye-2023"), burst)
    assert (basis.kind, basis.quantity, basis.settled) == (RefundKind.BY_DAY, 2.0, True)


@pytest.mark.parametrize(
    ("facts", "clause"),
    [
        (replace(STOPPED, trial_run=True), "ZY-33(5)"),
        (replace(STOPPED, maintenance=True), "ZY-33(5)"),
        (replace(STOPPED, user_fault=True), "ZY-33(1)"),
        (replace(STOPPED, supplier_at_fault=False), "ZY-33(7)"),
    ],
)
def test_zhangye_exempts_trial_run_overhaul_and_users_alterations(facts: OutageFacts, clause: str) -> None:
    rule, missing = exemption(pack("zhangye-2023"), facts, "outage")
    assert rule is not None
    assert (rule.clause, missing) == (clause, ())
    assert refund_basis(pack("zhangye-2023"), facts).reason == "exempt"


def test_an_unknown_cause_leaves_the_exemption_open() -> None:
    basis = refund_basis(pack("zhangye-2023"), outage("zhangye-2023", Cause.UNKNOWN, 26.0))
    assert (basis.kind, basis.missing) == (RefundKind.BY_DAY, ("cause",))


def test_zhengzhou_reduces_the_fee_by_the_stop_whatever_its_cause() -> None:
    for cause in Cause:
        basis = refund_basis(pack("zhengzhou-2026"), outage("zhengzhou-2026", cause, 13.0))
        assert (basis.kind, basis.quantity, basis.settled) == (RefundKind.BY_HOUR, 13.0, True)


@pytest.mark.parametrize("name", ["zibo-2022", "baiyin-2023"])
@pytest.mark.parametrize(
    ("cause", "supply_cut", "reason", "missing"),
    [
        (Cause.EQUIPMENT, None, "due", ()),
        (Cause.SOURCE, None, "due", ()),  # by the site's contract parameter
        (Cause.WATER, False, "due", ()),
        (Cause.WATER, True, "not_supplier", ()),
        (Cause.POWER, True, "not_supplier", ()),
        (Cause.POWER, None, "due", ("supply_cut", "supplier_at_fault")),
        (Cause.UNKNOWN, None, "due", ("supplier_at_fault",)),
    ],
)
def test_zibo_and_baiyin_refund_only_what_the_supplier_caused(
    name: str, cause: Cause, supply_cut: bool | None, reason: str, missing: tuple[str, ...]
) -> None:
    basis = refund_basis(pack(name), replace(outage(name, cause, 50.0), supply_cut=supply_cut))
    assert (basis.reason, basis.missing) == (reason, missing)
    assert basis.kind is (RefundKind.NONE if reason == "not_supplier" else basis.kind)


def test_zibo_refunds_nothing_where_the_user_altered_the_system() -> None:
    facts = replace(outage("zibo-2022", Cause.UNKNOWN, 50.0), user_fault=True)
    assert refund_basis(pack("zibo-2022"), facts).reason == "not_supplier"


def test_a_persons_finding_overrules_the_rows_of_the_pack() -> None:
    facts = replace(outage("zibo-2022", Cause.EQUIPMENT, 50.0), supplier_at_fault=False)
    assert refund_basis(pack("zibo-2022"), facts).reason == "not_supplier"
    facts = replace(outage("zibo-2022", Cause.UNKNOWN, 50.0), supplier_at_fault=True)
    assert refund_basis(pack("zibo-2022"), facts).settled


def test_a_finding_against_the_supplier_overrules_an_exemption_by_cause_alone() -> None:
    breaker = replace(outage("zhangye-2023", Cause.POWER, 26.0), supplier_at_fault=True)
    basis = refund_basis(pack("zhangye-2023"), breaker)
    assert (basis.reason, basis.settled) == ("due", True)
    unknown = replace(outage("zhangye-2023", Cause.UNKNOWN, 26.0), supplier_at_fault=True)
    assert refund_basis(pack("zhangye-2023"), unknown).settled


def test_a_lost_source_in_zibo_waits_for_the_contract_or_a_finding() -> None:
    bound = load_pack("zibo-2022").bind({"outage_day_rounding": "full_24h"})
    basis = refund_basis(bound, outage("zibo-2022", Cause.SOURCE, 50.0))
    assert basis.missing == ("supplier_answers_for_source", "supplier_at_fault")


def test_an_outage_that_goes_on_has_a_provisional_basis() -> None:
    facts = outage("zhengzhou-2026", Cause.EQUIPMENT, None)
    early = refund_basis(pack("zhengzhou-2026"), facts, facts.lost_at + 11 * HOUR_S)
    late = refund_basis(pack("zhengzhou-2026"), facts, facts.lost_at + 14 * HOUR_S)
    assert (early.reason, early.missing) == ("below_threshold", ("ended_at",))
    assert (late.reason, late.quantity, late.missing) == ("due", 14.0, ("ended_at",))


def test_a_planned_stop_of_thirty_hours_is_refunded_like_any_other_where_the_text_makes_no_difference() -> (
    None
):
    kinds = {name: refund_basis(pack(name), planned(name, 30.0, 72.0)).kind.value for name in ALL}
    assert kinds == {
        "zhangye-2023": "by_day",
        "zhengzhou-2026": "by_hour",
        "zibo-2022": "full_days",
        "jilin-2012": "none",
        "baiyin-2023": "by_day",
    }


def test_a_stop_in_zibos_commissioning_is_not_in_the_season_yet() -> None:
    facts = replace(outage("zibo-2022", Cause.EQUIPMENT, 50.0), phase=Phase.COMMISSIONING)
    assert refund_basis(pack("zibo-2022"), facts).reason == "out_of_season"
    assert {duty.id for duty in duties(pack("zibo-2022"), facts, facts.lost_at)} == set(ALWAYS["zibo-2022"])
