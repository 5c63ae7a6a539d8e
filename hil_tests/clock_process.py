"""The service as a process whose wall clock is set by a file: FOLDER holds `site.toml` and `offset`.

`offset` has the seconds by which the wall clock is off, and is read at every look at the clock.
"""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from edge.clock import Instant, ScaledClock
from edge.service import Paths, serve
from edge.tests.test_service import steady_field

SPEED = 20.0


class SetClock(ScaledClock):
    """A scaled clock that somebody sets."""

    def __init__(self, origin_wall: float, offset: Path) -> None:
        super().__init__(origin_wall, 0.0, SPEED)  # the machine's own origin: every life agrees
        self._offset = offset

    def now(self) -> Instant:
        """This moment."""
        found = super().now()
        return replace(found, wall=found.wall + float(self._offset.read_text(encoding="ascii")))


def run(folder: Path, origin_wall: float) -> None:
    """Serve until a signal ends it."""
    paths = Paths(folder / "site.toml", folder / "data", folder / "status.json")
    asyncio.run(serve(paths, SetClock(origin_wall, folder / "offset"), steady_field().open))


if __name__ == "__main__":
    run(Path(sys.argv[1]), float(sys.argv[2]))
