"""Heat meters of CJ/T 188 on real sockets and pseudo-terminals, written from the standard's layout by hand.

Nothing of the driver's codec is used, so that a mistake shared by both ends shows. `fault` replaces a right
answer: given the request and the right answer, it returns what goes onto the line instead, as pieces of
(delay in s, bytes).
"""

import asyncio
import contextlib
import os
import pty
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Pieces = list[tuple[float, bytes]]
Fault = Callable[[bytes, bytes], Pieces]

DIGITS: dict[int, tuple[int, int]] = {
    0: (100_000, 0x05),  # 1000.00 kWh at the settlement day
    1: (123_456, 0x05),  # 1234.56 kWh
    2: (2_320, 0x17),  # 23.20 kW
    3: (10_000, 0x35),  # 1.0000 m3/h
    4: (765_432, 0x2C),  # 7654.32 m3
}
"""By place in the answer: the digits shown and the unit code. 1 m3/h over 20 K is 23.2 kW."""


def low_first(digits: int, width: int) -> bytes:
    """BCD, low byte first."""
    return bytes.fromhex(f"{digits:0{2 * width}d}")[::-1]


def heat_payload(
    amounts: dict[int, tuple[int, int]] | None = None,
    *,
    unit_first: bool = False,
    supply: int = 6512,
    back: int = 4512,
    status: bytes = b"\x00\x00",
) -> bytes:
    """What follows SER in an answer to 901F: 43 bytes."""
    shown = DIGITS | (amounts or {})
    body = b""
    for place in range(5):
        digits, code = shown[place]
        value, unit = low_first(digits, 4), bytes((code,))
        body += unit + value if unit_first else value + unit
    clock = bytes.fromhex("30 45 12 21 11 26 20")  # 2026-11-21 12:45:30
    return body + low_first(supply, 3) + low_first(back, 3) + low_first(4321, 3) + clock + status


def frame(meter_type: int, address: bytes, control: int, data: bytes, wakes: int = 0) -> bytes:
    """68 T A0..A6 C L DATA CS 16, after FE."""
    body = b"\x68" + bytes((meter_type,)) + address + bytes((control, len(data))) + data
    return b"\xfe" * wakes + body + bytes((sum(body) & 0xFF, 0x16))


def answer(number: str, sequence: int, payload: bytes | None = None) -> bytes:
    """The answer of the meter with this number to 90 1F."""
    address = bytes.fromhex(number.zfill(14))[::-1]
    data = b"\x90\x1f" + bytes((sequence,)) + (heat_payload() if payload is None else payload)
    return frame(0x20, address, 0x81, data, 4)


@dataclass
class Meter:
    """A meter at an address (as on the wire). `echoes` False sends `battery` as SER, as some makers do."""

    address: bytes
    payload: bytes = field(default_factory=heat_payload)
    meter_type: int = 0x20
    swapped: bool = False  # answers with the other order of DI0 DI1 than it was asked
    echoes: bool = True
    battery: int = 0x03
    wakes: int = 4
    refusal: bytes | None = None  # the status it refuses with

    def answer(self, request: bytes) -> bytes:
        """The right answer to a request of 16 bytes."""
        control, identifier, sequence = request[9], request[11:13], request[13:14]
        serial = sequence if self.echoes else bytes((self.battery,))
        if self.refusal is not None:
            return frame(self.meter_type, self.address, control | 0xC0, serial + self.refusal, self.wakes)
        order = identifier[::-1] if self.swapped else identifier
        data = self.payload if identifier in (b"\x90\x1f", b"\x1f\x90") else b""
        return frame(self.meter_type, self.address, control | 0x80, order + serial + data, self.wakes)


class MeterLine:
    """Meters on one line; each request is heard by all."""

    def __init__(self, *meters: Meter) -> None:
        self.meters = list(meters)
        self.fault: Fault | None = None
        self.requests: list[bytes] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.writers: set[asyncio.StreamWriter] = set()
        self._heard = bytearray()

    def hear(self, data: bytes, write: Callable[[bytes], object]) -> None:
        """Bytes from the master; whole requests are answered."""
        self._heard += data
        while (start := self._heard.find(0x68)) >= 0 and len(self._heard) >= start + 16:
            request = bytes(self._heard[start : start + 16])
            del self._heard[: start + 16]
            assert request[15] == 0x16
            assert request[14] == sum(request[:14]) & 0xFF
            self.requests.append(request)
            self._reply(request, write)

    def _reply(self, request: bytes, write: Callable[[bytes], object]) -> None:
        for meter in self.meters:
            if request[2:9] in (meter.address, b"\xaa" * 7):
                right = meter.answer(request)
                pieces = [(0.0, right)] if self.fault is None else self.fault(request, right)
                task = asyncio.get_running_loop().create_task(_deliver(pieces, write))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def stop(self) -> None:
        """End answers that are still to come."""
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _deliver(pieces: Pieces, write: Callable[[bytes], object]) -> None:
    for delay, data in pieces:
        await asyncio.sleep(delay)
        write(data)


@asynccontextmanager
async def serve_tcp(line: MeterLine) -> AsyncIterator[int]:
    """The line behind a converter on a free port, which is given."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line.writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(512):
                line.hear(data, writer.write)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await line.stop()
        server.close()
        for writer in line.writers:
            writer.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def serve_pty(line: MeterLine) -> AsyncIterator[str]:
    """The line on a pseudo-terminal, whose path is given."""
    master, terminal = pty.openpty()
    tty.setraw(terminal)
    os.set_blocking(master, False)
    loop = asyncio.get_running_loop()
    loop.add_reader(master, lambda: line.hear(os.read(master, 512), lambda data: os.write(master, data)))
    try:
        yield os.ttyname(terminal)
    finally:
        await line.stop()
        loop.remove_reader(master)
        os.close(terminal)
        os.close(master)
