"""Which device of a line is asked next, and for which of its points. Pure; times are monotonic s.

Order: control inputs that are due, slow points, fail-safe registers, probes; the earliest deadline first
within a class. (Writes come before all of it and errands between control and slow points: see `worker`.)
Every waiting ends: a slow point a whole period late counts as urgent, and a probe whose window is over goes
before everything else, but such probes take no more than a share of the line's time.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from edge.acquisition.device import Group, PolledDevice

SLACK = 0.1  # of its period: so late a probe may make the others
PATIENCE = 0.5  # of its period: so long a device on trial waits for room on the line
SHARE = 5.0  # probes that could wait no longer take at most a fifth of the line's time


class Task(Enum):
    """What is asked of a device."""

    READ = "read"
    PROBE = "probe"
    FAIL_SAFE = "fail_safe"


@dataclass(frozen=True, slots=True)
class Turn:
    """One use of the line. `groups` are numbers of the device's groups, for READ. `cautious`: may fail."""

    task: Task
    device: PolledDevice
    groups: tuple[int, ...] = ()
    cautious: bool = False


@dataclass(slots=True)
class Schedule:
    """The devices of one line. `timeout_s` is the line's time limit in seconds of the clock."""

    devices: Sequence[PolledDevice]
    timeout_s: float
    _rest_until: float = -math.inf  # no probe goes before its turn until then

    def urgent(self, now: float) -> Turn | None:
        """A probe or a device on trial that could wait no longer; else the most overdue control input."""
        if now >= self._rest_until:
            pressing = [device for device in self._doubted() if _window(device)[1] <= now]
            if pressing:
                return _cautious(min(pressing, key=lambda device: _window(device)[1]), now)
        return self._read(now, urgent=True)

    def patient(self, now: float) -> Turn | None:
        """What may wait for control inputs and errands: slow points, fail-safe registers, probes."""
        return self._read(now, urgent=False) or self._fail_safe(now) or self._probe(now)

    def ended(self, turn: Turn, began: float, now: float) -> None:
        """What might have failed is followed by a rest: short where the device answered, long where not."""
        if turn.cautious:
            self._rest_until = now + SHARE * (now - began)

    def next_due(self, now: float) -> float:
        """When to look again; in the future. Call when nothing was to be done at `now`."""
        times = [group.due for device in self.devices if device.health.trusted for group in device.groups]
        times += [device.fail_safe.due for device in self._answering()]
        for device in self._doubted():
            earliest, latest = _window(device)
            times.append(earliest if earliest > now else max(latest, self._rest_until))
        return max(min(times, default=now + 1.0), now + 0.001)

    def _read(self, now: float, urgent: bool) -> Turn | None:
        """The most overdue group of the class; near ones of the same device go with it."""
        due = [
            (group.due, group.slow, device)
            for device in self.devices
            if device.health.trusted
            for group in device.groups
            if group.due <= now and (not urgent or _presses(group, now))
        ]
        if not due:
            return None
        _, slow, device = min(due, key=lambda each: each[0])
        alone = all(other is device for _, _, other in due)  # else its slow points would hold the others up
        return Turn(Task.READ, device, device.joined(now, slow or alone))

    def _fail_safe(self, now: float) -> Turn | None:
        for device in self._answering():
            if device.fail_safe.due <= now:
                return Turn(Task.FAIL_SAFE, device)
        return None

    def _probe(self, now: float) -> Turn | None:
        ready = [
            (latest, device)
            for device in self._doubted()
            for earliest, latest in [_window(device)]
            if earliest <= now and self._has_room(device, now)
        ]
        return _cautious(min(ready, key=lambda pair: pair[0])[1], now) if ready else None

    def _has_room(self, device: PolledDevice, now: float) -> bool:
        """True when nobody gets late, to speak of, by a failure of this device."""
        end = now + self._cost_s(device)
        return all(
            end - group.due <= SLACK * group.period_s
            for other in self.devices
            if other is not device and other.health.trusted
            for group in other.groups
        )

    def _cost_s(self, device: PolledDevice) -> float:
        return max(self.timeout_s, device.health.took_s)

    def _doubted(self) -> Iterator[PolledDevice]:
        return (device for device in self.devices if not device.health.trusted)

    def _answering(self) -> Iterator[PolledDevice]:
        return (device for device in self.devices if device.health.failures == 0 and device.statistics.reads)


def _presses(group: Group, now: float) -> bool:
    """True for a control input that is due, and for a slow one that is a whole period late."""
    return not group.slow or now - group.due >= group.period_s


def _window(device: PolledDevice) -> tuple[float, float]:
    """From when a doubted device may be asked, and from when it must be."""
    health = device.health
    if health.failures:
        return health.earliest, health.latest
    return device.due, device.due + PATIENCE * device.period_s


def _cautious(device: PolledDevice, now: float) -> Turn:
    if device.health.failures:
        return Turn(Task.PROBE, device, cautious=True)
    return Turn(Task.READ, device, device.joined(now, True), cautious=True)
