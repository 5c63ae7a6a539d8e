"""What the primary mains offer: temperature by weather, differential pressure, their noise. Pure.

Noise as in a measured network's spectrum by estimate: temperature OU 1 K / 40 min and ramps of 2..6 K;
differential pressure OU 4 % / 15 min and 1.5 % / 25 s, with steps to 0.75..1.3 of its value.
"""

import math

from hil_tests.physics.noise import fading, following, kick, normal, uniform
from hil_tests.physics.parameters import Mains
from hil_tests.physics.state import Disturbance, PlantState, PrimaryState

_RAMP_K_S = 1.0 / 300.0
_RAMP_PAUSE_S = 8.0 * 3600.0
_STEP_PAUSE_S = 12.0 * 3600.0


def _load(mains: Mains, outdoor_c: float) -> float:
    """How far the weather is from mild (0) towards the design winter (1) or beyond."""
    return (outdoor_c - mains.mild_outdoor_c) / (mains.design_outdoor_c - mains.mild_outdoor_c)


def supply_curve(mains: Mains, outdoor_c: float) -> float:
    """Supply temperature in C the source holds at a (slow) outdoor temperature."""
    rise = mains.design_supply_c - mains.mild_supply_c
    wanted = mains.mild_supply_c + rise * _load(mains, outdoor_c)
    return min(mains.highest_c, max(mains.lowest_c, wanted))


def pressure_curve(mains: Mains, outdoor_c: float) -> float:
    """Differential pressure in bar the source's pumps leave here: more in cold weather, within two limits."""
    load = min(1.0, max(0.0, _load(mains, outdoor_c)))
    return mains.mild_bar + (mains.design_bar - mains.mild_bar) * load


def _next_events(mains: Mains, state: PlantState, primary: PrimaryState) -> None:
    """Draw the next ramp of temperature and step of pressure once the last pause is over."""
    if state.time >= primary.next_ramp_s:
        state.seed = following(state.seed)
        size = mains.unrest * (2.0 + 4.0 * uniform(state.seed))
        state.seed = following(state.seed)
        draw = uniform(state.seed)
        primary.ramp_target_k = 0.0 if primary.ramp_target_k else math.copysign(size, draw - 0.5)
        primary.next_ramp_s = state.time + (0.5 + draw) * _RAMP_PAUSE_S
    if state.time >= primary.next_step_s:
        state.seed = following(state.seed)
        draw = uniform(state.seed)
        change = mains.unrest * (0.55 * draw - 0.25)
        primary.step_target = 1.0 if primary.step_target != 1.0 else 1.0 + change
        state.seed = following(state.seed)
        primary.next_step_s = state.time + (0.5 + uniform(state.seed)) * _STEP_PAUSE_S


def _stir(mains: Mains, state: PlantState, primary: PrimaryState, h: float) -> None:
    """One step of the three Ornstein-Uhlenbeck processes."""
    seed = following(state.seed)
    primary.wander_k = primary.wander_k * fading(h, 2400.0) + kick(h, 2400.0, mains.unrest) * normal(seed)
    seed = following(seed)
    primary.swell = primary.swell * fading(h, 900.0) + kick(h, 900.0, 0.04 * mains.unrest) * normal(seed)
    state.seed = following(seed)


def _ripple(mains: Mains, state: PlantState, primary: PrimaryState, dt: float) -> None:
    state.seed = following(state.seed)
    primary.ripple = primary.ripple * fading(dt, 25.0) + kick(dt, 25.0, 0.015 * mains.unrest) * normal(
        state.seed
    )


def step_mains(mains: Mains, state: PlantState, disturbance: Disturbance, h: float) -> None:
    """Slow part, h seconds: weather at the source, ramps, a source that is out, noise of minutes."""
    primary = state.primary
    _next_events(mains, state, primary)
    _stir(mains, state, primary, h)
    kept = fading(h, 6.0 * 3600.0)
    primary.slow_outdoor_c = state.outdoor_c + (primary.slow_outdoor_c - state.outdoor_c) * kept
    reach = _RAMP_K_S * h
    primary.ramp_k += min(reach, max(-reach, primary.ramp_target_k - primary.ramp_k))
    if disturbance.source_cold:
        target, kept = 35.0, fading(h, 5400.0)
    else:
        target = supply_curve(mains, primary.slow_outdoor_c) + primary.wander_k + primary.ramp_k
        kept = fading(h, 300.0)
    primary.supply_c = target + (primary.supply_c - target) * kept


def step_pressure(mains: Mains, state: PlantState, disturbance: Disturbance, dt: float) -> None:
    """Fast part, dt seconds: the differential pressure in bar."""
    primary = state.primary
    _ripple(mains, state, primary, dt)
    primary.step = primary.step_target + (primary.step - primary.step_target) * fading(dt, 5.0)
    left = disturbance.differential_share
    primary.available = left + (primary.available - left) * fading(dt, 20.0)
    offered = pressure_curve(mains, primary.slow_outdoor_c)
    noisy = offered * primary.step * (1.0 + primary.swell + primary.ripple)
    primary.differential_bar = noisy * primary.available
