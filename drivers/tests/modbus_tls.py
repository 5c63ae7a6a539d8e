"""Certificates for Modbus inside TLS: a device's and ours, each its own authority, as small devices do."""

import datetime
import functools
import ipaddress
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from drivers.settings import Tls


def _issue(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=36500))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


class Identities:
    """A device, ourselves and a stranger; the device wants our certificate and no other."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="modbus-tls-")  # goes when they go
        folder = Path(self._folder.name)
        self._device, self._ours, self._stranger = (
            _issue(folder, name) for name in ("device", "ours", "stranger")
        )

    def server(self) -> ssl.SSLContext:
        """The device's side."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._device)
        context.load_verify_locations(self._ours[0])
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def tls(self) -> Tls:
        """Our side as it should be."""
        return Tls(self._device[0], *self._ours)

    def deceived(self) -> Tls:
        """We believe another authority than the device's."""
        return Tls(self._stranger[0], *self._ours)

    def unknown(self) -> Tls:
        """We come with a certificate the device does not know."""
        return Tls(self._device[0], *self._stranger)


@functools.cache
def identities() -> Identities:
    """Made once for all tests."""
    return Identities()
