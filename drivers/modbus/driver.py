"""Devices on one Modbus bus: which registers to ask for, and what to make of the answers.

Faults cost as little as they can. A device that answers nothing raises; a malformed block costs its own
points; a refused block is read again value by value, and what was refused is asked for alone from then on, so
that one wrong address never costs its neighbours more than once.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
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
from drivers.modbus.line import Line, open_line
from drivers.modbus.plans import Job, ServedDevice, Targets
from drivers.modbus.profile import ModbusProfile
from drivers.modbus.registers import (
    Span,
    decode_run,
    encode,
)
from drivers.modbus.request import Request
from drivers.reading import Reading, Reason
from drivers.settings import DeviceSetting, ModbusRtuBus, ModbusTcpBus
from drivers.traffic import Tap

_TEMPORARY_CODES = frozenset({5, 6})  # acknowledge, busy: asking for less would not help (V1.1b3, 7)
_APART = -5  # holes: not even what overlaps is merged, for no value is wider than 4


class ModbusDriver:
    """All devices of one bus, serial or TCP. Readings bear the time of receipt: Unix seconds from `now`."""

    def __init__(self, bus: ModbusRtuBus | ModbusTcpBus, now: Callable[[], float], tap: Tap) -> None:
        self._bus = bus
        self._devices: dict[str, ServedDevice] = {}
        self._line = open_line(bus, tap)
        self._now = now

    def adopt(self, device: DeviceSetting) -> None:
        """Serve a device; its requests are planned anew."""
        serial = isinstance(self._bus, ModbusRtuBus) or self._bus.framing == "rtu"
        lowest, highest = (1, 247) if serial else (0, 255)  # serial 0 is the broadcast, which nobody answers
        unit = device.unit_id
        if unit is None or not lowest <= unit <= highest:
            raise ConfigurationError(f"device {device.id}: unit_id {unit} must be {lowest} to {highest}")
        profile = device.expect(ModbusProfile)
        self.dismiss(device.id)
        self._devices[device.id] = ServedDevice(device.id, unit, profile, profile.modbus.merge_holes)
        self._line.ids.setdefault(unit, device.id)

    def dismiss(self, device: str) -> None:
        """Serve it no longer."""
        gone = self._devices.pop(device, None)
        if gone is not None and self._line.ids.get(gone.unit) == device:
            del self._line.ids[gone.unit]

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
        device = self._device(points[0])
        round_ = _Round(self._line, device, self._now)
        for job in device.jobs_for(tuple(points)):
            await round_.take(job)
        return round_.result()

    async def write(self, point: Point, value: float) -> None:
        """Write one register; LocalProtocolError when the profile does not allow it."""
        device = self._device(point)
        register = device.register(point.register)
        try:
            words = encode(register, value, point.unit)
        except LocalProtocolError as error:
            raise LocalProtocolError(f"{point.device}.{point.register}: {error}") from None
        assert register.write is not None
        request = Request.write(device.unit, register.write.function, register.address, words)
        await self._line.ask(device.id, request, device.options.gap_s)

    def _device(self, point: Point) -> ServedDevice:
        try:
            return self._devices[point.device]
        except KeyError as error:
            raise ConfigurationError(f"no device {error} on this bus: correct the point") from None


class _Round:
    """One pass over the jobs of a device, gathering readings and faults."""

    def __init__(self, line: Line, device: ServedDevice, now: Callable[[], float]) -> None:
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

    async def take(self, job: Job) -> None:
        """Run one job; after a lost line the remaining ones are not even tried."""
        if isinstance(self._fault, TransportError):
            self._bad(job.targets, Reason.NO_ANSWER)
            return
        try:
            await self._fetch(job)
        except DeviceError as error:
            self._answered = True
            await self._refused(job, error)

    async def _fetch(self, job: Job) -> None:
        """Fill in the job's readings; DeviceError when the device refuses, other faults are kept."""
        try:
            payload = await self._ask(job)
        except TransportError as error:
            self._keep(error, job.targets, Reason.NO_ANSWER)
        except RemoteProtocolError as error:
            self._keep(error, job.targets, Reason.PROTOCOL)
        else:
            self._answered = True
            self._device.forgive(job)
            now = self._now()
            decode_run(job.run, payload, now, self._readings)
            for target, place in job.single:
                self._readings[target.name] = job.read(target.decoder, payload, place, now)

    async def _ask(self, job: Job) -> bytes:
        line, device, options = self._line, self._device.id, self._device.options
        for _ in range(options.retries):
            try:
                return await line.ask(device, job.request, options.gap_s)
            except (NoAnswerError, RemoteProtocolError):
                line.retry(device)  # a meter that slept, a disturbed frame: once more
        return await line.ask(device, job.request, options.gap_s)

    async def _refused(self, job: Job, error: DeviceError) -> None:
        if error.code in _TEMPORARY_CODES or not self._device.worth_splitting(job):
            self._bad(job.targets, Reason.DEVICE)
            return
        refused: set[Span] = set()
        for single in self._device.planned([target for target, _ in job.targets], holes=_APART):
            if isinstance(self._fault, TransportError):
                self._bad(single.targets, Reason.NO_ANSWER)
                continue
            try:
                await self._fetch(single)
            except DeviceError:
                self._bad(single.targets, Reason.DEVICE)
                refused.add(single.span)
        if self._fault is None:
            self._device.learn(job, refused)

    def _bad(self, targets: Targets, reason: Reason) -> None:
        """Not given; but what another request of this round gave stands (registers may overlap)."""
        now = self._now()
        for target, _ in targets:
            before = self._readings.get(target.name)
            if before is None or before.value is None:
                self._readings[target.name] = Reading.bad(reason, target.decoder.unit, now)

    def _keep(self, error: TransportError | RemoteProtocolError, targets: Targets, reason: Reason) -> None:
        if self._fault is None or isinstance(error, TransportError):
            self._fault = error
        self._bad(targets, reason)
