"""What a codec of frames gives and what it promises: bytes in, pieces out, and never an exception. Pure.

Apart from drivers.dialogue, so that codecs and profiles need no line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from drivers.traffic import Verdict

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Piece(Generic[F]):
    """Bytes the codec has made up its mind about: a frame, or what was wrong with them."""

    data: bytes
    verdict: Verdict
    frame: F | None = None


class Frames(Protocol[F]):
    """A codec's receiving side: bytes as they come, pieces as they are complete. Never raises."""

    def feed(self, data: bytes) -> Sequence[Piece[F]]:
        """Take more bytes; give what is decided."""
