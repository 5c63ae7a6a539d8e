"""A technician's tools through the running service: its outputs, its pace, its socket, hostile input."""

import asyncio
import json
import os
import stat
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from drivers.tests.slaves import serve_tcp
from edge.fieldwork.client import through_service
from edge.fieldwork.messages import FieldworkError
from edge.fieldwork.operations import VERBS
from edge.fieldwork.server import LONGEST_LINE, MOST_SESSIONS, Server
from edge.tests.fieldwork_bench import Service, error, kinds, rooms, service, until


async def test_a_scan_through_the_service_names_the_devices_of_the_site(tmp_path: Path) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        messages = await running.ask(verb="scan", bus="rooms", first=5, last=17)
    assert messages[0]["through"] == "service"
    named = {each["place"]: each["device"] for each in kinds(messages, "found")}
    assert named == {5: "room_l2", 6: "room_l3", 17: None}


async def test_while_a_technician_scans_silent_units_the_inputs_of_the_bus_keep_their_pace(
    tmp_path: Path,
) -> None:
    slave = rooms()
    period_s, speed = 10.0, 20.0  # half a real second
    async with (
        serve_tcp(slave) as port,
        service(tmp_path, port, speed=speed, room_s=period_s) as running,
    ):
        await until(lambda: any(unit == 1 for unit, _ in slave.requests))
        slave.requests.clear()
        began = time.monotonic()
        messages = await running.ask(verb="scan", bus="rooms", first=30, last=44)  # nobody is there
        lasted_s = time.monotonic() - began
        asked = [pdu for unit, pdu in slave.requests if unit == 1 and pdu[0] == 4]
    assert messages[-1] == {"kind": "done"}
    assert len(asked) >= 0.8 * lasted_s * speed / period_s - 1


async def test_a_device_is_read_with_value_quality_and_words(tmp_path: Path) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        messages = await running.ask(verb="read", target="room.h1.temperature")
    (value,) = kinds(messages, "value")
    assert (value["device"], value["register"], value["raw"]) == ("room_h1", "temperature", "0410")
    assert value["value"] == pytest.approx(1040 * 0.0198)
    assert (value["unit"], value["quality"]) == ("degC", "good")


async def test_an_output_is_held_by_the_cycle_and_given_back(tmp_path: Path) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        field = running.field
        field.values["high.valve_setpoint"] = 37.0
        await until(lambda: any(point == "high.valve_setpoint" for point, _ in field.written))
        ask = {"target": "high.valve_setpoint", "why": "trial of the valve"}
        proposed = await running.ask(verb="write", value=12.0, **ask)
        assert kinds(proposed, "proposal")[0]["hold_s"] == 600.0
        done = await running.ask(verb="write", value=12.0, confirmed=True, for_s=86400, **ask)
        assert [each["code"] for each in kinds(done, "note")] == ["held"]
        await until(lambda: field.written[-1:] != [] and ("high.valve_setpoint", 12.0) in field.written)
        given_back = await running.ask(verb="release", target="high.valve_setpoint")
        assert [each["code"] for each in kinds(given_back, "note")] == ["released"]
        (row,) = await running.rows("technician.write")
    assert (row["register"], row["old"], row["new"]) == ("valve_high.setpoint", 37.0, 12.0)
    assert (row["why"], row["for_s"]) == ("trial of the valve", 86400)
    assert row["who"]


async def test_a_hold_lasts_a_day_at_most(tmp_path: Path) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        running.field.values["high.valve_setpoint"] = 37.0
        messages = await running.ask(
            verb="write", target="high.valve_setpoint", value=12.0, why="x", for_s=86401, confirmed=True
        )
    assert error(messages) == "bad_argument"


async def test_a_write_that_fails_stands_in_the_journal_as_tried_and_failed(tmp_path: Path) -> None:
    slave = rooms()
    async with serve_tcp(slave) as port, service(tmp_path, port) as running:
        messages = await running.ask(
            verb="write", target="room_h1.setpoint", value=21.0, why="trial", confirmed=True
        )
        tried = await running.rows("technician.write")
        failed = await running.rows("technician.write_failed")
    assert error(messages) in {"refused", "range", "read_only", "no_answer"}
    assert len(tried) == len(failed)


async def test_two_events_at_once_are_each_recorded_once(tmp_path: Path) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        running.field.values["high.valve_setpoint"] = 37.0
        asks = [
            running.ask(verb="write", target="high.valve_setpoint", value=v, why="x", confirmed=True)
            for v in (10.0, 11.0, 12.0)
        ]
        await asyncio.gather(*asks)
        rows = await running.rows("technician.write")
    assert sorted(row["new"] for row in rows) == [10.0, 11.0, 12.0]


async def test_the_monitor_listens_to_what_the_service_does_anyway(tmp_path: Path) -> None:
    slave = rooms()
    async with serve_tcp(slave) as port, service(tmp_path, port) as running:
        messages = await running.ask(verb="monitor", bus="rooms", device="room_h2", seconds=2.0)
    frames = kinds(messages, "frame")
    assert {frame["device"] for frame in frames} == {"room_h2"}
    assert {frame["verdict"] for frame in frames} == {"request", "answer"}
    assert all(pdu[1:3] != bytes(2) for _, pdu in slave.requests)  # nothing was asked for the monitor's sake


async def test_the_socket_is_for_owner_and_group_only_and_goes_with_the_service(tmp_path: Path) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        mode = stat.S_IMODE(os.stat(running.paths.socket).st_mode)
    assert mode == 0o660
    assert not running.paths.socket.exists()


async def test_a_socket_that_cannot_be_made_stops_no_plant(tmp_path: Path) -> None:
    (tmp_path / "fieldwork.sock").mkdir()
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        await until(lambda: bool(running.field.written))


HOSTILE = [
    (b"hello\n", "not_json"),
    (b"\xff\xfe\x00\n", "not_json"),
    (b"[1, 2]\n", "not_json"),
    (b"[" * 12_000 + b"\n", "not_json"),
    (b'{"verb": 7}\n', "bad_argument"),
    (b'{"verb": "scan", "bus": {"a": 1}}\n', "bad_argument"),
    (b'{"verb": "scan", "bus": "rooms", "first": 1e400}\n', "bad_argument"),
    (b'{"verb": "scan", "bus": "rooms", "first": ' + b"9" * 5000 + b"}\n", "not_json"),
    (b'{"verb": "__class__"}\n', "unknown_verb"),
    (b"x" * (4 * LONGEST_LINE), "too_long"),
]


@pytest.mark.parametrize(
    ("data", "code"), HOSTILE, ids=[code + str(n) for n, (_, code) in enumerate(HOSTILE)]
)
async def test_hostile_input_gets_its_error_and_the_service_runs_on(
    tmp_path: Path, data: bytes, code: str
) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        (answer,) = await running.raw(data)
        assert (answer["kind"], answer["code"]) == ("error", code)
        assert (await running.ask(verb="read", target="room_h1.temperature"))[-1] == {"kind": "done"}


async def test_half_a_line_is_told_and_disturbs_nobody(tmp_path: Path) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        (answer,) = await running.raw(b'{"verb": "scan"', ends=True)
        assert answer["code"] == "half_a_line"


async def test_a_client_that_goes_away_ends_its_scan(tmp_path: Path) -> None:
    slave = rooms()
    async with serve_tcp(slave) as port, service(tmp_path, port) as running:
        stream = await through_service(running.paths.socket, {"verb": "scan", "bus": "rooms", "first": 20})
        assert stream is not None
        async with aclosing(stream):
            async for message in stream:
                if message["kind"] == "progress" and message["done"] == 3:
                    break
        await until(lambda: not _scanning(slave.requests))
        assert not any(unit > 60 for unit, _ in slave.requests)
        assert (await running.ask(verb="read", target="room_h1.temperature"))[-1] == {"kind": "done"}


def _scanning(requests: list[tuple[int, bytes]]) -> bool:
    """True when a unit that the site does not have is among the newest requests."""
    return any(unit > 17 for unit, _ in requests[-4:])


async def test_sessions_are_few_and_one_too_many_is_told_so(tmp_path: Path) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        waiting = [
            await asyncio.open_unix_connection(str(running.paths.socket)) for _ in range(MOST_SESSIONS)
        ]
        for _, writer in waiting:
            writer.write(json.dumps({"verb": "monitor", "bus": "rooms"}).encode() + b"\n")
            await writer.drain()
        (answer,) = await _refused(running)
        assert answer["code"] == "crowded"
        for _, writer in waiting:
            writer.close()
        async with asyncio.timeout(10.0):
            while (await running.ask(verb="read", target="room_h1.temperature"))[-1]["kind"] != "done":
                await asyncio.sleep(0.02)


async def _refused(running: Service) -> list[dict[str, object]]:
    """What one more client is told, once all before it are served."""
    async with asyncio.timeout(10.0):
        while True:
            lines = await running.raw(b'{"verb": "read", "target": "room_h1.temperature"}\n')
            if lines[-1]["kind"] == "error":
                return lines
            await asyncio.sleep(0.02)


async def test_a_service_that_lives_but_cannot_be_reached_is_an_error_not_a_second_master(
    tmp_path: Path,
) -> None:
    (tmp_path / "status.json").write_text("{}", encoding="utf-8")
    with pytest.raises(FieldworkError) as raised:
        await through_service(tmp_path / "fieldwork.sock", {"verb": "scan"})
    assert raised.value.code == "unreachable"


async def test_where_no_service_runs_there_is_no_stream(tmp_path: Path) -> None:
    assert await through_service(tmp_path / "fieldwork.sock", {"verb": "scan"}) is None


async def test_a_service_that_ends_in_the_middle_is_told(tmp_path: Path) -> None:
    async with serve_tcp(rooms()) as port:
        async with service(tmp_path, port) as running:
            stream = await through_service(running.paths.socket, {"verb": "monitor", "bus": "rooms"})
            assert stream is not None
            await anext(stream)
            reading = asyncio.ensure_future(_all(stream))
        with pytest.raises(FieldworkError, match="service_ended"):
            await reading


async def _all(stream: object) -> None:
    async for _ in stream:  # type: ignore[attr-defined]
        pass


_WORDS = ("rooms", "plc", "room_h1.temperature", "high.valve_setpoint", "", "中", "\x00", "x" * 300)
_VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(_WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_NAMES = ("bus", "target", "unit", "address", "count", "type", "first", "last", "value", "why", "for_s")
_REQUESTS = st.fixed_dictionaries(
    {"verb": st.sampled_from(sorted(VERBS)) | _VALUES},
    optional={name: st.sampled_from(_WORDS) | _VALUES for name in (*_NAMES, "node", "depth", "trust")},
)


async def test_no_request_at_random_finds_a_fault_inside_the_service_nor_stops_its_cycle(
    tmp_path: Path,
) -> None:
    requests = example_requests(150)
    slave = rooms()
    async with serve_tcp(slave) as port, service(tmp_path, port) as running:
        for request in requests:
            reader, writer = await asyncio.open_unix_connection(str(running.paths.socket))
            writer.write(json.dumps(request).encode() + b"\n")
            line = await reader.readline()  # the first message, then the client goes away
            assert json.loads(line).get("code") != "internal", request
            writer.close()
        written = len(running.field.written)
        await until(lambda: len(running.field.written) > written)
        assert (await running.ask(verb="read", target="room_h1.temperature"))[-1]["kind"] == "done"


def example_requests(number: int) -> list[dict[str, object]]:
    """The same requests at every run."""
    found: list[dict[str, object]] = []

    @seed(7)
    @settings(max_examples=number, database=None, deadline=None)
    @given(_REQUESTS)
    def collect(request: dict[str, object]) -> None:
        found.append(request)

    collect()
    return found


class Nothing:
    """An access with no bus behind it."""

    buses: dict[str, object] = {}  # noqa: RUF012 (never changed)
    live = True


async def _hurried_clients(folder: Path) -> None:
    server = asyncio.create_task(Server(folder / "fieldwork.sock", Nothing()).run())  # type: ignore[arg-type]
    await until((folder / "fieldwork.sock").exists)
    for turns in range(40):
        _, writer = await asyncio.open_unix_connection(folder / "fieldwork.sock")
        writer.write(b'{"verb": "nonsense"}\n')
        for _ in range(turns % 10):
            await asyncio.sleep(0)
        writer.transport.abort()
    await asyncio.sleep(0.2)
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)


def test_a_client_that_hangs_up_at_once_is_no_fault_of_the_service(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the service runs
        runner.run(_hurried_clients(tmp_path))
    assert [record for record in caplog.records if record.exc_info] == []


async def test_a_technicians_writes_to_a_memory_that_wears_out_end_with_its_days_budget(
    tmp_path: Path,
) -> None:
    async with serve_tcp(rooms()) as port, service(tmp_path, port) as running:
        running.field.values["backup_mode"] = 2.0
        ask: dict[str, Any] = {"verb": "write", "target": "valve_high.backup_mode", "why": "trial"}
        ask["confirmed"] = True
        for number in range(10):
            assert kinds(await running.ask(value=number % 2, **ask), "written")
        refused = await running.ask(value=1, **ask)
        assert error(refused) == "budget"
        assert kinds(refused, "error")[0]["values"]["count"] == 10
        assert [value for point, value in running.field.written if point == "backup_mode"] == [0.0, 1.0] * 5
        assert len(await running.rows("technician.write")) == 10
        assert kinds(await running.ask(value=1, anyway=True, **ask), "written")
        assert (await running.rows("technician.write"))[-1]["anyway"]
        other = ask | {"target": "valve_high.backup_position"}
        running.field.values["backup_position"] = 50.0
        assert kinds(await running.ask(value=20, **other), "written")  # a budget is of its register alone
