"""One Modbus connection, serial or TCP: a request at a time, and never an answer that belongs to another.

pymodbus does framing, checksums and transaction ids. This module adds what it leaves out:

- the 3.5 characters of silence before a serial request (Modbus over Serial Line V1.02, 2.5.1.1);
- strict answers: function, byte count and echo must be exactly those asked for;
- late answers. On TCP an unanswered request closes the connection. A serial frame carries no number, so an
  unanswered request stays `pending` for its unit, and when the next one expects an answer of the same shape,
  a FENCE goes first: a read of another length, whose answer is thrown away. Devices answer in order; once the
  fence is answered nothing older can come.

Every exception of pymodbus becomes one of drivers.errors here.
"""

import asyncio
import contextlib
import logging
import struct
import termios
from dataclasses import dataclass

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from drivers.errors import (
    ClosedError,
    ConfigurationError,
    DeviceError,
    NoAnswerError,
    RemoteProtocolError,
)
from drivers.modbus.registers import Span
from drivers.settings import ModbusRtuBus, ModbusTcpBus

Client = AsyncModbusSerialClient | AsyncModbusTcpClient
_READS = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}
_ERROR_BIT = 0x80
_GATEWAY_CODES = frozenset({0x0A, 0x0B})  # the gateway lives, the unit behind it is silent (V1.1b3, 7)
_LATEST_ANSWER_S = 10.0  # an answer later than this is not expected from any device

# Its messages repeat what our errors say, several times a second on a bad line.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


class _Answer(ModbusPDU):
    """An answer as it came, not decoded: the payload behind the function code."""

    def __init__(self, function: int, payload: bytes) -> None:
        super().__init__()
        self.function_code = function
        self.payload = payload


class _AnswerDecoder(DecodePDU):
    """Leaves the payload alone: cheaper than a list of registers, and malformed ones end in our checks."""

    def decode(self, frame: bytes) -> ModbusPDU:
        return _Answer(frame[0], frame[1:])


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask of a unit, and how a right answer begins (`echo`) and how long it is (bytes)."""

    unit: int
    function: int
    start: int
    count: int
    words: tuple[int, ...]
    echo: bytes
    length: int

    @classmethod
    def read(cls, unit: int, span: Span) -> "Request":
        """Read registers; the answer is the byte count and the data."""
        size = 2 * span.count
        return cls(unit, span.function, span.start, span.count, (), bytes((size,)), size + 1)

    @classmethod
    def write(cls, unit: int, function: int, start: int, words: tuple[int, ...]) -> "Request":
        """Write registers; function 6 answers with address and value, function 16 with address and count."""
        second = words[0] if function == 6 else len(words)
        return cls(unit, function, start, len(words), words, struct.pack(">HH", start, second), 4)

    def pdu(self) -> ModbusPDU:
        """The request in pymodbus's words."""
        if self.function in _READS:
            return _READS[self.function](dev_id=self.unit, address=self.start, count=self.count)
        kind = WriteSingleRegisterRequest if self.function == 6 else WriteMultipleRegistersRequest
        return kind(dev_id=self.unit, address=self.start, registers=list(self.words))


class Line:
    """A connection that opens by itself with the first request and again after it was lost."""

    def __init__(self, bus: ModbusRtuBus | ModbusTcpBus) -> None:
        self._bus = bus
        self._serial = isinstance(bus, ModbusRtuBus)
        self._silence_s = silence_s(bus) if isinstance(bus, ModbusRtuBus) else 0.0
        self._client: Client | None = None
        self._lock = asyncio.Lock()
        self._busy = False
        self._heard = 0.0  # loop time of the last byte on the line
        self._ended: dict[int, float] = {}  # unit -> loop time of its last exchange
        self._pending: dict[int, dict[tuple[int, bytes], float]] = {}  # unit -> shape of answer -> asked

    async def ask(self, request: Request, gap_s: float) -> bytes:
        """The answer's payload; DriverError otherwise. `gap_s`: the unit's own pause, on a serial line."""
        pause_s = gap_s if self._serial else 0.0
        async with self._lock:
            await self._fence(request, pause_s)
            return await self._exchange(request, pause_s)

    async def connect(self) -> None:
        """Open the connection if it is not open; ClosedError when that fails."""
        if self._client is not None and self._client.connected:
            return
        self.close()
        self._client = client = self._make_client()
        client.ctx.framer.decoder = _AnswerDecoder(False)
        try:
            connected = await client.connect()
        except (termios.error, ValueError) as error:
            self.close()
            raise ConfigurationError(f"{self._name}: refuses these line settings ({error})") from error
        if not connected:
            self.close()
            raise ClosedError(f"{self._name}: cannot be opened")

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @property
    def _name(self) -> str:
        bus = self._bus
        return bus.port if isinstance(bus, ModbusRtuBus) else f"{bus.host}:{bus.port}"

    def _make_client(self) -> Client:
        bus = self._bus
        if isinstance(bus, ModbusTcpBus):
            return AsyncModbusTcpClient(
                bus.host,
                port=bus.port,
                timeout=bus.timeout_s,
                retries=0,
                reconnect_delay=0,
                trace_connect=self._on_connect,
            )
        return AsyncModbusSerialClient(
            bus.port,
            baudrate=bus.baud,
            parity=bus.parity,
            stopbits=bus.stop_bits,
            timeout=bus.timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._on_packet,
            trace_connect=self._on_connect,
        )

    def _on_packet(self, sending: bool, data: bytes) -> bytes:
        if not sending:
            self._heard = asyncio.get_running_loop().time()
        return data

    def _on_connect(self, connected: bool) -> None:
        """Wake a waiting request when its connection goes: pymodbus would let it wait for its time limit."""
        if connected or not self._busy or self._client is None:
            return
        answer = self._client.ctx.response_future
        if not answer.done():
            answer.set_exception(ConnectionException("connection lost"))

    async def _fence(self, request: Request, gap_s: float) -> None:
        """Make sure that no answer of the shape `request` expects is still under way."""
        if (request.function, request.echo) not in self._pending_of(request.unit):
            return
        try:
            await self._exchange_fence(request, gap_s)
        except RemoteProtocolError:
            # the old answer came instead of the fence's: let that one pass, too, before the next attempt
            await asyncio.sleep(self._bus.timeout_s)
            await self._exchange_fence(request, gap_s)

    async def _exchange_fence(self, request: Request, gap_s: float) -> None:
        pending = self._pending_of(request.unit)
        function = request.function if request.function in _READS else 3
        taken = {echo for code, echo in pending if code == function}
        count = next(n for n in range(1, 126) if bytes((2 * n,)) not in taken)
        with contextlib.suppress(DeviceError):  # a refusal is an answer, too
            await self._exchange(Request.read(request.unit, Span(function, request.start, count)), gap_s)
        pending.clear()

    def _pending_of(self, unit: int) -> dict[tuple[int, bytes], float]:
        oldest = asyncio.get_running_loop().time() - _LATEST_ANSWER_S
        pending = self._pending.setdefault(unit, {})
        for shape in [shape for shape, asked in pending.items() if asked < oldest]:
            del pending[shape]
        return pending

    async def _exchange(self, request: Request, gap_s: float) -> bytes:
        await self.connect()
        await self._be_silent(request.unit, gap_s)
        settled = False
        try:
            payload = self._checked(request, await self._execute(request))
            settled = True
        except DeviceError:
            settled = True
            raise
        finally:
            self._ended[request.unit] = asyncio.get_running_loop().time()
            if not settled:
                self._unsettle(request)
        return payload

    def _unsettle(self, request: Request) -> None:
        """The right answer may still come (also after a cancellation): make sure nobody takes it."""
        if not self._serial:
            self.close()
            return
        shape = (request.function, request.echo)
        self._pending_of(request.unit)[shape] = asyncio.get_running_loop().time()

    async def _be_silent(self, unit: int, gap_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._bus.timeout_s + gap_s
        while (wait := self._earliest(unit, gap_s) - loop.time()) > 0:
            if loop.time() > deadline:
                raise RemoteProtocolError(
                    f"{self._name}: never silent: another master, or a fault on the line"
                )
            await asyncio.sleep(wait)

    def _earliest(self, unit: int, gap_s: float) -> float:
        last = max(self._ended.values(), default=0.0)
        return max(
            max(self._heard, last) + self._silence_s,
            self._ended.get(unit, 0.0) + gap_s,
        )

    async def _execute(self, request: Request) -> ModbusPDU:
        assert self._client is not None
        pdu = request.pdu()
        self._busy = True
        try:
            answer: ModbusPDU = await self._client.execute(False, pdu)
        except ConnectionException as error:
            raise ClosedError(f"{self._name}: connection lost") from error
        except ModbusException as error:
            raise NoAnswerError(f"{self._name}: unit {request.unit} did not answer") from error
        except OSError as error:
            raise ClosedError(f"{self._name}: {error}") from error
        finally:
            self._busy = False
        # pymodbus lets an answer with transaction id 0 pass, and any unit where unit 0 was asked
        if answer.transaction_id != pdu.transaction_id or answer.dev_id != request.unit:
            raise RemoteProtocolError(f"{self._name}: an answer of unit {answer.dev_id} to another request")
        return answer

    def _checked(self, request: Request, answer: ModbusPDU) -> bytes:
        assert isinstance(answer, _Answer)
        payload, function = answer.payload, answer.function_code
        if (
            function == request.function
            and len(payload) == request.length
            and payload.startswith(request.echo)
        ):
            return payload
        place = f"{self._name}: unit {request.unit}, function {request.function}, address {request.start}"
        if function != request.function | _ERROR_BIT or len(payload) != 1:
            raise RemoteProtocolError(f"{place}: malformed answer {function:#04x} {payload[:8].hex(' ')}")
        if payload[0] in _GATEWAY_CODES:
            raise NoAnswerError(f"{place}: the gateway gets no answer (code {payload[0]:#04x})")
        raise DeviceError(f"{place}: refused with code {payload[0]}", payload[0])


def silence_s(bus: ModbusRtuBus) -> float:
    """3.5 characters, and 1.75 ms above 19200 baud (Modbus over Serial Line V1.02, 2.5.1.1)."""
    bits = 1 + 8 + (bus.parity != "N") + bus.stop_bits
    return 0.00175 if bus.baud > 19200 else 3.5 * bits / bus.baud
