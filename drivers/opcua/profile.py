"""The profile of a device behind an OPC UA server: its variables, in a namespace given by its URI."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from drivers.opcua.identifier import parse_identifier
from drivers.profile_base import FailSafe, Header, Register, Strict, WriteRange, unknown_registers
from drivers.units import Unit

Stamps = Literal["scan", "receipt", "change"]


class OpcUaRegister(Register):
    """One variable of a server: `identifier` in the profile's namespace, `type` of the value.

    `i=1234` is a numeric identifier, `g=...` a GUID, `b=...` an opaque one (base64); `s=...` and every other
    text are string identifiers.
    """

    identifier: str
    type: Literal["Boolean", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float", "Double"]
    unit: Unit
    scale: Annotated[float, Field(ge=1e-12)] = 1.0
    write: WriteRange | None = None

    @field_validator("identifier")
    @classmethod
    def _readable(cls, text: str) -> str:
        parse_identifier(text)
        return text

    @model_validator(mode="after")
    def _boolean_is_state(self) -> Self:
        if self.type == "Boolean" and (self.unit is not Unit.STATE or self.scale != 1.0):
            raise ValueError('a Boolean needs unit = "state" and no scale')
        return self


class OpcUaOptions(Strict):
    """Namespace by URI (its index may change) and what the server's time stamps mean.

    `stamps = "scan"`: the source stamps every scan by a clock that is right: an old stamp is an old value.
    `stamps = "receipt"`: it stamps every scan, but by a clock that is wrong (a PLC that thinks it is 2000): a
    value counts from the arrival of its stamp, and one whose stamp stands still grows old.
    `stamps = "change"`: it stamps changes only; a value is then as fresh as the subscription's last sign of
    life, and a program that stands still behind a living server is not noticed.
    """

    namespace: str
    stamps: Stamps = "scan"


class OpcUaProfile(Strict):
    """A device behind an OPC UA server."""

    profile: Header
    opcua: OpcUaOptions
    registers: Annotated[dict[str, OpcUaRegister], Field(min_length=1)]
    fail_safe: tuple[FailSafe, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        unknown_registers(self.fail_safe, self.registers)
        return self
