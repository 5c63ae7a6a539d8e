"""The folder of certificates: who we are, and the files of those we believe.

    pki/own/certificate.der, key.pem   ours: made at first use, or put there by whoever runs an authority
    pki/trusted/*                      certificates (DER or PEM) of servers, or of authorities that issue them
    pki/rejected/*                     certificates of servers nobody has decided about; a person moves them

Who is believed is decided in drivers.opcua.trust. Reads no clock and speaks to no server.
"""

import logging
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from drivers.errors import ConfigurationError

# Fixed days, not days counted from now: a clock that was never set makes no certificate nobody believes.
_BEGIN, _END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, tzinfo=UTC)
_KEY_BITS = 2048  # what every policy in use accepts (OPC 10000-7)
_MOST_REJECTED = 32  # the oldest goes first: whoever sends ever new certificates fills no disk
_log = logging.getLogger("drivers.opcua")


@dataclass(frozen=True, slots=True)
class Identity:
    """Our certificate (DER or PEM by its name) and its key, the URI in it, its SHA-256 in hexadecimal."""

    certificate: Path
    key: Path
    application_uri: str
    thumbprint: str


def thumbprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, in groups of four as people compare it."""
    digits = certificate.fingerprint(hashes.SHA256()).hex().upper()
    return " ".join(digits[i : i + 4] for i in range(0, len(digits), 4))


def own(folder: Path, application_uri: str | None = None) -> Identity:
    """Our identity in `folder`, made if there is none; ConfigurationError when it cannot be used."""
    host = socket.gethostname()
    certificate = make_own(folder, application_uri or f"urn:{host}:substation-edge", host)
    key = certificate.with_name("key.pem")
    uris = uris_of(_read_own(certificate, key))
    if not uris:
        raise ConfigurationError(f"{certificate}: names no application URI: make another certificate")
    if application_uri is not None and application_uri not in uris:
        raise ConfigurationError(
            f"{certificate}: is made out to {uris[0]}, not to {application_uri}: correct application_uri, or "
            f"move {certificate.parent} away for a new one (which servers must then trust)"
        )
    uri = uris[0] if application_uri is None else application_uri
    return Identity(certificate, key, uri, thumbprint(_read_own(certificate, key)))


def make_own(folder: Path, application_uri: str, host: str) -> Path:
    """The path of our certificate in `folder`; made with its key, once and whole, if `own/` is not there yet.

    Self-signed, RSA 2048, SHA-256; `application_uri` and `host` are its subject alternative names.
    """
    home = folder / "own"
    certificate = home / "certificate.der"
    try:
        if home.is_dir() and any(home.iterdir()):
            return certificate
        for name in ("trusted", "rejected"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".own-", dir=folder))  # mode 0700
        key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
        _write(made / "key.pem", _pem(key))
        _write(made / certificate.name, _certificate(key, application_uri, host))
        _adopt(made, home)
    except OSError as error:
        raise ConfigurationError(
            f"{folder}: our certificate cannot be made ({error}): give the service the right to write there"
        ) from error
    return certificate


def _adopt(made: Path, home: Path) -> None:
    """Rename the folder to its name; another process that was faster keeps its own."""
    try:
        made.rename(home)
    except OSError:
        for file in made.iterdir():
            file.unlink()
        made.rmdir()
        if not home.is_dir():
            raise


def _write(file: Path, content: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(key: rsa.RSAPrivateKey, uri: str, host: str) -> bytes:
    """An application instance certificate (OPC 10000-6, 6.2.2) in DER."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"Substation Edge {host}"[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Substation Edge"),
        ]
    )
    public = key.public_key()
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), x509.DNSName(host)])
    builder = x509.CertificateBuilder(name, name, public, x509.random_serial_number(), _BEGIN, _END)
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        (names, False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _usage() -> x509.KeyUsage:
    """What OPC 10000-6, 6.2.2 asks for; keyCertSign because the certificate signs itself."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read_own(certificate: Path, key: Path) -> x509.Certificate:
    try:
        found = x509.load_der_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except TypeError as error:
        raise ConfigurationError(f"{key}: the key has a pass phrase: give one without") from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{certificate.parent}: certificate.der and key.pem cannot be used ({error}): put both there, "
            "or move the folder away for new ones"
        ) from error
    if private.public_key() != found.public_key():
        raise ConfigurationError(
            f"{key}: is not the key of {certificate.name}: put the two that belong together"
        )
    return found


def certificates(folder: Path) -> Iterator[x509.Certificate]:
    """Every certificate in the files of `folder`; a file that holds none is named in the log and left out."""
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.name.startswith(".") or not file.is_file():
            continue
        try:
            yield from _load(file.read_bytes())
        except (OSError, ValueError) as error:
            _log.warning("%s: no certificate that can be read (%s)", file, error)


def _load(content: bytes) -> list[x509.Certificate]:
    if b"-----BEGIN" in content:
        return x509.load_pem_x509_certificates(content)
    return [x509.load_der_x509_certificate(content)]


def keep_rejected(folder: Path, certificate: x509.Certificate) -> Path:
    """Store a certificate for a person to decide about; the file's path. OSError when it cannot be stored."""
    rejected = folder / "rejected"
    for place in (rejected, folder / "trusted"):  # the one to move it to must be there, too
        place.mkdir(parents=True, exist_ok=True)
    digits = certificate.fingerprint(hashes.SHA256()).hex()
    file = rejected / f"{_slug(common_name(certificate))}-{digits[:16]}.der"
    if not file.exists():
        part = file.with_name(f".{file.name}.{os.getpid()}")
        part.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
        part.replace(file)
        for old in sorted(rejected.glob("*.der"), key=lambda f: f.stat().st_mtime)[:-_MOST_REJECTED]:
            old.unlink(missing_ok=True)
    return file


def trust_rejected(folder: Path, wanted: str) -> str:
    """Move the certificate with this SHA-256 from rejected/ to trusted/; its owner's name.

    `wanted` are all 64 digits, spaces and colons between them or not: a person has compared the whole of it.
    ConfigurationError where there is none, or it cannot be moved.
    """
    digits = re.sub(r"[\s:]", "", wanted).lower()
    for file in sorted((folder / "rejected").glob("*.der")):
        try:
            found = _load(file.read_bytes())[0]
            if found.fingerprint(hashes.SHA256()).hex() == digits:
                file.replace(folder / "trusted" / file.name)
                return common_name(found)
        except ValueError as error:
            _log.warning("%s: no certificate that can be read (%s)", file, error)
        except OSError as error:
            raise ConfigurationError(f"{file}: cannot be moved to trusted ({error.strerror})") from error
    raise ConfigurationError(
        f"{folder / 'rejected'}: holds no certificate with the SHA-256 {wanted[:80]}: connect once, so that "
        "the server shows its own, and give all 64 digits"
    )


def common_name(certificate: x509.Certificate) -> str:
    """The name of its owner, as far as the certificate has one."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else "nameless"


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:40] or "nameless"


def uris_of(certificate: x509.Certificate) -> list[str]:
    """The application URIs it is made out to."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
