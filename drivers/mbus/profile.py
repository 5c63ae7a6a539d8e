"""The profile of an M-Bus meter: which records of its telegrams the house's registers are."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from drivers.mbus.records import Function
from drivers.mbus.telegram import HEADER_QUANTITIES
from drivers.mbus.vif import SYMBOLS, fits
from drivers.profile_base import FailSafe, Header, Register, Strict, unknown_registers
from drivers.units import Unit

_PLAIN = (Unit.STATE, Unit.ONE)


class MBusRegister(Register):
    """One record of the telegram, found by what it means and never by its place.

    A record is taken only if all of this fits it: one with qualifiers (VIFEs) that are not named here is
    another value. The header's quantities (identification_number, manufacturer, version, medium,
    access_number, status) need no record.
    """

    quantity: str
    """What the VIF means: energy, volume, volume_flow, power, flow_temperature, error_flags, maker, ..."""
    unit: Unit
    """The unit of `low`, `high` and `rolls_over`; the meter may send any other of the same dimension."""
    function: Function = Function.INSTANTANEOUS
    """instantaneous, maximum, minimum, or error: a value of the time the meter was in an error state."""
    storage: Annotated[int, Field(ge=0)] = 0
    """0 is now, 1 mostly the last billing day."""
    tariff: Annotated[int, Field(ge=0)] = 0
    subunit: Annotated[int, Field(ge=0)] = 0
    qualifiers: tuple[str, ...] = ()
    """What the VIFEs add, in their order: "forward", "backward", "maker:07", ..."""
    bit: Annotated[int, Field(ge=0, le=63)] | None = None
    """One bit of a number (0 the lowest), as 0 or 1."""
    write: None = None

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.quantity not in SYMBOLS and self.quantity not in HEADER_QUANTITIES:
            known = ", ".join(sorted(HEADER_QUANTITIES | SYMBOLS.keys()))
            raise ValueError(f"quantity {self.quantity!r} is none of {known}")
        plain = self.quantity in HEADER_QUANTITIES and self.unit in _PLAIN
        if not plain and not (self.quantity in SYMBOLS and fits(self.quantity, self.unit)):
            raise ValueError(f"{self.quantity} is never sent in anything that converts to {self.unit}")
        return self


class MBusOptions(Strict):
    """How the meter wants to be asked, and how far its own complaints count."""

    turnaround_s: Annotated[float, Field(ge=0, le=10)] = 0.05
    """The time it takes to begin its answer."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often a request is repeated after silence or a spoilt answer: a sleeping meter needs one."""
    reset: bool = True
    """Begin each reading with SND_NKE, which must be answered; false for a meter that does not know it."""
    pages: tuple[Annotated[str, Field(pattern=r"^[0-9A-F]{2}( [0-9A-F]{2})*$")], ...] = ()
    """CI and data in hex, one to be sent before each request: "50" (reset), "51 01 FF 08 03" (a page)."""
    max_telegrams: Annotated[int, Field(ge=1, le=64)] = 8
    """Of one page; more are not asked for, whatever the meter announces."""
    answer_bytes: Annotated[int, Field(ge=9, le=261 * 64)] = 160
    """How long its answer is, all telegrams of a page together: for the time budget of the line."""
    doubtful_status: Annotated[int, Field(ge=0, le=255)] = 0x1B
    """Bits of the status that make values UNCERTAIN: 03 application, 08 permanent, 10 temporary error."""


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
