"""The power fails at any write: what the journal acknowledged is there, or the harness would not bite."""

import asyncio
import random
import shutil
from pathlib import Path

import pytest

from edge import store
from edge.journal import Journal, verify
from edge.tests.journals import NOW, StandingClock, entry, write
from hil_tests.powercut import Recording, after_cut, put, recorded

STATES = 300
LONG_STATES = 20_000
NAME = "journal.db"


async def _work(path: Path, recording: Recording) -> list[tuple[int, int]]:
    """Rows in small and larger commits, over several checkpoints: (operations so far, seq acknowledged)."""
    acknowledged = []
    async with await Journal.open(path, StandingClock()) as journal:
        for turn in range(80):
            seq = await journal.append([entry(turn + number) for number in range(1 + turn % 7)], NOW)
            acknowledged.append((len(recording.log), seq))
            if turn % 10 == 0:
                await journal.set_receipt("journal", seq)
    return acknowledged


def _recording(folder: Path) -> tuple[Recording, list[tuple[int, int]]]:
    asyncio.run(write(folder / NAME, 3))
    with recorded(folder) as recording:
        acknowledged = asyncio.run(_work(folder / NAME, recording))
    return recording, acknowledged


def _lost(recording: Recording, acknowledged: list[tuple[int, int]], folder: Path, seed: int) -> bool:
    """True when one cut cost an acknowledged row; a chain that does not verify fails at once."""
    rng = random.Random(seed)
    moment = rng.randint(0, len(recording.log))
    folder.mkdir()
    put(after_cut(recording, moment, rng), folder)
    found = verify(folder / NAME)
    assert found.ok, f"seed {seed}: {found.faults[0]}"
    promised = max((seq for done, seq in acknowledged if done <= moment), default=3)
    return found.last < promised


def _losses(folder: Path, states: int) -> int:
    (folder / "work").mkdir()
    recording, acknowledged = _recording(folder / "work")
    lost = 0
    for seed in range(states):
        lost += _lost(recording, acknowledged, folder / "cut", seed)
        shutil.rmtree(folder / "cut")
    return lost


def test_no_power_cut_costs_an_acknowledged_row(tmp_path: Path) -> None:
    assert _losses(tmp_path, STATES) == 0


def test_the_harness_sees_rows_lost_when_commits_are_not_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.ledger.connect", lambda path, _: store.connect(path, "NORMAL"))
    assert _losses(tmp_path, STATES) > STATES // 4


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_power_cut_costs_an_acknowledged_row_in_many_states(tmp_path: Path) -> None:
    assert _losses(tmp_path, LONG_STATES) == 0


def test_after_a_power_cut_the_journal_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    recording, _ = _recording(tmp_path / "work")
    for seed in range(20):
        folder = tmp_path / f"cut{seed}"
        shutil.copytree(tmp_path / "work" / "keys", folder / "keys")  # synced before the first row
        rng = random.Random(seed)
        put(after_cut(recording, rng.randint(0, len(recording.log)), rng), folder)
        before = verify(folder / NAME).last
        asyncio.run(write(folder / NAME, 2))
        found = verify(folder / NAME)
        assert (found.ok, found.last) == (True, before + 2)
