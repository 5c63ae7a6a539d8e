"""One OPC UA session with one subscription, from its connection to its loss; after a loss a new one is made.

The newest value of every wanted variable is kept here as the server sent it; what it means is decided in
drivers.opcua.driver. The publishing loop of asyncua calls `_on_publish` also for empty keep-alive messages
(OPC 10000-4, 5.14.1.2): they prove that the subscription lives.

What the server does not let us watch, it is asked for by every `watch`: it may have no subscriptions at all,
too many monitored items, or not the filter we need.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, islice
from typing import Any, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.client.ua_session import UaSession
from asyncua.common.utils import ServiceError
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from drivers.errors import DeviceError, DriverError, RemoteProtocolError
from drivers.opcua.connection import CarefulClient, connect, identity
from drivers.opcua.faults import translated
from drivers.opcua.identifier import parse_identifier
from drivers.settings import OpcUaBus

T = TypeVar("T")
Key = tuple[str, str]
"""Device and register."""

_KEEP_ALIVE_COUNT = 3  # an empty message after this many publishing intervals without a change
_LIFETIME_COUNT = 60  # the server drops a subscription that was not asked for this many intervals
_RETRY_S = 30.0  # a variable the server refused to watch is asked for again after this time
BLOCK = 100  # variables in one request, where the server sets no narrower limit
_CLOCKS_APART_S = 60.0  # a server's clock further off than this is told of

# A server that answers so has no room or no use for what we asked; its values can still be read.
_NO_SUBSCRIPTION = frozenset(
    {
        StatusCodes.BadServiceUnsupported,
        StatusCodes.BadNotSupported,
        StatusCodes.BadNotImplemented,
        StatusCodes.BadTooManySubscriptions,
    }
)
_NO_ITEM = _NO_SUBSCRIPTION | {
    StatusCodes.BadTooManyMonitoredItems,
    StatusCodes.BadMonitoredItemFilterUnsupported,
    StatusCodes.BadFilterNotAllowed,
}
_STANDARD = (
    ObjectIds.Server_NamespaceArray,
    ObjectIds.Server_ServerStatus_CurrentTime,
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
)

_log = logging.getLogger("drivers.opcua")
# It logs every lost connection with several tracebacks; what matters is in our errors.
logging.getLogger("asyncua").setLevel(logging.WARNING)
logging.getLogger("asyncua.client").setLevel(logging.CRITICAL)
logging.getLogger("asyncua.crypto").setLevel(logging.CRITICAL)  # we judge certificates ourselves


@dataclass(frozen=True, slots=True)
class Wanted:
    """A variable to be watched; `stamped`: a new time stamp of an unchanged value is news, too."""

    node: ua.NodeId
    stamped: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest value of a variable, with two loop times.

    `arrived`: when its time stamp first came. `read`: when it was last read, None where watched.
    """

    value: ua.DataValue
    arrived: float
    read: float | None


class Session:
    """A connected session. Make it with `Session.open`; end it with `close`, also when it is lost."""

    def __init__(self, bus: OpcUaBus, client: Client) -> None:
        self._bus = bus
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._blocks = (BLOCK, BLOCK)  # in one request: variables to read, variables to watch
        self._subscription: int | None = None
        self._silence_s = 0.0
        self._handles = count(1)  # never given twice: an older item may still report under its own
        self._keys: dict[int, Key] = {}  # client handle -> key
        self._refused: dict[Key, float] = {}  # key -> loop time of the refusal
        self._published = 0.0  # loop time of the subscription's last sign of life
        self.values: dict[Key, Seen] = {}
        self.namespaces: list[str] = []

    @classmethod
    async def open(cls, bus: OpcUaBus, now: float) -> "Session":
        """Connect, activate, subscribe; DriverError when any of it fails, with nothing left behind.

        `now` in Unix s: what certificates and the server's clock are judged by.
        """
        us = await identity(bus)
        client = CarefulClient(bus.url, timeout=bus.timeout_s, watchdog_intervall=bus.timeout_s)
        session = cls(bus, client)
        try:
            with translated(bus.url):
                async with asyncio.timeout(4 * bus.timeout_s):
                    await connect(client, bus, us, now)
                    if client.uaclient.protocol is not None:
                        session._transport = client.uaclient.protocol.transport
                    await session._acquaint(now)
                    await session._subscribe()
        except BaseException:
            await session.close()
            raise
        return session

    @property
    def url(self) -> str:
        """Where the server is, as errors name it."""
        return self._bus.url

    @property
    def services(self) -> UaSession:
        """The services of the session; what they raise is asyncua's (see `translated`)."""
        return self._client.uaclient.session

    @property
    def alive(self) -> bool:
        """False when the connection is gone or the subscription has been silent for too long."""
        if self._client.state is not UaClientState.CONNECTED:
            return False
        return self._subscription is None or _loop_time() - self._published < self._silence_s

    async def close(self) -> None:
        """End the session and every task asyncua started for it. A lost one is cut off without a farewell."""
        tasks = self._tasks()
        if not self.alive and self._transport is not None:
            self._transport.abort()
            await asyncio.sleep(0)  # lets asyncua see the end, or it would wait for an answer
        with contextlib.suppress(DriverError), translated(self.url):
            await asyncio.wait_for(self._client.disconnect(), self._bus.timeout_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._transport is not None:
            self._transport.abort()
            await asyncio.sleep(0)

    def _tasks(self) -> list[asyncio.Task[Any]]:
        client = self._client
        tasks = [
            client._supervisor_task,
            client._stale_watchdog_task,
            client._renew_channel_task,
            client.uaclient.session._publish_task,  # asyncua cancels this one but does not wait for its end
        ]
        return [task for task in tasks if task is not None]

    async def _acquaint(self, now: float) -> None:
        """Learn the namespaces and the limits; tell of a clock that is far from ours."""
        answers = await self._fetch([ua.NodeId(ua.Int32(i), ua.Int16(0)) for i in _STANDARD])
        namespaces, clock, *limits = (a.Value.Value if a.Value is not None else None for a in answers)
        if not isinstance(namespaces, list):
            raise RemoteProtocolError(f"{self.url}: the server does not tell its namespaces")
        self.namespaces = [str(uri) for uri in namespaces]
        reading, watching = (min(n, BLOCK) if isinstance(n, int) and n > 0 else BLOCK for n in limits)
        self._blocks = (reading, watching)
        if isinstance(clock, datetime):
            self._compare(clock if clock.tzinfo else clock.replace(tzinfo=UTC), now)

    def _compare(self, clock: datetime, now: float) -> None:
        apart = clock.timestamp() - now
        if abs(apart) > _CLOCKS_APART_S:
            _log.warning(
                "%s: the server's clock says %s, %.0f s from ours; values stamped in the past count "
                'as old: set its clock (NTP); if it has none, write stamps = "receipt" into the profile',
                self.url,
                f"{clock:%Y-%m-%d %H:%M:%S} UTC",
                apart,
            )

    async def _subscribe(self) -> None:
        params = ua.CreateSubscriptionParameters()
        params.RequestedPublishingInterval = self._bus.sampling_ms
        params.RequestedMaxKeepAliveCount = _KEEP_ALIVE_COUNT
        params.RequestedLifetimeCount = _LIFETIME_COUNT
        params.PublishingEnabled = True
        try:
            result = await self.services.create_subscription(params, self._on_publish)
        except (UaStatusCodeError, ServiceError) as error:
            if error.code not in _NO_SUBSCRIPTION:
                raise
            _log.warning("%s: no subscription (%s): values are read instead", self.url, error)
            return
        self._subscription = result.SubscriptionId
        interval_s = result.RevisedPublishingInterval / 1000
        self._silence_s = 2 * interval_s * (result.RevisedMaxKeepAliveCount + 1) + self._bus.timeout_s
        self._published = _loop_time()

    def _on_publish(self, result: ua.PublishResult) -> None:
        for notification in result.NotificationMessage.NotificationData or ():
            if isinstance(notification, ua.StatusChangeNotification):
                self._silence_s = 0.0  # the subscription has ended: the session is no longer alive
                return
            if isinstance(notification, ua.DataChangeNotification):
                for item in notification.MonitoredItems:
                    if item.ClientHandle in self._keys:
                        self._take(self._keys[item.ClientHandle], item.Value, watched=True)
        self._published = _loop_time()

    def _take(self, key: Key, value: ua.DataValue, watched: bool) -> None:
        now, before = _loop_time(), self.values.get(key)
        again = before is not None and _stamp(before.value) is not None
        repeated = again and before is not None and _stamp(before.value) == _stamp(value)
        arrived = before.arrived if repeated and before is not None else now
        self.values[key] = Seen(value, arrived, None if watched else now)

    def known(self, seen: Seen | None) -> float:
        """Loop time up to which a value is known to be the server's newest."""
        return self._published if seen is None or seen.read is None else seen.read

    def node(self, namespace: str, identifier: str) -> ua.NodeId:
        """The node id, with the index the namespace had when this session was opened; else DeviceError."""
        if namespace not in self.namespaces:
            raise DeviceError(
                f"{self.url}: the server has no namespace {namespace!r}: correct the profile's namespace",
                StatusCodes.BadNodeIdUnknown,  # what the server itself would answer
            )
        return make_node(identifier, self.namespaces.index(namespace))

    async def watch(self, wanted: Mapping[Key, Wanted]) -> None:
        """Subscribe to what is not watched yet. What is new, and what cannot be watched, is read."""
        now, watched = _loop_time(), set(self._keys.values())
        unwatched = [key for key in wanted if key not in watched]
        if not unwatched:
            return
        new = [key for key in unwatched if now - self._refused.get(key, -_RETRY_S) >= _RETRY_S]
        with translated(self.url):
            if self._subscription is not None:
                for block in blocks(new, self._blocks[1]):
                    await self._monitor(block, wanted)
            found = await self._fetch([wanted[key].node for key in unwatched])
        watched = set(self._keys.values())
        for key, value in zip(unwatched, found, strict=True):
            if key not in watched:
                self._take(key, value, watched=False)
            elif key not in self.values:  # a notification that came first is newer
                self._take(key, value, watched=True)

    async def _fetch(self, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue]:
        return await self.attributes([(node, AttributeIds.Value) for node in nodes])

    async def attributes(self, wanted: Sequence[tuple[ua.NodeId, AttributeIds]]) -> list[ua.DataValue]:
        """Attributes as they are now, in requests the server can bear; what it raises is asyncua's."""
        found: list[ua.DataValue] = []
        for block in blocks(wanted, self._blocks[0]):
            params = ua.ReadParameters(TimestampsToReturn=ua.TimestampsToReturn.Both)
            params.NodesToRead = [ua.ReadValueId(node, attribute) for node, attribute in block]
            answers = await self.services.read(params)
            if len(answers) != len(block):
                raise RemoteProtocolError(f"{self.url}: asked for {len(block)} values, got {len(answers)}")
            found.extend(answers)
        return found

    async def _monitor(self, new: Sequence[Key], wanted: Mapping[Key, Wanted]) -> None:
        params = ua.CreateMonitoredItemsParameters()
        params.SubscriptionId = self._subscription
        params.TimestampsToReturn = ua.TimestampsToReturn.Both
        handles = list(islice(self._handles, len(new)))
        params.ItemsToCreate = [self._item(h, wanted[key]) for h, key in zip(handles, new, strict=True)]
        self._keys.update(zip(handles, new, strict=True))  # a notification may come before the answer
        try:
            results = await self.services.create_monitored_items(params)
            refused = [result.StatusCode.is_bad() for result in results]
        except (UaStatusCodeError, ServiceError) as error:
            if error.code not in _NO_ITEM:
                self._forget(handles)
                raise
            refused = [True] * len(new)
        except BaseException:
            self._forget(handles)
            raise
        for handle, key, no in zip(handles, new, refused, strict=True):
            self._refused.pop(key, None)
            self.values.pop(key, None)
            if no:
                self._forget([handle])
                self._refused[key] = _loop_time()

    def _forget(self, handles: Sequence[int]) -> None:
        for handle in handles:  # nothing may be watched now: a later `watch` asks again
            del self._keys[handle]

    def _item(self, handle: int, wanted: Wanted) -> ua.MonitoredItemCreateRequest:
        item = ua.MonitoredItemCreateRequest()
        item.ItemToMonitor.NodeId = wanted.node
        item.ItemToMonitor.AttributeId = AttributeIds.Value
        item.MonitoringMode = ua.MonitoringMode.Reporting
        item.RequestedParameters.ClientHandle = handle
        item.RequestedParameters.SamplingInterval = self._bus.sampling_ms
        item.RequestedParameters.QueueSize = 1
        item.RequestedParameters.DiscardOldest = True
        if wanted.stamped:  # else no filter: every server reports changes of status and value
            item.RequestedParameters.Filter = ua.DataChangeFilter(
                Trigger=ua.DataChangeTrigger.StatusValueTimestamp
            )
        return item

    async def write(self, place: str, node: ua.NodeId, variant: ua.Variant) -> None:
        """Write value only: many servers refuse a write that carries a status or a time stamp.

        DeviceError with `place` (device and register) and the server's code when it refuses.
        """
        with translated(f"{self.url}: {place}"):
            results = await self.services.write_attributes([node], [ua.DataValue(variant, StatusCode=None)])
            results[0].check()


def make_node(identifier: str, namespace: int) -> ua.NodeId:
    """The node id of an identifier as profiles write it; ValueError when it is none."""
    parsed: Any = parse_identifier(identifier)
    return ua.NodeId(parsed, ua.Int16(namespace))


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _stamp(value: ua.DataValue) -> datetime | None:
    stamp: datetime | None = value.SourceTimestamp or value.ServerTimestamp
    return stamp


def blocks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in their order, at most `size` at once."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
