"""The whole bench through other people's clients: mbpoll on Modbus, asyncua on OPC UA."""

import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.status_codes import StatusCodes

from drivers.opcua.profile import OpcUaProfile
from drivers.profile import load_profile
from edge.assembly import age_limits
from edge.check import load
from edge.loading import read_site
from edge.resources import config_dir
from hil_tests.bench import Bench
from hil_tests.devices.wiring import PLC_POINTS, plc_identifier
from hil_tests.plc import NAMESPACE, Tag

STORY = """
name = "broken sensor"
start = "2026-01-15T06:00"
duration = "2h"
weather_years = 13
[[disturbance]]
at = "2s"
for = "1h"
kind = "sensor_broken"
point = "station.outdoor_temperature"
how = "open_circuit"
"""
BAUD = 115_200
METER_HIGH, VALVE_HIGH, VALVE_LOW = 8, 21, 22


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("whole")
    story = folder / "story.toml"
    story.write_text(STORY, encoding="utf-8")
    with Bench(folder / "bench", story, speed=4.0, baud=BAUD) as made:
        yield made


def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait for a condition; fail when it does not come."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def mbpoll(*words: str | Path | int) -> dict[int, float]:
    """Values by reference of one poll of Debian's mbpoll."""
    assert shutil.which("mbpoll"), "these tests need mbpoll: sudo apt-get install mbpoll"
    command = ["mbpoll", "-0", "-1", *map(str, words)]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert found.returncode == 0, found.stdout + found.stderr
    return {int(key): float(value) for key, value in re.findall(r"^\[(\d+)\]:\s+(\S+)", found.stdout, re.M)}


def rtu(bench: Bench, unit: int, *what: str | int) -> dict[int, float]:
    """Read over the technician's port of the serial line."""
    return mbpoll("-m", "rtu", "-b", BAUD, "-P", "none", "-a", unit, *what, bench.technician)


def write(bench: Bench, unit: int, address: int, *words: int) -> None:
    """Write holding registers over the technician's port."""
    line = ("-m", "rtu", "-b", BAUD, "-P", "none", "-a", unit, "-t", 4, "-r", address)
    mbpoll(*line, bench.technician, *words)


def tcp(bench: Bench, place: str, unit: int, *what: str | int) -> dict[int, float]:
    """Read over Modbus TCP."""
    return mbpoll("-m", "tcp", "-p", bench.port(place), "-a", unit, *what, "127.0.0.1")


_TEMPERATURES = ("-t", "4:float", "-B", "-r", 6, "-c", 2)


def _shown(bench: Bench) -> tuple[float, float]:
    return bench.get("high.primary_supply_temperature"), bench.get("high.primary_return_temperature")


def _read_between_refreshes(bench: Bench, read: Callable[[], dict[int, float]]) -> None:
    """What is read equals what the meter showed before or after it was read."""
    before = _shown(bench)
    found = read()
    read_c = (found[6], found[8])
    assert read_c in [pytest.approx(before, abs=0.006), pytest.approx(_shown(bench), abs=0.006)]


def test_does_mbpoll_read_the_meter_over_the_serial_line(bench: Bench) -> None:
    _read_between_refreshes(bench, lambda: rtu(bench, METER_HIGH, *_TEMPERATURES))


def test_does_mbpoll_read_the_same_meter_over_tcp(bench: Bench) -> None:
    _read_between_refreshes(bench, lambda: tcp(bench, "meter_high", METER_HIGH, *_TEMPERATURES))


def test_does_mbpoll_read_an_inverter_and_a_room_unit_behind_their_gateways(bench: Bench) -> None:
    frequency = tcp(bench, "drives", 1, "-t", 4, "-r", 16_129)
    assert frequency[16_129] == pytest.approx(bench.get("high.pump_1.frequency") * 10.0, abs=1.0)
    room = tcp(bench, "rooms", 2, "-t", 3, "-r", 1002)
    assert room[1002] * 0.0198 == pytest.approx(bench.get("room.h2.temperature"), abs=0.15)


def test_does_the_valve_of_the_plant_go_where_mbpoll_sends_it(bench: Bench) -> None:
    write(bench, VALVE_LOW, 0, 4000)
    assert bench.get("low.valve_setpoint") == 40.0
    begin = bench.get("low.valve_position")
    until(lambda: abs(bench.get("low.valve_position") - 40.0) < abs(begin - 40.0) - 2.0)


def test_does_the_fail_safe_take_over_in_simulated_time(bench: Bench) -> None:
    write(bench, VALVE_HIGH, 512, 0, 3000, 4)  # after 4 simulated seconds without renewal to 30 %
    write(bench, VALVE_HIGH, 0, 5000)
    until(lambda: bench.get("high.valve_setpoint") == 30.0)
    write(bench, VALVE_HIGH, 512, 2)


def test_does_a_dead_inverter_end_as_the_gateways_own_exception(bench: Bench) -> None:
    bench.kill("makeup_low")
    command = ["mbpoll", "-0", "-1", "-m", "tcp", "-p", str(bench.port("drives")), "-a", "4"]
    found = subprocess.run(
        [*command, "-t", "4", "-r", "50199", "127.0.0.1"], capture_output=True, text=True, check=False
    )
    assert "Target device failed to respond" in found.stdout + found.stderr
    assert tcp(bench, "drives", 3, "-t", 4, "-r", 50_199)
    bench.restart("makeup_low")
    assert tcp(bench, "drives", 4, "-t", 4, "-r", 50_199)


async def _values(bench: Bench) -> dict[str, ua.DataValue]:
    async with Client(f"opc.tcp://127.0.0.1:{bench.port('plc')}/plc") as client:
        index = await client.get_namespace_index(NAMESPACE)
        nodes = [
            client.get_node(ua.NodeId(ua.String(plc_identifier(p)), ua.Int16(index))) for p in PLC_POINTS
        ]
        values = [await node.read_data_value(raise_on_bad_status=False) for node in nodes]
    return dict(zip(PLC_POINTS, values, strict=True))


async def test_does_the_plc_give_values_with_type_status_and_simulated_time(bench: Bench) -> None:
    until(lambda: bench.get("plant.time") > 2.0)
    values = await _values(bench)
    tank, mains = values["station.tank_level"], values["station.mains_power"]
    assert tank.Value is not None
    assert tank.Value.VariantType is ua.VariantType.Float
    assert tank.Value.Value == pytest.approx(bench.get("station.tank_level"), abs=0.02)
    assert mains.Value is not None
    assert mains.Value.Value is True
    stamp = tank.SourceTimestamp  # asyncua gives UTC without saying so
    assert stamp is not None
    assert -1.0 < bench.clock.now().wall - stamp.replace(tzinfo=UTC).timestamp() < 15.0


async def test_does_a_broken_sensor_show_as_bad_status_without_a_value(bench: Bench) -> None:
    until(lambda: math.isnan(bench.get("station.outdoor_temperature")))
    end = time.monotonic() + 20.0
    found = (await _values(bench))["station.outdoor_temperature"]
    while found.StatusCode is None or found.StatusCode.value != StatusCodes.BadSensorFailure:
        assert time.monotonic() < end
        found = (await _values(bench))["station.outdoor_temperature"]
    assert found.Value is None or found.Value.Value is None


def test_has_the_plc_a_node_for_every_register_of_its_profile() -> None:
    profile = load_profile(config_dir() / "profiles" / "station_plc.toml")
    assert isinstance(profile, OpcUaProfile)
    wanted = {register.identifier for register in profile.registers.values()}
    assert wanted == {plc_identifier(point) for point in PLC_POINTS}


def test_is_a_value_at_rest_stamped_anew_well_before_it_counts_as_stale() -> None:
    demo = load(config_dir() / "sites" / "demo.toml", None)
    limit = age_limits(demo.devices, demo.site, speed=1.0)["station.mains_power"]
    tag = Tag(ua.NodeId(), "station.mains_power", boolean=True, last=1.0, written=0.0)
    assert tag.due(1.0, limit / 2.0)


def test_is_the_rendered_site_the_demos_with_this_benchs_ports(bench: Bench) -> None:
    site, template = read_site(bench.site), read_site(config_dir() / "sites" / "demo.toml")
    assert site.devices == template.devices
    assert site.circuits == template.circuits
    assert [bus for bus in site.buses if bus in template.buses] == []


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_is_everything_gone_after_the_bench(tmp_path: Path) -> None:
    shared = set(os.listdir("/dev/shm"))  # noqa: S108 (looked at, not written)
    with Bench(tmp_path / "bench", "steady", speed=60.0) as bench:
        pids = [bench.pid(name) for name in bench.names()]
    assert not [pid for pid in pids if _alive(pid)]
    assert set(os.listdir("/dev/shm")) <= shared  # noqa: S108
    assert all(path.suffix in {".log", ".toml"} for path in (tmp_path / "bench").iterdir())


_HOST = """
import os, sys, time
from pathlib import Path
from hil_tests.bench import Bench
with Bench(Path(sys.argv[1]), "steady", speed=60.0) as bench:
    print(*[bench.pid(name) for name in bench.names()], flush=True)
    time.sleep(60)
"""


def test_do_all_processes_die_when_the_bench_itself_is_killed(tmp_path: Path) -> None:
    host = subprocess.Popen(
        [sys.executable, "-c", _HOST, str(tmp_path / "bench")], stdout=subprocess.PIPE, text=True
    )
    with host:
        assert host.stdout is not None
        pids = [int(word) for word in host.stdout.readline().split()]
        host.send_signal(signal.SIGKILL)
    assert len(pids) > 10
    until(lambda: not [pid for pid in pids if _alive(pid)])


def test_does_the_plant_keep_up_at_sixty_times_real_time(tmp_path: Path) -> None:
    with Bench(tmp_path / "bench", "steady", speed=60.0) as bench:
        until(lambda: bench.get("plant.time") > 300.0)
        behind = bench.clock.now().monotonic - bench.get("plant.time")
    assert behind < 30.0
