"""Registers that decide what a device does when nobody renews its setpoint: read after each (re)appearance.

They are parameters of the device's memory and somebody's decision: a wrong one is told, never written.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from drivers import FailSafe, Point, Reading
from edge.acquisition.settings import Guard
from edge.records import Plain

AGAIN_S = 30.0  # after a read that did not succeed
ATTEMPTS = 3  # then a register that cannot be read is told as such


@dataclass(slots=True)
class FailSafeWatch:
    """The fail-safe registers of one device; to be read at `due` (monotonic s; inf: not now)."""

    guards: tuple[Guard, ...]
    due: float = math.inf
    off: dict[str, float | None] = field(default_factory=dict)  # register -> found; None: cannot be read
    _attempts: int = 0

    @property
    def points(self) -> tuple[Point, ...]:
        """What is to be read, all in one request to the driver."""
        return tuple(guard.point for guard in self.guards)

    def begin(self, now: float) -> None:
        """The device has appeared."""
        if self.guards:
            self.due, self._attempts = now, 0

    def failed(self, now: float) -> None:
        """Nothing could be read."""
        self.due = now + AGAIN_S

    def judge(self, readings: Mapping[str, Reading], now: float) -> Iterator[dict[str, Plain]]:
        """What to tell of these readings: one body for each register newly found off."""
        self._attempts += 1
        unread = any(readings[point.name].value is None for point in self.points)
        last = self._attempts >= ATTEMPTS
        self.due = now + AGAIN_S if unread and not last else math.inf
        for guard in self.guards:
            found = readings[guard.point.name].value
            if found is None and not last:
                continue
            yield from self._verdict(guard, found)

    def _verdict(self, guard: Guard, found: float | None) -> Iterator[dict[str, Plain]]:
        register = guard.point.register
        if found is not None and guard.rule.accepts(found):
            self.off.pop(register, None)
            return
        known = register in self.off and self.off[register] == found
        self.off[register] = found
        if not known:
            yield {
                "register": register,
                "found": found,
                "expected": expected(guard.rule),
                "unit": guard.point.unit.value,
                "why": guard.rule.why.model_dump(),
            }

    def wrong(self) -> list[dict[str, Plain]]:
        """The registers that are off, as the status shows them."""
        rules = {guard.point.register: guard.rule for guard in self.guards}
        return [
            {"register": name, "found": found, "expected": expected(rules[name])}
            for name, found in self.off.items()
        ]


def expected(rule: FailSafe) -> str:
    """What a rule asks for, in figures: `0`, `0|1`, `60..900`, `60..`."""
    if rule.one_of:
        return "|".join(f"{value:g}" for value in rule.one_of)
    low, high = ("" if limit is None else f"{limit:g}" for limit in (rule.low, rule.high))
    return f"{low}..{high}"
