"""What `check` says of addresses and hosts that cannot be, or that are somebody else's."""

from datetime import date
from pathlib import Path

import pytest

from edge.check import load
from edge.loading import Problem, SiteError
from edge.tests.test_check import DEMO

LINE = """
[[buses]]
id = "meters"
kind = "{kind}"
host = "127.0.0.1"
port = 1600
"""
METER = """
[[devices]]
id = "{id}"
bus = "meters"
profile = "{profile}"
address = "{address}"
[devices.points]
"{point}" = "supply_temperature"
"""
PROFILES = {"mbus": "mbus_heat_meter", "cjt188": "cjt188_standard"}


def with_meters(folder: Path, kind: str, *addresses: str) -> Path:
    """The demo's site and a line of meters; the first stands in for a sensor, the second has an alias."""
    text = DEMO + LINE.format(kind=kind)
    for number, address in enumerate(addresses):
        point = ("station.primary_supply_temperature", "high.primary_supply_temperature")[number]
        text += METER.format(id=f"extra_{number}", profile=PROFILES[kind], address=address, point=point)
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def found(path: Path) -> list[Problem]:
    try:
        load(path, date(2026, 1, 15))
    except SiteError as error:
        return [each for each in error.problems if "address" in each.code or each.code == "host"]
    return []


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("mbus", "5", "05"),
        ("mbus", "12345678", "12345678.KAM.35.04"),
        ("mbus", "FFFFFFFF", "7"),
        ("cjt188", "12345678", "00000012345678"),
        ("cjt188", "AAAAAAAAAAAAAA", "1"),
    ],
)
def test_one_meter_under_two_addresses_is_told(tmp_path: Path, kind: str, one: str, other: str) -> None:
    (problem,) = found(with_meters(tmp_path, kind, one, other))
    assert (problem.key, problem.code) == ("devices[extra_1].address", "duplicate_address")
    assert problem.values["other"] == "extra_0"


@pytest.mark.parametrize(("kind", "address"), [("mbus", "251"), ("mbus", "ABC"), ("cjt188", "12AB")])
def test_an_address_that_cannot_be_is_told_with_its_place(tmp_path: Path, kind: str, address: str) -> None:
    (problem,) = found(with_meters(tmp_path, kind, address))
    assert (problem.key, problem.code, problem.values["given"]) == (
        "devices[extra_0].address",
        "address",
        address,
    )


def test_two_meters_are_no_fault(tmp_path: Path) -> None:
    assert found(with_meters(tmp_path, "mbus", "5", "12345678")) == []
