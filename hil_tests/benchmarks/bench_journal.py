"""Durable appends per second and bytes written to the disk: the journal beside plain SQLite, in the same run.

What is compared, with the same bodies (245 bytes each) in commits of one row and of a hundred:

- the journal, called from asyncio: entries as Python maps, encoded, hashed, put into the tree, signed;
- plain SQLite, called directly: one table (number, body), the bodies encoded beforehand, nothing else;
- plain SQLite as a service must call it: the same, on a thread of its own, awaited from asyncio;
- a bare file, one write and fdatasync a commit.

All are durable in the same way (apsw, WAL, synchronous=FULL) and play back a WAL of the same 400 KiB; plain
SQLite has its usual pages of 4096 bytes. The peers take turns, so that a disk that slows down slows all of
them; a rate is the median of the turns. Bytes are those the kernel counts as written by this process to a
block device (`/proc/self/io`), without the journal of the file system. Only the ratios travel.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from edge.chain import canonical
from edge.clock import SystemClock
from edge.journal import Entry, Journal, verify
from edge.records import Plain

TURNS = 9
COMMITS = 100  # a turn
BODY: dict[str, Plain] = {"value": 41.25, "limit": 45.0, "evidence": "secondary supply temperature " * 7}
_TABLE = "create table plain (seq integer primary key, body blob not null) strict"


@dataclass(frozen=True, slots=True)
class Measure:
    """Rows per second, and bytes written to the disk for each."""

    rate: float
    bytes_a_row: float


@dataclass(frozen=True, slots=True)
class Rates:
    """One size of commit (`rows`): the journal, plain SQLite directly and in a service, a bare file."""

    rows: int
    ours: Measure
    direct: Measure
    service: Measure
    bare: Measure

    @property
    def journal(self) -> float:
        """Rows per second of the journal."""
        return self.ours.rate

    @property
    def sqlite(self) -> float:
        """Rows per second of plain SQLite, called directly."""
        return self.direct.rate

    @property
    def ratio(self) -> float:
        """Journal to plain SQLite called directly; 1: hashing, the thread and the larger row cost nothing."""
        return self.ours.rate / self.direct.rate

    @property
    def ratio_service(self) -> float:
        """Journal to plain SQLite as a service calls it."""
        return self.ours.rate / self.service.rate

    @property
    def ratio_bytes(self) -> float:
        """Bytes of the journal to those of plain SQLite."""
        return self.ours.bytes_a_row / self.direct.bytes_a_row


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


def written() -> int:
    """Bytes this process has had written to block devices so far."""
    text = Path("/proc/self/io").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("write_bytes"))


async def _turn(rows: int, commit: Callable[[], Awaitable[object]]) -> Measure:
    before, start = written(), time.perf_counter()
    for _ in range(COMMITS):
        await commit()
    seconds = time.perf_counter() - start
    return Measure(COMMITS * rows / seconds, (written() - before) / (COMMITS * rows))


def _over(turns: Sequence[Measure]) -> Measure:
    """Median rate, mean bytes: a checkpoint of SQLite falls into some turns only."""
    return Measure(
        statistics.median(turn.rate for turn in turns), statistics.mean(turn.bytes_a_row for turn in turns)
    )


async def measure(folder: Path, rows: int) -> Rates:
    """The rates with `rows` rows a commit, on the file system of `folder`."""
    clock = SystemClock()
    entries = [Entry("alarm.raised", "high:supply_low", BODY) for _ in range(rows)]
    bodies = [(canonical(BODY),) for _ in range(rows)]
    data = b"".join(body for (body,) in bodies)
    handle = os.open(folder / f"bare-{rows}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    thread = ThreadPoolExecutor(1)
    loop = asyncio.get_running_loop()
    with _plain(folder / f"plain-{rows}.db") as direct, _plain(folder / f"service-{rows}.db") as service:
        async with await Journal.open(folder / f"journal-{rows}.db", clock) as journal:

            async def in_journal() -> None:
                await journal.append(entries, clock.now())

            async def in_sqlite() -> None:
                _insert(direct, bodies)

            async def in_service() -> None:
                await loop.run_in_executor(thread, _insert, service, bodies)

            async def in_file() -> None:
                _write(handle, data)

            peers = (in_journal, in_sqlite, in_service, in_file)
            for peer in peers:  # the first commit makes keys and files
                await peer()
            turns = [[await _turn(rows, peer) for peer in peers] for _ in range(TURNS)]
    thread.shutdown()
    os.close(handle)
    return Rates(rows, *(_over(measured) for measured in zip(*turns, strict=True)))


def verified(path: Path) -> float:
    """Rows per second of an offline verification."""
    start = time.perf_counter()
    found = verify(path)
    assert found.ok
    return found.rows / (time.perf_counter() - start)


def _told(rates: Rates) -> Iterator[str]:
    yield f"{rates.rows} row(s) a commit:"
    names = ("journal", "plain SQLite, direct", "plain SQLite, service", "bare file")
    found = (rates.ours, rates.direct, rates.service, rates.bare)
    for name, one in zip(names, found, strict=True):
        yield f"  {name:22} {one.rate:10,.0f} rows/s {one.bytes_a_row:8,.0f} bytes/row"
    yield f"  rate {rates.ratio:.2f} of SQLite direct, {rates.ratio_service:.2f} of SQLite in a service"
    yield f"  bytes {rates.ratio_bytes:.2f} times those of SQLite"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(
        dir=Path.cwd()
    ) as name:  # /tmp is often memory, where fsync costs nothing
        folder = Path(name)
        for rows in (1, 100):
            print("\n".join(_told(asyncio.run(measure(folder, rows)))))
        print(f"verify: {verified(folder / 'journal-100.db'):,.0f} rows/s")


if __name__ == "__main__":
    main()
