"""A yes or no that needs time to change its mind: entry and exit delays. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Latch:
    """`on` follows its input after a delay; `turning` is when (monotonic s) the input began to disagree."""

    on: bool = False
    turning: float | None = None

    def after(self, wanted: bool | None, monotonic: float, entry_s: float, exit_s: float) -> "Latch":
        """The latch one cycle later; an unknown input (None) changes nothing."""
        if wanted is None or wanted is self.on:
            return self if self.turning is None else Latch(self.on)
        since = monotonic if self.turning is None else self.turning
        if monotonic - since >= (exit_s if self.on else entry_s):
            return Latch(not self.on)
        return self if self.turning is not None else Latch(self.on, since)
