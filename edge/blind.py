"""How long the service was blind before it started: an interval with bounds, never a point. Pure.

The last sign of life is the heartbeat (the state kept once a minute with the history) or the last row of the
journal, whichever came later. Nothing is known of the time after it: no heat, no outage, no alarm.

    last sign of life               blind for at least                   at most
    orderly stop, same boot         since then                           since then
    killed, same boot               since then, less the heartbeat due   since then
    another boot, both synchronised as between the wall clocks, less     as between the wall clocks
                                    two heartbeats; or time since boot
    another boot, otherwise         time since boot                      not known
    a row only, of no orderly stop  0, or time since boot                as above

Within a boot the boot time measures, which counts suspension and no setting of the wall clock. Two heartbeats
are one that was due, and one that the disk had not taken when the power went. A heartbeat that is much older
than the last row bounds nothing: the history took none any more.
"""

from dataclasses import dataclass

from edge.chain import Row
from edge.clock import ClockState, Instant
from edge.events import WatchState, with_blind_interval
from edge.events.heat import changed
from edge.events.plain import mapping, number
from edge.records import Event, Plain

STOPPED = "service.stopped"
KIND = "service.blind"
_AGREE_S = 1.0  # two synchronised clocks and the time since boot


@dataclass(frozen=True, slots=True)
class Alive:
    """A sign of life: where the clocks stood, up to which row the journal was, and whether it was the last.

    `heartbeat` is False for a row of the journal: how long after it life went on, no next heartbeat bounds.
    """

    boot_id: str
    boottime: float
    wall: float
    clock: ClockState
    seq: int
    stopped: bool = False
    heartbeat: bool = True

    def plain(self) -> dict[str, Plain]:
        """As it is kept."""
        return {
            "boot_id": self.boot_id,
            "boottime": self.boottime,
            "wall": self.wall,
            "clock": self.clock.value,
            "seq": self.seq,
            "why": "stopped" if self.stopped else "running",
        }


def from_plain(value: Plain) -> Alive | None:
    """A heartbeat as it was kept; None when it is not one."""
    try:
        kept = mapping(value)
        return Alive(
            str(kept["boot_id"]),
            number(kept["boottime"]),
            number(kept["wall"]),
            ClockState(str(kept["clock"])),
            int(number(kept["seq"])),
            kept["why"] == "stopped",
        )
    except (KeyError, TypeError, ValueError):
        return None


def from_row(row: Row) -> Alive:
    """A row as a sign of life."""
    clock = ClockState(row.clock_state) if row.clock_state in set(ClockState) else ClockState.UNSYNCED
    wall, boottime = row.wall_ns / 1e9, row.boottime_ns / 1e9
    return Alive(row.boot_id, boottime, wall, clock, row.seq, row.kind == STOPPED, heartbeat=False)


@dataclass(frozen=True, slots=True)
class Blind:
    """The interval in which nothing is known; wall times in Unix s by the clocks of its two ends.

    It was at least `at_least_s` and at most `at_most_s` long (None: not known yet). `why` is `stopped`,
    `killed`, `power_or_reboot` or `unknown`. `boot_changed` is None where the ids of the boots are hidden.
    """

    from_wall: float
    to_wall: float
    at_least_s: float
    at_most_s: float | None
    boot_changed: bool | None
    why: str

    def event(self, now: Instant, *, revised: bool = False) -> Event:
        """The row; `revised` when an earlier one is made more exact."""
        body: dict[str, Plain] = {
            "from_wall": self.from_wall,
            "to_wall": self.to_wall,
            "at_least_s": self.at_least_s,
            "at_most_s": self.at_most_s,
            "boot_changed": self.boot_changed,
            "why": self.why,
            "revised": revised,
        }
        return Event(KIND, "station", self.from_wall, now.wall, body)


@dataclass(frozen=True, slots=True)
class Traces:
    """What the last life left: its last heartbeat and its last row, either of which may be missing."""

    heartbeat: Alive | None = None
    row: Alive | None = None

    @property
    def last(self) -> Alive | None:
        """The later of the two: a heartbeat says up to which row the journal was."""
        if self.heartbeat is None or self.row is None:
            return self.heartbeat or self.row
        return self.row if self.row.seq > self.heartbeat.seq else self.heartbeat

    def beating(self, every_s: float) -> bool:
        """Whether the heart was beating to the last: only then is life after it bounded by the next beat."""
        last, heartbeat = self.last, self.heartbeat
        if last is None or heartbeat is None or heartbeat.boot_id != last.boot_id:
            return False
        return abs(last.boottime - heartbeat.boottime) <= 2.0 * every_s


def blind(traces: Traces, now: Instant, boot_id: str, every_s: float) -> Blind | None:
    """How long nothing was seen before `now`, with a heartbeat `every_s`; None at the first start ever."""
    last = traces.last
    if last is None:
        return None
    known = last.stopped or traces.beating(every_s)
    if "unknown" in (boot_id, last.boot_id):
        return Blind(last.wall, now.wall, 0.0, _between(last, now), None, "unknown")
    if boot_id == last.boot_id and now.boottime >= last.boottime:
        most_s = now.boottime - last.boottime
        least_s = _least(traces, now.boottime, every_s) if known else 0.0
        return Blind(now.wall - most_s, now.wall, least_s, most_s, False, _why(last, known, "killed"))
    between_s, least_s = _between(last, now), now.boottime
    if between_s is not None and known:
        least_s = max(least_s, between_s - (0.0 if last.stopped else 2.0 * every_s))
    return Blind(last.wall, now.wall, least_s, between_s, True, _why(last, known, "power_or_reboot"))


def _why(last: Alive, known: bool, otherwise: str) -> str:
    return "stopped" if last.stopped else otherwise if known else "unknown"


def _least(traces: Traces, boottime: float, every_s: float) -> float:
    """Life went on after the last heartbeat for less than the time to the next."""
    last, heartbeat = traces.last, traces.heartbeat
    if last is None or last.stopped or heartbeat is None:
        return 0.0 if last is None else boottime - last.boottime
    return min(boottime - last.boottime, max(0.0, boottime - heartbeat.boottime - every_s))


def _between(last: Alive, now: Instant) -> float | None:
    """Seconds by the wall clocks, where both were synchronised and do not contradict the time since boot."""
    if last.clock is not ClockState.SYNCED or now.state is not ClockState.SYNCED:
        return None
    between_s = now.wall - last.wall
    return max(between_s, now.boottime) if between_s >= now.boottime - _AGREE_S else None


def revised(traces: Traces, started: Instant, now: Instant, boot_id: str, every_s: float) -> Blind | None:
    """The interval anew once the clock is synchronised: `started` is then dated by `now`. None: no better."""
    if now.state is not ClockState.SYNCED or started.state is ClockState.SYNCED:
        return None
    began = now.wall - (now.boottime - started.boottime)
    dated = Instant(began, started.monotonic, started.boottime, ClockState.SYNCED)
    found = blind(traces, dated, boot_id, every_s)
    return found if found is not None and found.boot_changed and found.at_most_s is not None else None


def unseen(watch: WatchState, begin: float, end: float, now: Instant) -> tuple[WatchState, list[Event]]:
    """The watch after an interval (Unix s) in which nothing was seen, and what is to be recorded of it.

    An open outage stays open and counts the interval apart; the row keeps that for the next restart.
    """
    known, watch = watch.circuits, with_blind_interval(watch, begin, end)
    events = [
        changed(after.outage, "blind", now, begin)
        for name, after in watch.circuits.items()
        if after.outage is not None and after.outage is not known[name].outage
    ]
    return watch, events
