"""The simulated devices' registers against the blackboard, without any process."""

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil_tests.blackboard import Blackboard
from hil_tests.devices import wiring
from hil_tests.devices.actuator import (
    BACKUP_MODE,
    BACKUP_POSITION,
    KEEP_LAST,
    TO_BACKUP_POSITION,
    Actuator,
)
from hil_tests.devices.inverter import CONTROL_WORD, REFERENCE, RUN, STATUS_WORD, STOP, Inverter
from hil_tests.devices.meter import Meter
from hil_tests.devices.pdu import ILLEGAL_ADDRESS, ILLEGAL_VALUE, Refusal
from hil_tests.devices.room_unit import NO_SENSOR, TEMPERATURE, RoomUnit


class Boards:
    """A blackboard opened once for every writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.plant = Blackboard.create(path, wiring.slots(), owner="plant")
        self._open = [self.plant]

    def of(self, owner: str) -> Blackboard:
        board = Blackboard(self._path, owner)
        self._open.append(board)
        return board

    def close(self) -> None:
        for board in self._open:
            board.close()


@pytest.fixture
def boards(tmp_path: Path) -> Iterator[Boards]:
    made = Boards(tmp_path / "board")
    yield made
    made.close()


def test_does_a_slot_belong_to_one_writer_only(boards: Boards) -> None:
    valve = boards.of("valve_high")
    assert math.isnan(valve.get("high.valve_position"))
    boards.plant.set("high.valve_position", 41.5)
    assert valve.get("high.valve_position") == 41.5
    with pytest.raises(KeyError):
        valve.set("high.valve_position", 50.0)
    with pytest.raises(KeyError):
        valve.get("high.nonsense")


def test_is_there_no_clock_before_the_bench_starts_it(boards: Boards) -> None:
    assert boards.plant.clock() is None
    boards.plant.start(1.7e9, 5.0, 60.0)
    clock = boards.of("plc").clock()
    assert clock is not None
    assert clock.speed == 60.0


def test_does_the_meter_show_floats_high_word_first_and_nan_for_what_it_lacks(boards: Boards) -> None:
    boards.plant.set("high.primary_flow", 12.5)
    boards.plant.set("high.primary_supply_temperature", 93.25)
    meter = Meter(boards.of("meter_high"), "high")
    assert struct.pack(">2H", *meter.holding(0, 2)) == struct.pack(">f", 12500.0)
    assert struct.pack(">2H", *meter.holding(6, 2)) == struct.pack(">f", 93.25)
    assert math.isnan(struct.unpack(">f", struct.pack(">2H", *meter.holding(8, 2)))[0])
    with pytest.raises(Refusal):
        meter.holding(60, 30)


def _setpoint(boards: Boards) -> float:
    return boards.plant.get("high.valve_setpoint")


def _actuator(boards: Boards) -> Actuator:
    boards.plant.set("high.valve_position", 41.5)
    return Actuator(boards.of("valve_high"), "high", 21, 120.0)


def test_does_the_actuator_begin_where_the_valve_stands(boards: Boards) -> None:
    actuator = _actuator(boards)
    assert _setpoint(boards) == 41.5
    assert list(actuator.holding(0, 3)) == [4150, 0, 4150]


def test_does_a_new_setpoint_reach_the_motor_within_the_limits(boards: Boards) -> None:
    actuator = _actuator(boards)
    actuator.write(0, (6000,))
    assert _setpoint(boards) == 60.0
    actuator.write(260, (5500,))
    assert _setpoint(boards) == 55.0


def test_does_the_fail_safe_move_the_valve_only_when_nobody_renews(boards: Boards) -> None:
    actuator = _actuator(boards)
    actuator.write(BACKUP_MODE - 1, (TO_BACKUP_POSITION, 1000, 120))
    actuator.tick(0.0)
    actuator.write(0, (6000,))
    for moment in range(0, 1200, 60):
        actuator.tick(float(moment))
        actuator.holding(0, 3)
        actuator.write(0, (6000,))
    assert _setpoint(boards) == 60.0
    due = actuator.tick(1140.0)
    actuator.holding(0, 3)  # reading does not renew
    assert _setpoint(boards) == 60.0
    assert due > 1140.0 + 119.0
    actuator.tick(due)
    assert _setpoint(boards) == 10.0
    actuator.write(0, (6000,))
    assert _setpoint(boards) == 60.0


def test_does_the_commissioned_actuator_keep_its_position_when_nobody_renews(boards: Boards) -> None:
    actuator = _actuator(boards)
    assert list(actuator.holding(BACKUP_MODE - 1, 3)) == [KEEP_LAST, 0, 900]
    actuator.write(0, (6000,))
    actuator.tick(100_000.0)
    assert _setpoint(boards) == 60.0


@pytest.mark.parametrize(("override", "goes_to"), [(1, 100.0), (2, 0.0), (3, 41.5), (0, 60.0)])
def test_does_an_override_win_over_the_setpoint(boards: Boards, override: int, goes_to: float) -> None:
    actuator = _actuator(boards)
    actuator.write(0, (6000,))
    actuator.write(1, (override,))
    assert _setpoint(boards) == goes_to


def test_does_a_refused_block_change_nothing(boards: Boards) -> None:
    actuator = _actuator(boards)
    with pytest.raises(Refusal) as refused:
        actuator.write(0, (6000, 9))
    assert refused.value.code == ILLEGAL_VALUE
    with pytest.raises(Refusal) as refused:
        actuator.write(2, (6000,))
    assert refused.value.code == ILLEGAL_ADDRESS
    assert _setpoint(boards) == 41.5
    assert list(actuator.holding(BACKUP_POSITION - 1, 2)) == [0, 900]


def _inverter(boards: Boards, frequency: float = 45.0) -> Inverter:
    boards.plant.set("high.pump_1.frequency", frequency)
    boards.plant.set("high.pump_1.fault", 0.0)
    boards.plant.set("plant.mains_power", 1.0)
    return Inverter(boards.of("pump_high"), "high.pump_1")


def _bits(inverter: Inverter) -> set[int]:
    word = inverter.holding(STATUS_WORD, 1)[0]
    return {bit for bit in range(16) if word >> bit & 1}


def test_does_the_inverter_go_on_as_it_was_and_obey_control_word_and_reference(boards: Boards) -> None:
    inverter = _inverter(boards)
    assert boards.plant.get("high.pump_1.run") == 1.0
    assert boards.plant.get("high.pump_1.speed_setpoint") == pytest.approx(90.0, abs=0.01)
    assert inverter.holding(16_129, 1)[0] == 450
    inverter.write(REFERENCE, (0x2000,))
    assert boards.plant.get("high.pump_1.speed_setpoint") == 50.0
    inverter.write(CONTROL_WORD, (STOP,))
    assert boards.plant.get("high.pump_1.run") == 0.0
    inverter.write(CONTROL_WORD, (RUN & ~(1 << 10),))  # without `data valid` the word is ignored
    assert boards.plant.get("high.pump_1.run") == 0.0
    inverter.write(CONTROL_WORD, (RUN,))
    assert boards.plant.get("high.pump_1.run") == 1.0


def test_does_the_status_word_tell_ready_alarm_and_running(boards: Boards) -> None:
    inverter = _inverter(boards)
    assert {0, 1, 9, 11} <= _bits(inverter)
    assert 3 not in _bits(inverter)
    boards.plant.set("high.pump_1.fault", 1.0)
    boards.plant.set("high.pump_1.frequency", 0.0)
    assert {0, 3, 9} <= _bits(inverter)
    assert not {1, 11} & _bits(inverter)
    boards.plant.set("plant.mains_power", 0.0)
    assert not {0, 1, 11} & _bits(inverter)


def test_does_the_inverter_refuse_a_block_over_a_hole(boards: Boards) -> None:
    with pytest.raises(Refusal):
        _inverter(boards).holding(16_129, 11)


@pytest.mark.parametrize(
    ("shown", "word"),
    [(20.7, round(20.7 / 0.0198)), (-5.0, round(-5.0 / 0.0198) & 0xFFFF), (math.nan, NO_SENSOR)],
)
def test_does_the_room_unit_show_its_own_steps(boards: Boards, shown: float, word: int) -> None:
    boards.plant.set("room.h2.temperature", shown)
    assert RoomUnit(boards.of("rooms"), "h2").inputs(TEMPERATURE, 1) == [word]
