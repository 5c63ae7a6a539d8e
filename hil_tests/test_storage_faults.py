"""The disk fails at the k-th write or sync: what was acknowledged is there, and it goes on by itself."""

import asyncio
import random
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge import store
from edge.journal import Journal, JournalError, Row, verify
from edge.tests.journals import NOW, StandingClock, entry, write
from hil_tests.storage_faults import ERRORS, Disk, Fault, faulty_disk

NAME = "journal.db"
OPERATIONS = 300
LONG_OPERATIONS = 1000
TRIES = 4  # while a lasting fault lasts
AFTERWARDS = 3


class Trial:
    """One journal on the faulty disk, from before the fault until after it."""

    def __init__(self, path: Path, disk: Disk, fault: Fault) -> None:
        self._path, self._disk, self._fault = path, disk, fault
        self._acknowledged: dict[int, int] = {}  # seq of the row -> the number in it
        self._number = 0
        self._opened = 0  # so often was the file opened when a sync last failed

    async def run(self) -> int:
        """Commit until the fault is met, through it, and after it; how many acknowledged rows are lost."""
        async with Journal(self._path, StandingClock()) as journal:
            self._disk.arm(self._fault)
            while not self._disk.tripped:
                await self._turn(journal)
            for _ in range(TRIES if self._fault.lasting else 0):
                assert not await self._turn(journal), f"{self._fault}: acknowledged on a broken disk"
            self._disk.heal()
            for _ in range(AFTERWARDS):
                assert await self._turn(journal), f"{self._fault}: does not go on"
            return self._lost(await journal.rows(0, 10_000))

    async def _turn(self, journal: Journal) -> bool:
        """An append and what else a journal writes now and then; was the append acknowledged?"""
        self._number += 1
        seq = await self._append(journal)
        with suppress(JournalError):
            if self._number % 7 == 0:
                await journal.set_receipt("upstream.journal", max(self._acknowledged, default=0))
            if self._number % 25 == 0:
                await journal.rotate_key()
        return bool(seq)

    async def _append(self, journal: Journal) -> int:
        """The seq, 0 when it was not acknowledged; never before the file was opened anew after a bad sync."""
        failed = self._disk.syncs_failed
        try:
            seq = await journal.append([entry(self._number)], NOW)
        except JournalError:
            seq = 0
        if self._disk.syncs_failed > failed and seq == 0:
            self._opened = self._disk.opened + 1
        if seq:
            assert self._disk.opened >= self._opened, f"{self._fault}: acknowledged without opening anew"
            self._acknowledged[seq] = self._number
        return seq

    def _lost(self, rows: Iterable[Row]) -> int:
        assert not list(self._path.parent.glob("*.damaged-*")), f"{self._fault}: taken for damage"
        found = {row.seq: row.content.get("number") for row in rows}
        return sum(found.get(seq) != number for seq, number in self._acknowledged.items())


def _kinds(at: int) -> list[Fault]:
    return [Fault(at, error, lasting) for error in ERRORS for lasting in (False, True)]


def _one_each(last: int) -> Iterator[Fault]:
    """A fault at every operation, of a kind that is drawn."""
    rng = random.Random(last)
    return (rng.choice(_kinds(at)) for at in range(1, last + 1))


def _losses(folder: Path, faults: Iterable[Fault]) -> int:
    """Acknowledged rows lost over all `faults`; a file that does not verify fails at once."""
    return asyncio.run(_all(folder, faults))


async def _all(folder: Path, faults: Iterable[Fault]) -> int:
    before, path, lost = folder / "before", folder / "trial" / NAME, 0
    before.mkdir()
    await write(before / NAME, 3)
    for fault in faults:
        shutil.copytree(before, path.parent)
        with faulty_disk() as disk:
            lost += await Trial(path, disk, fault).run()
        found = verify(path)
        assert found.ok, f"{fault}: {found.faults[0]}"
        shutil.rmtree(path.parent)
    return lost


def test_whichever_write_or_sync_fails_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    assert _losses(tmp_path, _one_each(OPERATIONS)) == 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_whichever_write_or_sync_fails_in_whatever_way_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    assert _losses(tmp_path, (fault for at in range(1, LONG_OPERATIONS + 1) for fault in _kinds(at))) == 0


def test_the_harness_sees_rows_lost_when_commits_are_not_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.ledger.connect", lambda path, _: store.connect(path, "NORMAL"))
    assert _losses(tmp_path, [Fault(at, "EIO", lasting=False, syncs=True) for at in range(1, 5)]) > 0


def test_a_sync_that_fails_and_then_says_that_all_is_well_is_not_believed(tmp_path: Path) -> None:
    assert _losses(tmp_path, [Fault(at, "EIO", lasting=False, syncs=True) for at in range(1, 60)]) == 0
