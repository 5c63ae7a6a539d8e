"""The heat curve: outdoor temperature in, supply setpoint out. Pure functions."""

from itertools import pairwise

from edge.site import Curve

SUPPLY_MAXIMUM = "limit.supply_maximum"
SUPPLY_MINIMUM = "limit.supply_minimum"


def interpolate(points: tuple[tuple[float, float], ...], outdoor_c: float) -> float:
    """Supply temperature (degC) by straight lines between the points, held beyond both ends."""
    if outdoor_c <= points[0][0]:
        return points[0][1]
    for (left_c, left), (right_c, right) in pairwise(points):
        if outdoor_c <= right_c:
            return left + (right - left) * (outdoor_c - left_c) / (right_c - left_c)
    return points[-1][1]


def supply_setpoint(curve: Curve, outdoor_c: float) -> tuple[float, str]:
    """Setpoint in degC within minimum and maximum, and the key of the bound that cut it ("" when none)."""
    wanted = interpolate(curve.points, outdoor_c)
    if wanted > curve.maximum_c:
        return curve.maximum_c, SUPPLY_MAXIMUM
    if wanted < curve.minimum_c:
        return curve.minimum_c, SUPPLY_MINIMUM
    return wanted, ""
