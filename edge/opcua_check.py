"""What a site says of an OPC UA connection: refused where it is less secure than it looks. Opens nothing."""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge.site import OpcUaServer

_SECURE_ONLY = ("policy", "security", "pki", "application_uri", "accept_expired")


@dataclass(frozen=True, slots=True)
class Fault:
    """A key of the bus, and a code of the text catalogue with the values its text names."""

    key: str
    code: str
    values: Mapping[str, str] = field(default_factory=dict)


def faults(bus: OpcUaServer, files: bool) -> Iterator[Fault]:
    """All faults of one connection; with `files` the password's file must be there and be nobody else's."""
    if not bus.insecure and bus.pki is None:
        yield Fault("insecure", "opcua_insecure")
    if bus.insecure:
        for key in _SECURE_ONLY:
            if key in bus.model_fields_set:
                yield Fault(key, "opcua_insecure_and", {"given": key})
        if bus.user is not None:
            yield Fault("user", "opcua_password_clear")
    if (bus.user is None) != (bus.password_file is None):
        yield Fault("user" if bus.user is None else "password_file", "opcua_login_half")
    if "@" in bus.url:
        yield Fault("url", "opcua_login_in_url")
    if files and bus.password_file is not None:
        yield from _password(Path(bus.password_file))


def _password(file: Path) -> Iterator[Fault]:
    if not file.is_file():
        yield Fault("password_file", "no_such_file", {"given": str(file)})
    elif file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        yield Fault("password_file", "password_readable", {"given": str(file)})
