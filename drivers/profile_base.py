"""What profiles of every protocol share: the maker, limits, permission to write, fail-safe registers.

TOML data into frozen models; the JSON Schema of `config/schemas/` is made from them. Speaks to no device.
"""

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Confidence = Literal["vendor", "field", "listed", "assumed", "own"]
"""Where a fact comes from: the maker's document, use in the field, a third party's list, an assumption, or
our own simulated device."""


class Strict(BaseModel):
    """Frozen, and strict about keys: what nobody reads is refused.

    The text under a field is its description in the JSON Schema, which editors show while one types.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Text(Strict):
    """A sentence people read, in both languages."""

    zh: str
    en: str


class Header(Strict):
    """Who made the device and how far its map may be believed."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    """The file's name without .toml; a site's device names it as `profile`."""
    maker: str
    model: str
    protocol: Literal["modbus", "opcua", "mbus", "cjt188", "memory"]
    """Which kind of bus the device stands on; a table of the same name holds the options of the protocol."""
    source: Annotated[str, Field(min_length=1)]
    """The document or the field use that the map was taken from, so that another can look it up."""
    confidence: Confidence
    """How far the map may be believed: the maker's own document (vendor), seen working in the field (field),
    a third party's list (listed), assumed, or our own simulated device (own)."""


class Limits(Strict):
    """Inclusive limits in the register's unit; None is no limit."""

    low: float | None = None
    """The lowest value the device can mean, in the register's unit: a lower one is BAD."""
    high: float | None = None
    """The highest value the device can mean, in the register's unit: a higher one is BAD."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self


class Totaliser(Strict):
    """Marks a register that only ever counts up (energy, volume, hours).

    `rolls_over` is the first number it cannot show, in the register's unit: 100000000 for eight digits. None
    where the maker's text does not say; a drop then counts as a reset or an exchange, never as a roll-over.
    """

    rolls_over: Annotated[Decimal, Field(gt=0)] | None = None
    """The first number the register cannot show, in its unit: 100000000 for eight digits."""


class Register(Limits):
    """What every register has, whatever its protocol.

    `refresh_s` is how often the device itself renews the value: asking more often brings nothing new.
    """

    refresh_s: Annotated[float, Field(gt=0)] | None = None
    """How often the device itself renews the value, s; asking more often brings nothing, costs batteries."""
    total: Totaliser | None = None
    """Marks a register that only counts up: `total = {}`, or with the number at which it rolls over."""
    confidence: Confidence | None = None
    """Where this one register is known worse or better than the map as a whole."""


class WriteRules(Strict):
    """How a register may be written, whatever its protocol.

    `interval_s`: no sooner after the last write. `per_day`: writes a day that the device's memory bears
    (EEPROM), None where it is volatile. `read_back`: the register can be read and shows what was written.
    """

    interval_s: Annotated[float, Field(ge=0, le=86400)] = 0.0
    """No sooner after the last write, s."""
    per_day: Annotated[int, Field(ge=1)] | None = None
    """Writes a day that the device's non-volatile memory bears; leave out for values that are volatile."""
    read_back: bool = True
    """The register can be read and shows what was written; false for commands that clear themselves."""


class WriteRange(WriteRules):
    """Permission to write, with an inclusive range in the register's unit."""

    low: float
    """The lowest value that may be written, in the register's unit."""
    high: float
    """The highest value that may be written, in the register's unit."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self


class FailSafe(Strict):
    """A register that decides what the device does when nobody renews its setpoint, and what it should hold.

    Expected is one of `one_of`, or a value from `low` to `high`, in the register's unit. `why` tells a
    technician what the wrong value would do.
    """

    register_: Annotated[str, Field(alias="register")]
    """Name of a register of this profile."""
    one_of: tuple[float, ...] = ()
    """Values it may hold."""
    low: float | None = None
    """The lowest value it may hold, in the register's unit."""
    high: float | None = None
    """The highest value it may hold, in the register's unit."""
    why: Text
    """What a wrong value would do, in a sentence for the technician."""

    @model_validator(mode="after")
    def _expects(self) -> Self:
        if bool(self.one_of) == (self.low is not None or self.high is not None):
            raise ValueError("give either one_of, or low and high")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low} must not be above high {self.high}")
        return self

    def accepts(self, value: float) -> bool:
        """True when the device holds what it should."""
        if self.one_of:
            return value in self.one_of
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def unknown_registers(fail_safe: Iterable[FailSafe], registers: Collection[str]) -> None:
    """ValueError when a fail-safe rule names a register that the profile does not have."""
    unknown = [rule.register_ for rule in fail_safe if rule.register_ not in registers]
    if unknown:
        known = ", ".join(registers)
        raise ValueError(
            f"fail_safe names registers that do not exist: {', '.join(unknown)} (there are {known})"
        )
