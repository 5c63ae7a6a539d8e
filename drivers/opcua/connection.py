"""How a session is opened: find the endpoint, decide about its certificate, then speak, then log in.

Nothing secret is sent before the server's certificate is believed (drivers.opcua.trust). The endpoints are
asked for in the clear, as every client must; a lie there costs the connection and nothing else: the channel
is made with the certificate that was believed, and policy and mode are those of the site.
"""

import asyncio
import logging
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.uaerrors import UaError
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from drivers.errors import (
    ClosedError,
    ConfigurationError,
    DeviceError,
    LocalProtocolError,
    UntrustedError,
)
from drivers.opcua.faults import DISTRUST, translated
from drivers.opcua.pki import Identity, own
from drivers.opcua.trust import believe, require_application
from drivers.settings import OpcUaBus, Policy

POLICIES: dict[Policy, type[security_policies.SecurityPolicy]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128Sha256RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256Sha256RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_BY_URI: dict[str, str] = {policy.URI: name for name, policy in POLICIES.items()}
_log = logging.getLogger("drivers.opcua")


class CarefulClient(Client):
    """asyncua's client, except that no password leaves in the clear and every refusal is an error."""

    async def open_secure_channel(self, renew: bool = False) -> None:
        """Open or renew; a refusal that asyncua cannot read is a ConnectionError.

        node-opcua refuses an unknown certificate by a ServiceFault, which the library takes for half an
        answer: it hangs up, and then finds with an assertion that it has no channel.
        """
        try:
            await super().open_secure_channel(renew)
        except AssertionError as error:
            raise ConnectionError("the server refused the secure channel") from error

    async def activate_session(
        self,
        username: str | None = None,
        password: str | None = None,
        certificate: x509.Certificate | None = None,
    ) -> ua.ActivateSessionResult:
        """Log in; LocalProtocolError where neither channel nor token would be encrypted.

        Under `Sign` the server may ask for the password as it is (token policy None), and asyncua would obey.
        """
        if username is not None:
            token = self.server_policy(ua.UserTokenType.UserName).SecurityPolicyUri
            sealed = self.security_policy.Mode is ua.MessageSecurityMode.SignAndEncrypt
            if token not in _BY_URI and not sealed:
                raise LocalProtocolError(
                    "the server asks for the password in the clear: use security = SignAndEncrypt, or have "
                    "it encrypt the tokens of its users"
                )
        return await super().activate_session(username, password, certificate)


async def identity(bus: OpcUaBus) -> Identity | None:
    """Who we are to the server; None where the site says insecure. Making a key takes seconds."""
    if bus.pki is None:
        return None
    return await asyncio.to_thread(own, bus.pki, bus.application_uri)


async def connect(client: Client, bus: OpcUaBus, us: Identity | None, now: float) -> None:
    """Connect, believe, log in; DriverError. `now` (Unix s) is what validity is judged by."""
    if bus.user is not None:
        client.set_user(bus.user)
        client.set_password(_password(bus))
    if us is None:
        with translated(bus.url):
            await client.connect()
        return
    client.application_uri = us.application_uri
    await _secure(client, bus, us, datetime.fromtimestamp(now, UTC))
    try:
        with translated(bus.url):
            await client.connect()
    except DeviceError as error:
        if error.code not in DISTRUST:
            raise
        raise DeviceError(f"{error}: {_introduce(us)}", error.code) from error
    except ClosedError as error:  # so some servers answer whom they do not trust
        raise ClosedError(f"{error}: {_introduce(us)}") from error


def _introduce(us: Identity) -> str:
    return f"on the server, trust this gateway's certificate {us.certificate} (SHA-256 {us.thumbprint})"


async def _secure(client: Client, bus: OpcUaBus, us: Identity, now: datetime) -> None:
    endpoint = await _endpoint(bus)
    assert bus.pki is not None
    host = urlsplit(bus.url).hostname or ""
    try:
        believed = await asyncio.to_thread(
            believe, endpoint.ServerCertificate or b"", bus.pki, host, now, bus.accept_expired
        )
    except UntrustedError as error:
        raise UntrustedError(f"{bus.url}: {error}", error.name, error.thumbprint) from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{bus.url}: {error}") from error
    for warning in believed.warnings:
        _log.warning("%s: %s", bus.url, warning)
    client.certificate_validator = _same_application
    try:
        await client.set_security(
            POLICIES[bus.policy],
            certificate=CertProperties(us.certificate, "der"),
            private_key=CertProperties(us.key, "pem"),
            server_certificate=CertProperties(believed.certificate.public_bytes(Encoding.DER), "der"),
            mode=ua.MessageSecurityMode[bus.security],
        )
    except (OSError, ValueError, UaError) as error:
        raise ConfigurationError(f"{bus.url}: our certificate or key cannot be used ({error})") from error


async def _same_application(certificate: x509.Certificate, application: ua.ApplicationDescription) -> None:
    """What asyncua asks between secure channel and login, with what the server says of itself there."""
    require_application(certificate, application.ApplicationUri)


async def _endpoint(bus: OpcUaBus) -> ua.EndpointDescription:
    """The server's endpoint with policy and mode of the site; ConfigurationError names what it has."""
    with translated(bus.url):
        endpoints = await Client(bus.url, timeout=bus.timeout_s).connect_and_get_server_endpoints()
    wanted = (POLICIES[bus.policy].URI, ua.MessageSecurityMode[bus.security])
    for endpoint in endpoints:
        if (endpoint.SecurityPolicyUri, endpoint.SecurityMode) == wanted:
            return endpoint
    raise ConfigurationError(
        f"{bus.url}: the server does not offer policy = {bus.policy} with security = {bus.security}, but "
        f"{_offers(endpoints)}: choose one of these, or switch it on in the server"
    )


def _offers(endpoints: Sequence[ua.EndpointDescription]) -> str:
    return (
        ", ".join(sorted({f"{_policy_name(e)} with {e.SecurityMode.name.rstrip('_')}" for e in endpoints}))
        or "nothing"
    )


def _policy_name(endpoint: ua.EndpointDescription) -> str:
    uri = str(endpoint.SecurityPolicyUri)
    return _BY_URI.get(uri, uri.rpartition("#")[2])


def _password(bus: OpcUaBus) -> str:
    if bus.password_file is None:
        return ""
    try:
        if bus.password_file.stat().st_mode & stat.S_IROTH:
            _log.warning("%s: everybody on this gateway can read the password: chmod 0640", bus.password_file)
        return bus.password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{bus.password_file}: the password cannot be read ({error})") from error
