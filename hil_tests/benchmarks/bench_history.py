"""What the history writes to the flash in a day, and what it costs, at 300 points that change every second.

Half an hour of a large station as the service records it, each second played as fast as it goes: all points
leave their dead band at every look (the worst there is), a frame of all points and the two states of a cycle
once a minute. Beside it stands the plainest way to keep the same: a row a look in SQLite, as msgpack.

Bytes are those the kernel counts as written by this process to a block device (`/proc/self/io`). It counts a
page once while it waits in the cache, and a minute of real time is longer than pages wait; so the files are
synced after each minute, and every page that a later minute writes again is counted again.
"""

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import msgpack

from drivers import Reading, Unit
from edge.history import History
from hil_tests.benchmarks.bench_journal import written

LIMIT_MB = 200.0  # a day
POINTS = 300
MINUTES = 30
DAY_MINUTES = 1440
START = 1_795_005_000  # half an hour before a full hour: an hour's aggregates are among what is written
_LOOKS = 60
_STATE = bytes(range(256)) * 8  # about what control and watch keep
# Unit and noise (standard deviation), several dead bands wide; as often as in a station of many circuits.
_KINDS: Sequence[tuple[Unit, float, int]] = (
    (Unit.CELSIUS, 0.5, 160),
    (Unit.BAR, 0.1, 50),
    (Unit.CUBIC_METRE_PER_HOUR, 0.5, 30),
    (Unit.KILOWATT, 10.0, 20),
    (Unit.PERCENT, 2.0, 20),
    (Unit.HERTZ, 1.0, 20),
)
_POINTS = [(unit, noise) for unit, noise, count in _KINDS for _ in range(count)]


@dataclass(frozen=True, slots=True)
class Wear:
    """MB written a day, bytes a sample stored, CPU s a day, us of a cycle; MB a day of the plainest way."""

    written_mb: float
    sample_bytes: float
    cpu_s: float
    cycle_us: float
    plain_mb: float

    @property
    def ratio(self) -> float:
        """Ours to the plainest way."""
        return self.written_mb / self.plain_mb


def images(seconds: int) -> list[Mapping[str, Reading]]:
    """So many looks at all points, none like the one before."""
    noise = random.Random(1)
    found: list[Mapping[str, Reading]] = []
    for second in range(seconds):
        image = {}
        for place, (unit, width) in enumerate(_POINTS):
            value = 40.0 + place / 10 + noise.gauss(0.0, width)
            image[f"circuit_{place % 10}.quantity_{place}"] = Reading.good(value, unit, START + second)
        found.append(image)
    return found


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fdatasync(handle)
        finally:
            os.close(handle)


async def _minute(history: History, start: int, looked: Sequence[Mapping[str, Reading]]) -> float:
    """One minute as the cycle gives it; the seconds that a look costs the caller."""
    spent = []
    for second, image in enumerate(looked):
        began = time.perf_counter()
        history.look((start + second) * 10**9, {**image})
        spent.append(time.perf_counter() - began)
    await history.append(start * 10**9, looked[0])
    for key in ("control", "watch"):
        await history.put_state(key, _STATE)
    return sum(spent) / len(spent)


async def _ours(folder: Path) -> tuple[float, float, float, float]:
    """MB written, bytes a sample, CPU s, us a cycle of MINUTES."""
    cycle, cpu, begun = 0.0, 0.0, written()
    path = folder / "history.sqlite"
    looked = images(_LOOKS)  # the same minute again and again: neither way of writing knows
    async with History(path, 1 << 28, 0) as history:
        for minute in range(MINUTES + 1):
            before = time.process_time()
            cycle += await _minute(history, START + 60 * minute, looked)
            cpu += time.process_time() - before
            _sync(folder)
    size = _stored(path)
    return (written() - begun) / 1e6, size, cpu, cycle / (MINUTES + 1) * 1e6


def _stored(path: Path) -> float:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found: list[Any] = connection.execute("select length(blob) from samples").fetchall()
    connection.close()
    return sum(int(length) for (length,) in found) / (len(found) * _LOOKS * POINTS)


def _plain(folder: Path) -> float:
    """MB that a row of each look, of name, value, quality and time, makes of a minute."""
    connection = apsw.Connection(str(folder / "plain.sqlite"))
    for pragma in ("journal_mode=wal", "synchronous=normal", "wal_autocheckpoint=100"):
        connection.execute(f"pragma {pragma}")
    connection.execute("create table plain (seq integer primary key, body blob not null) strict")
    begun = written()
    for image in images(_LOOKS):
        body = {name: (each.value, each.unit, int(each.quality)) for name, each in image.items()}
        connection.execute("insert into plain values (null, ?)", (msgpack.packb(body),))
    _sync(folder)
    connection.close()
    return (written() - begun) / 1e6


def measured() -> Wear:
    """All of it, on the file system of the working folder: /tmp may be memory."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        ours, plain = Path(name, "ours"), Path(name, "plain")
        ours.mkdir()
        plain.mkdir()
        megabytes, size, cpu, cycle_us = asyncio.run(_ours(ours))
        whole = DAY_MINUTES / (MINUTES + 1)
        return Wear(megabytes * whole, size, cpu * whole, cycle_us, _plain(plain) * DAY_MINUTES)


def main() -> None:
    """Measure and print."""
    wear = measured()
    print(f"{POINTS} points changing every second: {wear.written_mb:.0f} MB written a day", end=" ")
    print(f"(a row a look: {wear.plain_mb:,.0f}), {wear.sample_bytes:.2f} bytes a sample")
    print(f"CPU {wear.cpu_s:.0f} s a day, {wear.cycle_us:.0f} us of each cycle")


if __name__ == "__main__":
    main()
