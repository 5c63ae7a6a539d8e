"""The PI algorithm for a motor valve, settings apart from state. Pure.

The integral is kept in % of stroke, already multiplied by the gain, so that a changed gain moves nothing.
It rests whenever the output cannot follow in the direction of the error: at an end stop, while the motor
is still under way, or when the measured position stays far behind.
"""

from dataclasses import dataclass

from edge.site import Valve

DEVIATION_LIMIT_K = (
    20.0  # a larger error opens no faster (deviation clamp as in TROVIS, wider); bounds the kick
)
LEAD_LIMIT_PERCENT = (
    10.0  # the command may lead the measured position so far: 10 s of polling at 120 s running time
)


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
    step = 100.0 * dt / settings.running_time_s
    return Span(
        max(settings.minimum_percent, from_percent - step),
        min(settings.maximum_percent, from_percent + step),
    )


def beyond_dead_band(error_k: float, dead_band_k: float) -> float:
    """The part of the error outside the dead band, without a jump at its edges; bounded (K)."""
    bounded = min(max(error_k, -DEVIATION_LIMIT_K), DEVIATION_LIMIT_K)
    return bounded - min(max(bounded, -dead_band_k), dead_band_k)


def bumpless(settings: Valve, output_percent: float, error_k: float) -> float:
    """The integral (%) with which the output is `output_percent` at this error."""
    return output_percent - settings.gain_percent_per_k * beyond_dead_band(error_k, settings.dead_band_k)


def step(
    settings: Valve, integral: float, error_k: float, span: Span, lead_percent: float, dt: float
) -> tuple[float, float, float]:
    """One cycle: (integral, output within `span`, output as it would be without bounds), all in %.

    `lead_percent` is how far the last output leads the measured position (0 when that is not known).
    """
    error = beyond_dead_band(error_k, settings.dead_band_k)
    candidate = integral + settings.gain_percent_per_k * error * dt / settings.integral_time_s
    wanted = candidate + settings.gain_percent_per_k * error
    output = span.clamp(wanted)
    held_back = (wanted - output) * error > 0
    left_behind = abs(lead_percent) > LEAD_LIMIT_PERCENT and lead_percent * error > 0
    if not (held_back or left_behind):
        return candidate, output, wanted
    wanted = integral + settings.gain_percent_per_k * error
    return integral, span.clamp(wanted), wanted
