"""A technician's mistakes in a site file: each is refused with file, key and remedy, in both languages."""

import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from edge.__main__ import main
from edge.check import load
from edge.loading import Problem, SiteError
from edge.resources import config_dir
from edge.texts import Texts

TODAY = date(2026, 1, 15)
DEMO = (config_dir() / "sites" / "demo.toml").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Mistake:
    """Text to replace in the good file (the first one found), and the key and code expected."""

    what: str
    old: str
    new: str
    key: str
    code: str


MISTAKES = (
    Mistake(
        "a key nobody knows", "maximum_c = 82", "maximum_c = 82\nmaximun_c = 3", "maximun_c", "unknown_key"
    ),
    Mistake("a limit without its unit", "maximum_c = 82", "maximum = 82", "maximum", "unknown_key"),
    Mistake("no unit, so the key is missing", "maximum_c = 82", "maximum = 82", "maximum_c", "missing_key"),
    Mistake(
        "a number in words", "maximum_c = 82", 'maximum_c = "82 degC"', "curve.maximum_c", "not_a_number"
    ),
    Mistake("supply hotter than any network", "maximum_c = 82", "maximum_c = 182", "maximum_c", "too_large"),
    Mistake(
        "minimum above maximum", "minimum_c = 25", "minimum_c = 83", "circuits[high].curve", "limits_order"
    ),
    Mistake("floor heating at 70", "maximum_c = 60", "maximum_c = 70", "circuits[low]", "floor_too_hot"),
    Mistake(
        "a curve out of order", "[-15, 71.3], [-10, 64.9]", "[-10, 64.9], [-15, 71.3]", "curve", "curve_order"
    ),
    Mistake("a curve that rises", "[5, 44.1]", "[5, 55.4]", "circuits[high].curve", "curve_rising"),
    Mistake(
        "a curve of one point",
        ", [-15, 53.8], [-10, 49.1], [-5, 44.4], [0, 39.6], [5, 34.7], [10, 29.6]]",
        "]",
        "circuits[low].curve.points",
        "too_few",
    ),
    Mistake(
        "two devices with one address",
        "unit_id = 22",
        "unit_id = 21",
        "devices[valve_low].unit_id",
        "duplicate_address",
    ),
    Mistake(
        "a Modbus device without address", "unit_id = 22\n", "", "devices[valve_low].unit_id", "no_address"
    ),
    Mistake(
        "an address no line knows", "unit_id = 22", "unit_id = 300", "devices[valve_low].unit_id", "too_large"
    ),
    Mistake(
        "two devices of one name",
        'id = "meter_low"',
        'id = "meter_high"',
        "devices[meter_high].id",
        "duplicate_id",
    ),
    Mistake(
        "a bus that is not there", 'bus = "line1"', 'bus = "line2"', "devices[meter_high].bus", "unknown_bus"
    ),
    Mistake("a kind of bus nobody speaks", 'kind = "opcua"', 'kind = "bacnet"', "buses[plc]", "not_a_choice"),
    Mistake(
        "two writers of one output",
        '"low.valve_setpoint" = "setpoint"',
        '"high.valve_setpoint" = "setpoint"',
        "devices[valve_low].points.high.valve_setpoint",
        "two_writers",
    ),
    Mistake(
        "one point from two meters",
        '"low.primary_flow" = "flow_v1"',
        '"high.primary_flow" = "flow_v1"',
        "devices[meter_low].points.high.primary_flow",
        "two_sources",
    ),
    Mistake("a point nobody maps", '"low.valve_position" = "position"\n', "", "devices[].points", "unmapped"),
    Mistake(
        "a point the trade has not",
        '"low.primary_flow"',
        '"low.primary_flw"',
        "devices[meter_low].points.low.primary_flw",
        "unknown_point",
    ),
    Mistake(
        "a circuit that is not there",
        '"low.primary_flow"',
        '"middle.primary_flow"',
        "devices[meter_low].points.middle.primary_flow",
        "unknown_circuit",
    ),
    Mistake(
        "a register the profile has not",
        '"low.valve_position" = "position"',
        '"low.valve_position" = "positon"',
        "devices[valve_low].points.low.valve_position",
        "unknown_register",
    ),
    Mistake(
        "an output on a read-only register",
        '"low.valve_setpoint" = "setpoint"',
        '"low.valve_setpoint" = "position"',
        "devices[valve_low].points.low.valve_setpoint",
        "not_writable",
    ),
    Mistake(
        "a flow read as a temperature",
        '"low.primary_return_temperature" = "temperature_t2"',
        '"low.primary_return_temperature" = "flow_v1"',
        "low.primary_return_temperature",
        "unit",
    ),
    Mistake(
        "a profile that is not there",
        'profile = "siemens_rdf302"',
        'profile = "siemens_rdf999"',
        "devices[room_h1].profile",
        "profile",
    ),
    Mistake(
        "a Modbus device on OPC UA", 'bus = "line1"', 'bus = "plc"', "devices[meter_high].profile", "protocol"
    ),
    Mistake("two buses on one port", "port = 1503", "port = 1502", "buses[rooms]", "duplicate_port"),
    Mistake(
        "OPC UA in the clear, unsaid",
        "insecure = true",
        "insecure = false",
        "buses[plc].insecure",
        "opcua_insecure",
    ),
    Mistake("a regulation nobody wrote", "zhangye-2023", "zhangye-2033", "regulation.pack", "pack"),
    Mistake(
        "a season the text names itself",
        "[regulation.parameters]",
        "season_start = 2025-11-01\nseason_end = 2026-03-31\n[regulation.parameters]",
        "regulation.season_start",
        "season_in_text",
    ),
    Mistake(
        "a season that ends before it starts",
        "[regulation.parameters]",
        "season_start = 2026-11-01\nseason_end = 2026-03-31\n[regulation.parameters]",
        "regulation",
        "season_order",
    ),
    Mistake(
        "what the contract must say, unsaid",
        "fill_notice_days = 7\n",
        "",
        "regulation.parameters.fill_notice_days",
        "parameter_missing",
    ),
    Mistake(
        "a parameter the text has not",
        "fill_notice_days = 7",
        "fill_notice_days = 7\nfill_notice_hours = 1",
        "regulation.parameters.fill_notice_hours",
        "parameter_unknown",
    ),
    Mistake(
        "make-up below the pump's own limit",
        "setpoint_bar = 3.0",
        "setpoint_bar = 0.5",
        "circuits[low].pressurisation.setpoint_bar",
        "pressure_order",
    ),
    Mistake("half a line", "maximum_c = 82", "maximum_c =", "-", "not_toml"),
)


def problems(path: Path, today: date = TODAY) -> tuple[Problem, ...]:
    with pytest.raises(SiteError) as caught:
        load(path, today)
    return caught.value.problems


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.what)
def test_a_mistake_is_refused_with_its_place_and_its_remedy(mistake: Mistake, tmp_path: Path) -> None:
    assert mistake.old in DEMO, "the demo's site file has changed: adapt this mistake"
    path = tmp_path / "site.toml"
    path.write_text(DEMO.replace(mistake.old, mistake.new, 1), encoding="utf-8")
    found = [
        problem for problem in problems(path) if problem.code == mistake.code and mistake.key in problem.key
    ]
    assert found
    assert {problem.file for problem in found} == {str(path)}
    for language in ("zh", "en"):
        texts = Texts.load(language)
        for key in (f"check.{mistake.code}", f"check.{mistake.code}.remedy"):
            assert key in texts
            assert "{" not in texts(key, **found[0].values)


def test_the_command_says_file_key_and_remedy_and_ends_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "site.toml"
    path.write_text(DEMO.replace("unit_id = 22", "unit_id = 21"), encoding="utf-8")
    assert main(["check", str(path), "--lang", "en", "--date", "2026-01-15"]) == 1
    said = capsys.readouterr().err
    assert (
        f"{path}: devices[valve_low].unit_id: address 21 on bus line1 already belongs to valve_high" in said
    )
    assert "give each device on a bus its own unit_id" in said


def test_a_good_site_ends_with_zero_and_names_its_regulation(capsys: pytest.CaptureFixture[str]) -> None:
    site = config_dir() / "sites" / "demo.toml"
    assert main(["check", str(site), "--lang", "zh", "--date", "2026-01-15"]) == 0
    assert "张掖市城市供热管理办法" in capsys.readouterr().out


def test_a_pack_out_of_force_names_the_document_and_its_dates(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(DEMO, encoding="utf-8")
    (found,) = problems(path, date(2028, 8, 27))
    assert (found.key, found.code) == ("regulation.pack", "pack_not_in_force")
    assert {"张政发〔2023〕93号", "2023-08-27", "2028-08-26"} <= set(found.values.values())
    assert load(path, date(2028, 8, 26)).pack.id == "zhangye-2023"


def test_a_certificate_that_is_missing_is_told_by_check_and_stops_no_plant(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(DEMO.replace("[upstream]\n", '[upstream]\nca_file = "gone.pem"\n'), encoding="utf-8")
    assert [problem.code for problem in problems(path)] == ["no_such_file"]
    assert load(path, None).site.upstream is not None  # it may be back with the next session


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        DEMO.replace("unit_id = 22", "unit_id = 21").replace("port = 1503", "port = 1502"), encoding="utf-8"
    )
    assert {problem.code for problem in problems(path)} == {"duplicate_address", "duplicate_port"}


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    (found,) = problems(tmp_path / "nowhere.toml")
    assert found.code == "no_file"


def test_every_code_has_its_words() -> None:
    data = tomllib.loads((config_dir() / "texts" / "check.toml").read_text(encoding="utf-8"))
    codes = {key.split(".")[1] for key in data}
    assert {f"check.{code}" for code in codes} | {f"check.{code}.remedy" for code in codes} == set(data)
