"""The outdoor temperature as a building feels it: first-order filter, mixed with the actual one. Pure."""

import math


def filtered(previous_c: float | None, actual_c: float, filter_h: float, dt: float) -> float:
    """First-order lag of time constant `filter_h` (h) after `dt` (s); starts at the first reading."""
    if previous_c is None or filter_h == 0:
        return actual_c
    return previous_c + (actual_c - previous_c) * -math.expm1(-dt / (3600.0 * filter_h))


def mixed(filtered_c: float, actual_c: float, actual_share: float) -> float:
    """Weighted mean; Siemens RVL/RMH mix half and half."""
    return actual_share * actual_c + (1.0 - actual_share) * filtered_c
