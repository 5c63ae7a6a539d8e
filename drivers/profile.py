"""A device profile of any protocol, from its TOML file; every fault with file, key and remedy."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from drivers.cjt188.profile import Cjt188Profile
from drivers.errors import ConfigurationError
from drivers.mbus.profile import MBusProfile
from drivers.modbus.profile import ModbusProfile
from drivers.opcua.profile import OpcUaProfile
from drivers.profile_base import FailSafe, Header, Register, Strict, WriteRange
from drivers.units import Unit


class MemoryRegister(Register):
    """A value held in memory."""

    unit: Unit
    write: WriteRange | None = None


class MemoryProfile(Strict):
    """A device that exists only in memory."""

    profile: Header
    registers: Annotated[dict[str, MemoryRegister], Field(min_length=1)]
    fail_safe: tuple[FailSafe, ...] = ()


Profile = ModbusProfile | OpcUaProfile | MBusProfile | Cjt188Profile | MemoryProfile
MODELS: dict[str, type[Profile]] = {
    "modbus": ModbusProfile,
    "opcua": OpcUaProfile,
    "mbus": MBusProfile,
    "cjt188": Cjt188Profile,
    "memory": MemoryProfile,
}

_REMEDIES: dict[str, str] = {
    "extra_forbidden": "no such key: remove it or correct its spelling",
    "missing": "this key is required: add it",
    "enum": "use one of the values listed",
    "literal_error": "use one of the values listed",
    "string_type": "put it in quotes",
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "model_type": "write a table: { key = value }",
    "dict_type": "write a table: { key = value }",
    "tuple_type": "write a list: [ ... ]",
    "frozen_set_type": "write a list: [ ... ]",
}


def load_profile(path: Path) -> Profile:
    """Read one profile; ConfigurationError names the file, every faulty key and what to do about it."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error}): check the path and its rights"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not TOML ({error}): correct that line") from error
    return parse_profile(data, str(path))


def parse_profile(data: dict[str, Any], origin: str) -> Profile:
    """A profile from TOML data already read; `origin` is named in errors."""
    header = data.get("profile")
    protocol = header.get("protocol") if isinstance(header, dict) else None
    model = MODELS.get(protocol) if isinstance(protocol, str) else None
    if model is None:
        known = ", ".join(f'"{name}"' for name in MODELS)
        raise ConfigurationError(f"{origin}: profile.protocol: {protocol!r} is not known: use one of {known}")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_lines(error, origin))) from error


def _lines(error: ValidationError, origin: str) -> Iterable[str]:
    for item in error.errors(include_url=False):
        key = ".".join(str(part) for part in item["loc"]) or "(whole file)"
        remedy = _REMEDIES.get(item["type"], "correct this value")
        yield f"{origin}: {key}: {item['msg'].removeprefix('Value error, ')}: {remedy}"
