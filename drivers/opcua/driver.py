"""Devices behind one OPC UA server: the newest values of a subscription as readings.

A value counts only with its status: severity is the top two bits of the status code (OPC 10000-4, 7.39), and
a Bad one never becomes a number, even when the server attaches one. The source's time stamp stands, except
that a source whose clock is ahead of ours is dated now: its values must be able to grow old.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from asyncua import ua

from drivers.driver import Point
from drivers.errors import (
    ConfigurationError,
    DeviceError,
    DriverError,
    LocalProtocolError,
    NoAnswerError,
)
from drivers.opcua.profile import OpcUaProfile, OpcUaRegister
from drivers.opcua.session import Session
from drivers.reading import Quality, Reading, Reason
from drivers.settings import DeviceSetting, OpcUaBus
from drivers.units import Unit
from drivers.values import judge, unit_factor

_UNCERTAIN, _BAD = 1, 2  # severity, the top two bits; 3 is reserved and as good as Bad


def reading(
    value: ua.DataValue | None, register: OpcUaRegister, unit: Unit, alive: float, change: bool
) -> Reading:
    """What a data value means. `alive` is the wall time of the subscription's last sign of life.

    `change` says that the source stamps changes only (see OpcUaOptions.stamps).
    """
    if value is None:
        return Reading.bad(Reason.NEVER_READ, unit, alive)
    stamp = alive if change else min(_stamp(value, alive), alive)
    severity = value.StatusCode.value >> 30 if value.StatusCode is not None else 0
    if severity >= _BAD or value.Value is None or value.Value.Value is None:
        return Reading.bad(Reason.DEVICE, unit, stamp)
    if not _fits(value.Value, register):
        return Reading.bad(Reason.PROTOCOL, unit, stamp)
    number = float(value.Value.Value) * register.scale
    judged = judge(number, register, unit, unit_factor(register.unit, unit), stamp)
    if severity == _UNCERTAIN and judged.value is not None:
        return Reading(judged.value, unit, Quality.UNCERTAIN, Reason.DOUBTFUL, stamp)
    return judged


def _stamp(value: ua.DataValue, otherwise: float) -> float:
    stamp: datetime | None = value.SourceTimestamp or value.ServerTimestamp
    if stamp is None:
        return otherwise
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()


def _fits(variant: ua.Variant, register: OpcUaRegister) -> bool:
    """True for a single value of exactly the profile's type: anything else is another variable than meant."""
    kind = bool if register.type == "Boolean" else int | float
    return bool(variant.VariantType.name == register.type) and isinstance(variant.Value, kind)


class OpcUaDriver:
    """All devices of one server. Reading asks nothing: it returns what the subscription brought."""

    def __init__(self, bus: OpcUaBus, now: Callable[[], float]) -> None:
        _check(bus)
        self._bus = bus
        self._devices: dict[str, OpcUaProfile] = {}
        self._now = now
        self._session: Session | None = None
        self._lock = asyncio.Lock()

    def adopt(self, device: DeviceSetting) -> None:
        """Serve a device."""
        self._devices[device.id] = device.expect(OpcUaProfile)

    def dismiss(self, device: str) -> None:
        """Serve it no longer."""
        self._devices.pop(device, None)

    async def __aenter__(self) -> Self:
        with contextlib.suppress(DriverError):  # the next request tries again and reports
            await self._connected()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._drop()

    async def read(self, points: Sequence[Point]) -> Mapping[str, Reading]:
        """The newest readings by point name; DriverError when connection or subscription are silent."""
        registers = {point.name: self._register(point) for point in points}
        async with self._lock:
            session = await self._connected()
            await session.watch({(p.device, p.register): await self._node(session, p) for p in points})
        alive = self._now() - (asyncio.get_running_loop().time() - session.published)
        return {
            point.name: reading(
                session.values.get((point.device, point.register)),
                registers[point.name],
                point.unit,
                alive,
                self._devices[point.device].opcua.stamps == "change",
            )
            for point in points
        }

    async def write(self, point: Point, value: float) -> None:
        """Write one variable in its own type; LocalProtocolError when the profile does not allow it."""
        register = self._register(point)
        variant = _variant(point, register, value * unit_factor(point.unit, register.unit))
        async with self._lock:
            session = await self._connected()
            await session.write(await self._node(session, point), variant)

    def _register(self, point: Point) -> OpcUaRegister:
        try:
            return self._devices[point.device].registers[point.register]
        except KeyError:
            text = f"{point.device}.{point.register}: no such device or register: correct the point"
            raise ConfigurationError(text) from None

    async def _node(self, session: Session, point: Point) -> ua.NodeId:
        namespace = self._devices[point.device].opcua.namespace
        try:
            return session.node(namespace, self._register(point).identifier)
        except DeviceError:
            await self._drop()  # the server may still be starting: a new session sees its namespaces anew
            raise

    async def _connected(self) -> Session:
        """The living session, or a new one; NoAnswerError once when the old one has just been lost."""
        if self._session is not None and not self._session.alive:
            await self._drop()
            raise NoAnswerError(f"{self._bus.url}: connection or subscription lost")
        if self._session is None:
            self._session = await Session.open(self._bus)
        return self._session

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def _variant(point: Point, register: OpcUaRegister, value: float) -> ua.Variant:
    place = f"{point.device}.{point.register}"
    if register.write is None:
        raise LocalProtocolError(f"{place}: the profile does not allow writing")
    if not register.write.low <= value <= register.write.high:
        raise LocalProtocolError(
            f"{place}: {value} is outside the writable range {register.write.low} to {register.write.high}"
        )
    raw = value / register.scale
    if register.type == "Boolean":
        return ua.Variant(bool(raw), ua.VariantType.Boolean)
    kind = ua.VariantType[register.type]
    return ua.Variant(raw if register.type in {"Float", "Double"} else round(raw), kind)


def _check(bus: OpcUaBus) -> None:
    """Refuse what cannot work or is less secure than it looks, before anything is connected."""
    files = [bus.certificate, bus.private_key, bus.server_certificate]
    problems = (
        (
            not bus.insecure and None in files,
            "give certificate, private_key and server_certificate, or say insecure = true",
        ),
        (
            bus.insecure and files != [None] * 3,
            "insecure = true and certificates exclude each other: drop one",
        ),
        (
            bus.insecure and bus.user is not None,
            "a password would cross the network in clear: use certificates",
        ),
        (any(f is not None and not f.is_file() for f in files), "a certificate or key file does not exist"),
    )
    for broken, text in problems:
        if broken:
            raise ConfigurationError(f"{bus.url}: {text}")
