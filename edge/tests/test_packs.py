"""The packs as data: what is shipped, and how broken ones are refused."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from edge.resources import config_dir
from edge.rules.checks import walk
from edge.rules.pack import NotInForceError, PackError, load_pack, parse_pack, required_parameters
from edge.rules.sections import Cited

SHIPPED = ("zhangye-2023", "zhengzhou-2026", "zibo-2022", "jilin-2012", "baiyin-2023")


def raw(pack: str) -> dict[str, Any]:
    return tomllib.loads((config_dir() / "regulations" / f"{pack}.toml").read_text(encoding="utf-8"))


def refusal(broken: dict[str, Any]) -> str:
    with pytest.raises(PackError) as caught:
        parse_pack(broken, "broken.toml")
    for line in str(caught.value).splitlines():
        assert line.startswith("broken.toml: ")
        assert "; remedy: " in line
    return str(caught.value)


def test_exactly_five_documents_are_shipped() -> None:
    assert {path.stem for path in (config_dir() / "regulations").glob("*.toml")} == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_rule_of_a_shipped_pack_carries_its_clause_and_its_words(name: str) -> None:
    pack = load_pack(name)
    cited = [section for _, section in walk(pack) if isinstance(section, Cited)]
    assert pack.id == name
    assert len(cited) > 5
    assert all(section.clause.startswith(pack.document.prefix + "-") for section in cited)
    assert all(any("一" <= letter <= "鿿" for letter in section.words) for section in cited)
    assert all(section.gloss.isascii() for section in cited)


@pytest.mark.parametrize("name", SHIPPED)
def test_everything_a_pack_says_to_people_is_in_the_catalogue(name: str) -> None:
    texts = tomllib.loads((config_dir() / "texts" / "rules.toml").read_text(encoding="utf-8"))
    pack = load_pack(name)
    keys = [f"duty.{duty.id}" for duty in pack.duties]
    keys += [f"recipient.{duty.recipient}" for duty in pack.duties]
    keys += [f"urgency.{duty.deadline.urgency}" for duty in pack.duties]
    keys += [f"content.{content}" for duty in pack.duties for content in duty.contents]
    keys += [f"milestone.{milestone.id}" for milestone in pack.milestones]
    keys += [f"silent.{topic}" for topic in pack.silent]
    keys += [f"cadence.{report.cadence}" for report in pack.reports]
    keys += [f"repair.{one.key}" for one in (pack.repair.classes if pack.repair else ())]
    keys += [
        f"missing.{one.name}" for one in pack.parameters if one.topic not in ("severe_cold", "retention")
    ]
    assert [key for key in keys if key not in texts] == []
    assert all(set(text) == {"zh", "en"} for text in texts.values())


@pytest.mark.parametrize(
    ("name", "before", "first", "last", "after"),
    [
        ("zhangye-2023", "2023-08-26", "2023-08-27", "2028-08-26", "2028-08-27"),
        ("zibo-2022", "2022-12-04", "2022-12-05", "2027-12-04", "2027-12-05"),
        ("baiyin-2023", "2023-09-17", "2023-09-18", "2024-12-31", "2025-01-01"),
    ],
)
def test_a_day_outside_the_validity_is_refused_with_the_document_and_its_dates(
    name: str, before: str, first: str, last: str, after: str
) -> None:
    pack = load_pack(name)
    assert [pack.in_force(date.fromisoformat(day)) for day in (before, first, last, after)] == [
        False,
        True,
        True,
        False,
    ]
    with pytest.raises(NotInForceError) as caught:
        pack.require_in_force(date.fromisoformat(after))
    for told in (pack.document.title, pack.document.number, first, last, after):
        assert told in str(caught.value)


@pytest.mark.parametrize(("name", "first"), [("zhengzhou-2026", "2026-04-01"), ("jilin-2012", "2012-08-28")])
def test_a_document_without_an_end_stays_in_force(name: str, first: str) -> None:
    pack = load_pack(name)
    assert pack.in_force(date(2099, 1, 1))
    with pytest.raises(NotInForceError, match=f"from {first}, open end"):
        pack.require_in_force(date(2012, 8, 27))


@pytest.mark.parametrize(
    ("name", "silent"),
    [
        ("zhangye-2023", {"repair", "reports", "room_check", "settlement", "retention"}),
        ("zhengzhou-2026", {"pass_rate", "repair", "reports", "severe_cold", "retention"}),
        ("jilin-2012", {"season", "refund_room", "refund_outage", "pass_rate"}),
        ("zibo-2022", {"season", "repair", "reports", "pass_rate"}),
        ("baiyin-2023", {"season", "duties", "repair", "reports", "pass_rate"}),
    ],
)
def test_a_pack_says_where_its_text_is_silent(name: str, silent: set[str]) -> None:
    assert silent <= set(load_pack(name).silent)


def test_what_a_text_leaves_open_is_a_parameter_without_a_default() -> None:
    pack = load_pack("zhengzhou-2026")
    assert [one.name for one in required_parameters(pack)] == ["report_within_h", "room_refund_share"]
    bound = pack.bind({"report_within_h": 1.5})
    assert [one.name for one in required_parameters(bound)] == ["room_refund_share"]
    assert pack.number("report_within_h") is None
    assert bound.number("report_within_h") == 1.5


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("outage_day_rounding", "by_feeling", "is none of exact, full_24h, started_24h, calendar_day"),
        ("room_refund_share", 1.5, "lies outside 0.0 to 1.0"),
        ("room_refund_share", True, "is no number"),
        ("mystery", 1.0, "the pack has no such parameter"),
    ],
)
def test_a_parameter_the_pack_does_not_know_or_cannot_take_is_refused(
    name: str, value: float | str | bool, told: str
) -> None:
    with pytest.raises(PackError, match="parameters of zhangye-2023") as caught:
        load_pack("zhangye-2023").bind({name: value})
    assert name in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize("value", ["2026-12-20/2026-12-01", "soon", "2026-13-01"])
def test_a_list_of_periods_must_be_dates_in_order(value: str) -> None:
    with pytest.raises(PackError, match="key_periods"):
        load_pack("jilin-2012").bind({"key_periods": value})


def test_a_missing_clause_id_is_refused() -> None:
    broken = raw("zhangye-2023")
    del broken["duties"][1]["clause"]
    told = refusal(broken)
    assert "duties.1.clause: Field required" in told
    assert "cite the clause" in told


def test_a_clause_of_another_document_is_refused() -> None:
    broken = raw("zhangye-2023")
    broken["room"]["clause"] = "ZZ-26"
    assert "room.clause: ZZ-26 is no clause of zhangye-2023" in refusal(broken)


def test_an_unknown_key_is_refused() -> None:
    broken = raw("zhangye-2023")
    broken["room"]["treshold_c"] = 20.0
    assert "room.treshold_c: Extra inputs are not permitted; remedy: remove it" in refusal(broken)


def test_overlapping_bands_are_refused() -> None:
    broken = raw("zibo-2022")
    broken["refund_room"]["bands"][0]["from_c"] = 15.5
    assert "refund_room.bands: the bands below 16.0 and below 18.0 are overlapping" in refusal(broken)


def test_a_gap_between_bands_is_refused() -> None:
    broken = raw("zibo-2022")
    broken["refund_room"]["bands"][0]["from_c"] = 16.5
    assert "refund_room.bands: a gap from 16.0 to 16.5" in refusal(broken)


def test_a_gap_below_the_coldest_band_is_refused() -> None:
    broken = raw("zibo-2022")
    broken["refund_room"]["bands"][2]["from_c"] = 5.0
    assert "refund_room.bands: a gap below 5.0" in refusal(broken)


def test_a_share_that_falls_as_rooms_get_colder_is_refused() -> None:
    broken = raw("zibo-2022")
    broken["refund_room"]["bands"][2]["share"] = 0.1
    assert "the share falls from 0.5 to 0.1 as the room gets colder" in refusal(broken)


def test_a_season_without_an_end_is_refused() -> None:
    broken = raw("zhangye-2023")
    del broken["season"]["end"]
    assert "season.end: Field required" in refusal(broken)


@pytest.mark.parametrize("day", ["02-30", "13-01", "11-31"])
def test_a_season_on_a_day_no_calendar_has_is_refused(day: str) -> None:
    broken = raw("zhangye-2023")
    broken["season"]["start"] = day
    assert "season.start: " in refusal(broken)


def test_a_validity_that_ends_before_it_begins_is_refused() -> None:
    broken = raw("zhangye-2023")
    broken["validity"]["to"] = date(2023, 1, 1)
    assert "validity: Value error, `to` lies before `from`" in refusal(broken)


def test_a_commissioning_that_ends_before_it_starts_is_refused() -> None:
    broken = raw("zibo-2022")
    broken["phases"][0]["end"] = "11-01"
    assert "phases.0.end: the phase ends before it starts" in refusal(broken)


def test_a_topic_neither_ruled_nor_called_silent_is_refused() -> None:
    broken = raw("zhangye-2023")
    broken["silent"].remove("repair")
    assert "repair: no rule, and not named in `silent`" in refusal(broken)


def test_a_topic_both_ruled_and_called_silent_is_refused() -> None:
    broken = raw("zhangye-2023")
    broken["silent"].append("room")
    assert "room: called silent, and a rule is given" in refusal(broken)


def test_a_rule_that_names_an_undeclared_parameter_is_refused() -> None:
    broken = raw("zhengzhou-2026")
    broken["parameters"] = [one for one in broken["parameters"] if one["name"] != "report_within_h"]
    assert "duties.1.deadline.hours_parameter: no parameter report_within_h" in refusal(broken)


def test_a_parameter_no_rule_needs_is_refused() -> None:
    broken = raw("zhengzhou-2026")
    broken["parameters"].append({**broken["parameters"][0], "name": "idle"})
    assert "parameters.idle: no rule needs it" in refusal(broken)


def test_repair_classes_out_of_order_are_refused() -> None:
    broken = raw("jilin-2012")
    classes = broken["repair"]["classes"]
    classes[0], classes[1] = classes[1], classes[0]
    assert "repair.classes: general does not lie above larger" in refusal(broken)


def test_a_duty_given_twice_is_refused() -> None:
    broken = raw("zhangye-2023")
    broken["duties"].append(broken["duties"][0])
    assert "duties: restore is given twice" in refusal(broken)


def test_a_pack_cannot_bind_its_own_parameters() -> None:
    assert "values: a pack has no values of its own" in refusal({**raw("zhangye-2023"), "values": {}})


def test_all_faults_of_a_pack_are_told_at_once() -> None:
    broken = raw("zhangye-2023")
    del broken["room"]["clause"]
    del broken["season"]["end"]
    broken["surprise"] = 1
    told = refusal(broken)
    assert all(key in told for key in ("room.clause", "season.end", "surprise"))


def test_a_file_that_is_not_there_or_no_toml_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="zhangye-2023"):
        load_pack("atlantis-2030")
    path = tmp_path / "torn.toml"
    path.write_text("[document", encoding="utf-8")
    with pytest.raises(PackError, match=r"torn\.toml: file: "):
        load_pack(path)
