"""An outage as it is recorded: what the evidence says, what people say, and how both are kept. Pure.

Nothing is overwritten: of expectations and causes every one that was ever given stays, with who and why. What
a person found stands (`stands`) before what the evidence says (`cause`), which is judged on behind it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from edge.events.cause import Confidence
from edge.events.evidence import Item
from edge.events.plain import mapping, number, optional
from edge.events.undelivered import NOTHING, Account, from_plain
from edge.records import Cause, Plain
from edge.site import Circuit

T = TypeVar("T")
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Expected:
    """At `at` somebody expected heat back at `recovery` (None: nobody knew any more). Unix s."""

    recovery: float | None
    at: float
    who: str
    why: str

    def body(self) -> dict[str, Plain]:
        """As the journal keeps it."""
        return {"recovery": self.recovery, "at": self.at, "who": self.who, "why": self.why}


@dataclass(frozen=True, slots=True)
class Attribution:
    """A person's finding of the cause."""

    cause: Cause
    at: float
    who: str
    why: str

    def body(self) -> dict[str, Plain]:
        """As the journal keeps it."""
        return {"cause": self.cause.value, "at": self.at, "who": self.who, "why": self.why}


@dataclass(frozen=True, slots=True)
class Span:
    """Strong evidence of a cause from `since` to `until` (None: still). Unix s."""

    cause: Cause
    since: float
    until: float | None = None

    def body(self) -> dict[str, Plain]:
        """As the journal keeps it."""
        return {"cause": self.cause.value, "since": self.since, "until": self.until}


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan an outage has to do with. Unix s.

    `relation`: `within`, `before` (it began too early to be the plan's), `overrun` (it outlasts the plan).
    """

    plan: str
    relation: str
    begin: float
    end: float
    entered_at: float
    notice: float | None
    kind: str

    def body(self) -> dict[str, Plain]:
        """As the journal keeps it."""
        return {
            "plan": self.plan,
            "relation": self.relation,
            "begin": self.begin,
            "end": self.end,
            "entered_at": self.entered_at,
            "notice": self.notice,
            "kind": self.kind,
        }


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage, open until `ended_at`. Times in Unix s. `held`: nothing is known of the circuit now.

    `interruptions`: heat was back for a while; `blind`: the service was not there to see; `undated`: it began
    while the clock had never been set. `clock_s`: how far the wall clock was set while it was open, which is
    no part of its length; `lasted_s`: its length, once it is over.
    """

    id: str
    circuit: str
    suspected_at: float
    lost_at: float
    detected_at: float
    cause: Cause
    confidence: Confidence
    evidence: tuple[Item, ...]
    expected_recovery: float | None = None  # people set it; carried through a restart
    held: bool = False
    expectations: tuple[Expected, ...] = ()
    attributions: tuple[Attribution, ...] = ()
    spans: tuple[Span, ...] = ()
    interruptions: tuple[Interval, ...] = ()
    blind: tuple[Interval, ...] = ()
    planned: Planned | None = None
    undated: bool = False
    account: Account = NOTHING
    ended_at: float | None = None
    end_reason: str = ""
    clock_s: float = 0.0
    lasted_s: float | None = None

    @property
    def stands(self) -> Cause:
        """The cause that holds: a person's finding, else the evidence's."""
        return self.attributions[-1].cause if self.attributions else self.cause

    def body(self) -> dict[str, Plain]:
        """What the journal keeps: enough to rebuild the outage after a restart."""
        ended: dict[str, Plain] = {"ended_at": self.ended_at, "end_reason": self.end_reason}
        ended["lasted_s"] = self.lasted_s
        return {
            "id": self.id,
            "circuit": self.circuit,
            "suspected_at": self.suspected_at,
            "lost_at": self.lost_at,
            "detected_at": self.detected_at,
            "cause": self.stands.value,
            "judged": self.cause.value,
            "confidence": self.confidence.value,
            "evidence": [item.body() for item in self.evidence],
            "expected_recovery": self.expected_recovery,
            "held": self.held,
            "expectations": [one.body() for one in self.expectations],
            "attributions": [one.body() for one in self.attributions],
            "causes": [one.body() for one in self.spans],
            "interruptions": [list(one) for one in self.interruptions],
            "interrupted_s": seconds(self.interruptions),
            "blind": [list(one) for one in self.blind],
            "blind_s": seconds(self.blind),
            "planned": None if self.planned is None else self.planned.body(),
            "undated": self.undated,
            "clock_s": self.clock_s,
            "account": self.account.body(),
            **(ended if self.ended_at is not None else {}),
        }


def seconds(intervals: Sequence[Interval]) -> float:
    """Length of intervals that do not overlap (s)."""
    return sum(end - begin for begin, end in intervals)


def affected(circuit: Circuit) -> dict[str, Plain]:
    """Whom an outage of this circuit concerns, from the site file."""
    area = circuit.area.model_dump()
    return {"area": area, "heated_area_m2": circuit.heated_area_m2, "dwellings": circuit.dwellings}


def with_blind(outage: Outage, begin: float, end: float) -> Outage:
    """The outage with an interval in which the service saw nothing, as far as it lies in the outage."""
    known = max((one[1] for one in outage.blind), default=outage.lost_at)
    begin = max(begin, outage.lost_at, known)
    return replace(outage, blind=(*outage.blind, (begin, end))) if end > begin else outage


def from_body(value: Plain) -> Outage:
    """An outage from a journal body, of an older release too; KeyError, TypeError or ValueError if none."""
    body = mapping(value)
    return Outage(
        id=str(body["id"]),
        circuit=str(body["circuit"]),
        suspected_at=number(body["suspected_at"]),
        lost_at=number(body["lost_at"]),
        detected_at=number(body["detected_at"]),
        cause=Cause(str(body.get("judged", body["cause"]))),
        confidence=Confidence(str(body["confidence"])),
        evidence=tuple(_item(item) for item in _list(body["evidence"])),
        expected_recovery=optional(body["expected_recovery"]),
        held=bool(body["held"]),
        expectations=_each(body, "expectations", _expected),
        attributions=_each(body, "attributions", _attribution),
        spans=_each(body, "causes", _span),
        interruptions=_each(body, "interruptions", _interval),
        blind=_each(body, "blind", _interval),
        planned=None if body.get("planned") is None else _planned(body["planned"]),
        undated=body.get("undated") is True,
        account=from_plain(body["account"]) if "account" in body else NOTHING,
        ended_at=optional(body.get("ended_at")),
        end_reason=str(body.get("end_reason", "")),
        clock_s=optional(body.get("clock_s")) or 0.0,
        lasted_s=optional(body.get("lasted_s")),
    )


def _list(value: Plain) -> Sequence[Plain]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"expected a list, found {type(value).__name__}")
    return value


def _each(body: Mapping[str, Plain], key: str, make: Callable[[Plain], T]) -> tuple[T, ...]:
    return tuple(make(one) for one in _list(body.get(key, ())))


def spans_of(value: Plain) -> tuple[Span, ...]:
    """Causes with their intervals from a list of bodies."""
    return tuple(_span(one) for one in _list(value))


def _item(value: Plain) -> Item:
    body = mapping(value)
    return Item(str(body["what"]), number(body["since"]), optional(body["value"]), str(body["unit"]))


def _interval(value: Plain) -> Interval:
    begin, end = _list(value)
    return number(begin), number(end)


def _expected(value: Plain) -> Expected:
    body = mapping(value)
    return Expected(optional(body["recovery"]), number(body["at"]), str(body["who"]), str(body["why"]))


def _attribution(value: Plain) -> Attribution:
    body = mapping(value)
    return Attribution(Cause(str(body["cause"])), number(body["at"]), str(body["who"]), str(body["why"]))


def _span(value: Plain) -> Span:
    body = mapping(value)
    return Span(Cause(str(body["cause"])), number(body["since"]), optional(body["until"]))


def _planned(value: Plain) -> Planned:
    body = mapping(value)
    return Planned(
        str(body["plan"]),
        str(body["relation"]),
        number(body["begin"]),
        number(body["end"]),
        number(body["entered_at"]),
        optional(body["notice"]),
        str(body["kind"]),
    )
