"""Our Modbus inside TLS against TLS of others in front of libmodbus; certificates made by openssl.

socat speaks TLS 1.3, Node's own TLS 1.2 only. Both want a client certificate of one authority.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from drivers import ClosedError, DriverError, ModbusTcpBus, open_driver
from drivers.settings import Tls
from hil_tests.interop import peers
from hil_tests.interop.peers import node, running
from hil_tests.interop.test_interop_modbus import SETTING, points, read

pytestmark = [pytest.mark.interop, pytest.mark.peer("Modbus TLS")]

PEERS = ("socat 1.7 (TLS 1.3)", "node tls (TLS 1.2)")


def openssl(*words: str | Path) -> None:
    """Debian's openssl; CalledProcessError when it refuses."""
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def authority(folder: Path, name: str) -> None:
    """An authority: NAME.crt and NAME.key."""
    subject = ("-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    made = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", *subject, *made)


def issue(folder: Path, name: str, issuer: str) -> None:
    """A certificate for this machine by its address, signed by an authority."""
    key, request, text = (folder / f"{name}.{end}" for end in ("key", "csr", "ext"))
    text.write_text("subjectAltName=IP:127.0.0.1\n", encoding="ascii")
    openssl(
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        f"/CN={name}",
        "-keyout",
        key,
        "-out",
        request,
    )
    signer = ("-CA", folder / f"{issuer}.crt", "-CAkey", folder / f"{issuer}.key", "-CAcreateserial")
    made = ("-extfile", text, "-out", folder / f"{name}.crt")
    openssl("x509", "-req", "-in", request, "-days", "3650", *signer, *made)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates: the device's and ours of one authority each, and a stranger's."""
    made = tmp_path_factory.mktemp("tls")
    for name in ("plant", "gateways", "strangers"):
        authority(made, name)
    issue(made, "device", "plant")
    issue(made, "gateway", "gateways")
    issue(made, "stranger", "strangers")
    return made


@contextmanager
def socat(folder: Path, behind: str) -> Iterator[int]:
    """OpenSSL by socat in front of a port of this machine; its own port."""
    believed = f"cafile={folder / 'gateways.crt'},verify=1"
    shown = f"cert={folder / 'device.crt'},key={folder / 'device.key'}"
    front = f"OPENSSL-LISTEN:0,bind=127.0.0.1,fork,openssl-min-proto-version=TLS1.3,{shown},{believed}"
    command = ["socat", "-d", "-d", front, f"TCP:127.0.0.1:{behind}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            told = next((line for line in process.stderr if "listening on" in line), "")
            assert told, "socat did not start"
            yield int(told.rpartition(":")[2])
        finally:
            process.kill()


@contextmanager
def front(peer: str, folder: Path) -> Iterator[ModbusTcpBus]:
    """The peer in front of libmodbus, and how it is reached as it should be."""
    ours = Tls(folder / "plant.crt", folder / "gateway.crt", folder / "gateway.key")
    with running([str(peers.LIBMODBUS), "tcp", "1"]) as behind:
        if peer.startswith("socat"):
            with socat(folder, behind) as port:
                yield ModbusTcpBus("127.0.0.1", port, tls=ours)
        else:
            files = [str(folder / name) for name in ("device.crt", "device.key", "gateways.crt")]
            with running([*node("tls_front.js"), behind, *files]) as port:
                yield ModbusTcpBus("127.0.0.1", int(port), tls=ours)


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest) -> str:
    """Whose TLS it is."""
    return str(request.param)


@pytest.fixture
def bus(peer: str, folder: Path) -> Iterator[ModbusTcpBus]:
    """Each peer in turn, reached as it should be."""
    with front(peer, folder) as found:
        yield found


async def refused(bus: ModbusTcpBus, tls: Tls) -> str:
    """What is said when nothing is read; fails when something is."""
    async with open_driver(replace(bus, tls=tls), [SETTING], time.time) as driver:
        with pytest.raises(DriverError) as caught:
            await read(driver, "first")
    assert isinstance(caught.value, ClosedError)
    return str(caught.value)


async def test_the_right_authority_on_both_sides_reads_and_writes(bus: ModbusTcpBus) -> None:
    async with open_driver(bus, [SETTING], time.time) as driver:
        assert await read(driver, "first", "float", "far", "input") == [1000.0, 43.25, 1119.0, 2007.0]
        await driver.write(points("pair")[0], 123456.0)
        assert await read(driver, "pair") == [123456.0]


async def test_a_device_of_another_authority_is_refused_by_us(bus: ModbusTcpBus, folder: Path) -> None:
    assert bus.tls is not None
    said = await refused(bus, replace(bus.tls, ca=folder / "strangers.crt"))
    assert "certificate is not believed (unable to get local issuer certificate)" in said


async def test_a_device_with_another_name_is_refused_by_us(bus: ModbusTcpBus) -> None:
    assert bus.tls is not None
    assert "boiler.example" in await refused(bus, replace(bus.tls, server_name="boiler.example"))


async def test_without_a_client_certificate_the_device_lets_us_read_nothing(bus: ModbusTcpBus) -> None:
    assert bus.tls is not None
    await refused(bus, Tls(bus.tls.ca))


async def test_with_a_strangers_client_certificate_the_device_lets_us_read_nothing(
    bus: ModbusTcpBus, folder: Path
) -> None:
    assert bus.tls is not None
    await refused(bus, Tls(bus.tls.ca, folder / "stranger.crt", folder / "stranger.key"))


async def test_plain_modbus_on_a_port_with_tls_reads_nothing(bus: ModbusTcpBus) -> None:
    async with open_driver(replace(bus, tls=None), [SETTING], time.time) as driver:
        with pytest.raises(DriverError):
            await read(driver, "first")
