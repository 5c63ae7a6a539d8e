"""Devices on one Modbus bus: which registers to ask for, and what to make of the answers.

Faults cost as little as they can. A device that answers nothing raises; a malformed block costs its own
points; a refused block is read again value by value, and what was refused is asked for alone from then on, so
that one wrong address never costs its neighbours more than once.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

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
from drivers.modbus.line import Line, Request
from drivers.modbus.profile import ModbusOptions, ModbusProfile, ModbusRegister
from drivers.modbus.registers import Decoder, Span, covers, decode, decoder, encode, plan, span
from drivers.reading import Reading, Reason
from drivers.settings import DeviceSetting, ModbusRtuBus, ModbusTcpBus
from drivers.traffic import Tap
from drivers.values import unit_factor

_TEMPORARY_CODES = frozenset({5, 6})  # acknowledge, busy: asking for less would not help (V1.1b3, 7)


@dataclass(frozen=True, slots=True)
class _Target:
    name: str
    span: Span
    decoder: Decoder


@dataclass(frozen=True, slots=True)
class _Job:
    """One request and the points that live in its answer."""

    request: Request
    span: Span
    targets: tuple[_Target, ...]


@dataclass(slots=True)
class _Device:
    """A device and what was learned of its refusals: `holes` falls to 0 and -1, `alone` are refused spans."""

    id: str
    unit: int
    profile: ModbusProfile
    holes: int
    alone: set[Span] = field(default_factory=set)
    jobs: dict[tuple[Point, ...], tuple[_Job, ...]] = field(default_factory=dict)

    @property
    def options(self) -> ModbusOptions:
        return self.profile.modbus

    def register(self, name: str) -> ModbusRegister:
        try:
            return self.profile.registers[name]
        except KeyError:
            text = f"device {self.id}: {self.profile.profile.id} has no register {name!r}: correct the point"
            raise ConfigurationError(text) from None

    def jobs_for(self, points: tuple[Point, ...]) -> tuple[_Job, ...]:
        """The requests for these points; planned once and again after something was learned."""
        jobs = self.jobs.get(points)
        if jobs is None:
            jobs = self.jobs[points] = self.planned([self._target(point) for point in points], self.holes)
        return jobs

    def _target(self, point: Point) -> _Target:
        register = self.register(point.register)
        return _Target(point.name, span(register), decoder(register, point.unit))

    def planned(self, targets: Sequence[_Target], holes: int) -> tuple[_Job, ...]:
        blocks = plan([t.span for t in targets], self.options.max_registers, holes, frozenset(self.alone))
        return tuple(self._job(block, targets) for block in blocks)

    def _job(self, block: Span, targets: Sequence[_Target]) -> _Job:
        # a span read alone may also lie inside a merged block: it is taken from its own request only
        inside = [
            t for t in targets if covers(block, t.span) and (t.span not in self.alone or t.span == block)
        ]
        return _Job(Request.read(self.unit, block), block, tuple(inside))

    def learn(self, job: _Job, refused: set[Span]) -> None:
        """After `job` was refused: these spans are to blame, or else the way they were merged."""
        if refused:
            self.alone |= refused
        else:
            self.holes = 0 if self.holes > 0 else -1
        self.jobs.clear()

    def forgive(self, job: _Job) -> None:
        """A span that was refused has been answered: it may be merged again."""
        if job.span in self.alone:
            self.alone.discard(job.span)
            self.jobs.clear()


class ModbusDriver:
    """All devices of one bus, serial or TCP. Readings bear the time of receipt: Unix seconds from `now`."""

    def __init__(self, bus: ModbusRtuBus | ModbusTcpBus, now: Callable[[], float], tap: Tap) -> None:
        self._bus = bus
        self._devices: dict[str, _Device] = {}
        self._line = Line(bus)
        self._now = now
        self._tap = tap

    def adopt(self, device: DeviceSetting) -> None:
        """Serve a device; its requests are planned anew."""
        serial = isinstance(self._bus, ModbusRtuBus) or self._bus.framing == "rtu"
        lowest, highest = (1, 247) if serial else (0, 255)  # serial 0 is the broadcast, which nobody answers
        unit = device.unit_id
        if unit is None or not lowest <= unit <= highest:
            raise ConfigurationError(f"device {device.id}: unit_id {unit} must be {lowest} to {highest}")
        profile = device.expect(ModbusProfile)
        self._devices[device.id] = _Device(device.id, unit, profile, profile.modbus.merge_holes)

    def dismiss(self, device: str) -> None:
        """Serve it no longer."""
        self._devices.pop(device, None)

    async def __aenter__(self) -> Self:
        with contextlib.suppress(DriverError):  # the next request tries again and reports
            await self._line.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()

    async def read(self, points: Sequence[Point]) -> Mapping[str, Reading]:
        """Readings by point name; DriverError when nothing came from the device at all."""
        if not points:
            return {}
        device = self._device(points)
        round_ = _Round(self._line, device, self._now)
        for job in device.jobs_for(tuple(points)):
            await round_.take(job)
        return round_.result()

    async def write(self, point: Point, value: float) -> None:
        """Write one register; LocalProtocolError when the profile does not allow it."""
        device = self._device([point])
        register = device.register(point.register)
        try:
            words = encode(register, value * unit_factor(point.unit, register.unit))
        except LocalProtocolError as error:
            raise LocalProtocolError(f"{point.device}.{point.register}: {error}") from None
        assert register.write is not None
        request = Request.write(device.unit, register.write.function, register.address, words)
        await self._line.ask(request, device.options.gap_s)

    def _device(self, points: Sequence[Point]) -> _Device:
        names = {point.device for point in points}
        if len(names) != 1:
            raise LocalProtocolError(f"one request is for one device, not for {sorted(names)}")
        try:
            return self._devices[names.pop()]
        except KeyError as error:
            raise ConfigurationError(f"no device {error} on this bus: correct the point") from None


class _Round:
    """One pass over the jobs of a device, gathering readings and faults."""

    def __init__(self, line: Line, device: _Device, now: Callable[[], float]) -> None:
        self._line = line
        self._device = device
        self._now = now
        self._readings: dict[str, Reading] = {}
        self._answered = False
        self._fault: TransportError | RemoteProtocolError | None = None

    def result(self) -> Mapping[str, Reading]:
        """All readings, or the first fault when no answer was any good."""
        if self._fault is not None and not self._answered:
            raise self._fault
        return self._readings

    async def take(self, job: _Job) -> None:
        """Run one job; after a lost line the remaining ones are not even tried."""
        if isinstance(self._fault, TransportError):
            self._bad(job.targets, Reason.NO_ANSWER)
            return
        try:
            await self._fetch(job)
            self._device.forgive(job)
        except DeviceError as error:
            self._answered = True
            await self._refused(job, error)

    async def _fetch(self, job: _Job) -> None:
        """Fill in the job's readings; DeviceError when the device refuses, other faults are kept."""
        try:
            payload = await self._ask(job)
        except TransportError as error:
            self._keep(error, job.targets, Reason.NO_ANSWER)
        except RemoteProtocolError as error:
            self._keep(error, job.targets, Reason.PROTOCOL)
        else:
            self._answered = True
            now = self._now()
            for target in job.targets:
                offset = 1 + 2 * (target.span.start - job.span.start)
                self._readings[target.name] = decode(target.decoder, payload, offset, now)

    async def _ask(self, job: _Job) -> bytes:
        options = self._device.options
        for _ in range(options.retries):
            try:
                return await self._line.ask(job.request, options.gap_s)
            except (NoAnswerError, RemoteProtocolError):
                continue  # a meter that slept, a disturbed frame: once more
        return await self._line.ask(job.request, options.gap_s)

    async def _refused(self, job: _Job, error: DeviceError) -> None:
        spans = {target.span for target in job.targets}
        if len(spans) == 1 or error.code in _TEMPORARY_CODES:
            self._bad(job.targets, Reason.DEVICE)
            return
        refused: set[Span] = set()
        for single in self._device.planned(job.targets, holes=-1):
            if isinstance(self._fault, TransportError):
                self._bad(single.targets, Reason.NO_ANSWER)
                continue
            try:
                await self._fetch(single)
            except DeviceError:
                self._bad(single.targets, Reason.DEVICE)
                refused |= {target.span for target in single.targets}
        if self._fault is None:
            self._device.learn(job, refused)

    def _bad(self, targets: Sequence[_Target], reason: Reason) -> None:
        now = self._now()
        for target in targets:
            self._readings[target.name] = Reading.bad(reason, target.decoder.unit, now)

    def _keep(
        self, error: TransportError | RemoteProtocolError, targets: Sequence[_Target], reason: Reason
    ) -> None:
        if self._fault is None or isinstance(error, TransportError):
            self._fault = error
        self._bad(targets, reason)
