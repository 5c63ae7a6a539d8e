"""A technician's writes to registers that are no outputs: a memory wears out by them all the same. Pure.

Outputs have the same budget of their own, beside their value (see `writes`).
"""

from collections import deque
from dataclasses import dataclass, field

DAY_S = 86_400.0


@dataclass(slots=True)
class Wear:
    """When registers were written, by any name of them, within a day; times are monotonic s."""

    _written: dict[str, deque[float]] = field(default_factory=dict)

    def rest_s(self, register: str, interval_s: float, per_day: int | None, now: float) -> float:
        """How long the register is to rest before it is written again; 0.0: not at all."""
        written = self._written.setdefault(register, deque())
        while written and written[0] <= now - DAY_S:
            written.popleft()
        if not written:
            return 0.0
        rest_s = written[-1] + interval_s - now
        if per_day is not None and len(written) >= per_day:
            rest_s = max(rest_s, written[-per_day] + DAY_S - now)
        return max(0.0, rest_s)

    def count(self, register: str, now: float) -> None:
        """It is about to be written: what is refused or lost on the way may have worn it, too."""
        self._written.setdefault(register, deque()).append(now)
