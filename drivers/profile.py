"""A device profile: its registers, where they live and what they mean. TOML data into frozen models.

`address` is always the address on the wire (counted from 0); `documented` is what the maker's table prints.
Nothing here speaks to a device.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from drivers.errors import ConfigurationError
from drivers.units import Unit

WIDTH: dict[str, int] = {"u16": 1, "i16": 1, "u32": 2, "i32": 2, "f32": 2, "u64": 4, "i64": 4}
"""Registers of 16 bits that a value of each type occupies."""

Confidence = Literal["vendor", "field", "listed", "assumed", "own"]
"""Where a fact comes from: the maker's document, use in the field, a third party's list, an assumption, or
our own simulated device."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Header(_Strict):
    """Who made the device and how far its map may be believed."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    maker: str
    model: str
    protocol: Literal["modbus", "opcua", "memory"]
    source: str
    confidence: Confidence


class Limits(_Strict):
    """Inclusive limits in the register's unit; None is no limit."""

    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self


class ModbusWrite(_Strict):
    """Permission to write: a range in the register's unit, or the codes of a coded output by state."""

    function: Literal[6, 16] = 6
    low: float | None = None
    high: float | None = None
    states: dict[int, Annotated[int, Field(ge=0, le=0xFFFF)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.states and (self.low is not None or self.high is not None):
            raise ValueError("give either states or low and high, not both")
        if not self.states and (self.low is None or self.high is None or self.low >= self.high):
            raise ValueError("a writable register needs low below high, or states")
        if len(set(self.states.values())) != len(self.states):
            raise ValueError("two states share one code: a code read back could not be told apart")
        return self


class ModbusRegister(Limits):
    """One value of a Modbus device: value = raw * scale + offset, in `unit`.

    `sentinels` are raw bit patterns as unsigned numbers of the value's width (after word order), so that
    0x8000 marks an i16 as well. `bit` takes one bit (0 is the lowest) of a u16 as a state.
    """

    function: Literal[3, 4]
    address: Annotated[int, Field(ge=0, le=0xFFFF)]
    documented: str
    type: Literal["u16", "i16", "u32", "i32", "f32", "u64", "i64"]
    order: Literal["ABCD", "CDAB", "BADC", "DCBA"] = "ABCD"
    scale: float = 1.0
    offset: float = 0.0
    unit: Unit
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    sentinels: frozenset[Annotated[int, Field(ge=0)]] = frozenset()
    refresh_s: Annotated[float, Field(gt=0)] | None = None
    confidence: Confidence | None = None
    write: ModbusWrite | None = None

    @property
    def width(self) -> int:
        """Registers of 16 bits on the wire."""
        return WIDTH[self.type]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [text for broken, text in self._rules() if broken]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _rules(self) -> Iterable[tuple[bool, str]]:
        bit, write = self.bit is not None, self.write
        coded = write is not None and bool(write.states)
        plain = self.scale == 1.0 and self.offset == 0.0
        yield self.scale == 0.0, "scale must not be 0"
        yield self.address + self.width > 0x10000, "the value reaches beyond address 65535"
        yield any(mark >> (16 * self.width) for mark in self.sentinels), "a sentinel is wider than the type"
        yield (bit or coded) and self.unit is not Unit.STATE, 'a bit or a coded output needs unit = "state"'
        yield (bit or coded) and self.type != "u16", 'a bit or a coded output needs type = "u16"'
        yield (bit or coded) and not plain, "a bit or a coded output takes no scale or offset"
        yield bit and write is not None, "a single bit cannot be written: describe the whole word with states"
        yield write is not None and self.function == 4, "an input register (function 4) cannot be written"
        yield (
            write is not None and write.function == 6 and self.width > 1,
            ("function 6 writes one register only: use write.function = 16"),
        )


class ModbusOptions(_Strict):
    """What the device bears: registers per request, pause between requests, unused registers read through."""

    max_registers: Annotated[int, Field(ge=1, le=125)] = 125  # 125 is the protocol's limit for functions 3, 4
    gap_s: Annotated[float, Field(ge=0, le=10)] = 0.0
    merge_holes: Annotated[int, Field(ge=0, le=124)] = 16
    retries: Literal[0, 1] = 0


class ModbusProfile(_Strict):
    """A device that speaks Modbus."""

    profile: Header
    modbus: ModbusOptions = ModbusOptions()
    registers: Annotated[dict[str, ModbusRegister], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wide = [n for n, r in self.registers.items() if r.width > self.modbus.max_registers]
        if wide:
            raise ValueError(f"modbus.max_registers is too small to read {', '.join(wide)} in one request")
        return self


class WriteRange(_Strict):
    """Permission to write, with an inclusive range in the register's unit."""

    low: float
    high: float


class OpcUaRegister(Limits):
    """One variable of a server: string `identifier` in the profile's namespace, `type` of the value."""

    identifier: str
    type: Literal["Boolean", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float", "Double"]
    unit: Unit
    scale: Annotated[float, Field(ge=1e-12)] = 1.0
    refresh_s: Annotated[float, Field(gt=0)] | None = None
    confidence: Confidence | None = None
    write: WriteRange | None = None

    @model_validator(mode="after")
    def _boolean_is_state(self) -> Self:
        if self.type == "Boolean" and (self.unit is not Unit.STATE or self.scale != 1.0):
            raise ValueError('a Boolean needs unit = "state" and no scale')
        return self


class OpcUaOptions(_Strict):
    """Namespace by URI (its index may change) and what the server's time stamps mean.

    `stamps = "scan"`: the source stamps every scan, an old stamp is an old value. `stamps = "change"`: the
    source stamps only changes; a value is then as fresh as the subscription's last sign of life.
    """

    namespace: str
    stamps: Literal["scan", "change"] = "scan"


class OpcUaProfile(_Strict):
    """A device behind an OPC UA server."""

    profile: Header
    opcua: OpcUaOptions
    registers: Annotated[dict[str, OpcUaRegister], Field(min_length=1)]


class MemoryRegister(Limits):
    """A value held in memory."""

    unit: Unit
    refresh_s: Annotated[float, Field(gt=0)] | None = None
    write: WriteRange | None = None


class MemoryProfile(_Strict):
    """A device that exists only in memory."""

    profile: Header
    registers: Annotated[dict[str, MemoryRegister], Field(min_length=1)]


Profile = ModbusProfile | OpcUaProfile | MemoryProfile
_MODELS: dict[str, type[ModbusProfile] | type[OpcUaProfile] | type[MemoryProfile]] = {
    "modbus": ModbusProfile,
    "opcua": OpcUaProfile,
    "memory": MemoryProfile,
}

_REMEDIES: dict[str, str] = {
    "extra_forbidden": "no such key: remove it or correct its spelling",
    "missing": "this key is required: add it",
    "enum": "use one of the values listed",
    "literal_error": "use one of the values listed",
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
    model = _MODELS.get(protocol) if isinstance(protocol, str) else None
    if model is None:
        known = ", ".join(f'"{name}"' for name in _MODELS)
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
