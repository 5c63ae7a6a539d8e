"""A technician's tools on lines of heat meters: M-Bus by number, and probing what CJ/T 188 leaves open."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from drivers import Cjt188Bus, MBusBus, TcpHost, heat_readings, parse_profile
from drivers.tests import cjt188_meters, mbus_meters
from drivers.tests.cjt188_meters import answer, heat_payload
from drivers.tests.mbus_meters import Meter, MeterLine
from edge.fieldwork.access import BusView
from edge.fieldwork.arguments import LINE
from edge.fieldwork.heat_meter import rank
from edge.fieldwork.messages import Message
from edge.tests.fieldwork_bench import directly, error, kinds
from edge.tests.fieldwork_commands import command_on

NUMBERS = [f"{number:08d}" for number in range(10_000_019, 99_999_999, 4_734_211)]
WIRE = bytes.fromhex("78563412001111")
FLOWING = {2: (104_400, 0x14), 3: (45_000, 0x35), 4: (765_432, 0x2C), 1: (21_000_000, 0x05)}


def meters(count: int) -> MeterLine:
    return MeterLine(*(Meter(0, f"{number}.KAM.35.04") for number in NUMBERS[:count]))


def mbus_view(port: int) -> BusView:
    return BusView(LINE, MBusBus(TcpHost("127.0.0.1", port), timeout_s=0.01))


async def test_twenty_meters_with_one_address_are_all_found_by_number_with_growing_progress() -> None:
    async with mbus_meters.serve_tcp(meters(20)) as port:
        messages = await directly(mbus_view(port), verb="scan", bus=LINE, secondary=True)
    found = {each["place"].partition(".")[0] for each in kinds(messages, "found")}
    assert found == set(NUMBERS[:20])
    done = [each["done"] for each in kinds(messages, "progress")]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 1000)
    assert [(each["code"], each["values"]) for each in kinds(messages, "note")] == [
        ("searched", {"found": 20})
    ]
    assert messages[-1] == {"kind": "done"}


async def test_two_meters_with_one_number_are_told_as_such_and_the_others_are_found() -> None:
    twins = [Meter(0, "12345678.KAM.35.04"), Meter(0, "12345678.LUG.07.04"), Meter(0, "87654321.KAM.35.04")]
    async with mbus_meters.serve_tcp(MeterLine(*twins)) as port:
        messages = await directly(mbus_view(port), verb="scan", bus=LINE, secondary=True)
    assert [each["place"] for each in kinds(messages, "found")] == ["87654321.KAM.35.04"]
    codes = {each["code"]: each["values"] for each in kinds(messages, "note")}
    assert codes["collision"] == {"mask": "12345678"}


async def test_a_line_on_which_everything_collides_ends_the_search_early_and_says_where_to_look() -> None:
    line = meters(1)
    line.fault = lambda request, right: [(0.0, b"\x00\xff\x68")]
    async with mbus_meters.serve_tcp(line) as port:
        messages = await directly(mbus_view(port), verb="scan", bus=LINE, secondary=True)
    assert kinds(messages, "found") == []
    codes = [each["code"] for each in kinds(messages, "note")]
    assert codes.count("collision") <= 8
    assert codes[-2:] == ["more_collisions", "gave_up"]


async def test_a_cjt188_line_on_which_nobody_answers_says_so() -> None:
    line = cjt188_meters.MeterLine()
    async with cjt188_meters.serve_tcp(line) as port:
        view = BusView(LINE, Cjt188Bus(TcpHost("127.0.0.1", port), timeout_s=0.05))
        scanned = await directly(view, verb="scan", bus=LINE)
        probed = await directly(view, verb="probe", bus=LINE)
    assert [each["code"] for each in kinds(scanned, "note")] == ["nobody"]
    assert len(kinds(scanned, "progress")) == 5
    assert error(probed) == "no_meter"


async def probe(payload: bytes, **more: Any) -> list[Message]:  # noqa: ANN401
    meter = cjt188_meters.Meter(WIRE, payload)
    async with cjt188_meters.serve_tcp(cjt188_meters.MeterLine(meter)) as port:
        view = BusView(LINE, Cjt188Bus(TcpHost("127.0.0.1", port), timeout_s=0.1))
        return await directly(view, verb="probe", bus=LINE, **more)


@pytest.mark.parametrize("places", [2, 3, 4])
@pytest.mark.parametrize("unit_first", [False, True])
async def test_while_water_flows_the_decimals_of_the_flow_are_found_by_the_heat_equation(
    places: int, unit_first: bool
) -> None:
    flow = 4.5  # m3/h; 20 K and 1.16 kWh/(m3 K) give 104.4 kW
    amounts = FLOWING | {2: (10_440, 0x17), 3: (round(flow * 10**places), 0x35)}
    messages = await probe(heat_payload(amounts, unit_first=unit_first))
    best = kinds(messages, "candidate")[0]
    values = {each["quantity"]: each["value"] for each in best["found"]}
    assert (values["flow"], values["power"]) == (4.5, 104.4)
    assert best["type"] == ("unit_value" if unit_first else "value_unit")
    assert "heat" in best["why"]
    (draft,) = kinds(messages, "draft")
    profile = parse_profile(tomllib.loads(draft["text"]), "draft")
    assert profile.cjt188.decimals.flow == places  # type: ignore[union-attr]


async def test_where_nothing_flows_the_standards_decimals_come_first_and_the_doubt_is_told() -> None:
    messages = await probe(heat_payload(FLOWING | {2: (0, 0x17), 3: (0, 0x35)}), meter="11110012345678")
    best, other = kinds(messages, "candidate")[:2]
    assert best["order"] == "standard"
    assert best["why"] == other["why"]
    assert "decimals_open" in [each["code"] for each in kinds(messages, "note")]


def test_a_way_that_water_forbids_is_no_candidate() -> None:
    amounts = FLOWING | {2: (10_440, 0x17), 3: (45_000, 0x35)}
    assert {each.reading.decimals for each in rank(heat_readings(answer("1", 1, heat_payload(amounts))))} == {
        "standard",
        "whole_totals",
    }
    cold = heat_payload(amounts, supply=100, back=9_000)  # 1 degC in, 90 degC out
    assert rank(heat_readings(answer("1", 1, cold))) == []


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_commands_show_meters_within_80_columns_and_write_a_draft_that_loads(
    language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft = tmp_path / "draft.toml"
    with command_on(lambda: mbus_meters.serve_tcp(meters(3)), "mbus") as line:
        assert line("scan", "--secondary", "--lang", language) == 0
    meter = cjt188_meters.MeterLine(cjt188_meters.Meter(WIRE))
    with command_on(lambda: cjt188_meters.serve_tcp(meter), "cjt188") as line:
        assert line("scan", "--lang", language) == 0
        assert line("probe", "--draft", str(draft), "--lang", language) == 0
    shown = capsys.readouterr()
    assert all(number in shown.out for number in (*NUMBERS[:3], "11110012345678"))
    assert max(cell_len(each) for each in (shown.out + shown.err).splitlines()) <= 80
    profile = parse_profile(tomllib.loads(draft.read_text(encoding="utf-8")), "draft")
    assert {"energy", "flow"} <= profile.registers.keys()
