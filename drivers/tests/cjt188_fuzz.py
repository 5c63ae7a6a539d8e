"""A small fuzzer led by coverage: inputs that reach a new step from line to line are kept, and mutated on.

Made of the interpreter's tracing, for want of one that needs no compiler; it suits codecs of pure Python.
"""

import random
import sys
import time
from collections.abc import Callable, Iterable
from types import FrameType, ModuleType
from typing import Any

Edge = tuple[str, int, int]
_SPECIAL = (0x00, 0x16, 0x2E, 0x68, 0x80, 0x9F, 0xFE, 0xFF)


class Fuzzer:
    """Feeds `target` with mutants of `corpus`, watching the lines of `modules`.

    `repair` may make a mutant plausible again (a checksum), so that what lies behind it is reached.
    """

    def __init__(
        self,
        target: Callable[[bytes], None],
        modules: Iterable[ModuleType],
        corpus: Iterable[bytes],
        repair: Callable[[bytearray], None],
        seed: int = 1,
    ) -> None:
        self._target = target
        self._files = {module.__file__ for module in modules}
        self._repair = repair
        self._random = random.Random(seed)  # noqa: S311 (mutations, not secrets)
        self.edges: set[Edge] = set()
        self.inputs = 0
        self.corpus = list(corpus)
        for data in self.corpus:
            self._run(data)

    def run(self, seconds: float) -> None:
        """Mutate and feed for so long; what `target` raises comes out."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            data = self._mutant(self._random.choice(self.corpus))
            if self._run(data):
                self.corpus.append(data)

    def _run(self, data: bytes) -> bool:
        """Feed one input; True when it went a way none has gone."""
        before = len(self.edges)
        self.inputs += 1
        old = sys.gettrace()
        sys.settrace(self._enter)
        try:
            self._target(data)
        finally:
            sys.settrace(old)
        return len(self.edges) > before

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:  # noqa: ANN401 (the tracing interface)
        name = frame.f_code.co_filename
        if name not in self._files:
            return None
        last = 0

        def step(frame: FrameType, _event: str, _arg: Any) -> Any:  # noqa: ANN401 (the tracing interface)
            nonlocal last
            self.edges.add((name, last, frame.f_lineno))
            last = frame.f_lineno
            return step

        return step

    def _mutant(self, data: bytes) -> bytes:
        mutant, chance = bytearray(data), self._random
        for _ in range(chance.choice((1, 1, 2, 4, 8))):
            place = chance.randrange(len(mutant) + 1)
            chance.choice((self._flip, self._set, self._cut, self._insert, self._splice))(mutant, place)
        if chance.random() < 0.7:
            self._repair(mutant)
        return bytes(mutant)

    def _flip(self, data: bytearray, place: int) -> None:
        if place < len(data):
            data[place] ^= 1 << self._random.randrange(8)

    def _set(self, data: bytearray, place: int) -> None:
        data[place : place + 1] = bytes((self._random.choice(_SPECIAL),))

    def _cut(self, data: bytearray, place: int) -> None:
        del data[place : place + self._random.randrange(1, 6)]

    def _insert(self, data: bytearray, place: int) -> None:
        data[place:place] = self._random.randbytes(self._random.randrange(1, 6))

    def _splice(self, data: bytearray, place: int) -> None:
        other = self._random.choice(self.corpus)
        start = self._random.randrange(len(other) + 1)
        data[place : place + 5] = other[start : start + 5]
