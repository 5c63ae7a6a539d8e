"""The memory the bench's processes share: named float slots, each with one writer, and the origin of
simulated time.

A small file mapped into every process. It lies in the bench's own folder and goes with it, so that nothing
is left in the system when a process was killed. A slot is eight aligned bytes, written at once: a reader
sees the old value or the new one. NaN means absent: never written, or a sensor that is broken.
"""

import json
import math
import mmap
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.clock import ScaledClock

_MAGIC = 0x31305353  # "SS01"
_HEAD = struct.Struct("<II3d")  # magic, bytes of the name table; origin: wall, monotonic, speed


class Blackboard:
    """Slots by name. Every process may read every slot; only the slot's owner may write it."""

    def __init__(self, path: Path, owner: str) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        magic, size, *_ = _HEAD.unpack_from(self._map)
        if magic != _MAGIC:
            raise ValueError(f"{path} is no blackboard")
        writers: dict[str, str] = json.loads(self._map[_HEAD.size : _HEAD.size + size])
        self._doubles = memoryview(self._map).cast("d")
        first = (_HEAD.size + size + 7) // 8
        self._slots = {name: first + n for n, name in enumerate(writers)}
        self._own = {name: index for name, index in self._slots.items() if writers[name] == owner}

    @classmethod
    def create(cls, path: Path, writers: Mapping[str, str], owner: str) -> Self:
        """A new block with a slot for each name of `writers` (name -> its only writer), all absent."""
        table = json.dumps(dict(writers)).encode()
        table += b" " * (-(_HEAD.size + len(table)) % 8)
        head = _HEAD.pack(_MAGIC, len(table), math.nan, math.nan, math.nan)
        path.write_bytes(head + table + struct.pack("<d", math.nan) * len(writers))
        return cls(path, owner)

    def names(self) -> tuple[str, ...]:
        """Names of all slots."""
        return tuple(self._slots)

    def get(self, name: str) -> float:
        """The slot's value; NaN when absent. KeyError for a name nobody declared."""
        return float(self._doubles[self._slots[name]])

    def set(self, name: str, value: float) -> None:
        """Write a slot of one's own; KeyError for anybody else's."""
        self._doubles[self._own[name]] = value

    def start(self, wall: float, monotonic: float, speed: float) -> None:
        """Let simulated time run `speed`-fold: it is `wall` (Unix s) at the system's `monotonic`."""
        self._doubles[1], self._doubles[2], self._doubles[3] = wall, monotonic, speed

    def origin(self) -> tuple[float, float, float]:
        """Wall and monotonic time of the start, and the speed; NaN before the start."""
        return self._doubles[1], self._doubles[2], self._doubles[3]

    def clock(self) -> ScaledClock | None:
        """The clock all processes of the bench share, or None before the start."""
        origin = self.origin()
        return None if math.isnan(origin[2]) else ScaledClock(*origin)

    def wait_for_clock(self, deadline_s: float = 60.0) -> ScaledClock:
        """Wait until the bench starts the clock; TimeoutError after `deadline_s` real seconds."""
        end = time.monotonic() + deadline_s
        while (clock := self.clock()) is None:
            if time.monotonic() > end:
                raise TimeoutError("the bench never started its clock")
            time.sleep(0.005)
        return clock

    def close(self) -> None:
        """Give the memory back; the file stays until its folder goes."""
        self._doubles.release()
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
