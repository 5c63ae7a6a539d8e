"""OPC UA against a real server on a socket: status, type, time and loss; nothing Bad becomes a number."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncua import ua

from drivers import (
    ClosedError,
    ConfigurationError,
    DeviceError,
    DeviceSetting,
    Driver,
    DriverError,
    LocalProtocolError,
    NoAnswerError,
    OpcUaBus,
    Point,
    Quality,
    Reading,
    Reason,
    Unit,
    open_driver,
)
from drivers.opcua.driver import reading
from drivers.opcua.profile import OpcUaRegister
from drivers.profile import Profile
from drivers.tests.plc import NAMESPACE, Plc, free_port, serving_plc
from drivers.tests.profiles import make_profile

REGISTERS: dict[str, dict[str, object]] = {
    "supply": {"identifier": "Supply", "type": "Float", "unit": "degC", "low": -10, "high": 180},
    "flow": {"identifier": "Flow", "type": "Double", "unit": "l/h"},
    "door": {"identifier": "Door", "type": "Boolean", "unit": "state"},
    "setpoint": {"identifier": "Set", "type": "Float", "unit": "%", "write": {"low": 0, "high": 100}},
    "count": {
        "identifier": "Count",
        "type": "Int16",
        "unit": "%",
        "scale": 0.01,
        "write": {"low": 0, "high": 100},
    },
    "absent": {"identifier": "Absent", "type": "Float", "unit": "degC"},
}
UNITS = {
    "supply": Unit.CELSIUS,
    "flow": Unit.CUBIC_METRE_PER_HOUR,
    "door": Unit.STATE,
    "absent": Unit.CELSIUS,
}
PROFILE = make_profile("opcua", REGISTERS, namespace=NAMESPACE)
REGISTERS_OF_TWO = {name: REGISTERS[name] for name in ("supply", "setpoint")}
TIMEOUT_S = 1.0


def point(name: str) -> Point:
    return Point(name, "plc", name, UNITS.get(name, Unit.PERCENT))


async def read(driver: Driver, name: str) -> Reading:
    return (await driver.read([point(name)]))[name]


async def read_until(driver: Driver, name: str, wanted: Callable[[Reading], bool]) -> Reading:
    """Read until the reading is as wanted, at most 5 s; errors on the way are part of it."""
    deadline = time.monotonic() + 5.0
    while True:
        try:
            found = await read(driver, name)
            if wanted(found):
                return found
        except DriverError:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, f"{name} did not become as wanted"
        await asyncio.sleep(0.01)


def connect(url: str, profile: Profile = PROFILE, now: Callable[[], float] = time.time) -> Driver:
    bus = OpcUaBus(url, sampling_ms=50, insecure=True, timeout_s=TIMEOUT_S)
    return open_driver(bus, [DeviceSetting("plc", profile)], now)


@pytest.fixture(scope="module")
def server() -> Iterator[Plc]:
    with serving_plc() as plc:
        yield plc


@pytest.fixture
def plc(server: Plc) -> Plc:
    server.put("Supply", 45.5)
    server.put("Flow", 2500.0, "Double")
    server.put("Door", True, "Boolean")
    server.put("Set", 10.0)
    server.put("Count", 0, "Int16")
    return server


@pytest.fixture
async def driver(plc: Plc) -> AsyncIterator[Driver]:
    async with connect(plc.url) as opened:
        yield opened


async def test_the_first_reading_is_there_at_once_with_the_sources_time(driver: Driver) -> None:
    assert await read(driver, "supply") == Reading.good(45.5, Unit.CELSIUS, 1_700_000_000.0)


async def test_units_are_those_of_the_point_and_a_boolean_is_a_state(driver: Driver) -> None:
    assert (await read(driver, "flow")).value == 2.5
    assert (await read(driver, "door")).value == 1.0


async def test_a_change_comes_by_the_subscription(plc: Plc, driver: Driver) -> None:
    await read(driver, "supply")
    plc.put("Supply", 50.25)
    await read_until(driver, "supply", lambda r: r.value == 50.25)


async def test_a_new_time_of_an_unchanged_value_comes_too(plc: Plc, driver: Driver) -> None:
    await read(driver, "supply")
    plc.put("Supply", 45.5, stamp=1_700_000_060.0)
    await read_until(driver, "supply", lambda r: r.timestamp == 1_700_000_060.0)


@pytest.mark.parametrize("status", [0x808C0000, 0x80320000, 0x80000000, 0xC0000000, 0x808C0100])
async def test_a_bad_status_with_a_value_attached_is_never_a_number(
    plc: Plc, driver: Driver, status: int
) -> None:
    await read(driver, "supply")
    plc.put("Supply", 46.0, status=status)
    found = await read_until(driver, "supply", lambda r: not r.is_good)
    assert (found.value, found.reason) == (None, Reason.DEVICE)


@pytest.mark.parametrize("status", [0x808C0000, 0x80000000, 0xC0000000, 0x808C0100])
def test_a_value_attached_to_a_bad_status_is_dropped_whatever_the_server_sends(status: int) -> None:
    register = OpcUaRegister.model_validate(REGISTERS["supply"])
    data = ua.DataValue(ua.Variant(46.0, ua.VariantType.Float), ua.StatusCode(ua.UInt32(status)))
    found = reading(data, register, Unit.CELSIUS, 5.0)
    assert (found.value, found.reason) == (None, Reason.DEVICE)


@pytest.mark.parametrize("status", [0x40900000, 0x40000000, 0x40930200])
async def test_an_uncertain_status_is_a_doubtful_number(plc: Plc, driver: Driver, status: int) -> None:
    await read(driver, "supply")
    plc.put("Supply", 46.0, status=status)
    found = await read_until(driver, "supply", lambda r: not r.is_good)
    assert (found.value, found.quality, found.reason) == (46.0, Quality.UNCERTAIN, Reason.DOUBTFUL)


async def test_good_with_limit_bits_is_good(plc: Plc, driver: Driver) -> None:
    plc.put("Supply", 46.0, status=0x00960300)
    assert (await read(driver, "supply")).is_good


@pytest.mark.parametrize(
    ("number", "reason"),
    [(math.nan, Reason.NOT_A_NUMBER), (math.inf, Reason.NOT_A_NUMBER), (181.0, Reason.OUT_OF_RANGE)],
)
async def test_nan_infinity_and_the_impossible_are_bad_though_the_server_says_good(
    plc: Plc, driver: Driver, number: float, reason: Reason
) -> None:
    await read(driver, "supply")
    plc.put("Supply", number)
    found = await read_until(driver, "supply", lambda r: not r.is_good)
    assert (found.value, found.reason) == (None, reason)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (46.0, "Double"),
        (46, "Int16"),
        ("46", "String"),
        (True, "Boolean"),
        ([46.0, 47.0], "Float"),
        (b"46", "ByteString"),
    ],
)
def test_a_variable_of_another_type_than_the_profiles_is_bad(value: object, kind: str) -> None:
    register = OpcUaRegister.model_validate(REGISTERS["supply"])
    data = ua.DataValue(ua.Variant(value, ua.VariantType[kind]))
    found = reading(data, register, Unit.CELSIUS, 5.0)
    assert (found.value, found.reason) == (None, Reason.PROTOCOL)


def test_a_value_that_is_not_there_is_bad() -> None:
    register = OpcUaRegister.model_validate(REGISTERS["supply"])
    nothing = ua.DataValue(ua.Variant(None, ua.VariantType.Null))
    assert reading(nothing, register, Unit.CELSIUS, 5.0).reason is Reason.DEVICE
    assert reading(None, register, Unit.CELSIUS, 5.0).reason is Reason.NEVER_READ


async def test_a_source_whose_clock_is_ahead_is_dated_now(plc: Plc) -> None:
    plc.put("Supply", 46.0, stamp=2_000_000_000.0)
    async with connect(plc.url) as driver:
        before = time.time()
        assert before - 1 <= (await read(driver, "supply")).timestamp <= time.time()


async def test_where_the_source_stamps_changes_only_a_steady_value_stays_fresh(plc: Plc) -> None:
    profile = make_profile("opcua", REGISTERS, namespace=NAMESPACE, stamps="change")
    async with connect(plc.url, profile) as driver:
        first = (await read(driver, "door")).timestamp
        assert first > 1_700_000_000.0
        await read_until(driver, "door", lambda r: r.timestamp > first + 0.1)


async def test_a_variable_the_server_does_not_have_is_bad_and_costs_only_itself(driver: Driver) -> None:
    readings = await driver.read([point("absent"), point("supply")])
    assert readings["absent"].reason is Reason.DEVICE
    assert readings["supply"].value == 45.5


async def test_a_variable_that_appears_later_never_gets_anothers_value(
    plc: Plc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.opcua.session._RETRY_S", 0.0)
    later: dict[str, object] = {"identifier": f"Later{time.monotonic_ns()}", "type": "Float", "unit": "degC"}
    profile = make_profile("opcua", {"absent": later} | REGISTERS_OF_TWO, namespace=NAMESPACE)
    asked = [point("absent"), point("supply"), point("setpoint")]
    async with connect(plc.url, profile) as driver:
        assert (await driver.read(asked))["absent"].value is None
        plc.put(str(later["identifier"]), 99.0)
        assert (await driver.read(asked[:1]))["absent"].value == 99.0
        plc.put("Set", 11.0)
        plc.put("Supply", 46.5)
        await read_until(driver, "supply", lambda r: r.value == 46.5)
        values = await driver.read(asked)
    assert [values[p.name].value for p in asked] == [99.0, 46.5, 11.0]


async def test_a_server_that_refuses_to_watch_for_a_while_is_asked_again(
    plc: Plc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.opcua.session._RETRY_S", 0.0)
    async with connect(plc.url) as driver:
        with plc.refusing_to_watch():
            assert (await read(driver, "supply")).value == 45.5
        assert (await read(driver, "supply")).value == 45.5
        plc.put("Supply", 47.5)
        await read_until(driver, "supply", lambda r: r.value == 47.5)


async def test_a_namespace_the_server_does_not_have_is_told_by_name(plc: Plc) -> None:
    profile = make_profile("opcua", REGISTERS, namespace="urn:nobody")
    async with connect(plc.url, profile) as driver:
        for _ in range(2):
            with pytest.raises(DeviceError, match="urn:nobody"):
                await read(driver, "supply")


async def test_a_write_is_typed_and_carries_the_value_only(plc: Plc, driver: Driver) -> None:
    await driver.write(point("setpoint"), 42.5)
    await driver.write(point("count"), 12.34)
    assert plc.value("Set") == (ua.Variant(42.5, ua.VariantType.Float), None)
    assert plc.value("Count") == (ua.Variant(1234, ua.VariantType.Int16), None)


@pytest.mark.parametrize(("name", "value"), [("setpoint", 100.1), ("setpoint", math.nan), ("supply", 20.0)])
async def test_what_the_profile_does_not_allow_is_not_written(
    driver: Driver, name: str, value: float
) -> None:
    with pytest.raises(LocalProtocolError):
        await driver.write(point(name), value)


async def test_a_write_of_the_wrong_type_is_refused_with_the_servers_code(plc: Plc) -> None:
    wrong = REGISTERS | {"setpoint": REGISTERS["setpoint"] | {"type": "Double"}}
    async with connect(plc.url, make_profile("opcua", wrong, namespace=NAMESPACE)) as driver:
        with pytest.raises(DeviceError) as caught:
            await driver.write(point("setpoint"), 50.0)
    assert caught.value.code == 0x80740000


async def test_a_server_that_is_not_there_is_closed_and_does_not_prevent_entering() -> None:
    async with connect(f"opc.tcp://127.0.0.1:{free_port()}") as driver:
        with pytest.raises(ClosedError):
            await read(driver, "supply")


async def test_a_server_that_goes_is_an_error_and_is_read_again_with_its_namespace_elsewhere() -> None:
    port = free_port()
    async with connect(f"opc.tcp://127.0.0.1:{port}") as driver:
        with serving_plc(port) as plc:
            plc.put("Supply", 45.5)
            assert (await read(driver, "supply")).value == 45.5
        with pytest.raises((NoAnswerError, ClosedError)):
            await read_until_error(driver)
        with serving_plc(port, extra_namespaces=3) as plc:
            plc.put("Supply", 47.5)
            await read_until(driver, "supply", lambda r: r.value == 47.5)


@asynccontextmanager
async def freezable(port: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A relay to `port` that passes nothing more once its event is set, with the connection still open."""
    frozen = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if not frozen.is_set():
                writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, far_writer))
        tasks.add(asyncio.create_task(pump(reader, far_writer)))
        tasks.add(asyncio.create_task(pump(far_reader, writer)))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], frozen
    finally:
        server.close()
        for writer in writers:
            writer.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def test_a_connection_that_falls_silent_is_an_error_and_not_an_old_value_for_ever(plc: Plc) -> None:
    async with (
        freezable(int(plc.url.rpartition(":")[2])) as (port, frozen),
        connect(f"opc.tcp://127.0.0.1:{port}") as driver,
    ):
        assert (await read(driver, "supply")).value == 45.5
        frozen.set()
        with pytest.raises(NoAnswerError):
            await read_until_error(driver)
        frozen.clear()
        await read_until(driver, "supply", lambda r: r.value == 45.5)


async def test_a_subscription_that_died_behind_a_living_connection_is_an_error_and_made_anew(
    plc: Plc, driver: Driver
) -> None:
    assert (await read(driver, "supply")).value == 45.5
    plc.drop_subscriptions()
    with pytest.raises(NoAnswerError):
        await read_until_error(driver)
    plc.put("Supply", 46.5)
    await read_until(driver, "supply", lambda r: r.value == 46.5)


async def read_until_error(driver: Driver) -> None:
    async with asyncio.timeout(10):
        while True:
            await read(driver, "supply")
            await asyncio.sleep(0.05)


async def test_a_peer_that_is_no_opc_ua_server_is_an_error() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server, connect(f"opc.tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}") as driver:
        with pytest.raises(DriverError):
            await read(driver, "supply")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "insecure = true"),
        ({"insecure": True, "pki": Path("pki")}, "exclude each other"),
        ({"insecure": True, "user": "operator"}, "in clear"),
        ({"pki": Path("pki"), "password_file": Path("password")}, "give user"),
        ({"pki": Path("pki"), "url": "opc.tcp://operator:secret@h:1"}, "password_file"),
        ({"insecure": True, "url": "opc.tcp://[fe80::1"}, "no address"),
    ],
)
def test_security_that_cannot_hold_is_refused_before_connecting(
    options: dict[str, object], words: str
) -> None:
    bus = OpcUaBus(**({"url": "opc.tcp://h:1"} | options))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=words):
        open_driver(bus, [DeviceSetting("plc", PROFILE)], time.time)
