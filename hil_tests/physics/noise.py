"""Small seeded noise whose whole state is one integer: a plant state can be copied and replayed. Pure."""

import math
from functools import lru_cache
from statistics import NormalDist

_MASK = (1 << 64) - 1
_BITS = 12
_NORMAL = tuple(NormalDist().inv_cdf((i + 0.5) / (1 << _BITS)) for i in range(1 << _BITS))
_SHIFT = 64 - _BITS


def following(seed: int) -> int:
    """The next state of the generator (Knuth's MMIX linear congruential generator)."""
    return (seed * 6364136223846793005 + 1442695040888963407) & _MASK


def normal(seed: int) -> float:
    """A standard normal deviate from a generator state, by inversion in 4096 steps (|x| <= 3.7)."""
    return _NORMAL[seed >> _SHIFT]


def uniform(seed: int) -> float:
    """A number in [0, 1) from a generator state."""
    return (seed >> 11) * 2.0**-53


@lru_cache(maxsize=256)
def fading(step_s: float, time_constant_s: float) -> float:
    """What is left of a deviation after a step: exp(-step/time constant)."""
    return math.exp(-step_s / time_constant_s)


@lru_cache(maxsize=256)
def kick(step_s: float, time_constant_s: float, sigma: float) -> float:
    """Random kick per step that keeps an Ornstein-Uhlenbeck process at standard deviation sigma."""
    return sigma * math.sqrt(1.0 - math.exp(-2.0 * step_s / time_constant_s))


class Noise:
    """A stream of sensor noise for whoever measures."""

    __slots__ = ("_seed",)

    def __init__(self, seed: int) -> None:
        self._seed = following(following(seed))

    def normal(self) -> float:
        """The next standard normal deviate."""
        self._seed = following(self._seed)
        return _NORMAL[self._seed >> _SHIFT]
