"""What the tests of the journal share: a standing clock, entries, a journal, a disk that can fail."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from edge.clock import ClockState, Instant
from edge.journal import Entry, Journal

NOW = Instant(wall=1_795_000_000.25, monotonic=100.0, boottime=200.5, state=ClockState.SYNCED)


class StandingClock:
    """A clock whose time does not pass."""

    boot_id = "0b5e9d5e-6f0c-4a52-8d7c-3f1f7c7f2a11"
    speed = 1.0

    def now(self) -> Instant:
        """Always the same."""
        return NOW

    async def sleep_until(self, monotonic: float) -> None:
        """Return at once."""
        await asyncio.sleep(0)


def entry(number: int, kind: str = "alarm.raised") -> Entry:
    """An entry that can be told from the next one."""
    return Entry(kind, f"high:{number % 3}", {"number": number, "text": "供水温度偏低", "value": number / 7})


async def write(path: Path, count: int, batch: int = 1) -> None:
    """A journal of `count` rows at `path`, closed."""
    async with await Journal.open(path, StandingClock()) as journal:
        for start in range(0, count, batch):
            await journal.append([entry(number) for number in range(start, start + batch)], NOW)


class FailingDisk(apsw.VFS):
    """The real disk until `broken`: then writes and syncs of the files fail as a full or dying disk does."""

    def __init__(self, name: str) -> None:
        self.broken: apsw.Error | None = None
        self.writes_left = 0  # calls that still succeed once it is broken
        super().__init__(name, "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "_FailingFile":  # noqa: N802
        """A file on this disk."""
        return _FailingFile(self, name, flags)

    def check(self) -> None:
        """Raise what the disk answers."""
        if self.broken is None:
            return
        if self.writes_left > 0:
            self.writes_left -= 1
            return
        raise self.broken


class _FailingFile(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.check()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.check()
        super().xSync(flags)


@contextmanager
def failing_disk() -> Iterator[FailingDisk]:
    """All files opened meanwhile stand on a disk that the test can break."""
    disk = FailingDisk("failing")
    try:
        yield disk
    finally:
        disk.unregister()
