"""One OPC UA session with one subscription, from its connection to its loss; after a loss a new one is made.

The newest value of every watched variable is kept here as the server sent it; what it means is decided in
drivers.opcua.driver. The publishing loop of asyncua calls `_on_publish` also for empty keep-alive messages
(OPC 10000-4, 5.14.1.2): they prove that the subscription lives.

Every exception of asyncua becomes one of drivers.errors here (`translated`).
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count, islice
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.common.utils import ServiceError
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from drivers.errors import (
    ClosedError,
    ConfigurationError,
    DeviceError,
    DriverError,
    NoAnswerError,
    RemoteProtocolError,
)
from drivers.settings import OpcUaBus

Key = tuple[str, str]
"""Device and register."""

_KEEP_ALIVE_COUNT = 3  # an empty message after this many publishing intervals without a change
_LIFETIME_COUNT = 60  # the server drops a subscription that was not asked for this many intervals
_UNKNOWN_NODE = 0x80340000  # BadNodeIdUnknown, what the server itself would answer
_RETRY_S = 30.0  # a variable the server refused to watch is asked for again after this time

# It logs every lost connection with several tracebacks; what matters is in our errors.
logging.getLogger("asyncua").setLevel(logging.WARNING)
logging.getLogger("asyncua.client").setLevel(logging.CRITICAL)


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn whatever asyncua raises into a DriverError that names `place`."""
    try:
        yield
    except DriverError:
        raise
    except (UaStatusCodeError, ServiceError) as error:
        code = int(error.code or 0)
        raise DeviceError(f"{place}: {ua.StatusCode(ua.UInt32(code)).name}", code) from error
    except TimeoutError as error:
        raise NoAnswerError(f"{place}: no answer in time") from error
    except OSError as error:
        raise ClosedError(f"{place}: {error}") from error
    except Exception as error:  # a hostile answer can break asyncua's parser in any way
        raise RemoteProtocolError(f"{place}: {type(error).__name__}: {error}") from error


class Session:
    """A connected session. Make it with `Session.open`; end it with `close`, also when it is lost."""

    def __init__(self, bus: OpcUaBus, client: Client) -> None:
        self._bus = bus
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._namespaces: list[str] = []
        self._subscription = 0
        self._silence_s = 0.0
        self._handles = count(1)  # never given twice: an older item may still report under its own
        self._keys: dict[int, Key] = {}  # client handle -> key
        self._refused: dict[Key, float] = {}  # key -> loop time of the refusal
        self.values: dict[Key, ua.DataValue] = {}
        self.published = 0.0  # loop time of the subscription's last sign of life

    @classmethod
    async def open(cls, bus: OpcUaBus) -> "Session":
        """Connect, activate, subscribe; DriverError when any of it fails, with nothing left behind."""
        client = Client(bus.url, timeout=bus.timeout_s, watchdog_intervall=bus.timeout_s)
        session = cls(bus, client)
        try:
            with translated(bus.url):
                async with asyncio.timeout(3 * bus.timeout_s):
                    await session._connect()
                    await session._subscribe()
        except BaseException:
            await session.close()
            raise
        return session

    @property
    def alive(self) -> bool:
        """False when the connection is gone or the subscription has been silent for too long."""
        silent = asyncio.get_running_loop().time() - self.published
        return self._client.state is UaClientState.CONNECTED and silent < self._silence_s

    async def close(self) -> None:
        """End the session and every task asyncua started for it. A lost one is cut off without a farewell."""
        tasks = self._tasks()
        if not self.alive and self._transport is not None:
            self._transport.abort()
            await asyncio.sleep(0)  # lets asyncua see the end, or it would wait for an answer
        with contextlib.suppress(DriverError), translated(self._bus.url):
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

    async def _connect(self) -> None:
        bus, client = self._bus, self._client
        if bus.application_uri is not None:
            client.application_uri = bus.application_uri
        if not bus.insecure:
            await self._secure()
        if bus.user is not None:
            client.set_user(bus.user)
            client.set_password(_password(bus))
        await client.connect()
        if client.uaclient.protocol is not None:
            self._transport = client.uaclient.protocol.transport
        self._namespaces = await client.get_namespace_array()

    async def _secure(self) -> None:
        bus = self._bus
        try:
            await self._client.set_security(
                SecurityPolicyBasic256Sha256,
                certificate=str(bus.certificate),
                private_key=str(bus.private_key),
                server_certificate=str(bus.server_certificate),
                mode=ua.MessageSecurityMode[bus.security],
            )
        except (OSError, ValueError, UaError) as error:
            raise ConfigurationError(f"{bus.url}: certificate or key cannot be used ({error})") from error

    async def _subscribe(self) -> None:
        params = ua.CreateSubscriptionParameters()
        params.RequestedPublishingInterval = self._bus.sampling_ms
        params.RequestedMaxKeepAliveCount = _KEEP_ALIVE_COUNT
        params.RequestedLifetimeCount = _LIFETIME_COUNT
        params.PublishingEnabled = True
        result = await self._client.uaclient.session.create_subscription(params, self._on_publish)
        self._subscription = result.SubscriptionId
        interval_s = result.RevisedPublishingInterval / 1000
        self._silence_s = 2 * interval_s * (result.RevisedMaxKeepAliveCount + 1) + self._bus.timeout_s
        self.published = asyncio.get_running_loop().time()

    def _on_publish(self, result: ua.PublishResult) -> None:
        for notification in result.NotificationMessage.NotificationData or ():
            if isinstance(notification, ua.StatusChangeNotification):
                self._silence_s = 0.0  # the subscription has ended: the session is no longer alive
                return
            if isinstance(notification, ua.DataChangeNotification):
                for item in notification.MonitoredItems:
                    if item.ClientHandle in self._keys:
                        self.values[self._keys[item.ClientHandle]] = item.Value
        self.published = asyncio.get_running_loop().time()

    def node(self, namespace: str, identifier: str) -> ua.NodeId:
        """The node id, with the index the namespace had when this session was opened; else DeviceError."""
        if namespace not in self._namespaces:
            raise DeviceError(f"{self._bus.url}: the server has no namespace {namespace!r}", _UNKNOWN_NODE)
        return ua.NodeId(ua.String(identifier), ua.Int16(self._namespaces.index(namespace)))

    async def watch(self, nodes: Mapping[Key, ua.NodeId]) -> None:
        """Subscribe to what is not watched yet, and read it once so that a value is there at once."""
        now = asyncio.get_running_loop().time()
        watched = self._keys.values()
        missing = [
            key for key in nodes if key not in watched and now - self._refused.get(key, -_RETRY_S) >= _RETRY_S
        ]
        if not missing:
            return
        with translated(self._bus.url):
            await self._monitor(missing, nodes)
            first = await self._client.uaclient.session.read_attributes(
                [nodes[key] for key in missing], AttributeIds.Value
            )
        for key, value in zip(missing, first, strict=True):
            self.values.setdefault(key, value)

    async def _monitor(self, missing: Sequence[Key], nodes: Mapping[Key, ua.NodeId]) -> None:
        params = ua.CreateMonitoredItemsParameters()
        params.SubscriptionId = self._subscription
        params.TimestampsToReturn = ua.TimestampsToReturn.Both
        handles = list(islice(self._handles, len(missing)))
        params.ItemsToCreate = [
            self._item(handle, nodes[key]) for handle, key in zip(handles, missing, strict=True)
        ]
        self._keys.update(zip(handles, missing, strict=True))  # a notification may come before the answer
        try:
            results = await self._client.uaclient.session.create_monitored_items(params)
        except BaseException:
            for handle in handles:  # nothing may be watched now: the next read asks again
                del self._keys[handle]
            raise
        for handle, key, result in zip(handles, missing, results, strict=True):
            self._refused.pop(key, None)
            self.values.pop(key, None)
            if result.StatusCode.is_bad():
                del self._keys[handle]
                self._refused[key] = asyncio.get_running_loop().time()

    def _item(self, handle: int, node: ua.NodeId) -> ua.MonitoredItemCreateRequest:
        item = ua.MonitoredItemCreateRequest()
        item.ItemToMonitor.NodeId = node
        item.ItemToMonitor.AttributeId = AttributeIds.Value
        item.MonitoringMode = ua.MonitoringMode.Reporting
        item.RequestedParameters.ClientHandle = handle
        item.RequestedParameters.SamplingInterval = self._bus.sampling_ms
        item.RequestedParameters.QueueSize = 1
        item.RequestedParameters.DiscardOldest = True
        # a new time stamp of an unchanged value is news, too: it says that the source still measures
        item.RequestedParameters.Filter = ua.DataChangeFilter(
            Trigger=ua.DataChangeTrigger.StatusValueTimestamp
        )
        return item

    async def write(self, node: ua.NodeId, variant: ua.Variant) -> None:
        """Write value only: many servers refuse a write that carries a status or a time stamp."""
        with translated(self._bus.url):
            results = await self._client.uaclient.session.write_attributes(
                [node], [ua.DataValue(variant, StatusCode=None)]
            )
            results[0].check()


def _password(bus: OpcUaBus) -> str:
    if bus.password_file is None:
        return ""
    try:
        return bus.password_file.read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise ConfigurationError(f"{bus.password_file}: the password cannot be read ({error})") from error
