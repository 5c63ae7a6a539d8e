"""Names and addresses of machines, as far as they can be told without asking anybody. Pure."""

import ipaddress
import re
from urllib.parse import urlsplit

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")  # RFC 1123 2.1; "_" is met in plants
_LONGEST = 253  # characters of a name (RFC 1035 2.3.4: 255 octets with the lengths)


def is_host(text: str) -> bool:
    """True for an IPv4 or IPv6 address (also with a zone), or a name that DNS or a hosts file can have."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        return True
    labels = text.removesuffix(".").split(".")
    if len(text) > _LONGEST or labels[-1].isdigit():  # a name never ends like an address (RFC 3696 2)
        return False
    return all(_LABEL.fullmatch(label) for label in labels)


def has_host(url: str) -> bool:
    """True when the address of a server names a host, and a port that can be where it names one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host, bracketed = parts.hostname or "", "[" in parts.netloc
    return bracketed == (":" in host) and port != 0 and is_host(host)
