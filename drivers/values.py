"""From a number in a register's unit to a reading in the unit asked for: limits, conversion, totals. Pure."""

import math

from drivers.errors import ConfigurationError
from drivers.profile_base import Limits
from drivers.reading import Reading, Reason
from drivers.units import Unit, factor


def unit_factor(source: Unit, target: Unit) -> float:
    """Factor between units, or ConfigurationError when they measure different things."""
    try:
        return float(factor(source, target))
    except ValueError as error:
        raise ConfigurationError(f"{error}: correct the unit of the profile or of the point") from error


def judge(value: float, limits: Limits, unit: Unit, factor: float, timestamp: float) -> Reading:
    """A reading of `value` (in the register's unit) if it is a number within the register's limits."""
    if not math.isfinite(value):
        return Reading.bad(Reason.NOT_A_NUMBER, unit, timestamp)
    if (limits.low is not None and value < limits.low) or (limits.high is not None and value > limits.high):
        return Reading.bad(Reason.OUT_OF_RANGE, unit, timestamp)
    return Reading.good(value * factor, unit, timestamp)
