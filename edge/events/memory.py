"""What the journal does not hold of the watch: suspicion, evidence timers, recovery under way. Pure.

The journal alone rebuilds every open outage and alarm (`restore`). With this memory, saved now and then, a
restart also keeps when evidence began, so that heat lost a minute before the restart is dated rightly.
Times are saved as ages, since monotonic time starts anew with every boot; the wall clock measures only the
pause. Totals are taken up after any pause: a meter exchanged while nobody looked is seen by its numbers.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from edge.clock import Instant
from edge.events.alarm_memory import resume as resume_board
from edge.events.alarm_memory import to_plain as board_to_plain
from edge.events.evidence import BY_NAME, Timer
from edge.events.heat_memory import resumed
from edge.events.heat_memory import to_plain as heat_to_plain
from edge.events.meter import Count
from edge.events.meter import from_plain as count_from_plain
from edge.events.meter import to_plain as count_to_plain
from edge.events.outage import CircuitWatch, Phase
from edge.events.plain import mapping, number, optional
from edge.events.watch import WatchState
from edge.records import Plain

PAUSE_S = 300.0  # a longer pause has seen too much that we have not
UNKNOWN_PAUSE_S = 30 * 86400.0  # the wall clock went back: a station is seldom off for longer
_OLDEST_S = 1e9  # thirty years: a memory that speaks of more is damaged


def to_plain(state: WatchState, now: Instant) -> dict[str, Plain]:
    """The memory as plain values, for the state kept beside the history."""
    circuits = {name: _plain(watch, now.monotonic) for name, watch in state.circuits.items()}
    totals = {point: count_to_plain(count, now.monotonic) for point, count in state.totals.items()}
    return {
        "at": now.wall,
        "circuits": circuits,
        "totals": totals,
        "alarms": board_to_plain(state.board, now.monotonic),
    }


def resume(state: WatchState, memory: Plain, now: Instant) -> WatchState:
    """`state` as restored from the journal, completed by a memory saved at most 300 s ago.

    Totals are taken of a memory of any age. The journal decides whether an outage is open. A memory that is
    older, from the future or not understood is left aside: it is a help, and no record.
    """
    state = replace(state, totals=_totals(state.totals, memory, now), circuits=_heat(state, memory, now))
    try:
        known = mapping(memory)
        pause = now.wall - number(known["at"])
        if not 0.0 <= pause <= PAUSE_S:
            return state
        saved = mapping(known["circuits"])
        watches = {name: _watch(mapping(plain), now.monotonic - pause) for name, plain in saved.items()}
    except (KeyError, TypeError, ValueError):
        return state
    state = _alarms(state, known.get("alarms"), now.monotonic - pause)
    merged = {name: _merged(watch, state.circuits.get(name)) for name, watch in watches.items()}
    return replace(state, circuits={**state.circuits, **merged})


def _alarms(state: WatchState, memory: Plain, saved: float) -> WatchState:
    """The board with what came in the last ten minutes; without it where that is not understood."""
    try:
        return replace(state, board=resume_board(state.board, memory, saved))
    except (KeyError, TypeError, ValueError):
        return state


def _heat(state: WatchState, memory: Plain, now: Instant) -> Mapping[str, CircuitWatch]:
    """Accounts and learned nights of any age, timers of a fresh memory; nothing else of a circuit yet."""
    found = dict(state.circuits)
    try:
        known = mapping(memory)
        pause = now.wall - number(known["at"])
        fresh = 0.0 <= pause <= PAUSE_S
        saved = now.monotonic - (pause if pause >= 0.0 else UNKNOWN_PAUSE_S)
        for name, plain in mapping(known["circuits"]).items():
            old = found.get(name, CircuitWatch())
            new = resumed(old, mapping(plain).get("heat"), saved, fresh)
            if new != old:
                found[name] = new
    except (KeyError, TypeError, ValueError):
        return found
    return found


def _totals(journal: Mapping[str, Count], memory: Plain, now: Instant) -> Mapping[str, Count]:
    """Each count as remembered, unless the journal knows of a later change of meter."""
    found = dict(journal)
    try:
        known = mapping(memory)
        pause = now.wall - number(known["at"])
        saved = now.monotonic - (pause if pause >= 0.0 else UNKNOWN_PAUSE_S)
        for point, plain in mapping(known.get("totals", {})).items():
            count = count_from_plain(plain, saved)
            if point not in found or found[point].broken <= count.broken:
                found[point] = count
    except (KeyError, TypeError, ValueError):
        return found
    return found


def _plain(watch: CircuitWatch, now: float) -> dict[str, Plain]:
    timers = {what: [now - timer.since, now - timer.seen] for what, timer in watch.timers.items()}
    return {
        "phase": watch.phase.value,
        "age": now - watch.since,
        "due_age": None if watch.due_since is None else now - watch.due_since,
        "warm": watch.warm,
        "heat_back_age": None if math.isinf(watch.not_before) else now - watch.not_before,
        "timers": timers,
        "heat": heat_to_plain(watch, now),
    }


def _watch(plain: Mapping[str, Plain], saved: float) -> CircuitWatch:
    """A watch from its memory; `saved` is the monotonic time of now at which it was saved."""
    due, back = optional(plain["due_age"]), optional(plain["heat_back_age"])
    return CircuitWatch(
        phase=Phase(str(plain["phase"])),
        since=saved - _age(plain["age"]),
        timers={
            what: _timer(ages, saved) for what, ages in mapping(plain["timers"]).items() if what in BY_NAME
        },
        due_since=None if due is None else saved - due,
        warm=plain["warm"] is True,
        not_before=-math.inf if back is None else saved - back,
    )


def _timer(ages: Plain, saved: float) -> Timer:
    if not isinstance(ages, list | tuple):
        raise TypeError("a timer is kept as two ages")
    since, seen = ages
    return Timer(saved - _age(since), saved - _age(seen))


def _age(value: Plain) -> float:
    age = number(value)
    if not 0.0 <= age <= _OLDEST_S:
        raise ValueError(f"no age: {age}")
    return age


def _merged(memory: CircuitWatch, journal: CircuitWatch | None) -> CircuitWatch:
    """Memory under the journal's authority: an outage is open exactly when the journal says so."""
    known = CircuitWatch() if journal is None else journal
    memory = replace(
        memory,
        outage=known.outage,
        last=known.last,
        account=known.account,
        partial_since=known.partial_since,
        degraded=known.degraded,
        leak=known.leak,
    )
    inside = memory.phase in (Phase.OUT, Phase.RECOVERING)
    if known.outage is not None:
        return memory if inside else replace(memory, phase=Phase.OUT)
    return replace(memory, phase=Phase.SUSPECTED) if memory.phase is Phase.OUT else _closed(memory)


def _closed(memory: CircuitWatch) -> CircuitWatch:
    return replace(memory, phase=Phase.NORMAL) if memory.phase is Phase.RECOVERING else memory
