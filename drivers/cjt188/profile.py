"""The profile of a CJ/T 188 heat meter: its maker's ways, and which fields of its answer registers are."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.cjt188.address import Scheme
from drivers.cjt188.units import Kind
from drivers.cjt188.values import STANDARD_DECIMALS, Layout
from drivers.profile_base import FailSafe, Header, Register, Strict, unknown_registers
from drivers.units import Unit, factor

Amounts = Literal[
    "first_energy", "energy", "power", "flow", "volume", "supply_temperature", "return_temperature", "hours"
]
States = Literal["valve", "battery_low", "status", "meter_number"]

_UNITS: Mapping[str, Unit] = {
    "first_energy": Unit.KILOWATT_HOUR,
    "energy": Unit.KILOWATT_HOUR,
    "power": Unit.KILOWATT,
    "flow": Unit.CUBIC_METRE_PER_HOUR,
    "volume": Unit.CUBIC_METRE,
    "supply_temperature": Unit.CELSIUS,
    "return_temperature": Unit.CELSIUS,
    "hours": Unit.HOUR,
}
_COUNTERS = frozenset({"first_energy", "energy", "volume", "hours"})

Bit = Annotated[int, Field(ge=0, le=15)]


class Cjt188Register(Register):
    """One field of the answer. The meter states units itself; `unit` is that of `low` and `high`.

    Fields with `unit = "state"`: `valve` (0 open, 1 closed, 3 faulty or none), `battery_low`, `status` (the
    whole word, or its `bit`, the lowest of the first byte being 0), `meter_number` (as the address scheme
    reads it). `doubted_by` are bits of the status that make this value doubtful, by the maker's text.
    """

    field: Amounts | States
    unit: Unit
    bit: Bit | None = None
    doubted_by: tuple[Bit, ...] = ()
    write: None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [text for broken, text in self._rules() if broken]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _rules(self) -> Iterable[tuple[bool, str]]:
        base = _UNITS.get(self.field)
        yield not _converts(base or Unit.STATE, self.unit), f"{self.unit} is no unit of {self.field}"
        yield self.bit is not None and self.field != "status", 'only the field "status" has bits'
        yield base is None and bool(self.doubted_by), "a state is not doubted by the status it is part of"
        yield self.total is not None and self.field not in _COUNTERS, f"{self.field} counts nothing"
        yield (
            self.total is not None and self.total.rolls_over is not None,
            "leave rolls_over out: the answer's unit and decimals say when the meter rolls over",
        )


def _converts(source: Unit, target: Unit) -> bool:
    try:
        factor(source, target)
    except ValueError:
        return False
    return True


Places = Annotated[int, Field(ge=0, le=6)]


class Decimals(Strict):
    """Digits behind the point. Default: the standard's."""

    energy: Places = STANDARD_DECIMALS[Kind.ENERGY]
    power: Places = STANDARD_DECIMALS[Kind.POWER]
    flow: Places = STANDARD_DECIMALS[Kind.FLOW]
    volume: Places = STANDARD_DECIMALS[Kind.VOLUME]
    temperature: Places = STANDARD_DECIMALS[Kind.TEMPERATURE]

    def by_kind(self) -> Mapping[Kind, int]:
        """As the codec wants them."""
        return {**STANDARD_DECIMALS, **{Kind(name): places for name, places in self.model_dump().items()}}


class Cjt188Options(Strict):
    """What the maker does his own way; `turnaround_s` is the time the meter takes to begin its answer."""

    turnaround_s: Annotated[float, Field(ge=0, le=10)] = 0.1
    meter_type: Annotated[int, Field(ge=0, le=255)] = 0x20
    """T of a request: 0x20 heat, 0x21 cooling, 0x25 and 0x27 seen; 0xAA where any type may answer."""
    address_scheme: Scheme = "standard"
    identifier: Literal["901F", "1F90"] = "901F"
    """The order of DI0 DI1 in a request; answers are taken in either."""
    layout: Literal["auto", "value_unit", "unit_value"] = "auto"
    decimals: Decimals = Decimals()
    sequence: Annotated[int, Field(ge=0, le=255)] | None = None
    """SER of every request where the meter wants it fixed; else it counts, as the standard has it."""
    sequence_echoed: bool | None = None
    """True: an answer must bear SER of its request. False: it is not looked at. Left out: learned."""
    wake: Annotated[int, Field(ge=0, le=32)] = 4
    """Bytes FE before a request; the standard wants 2 to 4."""
    retries: Literal[0, 1, 2] = 1

    @property
    def fixed_layout(self) -> Layout | None:
        """The layout, None when it is found by the unit codes."""
        return None if self.layout == "auto" else self.layout


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
