"""Siemens RDF302 room unit: input registers from 0x03E8, steps of 0.0198 K (field template)."""

import math
from collections.abc import Sequence

from hil_tests.blackboard import Blackboard
from hil_tests.devices.pdu import ILLEGAL_ADDRESS, Refusal, words_of

MODE, FAN, TEMPERATURE, SETPOINT, HEATING, COOLING, ELECTRIC, FAN_MODE = (
    0x03E8, 0x03E9, 0x03EA, 0x03EB, 0x03EC, 0x03ED, 0x03EE, 0x03F1,
)  # fmt: skip
STEP_K = 0.0198
NO_SENSOR = 0x7FFF


class RoomUnit:
    """The registers of one room unit."""

    def __init__(self, board: Blackboard, room: str) -> None:
        self._board = board
        self._slot = f"room.{room}.temperature"

    def inputs(self, address: int, count: int) -> Sequence[int]:
        """Any block without holes."""
        measured = self._board.get(self._slot)
        steps = measured / STEP_K
        raw = round(steps) & 0xFFFF if abs(steps) < NO_SENSOR else NO_SENSOR  # also for NaN and infinity
        table = dict.fromkeys((MODE, FAN, HEATING, COOLING, ELECTRIC, FAN_MODE), 0)
        table |= {MODE: 1, TEMPERATURE: raw, SETPOINT: round(20.0 / STEP_K)}
        return words_of(table, address, count)

    def holding(self, address: int, count: int) -> Sequence[int]:
        """All registers are input registers."""
        raise Refusal(ILLEGAL_ADDRESS)

    def write(self, address: int, words: Sequence[int]) -> None:
        """Nothing can be written."""
        raise Refusal(ILLEGAL_ADDRESS)

    def tick(self, now: float) -> float:
        """Nothing happens by itself."""
        return math.inf
