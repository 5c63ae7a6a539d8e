"""How far one stream has been sent and receipted, and what may go out now. Pure; monotonic seconds given.

Go back N: rows go out in order within a bounded window beyond the receipt. Nothing goes out before the
head-end has said where it stands (`open`); when its receipts stop, it is asked again, with growing pauses,
and the stream goes on from its answer. A broker's acknowledgement plays no part in this.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Window:
    """What may be under way without a receipt, and when (real s) the head-end is asked where it stands."""

    rows: int = 2000
    size: int = 1 << 20  # bytes
    ask_s: float = 5.0
    ask_maximum_s: float = 60.0


@dataclass(slots=True)
class Flow:
    """The cursor of one stream. `receipted` and `sent` are row numbers; 0 before the first row."""

    window: Window
    receipted: int = 0
    sent: int = 0
    open: bool = False
    _flying: deque[tuple[int, int, int]] = field(default_factory=deque)  # (last seq, rows, bytes) per message
    _pause: float = 0.0
    _ask_at: float = 0.0

    def restart(self, now: float) -> None:
        """A new session: nothing is open until the head-end has answered; ask at once."""
        self._close()
        self._pause = self.window.ask_s
        self._ask_at = now

    def room(self) -> bool:
        """True when another message may go out."""
        return (
            self.open
            and sum(rows for _, rows, _ in self._flying) < self.window.rows
            and sum(size for _, _, size in self._flying) < self.window.size
        )

    def put(self, last: int, rows: int, size: int, now: float) -> None:
        """A message goes out whose last row is `last`."""
        assert self.open
        assert last > self.sent
        if not self._flying:
            self._ask_at = now + self._pause
        self._flying.append((last, rows, size))
        self.sent = last

    def must_ask(self, now: float) -> bool:
        """True when the head-end owes an answer for longer than the limit (or has not been asked yet)."""
        return (not self.open or bool(self._flying)) and now >= self._ask_at

    def asked(self, now: float) -> None:
        """A Hello goes out: hold everything until it is answered, and wait longer for each next answer."""
        self._close()
        self._ask_at = now + self._pause
        self._pause = min(2 * self._pause, self.window.ask_maximum_s)

    def advance(self, seq: int, now: float) -> bool:
        """A receipt for rows that we know. True when it is news; an older one changes nothing."""
        if seq <= self.receipted:
            return False
        self.receipted = seq
        self.sent = max(self.sent, seq)
        while self._flying and self._flying[0][0] <= seq:
            self._flying.popleft()
        if self.open:
            self._pause = self.window.ask_s
            self._ask_at = now + self._pause
        return True

    def resume(self, seq: int, now: float) -> None:
        """The head-end stands at `seq` and wants what follows, whatever we believed."""
        if seq > self.receipted:
            self._pause = self.window.ask_s  # only progress makes us ask faster again
        self._flying.clear()
        self.receipted = self.sent = seq
        self.open = True
        self._ask_at = now + self._pause

    def refuse(self, now: float) -> None:
        """The head-end (or we) cannot go on: hold, and ask again at the longest pause."""
        self._close()
        self._pause = self.window.ask_maximum_s
        self._ask_at = now + self._pause

    def _close(self) -> None:
        self._flying.clear()
        self.sent = self.receipted
        self.open = False
