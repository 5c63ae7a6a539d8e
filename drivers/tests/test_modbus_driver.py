"""A bus with devices: requests, refusals, writes, the standard's silence, connections that come and go."""

import asyncio
import time

import pytest

from drivers import (
    ClosedError,
    ConfigurationError,
    DeviceError,
    DeviceSetting,
    LocalProtocolError,
    ModbusRtuBus,
    ModbusTcpBus,
    NoAnswerError,
    Quality,
    Reason,
    open_driver,
)
from drivers.modbus.line import silence_s
from drivers.tests.modbus_bench import (
    PROFILE,
    REGISTERS,
    TIMEOUT_S,
    Bench,
    after,
    bench,
    points,
    silent,
    until,
    value,
)
from drivers.tests.profiles import make_profile
from drivers.tests.slaves import Pieces, Slave, serve_rtu, serve_tcp


async def test_a_bad_address_costs_only_its_own_point_and_only_once_its_neighbours_time(line: Bench) -> None:
    for address in (1, 2, 3):
        del line.slave.words[1, 3, address]
    readings = await line.driver.read(points("a", "b", "c", "level"))
    assert readings["one.b"].reason is Reason.DEVICE
    assert [readings[f"one.{n}"].value for n in ("a", "c", "level")] == [100, 104, 1.5]
    for _ in range(4):
        line.slave.requests.clear()
        await line.read("a", "b", "c", "level")
    assert len(line.slave.requests) <= 3, "the refused address alone, and its neighbours together"


async def test_a_refused_point_costs_nothing_that_lies_inside_it(line: Bench) -> None:
    registers = {"b": value(39), "wide": value(39, type="u32")}  # address 40 does not exist
    line.driver.adopt(DeviceSetting("one", make_profile("modbus", registers), 1))
    for _ in range(4):
        assert await line.read("b", "wide") == [139, None]
        assert await line.read("wide", "b") == [None, 139]


async def test_a_refused_point_that_answers_again_rejoins_its_neighbours(line: Bench) -> None:
    del line.slave.words[1, 3, 1]
    assert await line.read("a", "b") == [100, None]
    line.slave.put(1, 1, 55)
    assert await line.read("a", "b") == [100, 55]
    line.slave.requests.clear()
    assert await line.read("a", "b") == [100, 55]
    assert len(line.slave.requests) == 1


async def test_a_device_that_allows_few_registers_is_still_read(line: Bench) -> None:
    line.slave.largest = 2
    for _ in range(6):
        line.slave.requests.clear()
        values = await line.read("a", "b", "c", "level", "far")
        assert values == [100, 101, 104, 1.5, 199]
    assert len(line.slave.requests) == 4, "a and b together, c, level, far: what was learned is kept"


@pytest.mark.parametrize("code", [1, 2, 3, 4, 8])
async def test_a_passing_refusal_does_not_part_what_is_read_together(line: Bench, code: int) -> None:
    names = ("a", "b", "c", "level")
    for _ in range(3):
        refuse_once(line, code)
        assert await line.read(*names) == [100, 101, 104, 1.5]
        assert await line.read(*names) == [100, 101, 104, 1.5]
        line.slave.requests.clear()
        await line.read(*names)
        assert len(line.slave.requests) == 1


def refuse_once(line: Bench, code: int) -> None:
    """The next request is refused, whatever it asks for."""

    def refused(request: bytes, right: bytes) -> Pieces:
        line.slave.fault = None
        return [(0.0, line.frame(request, bytes((line.pdu(request)[0] | 0x80, code))))]

    line.slave.fault = refused


@pytest.mark.parametrize("code", [1, 2, 4])
async def test_a_device_that_refuses_everything_costs_the_line_little_and_is_read_when_it_recovers(
    line: Bench, code: int
) -> None:
    names = ("a", "b", "c", "level", "far")
    assert await line.read(*names) == [100, 101, 104, 1.5, 199]
    line.slave.refuse = code
    line.slave.requests.clear()
    for _ in range(20):
        assert await line.read(*names) == [None] * 5
    assert len(line.slave.requests) <= 20 * 2 + 4 * 4, "two requests a round, and now and then value by value"
    line.slave.refuse = None
    line.slave.requests.clear()
    assert await line.read(*names) == [100, 101, 104, 1.5, 199]
    assert len(line.slave.requests) == 2


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 7, 8, 9])
async def test_a_device_that_refuses_everything_gives_bad_readings(line: Bench, code: int) -> None:
    line.slave.refuse = code
    readings = await line.driver.read(points("a", "b", "level"))
    assert {(r.quality, r.reason) for r in readings.values()} == {(Quality.BAD, Reason.DEVICE)}


@pytest.mark.parametrize("code", [0x0A, 0x0B])
async def test_a_gateway_without_an_answer_is_a_silent_device(line: Bench, code: int) -> None:
    line.slave.refuse = code
    with pytest.raises(NoAnswerError):
        await line.read("a")


async def test_the_values_are_stamped_with_the_time_of_receipt(line: Bench) -> None:
    before = time.time()
    reading = (await line.driver.read(points("a")))["one.a"]
    assert before <= reading.timestamp <= time.time()


async def test_writing_uses_the_profiles_function_and_returns_when_accepted(line: Bench) -> None:
    await line.driver.write(points("output")[0], 500)
    await line.driver.write(points("pair")[0], 70_000)
    assert [line.slave.words[1, 3, a] for a in (20, 30, 31)] == [500, 1, 70_000 - 65_536]
    assert [pdu[0] for _, pdu in line.slave.requests] == [6, 16]


@pytest.mark.parametrize(
    ("name", "number"), [("output", 1001), ("output", -1), ("output", float("nan")), ("a", 1)]
)
async def test_what_the_profile_does_not_allow_never_reaches_the_line(
    line: Bench, name: str, number: float
) -> None:
    with pytest.raises(LocalProtocolError):
        await line.driver.write(points(name)[0], number)
    assert not line.slave.requests


async def test_a_refused_write_is_told_with_the_devices_code(line: Bench) -> None:
    line.slave.refuse = 3
    with pytest.raises(DeviceError) as caught:
        await line.driver.write(points("output")[0], 500)
    assert caught.value.code == 3


async def test_readings_of_two_devices_do_not_mix_in_one_request(line: Bench) -> None:
    with pytest.raises(LocalProtocolError, match="one device"):
        await line.driver.read([*points("a"), *points("a", device="two")])


async def test_requests_made_at_once_are_served_one_after_the_other(line: Bench) -> None:
    line.slave.fault = after(0.01)
    both = [line.read("a", "c"), line.read("a", "c", device="two"), line.read("b"), line.read("far")]
    assert await asyncio.gather(*both) == [[100, 104], [200, 204], [101], [199]]


async def test_a_meter_that_slept_is_asked_once_more_where_the_profile_says_so() -> None:
    asked: list[bytes] = []

    def wake(request: bytes, right: bytes) -> Pieces:
        asked.append(request)
        return [] if len(asked) == 1 else [(0.0, right)]

    async with bench("rtu", make_profile("modbus", REGISTERS, retries=1)) as line:
        line.slave.fault = wake
        assert await line.read("a") == [100]


@pytest.mark.parametrize(
    ("baud", "parity", "silence"), [(9600, "E", 0.00401), (19200, "N", 0.00182), (115200, "N", 0.00175)]
)
def test_the_silence_before_a_request_is_the_standards(baud: int, parity: str, silence: float) -> None:
    bus = ModbusRtuBus("/dev/null", baud=baud, parity=parity)  # type: ignore[arg-type]
    assert silence_s(bus.endpoint) == pytest.approx(silence, abs=1e-5)


async def test_the_serial_line_is_silent_between_an_answer_and_the_next_request() -> None:
    answered: list[float] = []
    pauses: list[float] = []

    def clock(request: bytes, right: bytes) -> Pieces:
        if answered:
            pauses.append(time.monotonic() - answered[-1])
        answered.append(time.monotonic())
        return [(0.0, right)]

    async with bench("rtu") as line:
        line.slave.fault = clock
        for _ in range(20):
            await line.read("a", "far")
    assert min(pauses) >= 0.00175


async def test_a_lost_tcp_connection_is_told_at_once_and_made_anew() -> None:
    async with bench("tcp") as line:
        assert await line.read("a") == [100]
        line.slave.fault = silent
        reading = asyncio.create_task(line.read("a"))
        await until(lambda: len(line.slave.requests) == 2)
        began = time.monotonic()
        for writer in line.slave.writers:
            writer.close()
        with pytest.raises(ClosedError):
            await reading
        assert time.monotonic() - began < TIMEOUT_S / 2
        line.slave.fault = None
        assert await line.read("a") == [100]


async def test_a_port_nobody_listens_on_is_closed_and_does_not_prevent_entering() -> None:
    async with serve_tcp(Slave()) as number:
        pass
    bus = ModbusTcpBus("127.0.0.1", number, timeout_s=TIMEOUT_S)
    async with open_driver(bus, [DeviceSetting("one", PROFILE, 1)], time.time) as driver:
        with pytest.raises(ClosedError):
            await driver.read(points("a"))


async def test_a_serial_port_that_is_not_there_is_closed_and_comes_back() -> None:
    bus = ModbusRtuBus("/dev/does-not-exist", parity="N", timeout_s=TIMEOUT_S)
    async with open_driver(bus, [DeviceSetting("one", PROFILE, 1)], time.time) as driver:
        for _ in range(2):
            with pytest.raises(ClosedError, match="does-not-exist"):
                await driver.read(points("a"))


async def test_line_settings_the_port_cannot_do_are_a_configuration_error() -> None:
    async with serve_rtu(Slave()) as port:
        bus = ModbusRtuBus(port, stop_bits=3)  # type: ignore[arg-type] # no port can
        async with open_driver(bus, [DeviceSetting("one", PROFILE, 1)], time.time) as driver:
            with pytest.raises(ConfigurationError, match="line settings"):
                await driver.read(points("a"))


@pytest.mark.parametrize("unit", [None, 0, 248])
def test_a_unit_id_that_cannot_work_is_refused(unit: int | None) -> None:
    with pytest.raises(ConfigurationError, match="unit_id"):
        open_driver(ModbusRtuBus("/dev/null"), [DeviceSetting("one", PROFILE, unit)], time.time)


def test_two_devices_with_one_unit_id_are_refused() -> None:
    devices = [DeviceSetting("one", PROFILE, 1), DeviceSetting("two", PROFILE, 1)]
    with pytest.raises(ConfigurationError, match="two devices"):
        open_driver(ModbusRtuBus("/dev/null"), devices, time.time)
