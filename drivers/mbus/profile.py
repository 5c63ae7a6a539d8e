"""The profile of an M-Bus meter: which records of its telegram the house's registers are."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.profile_base import FailSafe, Header, Register, Strict, unknown_registers
from drivers.units import Unit


class MBusRegister(Register):
    """One record of the telegram, found by what it means and never by its place.

    `quantity` is the meaning of the VIF (EN 13757-3); `unit` is delivered in, whatever the meter sends.
    """

    quantity: str
    unit: Unit
    function: Literal["instantaneous", "maximum", "minimum", "error"] = "instantaneous"
    storage: Annotated[int, Field(ge=0)] = 0
    tariff: Annotated[int, Field(ge=0)] = 0
    subunit: Annotated[int, Field(ge=0)] = 0
    write: None = None


class MBusOptions(Strict):
    """What the meter bears; `turnaround_s` is the time it takes to begin its answer."""

    turnaround_s: Annotated[float, Field(ge=0, le=10)] = 0.05


class MBusProfile(Strict):
    """A meter that speaks M-Bus."""

    profile: Header
    mbus: MBusOptions = MBusOptions()
    registers: Annotated[dict[str, MBusRegister], Field(min_length=1)]
    fail_safe: tuple[FailSafe, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        unknown_registers(self.fail_safe, self.registers)
        return self
