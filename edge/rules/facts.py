"""What the rules judge: facts of an outage, of a room's day, of the season. Frozen, no behaviour but checks.

A fact nobody established is None, never a guess: the verdicts then name it under `missing`.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from drivers import Reading, Unit
from edge.records import Cause


class Phase(StrEnum):
    """Where a day lies in the heating year."""

    OFF = "off"
    PREPARATION = "preparation"  # filling, pressure test, venting, trial run
    COMMISSIONING = "commissioning"  # hot commissioning before the season
    SEASON = "season"
    UNKNOWN = "unknown"  # the text names no season and the site has set none


@dataclass(frozen=True, slots=True)
class Expectation:
    """At `made_at` (Unix s) heat was expected back at `recovery` (Unix s), or nobody knew (None)."""

    made_at: float
    recovery: float | None


@dataclass(frozen=True, slots=True)
class OutageFacts:
    """A circuit without heat, or planned to be. Times are Unix s.

    `lost_at` is when heat was (or by plan will be) lost, `detected_at` when that became known: for a planned
    stop, when the plan was entered. `began` is `lost_at` by the clock as it was set since (None: it was not):
    lengths and deadlines count from it. `expected_recovery` is the present expectation; `expectations` are
    all that were ever made, so that a duty once raised by one does not vanish when it is revised.
    """

    id: str
    circuit: str
    lost_at: float
    detected_at: float
    cause: Cause = Cause.UNKNOWN
    ended_at: float | None = None
    expected_recovery: float | None = None
    expectations: tuple[Expectation, ...] = ()
    planned: bool = False
    announced_at: float | None = None  # when the users were told
    approved: bool | None = None  # a planned stop: did the authority approve it
    supply_cut: bool | None = None  # water or power was cut from outside; False: a burst, a breaker
    supplier_at_fault: bool | None = None  # the finding of a person; the pack's own rows stand where None
    user_fault: bool = False  # users altered the system, drew water, shut valves
    trial_run: bool = False
    maintenance: bool = False  # ordinary overhaul
    phase: Phase = Phase.SEASON  # of the day heat was lost
    began: float | None = None

    def __post_init__(self) -> None:
        if self.ended_at is not None and self.ended_at < self.lost_at:
            raise ValueError(f"outage {self.id} ends before heat was lost")

    @property
    def known(self) -> tuple[Expectation, ...]:
        """Every expectation, the present one with them (made at the detection unless the list dates it)."""
        present = Expectation(self.detected_at, self.expected_recovery)
        listed = any(made.recovery == self.expected_recovery for made in self.expectations)
        return self.expectations if listed else (*self.expectations, present)

    @property
    def start(self) -> float:
        """When heat was lost by the present clock (Unix s)."""
        return self.lost_at if self.began is None else self.began

    def duration(self, now: float) -> float:
        """Seconds without heat up to `now` or the end; 0 before the start."""
        end = now if self.ended_at is None else self.ended_at
        return max(0.0, end - self.start)


@dataclass(frozen=True, slots=True)
class UsageRates:
    """Heat-usage rates in %: of the whole estate, and of the riser zone the room hangs on."""

    estate_percent: float
    zone_percent: float


@dataclass(frozen=True, slots=True)
class RoomDay:
    """One room on one local day with its readings (degC, each with its own time)."""

    room: str
    day: date
    readings: tuple[Reading, ...]
    usage: UsageRates | None = None  # else the site's parameters
    contract_c: float | None = None  # the contract's figure; else the site's parameter
    residential: bool = True
    supplier_at_fault: bool | None = None
    user_fault: bool = False
    trial_run: bool = False
    maintenance: bool = False
    cause: Cause = Cause.UNKNOWN  # of an outage that cooled the room
    supply_cut: bool | None = None
    phase: Phase = Phase.SEASON

    def __post_init__(self) -> None:
        strange = {reading.unit for reading in self.readings} - {Unit.CELSIUS}
        if strange:
            raise ValueError(f"readings of room {self.room} must be in degC, not {sorted(strange)}")


@dataclass(frozen=True, slots=True)
class RoomPlace:
    """Where a measured room lies, in the words of `edge.site.Room`; heights, distances in m where known."""

    room: str
    position: str
    floor: str
    orientation: str
    height_m: float | None = None
    wall_distance_m: float | None = None


@dataclass(frozen=True, slots=True)
class SeasonSetting:
    """The season as the site has it: where the text is silent, or by an order of the government.

    An order carries its document number, who entered it and when (Unix s).
    """

    start: date
    end: date
    document: str | None = None
    entered_by: str | None = None
    entered_at: float | None = None

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"the season must end after it starts, not {self.start} to {self.end}")

    @property
    def is_order(self) -> bool:
        """True when the setting names its document, who entered it and when."""
        return bool(self.document and self.entered_by) and self.entered_at is not None
