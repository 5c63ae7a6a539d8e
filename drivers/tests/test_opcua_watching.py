"""What becomes of a value that cannot be watched, or whose time stamp is old, wrong or standing still."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.status_codes import StatusCodes

from drivers import (
    ClosedError,
    ConfigurationError,
    DeviceError,
    DeviceSetting,
    Driver,
    NoAnswerError,
    OpcUaBus,
    Point,
    Reading,
    Reason,
    Unit,
    open_driver,
)
from drivers.opcua.driver import dated
from drivers.opcua.profile import OpcUaProfile
from drivers.profile import parse_profile
from drivers.tests.plc import NAMESPACE, Plc, free_port, serving_plc
from drivers.tests.profiles import make_profile
from drivers.tests.test_opcua import freezable, read_until, read_until_error

SUPPLY = Point("supply", "plc", "supply", Unit.CELSIUS)
FLOW = Point("flow", "plc", "flow", Unit.CUBIC_METRE_PER_HOUR)
REGISTERS: dict[str, dict[str, object]] = {
    "supply": {"identifier": "Supply", "type": "Float", "unit": "degC"},
    "flow": {"identifier": "Flow", "type": "Float", "unit": "m3/h"},
}
STAMP = 1_700_000_000.0
OF_THE_YEAR_2000 = 946_684_800.0


@pytest.fixture(scope="module")
def server() -> Iterator[Plc]:
    with serving_plc() as plc:
        yield plc


@pytest.fixture
def plc(server: Plc) -> Plc:
    server.put("Supply", 45.5)
    server.put("Flow", 2.5)
    return server


@asynccontextmanager
async def connected(url: str, stamps: str = "scan") -> AsyncIterator[Driver]:
    profile = make_profile("opcua", REGISTERS, namespace=NAMESPACE, stamps=stamps)
    bus = OpcUaBus(url, sampling_ms=50, insecure=True, timeout_s=1.0)
    async with open_driver(bus, [DeviceSetting("plc", profile)], time.time) as driver:
        yield driver


async def read(driver: Driver) -> Reading:
    return (await driver.read([SUPPLY]))["supply"]


@pytest.mark.parametrize(
    "code",
    [
        StatusCodes.BadServiceUnsupported,
        StatusCodes.BadTooManySubscriptions,
        StatusCodes.BadNotImplemented,
        StatusCodes.BadNotSupported,
    ],
)
async def test_a_server_without_subscriptions_is_read(plc: Plc, code: int) -> None:
    with plc.refusing("create_subscription", code):
        async with connected(plc.url) as driver:
            assert await read(driver) == Reading.good(45.5, Unit.CELSIUS, STAMP)
            plc.put("Supply", 50.25, stamp=STAMP + 1)
            assert await read(driver) == Reading.good(50.25, Unit.CELSIUS, STAMP + 1)
            plc.put("Supply", 50.25, status=StatusCodes.BadSensorFailure)
            assert (await read(driver)).reason is Reason.DEVICE


async def test_a_server_without_subscriptions_that_falls_silent_is_an_error_and_read_again(plc: Plc) -> None:
    port = int(plc.url.rpartition(":")[2])
    with plc.refusing("create_subscription", StatusCodes.BadServiceUnsupported):
        async with freezable(port) as (relay, frozen), connected(f"opc.tcp://127.0.0.1:{relay}") as driver:
            assert (await read(driver)).value == 45.5
            frozen.set()
            with pytest.raises(NoAnswerError):
                await read(driver)
            frozen.clear()
            await read_until(driver, "supply", lambda r: r.value == 45.5)


@pytest.mark.parametrize("subscribed", [True, False])
async def test_more_variables_than_fit_into_one_request_each_get_their_own_value(
    plc: Plc, subscribed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.opcua.session.BLOCK", 2)
    names = [f"many_{n}" for n in range(5)]
    for n, name in enumerate(names):
        plc.put(name, float(n))
    registers = {name: {"identifier": name, "type": "Float", "unit": "degC"} for name in names}
    profile = make_profile("opcua", registers, namespace=NAMESPACE)
    points = [Point(name, "plc", name, Unit.CELSIUS) for name in names]
    service = "republish" if subscribed else "create_subscription"
    bus = OpcUaBus(plc.url, sampling_ms=50, insecure=True, timeout_s=1.0)
    with plc.refusing(service, StatusCodes.BadServiceUnsupported):
        async with open_driver(bus, [DeviceSetting("plc", profile)], time.time) as driver:
            for _ in range(2):
                values = await driver.read(points)
                assert [values[name].value for name in names] == [0.0, 1.0, 2.0, 3.0, 4.0]


async def test_a_server_that_refuses_a_subscription_for_another_reason_is_an_error(plc: Plc) -> None:
    with plc.refusing("create_subscription", StatusCodes.BadUserAccessDenied):
        async with connected(plc.url) as driver:
            with pytest.raises(DeviceError, match="BadUserAccessDenied"):
                await read(driver)


async def test_a_server_without_subscriptions_that_goes_is_an_error_and_read_again() -> None:
    port = free_port()
    async with connected(f"opc.tcp://127.0.0.1:{port}") as driver:
        with serving_plc(port) as plc, plc.refusing("create_subscription", StatusCodes.BadServiceUnsupported):
            plc.put("Supply", 45.5)
            await read_until(driver, "supply", lambda r: r.value == 45.5)
        with pytest.raises((NoAnswerError, ClosedError)):
            await read_until_error(driver)
        with serving_plc(port) as plc:
            plc.put("Supply", 47.5)
            await read_until(driver, "supply", lambda r: r.value == 47.5)


@pytest.mark.parametrize(
    "code",
    [
        StatusCodes.BadTooManyMonitoredItems,
        StatusCodes.BadMonitoredItemFilterUnsupported,
        StatusCodes.BadServiceUnsupported,
    ],
)
async def test_variables_that_cannot_be_watched_are_read(plc: Plc, code: int) -> None:
    async with connected(plc.url) as driver:
        with plc.refusing_to_watch(code):
            assert (await driver.read([SUPPLY, FLOW]))["flow"].value == 2.5
            plc.put("Supply", 50.25)
            plc.put("Flow", 3.5)
            values = await driver.read([SUPPLY, FLOW])
    assert [values[name].value for name in ("supply", "flow")] == [50.25, 3.5]


@pytest.mark.parametrize("stamps", ["scan", "receipt", "change"])
async def test_a_server_that_knows_no_filter_still_shows_that_its_source_measures(
    plc: Plc, stamps: str
) -> None:
    with plc.without_filters():
        async with connected(plc.url, stamps) as driver:
            first = (await read(driver)).timestamp
            plc.put("Supply", 45.5, stamp=STAMP + 60)
            await read_until(driver, "supply", lambda r: r.timestamp > first)


async def test_a_source_whose_stamp_stands_still_grows_old_while_its_server_lives(plc: Plc) -> None:
    async with connected(plc.url) as driver:
        plc.put("Flow", 2.6, stamp=STAMP + 10)
        await driver.read([SUPPLY, FLOW])
        for tick in range(5):
            plc.put("Flow", 3.0 + tick, stamp=STAMP + 20 + tick)
            await read_flow_until(driver, 3.0 + tick)
        assert (await read(driver)).timestamp == STAMP


async def read_flow_until(driver: Driver, value: float) -> None:
    async with asyncio.timeout(5):
        while (await driver.read([FLOW]))["flow"].value != value:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("subscribed", [True, False])
async def test_a_plc_that_thinks_it_is_2000_is_dated_by_the_arrival_of_its_stamps(
    plc: Plc, subscribed: bool
) -> None:
    plc.put("Supply", 45.5, stamp=OF_THE_YEAR_2000)
    with plc.refusing(
        "create_subscription" if not subscribed else "republish", StatusCodes.BadServiceUnsupported
    ):
        async with connected(plc.url, "receipt") as driver:
            before = time.time()
            first = (await read(driver)).timestamp
            assert before - 0.5 <= first <= time.time()
            assert (
                await moved_within(driver, 0.5) < 0.25
            )  # the stamp stands still: so does the reading's time
            plc.put("Supply", 45.5, stamp=OF_THE_YEAR_2000 + 1)
            await read_until(driver, "supply", lambda r: r.timestamp > first + 0.1)


async def test_a_clock_ahead_of_ours_that_stands_still_grows_old_too(plc: Plc) -> None:
    plc.put("Supply", 45.5, stamp=4_000_000_000.0)
    async with connected(plc.url) as driver:
        assert await moved_within(driver, 0.5) < 0.25


async def moved_within(driver: Driver, seconds: float) -> float:
    """By how much the reading's time moves in that time, while it is read again and again."""
    first, end = (await read(driver)).timestamp, time.monotonic() + seconds
    while time.monotonic() < end:
        await read(driver)
        await asyncio.sleep(0.05)
    return (await read(driver)).timestamp - first


def test_a_value_without_any_stamp_is_as_fresh_as_the_servers_last_word() -> None:
    assert dated(None, "scan", known=7.0, arrived=5.0) == 7.0


async def test_a_server_whose_clock_is_far_off_is_told_of_with_the_way_out(
    plc: Plc, caplog: pytest.LogCaptureFixture
) -> None:
    profile = make_profile("opcua", REGISTERS, namespace=NAMESPACE)
    bus = OpcUaBus(plc.url, insecure=True)
    async with open_driver(bus, [DeviceSetting("plc", profile)], lambda: time.time() + 3600) as driver:
        await read(driver)
    assert 'stamps = "receipt"' in caplog.text
    assert re.search(r", -36\d\d s from ours", caplog.text)


@pytest.mark.parametrize("status", [0x80320000, 0x40900000, 0x00000000])
async def test_a_quality_that_flips_is_followed(plc: Plc, status: int) -> None:
    async with connected(plc.url) as driver:
        await read(driver)
        for code in (0x808C0000, status, 0x00000000):
            plc.put("Supply", 46.0, status=code)
            await read_until(driver, "supply", lambda r, code=code: r.is_good == (code == 0))  # type: ignore[misc]


def test_asyncua_still_has_the_tasks_that_close_ends() -> None:
    """They are private: when one is renamed, `Session._tasks` must learn its name or leave tasks behind."""
    client = Client("opc.tcp://h:1")
    for name in ("_supervisor_task", "_stale_watchdog_task", "_renew_channel_task"):
        assert getattr(client, name) is None
    assert client.uaclient.session._publish_task is None


@pytest.mark.parametrize(
    ("identifier", "value"),
    [
        ("i=70001", 1.5),
        ("s=With=Sign", 2.5),
        ("g=09087e75-8e5e-499b-954f-f2a9603db28a", 3.5),
        ("b=M/RbKBsRVkePCePcx24oRA==", 4.5),
        ('"DB"."bare".text', 5.5),
    ],
)
async def test_every_kind_of_node_id_can_be_read(server: Plc, identifier: str, value: float) -> None:
    folder = server.folder(f"F{time.monotonic_ns()}")
    node_id = identifier if identifier[1] == "=" else f"s={identifier}"
    server.variable(folder, node_id, "V", ua.Variant(value, ua.VariantType.Float))
    registers = {"supply": {"identifier": identifier, "type": "Float", "unit": "degC"}}
    profile = make_profile("opcua", registers, namespace=NAMESPACE)
    bus = OpcUaBus(server.url, insecure=True)
    async with open_driver(bus, [DeviceSetting("plc", profile)], time.time) as driver:
        assert (await read(driver)).value == value


@pytest.mark.parametrize(
    ("identifier", "words"),
    [("i=-1", "whole number"), ("g=12", "GUID"), ("b=*", "base64"), ("i=", "whole number")],
)
def test_an_identifier_that_is_none_is_refused_with_the_profile(identifier: str, words: str) -> None:
    data = {
        "profile": {
            "id": "p",
            "maker": "m",
            "model": "m",
            "protocol": "opcua",
            "source": "s",
            "confidence": "own",
        },
        "opcua": {"namespace": NAMESPACE},
        "registers": {"supply": {"identifier": identifier, "type": "Float", "unit": "degC"}},
    }
    with pytest.raises(ConfigurationError, match=words):
        parse_profile(data, "test")
    data["registers"]["supply"]["identifier"] = "i=5"  # type: ignore[index]
    assert isinstance(parse_profile(data, "test"), OpcUaProfile)
