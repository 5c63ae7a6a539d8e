"""What the tests of the drivers share: profiles in a few lines."""

from collections.abc import Mapping
from typing import Any

from drivers.profile import Profile, parse_profile


def make_profile(protocol: str, registers: Mapping[str, Mapping[str, object]], **options: object) -> Profile:
    """A profile from plain data; `options` fill the protocol's own table."""
    header = {
        "id": "device",
        "maker": "maker",
        "model": "model",
        "protocol": protocol,
        "source": "test",
        "confidence": "own",
    }
    data: dict[str, Any] = {"profile": header, "registers": {n: dict(r) for n, r in registers.items()}}
    if options:
        data[protocol] = options
    return parse_profile(data, "test")
