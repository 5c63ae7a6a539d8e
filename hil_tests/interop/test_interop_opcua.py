"""Our OPC UA driver against a server on node-opcua: policies, users, trust both ways, quality, restart."""

import asyncio
import contextlib
import itertools
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from asyncua.client.client import Client
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from drivers import (
    Browsable,
    ConfigurationError,
    DeviceError,
    DeviceSetting,
    Driver,
    DriverError,
    LocalProtocolError,
    OpcUaBus,
    Point,
    Quality,
    Reading,
    Reason,
    Unit,
    open_driver,
)
from drivers.opcua.pki import own
from drivers.settings import Policy, Security
from drivers.tests.certificates import Identity, issue, trust
from drivers.tests.plc import free_port
from drivers.tests.profiles import make_profile
from hil_tests.interop.peers import Peer, node, started

pytestmark = [pytest.mark.interop, pytest.mark.peer("node-opcua 2.182", "OPC UA")]

ANY: dict[str, float] = {"low": -1e9, "high": 1e9}
REGISTERS: Mapping[str, dict[str, Any]] = {
    "supply": {"identifier": "Supply", "type": "Float", "unit": "degC"},
    "level": {"identifier": "Level", "type": "Double", "unit": "m"},
    "counter": {"identifier": "Counter", "type": "UInt32", "unit": "kWh", "total": {}},
    "setpoint": {"identifier": "Setpoint", "type": "Float", "unit": "degC", "write": ANY},
    "step": {"identifier": "Step", "type": "Int16", "unit": "1", "write": ANY},
    "run": {"identifier": "Run", "type": "Boolean", "unit": "state", "write": {"low": 0, "high": 1}},
    "setpoint_as_double": {"identifier": "Setpoint", "type": "Double", "unit": "degC", "write": ANY},
    "supply_to_write": {"identifier": "Supply", "type": "Float", "unit": "degC", "write": ANY},
    "unknown": {"identifier": "Nowhere", "type": "Float", "unit": "degC"},
}
DEVICE = DeviceSetting("plc", make_profile("opcua", REGISTERS, namespace="urn:test:interop"))
CERTIFICATE = issue("plc")
FIRST = {"supply": 45.5, "level": 1.25, "counter": 4e9, "setpoint": 20.5, "step": -7.0, "run": 0.0}


def point(name: str) -> Point:
    """The point named as its register."""
    return Point(name, "plc", name, Unit(REGISTERS[name]["unit"]))


@dataclass(frozen=True)
class Station:
    """The server's port and folders, and ours, in which its certificate is trusted."""

    folder: Path
    port: int
    ours: Path

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"opc.tcp://127.0.0.1:{self.port}"

    @contextmanager
    def serving(self, certificate: x509.Certificate = CERTIFICATE, extra: int = 0) -> Iterator[Peer]:
        """The server's process, with as many foreign namespaces before its own."""
        identity = Identity.make(self.folder, "plc", certificate)
        pem = self.folder / "plc.crt"
        pem.write_bytes(certificate.public_bytes(Encoding.PEM))
        arguments = [str(self.port), str(self.folder / "pki"), str(pem), str(identity.key), str(extra)]
        with started([*node("opcua_server.js"), *arguments]) as peer:
            yield peer

    def bus(self, **more: object) -> OpcUaBus:
        """How we reach it."""
        usual = OpcUaBus(self.url, sampling_ms=100.0, timeout_s=4.0, pki=self.ours)
        return replace(usual, **more)  # type: ignore[arg-type]


def station(folder: Path) -> Station:
    """A server that believes our certificate, before it was started; we believe its."""
    ours, clients = folder / "ours", folder / "pki" / "trusted" / "certs"
    own(ours, "urn:test:gateway")
    trust(ours, CERTIFICATE)
    clients.mkdir(parents=True)
    shutil.copy(ours / "own" / "certificate.der", clients / "gateway.der")
    return Station(folder, free_port(), ours)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """One server for all tests that leave it as it is."""
    made = station(tmp_path_factory.mktemp("opcua"))
    with made.serving():
        yield made


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A folder of ours that trusts nobody, with a certificate the server never saw."""
    own(tmp_path / "stranger", "urn:test:gateway")
    return tmp_path / "stranger"


@asynccontextmanager
async def opened(bus: OpcUaBus, now: Callable[[], float] = time.time) -> AsyncIterator[Driver]:
    """Our driver."""
    async with open_driver(bus, [DEVICE], now) as driver:
        yield driver


async def read(driver: Driver, name: str) -> Reading:
    """The newest reading of one register."""
    return (await driver.read([point(name)]))[name]


async def until(
    driver: Driver, name: str, holds: Callable[[Reading], bool], within_s: float = 20.0
) -> Reading:
    """Read until it holds; losses on the way are part of it."""
    found: object = None
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            found = await read(driver, name)
        except DriverError as error:
            found = error
        if isinstance(found, Reading) and holds(found):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"it never came true; the last was {found!r}")


async def lost(driver: Driver, within_s: float = 20.0) -> None:
    """Read until the driver says that the server is gone."""
    end = time.monotonic() + within_s
    with contextlib.suppress(DriverError):
        while True:
            await read(driver, "supply")
            assert time.monotonic() < end, "the loss was never noticed"
            await asyncio.sleep(0.05)


def login(folder: Path, password: str) -> dict[str, Any]:
    """User and password as a site gives them."""
    file = folder / "password"
    file.write_text(password, encoding="utf-8")
    file.chmod(0o640)
    return {"user": "operator", "password_file": file}


async def attached(url: str) -> object:
    """What the server sends as the value of Supply, whatever the status: asked without our driver."""
    async with Client(url) as client:
        index = await client.get_namespace_index("urn:test:interop")
        data = await client.get_node(f"ns={index};s=Supply").read_data_value(raise_on_bad_status=False)
        return None if data.Value is None else data.Value.Value


async def values_and_news(bus: OpcUaBus) -> None:
    """Every variable has its value, and the subscription brings newer stamps."""
    async with opened(bus) as driver:
        found = await driver.read([point(name) for name in FIRST])
        assert {name: r.value for name, r in found.items()} == FIRST
        stamp = found["supply"].timestamp
        await until(driver, "supply", lambda r: r.quality is Quality.GOOD and r.timestamp > stamp)


async def test_without_security_where_the_site_says_so(shared: Station) -> None:
    await values_and_news(shared.bus(pki=None, insecure=True))


@pytest.mark.parametrize(("policy", "mode"), [*itertools.product(get_args(Policy), get_args(Security))])
async def test_each_policy_and_mode_reads_and_subscribes(
    shared: Station, policy: Policy, mode: Security
) -> None:
    await values_and_news(shared.bus(policy=policy, security=mode))


@pytest.mark.parametrize(("policy", "mode"), [*itertools.product(get_args(Policy), get_args(Security))])
async def test_user_and_password_under_each_policy_and_mode(
    shared: Station, tmp_path: Path, policy: Policy, mode: Security
) -> None:
    await values_and_news(shared.bus(policy=policy, security=mode, **login(tmp_path, "geheim")))


async def test_a_wrong_password_is_refused_with_its_code(shared: Station, tmp_path: Path) -> None:
    async with opened(shared.bus(**login(tmp_path, "falsch"))) as driver:
        with pytest.raises(DeviceError, match="BadUserAccessDenied") as caught:
            await read(driver, "supply")
    assert caught.value.code == 0x801F0000


async def test_a_client_certificate_the_server_does_not_trust_is_told_with_its_thumbprint(
    shared: Station, stranger: Path
) -> None:
    trust(stranger, CERTIFICATE)
    async with opened(shared.bus(pki=stranger)) as driver:
        with pytest.raises(DriverError, match="trust this gateway's certificate") as caught:
            await read(driver, "supply")
    assert own(stranger).thumbprint in str(caught.value)


async def test_an_unknown_server_certificate_is_refused_until_moved_as_the_error_says(
    shared: Station, tmp_path: Path
) -> None:
    ours = tmp_path / "ours"
    shutil.copytree(shared.ours / "own", ours / "own")
    async with opened(shared.bus(pki=ours)) as driver:
        with pytest.raises(ConfigurationError, match="compare the thumbprint") as caught:
            await read(driver, "supply")
        (stored,) = (ours / "rejected").iterdir()
        assert f"move {stored} to {ours / 'trusted'}" in str(caught.value)
        (ours / "trusted").mkdir(exist_ok=True)
        stored.rename(ours / "trusted" / stored.name)
        assert (await read(driver, "supply")).value == 45.5


async def test_an_expired_server_certificate_is_refused_unless_the_site_accepts_it(tmp_path: Path) -> None:
    made, old = station(tmp_path), issue("plc", end=datetime(2025, 6, 1, tzinfo=UTC))
    trust(made.ours, old)
    with made.serving(old):
        async with opened(made.bus()) as driver:
            with pytest.raises(ConfigurationError, match=r"expired on 2025-06-01.*accept_expired"):
                await read(driver, "supply")
        async with opened(made.bus(accept_expired=True)) as driver:
            assert (await read(driver, "supply")).value == 45.5


async def test_quality_goes_from_good_to_bad_to_uncertain_and_back(tmp_path: Path) -> None:
    made = station(tmp_path)
    with made.serving() as server:
        async with opened(made.bus()) as driver:
            assert (await read(driver, "supply")).quality is Quality.GOOD
            server.order({"name": "Supply", "value": 99.5, "status": "BadSensorFailure"})
            bad = await until(driver, "supply", lambda r: r.quality is Quality.BAD)
            assert await attached(made.url) == 99.5  # the server sends a value all the same
            assert (bad.value, bad.reason) == (None, Reason.DEVICE)
            server.order({"name": "Supply", "status": "UncertainSensorNotAccurate"})
            doubtful = await until(driver, "supply", lambda r: r.quality is Quality.UNCERTAIN)
            assert (doubtful.value, doubtful.reason) == (99.5, Reason.DOUBTFUL)
            server.order({"name": "Supply", "status": "Good"})
            assert (await until(driver, "supply", lambda r: r.quality is Quality.GOOD)).value == 99.5


async def test_a_source_time_stamp_that_stands_still_is_seen_beside_one_that_goes_on(tmp_path: Path) -> None:
    made = station(tmp_path)
    with made.serving() as server:
        async with opened(made.bus()) as driver:
            await driver.read([point("supply"), point("level")])
            server.order({"name": "Supply", "frozen": True})
            frozen = (await read(driver, "supply")).timestamp
            frozen = (await until(driver, "level", lambda r: r.timestamp > frozen + 1.0)).timestamp
            stood = await read(driver, "supply")
            await until(driver, "level", lambda r: r.timestamp > frozen + 1.0)
            assert (await read(driver, "supply")) == stood
            assert stood.timestamp < frozen


@pytest.mark.parametrize(("name", "value"), [("setpoint", 33.25), ("step", -123.0), ("run", 1.0)])
async def test_a_typed_write_is_taken_and_read_back(tmp_path: Path, name: str, value: float) -> None:
    made = station(tmp_path)
    with made.serving():
        async with opened(made.bus()) as driver:
            await driver.write(point(name), value)
            await until(driver, name, lambda r: r.value == value)


@pytest.mark.parametrize(
    ("name", "status"), [("setpoint_as_double", "BadTypeMismatch"), ("supply_to_write", "BadNotWritable")]
)
async def test_a_write_of_a_wrong_type_or_of_what_is_read_only_is_refused(
    shared: Station, name: str, status: str
) -> None:
    async with opened(shared.bus()) as driver:
        with pytest.raises(DeviceError, match=status):
            await driver.write(point(name), 50.0)
        assert [(await read(driver, n)).value for n in ("setpoint", "supply")] == [20.5, 45.5]


async def test_what_the_profile_does_not_allow_never_reaches_the_server(shared: Station) -> None:
    async with opened(shared.bus()) as driver:
        with pytest.raises(LocalProtocolError):
            await driver.write(point("level"), 1.0)


async def test_an_unknown_node_costs_only_itself(shared: Station) -> None:
    async with opened(shared.bus()) as driver:
        found = await driver.read([point("supply"), point("unknown")])
        assert (found["supply"].value, found["unknown"].quality) == (45.5, Quality.BAD)


async def test_a_variable_of_another_type_than_the_profiles_is_bad(shared: Station) -> None:
    async with opened(shared.bus()) as driver:
        found = await read(driver, "setpoint_as_double")
        assert (found.value, found.reason) == (None, Reason.PROTOCOL)


async def test_the_address_space_is_browsed_with_types_values_and_rights(shared: Station) -> None:
    async with opened(shared.bus()) as driver:
        assert isinstance(driver, Browsable)
        nodes = [found async for found in driver.browse(depth=2)]
    named = {
        found.browse_name: found for found in nodes if found.browse_name in {"Supply", "Setpoint", "Run"}
    }
    assert {name: found.type for name, found in named.items()} == {
        "Supply": "Float",
        "Setpoint": "Float",
        "Run": "Boolean",
    }
    assert {name: found.writable for name, found in named.items()} == {
        "Supply": False,
        "Setpoint": True,
        "Run": True,
    }


@pytest.mark.parametrize("extra", [0, 3])
async def test_a_server_that_restarts_is_read_again_also_where_its_namespace_moved(
    tmp_path: Path, extra: int
) -> None:
    made = station(tmp_path)
    async with opened(made.bus(timeout_s=1.0)) as driver:
        with made.serving() as server:
            assert (await read(driver, "supply")).value == 45.5
            server.order({"name": "Supply", "value": 46.5})
            await until(driver, "supply", lambda r: r.value == 46.5)
        await lost(driver)
        with made.serving(extra=extra):
            again = await until(driver, "supply", lambda r: r.value == 45.5)
            assert again.quality is Quality.GOOD
