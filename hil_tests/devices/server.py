"""The socket of a simulated device: its registers on a serial line, on Modbus TCP, or on both. No physics."""

import contextlib
import math
import os
import select
import socket
import termios
import time
import tty
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from edge.clock import ScaledClock
from hil_tests.blackboard import Blackboard
from hil_tests.devices.pdu import TARGET_SILENT, Bank, RtuAssembler, TcpAssembler, answer, mbap, rtu

BROADCAST = 0
_LONGEST_WAIT_S = 1.0  # real time; how late a device may notice what nobody tells it


class Device(Bank, Protocol):
    """Registers that also live in time."""

    def tick(self, now: float) -> float:
        """Do what is due at `now` (simulated s); when to be asked again, or infinity."""


def open_serial(path: Path) -> int:
    """A tty in raw mode, without the bytes that came before."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(descriptor)
    termios.tcflush(descriptor, termios.TCIOFLUSH)
    return descriptor


def listen() -> socket.socket:
    """A listening socket on a free port of the loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener


def arrived(
    client: socket.socket, clients: dict[socket.socket, TcpAssembler]
) -> list[tuple[int, int, bytes]]:
    """Requests (transaction, unit, PDU) that are whole by now; a client that left or babbles is forgotten."""
    try:
        data = client.recv(4096)
        requests = clients[client].feed(data)
    except (OSError, ValueError):
        data, requests = b"", []
    if not data:
        del clients[client]
        client.close()
        return []
    return requests


def reply(client: socket.socket, transaction: int, unit: int, response: bytes) -> None:
    """Send a response."""
    with contextlib.suppress(OSError):  # a client that left: the next recv says so
        client.sendall(mbap(transaction, unit, response))


class Server:
    """One process's devices by unit id. `silent` maps a unit id to the slots that mute it.

    A `gateway` answers on TCP for units that do not (exception 0x0B); a device leaves other units alone.
    """

    def __init__(
        self,
        devices: Mapping[int, Device],
        silent: Mapping[int, tuple[str, ...]],
        board: Blackboard,
        serial: int | None = None,
        listener: socket.socket | None = None,
        turnaround_s: float = 0.0,
        gateway: bool = False,
    ) -> None:
        self._devices = dict(devices)
        self._silent = silent
        self._board = board
        self._serial = serial
        self._listener = listener
        self._turnaround_s = turnaround_s
        self._gateway = gateway
        self._rtu = RtuAssembler()
        self._clients: dict[socket.socket, TcpAssembler] = {}
        self._clock: ScaledClock | None = None

    def run(self, clock: ScaledClock) -> None:
        """Serve until the process is killed."""
        self._clock = clock
        while True:
            wait_s = self._tick_all()
            sources: list[int | socket.socket] = list(self._clients)
            sources += [source for source in (self._serial, self._listener) if source is not None]
            for ready in select.select(sources, (), (), wait_s)[0]:
                self._take(ready)

    def _now(self) -> float:
        assert self._clock is not None
        return self._clock.now().monotonic

    def _tick_all(self) -> float:
        """Let the devices do what is due; real seconds until the next is."""
        assert self._clock is not None
        now = self._now()
        due = min((device.tick(now) for device in self._devices.values()), default=math.inf)
        return min(_LONGEST_WAIT_S, max(0.001, (due - now) / self._clock.speed))

    def _take(self, ready: int | socket.socket) -> None:
        if isinstance(ready, int):
            self._serve_line(os.read(ready, 4096))
        elif ready is self._listener:
            client, _ = ready.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients[client] = TcpAssembler()
        else:
            self._serve_client(ready)

    def _mute(self, unit: int) -> bool:
        return any(self._board.get(slot) == 1.0 for slot in self._silent.get(unit, ()))

    def _ask(self, unit: int, pdu: bytes) -> bytes | None:
        """The answer of a unit that is here and not mute."""
        device = self._devices.get(unit)
        if device is None or self._mute(unit):
            return None
        device.tick(self._now())
        return answer(device, pdu)

    def _serve_line(self, data: bytes) -> None:
        assert self._serial is not None
        frame = self._rtu.feed(data, time.monotonic())
        if frame is None:
            return
        unit, pdu = frame[0], frame[1:-2]
        if unit == BROADCAST:
            for here in self._devices:
                self._ask(here, pdu)
            return
        response = self._ask(unit, pdu)
        if response is not None:
            time.sleep(self._turnaround_s)
            os.write(self._serial, rtu(unit, response))

    def _serve_client(self, client: socket.socket) -> None:
        for transaction, unit, pdu in arrived(client, self._clients):
            response = self._ask(unit, pdu)
            if response is None and self._gateway:
                response = bytes((pdu[0] | 0x80, TARGET_SILENT))
            if response is not None:
                reply(client, transaction, unit, response)
