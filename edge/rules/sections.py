"""The sections a regulation pack is made of, as frozen models. Data only: nothing is read or judged.

Whatever a document says stands here with its clause id, the clause's own words and an English gloss. The
sections about outages and refunds stand in `outage_sections`.
"""

from datetime import date, time
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from edge.rules.facts import Phase

Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
ClauseId = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,6}-[0-9]+(\.[0-9]+)?(\([0-9]+\))?$")]
Words = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
MonthDay = Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]
Hours = Annotated[float, Field(gt=0)]
Percent = Annotated[float, Field(ge=0, le=100)]
Temperature = Annotated[float, Field(ge=-30, le=40)]
Topic = Literal[
    "season",
    "preparation",
    "room",
    "pass_rate",
    "sampling",
    "room_check",
    "settlement",
    "duties",
    "repair",
    "refund_room",
    "refund_outage",
    "reports",
    "retention",
    "severe_cold",
    "metering",
]


class Section(BaseModel):
    """Frozen, and strict about keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Cited(Section):
    """Something a clause says: its id, its own words, and what they mean in English."""

    clause: ClauseId
    words: Words
    gloss: Words


class Document(Section):
    """Which text this is. `prefix` opens every clause id of it."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
    title: Words
    title_en: Words
    number: Words
    issuer: Words
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,6}$")]


class Validity(Section):
    """First and last local day in force; `to` is "open" where the text names no end."""

    words: Words
    gloss: Words
    begin: date = Field(alias="from")
    to: date | Literal["open"]

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.to != "open" and self.to < self.begin:
            raise ValueError("`to` lies before `from`")
        return self


class Season(Cited):
    """First and last day of the heating season (MM-DD), the last one to its 24:00."""

    start: MonthDay
    end: MonthDay


class SeasonChange(Cited):
    """What the text says of an earlier start, a longer season or an earlier end."""

    kind: Literal["early_start", "extension", "early_end"]
    allowed: bool


class PhaseRule(Cited):
    """A phase before the season: by fixed days (MM-DD), or the months before the season's first day."""

    phase: Literal[Phase.PREPARATION, Phase.COMMISSIONING]
    start: MonthDay | None = None
    end: MonthDay | None = None
    months_before_season: Annotated[int, Field(ge=1, le=6)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        fixed = (self.start is not None, self.end is not None)
        if fixed not in ((True, True), (False, False)) or fixed[0] == (self.months_before_season is not None):
            raise ValueError("give either `start` and `end`, or `months_before_season`")
        return self


class MilestoneRule(Cited):
    """Something to be ready by a day: counted from the season, from the filling, or a fixed day's 24:00."""

    id: Key
    months_before_season: Annotated[int, Field(ge=1)] | None = None
    days_before_season: Annotated[int, Field(ge=0)] | None = None
    days_before_fill: Annotated[int, Field(ge=0)] | None = None
    days_before_fill_parameter: Key | None = None
    by_end_of: MonthDay | None = None
    daily_from: MonthDay | None = None  # asked every day from here to `by_end_of`

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = (
            self.months_before_season,
            self.days_before_season,
            self.days_before_fill,
            self.days_before_fill_parameter,
            self.by_end_of,
        )
        if sum(way is not None for way in ways) != 1:
            raise ValueError("give exactly one way to find the day")
        return self


class UsageRow(Cited):
    """Which threshold holds for which heat-usage rates (%, `from` included, `below` excluded)."""

    estate_from_percent: Percent
    zone_from_percent: Percent = 0.0
    zone_below_percent: Percent | None = None
    threshold_c: Temperature | None = None
    threshold_parameter: Key | None = None
    by_agreement: bool = False  # heat is supplied only if both sides agreed

    @model_validator(mode="after")
    def _one_figure(self) -> Self:
        if (self.threshold_c is None) == (self.threshold_parameter is None):
            raise ValueError("give either `threshold_c` or `threshold_parameter`")
        return self


class NonResidential(Cited):
    """Rooms that are no dwellings: by contract or another standard."""

    threshold_parameter: Key


class RoomRule(Cited):
    """The lowest temperature of a dwelling's bedroom and living room, and which value of a day is judged."""

    threshold_c: Temperature | None = None
    threshold_parameter: Key | None = None
    by_usage: tuple[UsageRow, ...] = ()
    estate_usage_parameter: Key | None = None  # rates (%) where the room's own facts give none
    zone_usage_parameter: Key | None = None
    condition_parameter: Key | None = None  # the rows hold only where the site has this flag
    day_value: Literal["lowest"] | None = None
    day_value_parameter: Key | None = None
    non_residential: NonResidential | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = (self.threshold_c is not None, self.threshold_parameter is not None, bool(self.by_usage))
        if sum(ways) != 1:
            raise ValueError("give one of `threshold_c`, `threshold_parameter` and `by_usage`")
        rates = (self.estate_usage_parameter is not None, self.zone_usage_parameter is not None)
        if rates != (bool(self.by_usage), bool(self.by_usage)):
            raise ValueError("`by_usage` needs both usage parameters, the other ways none")
        if (self.day_value is None) == (self.day_value_parameter is None):
            raise ValueError("give either `day_value` or `day_value_parameter`")
        return self


class PassRate(Cited):
    """The share of rooms that must comply, the figure included."""

    percent: Percent


class Sampling(Cited):
    """Where and when rooms are sampled. Empty where the text leaves it to other rules."""

    positions: tuple[Literal["near", "middle", "end"], ...] = ()
    floors: tuple[Literal["top", "middle", "low"], ...] = ()
    minimum_orientations: Annotated[int, Field(ge=0, le=4)] = 0
    excluded_from: time | None = None  # local; both ends are excluded: 避开十时至十六时
    excluded_to: time | None = None
    height_from_m: Annotated[float, Field(ge=0)] | None = None
    height_to_m: Annotated[float, Field(ge=0)] | None = None
    wall_distance_m: Annotated[float, Field(ge=0)] | None = None
    signatures: tuple[Key, ...] = ()

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        pairs = ((self.excluded_from, self.excluded_to), (self.height_from_m, self.height_to_m))
        for first, last in pairs:
            if (first is None) != (last is None):
                raise ValueError("the two ends of a range go together")
            if first is not None and last is not None and first >= last:  # type: ignore[operator]
                raise ValueError("a range must end after it starts")
        return self


class RoomCheck(Cited):
    """A user asks for a check of the room: measured on site within so many hours."""

    within_h: Hours


class Settlement(Cited):
    """Refunds are settled within so many months after the season's last day."""

    months_after_season: Annotated[int, Field(ge=1, le=12)]


class ReportRule(Cited):
    """How often the authority is reported to, and when. The most frequent rule that applies wins."""

    cadence: Literal["half_month", "week", "day"]
    phases: tuple[Phase, ...] = ()
    periods_parameter: Key | None = None  # only on the days the site lists
    always_parameter: Key | None = None  # or always, where the site has this flag


class Statement(Cited):
    """A clause that other rooms of the house meet; cited so that a reader finds it."""

    key: Key


class Parameter(Section):
    """What the text leaves to the contract, the site or another body. It has no default."""

    name: Key
    kind: Literal["number", "flag", "choice", "date", "periods"]
    topic: Topic
    clause: ClauseId | None = None  # None only where the whole topic is silent
    gloss: Words
    required: bool = True
    choices: tuple[Key, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _choices(self) -> Self:
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError('`choices` go with kind "choice", and only with it')
        return self
