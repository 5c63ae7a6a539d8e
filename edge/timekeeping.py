"""The service's own time: what it finds of the clocks in every cycle, its heartbeat, its blind intervals.

The rules stand in `steps.py` (steps, anchors) and `blind.py` (what is known after a restart).
"""

import logging
import math
from dataclasses import dataclass

from edge.blind import Alive, Blind, Traces, blind, revised
from edge.clock import Instant
from edge.records import Event
from edge.steps import ANCHOR, ASLEEP, Seen, watch

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What one cycle found: what is to be recorded, and intervals (Unix s) in which nothing was seen.

    `step_s`, `since`: see `steps.Watched`.
    """

    events: tuple[Event, ...] = ()
    dark: tuple[tuple[float, float], ...] = ()
    step_s: float = 0.0
    since: float = -math.inf


class Timekeeper:
    """One for each life of the service; asked once a cycle, before anything is dated."""

    def __init__(
        self,
        boot_id: str,
        every_s: float,
        started: Instant,
        traces: Traces | None = None,
        seen: Seen | None = None,
    ) -> None:
        """`every_s`: the period of the heartbeat; `traces`, `seen`: what is left of the last life."""
        self._boot_id = boot_id
        self._every_s = every_s
        self._started = started
        self._traces = traces if traces is not None else Traces()
        self._seen = seen
        self.blind: Blind | None = blind(self._traces, started, boot_id, every_s)

    def look(self, now: Instant) -> Look:
        """What became of the clocks since the last look."""
        found = watch(self._seen, now, self._boot_id)
        self._seen = found.seen
        better = self._revised(now)
        events = (*found.events, *([] if better is None else [better.event(now, revised=True)]))
        for event in events:
            level = logging.INFO if event.kind == ANCHOR else logging.WARNING
            log.log(level, event.kind, extra={"found": dict(event.body)})
        dark = [(event.occurred, event.detected) for event in found.events if event.kind == ASLEEP]
        dark += [] if better is None else [(better.from_wall, better.to_wall)]
        return Look(events, tuple(dark), found.step_s, found.since)

    def _revised(self, now: Instant) -> Blind | None:
        """The blind interval made more exact, once, when the clock is synchronised at last."""
        if self.blind is None or self.blind.at_most_s is not None:
            return None
        better = revised(self._traces, self._started, now, self._boot_id, self._every_s)
        self.blind = better or self.blind
        return better

    def heartbeat(self, now: Instant, seq: int, *, stopped: bool = False) -> Alive:
        """That we are alive at `now`, with the journal at row `seq`; `stopped`: and are about to end."""
        return Alive(self._boot_id, now.boottime, now.wall, now.state, seq, stopped)
