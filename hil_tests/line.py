"""An RS-485 line as a process: pseudo-terminals joined by a half-duplex wire that takes its time.

`python -m hil_tests.line --folder F --baud B --port P ... --device D ...` leaves a tty `F/<name>` for every
port and device. A pty has no speed of its own: bytes arrive at the other side when the wire would have
carried them (10 bits a character: 8N1, because a pty refuses parity). What two send at once is spoiled for
all. The first port is the service's, another one a technician's: an arbiter such as is sold for the purpose
lets one master at a time have the wire, from its request to the reply.
"""

import argparse
import contextlib
import errno
import os
import pty
import random
import select
import time
import tty
from dataclasses import dataclass
from pathlib import Path

from hil_tests.blackboard import Blackboard
from hil_tests.child import die_with_parent, report_ready

BITS_PER_CHARACTER = 10
_PATIENCE_S = 0.25  # how long a master holds the wire without a reply
_HUNG_S = 0.05  # how often to look whether somebody opened a port again


@dataclass(slots=True)
class Frame:
    """Bytes on the wire; `end` is when the last one will have passed (monotonic s)."""

    sender: int
    data: bytearray
    end: float
    spoiled: bool = False


def silence_s(baud: int) -> float:
    """Silence between frames, MODBUS over Serial Line 2.5.1.1: 3.5 characters, fixed above 19200 baud."""
    return 3.5 * BITS_PER_CHARACTER / baud if baud <= 19_200 else 0.00175


class Wire:
    """A half-duplex pair of wires at a baud rate. Pure: time is an argument; senders are numbers."""

    def __init__(self, baud: int) -> None:
        self.character_s = BITS_PER_CHARACTER / baud
        self.silence_s = silence_s(baud)
        self.quiet_since = 0.0
        self.collisions = 0
        self.short_gaps = 0
        self.busy_s = 0.0
        self._frame: Frame | None = None

    @property
    def end(self) -> float | None:
        """When the frame under way will have passed; None on a quiet wire."""
        return self._frame.end if self._frame else None

    def send(self, sender: int, data: bytes, now: float) -> None:
        """Put bytes on the wire at `now`; they follow the sender's own, and spoil anybody else's."""
        passing_s = len(data) * self.character_s
        self.busy_s += passing_s
        frame = self._frame
        if frame is None:
            self.short_gaps += now - self.quiet_since < self.silence_s
            self._frame = Frame(sender, bytearray(data), now + passing_s)
            return
        if frame.sender != sender and not frame.spoiled:
            frame.spoiled = True
            self.collisions += 1
        frame.data += data
        frame.end = max(frame.end, now) + passing_s

    def arrived(self, now: float) -> Frame | None:
        """The frame that has passed by `now`, once."""
        frame = self._frame
        if frame is None or now < frame.end:
            return None
        self._frame = None
        self.quiet_since = now
        return frame


def _spoil(data: bytearray, dice: random.Random) -> bytes:
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(data)


@dataclass(slots=True)
class Port:
    """A master's side: hung while nobody has its tty open."""

    descriptor: int
    hung_until: float = 0.0


class Line:
    """The process: ports, devices and the wire between them."""

    def __init__(self, ports: list[int], devices: list[int], baud: int, board: Blackboard, name: str) -> None:
        self._ports = {number: Port(number) for number in ports}
        self._devices = devices
        self._wire = Wire(baud)
        self._board = board
        self._name = name
        self._dice = random.Random(1)
        self._requests = 0
        self._owner: int | None = None  # the port whose request is being served
        self._last_owner = ports[0]
        self._patience_end = 0.0

    def run(self) -> None:
        """Carry bytes until the process is killed."""
        self._publish()
        while True:
            now = time.monotonic()
            if self._owner is not None and now > self._patience_end and self._wire.end is None:
                self._owner = None
            ready = select.select(self._sources(now), (), (), self._wait_s(now))[0]
            now = time.monotonic()
            for descriptor in ready:
                self._take(descriptor, now)
            frame = self._wire.arrived(now)
            if frame is not None:
                self._deliver(frame, now)

    def _sources(self, now: float) -> list[int]:
        """Who may speak now: every device, and the ports whose turn it is."""
        return self._devices + [number for number in self._ports if self._may_speak(number, now)]

    def _may_speak(self, number: int, now: float) -> bool:
        if now < self._ports[number].hung_until:
            return False
        if self._owner is None:  # a change of master keeps the silence between frames
            return number == self._last_owner or now - self._wire.quiet_since >= self._wire.silence_s
        return number == self._owner

    def _wait_s(self, now: float) -> float:
        """Real seconds until something changes by itself."""
        end = self._wire.end
        if end is not None:
            return max(0.0, end - now)
        silence = self._wire.quiet_since + self._wire.silence_s - now
        if silence > 0.0:
            return silence
        return _HUNG_S

    def _take(self, descriptor: int, now: float) -> None:
        try:
            data = os.read(descriptor, 4096)
        except OSError as error:
            if error.errno != errno.EIO or descriptor not in self._ports:
                raise
            self._ports[descriptor].hung_until = now + _HUNG_S
            return
        if descriptor in self._ports:
            self._requests += 1
            self._owner = self._last_owner = descriptor
        self._wire.send(descriptor, data, now)
        end = self._wire.end
        self._patience_end = (now if end is None else end) + _PATIENCE_S

    def _deliver(self, frame: Frame, now: float) -> None:
        """Requests reach all devices, replies the port that asked; a spoiled frame reaches all."""
        self._publish()
        noisy = self._dice.random() < self._board.get(f"fault.{self._name}.noise")
        data = _spoil(frame.data, self._dice) if frame.spoiled or noisy else bytes(frame.data)
        receivers: list[int] = []
        if frame.sender in self._ports or frame.spoiled:
            receivers += self._devices
        if frame.sender not in self._ports or frame.spoiled:
            receivers += [self._last_owner]
            self._owner = None
        for descriptor in receivers:
            if descriptor not in self._ports or now >= self._ports[descriptor].hung_until:
                with contextlib.suppress(OSError):  # a dead device's buffer is full, a port has just closed
                    os.write(descriptor, data)

    def _publish(self) -> None:
        wire = self._wire
        counts = {
            "requests": self._requests,
            "collisions": wire.collisions,
            "short_gaps": wire.short_gaps,
            "busy_s": wire.busy_s,
        }
        for key, value in counts.items():
            self._board.set(f"{self._name}.{key}", float(value))


def open_pair(link: Path, hold: bool) -> int:
    """A pty whose tty stands at `link`; our side of it. `hold` keeps the tty open: it never hangs up."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    link.unlink(missing_ok=True)
    link.symlink_to(os.ttyname(theirs))
    os.set_blocking(ours, False)
    if not hold:
        os.close(theirs)
    return ours


def main() -> None:
    """Be the line until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--board", type=Path, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--baud", type=int, required=True)
    parser.add_argument("--port", action="append", required=True)
    parser.add_argument("--device", action="append", required=True)
    arguments = parser.parse_args()
    die_with_parent(arguments.parent)
    ports = [open_pair(arguments.folder / name, hold=False) for name in arguments.port]
    devices = [open_pair(arguments.folder / name, hold=True) for name in arguments.device]
    board = Blackboard(arguments.board, owner=arguments.name)
    line = Line(ports, devices, arguments.baud, board, arguments.name)
    report_ready({})
    line.run()


if __name__ == "__main__":
    main()
