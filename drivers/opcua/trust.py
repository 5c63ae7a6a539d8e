"""Whether the certificate a server shows is believed. Decided here alone, before anything secret is sent.

asyncua accepts any server certificate unless told otherwise, and its own trust store says only yes or no; a
technician must know why. So the rules stand here (OPC 10000-4, 6.1.3):

- Known: the certificate itself lies in trusted/, or an authority there issued it (directly, or through
  intermediate ones the server sends along). Else it is stored in rejected/ for a person to decide.
- Time: expired is refused unless the site accepts it. Not yet valid is only a warning: what is trusted has
  been issued, so that our own clock was never set, and that may not lock us out of a plant.
- Host: a certificate that itself lies in trusted/ was compared by a person and proves itself by its key: a
  missing host name is a warning (PLCs move and rarely know their address). Of what an authority issued any
  could be shown: there the host is asked for.
- Application URI: it must be the one the endpoint gives. Always.

Revocation lists are not read: an authority's certificate is taken out of trusted/ instead.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa

from drivers.errors import ConfigurationError, UntrustedError
from drivers.opcua.pki import certificates, common_name, keep_rejected, thumbprint, uris_of

_LONGEST_PATH = 4  # authorities between a server and the trusted one
_RENEW = timedelta(days=30)  # so long before its end a certificate is told of
_KEY_BITS = range(2048, 4097)  # what the policies allow (OPC 10000-7)
_LONG_FORM = 0x80  # the bit of a DER length that tells the long form
_HASHES = frozenset({"sha256", "sha384", "sha512"})


@dataclass(frozen=True, slots=True)
class Believed:
    """A server's certificate that is believed, and what a person should know of it all the same."""

    certificate: x509.Certificate
    warnings: tuple[str, ...]


def believe(sent: bytes, pki: Path, host: str, now: datetime, accept_expired: bool) -> Believed:
    """Decide about the certificate (DER, perhaps with its issuers' behind it) of the server at `host`.

    ConfigurationError says what is wrong and what a technician does about it.
    """
    chain = split(sent)
    leaf = chain[0]
    trusted = tuple(certificates(pki / "trusted"))
    direct = leaf in trusted
    path = () if direct else _authorities(leaf, chain[1:], trusted)
    if path is None:
        raise UntrustedError(_unknown(leaf, pki), common_name(leaf), thumbprint(leaf))
    _refuse_weak(leaf)
    warnings = [w for c in (leaf, *path) for w in _time(c, now, accept_expired)]
    if not _names_host(leaf, host):
        text = f"{_called(leaf)} does not name the host {host}"
        if not direct:
            raise ConfigurationError(
                f"{text}, and {common_name(path[0])} may have issued it to another device: write one of "
                f"its names ({', '.join(_hosts(leaf)) or 'none'}) into url, or put it into {pki / 'trusted'}"
            )
        warnings.append(text)
    return Believed(leaf, tuple(warnings))


def require_application(certificate: x509.Certificate, uri: str | None) -> None:
    """ConfigurationError unless the certificate is made out to the application the endpoint says it is."""
    if uri not in uris_of(certificate):
        raise ConfigurationError(
            f"{_called(certificate)} is made out to {', '.join(uris_of(certificate)) or 'nobody'}, but "
            f"the server calls itself {uri}: make its certificate anew on the server (its name was changed?)"
        )


def split(sent: bytes) -> list[x509.Certificate]:
    """One certificate after the other as DER carries them; ConfigurationError when there is none."""
    found: list[x509.Certificate] = []
    rest = sent
    try:
        while rest:
            size = _der_size(rest)
            found.append(x509.load_der_x509_certificate(rest[:size]))
            rest = rest[size:]
    except (ValueError, IndexError) as error:
        if not found:
            raise ConfigurationError(f"the server's certificate cannot be read ({error})") from error
    if not found:
        raise ConfigurationError("the server shows no certificate: give it one, or choose another policy")
    return found


def _der_size(der: bytes) -> int:
    """Octets of the first element (X.690, 8.1.3)."""
    short = der[1]
    if short < _LONG_FORM:
        return 2 + short
    count = short & 0x7F
    return 2 + count + int.from_bytes(der[2 : 2 + count], "big")


def _authorities(
    leaf: x509.Certificate, sent: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...] | None:
    """Who issued it, up to the first that is trusted; None when nobody trusted did."""
    path: list[x509.Certificate] = []
    while len(path) < _LONGEST_PATH:
        child = path[-1] if path else leaf
        issuer = next((c for c in (*trusted, *sent) if c not in path and _issued(c, child)), None)
        if issuer is None:
            return None
        path.append(issuer)
        if issuer in trusted:
            return tuple(path)
    return None


def _issued(issuer: x509.Certificate, child: x509.Certificate) -> bool:
    """True when `issuer` is an authority and signed `child`.

    A certificate with an application URI is a device's, never an authority's, whatever it says of itself:
    many self-signed ones call themselves an authority, and could speak for every other device.
    """
    if issuer == child or uris_of(issuer) or not _may_issue(issuer):
        return False
    algorithm = child.signature_hash_algorithm
    try:
        child.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return algorithm is not None and algorithm.name in _HASHES


def _may_issue(issuer: x509.Certificate) -> bool:
    try:
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except (x509.ExtensionNotFound, ValueError):
        return False


def _refuse_weak(leaf: x509.Certificate) -> None:
    key = leaf.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size not in _KEY_BITS:
        raise ConfigurationError(
            f"{_called(leaf)} has a key the policies do not allow: RSA of 2048 to 4096 bits"
        )


def _time(certificate: x509.Certificate, now: datetime, accept_expired: bool) -> Iterator[str]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    clock = f"this gateway's clock says {now:%Y-%m-%d %H:%M} UTC"
    if now > end:
        text = f"{_called(certificate)} expired on {end:%Y-%m-%d}; {clock}"
        if not accept_expired:
            raise ConfigurationError(
                f"{text}: set the clock if it is wrong; else renew the certificate on the server, or write "
                "accept_expired = true until that is done"
            )
        yield text
    elif now < begin:
        yield f"{_called(certificate)} is valid from {begin:%Y-%m-%d}; {clock}: it seems not to be set"
    elif end - now < _RENEW:
        yield f"{_called(certificate)} expires on {end:%Y-%m-%d}: renew it before it keeps us out"


def _hosts(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return [*names.get_values_for_type(x509.DNSName), *addresses]


def _names_host(certificate: x509.Certificate, host: str) -> bool:
    """By its full name, its first label where the certificate gives no more, or its address."""
    wanted = {host.lower()}
    try:
        wanted.add(str(ipaddress.ip_address(host)))
    except ValueError:
        wanted.add(host.lower().partition(".")[0])
    return not wanted.isdisjoint(name.lower() for name in _hosts(certificate))


def _called(certificate: x509.Certificate) -> str:
    return f"the certificate {common_name(certificate)!r} (SHA-256 {thumbprint(certificate)})"


def _unknown(leaf: x509.Certificate, pki: Path) -> str:
    try:
        file = str(keep_rejected(pki, leaf))
    except OSError as error:
        file = f"the server's certificate (it could not be stored in {pki / 'rejected'}: {error})"
    return (
        f"{_called(leaf)} of the server is not trusted: compare the thumbprint with the one that the server "
        f"itself shows; only if they are equal, move {file} to {pki / 'trusted'}; it counts from the next try"
    )
