"""What a bus's task is told of its points: how often they are read, how they may be written, what must hold.

Made by `edge.assembly` of the site and the profiles; pure data.
"""

from dataclasses import dataclass

from drivers import FailSafe, Point


@dataclass(frozen=True, slots=True)
class Input:
    """A point to read every `period_s` (s of the clock). A slow one waits for what control needs."""

    point: Point
    period_s: float
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """A point to write, by the rules of its profile.

    `interval_s`: no sooner after the last write. `per_day`: writes in 24 h that the device's memory bears,
    None where nothing wears out. `read_back`: it can be read and shows what was written, to within
    `resolution` (in the point's unit).
    """

    point: Point
    interval_s: float = 0.0
    per_day: int | None = None
    read_back: bool = False
    resolution: float = 0.0

    def agrees(self, wanted: float, found: float) -> bool:
        """True when the device shows what was written; a float of 32 bits keeps seven digits."""
        return abs(found - wanted) <= max(self.resolution, 1e-6 * abs(wanted)) * (1.0 + 1e-9)


@dataclass(frozen=True, slots=True)
class Guard:
    """A fail-safe register and its rule; `point` is in the register's own unit."""

    point: Point
    rule: FailSafe
