"""Who holds each output of a circuit, and why: three tables, the first row that applies wins. Pure.

The order is the design's: interlock, frost protection, automatic; until the inputs have reported, nobody.
A mode's key is also its text: `reason.<key>`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from edge.control.situation import Condition
from edge.control.valve import Action
from edge.records import Holder


@dataclass(frozen=True, slots=True)
class Situation:
    """What the tables ask about."""

    ready: bool
    heating: bool
    mains_lost: bool
    supply_known: bool
    pressure_known: bool
    makeup_locked: bool
    active: frozenset[Condition]

    @property
    def freezing(self) -> bool:
        """Frost threatens a circuit that is not heated."""
        return Condition.FREEZING in self.active and not self.heating


A = TypeVar("A")
Run = bool | None  # of a pump: whether it runs; None writes nothing


@dataclass(frozen=True, slots=True)
class Mode(Generic[A]):
    """One row: the key, who holds the output, what is done with it."""

    key: str
    holder: Holder
    action: A
    applies: Callable[[Situation], bool]

    @property
    def reason(self) -> str:
        """Key of the text catalogue."""
        return f"reason.{self.key}"


def _on(condition: Condition) -> Callable[[Situation], bool]:
    return lambda situation: condition in situation.active


def _always(_situation: Situation) -> bool:
    return True


def _unready(situation: Situation) -> bool:
    return not situation.ready


def _idle(situation: Situation) -> bool:
    return not situation.heating


def _mains_lost(situation: Situation) -> bool:
    return situation.mains_lost


def _freezing(situation: Situation) -> bool:
    return situation.freezing


def _stagnant(situation: Situation) -> bool:
    """Water stands although it should circulate."""
    return Condition.NO_CIRCULATION in situation.active and (situation.heating or situation.freezing)


VALVE: tuple[Mode[Action], ...] = (
    Mode("safe", Holder.SAFE, Action.SAFE, _unready),
    Mode("over_temperature", Holder.INTERLOCK, Action.SHUT, _on(Condition.OVERHEATED)),
    Mode("no_circulation", Holder.INTERLOCK, Action.SHUT, _stagnant),
    Mode("frost", Holder.FROST, Action.FROST, _freezing),
    Mode("off_season", Holder.AUTOMATIC, Action.SHUT, _idle),
    Mode("supply_broken", Holder.AUTOMATIC, Action.HOLD, lambda situation: not situation.supply_known),
    Mode("primary_lost", Holder.AUTOMATIC, Action.SETTLE, _on(Condition.PRIMARY_LOST)),
    Mode("automatic", Holder.AUTOMATIC, Action.CONTROL, _always),
)

CIRCULATION: tuple[Mode[Run], ...] = (
    Mode("safe", Holder.SAFE, None, _unready),
    Mode("mains_lost", Holder.INTERLOCK, False, _mains_lost),
    Mode("low_pressure", Holder.INTERLOCK, False, _on(Condition.LOW_PRESSURE)),
    Mode("frost", Holder.FROST, True, _freezing),
    Mode("off_season", Holder.AUTOMATIC, False, _idle),
    Mode("automatic", Holder.AUTOMATIC, True, _always),
)

MAKEUP: tuple[Mode[Run], ...] = (
    Mode("safe", Holder.SAFE, None, _unready),
    Mode("mains_lost", Holder.INTERLOCK, False, _mains_lost),
    Mode("pressure_broken", Holder.INTERLOCK, False, lambda situation: not situation.pressure_known),
    Mode("tank_low", Holder.INTERLOCK, False, _on(Condition.TANK_LOW)),
    Mode("makeup_locked", Holder.INTERLOCK, False, lambda situation: situation.makeup_locked),
    Mode("pressure_band", Holder.AUTOMATIC, True, _always),
)


def choose(table: tuple[Mode[A], ...], situation: Situation) -> Mode[A]:
    """The first row that applies; the last always does."""
    for mode in table:
        if mode.applies(situation):
            return mode
    raise LookupError(f"no row applies to {situation!r}")
