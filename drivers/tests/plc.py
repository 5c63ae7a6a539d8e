"""A small OPC UA server on a free port: variables of our choice, with value, status and source time.

It runs on an event loop of its own in a thread: starting one takes seconds, so that tests share it, and what
the server's library leaves running does not count against the driver under test.
"""

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.truststore import TrustStore
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from drivers.tests.certificates import Identity

NAMESPACE = "urn:test:plc"
POLICIES = (
    ua.SecurityPolicyType.Basic256Sha256_Sign,
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_Sign,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_Sign,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
)
_T = TypeVar("_T")
logging.getLogger("asyncua.server").setLevel(logging.CRITICAL)  # it logs every connection that is cut


class _Users(UserManager):
    """Who may log in: anybody without a name, and a name with its password."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = users

    def get_user(
        self,
        iserver: object,
        username: str | None = None,
        password: str | None = None,
        certificate: object = None,
    ) -> User | None:
        known = username is None or self._users.get(username) == password
        return User(role=UserRole.User) if known else None


class Plc:
    """The server and its variables by identifier."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        url: str,
        identity: Identity | None = None,
        users: Mapping[str, str] | None = None,
        clients: Path | None = None,
    ) -> None:
        self.url = url
        self._identity = identity
        self._clients = clients
        self._loop = loop
        self._server = Server(user_manager=None if users is None else _Users(users))
        self._index = 0
        self._nodes: dict[str, ua.NodeId] = {}

    def there(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run `work` on the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def start(self, extra_namespaces: int) -> None:
        """Begin to serve; the extra namespaces stand before ours."""
        self.there(self._start(extra_namespaces))

    async def _start(self, extra_namespaces: int) -> None:
        await self._server.init()
        self._server.set_endpoint(self.url)
        await self._secure()
        for number in range(extra_namespaces):
            await self._server.register_namespace(f"urn:test:other:{number}")
        self._index = await self._server.register_namespace(NAMESPACE)
        await self._server.start()

    async def _secure(self) -> None:
        if self._identity is None:
            self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
            return
        await self._server.set_application_uri(self._identity.uri)
        self._server.set_security_policy(list(POLICIES))
        await self._server.load_certificate(str(self._identity.certificate))
        await self._server.load_private_key(str(self._identity.key))
        if self._clients is not None:  # only these clients are believed
            store = TrustStore([self._clients], [])
            await store.load()
            options = CertificateValidatorOptions.TRUSTED_VALIDATION | CertificateValidatorOptions.PEER_CLIENT
            self._server.set_certificate_validator(CertificateValidator(options, store))

    def stop(self) -> None:
        """End, with everything the server's library leaves behind."""
        self.there(self._stop())

    async def _stop(self) -> None:
        await self._server.stop()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def drop_subscriptions(self) -> None:
        """Forget all subscriptions while their sessions live on, as a server short of memory may."""
        service = self._server.iserver.subscription_service
        self.there(service.delete_subscriptions(list(service.subscriptions)))

    @contextmanager
    def refusing(self, service: str, code: int) -> Iterator[None]:
        """While inside, every call of that subscription service fails with the code."""

        async def refuse(*_: object, **__: object) -> None:
            raise ServiceError(code)

        services: Any = self._server.iserver.subscription_service
        setattr(services, service, refuse)
        try:
            yield
        finally:
            delattr(services, service)

    def refusing_to_watch(
        self, code: int = StatusCodes.BadTooManyMonitoredItems
    ) -> AbstractContextManager[None]:
        """While inside, no variable may be watched: the server has too many of them."""
        return self.refusing("create_monitored_items", code)

    @contextmanager
    def without_filters(self) -> Iterator[None]:
        """While inside, an item that asks for a filter is refused, as small servers do."""
        services: Any = self._server.iserver.subscription_service
        original = services.create_monitored_items

        async def create(params: ua.CreateMonitoredItemsParameters) -> list[ua.MonitoredItemCreateResult]:
            plain = [i for i in params.ItemsToCreate if i.RequestedParameters.Filter is None]
            made = iter(await original(replace(params, ItemsToCreate=plain)))
            refused = ua.MonitoredItemCreateResult(
                StatusCode=ua.StatusCode(ua.UInt32(StatusCodes.BadMonitoredItemFilterUnsupported))
            )
            return [next(made) if i in plain else refused for i in params.ItemsToCreate]

        services.create_monitored_items = create
        try:
            yield
        finally:
            del services.create_monitored_items

    def folder(self, name: str, parent: str | None = None) -> str:
        """Make a folder below another, or below Objects; its node id."""
        return self.there(self._folder(name, parent))

    async def _folder(self, name: str, parent: str | None) -> str:
        above = self._server.nodes.objects if parent is None else self._server.get_node(parent)
        return str((await above.add_folder(self._index, name)).nodeid.to_string())

    def variable(
        self, folder: str, node_id: str, name: str, value: ua.Variant, unit: str | None = None
    ) -> None:
        """Make a variable that nobody may write; `node_id` without its namespace, as `i=1234`."""
        self.there(self._variable(folder, node_id, name, value, unit))

    async def _variable(
        self, folder: str, node_id: str, name: str, value: ua.Variant, unit: str | None
    ) -> None:
        wanted = ua.NodeId.from_string(f"ns={self._index};{node_id}")
        node = await self._server.get_node(folder).add_variable(wanted, name, value)
        if unit is not None:
            information = ua.EUInformation(DisplayName=ua.LocalizedText(unit))
            await node.add_property(0, "EngineeringUnits", information)

    def measured(self, parent: str, name: str, value: float, unit: str) -> None:
        """A variable of the type Float with its engineering unit, for who names no library."""
        self.variable(parent, f"s={name}", name, ua.Variant(value, ua.VariantType.Float), unit)

    def link(self, child: str, parent: str) -> None:
        """Hang a node below another a second time."""
        node = self._server.get_node(parent)
        self.there(node.add_reference(ua.NodeId.from_string(child), ObjectIds.HasComponent))

    def put(
        self,
        identifier: str,
        value: object,
        kind: str = "Float",
        status: int = 0,
        stamp: float | None = 1_700_000_000.0,
    ) -> None:
        """Set (and make, at first) a variable; `stamp` is the source's time in Unix seconds."""
        self.there(self._put(identifier, ua.Variant(value, ua.VariantType[kind]), status, stamp))

    async def _put(self, identifier: str, variant: ua.Variant, status: int, stamp: float | None) -> None:
        if identifier not in self._nodes:
            node_id = ua.NodeId(ua.String(identifier), ua.Int16(self._index))
            node = await self._server.nodes.objects.add_variable(node_id, identifier, variant)
            await node.set_writable()
            self._nodes[identifier] = node_id
        source = None if stamp is None else ua.DateTime.fromtimestamp(stamp, UTC)
        data = ua.DataValue(variant, StatusCode=ua.StatusCode(ua.UInt32(status)), SourceTimestamp=source)
        await self._server.write_attribute_value(self._nodes[identifier], data)

    def value(self, identifier: str) -> tuple[ua.Variant, datetime | None]:
        """What the variable holds, and the source's time that came with it."""
        node = self._server.get_node(self._nodes[identifier])
        data = self.there(node.read_data_value(raise_on_bad_status=False))
        assert data.Value is not None
        return data.Value, data.SourceTimestamp


def free_port() -> int:
    """A port nobody listens on."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving_plc(
    port: int | None = None,
    extra_namespaces: int = 0,
    identity: Identity | None = None,
    users: Mapping[str, str] | None = None,
    clients: Path | None = None,
) -> Iterator[Plc]:
    """A server that runs until the context ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="plc")
    thread.start()
    plc = Plc(loop, f"opc.tcp://127.0.0.1:{port or free_port()}", identity, users, clients)
    try:
        plc.start(extra_namespaces)
        yield plc
    finally:
        plc.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
