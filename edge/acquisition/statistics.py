"""How a device is doing: what its frames were, how long it took, how well it kept its period.

Cheap enough for every exchange: counters and two short windows, looked at once a second at most.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from drivers import Traffic, Verdict

WINDOW = 128  # intervals, and exchanges, that figures are made of

_ANSWERED = frozenset({Verdict.ANSWER, Verdict.REFUSED})


@dataclass(slots=True)
class Statistics:
    """Counts since the start. `latencies` of exchanges in real s, `intervals` of reads in s of the clock.

    An interval is from one good reading of the device's fastest points to the next; an outage is none.
    """

    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    reads: int = 0
    errors: int = 0
    missed: int = 0  # deadlines that passed unserved
    last_error: str = ""
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    intervals: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _asked: float | None = None
    _read_at: float | None = None

    def heard(self, traffic: Traffic) -> None:
        """Count one frame of this device."""
        verdict = traffic.verdict
        self.counts[verdict] += 1
        if verdict is Verdict.REQUEST:
            self._asked = traffic.at
        elif verdict in _ANSWERED and self._asked is not None:
            self.latencies.append(traffic.at - self._asked)
            self._asked = None

    def read(self, now: float) -> None:
        """The fastest points were read at `now`."""
        if self._read_at is not None:
            self.intervals.append(now - self._read_at)
        self._read_at = now

    def interrupted(self) -> None:
        """A read failed: what follows is no interval."""
        self._read_at = None


def p99(values: Iterable[float]) -> float | None:
    """The value that 99 of 100 do not exceed; None of none."""
    ordered = sorted(values)
    return ordered[math.ceil(0.99 * len(ordered)) - 1] if ordered else None


class Ledger:
    """The statistics of a bus's devices; it is a tap. What a technician adopts for a while is not counted."""

    def __init__(self, statistics: dict[str, Statistics]) -> None:
        self._statistics = statistics

    def __call__(self, traffic: Traffic) -> None:
        """Count one frame."""
        found = self._statistics.get(traffic.device)
        if found is not None:
            found.heard(traffic)
