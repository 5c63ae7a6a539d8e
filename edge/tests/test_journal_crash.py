"""The writer is killed without warning: what it acknowledged is there, and the chain holds."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.journal import Journal, verify
from edge.tests.journals import NOW, StandingClock, entry, write

KILLS = 30

WRITER = """
import asyncio, sys
from pathlib import Path
from edge.journal import Journal
from edge.tests.journals import NOW, StandingClock, entry

async def one(journal, number):
    while True:
        seq = await journal.append([entry(number), entry(number + 1)], NOW)
        print(seq, flush=True)

async def main():
    async with await Journal.open(Path(sys.argv[1]), StandingClock()) as journal:
        await asyncio.gather(*(one(journal, number) for number in range(3)))

asyncio.run(main())
"""


def _killed_after(path: Path, lines: int) -> int:
    """Start a writer, kill it after so many acknowledgements; the last seq it acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for _ in range(lines):
            assert writer.stdout.readline()
        writer.kill()
        said = [int(line) for line in writer.stdout if line.endswith("\n")]
    return max(said, default=0)


@pytest.mark.timeout(300)
def test_thirty_kills_lose_nothing_acknowledged_and_leave_a_whole_chain(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    places = random.Random(2611)  # noqa: S311 - a seeded choice of moments
    acknowledged = 0
    for _ in range(KILLS):
        acknowledged = max(acknowledged, _killed_after(path, places.randint(1, 60)))
        found = verify(path)
        assert found.ok
        assert found.rows == found.last >= acknowledged
    assert acknowledged > KILLS


def _content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


async def test_a_journal_in_use_is_verified_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        for number in range(1, 40):
            assert verify(path).last == number - 1
            assert await journal.append([entry(number)], NOW) == number


async def test_a_copy_with_its_log_not_played_back_is_verified_and_left_as_it_was(tmp_path: Path) -> None:
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    await write(path, 3)
    async with await Journal.open(path, StandingClock()) as journal:
        await journal.append([entry(4)], NOW)
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    before = _content(tmp_path)
    assert verify(copy).last == 4
    assert _content(tmp_path) == before
