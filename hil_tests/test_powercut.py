"""The power fails at any write: what the journal acknowledged is there, or the harness would not bite.

The work that is cut holds all that a journal writes: rows, checkpoints, receipts, new keys, a purge.
"""

import asyncio
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from edge import store
from edge.journal import Entry, Journal, verify
from edge.notary import AT_ONCE
from edge.tests.journals import NOW, StandingClock, entry, write
from hil_tests.powercut import Recording, after_cut, put, recorded

STATES = 3_000
LONG_STATES = 100_000
SECOND_CUTS = 100
LONG_SECOND_CUTS = 5_000
NAME = "journal.db"
LATER = replace(NOW, wall=NOW.wall + 40 * 86400.0)  # the first rows are old enough to be purged
READER = "upstream.journal"


class Work(NamedTuple):
    """A recording, and what was acknowledged in it: (operations so far, seq)."""

    recording: Recording
    acknowledged: list[tuple[int, int]]
    keys: Path

    def promised(self, moment: int) -> int:
        """The seq that was acknowledged before this operation."""
        return max((seq for done, seq in self.acknowledged if done <= moment), default=3)


async def _work(path: Path, recording: Recording) -> list[tuple[int, int]]:
    """Rows in small and larger commits; every tenth turn a receipt, now and then a new key and a purge."""
    acknowledged = []
    async with await Journal.open(path, StandingClock()) as journal:
        for turn in range(40):
            now = NOW if turn < 20 else LATER
            rows = [_entry(turn + number, turn) for number in range(1 + turn % 7)]
            seq = await journal.append(rows, now)
            acknowledged.append((len(recording.log), seq))
            if turn % 10 == 5:
                await journal.set_receipt(READER, seq)
            if turn % 20 == 10:
                seq = await journal.rotate_key()
                acknowledged.append((len(recording.log), seq))
            if turn == 29:
                purged = await journal.purge(LATER, retention_s=1.0)
                assert purged.rows or turn != 39
    return acknowledged


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory where there is one: the cuts are ours, no disk need be waited for."""
    place = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else tmp_path) as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)  # `verify` reads a copy
        yield Path(folder)


def _entry(number: int, turn: int) -> Entry:
    """Each ninth turn brings a checkpoint at once, besides those that are due by their number."""
    return entry(number, "outage.started" if turn % 9 == 0 else "alarm.raised")


def _recorded(folder: Path) -> Work:
    folder.mkdir()
    asyncio.run(write(folder / NAME, 3))
    with recorded(folder) as recording:
        acknowledged = asyncio.run(_work(folder / NAME, recording))
    return Work(recording, acknowledged, folder / "keys")


def _lost(work: Work, folder: Path, seed: int) -> bool:
    """True when one cut cost an acknowledged row; a record that does not verify fails at once."""
    rng = random.Random(seed)
    moment = rng.randint(0, len(work.recording.log))
    folder.mkdir()
    put(after_cut(work.recording, moment, rng), folder)
    found = verify(folder / NAME)
    assert found.ok, f"seed {seed}: {found.faults[0]}"
    return found.last < work.promised(moment)


def _losses(folder: Path, states: int) -> int:
    work, lost = _recorded(folder / "work"), 0
    for seed in range(states):
        lost += _lost(work, folder / "cut", seed)
        shutil.rmtree(folder / "cut")
    return lost


def test_the_work_that_is_cut_has_checkpoints_new_keys_and_a_purge(memory: Path) -> None:
    assert "outage.started" in AT_ONCE
    _recorded(memory / "work")
    found = verify(memory / "work" / NAME)
    assert found.ok
    assert found.checkpoints > 3
    assert found.rows < found.last


def test_no_power_cut_costs_an_acknowledged_row(memory: Path) -> None:
    assert _losses(memory, STATES) == 0


def test_the_harness_sees_rows_lost_when_commits_are_not_synced(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.ledger.connect", lambda path, _: store.connect(path, "NORMAL"))
    assert _losses(memory, 300) > 300 // 4


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_no_power_cut_costs_an_acknowledged_row_in_many_states(memory: Path) -> None:
    assert _losses(memory, LONG_STATES) == 0


async def _go_on(path: Path, recording: Recording) -> list[tuple[int, int]]:
    """What a start after a cut does: open, find the end, record two rows and a checkpoint."""
    async with await Journal.open(path, StandingClock()) as journal:
        first = await journal.append([entry(1)], LATER)
        done = len(recording.log)
        second = await journal.append([entry(2, "outage.started")], LATER)
        return [(done, first), (len(recording.log), second)]


def _cut_twice(work: Work, folder: Path, seed: int) -> None:
    """Cut, start, cut again at any write of that start, look, and start once more."""
    rng = random.Random(seed)
    moment = rng.randint(0, len(work.recording.log))
    first, second = folder / "first", folder / "second"
    shutil.copytree(work.keys, first / "keys")
    put(after_cut(work.recording, moment, rng), first)
    with recorded(first) as again:
        acknowledged = asyncio.run(_go_on(first / NAME, again))
    later = Work(again, [(0, work.promised(moment)), *acknowledged], first / "keys")
    cut = rng.randint(0, len(again.log))
    shutil.copytree(later.keys, second / "keys")
    put(after_cut(again, cut, rng), second)
    found = verify(second / NAME)
    assert found.ok, f"seed {seed}: {found.faults[0]}"
    assert found.last >= later.promised(cut), f"seed {seed}: an acknowledged row is lost"
    asyncio.run(write(second / NAME, 2))
    after = verify(second / NAME)
    assert (after.ok, after.last) == (True, found.last + 2), f"seed {seed}"
    assert not list(second.glob("*.damaged-*")), f"seed {seed}: taken for damage"


def _second_cuts(folder: Path, states: int) -> None:
    work = _recorded(folder / "work")
    for seed in range(states):
        _cut_twice(work, folder / "cut", seed)
        shutil.rmtree(folder / "cut")


def test_a_second_cut_while_the_first_is_recovered_from_costs_nothing_either(memory: Path) -> None:
    _second_cuts(memory, SECOND_CUTS)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_second_cut_costs_nothing_in_many_states(memory: Path) -> None:
    _second_cuts(memory, LONG_SECOND_CUTS)
