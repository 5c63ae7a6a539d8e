"""Simulated M-Bus meters on one line: on a TCP socket, on a pseudo-terminal, with faults to order.

Three things: a meter (what it says and remembers), the line (who hears, and what is heard when several speak
at once), and a socket or pty. Written from the standard's side of the meter; shares no state with the driver.
"""

import asyncio
import contextlib
import os
import pty
import tty
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from drivers.mbus.address import Secondary
from drivers.mbus.frames import BROADCAST, FCB, REQ_UD2, SELECTED, SND_NKE, SND_UD, Ci, Frame, Kind, Receiver
from drivers.tests.mbus_encode import identity, telegram

Pieces = list[tuple[float, bytes]]
Fault = Callable[[bytes, bytes], Pieces]
"""Given the request and the right answer (b"" for silence): what goes onto the line, (delay in s, bytes)."""

_ACK = b"\xe5"
_MORE = b"\x1f"


def _no_records() -> Sequence[bytes]:
    return [b""]


@dataclass
class Meter:
    """One meter. `say` gives the records of its telegrams, one bytes object per telegram, when it is asked.

    `who` is "12345678.KAM.35.04". `pages` are what it says after SND_UD with CI 51 and these data.
    """

    primary: int
    who: str
    say: Callable[[], Sequence[bytes]] = _no_records
    status: int = 0
    pages: dict[bytes, Callable[[], Sequence[bytes]]] = field(default_factory=dict)
    selected: bool = False
    access: int = 0
    asked: int = 0
    _count_bit: int | None = None
    _telegram: int = -1
    _page: bytes = b""
    _said: bytes = b""

    def hear(self, frame: Frame) -> bytes:
        """What it answers; b"" for silence."""
        if frame.address == SELECTED and frame.ci == Ci.SELECT:
            return self._select(frame.data)
        if not (frame.address in (self.primary, BROADCAST) or (frame.address == SELECTED and self.selected)):
            return b""
        if frame.kind is Kind.SHORT and frame.control == SND_NKE:
            self._begin()
            self.selected = self.selected and frame.address != SELECTED
            return _ACK
        if frame.kind is Kind.SHORT and frame.control & ~FCB == REQ_UD2:
            return self._respond(frame)
        if frame.kind is Kind.LONG and frame.control & ~FCB == SND_UD:
            self._begin()
            self._page = frame.data if frame.ci == Ci.SEND else b""
            return _ACK
        return b""

    def _begin(self) -> None:
        self._count_bit, self._telegram = None, -1

    def _select(self, data: bytes) -> bytes:
        number = data[3::-1].hex().upper()
        mask = Secondary(number, int.from_bytes(data[4:6], "little"), data[6], data[7])
        self.selected = mask.matches(identity(self.who))
        if self.selected:
            self._begin()
        return _ACK if self.selected else b""

    def _respond(self, frame: Frame) -> bytes:
        self.asked += 1
        if frame.control & FCB == self._count_bit:
            return self._said  # the master did not hear it: the very same once more (EN 60870-5-2)
        self._count_bit = frame.control & FCB
        telegrams = self.pages.get(self._page, self.say)()
        self._telegram = (self._telegram + 1) % len(telegrams)
        self.access = (self.access + 1) % 256
        body = telegrams[self._telegram] + (_MORE if self._telegram + 1 < len(telegrams) else b"")
        self._said = telegram(self.primary, identity(self.who), body, self.access, self.status)
        return self._said


class MeterLine:
    """Meters on one pair of wires. `fault` replaces what is heard; `requests` are all that was asked."""

    def __init__(self, *meters: Meter) -> None:
        self.meters = list(meters)
        self.fault: Fault | None = None
        self.requests: list[bytes] = []
        self.writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def hang_up(self) -> None:
        """Close every connection, as a converter does that was restarted."""
        for writer in self.writers:
            writer.close()
        self.writers.clear()

    def hear(self, request: bytes, frame: Frame) -> Pieces:
        """What is heard on the line after `request`."""
        self.requests.append(request)
        answers = [answer for meter in self.meters if (answer := meter.hear(frame))]
        right = collided(answers)
        if self.fault is not None:
            return self.fault(request, right)
        return [(0.0, right)] if right else []

    def take(self, receiver: Receiver, data: bytes, write: Callable[[bytes], object]) -> None:
        """Bytes of a master came in; answers go to `write`, in order."""
        for piece in receiver.feed(data):
            if piece.frame is not None:
                pieces = self.hear(piece.data, piece.frame)
                task = asyncio.get_running_loop().create_task(self._deliver(pieces, write, set(self._tasks)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _deliver(
        self, pieces: Pieces, write: Callable[[bytes], object], before: set[asyncio.Task[None]]
    ) -> None:
        for delay_s, data in pieces:
            if delay_s:
                await asyncio.sleep(delay_s)
            elif before:
                await asyncio.wait(before)
            write(data)

    async def stop(self) -> None:
        """End answers that are still to come."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def collided(answers: Sequence[bytes]) -> bytes:
    """What is heard when several speak at once: a space (0) of anyone is a space (EN 13757-2)."""
    heard = bytearray()
    for place in range(max(map(len, answers), default=0)):
        byte = 0xFF
        for answer in answers:
            byte &= answer[place] if place < len(answer) else 0xFF
        heard.append(byte)
    return bytes(heard)


def silent(request: bytes, right: bytes) -> Pieces:
    """Nobody answers."""
    return []


def late(delay_s: float) -> Fault:
    """The right answer, `delay_s` after the request."""
    return lambda request, right: [(delay_s, right)]


def corrupt(place: int, value: int = 0xFF) -> Fault:
    """One byte of every answer that is long enough is another one."""

    def spoil(request: bytes, right: bytes) -> Pieces:
        spoilt = bytearray(right)
        if len(spoilt) > place:
            spoilt[place] ^= value
        return [(0.0, bytes(spoilt))] if spoilt else []

    return spoil


def cut(length: int) -> Fault:
    """Only the first bytes of every answer arrive."""
    return lambda request, right: [(0.0, right[:length])] if right else []


def echo(request: bytes, right: bytes) -> Pieces:
    """A converter that sends back what it was given."""
    return [(0.0, request + right)]


def bytewise(request: bytes, right: bytes) -> Pieces:
    """A slow line: byte after byte."""
    return [(0.0005, right[n : n + 1]) for n in range(len(right))]


@asynccontextmanager
async def serve_tcp(line: MeterLine) -> AsyncIterator[int]:
    """A TCP level converter on a free port, which is given."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line.writers.add(writer)
        receiver = Receiver()
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(512):
                line.take(receiver, data, writer.write)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await line.stop()
        server.close()
        line.hang_up()
        await server.wait_closed()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def serve_pty(line: MeterLine) -> AsyncIterator[str]:
    """A serial level converter on a pseudo-terminal, whose path is given (no parity: a pty has none)."""
    master, terminal = pty.openpty()
    tty.setraw(terminal)
    os.set_blocking(master, False)
    receiver = Receiver()
    loop = asyncio.get_running_loop()
    loop.add_reader(
        master, lambda: line.take(receiver, os.read(master, 512), lambda data: os.write(master, data))
    )
    try:
        yield os.ttyname(terminal)
    finally:
        await line.stop()
        loop.remove_reader(master)
        os.close(terminal)
        os.close(master)
