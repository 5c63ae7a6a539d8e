"""Question and answer on a line of meters that speak only when asked (M-Bus, CJ/T 188).

A codec without I/O (`Frames`) makes frames of bytes; this module sends, waits, and tells the tap. What the
codec calls spoilt, and what answers another question, is never taken for the answer awaited.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from drivers.errors import NoAnswerError, RemoteProtocolError, TransportError
from drivers.link import Link
from drivers.pieces import Frames, Piece
from drivers.traffic import Tap, Traffic, Verdict

__all__ = ["Dialogue", "Frames", "Piece"]

F = TypeVar("F")

_LONGEST_ANSWER_S = 12.0  # 261 bytes at 300 baud take 9.6 s; a meter that babbles must not hold the line
_DEAF_S = 30.0  # a connection may have died unseen: nothing heard for so long, and a new one is tried


class Dialogue:
    """One request at a time on `link`: `silence_s` before each, `timeout_s` of waiting for more bytes."""

    def __init__(self, link: Link, timeout_s: float, silence_s: float, tap: Tap) -> None:
        self._link = link
        self._timeout_s = timeout_s
        self._silence_s = silence_s
        self._tap = tap
        self._lock = asyncio.Lock()
        self._ended = 0.0
        self._deaf_since: float | None = None

    async def ask(self, device: str, request: bytes, frames: Frames[F], accept: Callable[[F], bool]) -> F:
        """The first well-formed frame that `accept` takes for the answer.

        NoAnswerError when nothing came, RemoteProtocolError when only other things did, ClosedError when the
        line is not there.
        """
        async with self._lock:
            await self._prepare(device)
            self._tell(device, Verdict.REQUEST, request)
            try:
                self._link.send(request)
                return await self._answer(device, frames, accept)
            finally:
                self._ended = asyncio.get_running_loop().time()

    async def tell(self, device: str, request: bytes) -> None:
        """Send what nobody answers (a broadcast)."""
        async with self._lock:
            await self._prepare(device)
            self._tell(device, Verdict.REQUEST, request)
            self._link.send(request)
            self._ended = asyncio.get_running_loop().time()

    def close(self) -> None:
        """Close the line; the next question opens it again."""
        self._link.close()

    async def open(self) -> None:
        """Open the line; ClosedError or ConfigurationError when that fails."""
        await self._link.open(max(self._timeout_s, 1.0))

    async def _prepare(self, device: str) -> None:
        self._give_up_if_deaf()
        await self.open()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s + self._silence_s
        while (wait_s := max(self._ended, self._link.heard) + self._silence_s - loop.time()) > 0:
            if loop.time() > deadline:
                raise RemoteProtocolError(f"{self._link.name}: never silent: another master, or a fault")
            await asyncio.sleep(wait_s)
        stray = self._link.drain()
        if stray:
            self._tell(device, Verdict.FOREIGN, stray)

    async def _answer(self, device: str, frames: Frames[F], accept: Callable[[F], bool]) -> F:
        loop = asyncio.get_running_loop()
        latest = loop.time() + _LONGEST_ANSWER_S
        wrong: Piece[F] | None = None
        while True:
            try:
                data = await self._receive(latest)
            except TransportError as error:
                raise self._silence(device, error, wrong) from error
            for piece in frames.feed(data):
                if piece.frame is not None and accept(piece.frame):
                    self._tell(device, piece.verdict, piece.data)
                    return piece.frame
                wrong = piece
                self._tell(device, Verdict.FOREIGN if piece.frame is not None else piece.verdict, piece.data)

    def _give_up_if_deaf(self) -> None:
        """Close a connection on which question after question met silence: half of it may be gone."""
        since, now = self._deaf_since, asyncio.get_running_loop().time()
        if since is not None and (self._link.heard > since or now - since > _DEAF_S):
            self._deaf_since = None
            if self._link.heard <= since:
                self._link.close()

    async def _receive(self, latest: float) -> bytes:
        """More bytes, but none after `latest`: where they flow without end, waiting alone ends nothing."""
        now = asyncio.get_running_loop().time()
        if now >= latest:
            raise NoAnswerError(f"{self._link.name}: bytes without end, and no answer among them")
        return await self._link.receive(min(now + self._timeout_s, latest))

    def _silence(self, device: str, error: TransportError, wrong: Piece[F] | None) -> Exception:
        if not isinstance(error, NoAnswerError):
            self._tell(device, Verdict.LOST, b"")
            return error
        self._tell(device, Verdict.SILENCE, b"")
        if self._deaf_since is None:
            self._deaf_since = asyncio.get_running_loop().time()
        if wrong is None:
            return error
        what = Verdict.FOREIGN if wrong.frame is not None else wrong.verdict
        return RemoteProtocolError(
            f"{self._link.name}: only a {what} frame came ({wrong.data[:12].hex(' ')})"
        )

    def _tell(self, device: str, verdict: Verdict, data: bytes) -> None:
        self._tap(Traffic(device, verdict, data, asyncio.get_running_loop().time()))
