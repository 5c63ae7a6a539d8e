"""A line that is cut in the middle of messages, again and again: everything arrives, once, in order."""

import asyncio
import contextlib
import random
from pathlib import Path

from edge.receiver import compare
from hil_tests.broker import mosquitto
from hil_tests.upstream_bench import GATEWAY, gateway, receiver, running


class CuttingLine:
    """A TCP relay to the broker. Each connection is reset after a random number of bytes, until `healthy`."""

    def __init__(self, broker_port: int, seed: int) -> None:
        self._broker_port = broker_port
        self._random = random.Random(seed)
        self.healthy = False
        self.cuts = 0

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side or the fault ends it."""
        there, back = await asyncio.open_connection("127.0.0.1", self._broker_port)
        allowed = None if self.healthy else self._random.randrange(200, 60_000)
        ways = [self._carry(reader, back, allowed), self._carry(there, writer, None)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for end in (back, writer):
            end.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, allowed: int | None
    ) -> None:
        with contextlib.suppress(OSError):
            while block := await source.read(4096):
                if allowed is not None and allowed <= len(block):
                    sink.write(block[:allowed])  # the rest of the message never comes
                    await sink.drain()
                    self.cuts += 1
                    return
                allowed = None if allowed is None else allowed - len(block)
                sink.write(block)
                await sink.drain()


async def test_a_line_cut_in_the_middle_of_messages_costs_only_time(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        line = CuttingLine(broker.port, seed=17)
        server = await asyncio.start_server(line.relay, "127.0.0.1", 0)
        port = int(server.sockets[0].getsockname()[1])
        head_end = receiver(tmp_path, broker.port)
        async with running(head_end.run()), gateway(tmp_path, port) as sender:
            async with running(sender.upstream.run()):
                await sender.record(rows=1500, frames=100)
                while line.cuts < 8:
                    await sender.record(rows=50)
                    await asyncio.sleep(0.05)
                line.healthy = True
                await sender.receipted(60.0)
            server.close()
            await server.wait_closed()
        assert line.cuts >= 8
        assert head_end.counts.forks == head_end.counts.unsound == head_end.counts.refused == 0
        assert compare(tmp_path / "journal.db", tmp_path / "receiver.db", GATEWAY) == []
