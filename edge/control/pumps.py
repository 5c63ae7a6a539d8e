"""The make-up pump's band control with its run time and lockout. Pure."""

from dataclasses import dataclass

from edge.site import Pressurisation

LOCKOUT_S = 900.0  # then it may try again: a pump locked out for good would let a slow leak empty the system


@dataclass(frozen=True, slots=True)
class MakeupState:
    """`run_s` is the length of the present run; `locked_since` (monotonic s) is set while locked out."""

    running: bool = False
    run_s: float = 0.0
    locked_since: float | None = None


def makeup(
    state: MakeupState,
    settings: Pressurisation,
    pressure_bar: float | None,
    allowed: bool,
    dt: float,
    monotonic: float,
) -> MakeupState:
    """The pump one cycle later. An unknown pressure or `allowed=False` (mains, tank) stops it."""
    if pressure_bar is None or not allowed:
        return MakeupState(locked_since=state.locked_since)
    low = settings.setpoint_bar - settings.band_bar / 2
    high = settings.setpoint_bar + settings.band_bar / 2
    if state.locked_since is not None:
        over = pressure_bar >= low or monotonic - state.locked_since >= LOCKOUT_S
        return MakeupState() if over else state
    running = pressure_bar < high if state.running else pressure_bar < low
    if not running:
        return MakeupState()
    run_s = state.run_s + dt if state.running else 0.0
    if run_s >= settings.maximum_run_s:
        return MakeupState(locked_since=monotonic)
    return MakeupState(True, run_s)
