"""The profile of a CJ/T 188 heat meter: which fields of its answer the house's registers are."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from drivers.profile_base import FailSafe, Header, Register, Strict, unknown_registers
from drivers.units import Unit


class Cjt188Register(Register):
    """One field of the answer."""

    field: str
    unit: Unit
    write: None = None


class Cjt188Options(Strict):
    """What the maker does his own way; `turnaround_s` is the time the meter takes to begin its answer."""

    turnaround_s: Annotated[float, Field(ge=0, le=10)] = 0.1


class Cjt188Profile(Strict):
    """A heat meter that speaks CJ/T 188."""

    profile: Header
    cjt188: Cjt188Options = Cjt188Options()
    registers: Annotated[dict[str, Cjt188Register], Field(min_length=1)]
    fail_safe: tuple[FailSafe, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        unknown_registers(self.fail_safe, self.registers)
        return self
