"""One MQTT session through aiomqtt, entered and left so that nothing stays behind. Names no stream.

MQTT 3.1.1, because the demo's embedded broker speaks nothing newer; clean session, because our own cursors
know better than a broker's queue what is missing.
"""

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiomqtt

T = TypeVar("T")

_LOOK_S = 0.1  # how soon a connection that was closed during the greeting is noticed

SESSION_ERRORS = (aiomqtt.MqttError, OSError)
# MqttError: refused, lost, timed out; OSError: no route, TLS refused, a password or certificate file missing


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is and how to speak to it. No `tls` means plain TCP."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password_file: str | None = None
    tls: bool = False
    ca_file: str | None = None  # None with tls: the system's own authorities


@dataclass(slots=True)
class Backoff:
    """Growing pauses, each spread over its upper half; back to `first_s` after a stable session."""

    first_s: float = 1.0
    maximum_s: float = 300.0
    stable_s: float = 30.0
    _step: float = 0.0

    def pause(self, held_s: float) -> float:
        """How long to wait (s) after a session that held `held_s`."""
        grown = self.first_s if held_s >= self.stable_s or not self._step else 2 * self._step
        self._step = min(grown, self.maximum_s)
        return self._step * random.uniform(0.5, 1.0)  # noqa: S311 (spreads a fleet, hides nothing)


@contextlib.asynccontextmanager
async def session(address: Address, keepalive_s: int = 60) -> AsyncIterator[aiomqtt.Client]:
    """A connected client; raises one of SESSION_ERRORS. Leaves no task, reader or socket behind."""
    client = _Client(address, await asyncio.to_thread(_credentials, address), keepalive_s)
    try:
        await _enter(client)
        yield client
        await client.__aexit__(None, None, None)
    finally:
        await _undisturbed(_discard(client))


def payload(message: aiomqtt.Message) -> bytes:
    """The bytes of a message, b"" when it has none."""
    return bytes(message.payload)


class _Tls(ssl.SSLContext):
    """Remembers its socket: paho does not close it when the handshake fails."""

    made: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:  # noqa: ANN401 (passed on)
        self.made = super().wrap_socket(*args, **kwargs)
        return self.made


@dataclass(frozen=True, slots=True)
class _Credentials:
    password: str | None
    tls: _Tls | None


def _credentials(address: Address) -> _Credentials:
    """Read the files anew for each session, so that a renewed certificate or password needs no restart."""
    password = None
    try:
        if address.password_file is not None:
            password = Path(address.password_file).read_text(encoding="utf-8").strip()
        return _Credentials(password, _tls(address.ca_file) if address.tls else None)
    except ValueError as error:
        raise aiomqtt.MqttError(f"a file of passwords or certificates is unreadable: {error}") from error


def _tls(ca_file: str | None) -> _Tls:
    """A client's context: the broker's certificate and its host name are checked (ssl's default)."""
    context = _Tls(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
    return context


class _Client(aiomqtt.Client):
    """aiomqtt's client for an address; `thread_ended` is done when its connecting thread is."""

    def __init__(self, address: Address, credentials: _Credentials, keepalive_s: int) -> None:
        super().__init__(
            address.host,
            address.port,
            identifier=address.client_id,
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            keepalive=keepalive_s,
            timeout=15,
            username=address.username,
            password=credentials.password,
            tls_context=credentials.tls,
            max_queued_incoming_messages=1000,
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),  # or each message waits 40 ms
        )
        self.tls = credentials.tls
        self.thread_ended: asyncio.Future[None] = self._loop.create_future()

    def _client_connect(self) -> None:
        try:
            super()._client_connect()
        finally:
            self._loop.call_soon_threadsafe(self.thread_ended.set_result, None)


async def unless_lost(client: aiomqtt.Client, work: Coroutine[object, object, T]) -> T:
    """The result of `work`; MqttError as soon as the connection is lost.

    A call of aiomqtt itself would wait for its time limit on a connection that is already gone.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((task, client._disconnected), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise aiomqtt.MqttError("connection lost")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _enter(client: _Client) -> None:
    """Connect. When it is cancelled or fails, the connecting thread has ended before this returns."""
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        while not entering.done():
            await asyncio.wait((entering,), timeout=_LOOK_S)
            if client._misc_task is not None and client._misc_task.done() and not entering.done():
                raise aiomqtt.MqttError("the broker closed the connection before it answered")
        entering.result()
    except ValueError as error:
        raise aiomqtt.MqttError(f"the library cannot use this address: {error}") from error
    finally:
        await _undisturbed(_give_up(client, entering))


async def _give_up(client: _Client, entering: "asyncio.Task[_Client]") -> None:
    """End a connect that is still under way; nothing when it has ended."""
    if not entering.done():
        await asyncio.wait((entering, client.thread_ended), return_when=asyncio.FIRST_COMPLETED)
        client._client.on_disconnect = None  # it would stumble over the future that cancel() cancels
        entering.cancel()
    await asyncio.gather(entering, return_exceptions=True)


async def _undisturbed(work: Coroutine[object, object, None]) -> None:
    """Do `work` to its end; a cancellation meanwhile is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def _discard(client: _Client) -> None:
    """Close what aiomqtt and paho leave open after an error or a cancellation (they offer no call for it)."""
    paho = client._client
    paho.on_disconnect = None
    await asyncio.sleep(0)  # a writer that was asked for registers before its socket is closed, not after
    if paho.socket() is not None:
        paho.on_socket_register_write = None  # without it paho writes at once what disconnect() queues
        paho.disconnect()
        paho._sock_close()
    if client.tls is not None and client.tls.made is not None:
        client.tls.made.close()
    if client._disconnected.done() and not client._disconnected.cancelled():
        client._disconnected.exception()  # retrieved: nobody else may have asked
    await asyncio.sleep(0)  # tasks cancelled by call_soon end here
    if client._misc_task is not None:
        client._misc_task.cancel()
        await asyncio.gather(client._misc_task, return_exceptions=True)
