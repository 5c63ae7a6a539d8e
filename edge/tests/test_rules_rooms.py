"""Rooms under the five documents: thresholds, the verdict on a day, bands, pass share, sampling."""

from dataclasses import replace
from datetime import date

import pytest

from drivers import Reading, Reason, Unit
from edge.rules.facts import Phase, RoomDay, RoomPlace, UsageRates
from edge.rules.judge import Outcome
from edge.rules.room_refund import refund_band
from edge.rules.rooms import RoomVerdict, pass_share, room_verdict, sample_counts
from edge.rules.sampling import sample_coverage
from edge.rules.threshold import room_threshold
from edge.tests.rules_stories import pack, readings, wall

DAY = date(2027, 1, 10)


def room(*temperatures: float, day: date = DAY, first_hour: int = 0) -> RoomDay:
    return RoomDay("r1", day, readings(day, *temperatures, first_hour=first_hour), supplier_at_fault=True)


@pytest.mark.parametrize(("name", "clause"), [("zhangye-2023", "ZY-25"), ("zhengzhou-2026", "ZZ-26")])
@pytest.mark.parametrize(("lowest", "outcome"), [(17.9, Outcome.FAIL), (18.0, Outcome.PASS)])
def test_a_room_complies_at_18_and_not_below(name: str, clause: str, lowest: float, outcome: Outcome) -> None:
    verdict = room_verdict(pack(name), room(lowest, 20.0, 20.0))
    assert verdict.outcome is outcome
    assert verdict.clauses[0] == clause
    assert (verdict.value_c, verdict.threshold.value_c) == (lowest, 18.0)


def test_zhengzhou_judges_every_reading_of_day_and_night_not_the_mean() -> None:
    verdict = room_verdict(pack("zhengzhou-2026"), room(*[21.0] * 23, 17.9))
    assert verdict.outcome is Outcome.FAIL
    mean = verdict.evidence["mean_c"]
    assert isinstance(mean, float)
    assert mean > 20


@pytest.mark.parametrize(
    ("time", "counts"),
    [("09:59", True), ("10:00", False), ("12:30", False), ("16:00", False), ("16:01", True), ("00:00", True)],
)
def test_zhangye_does_not_count_readings_from_ten_to_sixteen(time: str, counts: bool) -> None:
    moment = wall(f"2027-01-10 {time}")
    assert sample_counts(pack("zhangye-2023"), moment) is counts
    assert sample_counts(pack("zhengzhou-2026"), moment) is True


def test_a_cold_noon_does_not_count_in_zhangye_and_does_in_zhengzhou() -> None:
    facts = room(*[20.0] * 12, 15.0, *[20.0] * 11)
    assert room_verdict(pack("zhangye-2023"), facts).outcome is Outcome.PASS
    assert room_verdict(pack("zhengzhou-2026"), facts).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("estate", "zone", "value", "reason"),
    [
        (30.0, 70.0, 18.0, ""),
        (30.0, 69.9, 16.0, "contract"),
        (30.0, 30.0, 16.0, "contract"),
        (30.0, 29.9, 16.0, "by_agreement"),
        (29.9, 70.0, None, "silent"),  # the text says nothing of estates below 30 %
    ],
)
def test_zibo_chooses_the_threshold_by_the_two_usage_rates(
    estate: float, zone: float, value: float | None, reason: str
) -> None:
    threshold = room_threshold(pack("zibo-2022"), UsageRates(estate, zone))
    assert (threshold.value_c, threshold.reason, threshold.clauses) == (value, reason, ("ZB-2.2",))


def test_zibo_asks_for_the_contracts_figure_and_the_provincial_conditions_where_nobody_gave_them() -> None:
    zibo = pack("zibo-2022").model_copy(update={"values": {"provincial_conditions_met": True}})
    assert room_threshold(zibo, UsageRates(50.0, 50.0)).missing == ("contract_threshold_c",)
    assert room_threshold(zibo).missing == ("estate_usage_percent", "zone_usage_percent")
    bare = zibo.model_copy(update={"values": {}})
    assert room_threshold(bare, UsageRates(50.0, 80.0)).missing == ("provincial_conditions_met",)
    assert room_verdict(bare, room(20.0)).outcome is Outcome.UNDECIDED


def test_the_rooms_own_rates_and_contract_stand_before_the_sites() -> None:
    facts = replace(room(17.0), usage=UsageRates(60.0, 50.0), contract_c=16.5)
    verdict = room_verdict(pack("zibo-2022"), facts)
    assert (verdict.outcome, verdict.threshold.value_c) == (Outcome.PASS, 16.5)


@pytest.mark.parametrize(
    ("temperature", "share"),
    [(18.0, None), (17.9, 0.2), (16.0, 0.2), (15.9, 0.5), (12.0, 0.5), (11.9, 1.0), (-5.0, 1.0)],
)
def test_zibos_bands_include_their_lower_end(temperature: float, share: float | None) -> None:
    band = refund_band(pack("zibo-2022"), temperature)
    assert (None if band is None else band.share) == share
    refund = room_verdict(pack("zibo-2022"), room(temperature, 20.0)).refund
    assert refund.share == share
    assert refund.reason == ("compliant" if share is None else "due")
    assert refund.clauses == ("ZB-2.4",)


def test_the_temperature_that_finds_the_band_is_the_sites_to_name() -> None:
    facts = room(15.0, 19.0)
    by_mean = room_verdict(pack("zibo-2022").bind({"refund_day_value": "mean"}), facts)
    assert (by_mean.outcome, by_mean.refund.share) == (Outcome.FAIL, 0.2)
    values = {k: v for k, v in pack("zibo-2022").values.items() if k != "refund_day_value"}
    unnamed = room_verdict(pack("zibo-2022").model_copy(update={"values": values}), facts)
    assert (unnamed.refund.share, unnamed.refund.missing) == (None, ("refund_day_value",))


def test_zibo_refunds_cold_rooms_only_when_the_supplier_is_the_cause() -> None:
    zibo = pack("zibo-2022")
    unknown = room_verdict(zibo, replace(room(15.0), supplier_at_fault=None)).refund
    assert (unknown.share, unknown.missing) == (0.5, ("supplier_at_fault",))
    assert room_verdict(zibo, replace(room(15.0), supplier_at_fault=False)).refund.reason == "not_supplier"
    altered = room_verdict(zibo, replace(room(15.0), user_fault=True)).refund
    assert (altered.reason, altered.share) == ("exempt", None)


def test_zibos_bands_hold_only_where_the_fee_is_by_area() -> None:
    refund = room_verdict(pack("zibo-2022").bind({"charged_by_area": False}), room(15.0)).refund
    assert (refund.reason, refund.share) == ("condition", None)


def test_a_room_below_its_contract_and_above_all_bands_has_no_share_in_the_text() -> None:
    facts = replace(room(19.0), usage=UsageRates(60.0, 50.0), contract_c=20.0)
    verdict = room_verdict(pack("zibo-2022"), facts)
    assert (verdict.outcome, verdict.refund.reason) == (Outcome.FAIL, "no_band")


@pytest.mark.parametrize(
    ("name", "kind", "share", "clause"),
    [
        ("zhangye-2023", "by_time", 0.5, "ZY-33"),
        ("zhengzhou-2026", "by_day", 0.3, "ZZ-27"),
        ("baiyin-2023", "by_day", 1.0, "BY-18"),
        ("jilin-2012", "none", None, None),
    ],
)
def test_other_documents_leave_the_share_of_a_cold_day_to_the_contract(
    name: str, kind: str, share: float | None, clause: str | None
) -> None:
    day = date(2024, 1, 10) if name == "baiyin-2023" else DAY
    verdict = room_verdict(pack(name), room(15.0, 15.0, day=day))
    assert verdict.outcome is Outcome.FAIL
    assert (verdict.refund.kind, verdict.refund.share) == (kind, share)
    assert clause is None or clause in verdict.refund.clauses
    assert (verdict.missing, verdict.refund.missing) == ((), ())


def test_zhengzhou_does_not_answer_for_rooms_the_users_own_acts_made_cold() -> None:
    refund = room_verdict(pack("zhengzhou-2026"), replace(room(15.0), user_fault=True)).refund
    assert (refund.reason, refund.clauses) == ("exempt", ("ZZ-27", "ZZ-28"))


def test_a_shop_is_judged_by_the_contract() -> None:
    shop = replace(room(16.0), residential=False)
    assert room_verdict(pack("zhangye-2023"), shop).missing == ("non_residential_threshold_c",)
    bound = pack("zhangye-2023").bind({"non_residential_threshold_c": 16.0})
    assert room_verdict(bound, shop).outcome is Outcome.PASS
    assert room_verdict(pack("zibo-2022"), shop).outcome is Outcome.NOT_APPLICABLE


def test_bad_readings_are_no_evidence_and_many_of_them_leave_a_warm_day_undecided() -> None:
    bad = tuple(
        Reading.bad(Reason.NO_ANSWER, Unit.CELSIUS, wall(f"2027-01-10 0{hour}:30")) for hour in range(4)
    )
    facts = room(*[20.0] * 8)
    patchy = replace(facts, readings=(*facts.readings, *bad))
    verdict = room_verdict(pack("zhengzhou-2026"), patchy)
    assert (verdict.outcome, verdict.missing) == (Outcome.UNDECIDED, ("readings",))
    assert verdict.evidence["not_good"] == 4
    cold = replace(facts, readings=(*readings(DAY, 15.0), *bad))
    assert room_verdict(pack("zhengzhou-2026"), cold).outcome is Outcome.FAIL
    assert room_verdict(pack("zhengzhou-2026"), room()).outcome is Outcome.UNDECIDED


def test_readings_of_another_local_day_do_not_count() -> None:
    facts = room(20.0)
    midnight = wall("2027-01-11 00:00")
    after = Reading.good(10.0, Unit.CELSIUS, midnight)
    before = Reading.good(19.0, Unit.CELSIUS, midnight - 1)
    verdict = room_verdict(pack("zhengzhou-2026"), replace(facts, readings=(*facts.readings, before, after)))
    assert verdict.evidence["readings"] == 2
    assert verdict.value_c == 19.0


def test_room_readings_must_be_in_degrees_celsius() -> None:
    with pytest.raises(ValueError, match="degC"):
        RoomDay("r1", DAY, (Reading.good(291.0, Unit.KILOWATT, 0.0),))


def test_out_of_season_there_is_no_verdict() -> None:
    facts = replace(room(12.0), phase=Phase.OFF)
    verdict = room_verdict(pack("zhangye-2023"), facts)
    assert (verdict.outcome, verdict.refund.reason) == (Outcome.NOT_APPLICABLE, "compliant")
    assert room_verdict(pack("zhangye-2023"), replace(facts, phase=Phase.UNKNOWN)).missing == ("season",)


def outcomes(passed: int, failed: int, undecided: int = 0) -> list[Outcome]:
    return [Outcome.PASS] * passed + [Outcome.FAIL] * failed + [Outcome.UNDECIDED] * undecided


@pytest.mark.parametrize(
    ("counts", "met"),
    [
        ((97, 3), True),
        ((96, 4), False),
        ((969, 31), False),
        ((970, 30), True),
        ((97, 2, 1), True),
        ((0, 0), None),
    ],
)
def test_zhangye_wants_97_percent_of_the_rooms_the_figure_included(
    counts: tuple[int, ...], met: bool | None
) -> None:
    share = pass_share(pack("zhangye-2023"), outcomes(*counts))
    assert (share.met, share.required_percent, share.clause) == (met, 97.0, "ZY-25")


def test_a_pass_share_that_undecided_rooms_could_tip_is_open() -> None:
    share = pass_share(pack("zhangye-2023"), outcomes(96, 2, 2))
    assert share.met is None
    assert share.share_percent == pytest.approx(100 * 96 / 98)


def test_where_no_pass_rate_is_asked_the_share_is_only_reported() -> None:
    share = pass_share(pack("baiyin-2023"), outcomes(9, 1))
    assert (share.share_percent, share.met, share.clause) == (90.0, None, None)


def place(name: str, position: str, floor: str, orientation: str) -> RoomPlace:
    return RoomPlace(name, position, floor, orientation, height_m=1.2, wall_distance_m=0.5)


FULL = (
    place("a", "middle", "top", "north"),
    place("b", "end", "middle", "south"),
    place("c", "end", "low", "south"),
)


def test_zhangyes_sample_covers_middle_and_end_three_floors_and_several_orientations() -> None:
    coverage = sample_coverage(pack("zhangye-2023"), FULL)
    assert (coverage.complete, coverage.clause, coverage.signatures) == (True, "ZY-31", ("inspector", "user"))


@pytest.mark.parametrize(
    ("places", "missing"),
    [
        (FULL[1:], ("position.middle", "floor.top", "orientations")),
        ((*FULL, replace(FULL[0], room="d", height_m=1.6)), ("height:d",)),
        ((*FULL, replace(FULL[0], room="d", wall_distance_m=None)), ("wall_distance:d",)),
        ((*FULL, replace(FULL[0], room="d", wall_distance_m=0.4)), ("wall_distance:d",)),
    ],
)
def test_a_sample_that_misses_a_place_is_incomplete_and_says_what(
    places: tuple[RoomPlace, ...], missing: tuple[str, ...]
) -> None:
    coverage = sample_coverage(pack("zhangye-2023"), places)
    assert (coverage.complete, coverage.missing) == (False, missing)


def test_where_the_text_leaves_the_places_to_other_rules_no_sample_is_called_complete() -> None:
    assert sample_coverage(pack("zhengzhou-2026"), FULL).complete is None
    assert sample_coverage(pack("zhengzhou-2026"), FULL).clause == "ZZ-24(5)"
    assert sample_coverage(pack("jilin-2012"), FULL).clause is None


def test_a_verdict_can_be_compared_and_kept() -> None:
    first: RoomVerdict = room_verdict(pack("zhangye-2023"), room(20.0))
    assert first == room_verdict(pack("zhangye-2023"), room(20.0))
