"""The RS-485 line: its time, its collisions, and what a read over it costs."""

import os
import select
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil_tests.bench import Bench
from hil_tests.devices.pdu import is_rtu, rtu
from hil_tests.devices.server import open_serial
from hil_tests.line import Wire, silence_s

BAUD = 9_600
METER_HIGH, METER_LOW, VALVE_HIGH = 8, 9, 21


def test_do_bytes_arrive_when_the_wire_has_carried_them() -> None:
    wire = Wire(9_600)
    wire.send(1, bytes(8), 10.0)
    assert wire.arrived(10.0 + 79 / 9_600) is None
    frame = wire.arrived(10.0 + 81 / 9_600)
    assert frame is not None
    assert bytes(frame.data) == bytes(8)
    assert not frame.spoiled


def test_do_two_senders_at_once_spoil_the_frame() -> None:
    wire = Wire(9_600)
    wire.send(1, bytes(8), 10.0)
    wire.send(2, bytes(8), 10.001)
    frame = wire.arrived(11.0)
    assert frame is not None
    assert frame.spoiled
    assert wire.collisions == 1


def test_is_a_frame_that_comes_too_soon_after_another_counted() -> None:
    wire = Wire(9_600)
    for begin in (10.0, 10.0 + 0.00834 + 0.001, 11.0):  # the second leaves 1 ms where 3.6 ms are due
        wire.send(1, bytes(8), begin)
        assert wire.arrived(begin + 0.00834) is not None
    assert wire.short_gaps == 1


class Master:
    """A serial client of a few lines, so that the time is the line's and not a library's."""

    def __init__(self, path: Path) -> None:
        self._serial = open_serial(path)

    def read(self, unit: int, address: int, count: int, within_s: float = 1.0) -> bytes | None:
        """The whole reply to a read of holding registers, or None."""
        os.write(self._serial, rtu(unit, struct.pack(">BHH", 3, address, count)))
        reply = b""
        end = time.monotonic() + within_s
        while not is_rtu(reply) and (left := end - time.monotonic()) > 0.0:
            if select.select([self._serial], (), (), left)[0]:
                reply += os.read(self._serial, 4096)
        return reply if is_rtu(reply) else None

    def close(self) -> None:
        os.close(self._serial)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("line"), "steady", speed=10.0, baud=BAUD) as made:
        yield made


@pytest.fixture
def master(bench: Bench) -> Iterator[Master]:
    made = Master(bench.line)
    yield made
    made.close()


def test_does_a_read_of_ten_registers_take_the_wire_time(bench: Bench, master: Master) -> None:
    wire_s = (8 + 25) * 10 / BAUD
    short_gaps = bench.get("line1.short_gaps")
    taken = []
    for _ in range(10):
        begin = time.monotonic()
        assert master.read(METER_HIGH, 0, 10) is not None
        taken.append(time.monotonic() - begin)
        time.sleep(silence_s(BAUD))
    assert min(taken) >= wire_s
    assert bench.get("line1.short_gaps") == short_gaps  # neither did the device reply too soon
    assert sorted(taken)[len(taken) // 2] < wire_s + 0.025  # turnaround, and a busy machine


def test_does_a_dead_device_leave_its_neighbours_alone(bench: Bench, master: Master) -> None:
    bench.kill("meter_high")
    assert master.read(METER_HIGH, 0, 2, within_s=0.2) is None
    for _ in range(5):
        assert master.read(METER_LOW, 0, 10) is not None
        assert master.read(VALVE_HIGH, 0, 3) is not None
    bench.restart("meter_high")
    assert master.read(METER_HIGH, 0, 2) is not None


def test_does_a_mute_device_say_nothing_and_come_back(bench: Bench, master: Master) -> None:
    bench.set("fault.meter_low.silent", 1.0)
    assert master.read(METER_LOW, 0, 2, within_s=0.2) is None
    bench.set("fault.meter_low.silent", 0.0)
    assert master.read(METER_LOW, 0, 2) is not None


def test_does_noise_cost_frames_and_never_passes_the_crc(bench: Bench, master: Master) -> None:
    bench.set("fault.line1.noise", 1.0)
    assert master.read(VALVE_HIGH, 0, 3, within_s=0.2) is None
    bench.set("fault.line1.noise", 0.0)
    assert master.read(VALVE_HIGH, 0, 3) is not None


def test_can_a_technician_read_while_the_service_polls(bench: Bench, master: Master) -> None:
    technician = Master(bench.technician)
    collisions = bench.get("line1.collisions")
    try:
        for _ in range(5):
            assert master.read(VALVE_HIGH, 0, 3) is not None
            assert technician.read(METER_LOW, 0, 10) is not None
    finally:
        technician.close()
    assert bench.get("line1.collisions") == collisions


def test_does_a_port_work_again_after_its_owner_left(bench: Bench) -> None:
    for _ in range(3):
        master = Master(bench.line)
        assert master.read(VALVE_HIGH, 0, 3) is not None
        master.close()
