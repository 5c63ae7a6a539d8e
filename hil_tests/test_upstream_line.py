"""Bad lines and TLS: pauses instead of storms, a clean stop at any moment, no word to a foreign broker."""

import asyncio
import datetime
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.receiver import compare
from edge.upstream import Pace
from hil_tests.broker import BrokerProcess, ServerTls, free_port, mosquitto
from hil_tests.upstream_bench import GATEWAY, gateway, receiver, running, until

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(handler: Handler):  # type: ignore[no-untyped-def]  # noqa: ANN201 (a generator of (port, connections))
    """Something that listens where a broker should."""
    connections: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await handler(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], connections
    finally:
        server.close()
        for writer in connections:
            writer.close()
        await server.wait_closed()


async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def say_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 50)
    writer.close()


@pytest.mark.parametrize("handler", [hang_up, babble])
async def test_a_broker_that_throws_us_out_is_tried_with_growing_pauses(
    handler: Handler, tmp_path: Path
) -> None:
    pace = Pace(poll_s=0.02, first_pause_s=0.1, maximum_pause_s=60.0)
    async with peer(handler) as (port, connections), gateway(tmp_path, port, pace) as sender:
        await sender.record(rows=5)
        async with running(sender.upstream.run()):
            await asyncio.sleep(2.0)
        assert 2 <= len(connections) <= 6  # pauses of 0.05..0.1, 0.1..0.2, ... 0.8..1.6 s
        assert not sender.upstream.status.connected


@pytest.mark.parametrize("handler", [hang_up, say_nothing, babble])
async def test_it_can_be_stopped_at_any_moment_and_leaves_nothing(handler: Handler, tmp_path: Path) -> None:
    async with peer(handler) as (port, _), gateway(tmp_path, port) as sender:
        for pause_s in (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.25):
            task = asyncio.ensure_future(sender.upstream.run())
            await asyncio.sleep(pause_s)
            started = asyncio.get_running_loop().time()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
            assert asyncio.get_running_loop().time() - started < 2.0
            assert {left for left in asyncio.all_tasks() if "aiomqtt" in repr(left)} == set()


async def test_nobody_at_the_brokers_port_costs_only_time(tmp_path: Path) -> None:
    async with gateway(tmp_path, free_port()) as sender, running(sender.upstream.run()) as task:
        await sender.record(rows=5)
        await asyncio.sleep(0.5)
        assert not task.done()
        assert (await sender.journal.last()).seq == 5


# TLS


def _certificate(
    name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signer = key if issuer is None else issuer[1]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if issuer is None:
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    else:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(signer, hashes.SHA256()), key


def _write(path: Path, certificate: x509.Certificate) -> Path:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls(tmp_path: Path) -> ServerTls:
    authority = _certificate("an authority of the test", None)
    certificate, key = _certificate("broker", authority)
    key_file = tmp_path / "broker.key"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return ServerTls(
        _write(tmp_path / "ca.pem", authority[0]), _write(tmp_path / "broker.pem", certificate), key_file
    )


@pytest.fixture
def tls_broker(tmp_path: Path, tls: ServerTls) -> Iterator[BrokerProcess]:
    with mosquitto(tmp_path, tls) as started:
        yield started


async def test_rows_travel_through_tls(tls_broker: BrokerProcess, tls: ServerTls, tmp_path: Path) -> None:
    async with (
        running(receiver(tmp_path, tls_broker.port, tls.ca_file).run()),
        gateway(tmp_path, tls_broker.port, ca_file=tls.ca_file) as sender,
        running(sender.upstream.run()),
    ):
        await sender.record(rows=200, frames=5)
        await sender.receipted()
    assert compare(tmp_path / "journal.db", tmp_path / "receiver.db", GATEWAY) == []


async def test_a_broker_of_another_authority_hears_nothing(
    tls_broker: BrokerProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = _write(tmp_path / "foreign.pem", _certificate("another authority", None)[0])
    await assert_refused(tls_broker, tmp_path, foreign, "127.0.0.1", caplog)


async def test_a_certificate_for_another_host_is_refused(
    tls_broker: BrokerProcess, tls: ServerTls, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await assert_refused(tls_broker, tmp_path, tls.ca_file, "localhost", caplog)


async def assert_refused(
    broker: BrokerProcess, folder: Path, ca_file: Path, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with (
        gateway(folder, broker.port, ca_file=ca_file, host=host) as sender,
        running(sender.upstream.run()),
    ):
        await sender.record(rows=1)
        await until(lambda: "CERTIFICATE_VERIFY_FAILED" in caplog.text)
        assert not sender.upstream.status.connected
