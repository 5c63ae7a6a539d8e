"""Meters on one M-Bus line, behind a serial level converter or a TCP one. Reads only.

A reading asks the meter once, whatever the number of points: begin (SND_NKE, or a selection by secondary
address), then REQ_UD2 with the frame count bit toggled until the meter has said all that is wanted. What
another meter says is never taken: primary answers bear the address, secondary ones the identification.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from drivers.dialogue import Dialogue
from drivers.driver import Point
from drivers.errors import (
    ConfigurationError,
    DeviceError,
    DriverError,
    LocalProtocolError,
    NoAnswerError,
    RemoteProtocolError,
    TransportError,
)
from drivers.link import Link
from drivers.mbus import frames
from drivers.mbus.address import Address, Primary, Secondary, parse
from drivers.mbus.frames import ACK, FCB, REQ_UD2, SELECTED, SND_NKE, SND_UD, Ci, Frame, Receiver
from drivers.mbus.profile import MBusOptions, MBusProfile, MBusRegister
from drivers.mbus.readings import Heard, has_all, reading
from drivers.mbus.search import Found, Outcome
from drivers.mbus.telegram import ApplicationError, Telegram, identity_of, read_telegram
from drivers.mbus.timing import IDLE_BITS
from drivers.reading import Reading, Reason
from drivers.settings import DeviceSetting, MBusBus, SerialPort
from drivers.traffic import Tap, Traffic, Verdict
from drivers.values import unit_factor

_BITS = 11  # start, eight data, parity, stop
_LONGEST_REQUEST = 17  # bytes: a selection
_IDLE_TCP_S = 0.02  # behind a converter the line's own speed is not known
_FIRST = REQ_UD2 | FCB  # after a start or a selection the frame count bit begins as 1 (EN 60870-5-2)


@dataclass(frozen=True, slots=True)
class _Meter:
    id: str
    address: Address
    options: MBusOptions
    registers: Mapping[str, MBusRegister]

    @property
    def link_address(self) -> int:
        """The address its frames bear: its own, or that of whoever is selected."""
        return self.address.number if isinstance(self.address, Primary) else SELECTED

    def is_its(self, answer: Frame) -> bool:
        """True for user data of this meter."""
        if not answer.is_answer:
            return False
        if isinstance(self.address, Primary):
            return self.address.number in (answer.address, frames.BROADCAST)
        identity = identity_of(answer)
        return identity is None or self.address.matches(identity)

    def register(self, name: str) -> MBusRegister:
        try:
            return self.registers[name]
        except KeyError:
            text = f"device {self.id}: its profile has no register {name!r}: correct the point"
            raise ConfigurationError(text) from None


_SEARCHING = MBusOptions(retries=0)


class MBusDriver:
    """All meters of one line. Readings bear the time of receipt: Unix seconds from `now`."""

    def __init__(self, bus: MBusBus, now: Callable[[], float], tap: Tap) -> None:
        end = bus.endpoint
        bit_s = 1 / end.baud if isinstance(end, SerialPort) else 0.0
        idle_s = IDLE_BITS * bit_s or _IDLE_TCP_S
        # the settings' time begins when the request has left, the dialogue's when it is handed over
        timeout_s = bus.timeout_s + _LONGEST_REQUEST * _BITS * bit_s
        self._link = Link(end)
        self._dialogue = Dialogue(self._link, timeout_s, idle_s, tap)
        self._meters: dict[str, _Meter] = {}
        self._lock = asyncio.Lock()
        self._someone_selected = True  # unknown at first
        self._last_asked: dict[str, int] = {}  # REQ_UD2 as it was last answered, of meters without `reset`
        self._now = now
        self._tap = tap

    def adopt(self, device: DeviceSetting) -> None:
        """Serve a meter; ConfigurationError when its address is none."""
        profile = device.expect(MBusProfile)
        address = _address(device.id, device.address)
        self._meters[device.id] = _Meter(device.id, address, profile.mbus, profile.registers)

    def dismiss(self, device: str) -> None:
        """Serve it no longer."""
        self._meters.pop(device, None)
        self._last_asked.pop(device, None)

    async def __aenter__(self) -> Self:
        with contextlib.suppress(DriverError):  # the next request tries again and reports
            await self._dialogue.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dialogue.close()

    async def read(self, points: Sequence[Point]) -> Mapping[str, Reading]:
        """Readings by point name, from one conversation with the meter; DriverError when it said nothing.

        DeviceError when it reports an application error; its code is the standard's.
        """
        if not points:
            return {}
        meter = self._meter(points)
        registers = [meter.register(point.register) for point in points]
        for register, point in zip(registers, points, strict=True):
            unit_factor(register.unit, point.unit)
        async with self._lock:
            heard = await self._conversation(meter, registers)
        now = self._now()
        return {
            point.name: reading(register, point.unit, heard, meter.options, now)
            for register, point in zip(registers, points, strict=True)
        }

    async def write(self, point: Point, value: float) -> None:
        """Nothing in a meter is ours to write: LocalProtocolError, always."""
        raise LocalProtocolError(f"{point.device}.{point.register}: M-Bus meters are only read")

    async def find(self, address: str) -> Found:
        """Who answers to `address`, wildcards or not (see search.Searchable)."""
        meter = _Meter("", _address("search", address), _SEARCHING, {})
        async with self._lock:
            try:
                answer = await self._request(meter, await self._begin(meter), b"")
                await self._end(meter)
            except NoAnswerError:
                return Found(Outcome.NOTHING)
            except RemoteProtocolError:
                return Found(Outcome.COLLISION)
        identity = identity_of(answer)
        return Found(Outcome.COLLISION) if identity is None else Found(Outcome.ONE, str(identity))

    def _meter(self, points: Sequence[Point]) -> _Meter:
        names = {point.device for point in points}
        if len(names) != 1:
            raise LocalProtocolError(f"one request is for one device, not for {sorted(names)}")
        try:
            return self._meters[names.pop()]
        except KeyError as error:
            raise ConfigurationError(f"no device {error} on this bus: correct the point") from None

    async def _conversation(self, meter: _Meter, registers: Sequence[MBusRegister]) -> Heard:
        """What the meter says to one reading. A fault after its first telegram costs what was to come."""
        telegrams: list[Telegram] = []
        missing = Reason.DEVICE
        try:
            first = await self._begin(meter)
            async with contextlib.aclosing(self._telegrams(meter, first)) as all_telegrams:
                async for telegram in all_telegrams:
                    telegrams.append(telegram)
                    if has_all(registers, telegrams):
                        break
            await self._end(meter)
        except (TransportError, RemoteProtocolError) as error:
            self._last_asked.pop(meter.id, None)
            if not telegrams:
                raise _translated(meter, error) from error
            missing = Reason.NO_ANSWER if isinstance(error, TransportError) else Reason.PROTOCOL
        except asyncio.CancelledError:
            self._last_asked.pop(meter.id, None)
            raise
        return Heard(tuple(telegrams), missing)

    async def _begin(self, meter: _Meter) -> int:
        """Make the meter start at its first telegram; how REQ_UD2 is to look then.

        A meter that hears the count bit it heard last repeats its last telegram, however old that is: one
        that is not reset before each reading is asked with the other bit, and is reset after a fault.
        """
        last = self._last_asked.pop(meter.id, None)
        start = frames.short(SND_NKE, meter.link_address)
        if isinstance(meter.address, Secondary):
            await self._select(meter, meter.address)
        elif meter.options.reset:
            await self._command(meter, start)
        elif last is not None:
            return last ^ FCB
        else:
            with contextlib.suppress(NoAnswerError, RemoteProtocolError):
                await self._ask(meter, start, _is_ack)
        return _FIRST

    async def _select(self, meter: _Meter, address: Secondary) -> None:
        if self._someone_selected:
            await self._deselect(meter)
        self._someone_selected = True
        try:
            await self._command(meter, frames.long(SND_UD, SELECTED, Ci.SELECT, address.data))
        except NoAnswerError:  # whoever it does not name deselects itself (EN 13757-3, secondary addressing)
            self._someone_selected = False
            raise

    async def _end(self, meter: _Meter) -> None:
        if isinstance(meter.address, Secondary):
            await self._deselect(meter)

    async def _deselect(self, meter: _Meter) -> None:
        """SND_NKE to 253: answered by whoever is selected, so that silence is right."""
        with contextlib.suppress(NoAnswerError, RemoteProtocolError):
            await self._ask(meter, frames.short(SND_NKE, SELECTED), _is_ack)
        self._someone_selected = False

    async def _telegrams(self, meter: _Meter, first: int) -> AsyncGenerator[Telegram, None]:
        """All the meter has to say, page by page."""
        for page in meter.options.pages or ("",):
            if page:
                ci, *data = bytes.fromhex(page)
                await self._command(meter, frames.long(SND_UD, meter.link_address, ci, bytes(data)))
            control, last = first, b""
            for _ in range(meter.options.max_telegrams):
                answer = await self._request(meter, control, last)
                telegram = read_telegram(answer)
                self._last_asked[meter.id] = control
                yield telegram
                if not telegram.more:
                    break
                control, last = control ^ FCB, answer.data

    async def _request(self, meter: _Meter, control: int, last: bytes) -> Frame:
        """One telegram. A repeated request has the same count bit, so that the meter repeats its answer.

        A second copy of the telegram before is a late answer, not the next: access numbers count up.
        """
        request = frames.short(control, meter.link_address)
        return await self._insist(meter, request, lambda f: meter.is_its(f) and f.data != last)

    async def _command(self, meter: _Meter, frame: Frame) -> None:
        await self._insist(meter, frame, _is_ack)

    async def _insist(self, meter: _Meter, frame: Frame, accept: Callable[[Frame], bool]) -> Frame:
        for _ in range(meter.options.retries):
            try:
                return await self._ask(meter, frame, accept)
            except (NoAnswerError, RemoteProtocolError):
                self._tap(Traffic(meter.id, Verdict.RETRY, b"", asyncio.get_running_loop().time()))
        return await self._ask(meter, frame, accept)

    async def _ask(self, meter: _Meter, frame: Frame, accept: Callable[[Frame], bool]) -> Frame:
        request = frames.encode(frame)
        receiver = Receiver(echo=request)
        try:
            return await self._dialogue.ask(meter.id, request, receiver, accept)
        except NoAnswerError as error:
            if receiver.rest:
                raise RemoteProtocolError(f"{self._link.name}: an answer that was cut off") from error
            raise


def _is_ack(frame: Frame) -> bool:
    return frame == ACK


def _translated(meter: _Meter, error: DriverError) -> DriverError:
    if isinstance(error, ApplicationError):
        return DeviceError(f"device {meter.id}: {error}", error.code)
    return error


def _address(device: str, text: str | None) -> Address:
    if text is None:
        raise ConfigurationError(f"device {device}: give its address, primary or secondary")
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigurationError(f"device {device}: {error}: correct it") from None
