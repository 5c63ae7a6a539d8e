"""The Pack: one document with all its sections, and the values a site has bound. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Self

from pydantic import Field

from edge.rules.outage_sections import (
    DutyRule,
    Exemption,
    OutageRefund,
    PlannedWork,
    Repair,
    RoomRefund,
    SupplierFault,
)
from edge.rules.problems import NotInForceError, PackError, Problem
from edge.rules.sections import (
    Document,
    MilestoneRule,
    Parameter,
    PassRate,
    PhaseRule,
    ReportRule,
    RoomCheck,
    RoomRule,
    Sampling,
    Season,
    SeasonChange,
    Section,
    Settlement,
    Statement,
    Topic,
    Validity,
)
from edge.rules.values import Value, value_problems


class Pack(Section):
    """One document. An absent section is named in `silent`, so that silence is said, not overlooked."""

    document: Document
    validity: Validity
    silent: tuple[Topic, ...] = ()
    season: Season | None = None
    season_changes: tuple[SeasonChange, ...] = ()
    phases: tuple[PhaseRule, ...] = ()
    milestones: tuple[MilestoneRule, ...] = ()
    room: RoomRule | None = None
    pass_rate: PassRate | None = None
    sampling: Sampling | None = None
    room_check: RoomCheck | None = None
    settlement: Settlement | None = None
    duties: tuple[DutyRule, ...] = ()
    planned_work: PlannedWork | None = None
    repair: Repair | None = None
    supplier_fault: SupplierFault | None = None
    exemptions: tuple[Exemption, ...] = ()
    refund_room: RoomRefund | None = None
    refund_outage: OutageRefund | None = None
    reports: tuple[ReportRule, ...] = ()
    statements: tuple[Statement, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    values: Mapping[str, Value] = Field(default_factory=dict)  # bound by the site, never by the pack's file

    @property
    def id(self) -> str:
        """The document's id, as `<city>-<year>`."""
        return self.document.id

    def in_force(self, day: date) -> bool:
        """True on the local days the document is in force, the first and the last included."""
        end = self.validity.to
        return self.validity.begin <= day and (end == "open" or day <= end)

    def require_in_force(self, day: date) -> None:
        """Raise NotInForceError, naming the document and its dates, when it is not in force on `day`."""
        if self.in_force(day):
            return
        end = "open end" if self.validity.to == "open" else f"to {self.validity.to}"
        title = f"{self.document.title} ({self.document.number})"
        reason = f"{title} is in force from {self.validity.begin}, {end}; {day} lies outside"
        remedy = "choose the pack of the document in force on that day"
        raise NotInForceError(self.id, (Problem("validity", reason, remedy),))

    def parameter(self, name: str) -> Parameter:
        """The declared parameter of that name; KeyError when the pack has none."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    def number(self, name: str | None) -> float | None:
        """The bound number, or None."""
        value = None if name is None else self.values.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def flag(self, name: str | None) -> bool | None:
        """The bound flag, or None."""
        value = None if name is None else self.values.get(name)
        return value if isinstance(value, bool) else None

    def text(self, name: str | None) -> str | None:
        """The bound choice, date or list of periods, or None."""
        value = None if name is None else self.values.get(name)
        return value if isinstance(value, str) else None

    def bind(self, values: Mapping[str, Value]) -> Self:
        """A copy with the site's parameters; PackError for a name or a value the pack does not know."""
        problems = tuple(value_problems(self.parameters, values))
        if problems:
            raise PackError(f"parameters of {self.id}", problems)
        return self.model_copy(update={"values": {**self.values, **values}})


def required_parameters(pack: Pack) -> tuple[Parameter, ...]:
    """The parameters the text leaves open, that the rules need and nobody has bound yet."""
    return tuple(one for one in pack.parameters if one.required and one.name not in pack.values)
