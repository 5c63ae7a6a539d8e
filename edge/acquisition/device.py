"""A device as its bus sees it: which of its points are due when, how it is doing. Times are monotonic s."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from drivers import Point
from edge.acquisition.fail_safe import FailSafeWatch
from edge.acquisition.health import Health
from edge.acquisition.settings import Guard, Input
from edge.acquisition.statistics import Statistics

JOIN = 0.1  # of its period: what would be due that soon is read together with what is due


@dataclass(slots=True)
class Group:
    """Points of one device with one period and one class: their deadlines are always the same."""

    points: tuple[Point, ...]
    period_s: float
    slow: bool
    due: float
    phase: float  # its first due time: its own place in the round of the line

    def done(self, now: float) -> int:
        """Read at `now`: the next due time, on its own grid; how many were missed is returned.

        On a full line the grid moves along: what was missed is not made up for.
        """
        missed = max(0, int((now - self.due) / self.period_s))
        self.due = max(self.due + self.period_s, now)
        return missed

    def resume(self, now: float) -> None:
        """Read at `now` after a silence: back to its own place in the round, no sooner than half a period."""
        rest = self.period_s - (now - self.phase) % self.period_s
        self.due = now + (rest if rest >= self.period_s / 2 else rest + self.period_s)


@dataclass(slots=True)
class PolledDevice:
    """A device that is read. `groups`: the fastest first; `probe`: the point that costs least to ask for."""

    id: str
    groups: tuple[Group, ...]
    probe: Point
    fail_safe: FailSafeWatch
    health: Health = field(default_factory=Health)
    statistics: Statistics = field(default_factory=Statistics)
    _points: dict[tuple[int, ...], tuple[Point, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        inputs: Sequence[Input],
        due: float = 0.0,
        probe: Point | None = None,
        guards: tuple[Guard, ...] = (),
    ) -> "PolledDevice":
        """A device first due at `due`; `inputs` must not be empty."""
        kinds = sorted({(each.period_s, each.slow) for each in inputs})
        groups = tuple(
            Group(tuple(i.point for i in inputs if (i.period_s, i.slow) == kind), *kind, due, due)
            for kind in kinds
        )
        return cls(name, groups, probe or groups[0].points[0], FailSafeWatch(guards))

    @property
    def period_s(self) -> float:
        """Of its fastest points."""
        return self.groups[0].period_s

    @property
    def lost(self) -> bool:
        """True while the device counts as lost."""
        return self.health.lost

    @property
    def due(self) -> float:
        """When its first points are due."""
        return min(group.due for group in self.groups)

    @property
    def points(self) -> tuple[Point, ...]:
        """All of them."""
        return self.points_of(range(len(self.groups)))

    def joined(self, now: float, slow_too: bool) -> tuple[int, ...]:
        """The groups that are due, or nearly; the slow ones only where asked for."""
        return tuple(
            number
            for number, group in enumerate(self.groups)
            if group.due - now <= JOIN * group.period_s and (slow_too or not group.slow)
        )

    def points_of(self, numbers: Iterable[int]) -> tuple[Point, ...]:
        """The points of some groups; always the same tuple, for which the driver remembers its plan."""
        key = tuple(numbers)
        found = self._points.get(key)
        if found is None:
            found = tuple(point for number in key for point in self.groups[number].points)
            self._points[key] = found
        return found
