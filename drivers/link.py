"""Bytes to and from a line: a tty, a TCP connection, or one inside TLS. Knows no protocol.

One owner at a time, who opens it, sends, and takes what comes in; nothing is thrown away unseen (`drain`
gives it). Errors of the operating system become drivers.errors here.
"""

import asyncio
import contextlib
import errno
import os
import ssl
import termios
from time import monotonic
from typing import Protocol, cast

import serial

from drivers.errors import ClosedError, ConfigurationError, NoAnswerError
from drivers.settings import Endpoint, SerialPort, TcpHost, Tls

_FLOOD = 0x10000  # bytes that nobody asked for and nobody takes: the peer is out of its mind


class _Pipe(Protocol):
    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    async def closed(self) -> None: ...


class Link:
    """A line that is opened on demand and opened anew after it was lost.

    `heard` is the time of the last byte that came in (`time.monotonic`, which is the loop's time without the
    rounding some loops do). Never more than one connection: a new one waits for the old one's end. Raises
    ClosedError when the line is not there, NoAnswerError when nothing came in time, ConfigurationError when
    it can never work.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._pipe: _Pipe | None = None
        self._parting: _Pipe | None = None  # closed by us, perhaps not yet gone
        self._received = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0  # of the waiter
        self._timer: asyncio.TimerHandle | None = None  # outlives its waiter: cheaper than one for each
        self._lost = ""
        self.heard = 0.0

    @property
    def name(self) -> str:
        """What a technician calls this line."""
        end = self._endpoint
        return end.port if isinstance(end, SerialPort) else f"{end.host}:{end.port}"

    @property
    def is_open(self) -> bool:
        """True while bytes can be sent."""
        return self._pipe is not None

    @property
    def unread(self) -> bool:
        """True when bytes have come in that nobody took."""
        return bool(self._received)

    async def open(self, timeout_s: float) -> None:
        """Open the line if it is not open."""
        if self._pipe is not None:
            return
        await self._part(timeout_s)
        self._received.clear()
        self._lost = ""
        end = self._endpoint
        self._pipe = (
            self._open_tty(end) if isinstance(end, SerialPort) else await self._connect(end, timeout_s)
        )

    def close(self) -> None:
        """Close the line; what was received and not taken is gone."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
            self._parting = pipe
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._received.clear()
        self._wake()

    async def _part(self, timeout_s: float) -> None:
        if self._parting is None:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._parting.closed()
        except TimeoutError as error:
            raise ClosedError(f"{self.name}: the last connection does not end") from error
        self._parting = None

    def send(self, data: bytes) -> None:
        """Put bytes on the line; they leave in order, and soon."""
        if self._pipe is None:
            raise self._gone()
        self._pipe.write(data)

    def drain(self) -> bytes:
        """What has come in and was not taken."""
        data = bytes(self._received)
        self._received.clear()
        return data

    async def receive(self, deadline: float) -> bytes:
        """The next bytes to come in, as many as are there; `deadline` is the loop's time."""
        if not self._received:
            await self._wait(deadline)
        if not self._received:
            raise self._gone()
        return self.drain()

    async def _wait(self, deadline: float) -> None:
        if self._pipe is None:
            raise self._gone()
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        self._deadline = deadline
        if self._timer is None or self._timer.when() > deadline:
            self._arm(loop)
        try:
            await waiter
        finally:
            self._waiter = None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._deadline, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if loop.time() < self._deadline:  # set for an earlier wait
            self._arm(loop)
        else:
            self._waiter.set_exception(NoAnswerError(f"{self.name}: no answer in time"))

    def take(self, data: bytes) -> None:
        """Bytes came in (the pipe's call)."""
        self.heard = monotonic()
        self._received += data
        if len(self._received) > _FLOOD and self._pipe is not None:
            self._flooded()
        self._wake()

    def lost(self, pipe: "_Pipe", why: str) -> None:
        """The line went away by itself (the pipe's call)."""
        if pipe is self._pipe:
            self._pipe = None
            self._lost = why
            self._wake()

    def _flooded(self) -> None:
        self.close()
        self._lost = "it sends without end"

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _gone(self) -> ClosedError:
        return ClosedError(f"{self.name}: {self._lost or 'not open'}")

    async def _connect(self, host: TcpHost, timeout_s: float) -> _Pipe:
        loop = asyncio.get_running_loop()
        context = None if host.tls is None else tls_context(host.tls)
        name = (host.tls.server_name or host.host) if host.tls else None
        try:
            async with asyncio.timeout(timeout_s):
                _, pipe = await loop.create_connection(
                    lambda: _Socket(self), host.host, host.port, ssl=context, server_hostname=name
                )
        except TimeoutError as error:
            raise ClosedError(f"{self.name}: no connection in time") from error
        except ssl.SSLCertVerificationError as error:
            why = error.verify_message.rstrip(".")
            raise ClosedError(f"{self.name}: TLS refused: its certificate is not believed ({why})") from error
        except ssl.SSLError as error:
            raise ClosedError(f"{self.name}: TLS refused ({error.reason or error})") from error
        except OSError as error:
            raise ClosedError(f"{self.name}: cannot be opened ({_told(error)})") from error
        except ValueError as error:  # what is no name at all, such as 10.0.0..5, fails before any look-up
            raise ConfigurationError(f"{self.name}: no host can have this name ({error})") from error
        if pipe.ended:
            raise ClosedError(f"{self.name}: connection closed by the device")
        return pipe

    def _open_tty(self, port: SerialPort) -> _Pipe:
        try:
            return _Tty(port, self)
        except serial.SerialException as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            busy = error.errno in (errno.EAGAIN, errno.EBUSY)
            text = "cannot be opened: another program holds it" if busy else f"cannot be opened ({why})"
            raise ClosedError(f"{self.name}: {text}") from error
        except (ValueError, termios.error, OSError) as error:
            raise ConfigurationError(f"{self.name}: refuses these line settings ({error})") from error


class _Socket(asyncio.Protocol):
    """One connection, from its beginning to its end; what it says after its end concerns nobody."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._transport: asyncio.Transport | None = None
        self._gone = asyncio.Event()
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class, but by what it does

    def data_received(self, data: bytes) -> None:
        if not self.ended:
            self._link.take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone.set()
        if not self.ended:
            self.ended = True
            self._link.lost(self, f"connection lost ({exc})" if exc else "connection closed by the device")

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        """At once: what is still to be sent is of no use any more."""
        self.ended = True
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Returns when the socket is closed."""
        await self._gone.wait()


class _Tty:
    """An open tty whose bytes go to `link`."""

    def __init__(self, port: SerialPort, link: Link) -> None:
        self._link = link
        self._serial = serial.Serial(
            port.port, port.baud, parity=port.parity, stopbits=port.stop_bits, timeout=0, exclusive=True
        )
        with contextlib.suppress(ValueError):  # a pseudo-terminal has no such thing
            # USB adapters keep an answer for up to 16 ms in the hope of more (FTDI AN232B-04)
            self._serial.set_low_latency_mode(True)
        self._descriptor: int = self._serial.fileno()
        asyncio.get_running_loop().add_reader(self._descriptor, self._readable)

    def write(self, data: bytes) -> None:
        """Frames are far shorter than a tty's buffer: what it does not take at once, it will never take."""
        try:
            sent = os.write(self._descriptor, data)
        except OSError as error:
            self._fail(error)
            raise ClosedError(f"{self._link.name}: {error.strerror}") from error
        if sent < len(data):
            raise ClosedError(f"{self._link.name}: the line does not take what is sent")

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, 4096)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        if data:
            self._link.take(data)
        else:
            self._fail(OSError("the line was taken away"))

    def _fail(self, error: OSError) -> None:
        self.close()
        self._link.lost(self, f"connection lost ({error.strerror or error})")

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        with contextlib.suppress(OSError, serial.SerialException):
            self._serial.close()

    async def closed(self) -> None:
        """A tty is closed at once."""


def _told(error: OSError) -> str:
    """What it says; nothing is said when a device hangs up while TLS shakes hands."""
    return error.strerror or str(error) or "the device hung up"


def _no_phrase(tls: Tls) -> str:
    """Instead of the terminal, where OpenSSL asks otherwise and a service waits for ever."""
    key = tls.private_key or tls.certificate
    raise ConfigurationError(f"{key}: the key has a pass phrase: give one without")


def tls_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or newer that believes `tls.ca` only; ConfigurationError when a file cannot be used."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cafile=str(tls.ca))
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.private_key, lambda: _no_phrase(tls))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{tls.ca}: certificate or key cannot be used ({error})") from error
    return context
