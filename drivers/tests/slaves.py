"""Small Modbus slaves on real sockets and pseudo-terminals, written without pymodbus, with faults to order.

A slave has a bank of registers. `fault` replaces its right answer: given the ADU of the request and of the
right answer, it returns what goes onto the line instead, as (delay in s, bytes) pieces.
"""

import asyncio
import contextlib
import os
import pty
import ssl
import struct
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

Pieces = list[tuple[float, bytes]]
Tasks = set[asyncio.Task[None]]
Fault = Callable[[bytes, bytes], Pieces]


def crc(data: bytes) -> bytes:
    """CRC-16 of Modbus over Serial Line V1.02, 6.2.2, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return struct.pack("<H", value)


def rtu(unit: int, pdu: bytes) -> bytes:
    """A serial frame."""
    body = bytes((unit,)) + pdu
    return body + crc(body)


def tcp(transaction: int, unit: int, pdu: bytes) -> bytes:
    """A TCP frame."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


class Slave:
    """One or more units; `words[unit, function, address]` exist, other addresses are refused with code 2.

    A word of functions 1 and 2 is 0 or 1.
    """

    def __init__(self) -> None:
        self.words: dict[tuple[int, int, int], int] = {}
        self.fault: Fault | None = None
        self.refuse: int | None = None  # exception code for every request
        self.largest = 125  # registers per request, more is refused with code 2
        self.requests: list[tuple[int, bytes]] = []
        self.tasks: Tasks = set()
        self.writers: set[asyncio.StreamWriter] = set()
        self.connections = 0  # that were ever made

    def put(self, unit: int, address: int, *words: int, function: int = 3) -> None:
        """Set registers."""
        for offset, word in enumerate(words):
            self.words[unit, function, address + offset] = word

    def put_float(self, unit: int, address: int, value: float) -> None:
        """Set a float, high word first."""
        self.put(unit, address, *struct.unpack(">HH", struct.pack(">f", value)))

    def answer(self, unit: int, pdu: bytes) -> bytes:
        """The PDU a correct slave answers."""
        self.requests.append((unit, pdu))
        function = pdu[0]
        start, second = struct.unpack(">HH", pdu[1:5])
        code = self.refuse or self._obstacle(unit, function, start, second)
        if code:
            return bytes((function | 0x80, code))
        if function in (1, 2):
            bits = [self.words[unit, function, a] & 1 for a in range(start, start + second)]
            packed = sum(bit << n for n, bit in enumerate(bits)).to_bytes((second + 7) // 8, "little")
            return bytes((function, len(packed))) + packed
        if function in (3, 4):
            words = [self.words[unit, function, a] for a in range(start, start + second)]
            return bytes((function, 2 * second)) + struct.pack(f">{second}H", *words)
        if function == 5:
            self.put(unit, start, second >> 8 & 1, function=1)
            return pdu
        words = [second] if function == 6 else list(struct.unpack(f">{second}H", pdu[6:]))
        self.put(unit, start, *words)
        return pdu[:5]

    def _obstacle(self, unit: int, function: int, start: int, second: int) -> int:
        count = 1 if function in (5, 6) else second
        bank = {5: 1, 6: 3, 16: 3}.get(function, function)
        known = all((unit, bank, a) in self.words for a in range(start, start + count))
        return 0 if known and count <= self.largest else 2

    def send(self, request: bytes, right: bytes, write: Callable[[bytes], object]) -> None:
        """Put the answer onto the line: at once, or as the fault wants it."""
        pieces = [(0.0, right)] if self.fault is None else self.fault(request, right)
        task = asyncio.get_running_loop().create_task(self._deliver(pieces, write, set(self.tasks)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _deliver(self, pieces: Pieces, write: Callable[[bytes], object], before: Tasks) -> None:
        for delay, data in pieces:
            if delay:
                await asyncio.sleep(delay)
            if before:
                await asyncio.wait(before)  # a slave answers in the order in which it was asked
            write(data)

    async def stop(self) -> None:
        """End answers that are still to come."""
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tcp_exchange(slave: Slave, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readexactly(7)
    transaction, _, length, unit = struct.unpack(">HHHB", head)
    pdu = await reader.readexactly(length - 1)
    slave.send(head + pdu, tcp(transaction, unit, slave.answer(unit, pdu)), writer.write)


async def _rtu_exchange(slave: Slave, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    frame = await reader.readexactly(8)
    if frame[1] == 16:
        frame += await reader.readexactly(1 + frame[6])
    slave.send(frame, rtu(frame[0], slave.answer(frame[0], frame[1:-2])), writer.write)


@asynccontextmanager
async def serve_tcp(
    slave: Slave, framing: str = "tcp", context: ssl.SSLContext | None = None, most: int = 8
) -> AsyncIterator[int]:
    """Serve on a free port, which is given; a connection beyond `most` is closed at once.

    `framing = "rtu"` is a converter; `context` is for TLS.
    """
    exchange = _tcp_exchange if framing == "tcp" else _rtu_exchange

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        slave.connections += 1
        if len(slave.writers) < most:
            slave.writers.add(writer)
            with contextlib.suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
                while True:
                    await exchange(slave, reader, writer)
            slave.writers.discard(writer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await slave.stop()
        server.close()
        for writer in list(slave.writers):
            writer.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def serve_rtu(slave: Slave) -> AsyncIterator[str]:
    """Serve on a pseudo-terminal, whose path is given. A request has 8 bytes, for function 16 9 + n."""
    master, terminal = pty.openpty()
    tty.setraw(terminal)
    os.set_blocking(master, False)
    buffer = bytearray()

    def received() -> None:
        buffer.extend(os.read(master, 512))
        if len(buffer) < 8:
            return
        size = 9 + buffer[6] if buffer[1] == 16 else 8
        if len(buffer) < size:
            return
        frame = bytes(buffer[:size])
        del buffer[:]
        unit, pdu = frame[0], frame[1:-2]
        slave.send(frame, rtu(unit, slave.answer(unit, pdu)), lambda data: os.write(master, data))

    loop = asyncio.get_running_loop()
    loop.add_reader(master, received)
    try:
        yield os.ttyname(terminal)
    finally:
        await slave.stop()
        loop.remove_reader(master)
        os.close(terminal)
        os.close(master)
