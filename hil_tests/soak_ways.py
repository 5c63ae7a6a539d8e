"""Ways to devices that go away and come back: a TCP way, a terminal, an OPC UA server."""

import asyncio
import contextlib
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from drivers.tests.plc import free_port
from drivers.tests.slaves import serve_rtu
from hil_tests.device_faults import CountingSlave


class Gate:
    """A way to a TCP server that can be shut and opened again, at the same port."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def open(self) -> None:
        """Let connections through."""
        if self._server is None:
            self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Refuse connections, and cut those that are there."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await self.cut()
            await server.wait_closed()

    async def cut(self) -> None:
        """Cut the connections that are there."""
        for way in tuple(self._ways):
            way.transport.abort()
        await asyncio.sleep(0)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        ways = {writer, forth}
        self._ways |= ways
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(_pump(reader, forth), _pump(back, writer))
        self._ways -= ways


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(4096):
            writer.write(data)
    writer.close()


class Terminal:
    """A pseudo-terminal under a name of its own, that can be hung up and made anew."""

    def __init__(self, slave: CountingSlave, link: Path) -> None:
        self._slave, self.link = slave, link
        self._stack = AsyncExitStack()

    async def make(self) -> None:
        """A new terminal under the old name."""
        await self.hang_up()
        port = await self._stack.enter_async_context(serve_rtu(self._slave))
        new = self.link.with_suffix(".new")
        new.symlink_to(port)
        new.replace(self.link)

    async def hang_up(self) -> None:
        """The terminal is gone, its name leads nowhere."""
        await self._stack.aclose()


class Server:
    """An OPC UA server in a process of its own: what its library keeps is not ours."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start, and return when it serves."""
        command = [sys.executable, "-m", "hil_tests.soak_plc", str(self.port)]
        self._process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert self._process.stdout is not None
        await self._process.stdout.readline()

    async def stop(self) -> None:
        """End at once, as at a power cut."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()
