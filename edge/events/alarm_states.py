"""The states of an alarm as one table, in the manner of ISA-18.2 / IEC 62682. Pure.

What is not in the table changes nothing. An ordinary row and a latching one (a trip, which stays until
somebody has acknowledged and reset it) differ in where some transitions end. Raising and clearing follow the
condition after its delays and are recorded, shelved or not; the state says what a person is shown and has to
do. What leaves `suppressed` while its condition holds starts its entry delay anew. There is no "out of
service": a device that is taken out leaves the site file.
"""

from collections.abc import Iterator
from enum import StrEnum


class State(StrEnum):
    """What a person is shown of an alarm."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"  # active, nobody has seen it
    ACKNOWLEDGED = "acknowledged"  # active, seen
    RETURNED = "returned"  # gone, nobody has seen it
    LATCHED = "latched"  # gone and seen, waits to be reset
    SHELVED = "shelved"  # put aside by a person, until a time
    SUPPRESSED = "suppressed"  # by design: a consequence of an alarm that is active


class Signal(StrEnum):
    """What can happen to it."""

    RAISE = "raise"  # the condition held for the entry delay
    CLEAR = "clear"  # the condition was gone for the exit delay
    ACKNOWLEDGE = "acknowledge"
    RESET = "reset"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"  # by a person or by its time, the condition gone
    UNSHELVE_ACTIVE = "unshelve_active"  # the same, the condition in force
    SUPPRESS = "suppress"  # it would be raised, and its cause is active
    UNSUPPRESS = "unsuppress"  # the cause or the condition is gone


_S, _G = State, Signal

# state, signal -> next state of an ordinary alarm, of a latching one that has tripped
TRANSITIONS: dict[tuple[State, Signal], tuple[State, State]] = {
    (_S.NORMAL, _G.RAISE): (_S.UNACKNOWLEDGED, _S.UNACKNOWLEDGED),
    (_S.NORMAL, _G.SHELVE): (_S.SHELVED, _S.SHELVED),
    (_S.NORMAL, _G.SUPPRESS): (_S.SUPPRESSED, _S.SUPPRESSED),
    (_S.UNACKNOWLEDGED, _G.CLEAR): (_S.RETURNED, _S.RETURNED),
    (_S.UNACKNOWLEDGED, _G.ACKNOWLEDGE): (_S.ACKNOWLEDGED, _S.ACKNOWLEDGED),
    (_S.UNACKNOWLEDGED, _G.SHELVE): (_S.SHELVED, _S.SHELVED),
    (_S.ACKNOWLEDGED, _G.CLEAR): (_S.NORMAL, _S.LATCHED),
    (_S.ACKNOWLEDGED, _G.SHELVE): (_S.SHELVED, _S.SHELVED),
    (_S.RETURNED, _G.RAISE): (_S.UNACKNOWLEDGED, _S.UNACKNOWLEDGED),
    (_S.RETURNED, _G.ACKNOWLEDGE): (_S.NORMAL, _S.LATCHED),
    (_S.RETURNED, _G.SHELVE): (_S.SHELVED, _S.SHELVED),
    (_S.LATCHED, _G.RAISE): (_S.UNACKNOWLEDGED, _S.UNACKNOWLEDGED),
    (_S.LATCHED, _G.RESET): (_S.NORMAL, _S.NORMAL),
    (_S.SHELVED, _G.SHELVE): (_S.SHELVED, _S.SHELVED),
    (_S.SHELVED, _G.UNSHELVE): (_S.NORMAL, _S.RETURNED),
    (_S.SHELVED, _G.UNSHELVE_ACTIVE): (_S.UNACKNOWLEDGED, _S.UNACKNOWLEDGED),
    (_S.SUPPRESSED, _G.SHELVE): (_S.SHELVED, _S.SHELVED),
    (_S.SUPPRESSED, _G.UNSUPPRESS): (_S.NORMAL, _S.NORMAL),
}


def after(state: State, signal: Signal, latching: bool) -> State:
    """The state after a signal; `latching` for a row that latches and has tripped."""
    ordinary, latched = TRANSITIONS.get((state, signal), (state, state))
    return latched if latching else ordinary


def printed() -> Iterator[str]:
    """The whole table as lines of Markdown: every state with every signal, `·` where nothing changes."""
    yield "| | " + " | ".join(f"`{signal}`" for signal in Signal) + " |"
    yield "|---" * (len(Signal) + 1) + "|"
    for state in State:
        yield f"| **{state}** | " + " | ".join(_cell(state, signal) for signal in Signal) + " |"


def _cell(state: State, signal: Signal) -> str:
    found = TRANSITIONS.get((state, signal))
    if found is None:
        return "·"
    ordinary, latched = found
    return f"{ordinary}" if ordinary is latched else f"{ordinary} / {latched}"
