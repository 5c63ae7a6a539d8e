"""A link over real sockets and pseudo-terminals: waiting, ends, floods, one connection at a time."""

import asyncio
import os
import pty
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat

from drivers.errors import ClosedError, ConfigurationError, NoAnswerError
from drivers.link import Link, tls_context
from drivers.settings import SerialPort, TcpHost
from drivers.tests.modbus_bench import until
from drivers.tests.modbus_tls import identities


class Peer:
    """The other end: every connection it was ever given, and how many it had at once."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.now = 0
        self.most = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            while await reader.read(100):
                pass
        except OSError:
            pass
        self.now -= 1
        writer.close()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Link, Peer]]:
    peer = Peer()
    server = await asyncio.start_server(peer.talk, "127.0.0.1", 0)
    link = Link(TcpHost("127.0.0.1", server.sockets[0].getsockname()[1]))
    try:
        await link.open(1.0)
        await until(lambda: bool(peer.writers))
        yield link, peer
    finally:
        link.close()
        for writer in peer.writers:
            writer.close()
        server.close()
        await server.wait_closed()
        await until(lambda: peer.now == 0)


@pytest.fixture
def ends() -> Iterator[tuple[int, str]]:
    """A pseudo-terminal: the descriptor of one end, the path of the other."""
    master, terminal = pty.openpty()
    tty.setraw(terminal)
    yield master, os.ttyname(terminal)
    os.close(terminal)
    os.close(master)


async def test_bytes_come_as_they_came_in_and_are_taken_once() -> None:
    async with connected() as (link, peer):
        peer.writers[0].write(b"abc")
        assert await link.receive(monotonic() + 5) == b"abc"
        assert not link.unread
        with pytest.raises(NoAnswerError):
            await link.receive(monotonic() + 0.01)


async def test_a_shorter_wait_after_a_longer_one_ends_at_its_own_time() -> None:
    async with connected() as (link, peer):
        peer.writers[0].write(b"x")
        assert await link.receive(monotonic() + 3600) == b"x"
        async with asyncio.timeout(10):
            with pytest.raises(NoAnswerError):
                await link.receive(monotonic() + 0.02)


async def test_a_longer_wait_after_a_shorter_one_is_waited_for() -> None:
    async with connected() as (link, peer):
        peer.writers[0].write(b"x")
        assert await link.receive(monotonic() + 0.05) == b"x"
        asyncio.get_running_loop().call_later(0.15, peer.writers[0].write, b"y")
        assert await link.receive(monotonic() + 30) == b"y"


async def test_a_wait_given_up_leaves_the_link_as_it_was() -> None:
    async with connected() as (link, peer):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await link.receive(monotonic() + 30)
        peer.writers[0].write(b"x")
        assert await link.receive(monotonic() + 5) == b"x"


async def test_what_came_before_the_end_is_still_given_and_then_the_end_is_told() -> None:
    async with connected() as (link, peer):
        peer.writers[0].write(b"last")
        peer.writers[0].close()
        await until(lambda: not link.is_open)
        assert await link.receive(monotonic() + 5) == b"last"
        with pytest.raises(ClosedError, match="closed by the device"):
            await link.receive(monotonic() + 5)
        with pytest.raises(ClosedError):
            link.send(b"x")


async def test_closing_wakes_who_waits() -> None:
    async with connected() as (link, _):
        waiting = asyncio.create_task(link.receive(monotonic() + 30))
        await asyncio.sleep(0)
        link.close()
        with pytest.raises(ClosedError):
            await waiting


async def test_a_new_connection_waits_for_the_end_of_the_old_one() -> None:
    async with connected() as (link, peer):
        for _ in range(10):
            link.close()
            await link.open(1.0)
        await until(lambda: len(peer.writers) == 11)
        assert peer.most == 1


async def test_a_peer_that_sends_without_end_is_cut_off() -> None:
    async with connected() as (link, peer):
        peer.writers[0].write(bytes(200_000))
        await until(lambda: not link.is_open)
        with pytest.raises(ClosedError, match="without end"):
            await link.receive(monotonic() + 5)
        await link.open(1.0)
        assert link.is_open


async def test_a_tty_carries_bytes_both_ways_and_tells_its_end(ends: tuple[int, str]) -> None:
    master, path = ends
    link = Link(SerialPort(path, 9600, "N"))
    await link.open(1.0)
    link.send(b"ask")
    assert os.read(master, 10) == b"ask"
    os.write(master, b"answer")
    assert await link.receive(monotonic() + 5) == b"answer"
    link.close()
    assert not link.is_open
    await link.open(1.0)
    assert link.is_open
    link.close()


@pytest.mark.parametrize("host", ["10.0.0..5", "a" * 64, "meter..local"])
async def test_a_host_name_that_cannot_be_is_a_configuration_error(host: str) -> None:
    link = Link(TcpHost(host, 502))
    with pytest.raises(ConfigurationError, match=r"no host"):
        await link.open(1.0)
    assert not link.is_open


async def test_a_device_that_hangs_up_instead_of_shaking_hands_is_told_in_words() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(ClosedError, match="the device hung up"):
            await Link(TcpHost("127.0.0.1", port, identities().tls())).open(5.0)


async def test_why_a_certificate_is_not_believed_is_told() -> None:
    async with serve_tls() as port:
        with pytest.raises(ClosedError, match="self-signed certificate"):
            await Link(TcpHost("127.0.0.1", port, identities().deceived())).open(5.0)
        other = replace(identities().tls(), server_name="boiler.example")
        with pytest.raises(ClosedError, match=r"boiler\.example"):
            await Link(TcpHost("127.0.0.1", port, other)).open(5.0)


@asynccontextmanager
async def serve_tls() -> AsyncIterator[int]:
    """A device that shakes hands and says nothing."""
    peer = Peer()
    server = await asyncio.start_server(peer.talk, "127.0.0.1", 0, ssl=identities().server())
    async with server:
        yield server.sockets[0].getsockname()[1]
    await until(lambda: peer.now == 0)


async def test_a_key_with_a_pass_phrase_is_a_configuration_error_and_nobody_is_asked_for_it(
    tmp_path: Path,
) -> None:
    sound = identities().tls()
    assert sound.private_key is not None
    key = serialization.load_pem_private_key(sound.private_key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    phrase = serialization.BestAvailableEncryption(b"phrase")
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, phrase))
    with pytest.raises(ConfigurationError, match="pass phrase"):
        tls_context(replace(sound, private_key=locked))
