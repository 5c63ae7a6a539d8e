"""The profile of a Modbus device: its registers, where they live and what they mean.

`address` is always the address on the wire (counted from 0); `documented` is what the maker's table prints.
"""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.profile_base import FailSafe, Header, Register, Strict, WriteRules, unknown_registers
from drivers.units import Unit

WIDTH: dict[str, int] = {
    "bool": 1,
    "u16": 1,
    "i16": 1,
    "u32": 2,
    "i32": 2,
    "f32": 2,
    "u64": 4,
    "i64": 4,
    "bcd16": 1,
    "bcd32": 2,
}
"""Registers of 16 bits (for a `bool`: coils) that a value of each type occupies."""

_COILS = frozenset({1, 2})


class ModbusWrite(WriteRules):
    """Permission to write: a range in the register's unit, or the codes of a coded output by state."""

    function: Literal[5, 6, 16] = 6
    """5 writes a coil, 6 one register, 16 several (values of 32 and 64 bits)."""
    low: float | None = None
    """The lowest value that may be written, in the register's unit."""
    high: float | None = None
    """The highest value that may be written, in the register's unit."""
    states: dict[int, Annotated[int, Field(ge=0, le=0xFFFF)]] = Field(
        default_factory=dict, json_schema_extra={"propertyNames": {"pattern": "^-?[0-9]+$"}}
    )
    """The code on the wire of each state: { 0 = 0x043C, 1 = 0x047C }; any other code read is BAD."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.function == 5:
            if self.states or self.low is not None or self.high is not None:
                raise ValueError("a coil (function 5) is written as 0 or 1: it takes no states, low or high")
            return self
        if self.states and (self.low is not None or self.high is not None):
            raise ValueError("give either states or low and high, not both")
        if not self.states and (self.low is None or self.high is None or self.low >= self.high):
            raise ValueError("a writable register needs low below high, or states")
        if len(set(self.states.values())) != len(self.states):
            raise ValueError("two states share one code: a code read back could not be told apart")
        return self


class ModbusRegister(Register):
    """One value of a Modbus device: value = raw * scale + offset, in `unit`.

    `sentinels` are raw bit patterns as unsigned numbers of the value's width (after word order), so that
    0x8000 marks an i16 as well. `bit` takes one bit (0 is the lowest) of a u16 as a state.
    """

    function: Literal[1, 2, 3, 4]
    """1 reads coils, 2 discrete inputs, 3 holding registers, 4 input registers."""
    address: Annotated[int, Field(ge=0, le=0xFFFF)]
    """The address on the wire, counted from 0: for maps that count from 1, one less than documented."""
    documented: str
    """What the maker's table prints for it."""
    type: Literal["bool", "u16", "i16", "u32", "i32", "f32", "u64", "i64", "bcd16", "bcd32"]
    """How the raw number is written: bool (coils, inputs), unsigned, signed, float, binary-coded decimal."""
    order: Literal["ABCD", "CDAB", "BADC", "DCBA"] = "ABCD"
    """Order of the bytes of a value, highest A: ABCD is high word first, CDAB low word first."""
    scale: float = 1.0
    """value = raw * scale + offset, in `unit`."""
    offset: float = 0.0
    """value = raw * scale + offset, in `unit`."""
    unit: Unit
    """The unit of the value; "state" for codes, bits and coils, "1" for bare numbers."""
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    """One bit of a u16, the lowest is 0; the value is then 0 or 1."""
    sentinels: frozenset[Annotated[int, Field(ge=0)]] = frozenset()
    """Raw patterns that mean "no value", as unsigned numbers of the value's width after word order."""
    write: ModbusWrite | None = None
    """Permission to write it; without this table nobody can."""

    @property
    def width(self) -> int:
        """Registers of 16 bits on the wire."""
        return WIDTH[self.type]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [text for broken, text in (*self._rules(), *self._write_rules()) if broken]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _rules(self) -> Iterable[tuple[bool, str]]:
        bit, coil = self.bit is not None, self.function in _COILS
        coded = self.write is not None and bool(self.write.states)
        plain = self.scale == 1.0 and self.offset == 0.0
        state = bit or coded or coil
        yield self.scale == 0.0, "scale must not be 0"
        yield self.address + self.width > 0x10000, "the value reaches beyond address 65535"
        yield any(mark >> (16 * self.width) for mark in self.sentinels), "a sentinel is wider than the type"
        yield coil != (self.type == "bool"), 'functions 1 and 2 go with type = "bool", and only they'
        yield state and self.unit is not Unit.STATE, 'a bit, a coil or a coded output needs unit = "state"'
        yield (bit or coded) and self.type != "u16", 'a bit or a coded output needs type = "u16"'
        yield state and not plain, "a bit, a coil or a coded output takes no scale or offset"
        yield (
            self.total is not None and self.unit is Unit.STATE,
            'a totaliser counts something: unit = "state" takes no total',
        )

    def _write_rules(self) -> Iterable[tuple[bool, str]]:
        write = self.write
        if write is None:
            return
        yield self.bit is not None, "a single bit cannot be written: describe the whole word with states"
        yield self.function in {2, 4}, f"an input (function {self.function}) cannot be written"
        yield (self.function == 1) != (write.function == 5), "coils are written by function 5, and only they"
        yield (
            write.function == 6 and self.width > 1,
            "function 6 writes one register only: use write.function = 16",
        )
        yield (
            self._beyond(write),
            "write.low or write.high beyond low and high: what is written would read as BAD",
        )

    def _beyond(self, write: ModbusWrite) -> bool:
        below = self.low is not None and write.low is not None and write.low < self.low
        above = self.high is not None and write.high is not None and write.high > self.high
        return below or above


class ModbusOptions(Strict):
    """What the device bears: registers per request, pauses, unused registers read through, connections.

    `gap_s` is the pause between two requests to this device; `turnaround_s` the time it takes to begin its
    answer (for the line's time budget); `connections` how many it allows over TCP, None when nobody says.
    """

    max_registers: Annotated[int, Field(ge=1, le=125)] = 125  # 125 is the protocol's limit for functions 3, 4
    """Registers the device gives in one request."""
    gap_s: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Pause between two requests to this device, s."""
    turnaround_s: Annotated[float, Field(ge=0, le=10)] = 0.01  # 5 to 50 ms are seen on RS-485
    """Time it takes to begin its answer, s; counts in the time budget of a serial line."""
    merge_holes: Annotated[int, Field(ge=0, le=124)] = 16
    """Unused registers that are read along to save a request; 0 where unused addresses are refused."""
    retries: Literal[0, 1] = 0
    """1 asks once more after silence: for meters that sleep."""
    connections: Annotated[int, Field(ge=1, le=64)] | None = None
    """Connections the device allows over TCP; leave out if nobody says."""


class ModbusProfile(Strict):
    """A device that speaks Modbus."""

    profile: Header
    modbus: ModbusOptions = ModbusOptions()
    registers: Annotated[dict[str, ModbusRegister], Field(min_length=1)]
    fail_safe: tuple[FailSafe, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wide = [n for n, r in self.registers.items() if r.width > self.modbus.max_registers]
        if wide:
            raise ValueError(f"modbus.max_registers is too small to read {', '.join(wide)} in one request")
        unknown_registers(self.fail_safe, self.registers)
        return self
