"""Heat meters that speak CJ/T 188, on a serial line or behind a converter.

A meter is asked once for everything: all its registers are fields of one answer. What another meter says, and
where the meter echoes SER, what it says to an older question, is never taken.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from drivers.cjt188.address import from_wire, to_wire
from drivers.cjt188.frames import (
    ADDRESS,
    ANY_TYPE,
    HEAT,
    READ,
    READ_ADDRESS,
    WILDCARD,
    Frame,
    Receiver,
    encode,
    request,
)
from drivers.cjt188.profile import Cjt188Options, Cjt188Profile, Cjt188Register
from drivers.cjt188.readings import Answer, reading
from drivers.cjt188.timing import SILENCE_S
from drivers.cjt188.values import decode
from drivers.dialogue import Dialogue
from drivers.driver import Point
from drivers.errors import (
    ConfigurationError,
    DeviceError,
    DriverError,
    LocalProtocolError,
    NoAnswerError,
    RemoteProtocolError,
)
from drivers.link import Link
from drivers.reading import Reading
from drivers.settings import Cjt188Bus, DeviceSetting
from drivers.traffic import Tap, Traffic, Verdict
from drivers.values import unit_factor

_HEAT_TYPES = range(
    0x20, 0x30
)  # 20 heat, 21 cooling, 22 both; 25 and 27 are met: a meter may answer as another
_SURE = 3  # answers in a row that bear SER of their requests, until a meter counts as one that echoes it
_LATEST_S = 60.0  # an answer later than this is not expected from any meter
_DOUBT = 3  # exchanges in a row without an answer, after which that is learned anew: it may be another meter


@dataclass(slots=True)
class _Meter:
    """A meter, SER of its last request, and how many in a row were answered with it, or failed.

    `unanswered`: SER of requests whose answers may still come, and when they were asked.
    """

    id: str
    address: bytes
    profile: Cjt188Profile
    sequence: int = 0
    echoes: int = 0
    failures: int = 0
    unanswered: dict[int, float] = field(default_factory=dict)

    @property
    def options(self) -> Cjt188Options:
        return self.profile.cjt188

    def next_request(self, command: int, identifier: int) -> Frame:
        """The next question, with the next number (modulo 256)."""
        options = self.options
        self.sequence = (self.sequence + 1) % 256 if options.sequence is None else options.sequence
        little = options.identifier == "1F90"
        return request(options.meter_type, self.address, command, identifier, self.sequence, little=little)

    def accepts(self, asked: Frame, identifier: int, answer: Frame) -> bool:
        """True when `answer` is this meter's, to this very question."""
        if not answer.is_answer or answer.command != asked.command:
            return False
        named = answer.is_error or answer.names(identifier)
        return named and self._is_its(answer) and self._in_turn(asked, answer)

    def _is_its(self, answer: Frame) -> bool:
        typed = answer.type in _HEAT_TYPES or self.options.meter_type in (answer.type, ANY_TYPE)
        return typed and self.address in (answer.address, WILDCARD)

    def _in_turn(self, asked: Frame, answer: Frame) -> bool:
        echoed = self.options.sequence_echoed
        if answer.sequence == asked.sequence:
            return True
        if echoed is None:
            echoed = self.options.sequence is None and self.echoes >= _SURE
        # as long as nobody knows whether it echoes, the number of an older request speaks for a late answer
        return not echoed and answer.sequence not in self.unanswered

    def learn(self, asked: Frame, answer: Frame) -> None:
        """After an answer was taken."""
        self.failures = 0
        self.echoes = self.echoes + 1 if answer.sequence == asked.sequence else 0

    def fail(self, asked: Frame, now: float) -> None:
        """After no answer was taken; `now` is the loop's time."""
        self.unanswered = {ser: at for ser, at in self.unanswered.items() if now - at < _LATEST_S}
        if asked.sequence is not None and self.options.sequence is None:
            self.unanswered[asked.sequence] = now
        self.failures += 1
        if self.failures >= _DOUBT:
            self.echoes = 0


class Cjt188Driver:
    """All meters of one line. Readings bear the time of receipt: Unix seconds from `now`.

    A meter adopted with the address of fourteen A is asked whatever its number: with one meter on the line,
    its register of the field `meter_number`, or `number`, tells which it is.
    """

    def __init__(self, bus: Cjt188Bus, now: Callable[[], float], tap: Tap) -> None:
        self._link = Link(bus.endpoint)
        self._dialogue = Dialogue(self._link, bus.timeout_s, SILENCE_S, tap)
        self._meters: dict[str, _Meter] = {}
        self._now = now
        self._tap = tap

    def adopt(self, device: DeviceSetting) -> None:
        """Serve a meter; ConfigurationError when its number does not fit its maker's scheme."""
        profile = device.expect(Cjt188Profile)
        if device.address is None:
            raise ConfigurationError(f"device {device.id}: give its address, the number on the meter")
        try:
            address = to_wire(device.address, profile.cjt188.address_scheme)
        except ValueError as error:
            raise ConfigurationError(f"device {device.id}: address {error}: correct it") from None
        self._meters[device.id] = _Meter(device.id, address, profile)

    def dismiss(self, device: str) -> None:
        """Serve it no longer."""
        self._meters.pop(device, None)

    async def __aenter__(self) -> Self:
        with contextlib.suppress(DriverError):  # the next request tries again and reports
            await self._dialogue.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dialogue.close()

    async def read(self, points: Sequence[Point]) -> Mapping[str, Reading]:
        """Readings by point name, all of one answer; DriverError when there was none, or it says nothing.

        DeviceError when the meter refuses; its code is the status, low byte first.
        """
        if not points:
            return {}
        meter = self._meter({point.device for point in points})
        registers = [_register(meter, point) for point in points]
        if all(register.field == "meter_number" for register in registers):
            answer = Answer(await self.number(meter.id), None)
        else:
            frame = await self._ask(meter, READ, HEAT)
            options = meter.options
            heat = decode(frame.payload, options.fixed_layout, options.decimals.by_kind())
            answer = Answer(from_wire(frame.address, options.address_scheme), heat)
        now = self._now()
        return {
            point.name: reading(answer, register, point.unit, now)
            for point, register in zip(points, registers, strict=True)
        }

    async def number(self, device: str) -> str:
        """The number of the meter that answers when its address is asked for (control code 03, DI 810A)."""
        meter = self._meter({device})
        frame = await self._ask(meter, READ_ADDRESS, ADDRESS)
        return from_wire(frame.address, meter.options.address_scheme)

    async def write(self, point: Point, value: float) -> None:
        """LocalProtocolError: no field of these meters is written."""
        raise LocalProtocolError(
            f"{point.device}.{point.register}: a heat meter is only read, {value} stays here"
        )

    def _meter(self, devices: set[str]) -> _Meter:
        if len(devices) != 1:
            raise LocalProtocolError(f"one request is for one device, not for {sorted(devices)}")
        try:
            return self._meters[devices.pop()]
        except KeyError as error:
            raise ConfigurationError(f"no device {error} on this bus: correct the point") from None

    async def _ask(self, meter: _Meter, command: int, identifier: int) -> Frame:
        """Ask, and ask again after silence or rubbish as often as the profile has it."""
        for _ in range(meter.options.retries):
            try:
                return await self._exchange(meter, command, identifier)
            except (NoAnswerError, RemoteProtocolError):
                self._tap(Traffic(meter.id, Verdict.RETRY, b"", _time()))
        return await self._exchange(meter, command, identifier)

    async def _exchange(self, meter: _Meter, command: int, identifier: int) -> Frame:
        asked = meter.next_request(command, identifier)
        try:
            answer = await self._answer(meter, asked, identifier)
        except (DriverError, asyncio.CancelledError):
            meter.fail(asked, _time())
            raise
        meter.learn(asked, answer)
        if answer.is_error:
            code = int.from_bytes(answer.payload[:2], "little")
            raise DeviceError(f"{meter.id}: the meter refuses (status {answer.payload.hex(' ')})", code)
        return answer

    async def _answer(self, meter: _Meter, asked: Frame, identifier: int) -> Frame:
        data, receiver = encode(asked, meter.options.wake), Receiver()
        try:
            return await self._dialogue.ask(
                meter.id, data, receiver, lambda frame: meter.accepts(asked, identifier, frame)
            )
        except NoAnswerError as error:
            if not receiver.rest:
                raise
            came = receiver.rest[:16].hex(" ")
            text = f"{self._link.name}: no whole answer of {meter.id}, only {came}"
            raise RemoteProtocolError(text) from error


def _time() -> float:
    return asyncio.get_running_loop().time()


def _register(meter: _Meter, point: Point) -> Cjt188Register:
    register = meter.profile.registers.get(point.register)
    if register is None:
        profile = meter.profile.profile.id
        raise ConfigurationError(
            f"device {meter.id}: {profile} has no register {point.register!r}: correct the point"
        )
    unit_factor(register.unit, point.unit)
    return register
