"""What profiles of every protocol share: the maker, limits, permission to write, fail-safe registers.

TOML data into frozen models; the JSON Schema of `config/schemas/` is made from them. Speaks to no device.
"""

from collections.abc import Container, Iterable
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Confidence = Literal["vendor", "field", "listed", "assumed", "own"]
"""Where a fact comes from: the maker's document, use in the field, a third party's list, an assumption, or
our own simulated device."""


class Strict(BaseModel):
    """Frozen, and strict about keys: what nobody reads is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Text(Strict):
    """A sentence people read, in both languages."""

    zh: str
    en: str


class Header(Strict):
    """Who made the device and how far its map may be believed."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    maker: str
    model: str
    protocol: Literal["modbus", "opcua", "mbus", "cjt188", "memory"]
    source: str
    confidence: Confidence


class Limits(Strict):
    """Inclusive limits in the register's unit; None is no limit."""

    low: float | None = None
    high: float | None = None

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


class Register(Limits):
    """What every register has, whatever its protocol.

    `refresh_s` is how often the device itself renews the value: asking more often brings nothing new.
    """

    refresh_s: Annotated[float, Field(gt=0)] | None = None
    total: Totaliser | None = None
    confidence: Confidence | None = None


class WriteRules(Strict):
    """How a register may be written, whatever its protocol.

    `interval_s`: no sooner after the last write. `per_day`: writes a day that the device's memory bears
    (EEPROM), None where it is volatile. `read_back`: the register can be read and shows what was written.
    """

    interval_s: Annotated[float, Field(ge=0, le=86400)] = 0.0
    per_day: Annotated[int, Field(ge=1)] | None = None
    read_back: bool = True


class WriteRange(WriteRules):
    """Permission to write, with an inclusive range in the register's unit."""

    low: float
    high: float


class FailSafe(Strict):
    """A register that decides what the device does when nobody renews its setpoint, and what it should hold.

    Expected is one of `one_of`, or a value from `low` to `high`, in the register's unit. `why` tells a
    technician what the wrong value would do.
    """

    register_: Annotated[str, Field(alias="register")]
    one_of: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    why: Text

    @model_validator(mode="after")
    def _expects(self) -> Self:
        if bool(self.one_of) == (self.low is not None or self.high is not None):
            raise ValueError("give either one_of, or low and high")
        return self

    def accepts(self, value: float) -> bool:
        """True when the device holds what it should."""
        if self.one_of:
            return value in self.one_of
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def unknown_registers(fail_safe: Iterable[FailSafe], registers: Container[str]) -> None:
    """ValueError when a fail-safe rule names a register that the profile does not have."""
    unknown = [rule.register_ for rule in fail_safe if rule.register_ not in registers]
    if unknown:
        raise ValueError(f"fail_safe names registers that do not exist: {', '.join(unknown)}")
