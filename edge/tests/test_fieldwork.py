"""A technician's tools on a line of their own: scan, read, write, monitor, probe against real slaves."""

import tomllib
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from drivers import Cjt188Bus, MBusBus, ModbusRtuBus, TcpHost, parse_profile
from drivers.tests import cjt188_meters, mbus_meters
from drivers.tests.mbus_meters import Meter, MeterLine
from drivers.tests.slaves import Slave, serve_rtu, serve_tcp
from edge.assembly import fit
from edge.clock import SystemClock
from edge.fieldwork.access import BusView, Own
from edge.fieldwork.arguments import LINE
from edge.fieldwork.operations import perform
from edge.fieldwork.scanning import profiles
from edge.resources import config_dir
from edge.site import Device
from edge.tests.fieldwork_bench import directly, error, kinds, meter, only, rooms, tcp_line


async def test_a_scan_finds_who_answers_says_what_it_may_be_and_ends_with_full_progress() -> None:
    async with serve_tcp(rooms()) as port:
        messages = await directly(tcp_line(port), verb="scan", bus=LINE, first=1, last=20)
    assert [each["place"] for each in kinds(messages, "found")] == [1, 2, 3, 4, 5, 6, 17]
    alike = {each["place"]: each["profiles"] for each in kinds(messages, "like")}
    assert alike[17][0] == "kamstrup_multical_603"
    last = kinds(messages, "progress")[-1]
    assert (last["done"], last["total"], last["found"]) == (20, 20, 7)
    assert messages[-1] == {"kind": "done"}


async def test_a_unit_that_refuses_everything_is_still_found() -> None:
    slave = Slave()
    slave.refuse = 1
    slave.fault = only(5)
    async with serve_tcp(slave) as port:
        messages = await directly(tcp_line(port), verb="scan", bus=LINE, first=4, last=6)
    assert [(each["place"], each["answer"]) for each in kinds(messages, "found")] == [(5, "refuses")]


async def test_a_line_nobody_listens_on_is_an_error_not_an_empty_scan() -> None:
    messages = await directly(tcp_line(1), verb="scan", bus=LINE, first=1, last=50)
    assert error(messages) == "closed"
    assert len(kinds(messages, "progress")) < 10


async def test_any_register_of_any_unit_is_read_with_its_words() -> None:
    async with serve_tcp(rooms()) as port:
        messages = await directly(
            tcp_line(port), verb="read", bus=LINE, unit=17, function=3, address=6, count=2, type="f32"
        )
    found = [(each["register"], round(each["value"], 2), each["raw"]) for each in kinds(messages, "value")]
    assert found == [("3:6", 83.47, "42A6 F0A4"), ("3:8", 46.12, "4238 7AE1")]


async def test_a_register_the_unit_does_not_have_is_bad_and_never_0() -> None:
    async with serve_tcp(rooms()) as port:
        messages = await directly(tcp_line(port), verb="read", bus=LINE, unit=17, address=200)
    (value,) = kinds(messages, "value")
    assert (value["value"], value["quality"], value["reason"], value["raw"]) == (None, "bad", "device", "")


async def test_a_silent_unit_is_told_with_its_own_error() -> None:
    async with serve_tcp(rooms()) as port:
        messages = await directly(tcp_line(port), verb="read", bus=LINE, unit=99, address=0)
    assert error(messages) == "no_answer"


async def test_a_serial_line_is_scanned_as_well() -> None:
    slave = Slave()
    meter(slave, 8)
    slave.fault = lambda request, right: [(0.0, right)] if request[0] == 8 else []
    async with serve_rtu(slave) as port:
        view = BusView(LINE, ModbusRtuBus(port, parity="N", timeout_s=0.1))
        messages = await directly(view, verb="scan", bus=LINE, first=7, last=9)
    assert [each["place"] for each in kinds(messages, "found")] == [8]


async def test_an_unknown_meter_is_probed_around_refusals_and_a_profile_is_drafted() -> None:
    slave = Slave()
    meter(slave, 3)
    for address in (2, 3, 30, 31, 33):  # holes that the meter refuses
        del slave.words[3, 3, address]
    async with serve_tcp(slave) as port:
        messages = await directly(tcp_line(port), verb="probe", bus=LINE, unit=3, first=0, last=80, wait_s=0)
    best = kinds(messages, "candidate")[0]
    where = {each["quantity"]: each["address"] for each in best["found"]}
    assert (best["type"], best["order"]) == ("f32", "ABCD")
    assert where == {"supply_temperature": 6, "return_temperature": 8, "flow": 0, "power": 4}
    (draft,) = kinds(messages, "draft")
    assert parse_profile(tomllib.loads(draft["text"]), "draft").registers["flow"].unit == "l/h"


async def test_a_probe_where_everything_is_refused_says_so() -> None:
    async with serve_tcp(Slave()) as port:
        line = tcp_line(port)
        messages = await directly(line, verb="probe", bus=LINE, unit=3, first=0, last=20, wait_s=0)
    assert error(messages) == "no_registers"


async def test_closing_a_scan_leaves_no_temporary_device_behind() -> None:
    async with serve_tcp(rooms()) as port:
        view = tcp_line(port)
        async with Own({LINE: view}, None, lambda: SystemClock().now().wall) as access:
            request = {"verb": "scan", "bus": LINE, "first": 1, "last": 200}
            async with aclosing(perform(access, request, "tester")) as stream:
                async for message in stream:
                    if message["kind"] == "found":
                        break

            async def known(driver: object) -> list[str]:
                return [str(each) for each in getattr(driver, "_devices")]  # noqa: B009

            assert await access.run(LINE, known) == []


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"verb": "dance"}, "unknown_verb"),
        ({}, "bad_argument"),
        ({"verb": "scan", "bus": "nowhere"}, "unknown_bus"),
        ({"verb": "scan", "bus": LINE, "first": 0}, "bad_argument"),
        ({"verb": "scan", "bus": LINE, "first": float("nan")}, "bad_argument"),
        ({"verb": "read", "bus": LINE, "unit": 1.5, "address": 0}, "bad_argument"),
        ({"verb": "read", "bus": LINE, "unit": 1, "address": 65535, "type": "f32"}, "bad_argument"),
        ({"verb": "read", "bus": LINE, "unit": 1, "address": 0, "order": "AABB"}, "bad_argument"),
        ({"verb": "read", "target": "nobody"}, "unknown_target"),
        ({"verb": "probe", "bus": LINE, "unit": 1, "first": 0, "last": 60000}, "range_of_registers"),
        ({"verb": "browse", "bus": LINE}, "cannot_browse"),
        ({"verb": "monitor", "bus": LINE, "device": "nobody"}, "unknown_device"),
        ({"verb": "release", "target": "nobody"}, "unknown_target"),
    ],
)
async def test_what_cannot_be_is_refused_by_name_before_anything_is_sent(
    request_: dict[str, Any], code: str
) -> None:
    slave = Slave()
    async with serve_tcp(slave) as port:
        assert error(await directly(tcp_line(port), **request_)) == code
    assert slave.requests == []


def valve_line(port: str) -> BusView:
    device = Device(
        id="valve",
        bus=LINE,
        profile="siemens_acvatix_mo",
        unit_id=21,
        points={"high.valve_setpoint": "setpoint"},
    )
    fitted = fit(device, profiles(None, "modbus")["siemens_acvatix_mo"])
    return BusView(LINE, ModbusRtuBus(port, parity="N", timeout_s=0.2), (fitted,))


def valve() -> Slave:
    slave = Slave()
    for address in (*range(4), *range(256, 266), *range(510, 520)):
        slave.put(21, address, 0)
    return slave


async def test_without_a_service_a_write_is_proposed_then_done_and_read_back() -> None:
    slave = valve()
    async with serve_rtu(slave) as port:
        line = valve_line(port)
        ask: dict[str, Any] = {
            "verb": "write",
            "target": "valve.setpoint",
            "value": 42.5,
            "why": "commissioning",
        }
        proposed = await directly(line, **ask)
        assert slave.words[21, 3, 0] == 0
        (proposal,) = kinds(proposed, "proposal")
        assert (proposal["value"], proposal["new"], proposal["hold_s"]) == (0.0, 42.5, None)
        assert [each["code"] for each in kinds(proposed, "note")] == ["nobody_controls", "no_journal"]
        done = await directly(line, **ask, confirmed=True)
    assert slave.words[21, 3, 0] == 4250
    assert kinds(done, "written")[0]["value"] == 42.5


@pytest.mark.parametrize(
    ("target", "value", "why", "code"),
    [
        ("valve.setpoint", 142.5, "x", "range"),
        ("valve.position", 42.5, "x", "read_only"),
        ("valve.setpoint", 42.5, " ", "why"),
        ("valve", 42.5, "x", "one_register"),
        ("valve.setpiont", 42.5, "x", "unknown_register"),
        ("high.valve_setpoint", float("inf"), "x", "bad_argument"),
    ],
)
async def test_a_write_the_profile_does_not_allow_is_refused_and_nothing_is_written(
    target: str, value: float, why: str, code: str
) -> None:
    slave = valve()
    async with serve_rtu(slave) as port:
        messages = await directly(
            valve_line(port), verb="write", target=target, value=value, why=why, confirmed=True
        )
    assert error(messages) == code
    assert all(pdu[0] in (3, 4) for _, pdu in slave.requests)


async def test_a_register_in_eeprom_is_warned_of() -> None:
    async with serve_rtu(valve()) as port:
        messages = await directly(
            valve_line(port), verb="write", target="valve.backup_mode", value=0, why="fail-safe"
        )
    assert "per_day" in [each["code"] for each in kinds(messages, "note")]


async def test_a_device_that_takes_a_write_and_shows_another_value_is_an_error() -> None:
    slave = valve()
    honest = slave.answer

    def stubborn(unit: int, pdu: bytes) -> bytes:
        answer = honest(unit, pdu)
        slave.words[21, 3, 0] = min(slave.words[21, 3, 0], 1000)
        return answer

    slave.answer = stubborn  # type: ignore[method-assign]
    async with serve_rtu(slave) as port:
        messages = await directly(
            valve_line(port), verb="write", target="valve.setpoint", value=42.5, why="x", confirmed=True
        )
    assert error(messages) == "differs"


async def test_a_monitor_without_a_service_asks_by_itself_and_shows_meaning_and_gap() -> None:
    async with serve_rtu(valve()) as port:
        messages = await directly(valve_line(port), verb="monitor", bus=LINE, seconds=0.5)
    frames = kinds(messages, "frame")
    assert [each["verdict"] for each in frames[:2]] == ["request", "answer"]
    assert frames[0]["data"].startswith("1503")
    assert frames[1]["gap_ms"] >= 0
    assert [each["meaning"][0]["key"] for each in frames[:2]] == [
        "modbus.ask.read_holding",
        "modbus.answer.read_holding",
    ]


def test_profiles_beside_the_site_are_among_those_compared(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    text = (config_dir() / "profiles" / "kamstrup_multical_603.toml").read_text(encoding="utf-8")
    (tmp_path / "profiles" / "own_meter.toml").write_text(text, encoding="utf-8")
    (tmp_path / "profiles" / "broken.toml").write_text("[profile", encoding="utf-8")
    found = profiles(tmp_path, "modbus")
    assert {"own_meter", "kamstrup_multical_603"} <= set(found)
    assert "broken" not in found


async def test_meters_on_m_bus_are_found_by_primary_address_and_two_with_one_address_are_told() -> None:
    names = ((3, "12345678.KAM.35.04"), (5, "11111111.LUG.07.04"), (5, "22222222.LUG.07.04"))
    line = MeterLine(*(Meter(*name) for name in names))
    async with mbus_meters.serve_tcp(line) as port:
        view = BusView(LINE, MBusBus(TcpHost("127.0.0.1", port), timeout_s=0.05))
        messages = await directly(view, verb="scan", bus=LINE, first=1, last=6)
    found = {each["place"]: (each["answer"], each["profile"]) for each in kinds(messages, "found")}
    assert found == {"3": ("meter", "12345678.KAM.35.04"), "5": ("garbled", None)}


async def test_meters_on_m_bus_that_share_an_address_are_found_by_their_numbers() -> None:
    line = MeterLine(Meter(0, "12345678.KAM.35.04"), Meter(0, "12395678.KAM.35.04"))
    async with mbus_meters.serve_tcp(line) as port:
        view = BusView(LINE, MBusBus(TcpHost("127.0.0.1", port), timeout_s=0.02))
        messages = await directly(view, verb="scan", bus=LINE, secondary=True)
    numbers = [each["place"] for each in kinds(messages, "found")]
    assert numbers == ["12345678.KAM.35.04", "12395678.KAM.35.04"]


async def test_the_only_meter_on_a_cjt188_line_tells_its_number() -> None:
    meter_ = cjt188_meters.Meter(bytes.fromhex("78563412001111"))
    async with cjt188_meters.serve_tcp(cjt188_meters.MeterLine(meter_)) as port:
        view = BusView(LINE, Cjt188Bus(TcpHost("127.0.0.1", port), timeout_s=0.1))
        messages = await directly(view, verb="scan", bus=LINE)
    (found,) = kinds(messages, "found")
    assert found["place"] == "11110012345678"


async def test_answers_on_top_of_each_other_on_a_cjt188_line_are_told_not_guessed() -> None:
    line = cjt188_meters.MeterLine(cjt188_meters.Meter(bytes.fromhex("78563412001111")))
    line.fault = lambda request, right: [(0.0, right[:8] + bytes((right[8] ^ 0x55,)) + right[9:])]
    async with cjt188_meters.serve_tcp(line) as port:
        view = BusView(LINE, Cjt188Bus(TcpHost("127.0.0.1", port), timeout_s=0.1))
        messages = await directly(view, verb="scan", bus=LINE)
    assert kinds(messages, "found") == []
    assert [each["code"] for each in kinds(messages, "note")] == ["several_meters"]
