"""A Modbus RTU slave on a pseudo-terminal that takes the time a wire would take, byte by byte.

`python -m hil_tests.benchmarks.paced --baud B --turnaround S --parent PID` reports its tty in one line of
JSON. A pty carries bytes at once: the slave waits until the request would have come in, then 3.5 characters
(by which a slave knows that a request has ended), then its turnaround, and then paces its answer. 10 bits a
character (8N1: a pty knows no parity). It counts requests that came sooner than 3.5 characters after its last
answer as `hurried` and does not answer them, as real slaves do not; the count is told in register 999.
"""

import argparse
import os
import pty
import select
import struct
import time
import tty

from drivers.tests.slaves import rtu
from hil_tests.child import die_with_parent, report_ready
from hil_tests.line import BITS_PER_CHARACTER, silence_s

HURRIED = 999  # the register that tells the count


class _Slave:
    def __init__(self, descriptor: int, baud: int, turnaround_s: float) -> None:
        self._descriptor = descriptor
        self._character_s = BITS_PER_CHARACTER / baud
        self._silence_s = silence_s(baud)
        self._turnaround_s = turnaround_s
        self._answered = 0.0
        self._hurried = 0

    def run(self) -> None:
        """Answer until killed."""
        while True:
            select.select([self._descriptor], (), ())
            began = time.monotonic()
            request = os.read(self._descriptor, 256)
            if began - self._answered < self._silence_s:
                self._hurried += 1
                continue
            heard = began + len(request) * self._character_s + self._silence_s
            self._pace(self._answer(request), heard + self._turnaround_s)

    def _answer(self, request: bytes) -> bytes:
        unit, function, start, count = struct.unpack(">BBHH", request[:6])
        if function == 6:
            return request
        words = [self._hurried if start + n == HURRIED else 1000 + start + n for n in range(count)]
        return rtu(unit, struct.pack(f">BB{count}H", function, 2 * count, *words))

    def _pace(self, answer: bytes, begin: float) -> None:
        """Each byte leaves when the wire would have carried it to its end."""
        for place in range(0, len(answer), 2):
            piece = answer[place : place + 2]
            self._sleep_until(begin + (place + len(piece)) * self._character_s)
            os.write(self._descriptor, piece)
        self._answered = time.monotonic()

    @staticmethod
    def _sleep_until(moment: float) -> None:
        wait_s = moment - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)


def main() -> None:
    """Serve until the parent dies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--baud", type=int, required=True)
    parser.add_argument("--turnaround", type=float, required=True)
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args()
    die_with_parent(options.parent)
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    report_ready({"tty": os.ttyname(theirs)})
    _Slave(ours, options.baud, options.turnaround).run()


if __name__ == "__main__":
    main()
