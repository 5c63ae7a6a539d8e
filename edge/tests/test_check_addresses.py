"""What `check` says of addresses and hosts that cannot be, or that are somebody else's."""

import re
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


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0..5",
        "10.0.0.300",
        "a" * 64,
        "-plc",
        "plc_",
        "heat meter",
        "",
        "fe80::1::2",
        ".",
        "x." * 130 + "y",
    ],
)
@pytest.mark.parametrize(
    ("old", "key"),
    [
        ('kind = "modbus-tcp"\nhost = "127.0.0.1"', "buses[drives].host"),
        ('kind = "mbus"\nhost = "127.0.0.1"', "buses[meters].host"),
        ('host = "127.0.0.1"\nport = 1883', "upstream.host"),
    ],
)
def test_a_host_that_cannot_be_is_told_with_its_place(tmp_path: Path, old: str, key: str, host: str) -> None:
    path = with_meters(tmp_path, "mbus", "5")
    text = path.read_text(encoding="utf-8")
    assert old in text, "the demo's site file has changed: adapt this test"
    path.write_text(text.replace(old, old.replace("127.0.0.1", host), 1), encoding="utf-8")
    assert [(each.key, each.code) for each in found(path)] == [(key, "host")]


@pytest.mark.parametrize(
    "url",
    ["[fe80::1", "10.0.0..5:4840", "plc:99999", "plc:x", ":4840", "[plc]:4840", "a" * 64, "fe80::1:4840"],
)
def test_an_opc_ua_address_that_cannot_be_is_told_with_its_place(tmp_path: Path, url: str) -> None:
    path = with_meters(tmp_path, "mbus", "5")
    text = re.sub(r"opc\.tcp://[^\"]+", f"opc.tcp://{url}", path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    assert [(each.key, each.code) for each in found(path)] == [("buses[plc].url", "host")]


@pytest.mark.parametrize("host", ["10.0.0.5", "fe80::1", "fe80::1%eth0", "plc-1.heat.example", "PLC7", "p."])
def test_a_host_that_may_be_is_not_refused(tmp_path: Path, host: str) -> None:
    path = with_meters(tmp_path, "mbus", "5")
    path.write_text(path.read_text(encoding="utf-8").replace("127.0.0.1", host, 1), encoding="utf-8")
    assert found(path) == []


@pytest.mark.parametrize("url", ["[fe80::1]:4840", "plc", "plc:4840/path", "10.0.0.5:4840/UA/Server"])
def test_an_opc_ua_address_that_may_be_is_not_refused(tmp_path: Path, url: str) -> None:
    path = with_meters(tmp_path, "mbus", "5")
    text = re.sub(r"opc\.tcp://[^\"]+", f"opc.tcp://{url}", path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    assert found(path) == []
