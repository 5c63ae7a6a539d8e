"""OPC UA with certificates, against a real server: whom we believe, who we are, a password."""

import itertools
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient
from asyncua.crypto.security_policies import SecurityPolicyNone
from cryptography import x509

from drivers import (
    ClosedError,
    ConfigurationError,
    DeviceError,
    DeviceSetting,
    DriverError,
    LocalProtocolError,
    OpcUaBus,
    Point,
    Unit,
    open_driver,
)
from drivers.opcua.connection import CarefulClient
from drivers.opcua.pki import own
from drivers.settings import Policy, Security
from drivers.tests.certificates import Identity, issue, trust
from drivers.tests.plc import NAMESPACE, Plc, serving_plc
from drivers.tests.profiles import make_profile

REGISTER = {"identifier": "Supply", "type": "Float", "unit": "degC"}
DEVICES = [DeviceSetting("plc", make_profile("opcua", {"supply": REGISTER}, namespace=NAMESPACE))]
SUPPLY = Point("supply", "plc", "supply", Unit.CELSIUS)
PLC = issue("plc")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our own certificate."""
    folder = tmp_path_factory.mktemp("pki")
    own(folder, "urn:test:gateway")
    return folder


@pytest.fixture
def pki(ours: Path, tmp_path: Path) -> Path:
    """A folder with our own certificate in which nobody is trusted yet."""
    (tmp_path / "own").symlink_to(ours / "own")
    return tmp_path


@pytest.fixture(scope="module")
def plc(tmp_path_factory: pytest.TempPathFactory, ours: Path) -> Iterator[Plc]:
    """A server with every policy and mode; it trusts our certificate and nobody else's."""
    folder, clients = tmp_path_factory.mktemp("plc"), tmp_path_factory.mktemp("clients")
    shutil.copy(ours / "own" / "certificate.der", clients)
    with serve(folder, PLC, users={"operator": "geheim"}, clients=clients) as server:
        yield server


@contextmanager
def serve(
    folder: Path,
    certificate: x509.Certificate,
    name: str = "plc",
    clients: Path | None = None,
    **options: object,
) -> Iterator[Plc]:
    identity = Identity.make(folder, name, certificate)
    with serving_plc(identity=identity, clients=clients, **options) as server:  # type: ignore[arg-type]
        server.put("Supply", 45.5)
        yield server


async def supply(url: str, pki: Path, now: float | None = None, **options: object) -> float | None:
    bus = OpcUaBus(url, pki=pki, timeout_s=2.0, **options)  # type: ignore[arg-type]
    async with open_driver(bus, DEVICES, time.time if now is None else lambda: now) as driver:
        return (await driver.read([SUPPLY]))["supply"].value


@pytest.mark.parametrize(("policy", "mode"), [*itertools.product(get_args(Policy), get_args(Security))])
async def test_every_policy_and_mode_reads_and_logs_in(
    plc: Plc, pki: Path, policy: Policy, mode: Security
) -> None:
    trust(pki, PLC)
    password = pki / "password"
    password.write_text("geheim\n", encoding="utf-8")
    login: dict[str, Any] = {"user": "operator", "password_file": password}
    assert await supply(plc.url, pki, policy=policy, security=mode, **login) == 45.5


async def test_an_unknown_server_is_stored_told_of_and_read_once_a_person_moves_its_certificate(
    plc: Plc, pki: Path
) -> None:
    bus = OpcUaBus(plc.url, pki=pki, timeout_s=2.0)
    async with open_driver(bus, DEVICES, time.time) as driver:
        with pytest.raises(ConfigurationError, match="compare the thumbprint") as caught:
            await driver.read([SUPPLY])
        (stored,) = (pki / "rejected").iterdir()
        assert str(stored) in str(caught.value)
        assert f"move {stored} to {pki / 'trusted'}" in str(caught.value)
        stored.rename(pki / "trusted" / stored.name)
        assert (await driver.read([SUPPLY]))["supply"].value == 45.5


async def test_a_server_whose_certificate_was_swapped_is_not_read(plc: Plc, pki: Path) -> None:
    trust(pki, issue("plc"))  # the same name and key, another certificate
    with pytest.raises(ConfigurationError, match="not trusted"):
        await supply(plc.url, pki)


async def test_a_server_that_shows_a_trusted_certificate_without_its_key_is_not_read(
    pki: Path, tmp_path: Path
) -> None:
    """The endpoint shows the PLC's certificate, but whoever answers does not hold the PLC's key."""
    trust(pki, PLC)
    plc, thief = Identity.make(tmp_path, "plc", PLC), Identity.make(tmp_path, "thief")
    with serving_plc(identity=Identity(plc.uri, plc.certificate, thief.key)) as server:
        server.put("Supply", 45.5)
        with pytest.raises(DriverError):
            await supply(server.url, pki)


async def test_an_expired_certificate_is_refused_with_the_clock_named_and_accepted_if_the_site_says_so(
    plc: Plc, pki: Path
) -> None:
    trust(pki, PLC)
    later = datetime(2091, 1, 1, tzinfo=UTC).timestamp()
    with pytest.raises(
        ConfigurationError, match=r"expired on 2090-01-01; .*2091-01-01.*accept_expired = true"
    ):
        await supply(plc.url, pki, now=later)
    assert await supply(plc.url, pki, now=later, accept_expired=True) == 45.5


async def test_a_clock_that_was_never_set_does_not_lock_us_out(
    plc: Plc, pki: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trust(pki, PLC)
    assert await supply(plc.url, pki, now=0.0) == 45.5
    assert "it seems not to be set" in caplog.text


async def test_a_certificate_made_out_to_another_application_is_refused(pki: Path, tmp_path: Path) -> None:
    foreign = issue("plc", uri="urn:test:another")
    trust(pki, foreign)
    identity = Identity.make(tmp_path, "plc", foreign)
    with (
        serving_plc(identity=identity) as server,  # which says that it is urn:test:plc
        pytest.raises(ConfigurationError, match=r"urn:test:another.*urn:test:plc"),
    ):
        await supply(server.url, pki)


async def test_a_server_is_believed_by_the_authority_that_issued_its_certificate(
    pki: Path, tmp_path: Path
) -> None:
    authority = issue("authority", uri=None, hosts=(), authority=True)
    with serve(tmp_path, issue("plc", issuer="authority")) as server:
        trust(pki, issue("other_authority", uri=None, hosts=(), authority=True))
        with pytest.raises(ConfigurationError, match="not trusted"):
            await supply(server.url, pki)
        trust(pki, authority)
        assert await supply(server.url, pki) == 45.5


async def test_a_server_that_does_not_trust_us_is_told_of_with_our_thumbprint(
    plc: Plc, tmp_path: Path
) -> None:
    trust(tmp_path, PLC)
    with pytest.raises(DriverError) as caught:
        await supply(plc.url, tmp_path)  # with a certificate of our own that is new to the server
    assert own(tmp_path).thumbprint in str(caught.value)


async def test_a_refusal_that_the_library_cannot_read_is_told_with_our_thumbprint(
    plc: Plc, pki: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What node-opcua's refusal of an unknown certificate becomes in asyncua."""
    original = UaClient.open_secure_channel

    async def refuse(client: UaClient, params: ua.OpenSecureChannelParameters) -> object:
        if params.SecurityMode is ua.MessageSecurityMode.None_:  # the endpoints are still asked for
            return await original(client, params)
        raise AssertionError

    trust(pki, PLC)
    monkeypatch.setattr(UaClient, "open_secure_channel", refuse)
    with pytest.raises(ClosedError, match="trust this gateway's certificate") as caught:
        await supply(plc.url, pki)
    assert own(pki).thumbprint in str(caught.value)


@pytest.mark.parametrize(
    ("user", "password"), [("operator", "falsch"), ("operator", ""), ("nobody", "geheim")]
)
async def test_a_wrong_user_or_password_is_the_servers_own_code_with_a_remedy(
    plc: Plc, pki: Path, user: str, password: str
) -> None:
    trust(pki, PLC)
    file = pki / "password"
    file.write_text(password, encoding="utf-8")
    with pytest.raises(DeviceError, match="BadUserAccessDenied: the user") as caught:
        await supply(plc.url, pki, user=user, password_file=file)
    assert caught.value.code == 0x801F0000


async def test_a_password_that_cannot_be_read_is_a_configuration_error(plc: Plc, pki: Path) -> None:
    trust(pki, PLC)
    with pytest.raises(ConfigurationError, match="password"):
        await supply(plc.url, pki, user="operator", password_file=pki / "nothing")


async def test_a_password_everybody_can_read_is_told_of(
    plc: Plc, pki: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trust(pki, PLC)
    file = pki / "password"
    file.write_text("geheim", encoding="utf-8")
    file.chmod(0o644)
    await supply(plc.url, pki, user="operator", password_file=file)
    assert "chmod 0640" in caplog.text


@pytest.mark.parametrize(("mode", "sent"), [("Sign", False), ("SignAndEncrypt", True)])
async def test_a_server_that_asks_for_the_password_in_the_clear_gets_it_only_through_an_encrypted_channel(
    plc: Plc, pki: Path, mode: Security, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(pki, PLC)
    file = pki / "password"
    file.write_text("geheim", encoding="utf-8")
    monkeypatch.setattr(CarefulClient, "server_policy", plain_token)
    login: dict[str, Any] = {"user": "operator", "password_file": file, "security": mode}
    if sent:
        assert await supply(plc.url, pki, **login) == 45.5
    else:
        with pytest.raises(LocalProtocolError, match="in the clear"):
            await supply(plc.url, pki, **login)


def plain_token(client: CarefulClient, kind: ua.UserTokenType) -> ua.UserTokenPolicy:
    """The token policy of a server that takes passwords as they are."""
    return replace(Client.server_policy(client, kind), SecurityPolicyUri=SecurityPolicyNone.URI)


async def test_a_policy_the_server_does_not_have_is_told_with_those_it_has(pki: Path) -> None:
    with serving_plc() as server, pytest.raises(ConfigurationError, match="but None with None: choose"):
        await supply(server.url, pki)


async def test_a_server_that_wants_security_is_not_read_without(plc: Plc) -> None:
    async with open_driver(OpcUaBus(plc.url, insecure=True, timeout_s=2.0), DEVICES, time.time) as driver:
        with pytest.raises(DriverError):
            await driver.read([SUPPLY])


async def test_a_file_that_is_no_key_is_a_configuration_error(plc: Plc, tmp_path: Path) -> None:
    own(tmp_path)
    (tmp_path / "own" / "key.pem").write_text("not a key", encoding="ascii")
    with pytest.raises(ConfigurationError, match="key"):
        await supply(plc.url, tmp_path)
