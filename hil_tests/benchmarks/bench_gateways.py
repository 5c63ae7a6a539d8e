"""The whole service beside ThingsBoard Gateway: 64 Modbus TCP devices of 100 registers each second, to MQTT.

Both read the same processes (hil_tests.benchmarks.fleet) one after the other and publish every value over
QoS 1 to a Mosquitto of their own. Counted are the values that arrived at a subscriber and the processor time
of the gateway's process alone. The peer is given its best case: one wide read per device and period (it would
ask for each tag by itself). Ours keeps history and journal on the disk and controls a circuit besides.

The peer lives in a virtual environment of its own under `out/peers/`, made at the first run.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiomqtt

from edge.upstream.codec import decode_batch
from edge.upstream.telemetry import decode_readings
from hil_tests.benchmarks.bench_memory import cpu_s, memory_mb
from hil_tests.broker import mosquitto

DEVICES = 64
REGISTERS = 100
SETTLE_S = 15.0
MEASURE_S = 30.0
WANTED = 0.2  # of the peer's processor time a value
PEER = "thingsboard-gateway==3.8.5"
PEER_NEEDS = (
    "pymodbus==3.9.2",
    "pyserial",
    "pyserial-asyncio",
)  # it would install them by itself when it runs
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one gateway did: values that arrived a second, CPU in us and bytes a value, MB resident."""

    values_s: float
    cpu_us: float
    bytes_a_value: float
    resident_mb: float


# The peer sends nothing before its platform has told its limits; the bench is the platform, and sets none.
_ASKED = "v1/devices/me/rpc/request/"
_NO_LIMITS = json.dumps({"rateLimits": {"messages": "0:0,"}})


@dataclass(slots=True)
class _Counter:
    """Values and bytes seen at the broker."""

    values: int = 0
    size: int = 0


@contextlib.contextmanager
def fleet(devices: int, registers: int) -> Iterator[list[int]]:
    """The devices as a process; their ports."""
    command = [sys.executable, "-m", "hil_tests.benchmarks.fleet", "--parent", str(os.getpid())]
    command += ["--devices", str(devices), "--registers", str(registers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield list(json.loads(process.stdout.readline()).values())
        finally:
            process.kill()


def _ours_in(payload: bytes) -> int:
    values = 0
    for row in decode_batch(payload).rows:
        wall_ns, blob = row.fields
        assert isinstance(wall_ns, int)
        assert isinstance(blob, bytes)
        values += len(decode_readings(wall_ns, blob))
    return values


def _theirs_in(payload: bytes) -> int:
    told = json.loads(payload)
    return sum(len(moment["values"]) for device in told.values() for moment in device)


async def _count(port: int, topic: str, values_in: Callable[[bytes], int], pid: int) -> Load:
    """Listen for a while; what came in between, and what the process `pid` spent on it."""
    counter = _Counter()
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe([(topic, 0), (f"{_ASKED}+", 0)])

        async def listen() -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                if message.topic.value.startswith(_ASKED):
                    number = message.topic.value.removeprefix(_ASKED)
                    await client.publish(f"v1/devices/me/rpc/response/{number}", _NO_LIMITS)
                    continue
                counter.values += values_in(message.payload)
                counter.size += len(message.payload)

        listening = asyncio.create_task(listen())
        await asyncio.sleep(SETTLE_S)
        before, spent, began = replace(counter), cpu_s(pid), time.monotonic()
        await asyncio.sleep(MEASURE_S)
        values, size = counter.values - before.values, counter.size - before.size
        spent, seconds = cpu_s(pid) - spent, time.monotonic() - began
        listening.cancel()
    if not values:
        raise RuntimeError(f"nothing arrived on {topic}")
    return Load(values / seconds, spent / values * 1e6, size / values, memory_mb(pid)[0])


@contextlib.contextmanager
def _process(command: list[str], log: Path, **more: Any) -> Iterator["subprocess.Popen[bytes]"]:  # noqa: ANN401
    with log.open("wb") as words, subprocess.Popen(command, stdout=words, stderr=words, **more) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()


def ours(ports: list[int]) -> Load:
    """Our service, with its receiver."""
    with tempfile.TemporaryDirectory() as name, mosquitto(_folder(name, "broker")) as broker:
        folder = Path(name)
        site = _site(folder, ports, broker.port)
        edge = [sys.executable, "-m", "edge"]
        receive = [*edge, "receive", "--insecure", "--quiet", "--port", str(broker.port)]
        receive += ["--database", str(folder / "received.sqlite")]
        run = [*edge, "run", str(site), "--data", str(folder / "data")]
        with _process(receive, folder / "receive.log"), _process(run, folder / "run.log") as service:
            try:
                return asyncio.run(_count(broker.port, "substation/+/history", _ours_in, service.pid))
            except RuntimeError:
                print((folder / "run.log").read_text(encoding="utf-8")[-3000:], file=sys.stderr)
                raise


def theirs(ports: list[int]) -> Load:
    """ThingsBoard Gateway in its own environment."""
    python = _peer()
    with tempfile.TemporaryDirectory() as name, mosquitto(_folder(name, "broker")) as broker:
        folder = Path(name)
        _peer_files(folder, ports, broker.port)
        command = [str(python), "-c", "from thingsboard_gateway.tb_gateway import main; main()"]
        environment = {**os.environ, "TB_GW_CONFIG_DIR": f"{folder}/"}
        with _process(command, folder / "log", cwd=folder, env=environment) as gateway:
            try:
                return asyncio.run(_count(broker.port, "v1/gateway/telemetry", _theirs_in, gateway.pid))
            except RuntimeError:
                print((folder / "log").read_text(encoding="utf-8")[-3000:], file=sys.stderr)
                raise


def _folder(name: str, child: str) -> Path:
    folder = Path(name) / child
    folder.mkdir()
    return folder


def _peer() -> Path:
    """The Python of the peer's environment."""
    folder = Path.cwd() / "out" / "peers" / "thingsboard"
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, PEER, *PEER_NEEDS], check=True)
        (folder / ".ready").touch()
    return python


def _peer_files(folder: Path, ports: list[int], broker: int) -> None:
    """Its configuration: everything published as received, no limits on its rate, no remote configuration."""
    limits = dict.fromkeys(
        (
            "rateLimits",
            "dpRateLimits",
            "messagesRateLimits",
            "deviceMessagesRateLimits",
            "deviceRateLimits",
            "deviceDpRateLimits",
        ),
        "0:0,",
    )
    thingsboard = {
        "host": "127.0.0.1",
        "port": broker,
        "remoteShell": False,
        "remoteConfiguration": False,
        "statistics": {"enable": False},
        "minPackSendDelayMS": 50,
        "minPackSizeToSend": 500,
        "maxPayloadSizeBytes": 65000,
        "checkConnectorsConfigurationInSeconds": 3600,
        "security": {"type": "accessToken", "accessToken": "bench"},
        "qos": 1,
        "reportStrategy": {"type": "ON_RECEIVED"},
        **limits,
    }
    gateway = {
        "thingsboard": thingsboard,
        "storage": {"type": "memory", "read_records_count": 100, "max_records_count": 100000},
        "connectors": [
            {"name": "fleet", "type": "modbus", "configuration": "fleet.json", "logLevel": "ERROR"}
        ],
    }
    slaves = [_slave(number, port) for number, port in enumerate(ports)]
    files = {"tb_gateway.json": gateway, "fleet.json": {"master": {"slaves": slaves}}, "logs.json": _QUIET}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")


_QUIET = {"version": 1, "disable_existing_loggers": False, "root": {"level": "ERROR", "handlers": []}}


def _slave(number: int, port: int) -> dict[str, object]:
    wide = {"tag": "r${address}", "type": "16uint", "functionCode": 3, "address": f"0-{REGISTERS - 1}"}
    wide |= {"objectsCount": 1, "maxRegistersPerRequest": REGISTERS}
    return {
        "host": "127.0.0.1",
        "port": port,
        "type": "tcp",
        "method": "socket",
        "unitId": 1,
        "deviceName": f"device {number}",
        "timeout": 3,
        "byteOrder": "BIG",
        "wordOrder": "BIG",
        "retries": False,
        "pollPeriod": 1000,
        "timeseries": [wide],
        "attributes": [],
        "attributeUpdates": [],
        "rpc": [],
    }


def _site(folder: Path, ports: list[int], broker: int) -> Path:
    """A site of one circuit on the last port, and a room sensor for every register of the other devices."""
    profiles = _folder(str(folder), "profiles")
    (profiles / "bench_rooms.toml").write_text(_profile("bench_rooms", _ROOM_REGISTERS), encoding="utf-8")
    (profiles / "bench_station.toml").write_text(_profile("bench_station", _STATION), encoding="utf-8")
    station, *rooms = reversed(ports)
    parts = [_HEAD.replace("BROKER", str(broker))]
    parts += [_bus(f"b{n}", port) for n, port in enumerate(rooms)] + [_bus("station", station)]
    parts += [_room(n, address) for n in range(len(rooms)) for address in range(REGISTERS)]
    parts += [_device(n) for n in range(len(rooms))] + [_STATION_DEVICE]
    path = folder / "site.toml"
    path.write_text("".join(parts), encoding="utf-8")
    return path


def _profile(name: str, registers: Mapping[str, str]) -> str:
    head = f'[profile]\nid = "{name}"\nmaker = "-"\nmodel = "-"\nprotocol = "modbus"\n'
    head += 'source = "hil_tests.benchmarks.fleet"\nconfidence = "own"\n'
    body = [
        f'[registers.{register}]\nfunction = 3\naddress = {address}\ndocumented = ""\ntype = "u16"\n{rest}\n'
        for address, (register, rest) in enumerate(registers.items())
    ]
    return head + "".join(body)


_CELSIUS = 'scale = 0.01\nunit = "degC"'
_ROOM_REGISTERS = {f"r{address}": _CELSIUS for address in range(REGISTERS)}
_STATION = {
    "outdoor": _CELSIUS,
    "supply": _CELSIUS,
    "pressure": 'scale = 0.001\nunit = "bar"',
    "position": 'scale = 0.01\nunit = "%"',
    "setpoint": 'scale = 0.01\nunit = "%"\nwrite = { low = 0, high = 100, read_back = false }',
    "run": 'unit = "state"\nwrite = { states = { 0 = 0, 1 = 1 }, read_back = false }',
    "speed": 'scale = 0.01\nunit = "%"\nwrite = { low = 0, high = 100, read_back = false }',
    "makeup": 'unit = "state"\nwrite = { states = { 0 = 0, 1 = 1 }, read_back = false }',
}
_STATION_DEVICE = """
[[devices]]
id = "station"
bus = "station"
profile = "bench_station"
unit_id = 1
period_s = 1
[devices.points]
"station.outdoor_temperature" = "outdoor"
"c.secondary_supply_temperature" = "supply"
"c.secondary_return_pressure" = "pressure"
"c.valve_position" = "position"
"c.valve_setpoint" = "setpoint"
"c.pump_1.run" = "run"
"c.pump_1.speed_setpoint" = "speed"
"c.makeup_pump.run" = "makeup"
"""
_HEAD = """
[site]
gateway = "bench"
name = { zh = "测试", en = "Bench" }
[regulation]
pack = "zhangye-2023"
[regulation.parameters]
outage_day_rounding = "exact"
room_refund_share = 0.5
fill_notice_days = 7
[recording]
snapshot_s = 1
[upstream]
host = "127.0.0.1"
port = BROKER
insecure = true
[[circuits]]
id = "c"
name = { zh = "环路", en = "Circuit" }
area = { zh = "小区", en = "Estate" }
emitter = "radiator"
heated_area_m2 = 42000
dwellings = 420
curve = { points = [[-20, 77.7], [10, 36.5]], maximum_c = 82 }
pressurisation = { setpoint_bar = 2.2 }
"""


def _bus(name: str, port: int) -> str:
    return f'[[buses]]\nid = "{name}"\nkind = "modbus-tcp"\nhost = "127.0.0.1"\nport = {port}\n'


def _room(device: int, address: int) -> str:
    place = 'floor = "middle"\nposition = "middle"\norientation = "south"'
    return f'[[rooms]]\nid = "r{device}_{address}"\ncircuit = "c"\n{place}\n'


def _device(number: int) -> str:
    points = "".join(f'"room.r{number}_{a}.temperature" = "r{a}"\n' for a in range(REGISTERS))
    head = f'[[devices]]\nid = "d{number}"\nbus = "b{number}"\nprofile = "bench_rooms"\nunit_id = 1\n'
    return f"{head}period_s = 1\n[devices.points]\n{points}"


def measured() -> tuple[Load, Load]:
    """Ours and the peer's, one after the other on the same devices."""
    with fleet(DEVICES + 1, REGISTERS) as ports:
        return ours(ports), theirs(ports[:DEVICES])
