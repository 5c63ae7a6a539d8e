"""When a row was recorded, by the best clock of its boot. Pure; rows are never rewritten, readers date them.

Boot time runs on whatever happens to the wall clock, so one moment of which both are known (a `clock.anchor`
row, see `steps.py`) dates every row of the same boot. A row is dated by the anchor nearest to it whose
clock was worth more than its own: synchronised before holdover before never set.

    row's clock  such an anchor  agrees within 0.5 s  dating
    synced       -               -                    as_recorded
    holdover     none, or        yes                  as_recorded
    holdover     there is        no                   anchored
    unsynced     there is        -                    anchored
    unsynced     none            -                    unknown: the moment is known in s since boot only
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edge.chain import Row
from edge.clock import ClockState
from edge.steps import ANCHOR, STEP_S


class Dating(StrEnum):
    """Where the time of a row comes from."""

    AS_RECORDED = "as_recorded"
    ANCHORED = "anchored"
    UNKNOWN = "unknown"


_WORTH = {ClockState.UNSYNCED.value: 0, ClockState.HOLDOVER.value: 1, ClockState.SYNCED.value: 2}


@dataclass(frozen=True, slots=True)
class Anchor:
    """Boot time and wall time (ns) of one moment; `worth`: 2 when that clock was synchronised, 1 when set."""

    boot_id: str
    boottime_ns: int
    wall_ns: int
    worth: int

    def wall_at(self, boottime_ns: int) -> int:
        """Wall time (ns) by this anchor at another moment of its boot."""
        return self.wall_ns + boottime_ns - self.boottime_ns


@dataclass(frozen=True, slots=True)
class Dated:
    """Wall time in Unix ns, None when nobody can know it, and where it comes from."""

    wall_ns: int | None
    dating: Dating


Anchors = Mapping[str, Sequence[Anchor]]  # by boot id


def anchors(rows: Iterable[Row]) -> Anchors:
    """The anchors among `rows`, by boot; without those that say no time or whose clock was never set."""
    found: dict[str, list[Anchor]] = {}
    for row in rows:
        if row.kind == ANCHOR and (one := _anchor(row)) is not None:
            found.setdefault(one.boot_id, []).append(one)
    return found


def _anchor(row: Row) -> Anchor | None:
    try:
        body: Mapping[str, Any] = row.content
        one = Anchor(
            str(body["boot_id"]), int(body["boottime_ns"]), int(body["wall_ns"]), _WORTH[str(body["clock"])]
        )
    except (KeyError, TypeError, ValueError):
        return None
    return one if one.worth and one.boot_id != "unknown" else None


def date(row: Row, known: Anchors) -> Dated:
    """When `row` was recorded: see the table above."""
    worth = _WORTH.get(row.clock_state, 0)
    better = [one for one in known.get(row.boot_id, ()) if one.worth > worth]
    if not better:
        return Dated(row.wall_ns, Dating.AS_RECORDED) if worth else Dated(None, Dating.UNKNOWN)
    best = min(better, key=lambda one: (-one.worth, abs(one.boottime_ns - row.boottime_ns)))
    wall_ns = best.wall_at(row.boottime_ns)
    if worth and abs(wall_ns - row.wall_ns) < STEP_S * 1e9:
        return Dated(row.wall_ns, Dating.AS_RECORDED)
    return Dated(wall_ns, Dating.ANCHORED)
