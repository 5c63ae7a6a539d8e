"""To be written."""

from collections.abc import Callable

from drivers.settings import Cjt188Bus
from drivers.traffic import Tap


class Cjt188Driver:
    """Being written in this very session."""

    def __init__(self, bus: Cjt188Bus, now: Callable[[], float], tap: Tap) -> None:
        raise NotImplementedError
