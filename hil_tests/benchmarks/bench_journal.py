"""Durable appends per second of the journal beside plain SQLite (WAL, FULL) and a bare file, in the same run.

The three take turns, so that a disk that slows down slows all of them; the figure is the median of the turns.
Only the ratios travel to another machine.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from edge.chain import canonical
from edge.clock import SystemClock
from edge.journal import Entry, Journal, verify
from edge.records import Plain

TURNS = 5
COMMITS = 100  # a turn
BODY: dict[str, Plain] = {"value": 41.25, "limit": 45.0, "evidence": "secondary supply temperature " * 7}
_TABLE = "create table plain (seq integer primary key, body blob not null) strict"


@dataclass(frozen=True, slots=True)
class Rates:
    """Rows per second at one size of commit: the journal, plain SQLite, a bare file with fdatasync."""

    rows: int
    journal: float
    sqlite: float
    file: float

    @property
    def ratio(self) -> float:
        """Journal to plain SQLite; 1 means that hashing, the thread and the second table cost nothing."""
        return self.journal / self.sqlite


@contextmanager
def _plain(path: Path) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode=wal", "synchronous=full", "wal_autocheckpoint=100"):
        connection.execute(f"pragma {pragma}")
    connection.execute(_TABLE)
    yield connection
    connection.close()


def _insert(connection: apsw.Connection, bodies: list[tuple[bytes]]) -> None:
    with connection:
        connection.executemany("insert into plain (body) values (?)", bodies)


def _write(handle: int, data: bytes) -> None:
    os.write(handle, data)
    os.fdatasync(handle)


async def _rate(rows: int, commit: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    for _ in range(COMMITS):
        await commit()
    return COMMITS * rows / (time.perf_counter() - start)


async def measure(folder: Path, rows: int) -> Rates:
    """The rates with `rows` rows a commit, on the file system of `folder`."""
    clock = SystemClock()
    entries = [Entry("alarm.raised", "high:supply_low", BODY) for _ in range(rows)]
    bodies = [(canonical(BODY),) for _ in range(rows)]
    data = b"".join(body for (body,) in bodies)
    handle = os.open(folder / f"bare-{rows}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    with _plain(folder / f"plain-{rows}.db") as connection:
        async with await Journal.open(folder / f"journal-{rows}.db", clock) as journal:

            async def in_journal() -> None:
                await journal.append(entries, clock.now())

            async def in_sqlite() -> None:
                _insert(connection, bodies)

            async def in_file() -> None:
                _write(handle, data)

            peers = (in_journal, in_sqlite, in_file)
            turns = [[await _rate(rows, peer) for peer in peers] for _ in range(TURNS)]
    os.close(handle)
    return Rates(rows, *(statistics.median(rates) for rates in zip(*turns, strict=True)))


def verified(path: Path) -> float:
    """Rows per second of an offline verification."""
    start = time.perf_counter()
    found = verify(path)
    assert found.ok
    return found.rows / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(
        dir=Path.cwd()
    ) as name:  # /tmp is often memory, where fsync costs nothing
        folder = Path(name)
        for rows in (1, 100):
            rates = asyncio.run(measure(folder, rows))
            print(
                f"journal, {rows} row(s) a commit: {rates.journal:,.0f} rows/s; "
                f"plain SQLite {rates.sqlite:,.0f}, bare file {rates.file:,.0f}; "
                f"ratio to SQLite {rates.ratio:.2f}"
            )
        print(f"verify: {verified(folder / 'journal-100.db'):,.0f} rows/s")


if __name__ == "__main__":
    main()
