"""To be written."""

from collections.abc import Callable

from drivers.settings import MBusBus
from drivers.traffic import Tap


class MBusDriver:
    """Being written in this very session."""

    def __init__(self, bus: MBusBus, now: Callable[[], float], tap: Tap) -> None:
        raise NotImplementedError
