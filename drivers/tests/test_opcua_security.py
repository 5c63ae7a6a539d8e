"""OPC UA with certificates: signed and encrypted with the server that is known, and with nobody else."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers import (
    ConfigurationError,
    DeviceSetting,
    DriverError,
    OpcUaBus,
    Point,
    Unit,
    open_driver,
)
from drivers.tests.plc import NAMESPACE, Identity, Plc, serving_plc
from drivers.tests.profiles import make_profile

REGISTER = {"identifier": "Supply", "type": "Float", "unit": "degC"}
DEVICES = [DeviceSetting("plc", make_profile("opcua", {"supply": REGISTER}, namespace=NAMESPACE))]
SUPPLY = Point("supply", "plc", "supply", Unit.CELSIUS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def server_identity(folder: Path) -> Identity:
    return Identity.make(folder, "plc")


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Identity:
    return Identity.make(folder, "gateway")


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Identity:
    return Identity.make(folder, "stranger")


@pytest.fixture(scope="module")
def plc(server_identity: Identity) -> Iterator[Plc]:
    with serving_plc(identity=server_identity) as server:
        server.put("Supply", 45.5)
        yield server


def bus(url: str, ours: Identity, theirs: Identity) -> OpcUaBus:
    return OpcUaBus(
        url,
        certificate=ours.certificate,
        private_key=ours.key,
        server_certificate=theirs.certificate,
        application_uri=ours.uri,
        timeout_s=2.0,
    )


async def test_a_server_with_the_known_certificate_is_read_encrypted(
    plc: Plc, gateway: Identity, server_identity: Identity
) -> None:
    async with open_driver(bus(plc.url, gateway, server_identity), DEVICES, time.time) as driver:
        assert (await driver.read([SUPPLY]))["supply"].value == 45.5


async def test_a_server_with_another_certificate_is_not_read(
    plc: Plc, gateway: Identity, stranger: Identity
) -> None:
    async with open_driver(bus(plc.url, gateway, stranger), DEVICES, time.time) as driver:
        with pytest.raises(DriverError):
            await driver.read([SUPPLY])


async def test_a_server_that_wants_security_is_not_read_without(plc: Plc) -> None:
    async with open_driver(OpcUaBus(plc.url, insecure=True, timeout_s=2.0), DEVICES, time.time) as driver:
        with pytest.raises(DriverError):
            await driver.read([SUPPLY])


async def test_a_file_that_is_no_key_is_a_configuration_error(
    plc: Plc, gateway: Identity, server_identity: Identity, tmp_path: Path
) -> None:
    broken = tmp_path / "key.pem"
    broken.write_text("not a key", encoding="ascii")
    ours = Identity(gateway.uri, gateway.certificate, broken)
    driver = open_driver(bus(plc.url, ours, server_identity), DEVICES, time.time)
    with pytest.raises(ConfigurationError, match="key"):
        await driver.read([SUPPLY])
