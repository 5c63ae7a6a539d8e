"""What goes out on a bus: the newest value of each output, no more often than its device bears, read back.

A value that was refused is tried again with growing pauses, each output for itself: one register that is
refused keeps no other from being written. Budgets are of registers that wear out, and of nothing else;
interlocks and frost protection are written beyond them.
Times are monotonic s of the clock.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from drivers import ConfigurationError, DeviceError, Driver, DriverError, LocalProtocolError
from edge.acquisition.settings import Output
from edge.clock import Clock
from edge.records import Command, Holder, Plain

Tell = Callable[[str, str, dict[str, Plain]], None]

PAUSE_S, PAUSE_LIMIT_S = 2.0, 60.0  # after a refusal, doubling
DAY_S = 86_400.0
CHECKS, RECHECK_S = 3, 2.0  # a device may take a moment to show what it was given
_CERTAINLY_NOT = (DeviceError, LocalProtocolError, ConfigurationError)
"""Errors after which nothing was stored. After any other the device may have, and only its answer is lost."""


@dataclass(slots=True)
class _Pen:
    """One output: what is wanted of it, and what became of what was written."""

    output: Output
    wanted: Command | None = None
    not_before: float = -math.inf
    refusals: int = 0  # in a row
    last: float | None = None  # accepted
    written: deque[float] = field(default_factory=deque)  # within a day; only where there is a budget
    check_at: float = math.inf
    checks: int = 0
    rests_until: float = -math.inf  # as its budget has it
    exhausted: bool = False
    mismatched: bool = False

    def spent(self, now: float) -> bool:
        """True when the day's budget is used up; the pen then rests until the oldest write is a day old."""
        if self.output.per_day is None:
            return False
        while self.written and self.written[0] <= now - DAY_S:
            self.written.popleft()
        return len(self.written) >= self.output.per_day

    def due_at(self, command: Command) -> float:
        """When interval, pause after a refusal and, but for protection, budget let it be written."""
        return self.not_before if _protects(command) else max(self.not_before, self.rests_until)

    def idle(self, command: Command) -> bool:
        """True when the device's memory holds the value already: it keeps it without being reminded."""
        if self.output.per_day is None or self.last is None or self.refusals:
            return False
        return self.output.agrees(command.value, self.last)

    @property
    def blind(self) -> bool:
        """True when nobody knows what a memory that wears out holds and it can be asked: after a restart."""
        return self.output.per_day is not None and self.output.read_back and self.last is None

    def expect(self, value: float, now: float) -> None:
        """`value` was accepted: look for it at once; a mere renewal does not put off what is looked for."""
        if value != self.last:
            self.checks, self.check_at = CHECKS, now
        elif self.check_at == math.inf:
            self.check_at = now


class Writes:
    """The outputs of one bus. `lost` says of a device's id whether it counts as lost."""

    def __init__(
        self, outputs: Mapping[str, Output], clock: Clock, lost: Callable[[str], bool], tell: Tell
    ) -> None:
        self._pens = {name: _Pen(output) for name, output in outputs.items()}
        self._clock = clock
        self._lost = lost
        self._tell = tell
        self.failed: set[str] = set()  # points whose last write was not accepted

    def want(self, command: Command) -> None:
        """The newest command for a point replaces an older one not yet written. KeyError: no such output."""
        self._pens[command.point].wanted = command

    def returned(self, device: str) -> None:
        """A lost device is back: what it is to hold goes out at once."""
        for pen in self._pens.values():
            if pen.output.point.device == device and pen.refusals:
                pen.not_before = -math.inf

    def refusing(self, device: str) -> list[str]:
        """Outputs of a device whose last write was not accepted, or is not what the device shows."""
        return [
            name
            for name, pen in self._pens.items()
            if pen.output.point.device == device and (name in self.failed or pen.mismatched)
        ]

    async def work(self, driver: Driver, now: float) -> bool:
        """Do one thing that is due, if anything is: write, or else read back what was written."""
        for pen in self._pens.values():
            if pen.wanted is not None and self._due(pen, pen.wanted, now):
                await self._write(pen, pen.wanted, driver)
                return True
        for pen in self._pens.values():
            if pen.check_at <= now and not self._lost(pen.output.point.device):
                await self._read_back(pen, driver)
                return True
        return False

    def next_due(self) -> float:
        """When there may be something to do; inf when nothing is wanted."""
        return min((_when(pen) for pen in self._pens.values() if self._open(pen)), default=math.inf)

    def _open(self, pen: _Pen) -> bool:
        return not self._lost(pen.output.point.device)

    def _due(self, pen: _Pen, command: Command, now: float) -> bool:
        if command.until < now or pen.idle(command):  # void: whoever asked has not renewed it
            pen.wanted = None
            return False
        if now < pen.due_at(command) or self._lost(pen.output.point.device):
            return False
        if _protects(command) or not pen.spent(now):
            return True
        pen.rests_until = pen.written[0] + DAY_S
        if not pen.exhausted:
            pen.exhausted = True
            self._tell("output.budget", command.point, {"per_day": pen.output.per_day})
        return False

    async def _write(self, pen: _Pen, command: Command, driver: Driver) -> None:
        try:
            if pen.blind:
                await self._look(pen, driver)
                if pen.last is not None and pen.output.agrees(command.value, pen.last):
                    self._accepted(pen, command)
                    return
        except DriverError as error:
            self._refused(pen, command, error)
            return
        try:
            await driver.write(pen.output.point, command.value)
        except DriverError as error:
            if not isinstance(error, _CERTAINLY_NOT):
                self._stored(pen)
                pen.last = None
            self._refused(pen, command, error)
        else:
            self._stored(pen)
            self._accepted(pen, command)

    @staticmethod
    async def _look(pen: _Pen, driver: Driver) -> None:
        """Learn what the memory holds: what is there already is not written, however often we restart."""
        point = pen.output.point
        pen.last = (await driver.read((point,)))[point.name].value

    def _stored(self, pen: _Pen) -> None:
        """The memory was written, or perhaps: that counts, too."""
        if pen.output.per_day is not None:
            pen.written.append(self._clock.now().monotonic)

    def _refused(self, pen: _Pen, command: Command, error: DriverError) -> None:
        pause_s = min(PAUSE_S * 2.0 ** min(pen.refusals, 16), PAUSE_LIMIT_S)
        pen.refusals += 1
        pen.not_before = self._clock.now().monotonic + max(pause_s, pen.output.interval_s)
        if command.point not in self.failed:
            self.failed.add(command.point)
            self._tell("output.failed", command.point, {"error": str(error)})

    def _accepted(self, pen: _Pen, command: Command) -> None:
        now = self._clock.now().monotonic
        if pen.wanted is command:  # nothing newer came meanwhile
            pen.wanted = None
        if pen.output.read_back:
            pen.expect(command.value, now)
        pen.refusals, pen.last = 0, command.value
        pen.exhausted = pen.exhausted and _protects(command)
        pen.not_before = now + pen.output.interval_s
        if command.point in self.failed:
            self.failed.discard(command.point)
            self._tell("output.accepted", command.point, {"value": command.value})

    async def _read_back(self, pen: _Pen, driver: Driver) -> None:
        """Compare what the device shows with what it accepted; what cannot be read proves nothing."""
        point, wanted = pen.output.point, pen.last
        pen.check_at = math.inf
        try:
            found = (await driver.read((point,)))[point.name].value
        except DriverError:
            return  # the reads of this device will tell
        if found is None or wanted is None:
            return
        pen.checks -= 1
        if pen.output.agrees(wanted, found):
            pen.checks = CHECKS
            if pen.mismatched:
                pen.mismatched = False
                self._tell("output.accepted", point.name, {"value": found})
        elif pen.checks > 0:
            pen.check_at = self._clock.now().monotonic + RECHECK_S * self._clock.speed
        elif not pen.mismatched:
            pen.mismatched = True
            self._tell("output.mismatch", point.name, {"wanted": wanted, "found": found})


def _when(pen: _Pen) -> float:
    return min(pen.check_at, math.inf if pen.wanted is None else pen.due_at(pen.wanted))


def _protects(command: Command) -> bool:
    """A memory may wear out for it: what must not freeze or overheat is dearer. It counts in the budget."""
    return command.holder <= Holder.FROST
