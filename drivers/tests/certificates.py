"""Certificates as stations have them: self-signed, issued by an authority, expired, another's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BEGIN, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    """A key by name (that of "weak" is too short): making one takes a while, so that tests share them."""
    return rsa.generate_private_key(public_exponent=65537, key_size=1024 if name == "weak" else 2048)


@dataclass(frozen=True)
class Identity:
    """A certificate (DER), its key (PEM) and the application URI in it."""

    uri: str
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path, name: str, certificate: x509.Certificate | None = None) -> "Identity":
        """Files for a server that uses the key of that name; by default self-signed for this machine."""
        made = certificate or issue(name)
        files = cls(f"urn:test:{name}", folder / f"{name}.der", folder / f"{name}.pem")
        files.certificate.write_bytes(der(made))
        files.key.write_bytes(
            key(name).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files


def issue(
    name: str,
    *,
    uri: str | None = "",
    hosts: Sequence[str] = ("127.0.0.1",),
    begin: datetime = BEGIN,
    end: datetime = END,
    issuer: str | None = None,
    authority: bool = False,
    algorithm: hashes.SHA224 | hashes.SHA256 | None = None,
) -> x509.Certificate:
    """A certificate of `key(name)`, signed by `key(issuer)` or by itself.

    `uri` "" is `urn:test:<name>`; None leaves it out.
    """
    mine = key(name)
    names: list[x509.GeneralName] = (
        [] if uri is None else [x509.UniformResourceIdentifier(uri or f"urn:test:{name}")]
    )
    names += [_host(host) for host in hosts]
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer or name))
        .public_key(mine.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(_usage(authority), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
            critical=False,
        )
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key(issuer) if issuer else mine, algorithm or hashes.SHA256())


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(True, True, True, True, False, authority, authority, False, False)


def der(certificate: x509.Certificate) -> bytes:
    """As it travels."""
    return certificate.public_bytes(serialization.Encoding.DER)


def trust(pki: Path, *certificates: x509.Certificate) -> None:
    """Put them where the technician would."""
    (pki / "trusted").mkdir(parents=True, exist_ok=True)
    for number, certificate in enumerate(certificates):
        (pki / "trusted" / f"{number}.der").write_bytes(der(certificate))
