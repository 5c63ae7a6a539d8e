"""Everybody who is told what passes on a bus. It is the tap that the bus's driver is given."""

from collections.abc import Callable

from drivers import Tap, Traffic


class Listeners:
    """A tap that tells others."""

    def __init__(self) -> None:
        self._taps: dict[object, Tap] = {}

    def __call__(self, traffic: Traffic) -> None:
        """Tell everybody; one who stops listening because of it disturbs nobody."""
        for tap in tuple(self._taps.values()):
            tap(traffic)

    def add(self, tap: Tap) -> Callable[[], None]:
        """Tell `tap`, too; what is returned ends that, and may be called twice."""
        key = object()
        self._taps[key] = tap

        def remove() -> None:
            self._taps.pop(key, None)

        return remove
