"""What every driver promises, held against all of them: memory, Modbus TCP, Modbus RTU, OPC UA."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from drivers import (
    Bus,
    ConfigurationError,
    DeviceSetting,
    Driver,
    LocalProtocolError,
    MemoryBus,
    ModbusRtuBus,
    ModbusTcpBus,
    OpcUaBus,
    Point,
    Quality,
    Reading,
    Unit,
    open_driver,
)
from drivers.memory import MemoryDriver
from drivers.tests.plc import NAMESPACE, Plc, serving_plc
from drivers.tests.profiles import make_profile
from drivers.tests.slaves import Slave, serve_rtu, serve_tcp

WORD = {"function": 3, "documented": "", "type": "u16", "scale": 0.01, "unit": "%"}
WRITE = {"low": 0, "high": 100}
REGISTERS: dict[str, dict[str, dict[str, Any]]] = {
    "memory": {"position": {"unit": "%"}, "setpoint": {"unit": "%", "write": WRITE}, "lost": {"unit": "%"}},
    "modbus": {
        "position": WORD | {"address": 0},
        "setpoint": WORD | {"address": 1, "write": WRITE},
        "lost": WORD | {"address": 9},
    },
    "opcua": {
        "position": {"identifier": "Position", "type": "Float", "unit": "%"},
        "setpoint": {"identifier": "Setpoint", "type": "Float", "unit": "%", "write": WRITE},
        "lost": {"identifier": "Lost", "type": "Float", "unit": "%"},
    },
}


def point(register: str, unit: Unit = Unit.PERCENT) -> Point:
    return Point(f"house.{register}", "valve", register, unit)


POSITION, SETPOINT, LOST = point("position"), point("setpoint"), point("lost")


@dataclass
class Rig:
    """A driver whose device has a position of 25 %, a writable setpoint of 10 % and cannot give `lost`."""

    driver: Driver
    bus: Bus
    setpoint: Callable[[], Awaitable[float]]


@asynccontextmanager
async def memory_rig() -> AsyncIterator[Rig]:
    async with open_driver(MemoryBus(), settings("memory"), time.time) as driver:
        assert isinstance(driver, MemoryDriver)
        driver.values["valve", "position"] = 25.0
        driver.values["valve", "setpoint"] = 10.0

        async def setpoint() -> float:
            return driver.values["valve", "setpoint"]

        yield Rig(driver, MemoryBus(), setpoint)


@asynccontextmanager
async def modbus_rig(serial: bool) -> AsyncIterator[Rig]:
    slave = Slave()
    slave.put(1, 0, 2500, 1000)

    async def setpoint() -> float:
        return slave.words[1, 3, 1] / 100

    async with serve_rtu(slave) as port, serve_tcp(slave) as number:
        rtu_bus = ModbusRtuBus(port, baud=115200, parity="N")
        bus = rtu_bus if serial else ModbusTcpBus("127.0.0.1", number)
        async with open_driver(bus, settings("modbus"), time.time) as driver:
            yield Rig(driver, bus, setpoint)


@asynccontextmanager
async def opcua_rig(plc: Plc) -> AsyncIterator[Rig]:
    plc.put("Position", 25.0)
    plc.put("Setpoint", 10.0)

    async def setpoint() -> float:
        return float(plc.value("Setpoint")[0].Value)

    bus = OpcUaBus(plc.url, sampling_ms=20, insecure=True)
    async with open_driver(bus, settings("opcua"), time.time) as driver:
        yield Rig(driver, bus, setpoint)


def settings(protocol: str) -> list[DeviceSetting]:
    options = {"namespace": NAMESPACE} if protocol == "opcua" else {}
    profile = make_profile(protocol, REGISTERS[protocol], **options)
    return [DeviceSetting("valve", profile, 1 if protocol == "modbus" else None)]


@pytest.fixture(scope="module")
def plc() -> Iterator[Plc]:
    with serving_plc() as server:
        yield server


@pytest.fixture(params=["memory", "modbus tcp", "modbus rtu", "opcua"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    if request.param == "memory":
        made = memory_rig()
    elif request.param == "opcua":
        made = opcua_rig(request.getfixturevalue("plc"))
    else:
        made = modbus_rig(serial=request.param == "modbus rtu")
    async with made as ready:
        yield ready


async def test_a_good_value_comes_by_the_points_name_in_the_points_unit(rig: Rig) -> None:
    readings = await rig.driver.read([POSITION])
    assert list(readings) == ["house.position"]
    reading = readings["house.position"]
    assert (reading.value, reading.unit, reading.quality) == (25.0, Unit.PERCENT, Quality.GOOD)
    assert reading.timestamp <= time.time()


async def test_a_value_comes_converted_when_the_point_wants_another_unit(rig: Rig) -> None:
    point_ = point("position", Unit.ONE)
    assert (await rig.driver.read([point_]))["house.position"].value == 0.25


async def test_every_point_asked_for_has_a_reading_also_the_one_that_is_not_there(rig: Rig) -> None:
    readings = await rig.driver.read([POSITION, LOST, SETPOINT])
    assert {name: reading.value for name, reading in readings.items()} == {
        "house.position": 25.0,
        "house.lost": None,
        "house.setpoint": 10.0,
    }
    assert readings["house.lost"].quality is Quality.BAD


async def test_nothing_asked_is_nothing_read(rig: Rig) -> None:
    assert await rig.driver.read([]) == {}


async def test_a_write_has_happened_when_it_returns(rig: Rig) -> None:
    await rig.driver.write(SETPOINT, 42.5)
    assert await rig.setpoint() == 42.5


async def test_a_write_is_given_in_the_points_unit(rig: Rig) -> None:
    await rig.driver.write(point("setpoint", Unit.ONE), 0.5)
    assert await rig.setpoint() == 50.0


async def test_a_written_value_is_soon_read_back(rig: Rig) -> None:
    await rig.driver.write(SETPOINT, 77.0)
    seen: Reading | None = None
    async with asyncio.timeout(5):
        while seen is None or seen.value != 77.0:
            seen = (await rig.driver.read([SETPOINT]))["house.setpoint"]


@pytest.mark.parametrize("value", [-0.5, 100.5, float("nan"), float("inf")])
async def test_a_write_outside_the_allowed_range_changes_nothing(rig: Rig, value: float) -> None:
    with pytest.raises(LocalProtocolError):
        await rig.driver.write(SETPOINT, value)
    assert await rig.setpoint() == 10.0


async def test_a_register_without_permission_is_not_written(rig: Rig) -> None:
    with pytest.raises(LocalProtocolError):
        await rig.driver.write(POSITION, 50.0)


@pytest.mark.parametrize("wrong", [point("unknown"), Point("x", "nobody", "position", Unit.PERCENT)])
async def test_a_point_that_nothing_knows_is_a_configuration_error(rig: Rig, wrong: Point) -> None:
    with pytest.raises(ConfigurationError):
        await rig.driver.read([wrong])
    with pytest.raises(ConfigurationError):
        await rig.driver.write(wrong, 1.0)


async def test_a_unit_that_measures_something_else_is_a_configuration_error(rig: Rig) -> None:
    wrong = point("setpoint", Unit.BAR)
    with pytest.raises(ConfigurationError):
        await rig.driver.read([wrong])
    with pytest.raises(ConfigurationError):
        await rig.driver.write(wrong, 1.0)


async def test_readers_and_writers_at_once_do_not_disturb_each_other(rig: Rig) -> None:
    reads = [rig.driver.read([POSITION]) for _ in range(10)]
    writes = [rig.driver.write(SETPOINT, 55.0) for _ in range(3)]
    results = await asyncio.gather(*reads, *writes)
    assert [r["house.position"].value for r in results[:10] if r is not None] == [25.0] * 10


async def test_a_driver_may_be_left_twice_and_without_a_request(rig: Rig) -> None:
    await rig.driver.__aexit__(None, None, None)
    await rig.driver.__aexit__(None, None, None)


def test_a_device_of_another_protocol_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="valve"):
        open_driver(ModbusTcpBus("127.0.0.1"), settings("opcua"), time.time)
    with pytest.raises(ConfigurationError, match="valve"):
        open_driver(OpcUaBus("opc.tcp://h:1", insecure=True), settings("modbus"), time.time)
