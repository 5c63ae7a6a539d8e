"""The PI algorithm for a motor valve, settings apart from state. Pure.

The integral is kept in % of stroke, already multiplied by the gain, so that a changed gain moves nothing.
Inside the dead band the output rests and the integral follows it, so that control leaves the band without a
jump and does not drift within. The integral rests whenever the output cannot follow in the direction of the
error: at an end stop, while the motor is still under way, or when the measured position stays far behind.
"""

from dataclasses import dataclass

from edge.site import Valve

DEVIATION_LIMIT_K = (
    20.0  # a larger error opens no faster (deviation clamp as in TROVIS, wider): bounds the kick
)
LEAD_LIMIT_PERCENT = (
    10.0  # the output may lead the measured position so far: 10 s of polling, 120 s running time
)


@dataclass(frozen=True, slots=True)
class PiState:
    """Both in % of stroke. The output is what the motor was last asked for, before its resolution."""

    integral_percent: float = 0.0
    output_percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Span:
    """What the valve can reach in this cycle, % of stroke."""

    low: float
    high: float

    def clamp(self, value: float) -> float:
        """`value`, or the nearer end."""
        return min(max(value, self.low), self.high)


def reach(settings: Valve, from_percent: float, dt: float) -> Span:
    """The openings a motor of that running time can reach in `dt` seconds, within the limits."""
    move = 100.0 * dt / settings.running_time_s
    return Span(
        min(max(settings.minimum_percent, from_percent - move), settings.maximum_percent),
        max(min(settings.maximum_percent, from_percent + move), settings.minimum_percent),
    )


def bumpless(settings: Valve, output_percent: float, error_k: float) -> PiState:
    """The state whose output is `output_percent` at this error."""
    return PiState(output_percent - settings.gain_percent_per_k * _bounded(error_k), output_percent)


def step(
    settings: Valve, state: PiState, error_k: float, position_percent: float | None, dt: float
) -> tuple[PiState, float]:
    """The state one cycle later, and the output (%) as it would be without bounds."""
    span = reach(settings, state.output_percent, dt)
    if abs(error_k) <= settings.dead_band_k:
        return bumpless(settings, span.clamp(state.output_percent), error_k), state.output_percent
    error = _bounded(error_k)
    proportional = settings.gain_percent_per_k * error
    integral = state.integral_percent
    if not _left_behind(state.output_percent, position_percent, error):
        integral += proportional * dt / settings.integral_time_s
    wanted = integral + proportional
    excess = wanted - span.clamp(wanted)
    if excess * error > 0:  # give back what the valve cannot follow, but nothing of what was there before
        keep = max if error > 0 else min
        integral = keep(state.integral_percent, integral - excess)
    return PiState(integral, span.clamp(integral + proportional)), wanted


def _bounded(error_k: float) -> float:
    return min(max(error_k, -DEVIATION_LIMIT_K), DEVIATION_LIMIT_K)


def _left_behind(output_percent: float, position_percent: float | None, error: float) -> bool:
    """True when the measured position lags far behind the output in the direction of the error."""
    if position_percent is None:
        return False
    lead = output_percent - position_percent
    return abs(lead) > LEAD_LIMIT_PERCENT and lead * error > 0
