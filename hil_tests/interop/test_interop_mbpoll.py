"""Masters of others on our simulated devices: mbpoll (libmodbus) on TCP and RTU, minimalmodbus on RTU.

What the meter, the valve and the room unit show is what the test wrote on their blackboard, exactly.
"""

import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hil_tests.blackboard import Blackboard
from hil_tests.devices import wiring
from hil_tests.interop.peers import PYTHON, SERVERS, started, told
from hil_tests.interop.test_interop_modbus import serial_line

pytestmark = pytest.mark.interop

METER, VALVE, ROOM, BAUD = 8, 22, 2, 19_200
SHOWN = {
    "high.primary_supply_temperature": 85.25,
    "high.primary_return_temperature": 45.5,
    "high.primary_flow": 12.5,
    "low.valve_position": 25.0,
    "room.h2.temperature": 21.5,
}


@dataclass(frozen=True)
class Bench:
    """A meter (unit 8), a valve (22), a room unit (2): TCP ports of all, ttys of the first two."""

    board: Blackboard
    ports: dict[str, int]
    ttys: dict[str, str]

    def tcp(self, name: str, *words: str | int) -> str:
        """What mbpoll says over TCP."""
        return mbpoll("-m", "tcp", "-p", self.ports[name], *words, "127.0.0.1")

    def rtu(self, name: str, *words: str | int, values: tuple[int, ...] = ()) -> str:
        """What mbpoll says over the tty."""
        return mbpoll("-m", "rtu", "-b", BAUD, "-P", "none", *words, self.ttys[name], *values)


def mbpoll(*words: str | int) -> str:
    """One poll of Debian's mbpoll with addresses counted from 0; all it says."""
    command = ["mbpoll", "-0", "-1", *map(str, words)]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return found.stdout + found.stderr


def values(said: str) -> dict[int, float]:
    """Values by address."""
    found = {int(key): float(value) for key, value in re.findall(r"^\[(\d+)\]:\s+(\S+)", said, re.M)}
    assert found, said
    return found


@contextmanager
def device(board: Path, kind: str, name: str, tty: str | None = None) -> Iterator[int]:
    """A simulated device as the bench starts it; its TCP port."""
    command = [sys.executable, "-m", "hil_tests.devices", kind, name, "--board", str(board), "--tcp"]
    serial = [] if tty is None else ["--serial", tty]
    with started([*command, "--parent", str(os.getpid()), *serial]) as process:
        yield int(json.loads(process.first)["port"])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """All of it, for the masters."""
    folder = tmp_path_factory.mktemp("masters")
    with ExitStack() as stack:
        path = folder / "board"
        board = stack.enter_context(Blackboard.create(path, wiring.slots(), owner="plant"))
        for slot, value in SHOWN.items():
            board.set(slot, value)
        ttys, ports = {}, {}
        for kind, name in (("meter", "meter_high"), ("actuator", "valve_low")):
            (folder / name).mkdir()
            ttys[name], theirs = stack.enter_context(serial_line(folder / name))
            ports[name] = stack.enter_context(device(path, kind, name, theirs))
        ports["rooms"] = stack.enter_context(device(path, "rooms", "all"))
        board.start(time.time(), time.monotonic(), 1.0)
        yield Bench(board, ports, ttys)


def until_told(board: Blackboard, slot: str, value: float) -> None:
    """Wait until the device has passed its order on."""
    end = time.monotonic() + 10.0
    while board.get(slot) != value:
        assert time.monotonic() < end, f"{slot} is {board.get(slot)}"
        time.sleep(0.01)


TEMPERATURES = ("-a", METER, "-t", "4:float", "-B", "-r", 6, "-c", 2)


@pytest.mark.peer("mbpoll on libmodbus 3.1", "Modbus TCP")
def test_a_master_of_others_reads_floats_from_our_meter(bench: Bench) -> None:
    assert values(bench.tcp("meter_high", *TEMPERATURES)) == {6: 85.25, 8: 45.5}


@pytest.mark.peer("mbpoll on libmodbus 3.1", "Modbus RTU")
def test_a_master_of_others_reads_floats_from_our_meter_on_a_serial_line(bench: Bench) -> None:
    assert values(bench.rtu("meter_high", *TEMPERATURES)) == {6: 85.25, 8: 45.5}


@pytest.mark.peer("mbpoll on libmodbus 3.1", "Modbus TCP")
def test_a_quantity_our_meter_lacks_is_not_a_number_for_a_master_of_others(bench: Bench) -> None:
    found = values(bench.tcp("meter_high", "-a", METER, "-t", "4:float", "-B", "-r", 2, "-c", 1))
    assert math.isnan(found[2])


@pytest.mark.peer("mbpoll on libmodbus 3.1", "Modbus TCP")
def test_a_master_of_others_reads_input_registers_of_our_room_unit(bench: Bench) -> None:
    found = values(bench.tcp("rooms", "-a", ROOM, "-t", 3, "-r", 1002))
    assert found[1002] * 0.0198 == pytest.approx(21.5, abs=0.01)


@pytest.mark.peer("mbpoll on libmodbus 3.1", "Modbus RTU")
def test_a_master_of_others_moves_our_valve_with_one_register_and_with_several(bench: Bench) -> None:
    line = ("-a", VALVE, "-t", 4)
    assert "Written 1" in bench.rtu("valve_low", *line, "-r", 0, values=(4000,))
    until_told(bench.board, "low.valve_setpoint", 40.0)
    assert values(bench.rtu("valve_low", *line, "-r", 0)) == {0: 4000.0}
    assert "Written 3" in bench.rtu("valve_low", *line, "-r", 512, values=(0, 3000, 600))
    assert values(bench.rtu("valve_low", *line, "-r", 512, "-c", 3)) == {512: 0.0, 513: 3000.0, 514: 600.0}


@pytest.mark.peer("mbpoll on libmodbus 3.1", "Modbus TCP")
def test_a_master_of_others_is_refused_by_the_standards_exceptions(bench: Bench) -> None:
    assert "Illegal data address" in bench.tcp("meter_high", "-a", METER, "-t", 4, "-r", 5000)
    assert "Illegal data address" in bench.tcp("meter_high", "-a", METER, "-t", 3, "-r", 0)
    beyond = mbpoll("-m", "tcp", "-p", bench.ports["valve_low"], "-a", VALVE, "-r", 0, "127.0.0.1", 10_001)
    assert "Illegal data value" in beyond


@pytest.mark.peer("minimalmodbus 2.1", "Modbus RTU")
def test_a_master_of_others_reads_our_meter_and_moves_our_valve(bench: Bench) -> None:
    script = [str(PYTHON), str(SERVERS / "minimalmodbus_master.py")]
    assert told([*script, "meter", bench.ttys["meter_high"], str(BAUD)]) == [85.25, 45.5]
    assert told([*script, "valve", bench.ttys["valve_low"], str(BAUD)]) == [2500, 0, 3000, 600]
    until_told(bench.board, "low.valve_setpoint", 25.0)
