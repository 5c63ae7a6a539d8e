"""Our Modbus driver against servers on libraries of others.

All hold the same values (see servers/libmodbus_server.c): holding register n is 1000 + n, but 10 and 11 are
the float 43.25; input register n is 2000 + n; every third coil and every second discrete input is set.
"""

import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from drivers import (
    DeviceError,
    DeviceSetting,
    Driver,
    ModbusRtuBus,
    ModbusTcpBus,
    Point,
    TransportError,
    Unit,
    open_driver,
)
from drivers.tests.profiles import make_profile
from hil_tests.interop import peers
from hil_tests.interop.peers import SERVERS, running

pytestmark = pytest.mark.interop

TCP: Mapping[str, Sequence[str]] = {
    "libmodbus 3.1": [str(peers.LIBMODBUS), "tcp", "1"],
    "npm modbus-serial 8": peers.node("modbus_serial.js"),
    "npm jsmodbus 5": peers.node("jsmodbus.js"),
    "uModbus 1.0": [str(peers.PYTHON), str(SERVERS / "umodbus_server.py")],
    "pyModbusTCP 0.3": [str(peers.PYTHON), str(SERVERS / "pymodbustcp_server.py")],
}


def value(address: int, function: int = 3, **more: object) -> dict[str, object]:
    """A register of a profile."""
    return {"function": function, "address": address, "documented": "", "type": "u16", "unit": "m"} | more


REGISTERS = {
    "first": value(0),
    "float": value(10, type="f32"),
    "far": value(119),
    "input": value(7, function=4),
    "coil": value(9, function=1, type="bool", unit="state"),
    "coil_off": value(10, function=1, type="bool", unit="state"),
    "discrete": value(8, function=2, type="bool", unit="state"),
    "output": value(20, write={"function": 6, "low": 0, "high": 1000}),
    "pair": value(30, type="u32", write={"function": 16, "low": 0, "high": 1e6}),
    "beyond": value(5000, write={"function": 6, "low": 0, "high": 9}),
} | {f"row{n}": value(200 + n) for n in range(125)}
SETTING = DeviceSetting("peer", make_profile("modbus", REGISTERS), 1)


def points(*names: str) -> list[Point]:
    """Points named as their registers."""
    units = {name: Unit.STATE if REGISTERS[name]["unit"] == "state" else Unit.METRE for name in names}
    return [Point(name, "peer", name, units[name]) for name in names]


async def read(driver: Driver, *names: str) -> list[float | None]:
    """Values in the order of the names."""
    readings = await driver.read(points(*names))
    return [readings[name].value for name in names]


@pytest.fixture(params=list(TCP))
def peer(request: pytest.FixtureRequest) -> str:
    """A server's name."""
    return str(request.param)


@asynccontextmanager
async def talking(name: str) -> AsyncIterator[Driver]:
    """Our driver, connected to the peer."""
    with running(TCP[name]) as port:
        async with open_driver(ModbusTcpBus("127.0.0.1", int(port)), [SETTING], time.time) as driver:
            yield driver


@pytest.mark.peer("Modbus TCP")
async def test_words_floats_inputs_and_holes_are_read_as_they_are(peer: str) -> None:
    async with talking(peer) as driver:
        assert await read(driver, "first", "float", "far", "input") == [1000.0, 43.25, 1119.0, 2007.0]


@pytest.mark.peer("Modbus TCP")
async def test_coils_and_discrete_inputs_are_read(peer: str) -> None:
    async with talking(peer) as driver:
        assert await read(driver, "coil", "coil_off", "discrete") == [1.0, 0.0, 1.0]


@pytest.mark.peer("Modbus TCP")
async def test_the_longest_block_of_125_registers_comes_whole(peer: str) -> None:
    async with talking(peer) as driver:
        names = [f"row{n}" for n in range(125)]
        assert await read(driver, *names) == [1200.0 + n for n in range(125)]


@pytest.mark.peer("Modbus TCP")
async def test_an_address_that_does_not_exist_costs_only_itself(peer: str) -> None:
    async with talking(peer) as driver:
        assert await read(driver, "first", "beyond") == [1000.0, None]
        assert await read(driver, "first", "beyond") == [1000.0, None]


@pytest.mark.peer("Modbus TCP")
async def test_one_register_is_written_and_read_back(peer: str) -> None:
    async with talking(peer) as driver:
        await driver.write(points("output")[0], 777.0)
        assert await read(driver, "output") == [777.0]


@pytest.mark.peer("Modbus TCP")
async def test_two_registers_are_written_together_and_read_back(peer: str) -> None:
    async with talking(peer) as driver:
        await driver.write(points("pair")[0], 123456.0)
        assert await read(driver, "pair") == [123456.0]


@pytest.mark.peer("Modbus TCP")
async def test_a_server_that_dies_leaves_an_error_and_no_value(peer: str) -> None:
    with running(TCP[peer]) as port:
        driver = open_driver(ModbusTcpBus("127.0.0.1", int(port)), [SETTING], time.time)
        await driver.__aenter__()
        assert await read(driver, "first") == [1000.0]
    try:
        with pytest.raises(TransportError):
            await driver.read(points("first"))
    finally:
        await driver.__aexit__(None, None, None)


@contextlib.contextmanager
def serial_line(folder: Path) -> Iterator[tuple[str, str]]:
    """Two ttys joined by socat."""
    ours, theirs = folder / "ours", folder / "theirs"
    command = ["socat", f"pty,raw,echo=0,link={ours}", f"pty,raw,echo=0,link={theirs}"]
    with subprocess.Popen(command) as process:
        try:
            deadline = time.monotonic() + 10
            while not (ours.exists() and theirs.exists()):
                assert time.monotonic() < deadline, "socat did not make the ttys"
                time.sleep(0.01)
            yield str(ours), str(theirs)
        finally:
            process.kill()


@pytest.mark.peer("libmodbus 3.1", "Modbus RTU")
async def test_libmodbus_answers_on_a_serial_line(tmp_path: Path) -> None:
    setting = replace(SETTING, unit_id=7)
    with (
        serial_line(tmp_path) as (ours, theirs),
        running([str(peers.LIBMODBUS), "rtu", "7", theirs, "19200"]),
    ):
        async with open_driver(ModbusRtuBus(ours, 19200, "N", 1), [setting], time.time) as driver:
            assert await read(driver, "first", "float", "far", "input") == [1000.0, 43.25, 1119.0, 2007.0]
            assert await read(driver, "coil", "coil_off", "discrete") == [1.0, 0.0, 1.0]
            assert await read(driver, "first", "beyond") == [1000.0, None]
            await driver.write(points("output")[0], 777.0)
            await driver.write(points("pair")[0], 123456.0)
            assert await read(driver, "output", "pair") == [777.0, 123456.0]
            with pytest.raises(DeviceError):
                await driver.write(points("beyond")[0], 1.0)
