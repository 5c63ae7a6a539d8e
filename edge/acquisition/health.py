"""How far a device is to be trusted with the line, and when a silent one is asked again. Pure.

A silent device costs its neighbours a time limit each time it is asked. So it is asked with growing pauses,
each with a window at its end in which the line is to find a moment that disturbs nobody. One that has just
come back is watched for a while: its reads, too, wait for such a moment.
"""

import math
from dataclasses import dataclass

LOST_AFTER = 3  # failed reads in a row, and
LOST_AFTER_S = 3.0  # this long since the first of them, until a device counts as lost
PROBE_LIMIT_S = 60.0  # a returned device is seen within a minute; OpenEMS waits up to five
WINDOW = (0.6, 0.9)  # of the pause: from when a probe may go, and from when it goes anyway
TRUSTED_AFTER = 100  # good reads in a row until one that failed is trusted again: rarer faults spare the p99


@dataclass(slots=True)
class Health:
    """Times are monotonic s. `took_s` is what the last failure cost the line."""

    failures: int = 0  # in a row
    since: float = 0.0  # of the first of them
    good: int = TRUSTED_AFTER  # reads in a row
    on_trial: bool = False  # it failed twice within so many reads
    lost: bool = False
    earliest: float = math.inf  # the window of the next probe
    latest: float = math.inf
    took_s: float = 0.0
    half: bool = False  # it answered a probe, and not what was asked next

    @property
    def trusted(self) -> bool:
        """True while its reads may be expected to be answered."""
        return self.failures == 0 and not self.on_trial

    def failed(self, now: float, took_s: float, period_s: float) -> bool:
        """A read failed; True when the device counts as lost from now on."""
        if self.failures == 0:
            self.since = now
        self.failures += 1
        self._doubted()
        self.half = False
        self.took_s = took_s
        pause_s = self.pause_s(period_s)
        self.earliest, self.latest = now + WINDOW[0] * pause_s, now + WINDOW[1] * pause_s
        if self.lost or self.failures < LOST_AFTER or now - self.since < LOST_AFTER_S:
            return False
        self.lost = True
        return True

    def answered_half(self, now: float, took_s: float, period_s: float) -> bool:
        """It answered a probe but not the read behind it: a failure, but it lives and is asked again soon."""
        lost = self.failed(now, took_s, period_s)
        self.half = True
        self.earliest, self.latest = now + WINDOW[0] * period_s, now + WINDOW[1] * period_s
        return lost

    def doubt(self, took_s: float) -> None:
        """It answered, but not all of it, which cost the line as much as silence: on trial again."""
        self._doubted()
        self.on_trial = True
        self.took_s = took_s

    def _doubted(self) -> None:
        """One failure may be anybody's; a second one soon after is this device's."""
        self.on_trial = self.on_trial or self.good < TRUSTED_AFTER
        self.good = 0

    def answered(self) -> bool:
        """A read succeeded; True when a lost device is back by it."""
        returned, self.lost = self.lost, False
        self.failures, self.half = 0, False
        self.good += 1
        self.on_trial = self.on_trial and self.good < TRUSTED_AFTER
        return returned

    def pause_s(self, period_s: float) -> float:
        """Until the next probe: the period, doubled for every failure in a row beyond the first."""
        doubled = period_s * 2.0 ** min(max(self.failures - 1, 0), 16)
        return min(doubled, max(PROBE_LIMIT_S, period_s))
