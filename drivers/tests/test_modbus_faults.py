"""Faults on real sockets and pseudo-terminals: each ends BAD or as a DriverError, never as a number."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from drivers import (
    ClosedError,
    ConfigurationError,
    DeviceError,
    DeviceSetting,
    Driver,
    DriverError,
    LocalProtocolError,
    ModbusRtuBus,
    ModbusTcpBus,
    NoAnswerError,
    Point,
    Quality,
    Reason,
    RemoteProtocolError,
    Unit,
    open_driver,
)
from drivers.modbus_line import silence_s
from drivers.tests.profiles import make_profile
from drivers.tests.slaves import Fault, Pieces, Slave, crc, rtu, serve_rtu, serve_tcp, tcp

TIMEOUT_S = 0.25


def value(address: int, **more: object) -> dict[str, object]:
    return {"function": 3, "address": address, "documented": "", "type": "u16", "unit": "m"} | more


REGISTERS = {
    "a": value(0),
    "b": value(1),
    "c": value(4),
    "level": value(10, type="f32"),
    "far": value(300),
    "output": value(20, write={"function": 6, "low": 0, "high": 1000}),
    "pair": value(30, type="u32", write={"function": 16, "low": 0, "high": 1e6}),
}
PROFILE = make_profile("modbus", REGISTERS)


def points(*names: str, device: str = "one") -> list[Point]:
    return [Point(f"{device}.{name}", device, name, Unit.METRE) for name in names]


@dataclass
class Bench:
    """A driver on a line, and the slave at its other end. `frame` builds an answer as this line frames it."""

    driver: Driver
    slave: Slave
    serial: bool

    def frame(self, request: bytes, pdu: bytes, unit: int = 1) -> bytes:
        return rtu(unit, pdu) if self.serial else tcp(int.from_bytes(request[:2], "big"), unit, pdu)

    def pdu(self, adu: bytes) -> bytes:
        return adu[1:-2] if self.serial else adu[7:]

    async def read(self, *names: str, device: str = "one") -> list[float | None]:
        readings = await self.driver.read(points(*names, device=device))
        return [readings[f"{device}.{name}"].value for name in names]


def filled_slave() -> Slave:
    slave = Slave()
    for unit in (1, 2):
        slave.put(unit, 0, *(100 * unit + n for n in range(40)))
        slave.put(unit, 300, 100 * unit + 99)
        slave.put_float(unit, 10, 1.5)
    return slave


@asynccontextmanager
async def bench(kind: str, profile: object = PROFILE) -> AsyncIterator[Bench]:
    slave = filled_slave()
    devices = [DeviceSetting("one", profile, 1), DeviceSetting("two", profile, 2)]  # type: ignore[arg-type]
    if kind == "rtu":
        async with serve_rtu(slave) as port:
            bus = ModbusRtuBus(port, baud=115200, parity="N", timeout_s=TIMEOUT_S)
            async with open_driver(bus, devices, time.time) as driver:
                yield Bench(driver, slave, serial=True)
    else:
        async with serve_tcp(slave) as number:
            tcp_bus = ModbusTcpBus("127.0.0.1", number, timeout_s=TIMEOUT_S)
            async with open_driver(tcp_bus, devices, time.time) as driver:
                yield Bench(driver, slave, serial=False)


@pytest.fixture(params=["rtu", "tcp"])
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with bench(request.param) as made:
        yield made


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, at most 2 s."""
    async with asyncio.timeout(2.0):
        while not condition():
            await asyncio.sleep(0.001)


def silent(request: bytes, right: bytes) -> Pieces:
    return []


def after(delay_s: float) -> Fault:
    return lambda request, right: [(delay_s, right)]


async def test_a_silent_device_is_no_answer_and_costs_one_time_limit(line: Bench) -> None:
    line.slave.fault = silent
    began = time.monotonic()
    with pytest.raises(NoAnswerError):
        await line.read("a", "level", "far")
    assert time.monotonic() - began < 2 * TIMEOUT_S


async def test_the_line_works_again_as_soon_as_the_device_does(line: Bench) -> None:
    line.slave.fault = silent
    with pytest.raises(NoAnswerError):
        await line.read("a")
    line.slave.fault = None
    assert await line.read("a") == [100]


async def test_a_late_answer_is_never_taken_for_the_next_requests(line: Bench) -> None:
    """The answer to `a` comes while `c`, of the same shape, is asked for."""
    line.slave.fault = after(TIMEOUT_S * 1.3)
    with pytest.raises(NoAnswerError):
        await line.read("a")
    line.slave.fault = lambda request, right: [(TIMEOUT_S * 0.6, right)]
    values: list[float | None] = []
    for _ in range(3):
        try:
            values += await line.read("c")
        except DriverError:
            line.slave.fault = None
    assert values
    assert set(values) == {104}


@pytest.mark.parametrize("lateness", [1.05, 1.2, 1.5, 1.9])
async def test_a_late_answer_never_passes_whenever_it_comes(line: Bench, lateness: float) -> None:
    line.slave.fault = after(TIMEOUT_S * lateness)
    with pytest.raises(NoAnswerError):
        await line.read("a")
    line.slave.fault = after(TIMEOUT_S * 0.5)
    for name, right in (("b", 101), ("c", 104), ("b", 101), ("far", 199)):
        try:
            assert await line.read(name) == [right]
        except DriverError:
            continue


async def test_a_late_answer_of_one_device_is_not_taken_for_anothers(line: Bench) -> None:
    line.slave.fault = after(TIMEOUT_S * 1.3)
    with pytest.raises(NoAnswerError):
        await line.read("a")
    line.slave.fault = after(TIMEOUT_S * 0.6)
    assert await line.read("a", device="two") == [200]


async def test_an_answer_sent_twice_is_counted_once(line: Bench) -> None:
    line.slave.fault = lambda request, right: [(0.0, right), (0.0, right)]
    for _ in range(5):
        assert await line.read("a") == [100]
        assert await line.read("c") == [104]


async def test_a_request_given_up_from_outside_does_not_poison_the_next(line: Bench) -> None:
    line.slave.fault = after(TIMEOUT_S * 0.5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(TIMEOUT_S * 0.2):
            await line.read("a")
    line.slave.fault = None
    assert await line.read("c") == [104]


Forge = Callable[[Bench, bytes, bytes], bytes]
FORGERIES: dict[str, Forge] = {
    "foreign unit": lambda b, q, r: b.frame(q, b.pdu(r), unit=7),
    "other unit of the bus": lambda b, q, r: b.frame(q, b.pdu(r), unit=2),
    "other function": lambda b, q, r: b.frame(q, b"\x04" + b.pdu(r)[1:]),
    "unknown function": lambda b, q, r: b.frame(q, b"\x5b\x02\x00\x00"),
    "one register too few": lambda b, q, r: b.frame(q, b"\x03\x02\x12\x34"),
    "one register too many": lambda b, q, r: b.frame(q, b"\x03\x06\x12\x34\x12\x34\x12\x34"),
    "odd byte count": lambda b, q, r: b.frame(q, b"\x03\x05\x12\x34\x12\x34\x12"),
    "byte count larger than data": lambda b, q, r: b.frame(q, b"\x03\xfa\x12\x34\x12\x34"),
    "byte count smaller than data": lambda b, q, r: b.frame(q, b"\x03\x02\x12\x34\x12\x34"),
    "no data": lambda b, q, r: b.frame(q, b"\x03"),
    "exception without a code": lambda b, q, r: b.frame(q, b"\x83"),
    "exception of another function": lambda b, q, r: b.frame(q, b"\x84\x02"),
    "half an answer": lambda b, q, r: r[: len(r) // 2],
    "the request itself": lambda b, q, r: q,
    "noise": lambda b, q, r: bytes(range(200, 255)),
    "zeros": lambda b, q, r: bytes(300),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_malformed_answer_is_an_error_and_the_next_right_one_is_read(line: Bench, name: str) -> None:
    forge = FORGERIES[name]
    line.slave.fault = lambda request, right: [(0.0, forge(line, request, right))]
    with pytest.raises((RemoteProtocolError, NoAnswerError, ClosedError)):
        await line.read("level")
    line.slave.fault = None
    assert await line.read("level") == [1.5]


@pytest.mark.parametrize("bit", range(0, 72, 5))
async def test_a_flipped_bit_on_the_serial_line_is_never_a_number(bit: int) -> None:
    def flip(request: bytes, right: bytes) -> Pieces:
        spoilt = bytearray(right)
        spoilt[bit // 8] ^= 1 << bit % 8
        return [(0.0, bytes(spoilt))]

    async with bench("rtu") as line:
        line.slave.fault = flip
        with pytest.raises(DriverError):
            await line.read("level")


@pytest.mark.parametrize("field", ["transaction", "transaction 0", "protocol", "length"])
async def test_a_wrong_field_of_the_tcp_header_is_never_a_number(field: str) -> None:
    def spoil(request: bytes, right: bytes) -> Pieces:
        transaction, protocol, length = struct.unpack(">HHH", right[:6])
        transaction = {"transaction": transaction + 1, "transaction 0": 0}.get(field, transaction)
        protocol = 1 if field == "protocol" else protocol
        length = length - 2 if field == "length" else length
        return [(0.0, struct.pack(">HHH", transaction, protocol, length) + right[6:])]

    async with bench("tcp") as line:
        line.slave.fault = spoil
        with pytest.raises(DriverError):
            await line.read("level")
        line.slave.fault = None
        assert await line.read("level") == [1.5]


async def test_an_answer_in_pieces_is_put_together(line: Bench) -> None:
    line.slave.fault = lambda request, right: [(0.005, right[n : n + 1]) for n in range(len(right))]
    assert await line.read("level") == [1.5]


async def test_stray_bytes_between_requests_do_no_harm(line: Bench) -> None:
    line.slave.fault = lambda request, right: [(0.0, right), (0.01, b"\x00\xff")]
    assert await line.read("a") == [100]
    await asyncio.sleep(0.03)
    line.slave.fault = None
    assert await line.read("c") == [104]


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


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6])
async def test_a_device_that_refuses_everything_gives_bad_readings(line: Bench, code: int) -> None:
    line.slave.refuse = code
    readings = await line.driver.read(points("a", "b", "level"))
    assert {(r.quality, r.reason) for r in readings.values()} == {(Quality.BAD, Reason.DEVICE)}


@pytest.mark.parametrize("code", [0x0A, 0x0B])
async def test_a_gateway_without_an_answer_is_a_silent_device(line: Bench, code: int) -> None:
    line.slave.refuse = code
    with pytest.raises(NoAnswerError):
        await line.read("a")


async def test_one_malformed_block_leaves_the_others_readable(line: Bench) -> None:
    def spoil_far(request: bytes, right: bytes) -> Pieces:
        far = b"\x01\x2c\x00\x01" in request
        return [(0.0, line.frame(request, b"\x03\x04\x00\x00\x00\x00") if far else right)]

    line.slave.fault = spoil_far
    readings = await line.driver.read(points("a", "far"))
    assert readings["one.a"].value == 100
    assert readings["one.far"].reason is Reason.PROTOCOL


@pytest.mark.parametrize("words", [(0x7FC0, 0), (0xFFFF, 0xFFFF), (0x7F80, 0), (0xFF80, 0)])
async def test_nan_from_a_device_is_bad(line: Bench, words: tuple[int, int]) -> None:
    line.slave.put(1, 10, *words)
    readings = await line.driver.read(points("level"))
    assert readings["one.level"].reason is Reason.NOT_A_NUMBER


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


async def test_an_echo_of_another_value_is_no_success(line: Bench) -> None:
    line.slave.fault = lambda request, right: [(0.0, line.frame(request, b"\x06\x00\x14\x00\x07"))]
    with pytest.raises(RemoteProtocolError):
        await line.driver.write(points("output")[0], 500)


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
    assert silence_s(bus) == pytest.approx(silence, abs=1e-5)


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
    """A pseudo-terminal refuses even parity."""
    async with serve_rtu(Slave()) as port:
        bus = ModbusRtuBus(port, parity="E")
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


def test_the_checksum_of_the_test_slave_is_the_standards() -> None:
    assert crc(b"\x02\x07") == b"\x41\x12"  # the example of Modbus over Serial Line V1.02, 6.2.2
