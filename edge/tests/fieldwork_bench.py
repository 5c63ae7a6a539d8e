"""A small bench for a technician's tools: slaves on real sockets, and the service on the demo's site."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers import Bus, DeviceSetting, Driver, ModbusTcpBus, Tap, open_driver
from drivers.tests.slaves import Pieces, Slave
from edge.clock import ScaledClock, SystemClock
from edge.fieldwork.access import BusView, Own
from edge.fieldwork.arguments import LINE
from edge.fieldwork.client import through_service
from edge.fieldwork.messages import Message
from edge.fieldwork.operations import perform
from edge.resources import config_dir
from edge.service import Paths, serve
from edge.tests.field import Field
from edge.tests.test_service import START, steady_field

ROOM, NOISE = 0x03EA, 0xFFFF
KNOWN = range(1, 7)  # units of the site on the bus "rooms"


def rooms() -> Slave:
    """Room units 1 to 6 as the site has them, an unknown meter at 17, and silence elsewhere."""
    slave = Slave()
    for unit in KNOWN:
        for address in range(ROOM - 10, ROOM + 40):
            slave.put(unit, address, 1040, function=4)
    meter(slave, 17)
    slave.fault = only(*KNOWN, 17)
    return slave


def meter(slave: Slave, unit: int, energy: float = 123456.0) -> None:
    """The registers of a MULTICAL 603 as its profile has them."""
    slave.put(unit, 0, *[0] * 60)
    values = {0: 12345.0, 4: 530.25, 6: 83.47, 8: 46.12, 14: 37.35, 20: energy, 48: 123000.0, 52: 4321.5}
    for address, value in values.items():
        slave.put_float(unit, address, value)


def only(*units: int) -> Callable[[bytes, bytes], Pieces]:
    """Units that answer; the others are not there."""

    def fault(request: bytes, right: bytes) -> Pieces:
        return [(0.0, right)] if request[6] in units else []

    return fault


def tcp_line(port: int, timeout_s: float = 0.15) -> BusView:
    """A line of our own to a slave."""
    return BusView(LINE, ModbusTcpBus("127.0.0.1", port, timeout_s))


async def directly(view: BusView, folder: Path | None = None, **request: Any) -> list[Message]:  # noqa: ANN401
    """All messages of one request on a line of our own."""
    clock = SystemClock()
    async with Own({view.id: view}, folder, lambda: clock.now().wall) as access:
        return [message async for message in perform(access, request, "tester")]


def kinds(messages: Sequence[Message], kind: str) -> list[dict[str, Any]]:
    """The messages of one kind."""
    return [dict(message) for message in messages if message["kind"] == kind]


def error(messages: Sequence[Message]) -> str:
    """The code of the error that ended it."""
    assert messages[-1]["kind"] == "error", messages
    return str(messages[-1]["code"])


@dataclass
class Service:
    """The running service: the bus "rooms" goes to a real slave, the others to a field in this process."""

    paths: Paths
    field: Field
    port: int
    speed: float = 60.0

    def open(self, bus: Bus, devices: Sequence[DeviceSetting], now: Callable[[], float], tap: Tap) -> Driver:
        """An opener as `serve` wants it."""
        if isinstance(bus, ModbusTcpBus) and bus.port == self.port:
            return open_driver(bus, devices, now, tap)
        return self.field.open(bus, devices, now, tap)

    async def ask(self, **request: Any) -> list[Message]:  # noqa: ANN401
        """All messages of one request, through the socket."""
        stream = await through_service(self.paths.socket, request)
        assert stream is not None
        return [message async for message in stream]

    async def raw(self, data: bytes, ends: bool = False) -> list[dict[str, Any]]:
        """What is answered to these very bytes."""
        reader, writer = await asyncio.open_unix_connection(str(self.paths.socket))
        writer.write(data)
        if ends:
            writer.write_eof()
        lines = [json.loads(line) async for line in reader]
        writer.close()
        return lines

    async def rows(self, kind: str) -> list[dict[str, Any]]:
        """Bodies of the journal's rows of a kind, while the service runs."""
        import apsw  # noqa: PLC0415
        import msgpack  # noqa: PLC0415

        connection = apsw.Connection(str(self.paths.data / "journal.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
        query = "select body from rows where kind = ? order by seq"
        found = [msgpack.unpackb(body) for (body,) in connection.execute(query, (kind,))]
        connection.close()
        return found


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait for a condition; TimeoutError when it does not come."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (any condition, polled)
            await asyncio.sleep(0.01)


def _site(port: int, room_s: float) -> str:
    """The demo's site without a head-end, its room units behind `port`, the first read every `room_s`."""
    text = (config_dir() / "sites" / "demo.toml").read_text(encoding="utf-8")
    text = text[: text.index("[upstream]")]
    text = text.replace("port = 1503\ntimeout_s = 1.0", f"port = {port}\ntimeout_s = 0.15")
    room = 'siemens_rdf302"\nunit_id = 1\nperiod_s = '
    return text.replace(f"{room}60", f"{room}{room_s}")


@asynccontextmanager
async def service(
    folder: Path, port: int, speed: float = 60.0, room_s: float = 60.0
) -> AsyncIterator[Service]:
    """The service with its socket open, room units read every `room_s`; asked to stop at the end."""
    paths = Paths(folder / "site.toml", folder / "data", folder / "status.json")
    paths.site.write_text(_site(port, room_s), encoding="utf-8")
    running = Service(paths, steady_field(), port, speed)
    stop = asyncio.Event()
    clock = ScaledClock(START, time.monotonic(), speed)
    task = asyncio.create_task(serve(paths, clock, running.open, stop=stop))
    try:
        await until(lambda: task.done() or (paths.socket.exists() and paths.status.exists()))
        yield running
    finally:
        stop.set()
        await task
