"""Finding meters nobody has told us of: which address to try next. Pure: outcomes in, addresses out.

Both searches are used alike: `for`-like, with `next()` giving the address to try (None at the end) and
`tell()` taking what came of it. They do no input or output and know no time; `MBusDriver.find` tries.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from drivers.mbus.frames import LAST_PRIMARY

_DIGITS = "0123456789"
_ANY = "F"
_HOPELESS = 20  # full numbers that collide, after which the line itself must be at fault


class Outcome(StrEnum):
    """What came of trying an address."""

    NOTHING = "nothing"
    ONE = "one"
    COLLISION = "collision"  # more than one answered at once, or one that cannot be understood


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of one try, and who it was when it was ONE: "12345678.KAM.35.04", or digits only."""

    outcome: Outcome
    address: str = ""


@runtime_checkable
class Searchable(Protocol):
    """A driver whose line can be searched for meters (M-Bus)."""

    async def find(self, address: str) -> Found:
        """Try one primary or secondary address, with wildcards or without; silence is no error.

        One exchange (a selection and a request). ClosedError when the line is not there,
        ConfigurationError when `address` is none.
        """


class PrimaryScan:
    """Every primary address once, in order."""

    def __init__(self, first: int = 0, last: int = LAST_PRIMARY) -> None:
        self._left = deque(range(first, last + 1))
        self._all = len(self._left)
        self.found: list[str] = []
        self.collisions: list[str] = []

    @property
    def progress(self) -> float:
        """How much is done, 0 to 1."""
        return 1 - len(self._left) / self._all if self._all else 1.0

    def next(self) -> str | None:
        """The address to try; the same until its outcome was told."""
        return str(self._left[0]) if self._left else None

    def tell(self, found: Found) -> None:
        """What came of it. Two meters with one primary address are reported as that address."""
        address = str(self._left.popleft())
        if found.outcome is Outcome.ONE:
            self.found.append(address)
        elif found.outcome is Outcome.COLLISION:
            self.collisions.append(address)


class SecondarySearch:
    """The wildcard search of EN 13757-3: fix one digit more wherever several meters answer at once.

    `found` are the full addresses of meters, `collisions` those masks of eight fixed digits behind which more
    than one meter still answers, or one that cannot be understood. A meter is never lost silently; where
    everything collides (noise, a second master) the search ends early, with `gave_up`.
    """

    def __init__(self, mask: str = 8 * _ANY) -> None:
        self._left = deque([mask])
        self._done = 0.0
        self.found: list[str] = []
        self.collisions: list[str] = []

    @property
    def progress(self) -> float:
        """How much of all numbers has been looked at, 0 to 1."""
        return min(self._done, 1.0)

    @property
    def gave_up(self) -> bool:
        """True when the search ended because too many full numbers collided."""
        return len(self.collisions) >= _HOPELESS

    def next(self) -> str | None:
        """The mask to try; the same until its outcome was told."""
        return self._left[0] if self._left and not self.gave_up else None

    def tell(self, found: Found) -> None:
        """What came of it."""
        mask = self._left.popleft()
        if found.outcome is Outcome.COLLISION and _ANY in mask:
            place = mask.index(_ANY)
            narrower = (mask[:place] + digit + mask[place + 1 :] for digit in _DIGITS)
            self._left.extendleft(reversed(list(narrower)))
            return
        self._done += 10.0 ** -_fixed(mask)
        if found.outcome is Outcome.ONE and found.address not in self.found:
            self.found.append(found.address)
        elif found.outcome is Outcome.COLLISION:
            self.collisions.append(mask)


def _fixed(mask: str) -> int:
    return len(mask) - mask.count(_ANY)
