"""The heating year under the five documents: phases, orders, milestones, reports."""

from datetime import date

import pytest

from edge.rules.civil import add_months, days_touched, end_of, midnight
from edge.rules.facts import Phase, SeasonSetting
from edge.rules.pack import load_pack
from edge.rules.reports import report_cadence
from edge.rules.season import early_end_clause, milestones, room_check_due, season_phase, settlement_due
from edge.tests.rules_stories import local, pack, wall


def day(text: str) -> date:
    return date.fromisoformat(text)


def order(start: str, end: str) -> SeasonSetting:
    return SeasonSetting(day(start), day(end), "张政发〔2026〕1号", "duty officer", 1_790_000_000.0)


@pytest.mark.parametrize(
    ("name", "today", "phase"),
    [
        ("zhangye-2023", "2026-09-30", Phase.OFF),
        ("zhangye-2023", "2026-10-01", Phase.PREPARATION),  # ZY-23: a month before
        ("zhangye-2023", "2026-10-31", Phase.PREPARATION),
        ("zhangye-2023", "2026-11-01", Phase.SEASON),  # ZY-24
        ("zhangye-2023", "2028-02-29", Phase.SEASON),
        ("zhangye-2023", "2027-03-31", Phase.SEASON),
        ("zhangye-2023", "2027-04-01", Phase.OFF),
        ("zhengzhou-2026", "2026-11-14", Phase.OFF),
        ("zhengzhou-2026", "2026-11-15", Phase.SEASON),  # ZZ-16
        ("zhengzhou-2026", "2027-03-15", Phase.SEASON),
        ("zhengzhou-2026", "2027-03-16", Phase.OFF),
        ("zibo-2022", "2026-11-07", Phase.OFF),
        ("zibo-2022", "2026-11-08", Phase.COMMISSIONING),  # ZB-2.1
        ("zibo-2022", "2026-11-14", Phase.COMMISSIONING),
        ("zibo-2022", "2026-11-15", Phase.SEASON),
        ("jilin-2012", "2026-10-19", Phase.OFF),
        ("jilin-2012", "2026-10-20", Phase.SEASON),
    ],
)
def test_a_day_lies_in_the_phase_the_document_says(name: str, today: str, phase: Phase) -> None:
    assert season_phase(pack(name), day(today)).phase is phase


def test_the_season_lasts_to_24_of_its_last_day() -> None:
    assert local(end_of(day("2027-03-31"))) == "2027-04-01 00:00"


@pytest.mark.parametrize(("today", "days"), [("2026-12-01", 151), ("2027-12-01", 152)])
def test_the_season_of_a_leap_year_is_a_day_longer(today: str, days: int) -> None:
    found = season_phase(pack("zhangye-2023"), day(today))
    assert (found.days, found.clause, found.set_by) == (days, "ZY-24", "text")


@pytest.mark.parametrize("name", ["zibo-2022", "jilin-2012", "baiyin-2023"])
def test_where_the_text_is_silent_and_the_site_too_the_season_is_unknown(name: str) -> None:
    found = season_phase(load_pack(name), day("2024-12-20"))
    assert (found.phase, found.set_by, found.start) == (Phase.UNKNOWN, "nobody", None)
    assert found.missing == ("season_start", "season_end")


def test_a_season_that_is_over_asks_for_the_next_where_the_text_names_none() -> None:
    assert season_phase(pack("jilin-2012"), day("2027-04-11")).missing == ("season_start", "season_end")
    assert season_phase(pack("jilin-2012"), day("2027-04-10")).missing == ()


@pytest.mark.parametrize(
    ("setting", "today", "phase"),
    [
        (order("2026-10-20", "2027-03-31"), "2026-10-25", Phase.SEASON),  # early start
        (order("2026-11-01", "2027-04-10"), "2027-04-05", Phase.SEASON),  # extension
        (order("2026-11-01", "2027-04-10"), "2027-04-10", Phase.SEASON),
        (order("2026-11-01", "2027-04-10"), "2027-04-11", Phase.OFF),
        (
            order("2026-11-01", "2027-04-10"),
            "2027-12-01",
            Phase.SEASON,
        ),  # the next winter follows the text again
    ],
)
def test_an_order_with_its_document_moves_the_season(
    setting: SeasonSetting, today: str, phase: Phase
) -> None:
    assert season_phase(pack("zhangye-2023"), day(today), setting).phase is phase


def test_an_order_is_named_with_its_document() -> None:
    found = season_phase(pack("zhangye-2023"), day("2026-10-25"), order("2026-10-20", "2027-03-31"))
    assert (found.set_by, found.document, found.clause) == ("order", "张政发〔2026〕1号", "ZY-24")


def test_a_change_without_a_document_is_not_followed() -> None:
    found = season_phase(
        pack("zhangye-2023"), day("2026-10-25"), SeasonSetting(day("2026-10-20"), day("2027-03-31"))
    )
    assert (found.phase, found.missing) == (Phase.PREPARATION, ("season.document",))


def test_zibo_forbids_an_early_end() -> None:
    assert early_end_clause(pack("zibo-2022")) == "ZB-2.1"
    assert early_end_clause(pack("zhangye-2023")) is None


def test_a_season_must_end_after_it_starts() -> None:
    with pytest.raises(ValueError, match="must end after it starts"):
        SeasonSetting(day("2027-03-15"), day("2026-11-15"))


def test_a_phase_outside_the_validity_says_so() -> None:
    assert season_phase(pack("zibo-2022"), day("2027-12-05")).missing[-1] == "validity"


# --- preparation and settlement


def due(name: str, start: str, fill: str | None = None) -> dict[str, str | None]:
    found = milestones(pack(name), day(start), None if fill is None else day(fill))
    return {one.id: None if one.due is None else local(one.due) for one in found}


def test_zhangye_prepares_a_month_before_with_notice_and_after_the_overhaul() -> None:
    assert due("zhangye-2023", "2026-11-01", "2026-10-05") == {
        "fill_and_trial": "2026-10-01 00:00",  # ZY-23
        "fill_notice": "2026-10-02 00:00",  # ZY-23, the site's three days
        "overhaul_done": "2026-10-05 00:00",  # ZY-29
    }
    bare = milestones(load_pack("zhangye-2023"), day("2026-11-01"), day("2026-10-05"))
    assert bare[1].missing == ("fill_notice_days",)


def test_zhengzhou_is_ready_15_days_before_and_gives_5_days_notice_of_the_filling() -> None:
    assert due("zhengzhou-2026", "2026-11-15", "2026-10-20") == {
        "ready": "2026-10-31 00:00",  # ZZ-19
        "fill_notice": "2026-10-15 00:00",
    }
    assert due("zhengzhou-2026", "2026-11-15")["fill_notice"] is None


def test_zibos_rooms_are_at_standard_by_14_november_24_00() -> None:
    found = {one.id: one for one in milestones(pack("zibo-2022"), day("2026-11-15"))}
    assert found["rooms_at_standard"].due == midnight(day("2026-11-15"))
    daily = found["list_unbalanced_points"]
    assert daily.daily_from is not None
    assert (local(daily.daily_from), daily.clause) == ("2026-11-08 00:00", "ZB-2.1")


def test_zhengzhou_settles_within_two_months_and_measures_within_twelve_hours() -> None:
    settled = settlement_due(pack("zhengzhou-2026"), day("2027-03-15"))
    checked = room_check_due(pack("zhengzhou-2026"), wall("2027-01-10 20:00"))
    assert settled is not None
    assert checked is not None
    assert settled.due is not None
    assert checked.due is not None
    assert (settled.clause, local(settled.due)) == ("ZZ-27", "2027-05-16 00:00")  # 24:00 of 15 May
    assert (checked.clause, local(checked.due)) == ("ZZ-27", "2027-01-11 08:00")
    assert settlement_due(pack("zibo-2022"), day("2027-03-15")) is None
    assert room_check_due(pack("zibo-2022"), 0.0) is None


# --- reports (JL-11)


@pytest.mark.parametrize(
    ("today", "kind", "first", "last"),
    [
        ("2026-10-20", "half_month", "2026-10-16", "2026-10-31"),
        ("2026-12-15", "half_month", "2026-12-01", "2026-12-15"),
        ("2028-02-29", None, None, None),  # the set season is over
        ("2026-12-20", "week", "2026-12-14", "2026-12-20"),  # 关键期
        ("2027-01-01", "day", "2027-01-01", "2027-01-01"),  # 重要时段
        ("2027-02-21", "day", "2027-02-21", "2027-02-21"),
        ("2027-02-22", "half_month", "2027-02-16", "2027-02-28"),
        ("2026-07-01", None, None, None),
    ],
)
def test_jilin_reports_every_half_month_weekly_in_key_periods_and_daily_on_important_days(
    today: str, kind: str | None, first: str | None, last: str | None
) -> None:
    cadence = report_cadence(pack("jilin-2012"), day(today))
    assert (cadence.kind, cadence.clause) == (kind, "JL-11")
    assert cadence.first == (None if first is None else day(first))
    assert cadence.last == (None if last is None else day(last))


def test_a_key_city_reports_daily_all_season() -> None:
    assert (
        report_cadence(pack("jilin-2012").bind({"key_city_or_enterprise": True}), day("2026-12-01")).kind
        == "day"
    )


def test_key_periods_nobody_named_are_missing() -> None:
    bound = load_pack("jilin-2012").bind({"season_start": "2026-10-20", "season_end": "2027-04-10"})
    cadence = report_cadence(bound, day("2026-12-01"))
    assert cadence.kind == "half_month"
    assert cadence.missing == ("key_periods", "key_city_or_enterprise", "important_days")


@pytest.mark.parametrize("name", ["zhangye-2023", "zhengzhou-2026", "zibo-2022", "baiyin-2023"])
def test_other_documents_ask_for_no_regular_report(name: str) -> None:
    assert report_cadence(pack(name), day("2024-01-10")).reason == "silent"


# --- civil time


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2027-01-10 02:00", "2027-01-10 05:00", 1),
        ("2027-01-10 23:59", "2027-01-11 00:01", 2),
        ("2027-01-10 00:00", "2027-01-11 00:00", 1),
        ("2028-02-28 12:00", "2028-03-01 12:00", 3),
        ("2027-01-10 00:00", "2027-01-10 00:00", 0),
    ],
)
def test_days_are_local_calendar_days(start: str, end: str, days: int) -> None:
    assert days_touched(wall(start), wall(end)) == days


def test_months_are_counted_to_the_same_day_or_the_months_last() -> None:
    assert add_months(day("2028-01-31"), 1) == day("2028-02-29")
    assert add_months(day("2027-01-31"), 1) == day("2027-02-28")
    assert add_months(day("2027-01-15"), -2) == day("2026-11-15")
    assert add_months(day("2026-12-15"), 2) == day("2027-02-15")
