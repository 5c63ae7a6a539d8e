"""The sections of a pack about outages: duties, repair, whose fault it is, refunds. Data only.

Hours and days are the text's figures. `at_least` is the text's 以上 / 不低于 (the figure included),
`more_than` its 超过 (the figure excluded), as Chinese legal drafting has it (Civil Code, article 1259).
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edge.records import Cause
from edge.rules.facts import Phase
from edge.rules.sections import Cited, Hours, Key, Section, Temperature

Share = Annotated[float, Field(ge=0, le=1)]
Boundary = Literal["at_least", "more_than"]


class Trigger(Section):
    """When a duty arises: with a stop, planned or not, at once or past a number of hours.

    Hours count for the elapsed and for the expected time alike: the duty arises with the first of the two.
    """

    on: Literal["sudden", "planned", "any"]
    hours: Hours | None = None
    boundary: Boundary | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.hours is None) != (self.boundary is None):
            raise ValueError("`hours` and `boundary` go together")
        return self


class Deadline(Section):
    """Until when: `within` hours of the loss, `before` the planned stop, or only a word of urgency."""

    urgency: Literal["within", "before", "at_once", "promptly", "soonest", "repair_class"]
    hours: Hours | None = None
    days: Annotated[float, Field(ge=0)] | None = None
    hours_parameter: Key | None = None

    @model_validator(mode="after")
    def _figure(self) -> Self:
        given = (self.hours is not None, self.days is not None, self.hours_parameter is not None)
        wanted = {"within": [(True, False, False), (False, False, True)], "before": [(False, True, False)]}
        if given not in wanted.get(self.urgency, [(False, False, False)]):
            raise ValueError(
                "`within` takes `hours` or `hours_parameter`, `before` takes `days`, the others no figure"
            )
        return self


class DutyRule(Cited):
    """What must be done about an outage, to whom, until when, and what must be said."""

    id: Key
    recipient: Literal["authority", "safety_authority", "users", "operator"]
    trigger: Trigger
    deadline: Deadline
    contents: tuple[Literal["cause", "area", "expected_recovery"], ...] = ()
    phases: tuple[Phase, ...] = ()  # empty: the text does not limit the duty to a phase


class PlannedWork(Cited):
    """Planned work in the season that stops heat: forbidden, or only with approval."""

    rule: Literal["forbidden", "approval"]


class CauseRow(Section):
    """An outage's cause, and whether water or power was cut from outside.

    `presumed`: the cause alone is evidence enough unless a fact speaks against it. `proven`: it takes the
    fact. `not`: lost by a burst or a breaker, nothing was cut from outside.
    """

    cause: Cause
    supply_cut: Literal["proven", "presumed", "not"] | None = None


class RepairClass(Cited):
    """A class of accidents by the time in which heat can be back; repair deadline in h after the loss."""

    key: Key
    recoverable_within_h: Hours | None = None  # included; None: anything longer
    deadline_h: Hours
    deadline_from_h: Hours | None = None  # where the text gives a range


class Repair(Cited):
    """Repair classes, the shortest first, and the causes that are no accident of the heating plant."""

    classes: tuple[RepairClass, ...] = Field(min_length=1)
    not_for: tuple[CauseRow, ...] = ()


class SupplierRow(CauseRow):
    """Whose fault a cause is where nobody has found otherwise: a plain answer or the site's contract."""

    supplier: bool | None = None
    supplier_parameter: Key | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.supplier is None) == (self.supplier_parameter is None):
            raise ValueError("give either `supplier` or `supplier_parameter`")
        return self


class SupplierFault(Cited):
    """The words that make a refund depend on the supplier, and the causes that settle it."""

    rows: tuple[SupplierRow, ...] = ()


class Exemption(Cited):
    """The supplier does not answer: by cause, or by a flag of the facts."""

    id: Key
    by_cause: CauseRow | None = None
    by_flag: Literal["user_fault", "trial_run", "maintenance", "found_not_supplier"] | None = None
    covers: tuple[Literal["outage", "room"], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.by_cause is None) == (self.by_flag is None):
            raise ValueError("give either `by_cause` or `by_flag`")
        return self


class Band(Cited):
    """A band of room temperature (degC; `from_c` included, `below_c` excluded) and the refunded share."""

    from_c: Temperature | None = None
    below_c: Temperature
    share: Share


class RoomRefund(Cited):
    """Refund for a day below standard: by bands, or by a share the contract names."""

    kind: Literal["bands", "by_day", "by_time"]
    bands: tuple[Band, ...] = ()
    share_parameter: Key | None = None
    day_value_parameter: Key | None = None  # which temperature of the day finds the band
    condition_parameter: Key | None = None  # only where the site has this flag
    supplier_fault: bool

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.kind == "bands") != bool(self.bands) or bool(self.bands) == bool(self.share_parameter):
            raise ValueError('`bands` go with kind "bands", the other kinds take `share_parameter`')
        if bool(self.bands) != bool(self.day_value_parameter):
            raise ValueError("bands need `day_value_parameter`, the other kinds do not")
        return self


class OutageRefund(Cited):
    """Refund for an outage, of the whole time of the stop once its limit is passed."""

    kind: Literal["by_day", "by_hour", "full_days"]
    after_h: Hours | None = None
    boundary: Boundary | None = None
    rounding: Literal["calendar_day"] | None = None
    rounding_parameter: Key | None = None
    share: Share | None = None
    share_parameter: Key | None = None
    supplier_fault: bool
    phases: tuple[Phase, ...] = ()

    @model_validator(mode="after")
    def _figures(self) -> Self:
        if (self.after_h is None) != (self.boundary is None):
            raise ValueError("`after_h` and `boundary` go together")
        if (self.share is None) == (self.share_parameter is None):
            raise ValueError("give either `share` or `share_parameter`")
        roundings = (self.rounding is not None) + (self.rounding_parameter is not None)
        if roundings != (self.kind != "by_hour"):
            raise ValueError("days need `rounding` or `rounding_parameter`, hours neither")
        return self
