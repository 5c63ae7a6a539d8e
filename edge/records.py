"""Words that several rooms of the house share: causes, holders, commands, journal entries. Pure data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TypeAlias

# What a journal body may hold: what msgpack can carry and a stranger can read.
Plain: TypeAlias = "str | int | float | bool | Sequence[Plain] | Mapping[str, Plain] | None"


class Cause(StrEnum):
    """Why a circuit has no heat, as far as the evidence goes."""

    SOURCE = "source"  # the primary network: supply temperature, flow or differential pressure is missing
    POWER = "power"  # mains power of the station
    WATER = "water"  # make-up water: the system cannot hold its pressure (burst, leak, dry tank)
    EQUIPMENT = "equipment"  # the station's own pump, valve, exchanger or sensor
    UNKNOWN = "unknown"


class Holder(IntEnum):
    """Who may hold an output; the smaller number wins (design, invariant 2)."""

    INTERLOCK = 0
    FROST = 1
    TECHNICIAN = 2
    REMOTE = 3
    AUTOMATIC = 4
    SAFE = 5  # nobody decides yet: inputs have not reported


@dataclass(frozen=True, slots=True)
class Command:
    """A value wanted at an output point. `until` is monotonic (s): not renewed by then, it is void."""

    point: str
    value: float
    holder: Holder
    reason: str  # key of the text catalogue
    until: float
    who: str = ""  # the person, where one asked


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `occurred` and `detected` are wall times (Unix s); they may differ by design.

    `kind` is dotted lower case (`outage.started`, `alarm.raised`, `control.substituted`), `subject` what it
    happened to (a circuit, a device, `station`), `body` the evidence, plain values only.
    """

    kind: str
    subject: str
    occurred: float
    detected: float
    body: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CircuitView:
    """What control thinks of one circuit in this cycle: for judging, recording and showing.

    Temperatures in degC, valve in % of stroke; None where it is not known. `heating` is True when the circuit
    is due to give heat (season, not off); `ready` when every required input has reported once.
    """

    heating: bool
    ready: bool
    setpoint_c: float | None
    outdoor_c: float | None  # as used: filtered, mixed, substituted
    valve_percent: float | None  # commanded
    holder: Holder
    limited_by: str  # key of what bounds the setpoint or the valve now, "" when nothing does
