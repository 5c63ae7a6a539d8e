"""One Modbus line: a request at a time, and never an answer that belongs to another.

`Line` is a TCP connection with Modbus TCP's own framing: transaction ids tell answers apart, and a request
that stays without its answer ends the connection. `SerialLine` carries the frames of a serial line, on a tty
or through a converter over TCP. It adds

- the 3.5 characters of silence before a request (Modbus over Serial Line V1.02, 2.5.1.1; a converter keeps
  them by itself), and the unit's own pause;
- fences against late and repeated answers (drivers/modbus/fences.py). A frame that nobody asked for is taken
  as a sign that its like may come again.

Every frame is told to the tap.
"""

import asyncio
from collections.abc import Iterable
from time import monotonic, sleep
from typing import NoReturn

from drivers.errors import ClosedError, DeviceError, NoAnswerError, RemoteProtocolError, TransportError
from drivers.link import Link
from drivers.modbus.fences import Fences
from drivers.modbus.frames import Frames, Piece, RtuFrames, TcpFrames, shape_of
from drivers.modbus.request import Request
from drivers.settings import ModbusRtuBus, ModbusTcpBus, SerialPort
from drivers.traffic import Tap, Traffic, Verdict, unheard

_GATEWAY_CODES = frozenset({0x0A, 0x0B})  # the gateway lives, the unit behind it is silent (V1.1b3, 7)
_LEAST_CONNECT_S = 1.0  # an exchange may be quicker than the three ways of a new connection
_TLS_CONNECT_S = 5.0  # small devices compute long over a handshake
_TICK_S = 0.001  # what the loop's timers round up to
_MUTE_EXCHANGES = 2  # without one byte from any unit: the way to the converter is broken


class Line:
    """A connection that opens by itself with the first request and again after it was lost.

    `ids` names the device of a unit for the tap; whoever serves devices keeps it.
    """

    def __init__(self, bus: ModbusRtuBus | ModbusTcpBus, frames: Frames, tap: Tap) -> None:
        self.ids: dict[int, str] = {}
        self._link = Link(bus.endpoint)
        self._frames = frames
        self._tap = tap
        self._heard = tap is not unheard
        self._timeout_s = bus.timeout_s
        secure = isinstance(bus, ModbusTcpBus) and bus.tls is not None
        self._connect_s = max(bus.timeout_s, _TLS_CONNECT_S if secure else _LEAST_CONNECT_S)
        self._lock = asyncio.Lock()

    async def ask(self, device: str, request: Request, gap_s: float) -> bytes:
        """The answer's payload behind the function code; DriverError otherwise.

        `device` is who is asked, for the tap; `gap_s` the unit's own pause, on a serial line.
        """
        async with self._lock:
            return await self._exchange(device, request, gap_s)

    async def connect(self) -> None:
        """Open the connection if it is not open; ClosedError or ConfigurationError when that fails."""
        async with self._lock:
            await self._link.open(self._connect_s)

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self._link.close()
        self._frames.end()

    def retry(self, device: str) -> None:
        """Tell the tap that the next request is a repetition."""
        self._tell(device, Verdict.RETRY, b"")

    async def _exchange(self, device: str, request: Request, gap_s: float) -> bytes:
        link = self._link
        if not link.is_open:
            await self._open(device)
        await self._prepare(device, request, gap_s)
        answer: bytes | int | None = None
        try:
            data = self._frames.ask(request)
            self._tell(device, Verdict.REQUEST, data)
            link.send(data)
            answer = await self._answer(device, request, monotonic() + self._timeout_s)
        finally:
            if answer is None:  # the right one may still come, also after a cancellation
                self._unsettled(request)
        return answer if isinstance(answer, bytes) else self._refused(request, answer)

    async def _open(self, device: str) -> None:
        self._frames.end()
        try:
            await self._link.open(self._connect_s)
        except ClosedError:
            self._tell(device, Verdict.LOST, b"")
            raise

    async def _prepare(self, device: str, request: Request, gap_s: float) -> None:
        """What came since the last answer belongs to nobody; a connection that is out of step is ended."""
        if self._link.unread and Verdict.MALFORMED in self._drain(device):
            self.close()
            await self._open(device)

    def _drain(self, device: str) -> set[Verdict]:
        pieces = [*self._frames.feed(self._link.drain()), *self._frames.end()]
        self._strays(device, pieces)
        return {piece.verdict for piece in pieces}

    async def _answer(self, device: str, request: Request, deadline: float) -> bytes | int:
        """The payload behind the function code, or the code of a refusal."""
        frames, wrong = self._frames, None
        while True:
            data = await self._received(device, request, deadline, wrong)
            payload = frames.at_once(data)
            if payload is not None:
                self._tell(device, Verdict.ANSWER, data)
                return payload
            end: Piece | None = None
            for piece in frames.feed(data):
                if end is None and piece.last:
                    end = piece
                    self._tell(device, piece.verdict, piece.data)
                elif piece.verdict is not Verdict.REQUEST:  # a converter's echo says nothing
                    wrong = piece
                    self._strays(device, (piece,))
            if end is not None:
                return self._concluded(request, end)

    async def _received(self, device: str, request: Request, deadline: float, wrong: Piece | None) -> bytes:
        """More bytes in time, or what their absence means."""
        link = self._link
        try:
            if wrong is not None and monotonic() > deadline:  # it talks without end
                raise NoAnswerError(f"{link.name}: no answer in time")
            return await link.receive(deadline)
        except NoAnswerError as error:
            rest = self._frames.end()
            self._tell(device, Verdict.SILENCE, b"".join(piece.data for piece in rest))
            wrong = wrong or next(iter(rest), None)
            place = self._place(request)
            if wrong is None:
                raise NoAnswerError(f"{place} did not answer") from error
            came = f"{wrong.verdict}: {wrong.data[:12].hex(' ')}"
            raise RemoteProtocolError(f"{place} did not answer rightly ({came})") from error
        except TransportError:
            self._tell(device, Verdict.LOST, b"")
            raise

    def _concluded(self, request: Request, piece: Piece) -> bytes | int:
        if piece.verdict is Verdict.ANSWER:
            return piece.payload
        if piece.verdict is Verdict.REFUSED:
            return piece.payload[0]
        came = f"{piece.verdict}: {piece.data[:12].hex(' ')}"
        raise RemoteProtocolError(f"{self._place(request)} did not answer rightly ({came})")

    def _refused(self, request: Request, code: int) -> NoReturn:
        if code in _GATEWAY_CODES:
            raise NoAnswerError(f"{self._place(request)}: the gateway gets no answer (code {code:#04x})")
        raise DeviceError(f"{self._place(request)} refused with code {code}", code)

    def _place(self, request: Request) -> str:
        return f"{self._link.name}: unit {request.unit}, function {request.function}, address {request.start}"

    def _strays(self, device: str, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            self._tell(device, piece.verdict, piece.data)

    def _unsettled(self, request: Request) -> None:
        self.close()

    def _tell(self, device: str, verdict: Verdict, data: bytes) -> None:
        if self._heard:
            self._tap(Traffic(device, verdict, data, monotonic()))


class SerialLine(Line):
    """Frames of a serial line, on a tty or through a converter."""

    def __init__(self, bus: ModbusRtuBus | ModbusTcpBus, frames: Frames, tap: Tap) -> None:
        super().__init__(bus, frames, tap)
        self._silence_s = silence_s(bus.endpoint) if isinstance(bus, ModbusRtuBus) else 0.0
        self._tty = isinstance(bus, ModbusRtuBus)
        self._fences = Fences()
        self._asked = 0.0  # when the last request was sent, on the clock of Link.heard
        self._mute = 0  # exchanges since a byte was heard
        self._ended: dict[int, float] = {}  # unit -> end of its last exchange
        self._last_end = 0.0

    async def ask(self, device: str, request: Request, gap_s: float) -> bytes:
        """The answer's payload; a fence goes first where an older answer could be taken for it."""
        async with self._lock:
            if self._fences.needed(request, monotonic()):
                await self._pass_fence(device, request, gap_s)
            return await self._exchange(device, request, gap_s)

    async def _pass_fence(self, device: str, request: Request, gap_s: float) -> None:
        """Make sure that no answer of the shape `request` expects is still under way."""
        fence = self._fences.fence(request)
        try:
            await self._exchange(device, fence, gap_s)
        except DeviceError:
            # an older refusal looks the same: only time can tell, and nothing may come in it
            before = monotonic()
            await asyncio.sleep(self._timeout_s)
            if self._link.heard > before:
                raise RemoteProtocolError(
                    f"{self._link.name}: unit {request.unit} answers out of turn"
                ) from None
        self._fences.clear(request.unit)

    async def _exchange(self, device: str, request: Request, gap_s: float) -> bytes:
        try:
            return await super()._exchange(device, request, gap_s)
        finally:
            self._last_end = self._ended[request.unit] = monotonic()
            if self._link.heard >= self._asked:
                self._mute = 0

    async def _prepare(self, device: str, request: Request, gap_s: float) -> None:
        await self._be_silent(request.unit, gap_s)
        self._drain(device)
        self._asked = monotonic()

    async def _be_silent(self, unit: int, gap_s: float) -> None:
        now = monotonic()
        deadline = now + self._timeout_s + gap_s
        while (wait_s := self._earliest(unit, gap_s) - now) > 0:
            if now > deadline:
                raise RemoteProtocolError(f"{self._link.name}: never silent: another master, or a fault")
            await _rest(wait_s)
            now = monotonic()

    def _earliest(self, unit: int, gap_s: float) -> float:
        quiet = max(self._link.heard, self._last_end) + self._silence_s
        return max(quiet, self._ended.get(unit, 0.0) + gap_s)

    def _strays(self, device: str, pieces: Iterable[Piece]) -> None:
        now = monotonic()
        for piece in pieces:
            owner = device
            if piece.verdict is Verdict.FOREIGN:
                unit = piece.data[0]
                self._fences.doubt(unit, shape_of(piece.data), now)
                owner = self.ids.get(unit, "")
            self._tell(owner, piece.verdict, piece.data)

    def _refused(self, request: Request, code: int) -> NoReturn:
        self._fences.refused(request.unit, request.shape, monotonic())
        super()._refused(request, code)

    def _unsettled(self, request: Request) -> None:
        self._frames.end()
        self._fences.doubt(request.unit, request.shape, monotonic())
        self._mute += 1
        if not self._tty and self._mute >= _MUTE_EXCHANGES and self._link.heard < self._asked:
            self.close()


async def _rest(wait_s: float) -> None:
    """Wait without the loop's rounding, which costs a fast line a tenth of its time."""
    if wait_s >= _TICK_S:
        await asyncio.sleep(wait_s - _TICK_S)
        return
    sleep(wait_s)  # noqa: ASYNC251 (the loop stands still for less than its timers are late anyway)
    await asyncio.sleep(0)  # two turns of the loop, in which what came meanwhile is taken
    await asyncio.sleep(0)


def open_line(bus: ModbusRtuBus | ModbusTcpBus, tap: Tap) -> Line:
    """The line of a bus; nothing is opened yet."""
    if isinstance(bus, ModbusTcpBus) and bus.framing == "tcp":
        return Line(bus, TcpFrames(), tap)
    return SerialLine(bus, RtuFrames(), tap)


def silence_s(port: SerialPort) -> float:
    """3.5 characters, and 1.75 ms above 19200 baud (Modbus over Serial Line V1.02, 2.5.1.1)."""
    bits = 1 + 8 + (port.parity != "N") + port.stop_bits
    return 0.00175 if port.baud > 19200 else 3.5 * bits / port.baud
