"""Danfoss VLT inverter in the FC profile: control word, reference, status word, parameters at number x 10.

Wire addresses (one less than the documented register): control word 49999, reference 50009, status word
50199, main actual value 50209. Ramp and motor are the plant's; this is the register map between them and a
controller. The electronics live on the station's 24 V: without mains the drive answers, but is not ready.
Faults reset themselves (parameter 14-20 automatic). Sources: VLT FC 51 and FC 100 manuals, as in the
register map.
"""

import math
from collections.abc import Sequence

from hil_tests.blackboard import Blackboard
from hil_tests.devices.pdu import ILLEGAL_ADDRESS, Refusal, words_of

CONTROL_WORD, REFERENCE, STATUS_WORD, ACTUAL = 49_999, 50_009, 50_199, 50_209
FULL = 0x4000  # 100 % in reference and main actual value
RATED_HZ = 50.0
RATED_A = 30.0
RATED_KW = 15.0
RUN, STOP = 0x047C, 0x043C
_RUN_BITS = 0b0101_1100  # 2 no DC brake, 3 no coast, 4 no quick stop, 6 start
_DATA_VALID = 1 << 10
_COAST = 1 << 3
_TRIP_ALARM = 1 << 4  # alarm word
_LOW_DC_WARNING = 1 << 10  # warning word


class Inverter:
    """The registers of the inverter of one motor (e.g. `high.pump_1`).

    Writes `<motor>.run` (0 or 1) and `<motor>.speed_setpoint` in % of rated speed.
    """

    def __init__(self, board: Blackboard, motor: str) -> None:
        self._board = board
        self._motor = motor
        turning = board.get(f"{motor}.frequency")
        percent = 0.0 if math.isnan(turning) else turning / RATED_HZ * 100.0
        self._control = RUN if percent > 0.0 else STOP  # a bench begins in the middle of the station's day
        self._reference = round(percent / 100.0 * FULL)
        self._command()

    def holding(self, address: int, count: int) -> Sequence[int]:
        """Parameters stand alone in the address space: a block over a hole is refused."""
        return words_of(self._table(), address, count)

    def inputs(self, address: int, count: int) -> Sequence[int]:
        """All registers are holding registers."""
        raise Refusal(ILLEGAL_ADDRESS)

    def write(self, address: int, words: Sequence[int]) -> None:
        """Control word and reference; a control word without `data valid` changes nothing."""
        if len(words) != 1 or address not in (CONTROL_WORD, REFERENCE):
            raise Refusal(ILLEGAL_ADDRESS)
        if address == REFERENCE:
            self._reference = words[0]
        elif words[0] & _DATA_VALID:
            self._control = words[0]
        self._command()

    def tick(self, now: float) -> float:
        """Nothing happens by itself."""
        return math.inf

    def _wanted(self) -> float:
        """Speed in % of the reference; a negative one (reverse) stands for 0: it is a pump."""
        signed = self._reference - 0x10000 if self._reference & 0x8000 else self._reference
        return min(100.0, max(0.0, signed / FULL * 100.0))

    def _command(self) -> None:
        run = self._control & _RUN_BITS == _RUN_BITS
        self._board.set(f"{self._motor}.run", float(run))
        self._board.set(f"{self._motor}.speed_setpoint", self._wanted())

    def _table(self) -> dict[int, int]:
        board, motor = self._board, self._motor
        frequency = board.get(f"{motor}.frequency")
        tripped = board.get(f"{motor}.fault") == 1.0
        mains = board.get("plant.mains_power") != 0.0
        share = 0.0 if math.isnan(frequency) else frequency / RATED_HZ
        table = {
            CONTROL_WORD: self._control,
            REFERENCE: self._reference,
            STATUS_WORD: self._status(share, tripped, mains),
            ACTUAL: round(share * FULL),
        }
        table |= _parameters(share, mains)
        alarm, warning = _TRIP_ALARM if tripped else 0, 0 if mains else _LOW_DC_WARNING
        for address, value in ((16_899, alarm), (16_919, warning), (16_939, 0)):  # 16-90, 16-92, 16-94
            table[address], table[address + 1] = value >> 16, value & 0xFFFF
        return table

    def _status(self, share: float, tripped: bool, mains: bool) -> int:
        bits = {
            0: mains,  # control ready
            1: mains and not tripped,  # drive ready
            2: bool(self._control & _COAST),
            3: tripped,  # alarm
            7: not mains,  # warning
            8: abs(share * 100.0 - self._wanted()) < 0.5,  # speed = reference
            9: True,  # remote: the bus is in charge
            10: share <= 1.0,  # frequency within limits
            11: share > 0.0,  # running
        }
        return sum(1 << bit for bit, on in bits.items() if on)


def _parameters(share: float, mains: bool) -> dict[int, int]:
    """Measured parameters of group 16 at a share of the rated speed. Current: magnetisation, square load."""
    current = RATED_A * (0.3 + 0.7 * share * share) if share > 0.0 else 0.0
    return {
        16_099: round(RATED_KW * share**3),  # 16-10 power, kW
        16_119: round(400.0 * share),  # 16-12 motor voltage
        16_129: round(share * RATED_HZ * 10.0),  # 16-13 frequency, 0.1 Hz
        16_139: round(current * 100.0),  # 16-14 current, 0.01 A
        16_149: round(share * 1000.0),  # 16-15 frequency, 0.1 %
        16_179: round(40.0 * share),  # 16-18 thermal state of the motor
        16_299: 560 if mains else 0,  # 16-30 DC link
        16_339: 35,  # 16-34 heat sink
        16_349: round(30.0 * share),  # 16-35 thermal state of the inverter
    }
