"""Devices behind one OPC UA server: the newest values of a subscription as readings.

A value counts only with its status: severity is the top two bits of the status code (OPC 10000-4, 7.39), and
a Bad one never becomes a number, even when the server attaches one. The source's time stamp stands, except
that a source whose clock is ahead of ours is dated now: its values must be able to grow old.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from asyncua import ua

from drivers.driver import Point
from drivers.errors import (
    ConfigurationError,
    DeviceError,
    DriverError,
    LocalProtocolError,
    NoAnswerError,
)
from drivers.node import Node
from drivers.opcua.browse import browse
from drivers.opcua.connection import identity
from drivers.opcua.pki import trust_rejected
from drivers.opcua.profile import OpcUaProfile, OpcUaRegister, Stamps
from drivers.opcua.session import Session, Wanted
from drivers.reading import Quality, Reading, Reason
from drivers.settings import DeviceSetting, OpcUaBus
from drivers.units import Unit
from drivers.values import EXACT, judge, judge_exact, shortest, unit_factor

_UNCERTAIN, _BAD = 1, 2  # severity, the top two bits; 3 is reserved and as good as Bad


def reading(value: ua.DataValue | None, register: OpcUaRegister, unit: Unit, stamp: float) -> Reading:
    """What a data value means; `stamp` is the time it counts from (see `dated`)."""
    if value is None:
        return Reading.bad(Reason.NEVER_READ, unit, stamp)
    severity = value.StatusCode.value >> 30 if value.StatusCode is not None else 0
    if severity >= _BAD or value.Value is None or value.Value.Value is None:
        return Reading.bad(Reason.DEVICE, unit, stamp)
    if not _fits(value.Value, register):
        return Reading.bad(Reason.PROTOCOL, unit, stamp)
    judged = _judged(value.Value, register, unit, stamp)
    if severity == _UNCERTAIN and judged.value is not None:
        return Reading(judged.value, unit, Quality.UNCERTAIN, Reason.DOUBTFUL, stamp, judged.total)
    return judged


def _judged(variant: ua.Variant, register: OpcUaRegister, unit: Unit, stamp: float) -> Reading:
    """A totaliser's value by its digits, any other as a float."""
    raw = variant.Value
    if register.total is None or not math.isfinite(raw):
        number = float(raw) * register.scale
        return judge(number, register, unit, unit_factor(register.unit, unit), stamp)
    digits = shortest(raw) if variant.VariantType is ua.VariantType.Float else Decimal(repr(raw))
    exact = EXACT.multiply(digits, Decimal(repr(register.scale)))
    return judge_exact(exact, register, register.unit, unit, stamp)


def dated(value: ua.DataValue | None, stamps: Stamps, known: float, arrived: float) -> float:
    """The Unix time a value counts from (see OpcUaOptions.stamps).

    `known`: up to when it is known to be the server's newest; `arrived`: when its stamp first came to us.
    A value without any stamp, or whose source stamps changes only, is as fresh as the server's last word.
    """
    stamp: datetime | None = None if value is None else value.SourceTimestamp or value.ServerTimestamp
    if stamp is None or stamps == "change":
        return known
    if stamps == "receipt":
        return arrived
    # a stamp from a clock ahead of ours counts from its arrival: its value must be able to grow old
    return min((stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp(), arrived)


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
            await session.watch({(p.device, p.register): await self._wanted(session, p) for p in points})
        wall = self._now() - asyncio.get_running_loop().time()  # loop time + wall = Unix time
        found: dict[str, Reading] = {}
        for point in points:
            seen = session.values.get((point.device, point.register))
            value, known = None if seen is None else seen.value, wall + session.known(seen)
            arrived = known if seen is None else wall + seen.arrived
            stamp = dated(value, self._devices[point.device].opcua.stamps, known, arrived)
            found[point.name] = reading(value, registers[point.name], point.unit, stamp)
        return found

    async def write(self, point: Point, value: float) -> None:
        """Write one variable in its own type; LocalProtocolError when the profile does not allow it."""
        register = self._register(point)
        variant = _variant(point, register, value * unit_factor(point.unit, register.unit))
        async with self._lock:
            session = await self._connected()
            node = await self._node(session, point)
            await session.write(f"{point.device}.{point.register}", node, variant)

    async def browse(
        self, node: str | None = None, depth: int = 1, limit: int = 1000
    ) -> AsyncGenerator[Node, None]:
        """The nodes below `node` (see drivers.driver.Browsable), over the running session."""
        async with self._lock:
            session = await self._connected()
        async with contextlib.aclosing(browse(session, node, depth, limit)) as found:
            async for each in found:
                yield each

    async def certificate(self) -> str | None:
        """SHA-256 of our certificate, made if there is none yet; None where the site says insecure."""
        us = await identity(self._bus)
        return None if us is None else us.thumbprint

    async def trust(self, thumbprint: str) -> str:
        """Move a server's certificate from rejected to trusted; the name in it."""
        if self._bus.pki is None:
            raise ConfigurationError(f"{self._bus.url}: the site says insecure: no certificate is looked at")
        return await asyncio.to_thread(trust_rejected, self._bus.pki, thumbprint)

    def _register(self, point: Point) -> OpcUaRegister:
        try:
            return self._devices[point.device].registers[point.register]
        except KeyError:
            text = f"{point.device}.{point.register}: no such device or register: correct the point"
            raise ConfigurationError(text) from None

    async def _wanted(self, session: Session, point: Point) -> Wanted:
        stamped = self._devices[point.device].opcua.stamps != "change"
        return Wanted(await self._node(session, point), stamped)

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
            self._session = await Session.open(self._bus, self._now())
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
    problems = (
        (
            not bus.insecure and bus.pki is None,
            "give pki, the folder of the certificates, or say insecure = true",
        ),
        (bus.insecure and bus.pki is not None, "insecure = true and pki exclude each other: drop one"),
        (
            bus.insecure and bus.user is not None,
            "a password would cross the network in clear: use certificates (pki)",
        ),
        (bus.user is None and bus.password_file is not None, "a password without a user: give user"),
        ("@" in _netloc(bus.url), "no user or password in url: give user and password_file"),
    )
    for broken, text in problems:
        if broken:
            raise ConfigurationError(f"{bus.url}: {text}")


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError as error:
        raise ConfigurationError(f"{url}: this is no address ({error}): correct url") from error
