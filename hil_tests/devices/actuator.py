"""Siemens Acvatix /MO valve actuator: setpoint, override, position, limits and the fail-safe of registers
513 to 516.

Register numbers are counted from 1 as in CE1P4040/CE1P4041/CE1Z4634; on the wire one less. The motor itself
(running time, dead band, play) is the plant's; this is the electronics that tells it where to go. Time is
simulated time.
"""

import math
from collections.abc import Sequence

from hil_tests.blackboard import Blackboard
from hil_tests.devices.pdu import ILLEGAL_ADDRESS, ILLEGAL_VALUE, Refusal, words_of

SETPOINT, OVERRIDE, POSITION = 1, 2, 3
MINIMUM, MAXIMUM, RUNNING_TIME = 260, 261, 262
BACKUP_MODE, BACKUP_POSITION, BACKUP_TIMEOUT = 513, 514, 515
TO_BACKUP_POSITION, KEEP_LAST, DISABLED = 0, 1, 2

_DEFAULTS: dict[int, int] = {
    SETPOINT: 0,
    OVERRIDE: 0,
    POSITION: 0,
    256: 0,  # command: ready
    257: 0,  # opening direction: clockwise
    259: 1,  # operating mode: position control
    MINIMUM: 0,
    MAXIMUM: 10_000,
    RUNNING_TIME: 120,
    263: 0,  # characteristic: linear
    264: 400,  # blockade tolerance
    BACKUP_MODE: DISABLED,
    BACKUP_POSITION: 0,
    BACKUP_TIMEOUT: 900,
    516: 0,  # setpoint at power-up
    764: 1,  # address
    765: 0,  # baud: automatic
    766: 2,  # 8N1
    767: 0,  # termination
    768: 0,  # bus command: ready
    769: 0,  # status
}
_WRITABLE: dict[int, tuple[int, int]] = {
    SETPOINT: (0, 10_000),
    OVERRIDE: (0, 5),
    MINIMUM: (0, 10_000),
    MAXIMUM: (0, 10_000),
    BACKUP_MODE: (0, 2),
    BACKUP_POSITION: (0, 10_000),
    BACKUP_TIMEOUT: (0, 65_535),
    516: (0, 10_000),
}


def _word(percent: float) -> int:
    """% of stroke in 0.01 %; 0 for what is not known."""
    return 0 if math.isnan(percent) else round(min(100.0, max(0.0, percent)) * 100.0)


class Actuator:
    """The registers of one circuit's valve actuator. Writes `<circuit>.valve_setpoint` in % of stroke."""

    def __init__(self, board: Blackboard, circuit: str, unit: int, running_time_s: float) -> None:
        self._board = board
        self._target = f"{circuit}.valve_setpoint"
        self._position = f"{circuit}.valve_position"
        self._registers = dict(_DEFAULTS)
        self._registers[RUNNING_TIME] = round(running_time_s)
        self._registers[764] = unit
        # Commissioned to keep the last position when the controller is silent (CJJ/T 34-2022, 13.1.5).
        self._registers[BACKUP_MODE] = KEEP_LAST
        self._now = 0.0
        self._renewed = 0.0
        self._stopped_at: int | None = None
        self._remember_setpoint()

    def _remember_setpoint(self) -> None:
        """The electronics keep the setpoint through a restart; the first one is where the valve stands."""
        last = self._board.get(self._target)
        self._registers[SETPOINT] = _word(self._board.get(self._position) if math.isnan(last) else last)
        self._drive()

    def holding(self, address: int, count: int) -> Sequence[int]:
        """Any block without holes; the position is the one of this moment."""
        self._registers[POSITION] = _word(self._board.get(self._position))
        table = self._registers
        return words_of({number - 1: word for number, word in table.items()}, address, count)

    def inputs(self, address: int, count: int) -> Sequence[int]:
        """All registers are holding registers."""
        raise Refusal(ILLEGAL_ADDRESS)

    def write(self, address: int, words: Sequence[int]) -> None:
        """All or nothing: a block with one bad word changes nothing."""
        for number, word in enumerate(words, address + 1):
            limits = _WRITABLE.get(number)
            if limits is None:
                raise Refusal(ILLEGAL_ADDRESS)
            if not limits[0] <= word <= limits[1]:
                raise Refusal(ILLEGAL_VALUE)
        for number, word in enumerate(words, address + 1):
            self._take(number, word)
        self._drive()

    def _take(self, number: int, word: int) -> None:
        self._registers[number] = word
        if number in (SETPOINT, OVERRIDE):  # only writing renews; reading does not
            self._renewed = self._now
        if number == OVERRIDE:
            self._stopped_at = self.holding(POSITION - 1, 1)[0] if word == 3 else None

    def _expired(self) -> bool:
        silence = self._now - self._renewed
        return self._registers[BACKUP_MODE] != DISABLED and silence > self._registers[BACKUP_TIMEOUT]

    def _wanted(self) -> int:
        """Where to go, in 0.01 %, before the limits."""
        registers = self._registers
        if self._expired() and registers[BACKUP_MODE] == TO_BACKUP_POSITION:
            return registers[BACKUP_POSITION]
        if self._stopped_at is not None:
            return self._stopped_at
        overridden = {1: 10_000, 2: 0, 4: registers[MINIMUM], 5: registers[MAXIMUM]}
        return overridden.get(registers[OVERRIDE], registers[SETPOINT])

    def _drive(self) -> None:
        lowest, highest = self._registers[MINIMUM], self._registers[MAXIMUM]
        self._board.set(self._target, min(highest, max(lowest, self._wanted())) / 100.0)

    def tick(self, now: float) -> float:
        """Watch the renewal at `now` (simulated s); when to be asked again."""
        self._now = now
        self._drive()
        due = self._renewed + self._registers[BACKUP_TIMEOUT]
        return due + 0.1 if due >= now else math.inf
