"""A disk that is really full: a small file system, mounted for the test, filled by somebody else."""

import itertools
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers import Reading, Unit
from edge.ballast import Ballast, Room
from edge.clock import ClockState, Instant, ScaledClock
from edge.history import History
from edge.image import ProcessImage
from edge.journal import Journal, Row, verify
from edge.recorder import Recorder
from edge.records import Event
from edge.tests.journals import StandingClock
from edge.tests.test_service import House, steady_field

BALLAST = 1 << 20
SIZE = 12 << 20
START = 1_768_428_000.0


@dataclass
class Disk:
    """A file system of `SIZE` bytes; others fill it and give it free."""

    folder: Path

    def fill(self, but: int = 0) -> None:
        """Take every block that is left, but so many bytes."""
        found = os.statvfs(self.folder)
        with (self.folder / "stranger").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - but)
        assert os.statvfs(self.folder).f_bavail * found.f_frsize <= but

    def free(self) -> None:
        """Give it back."""
        (self.folder / "stranger").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "test", str(folder)], check=True)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@dataclass
class Bench:
    """Recorder, journal and history on a disk, in simulated time: a cycle a second."""

    recorder: Recorder
    journal: Journal
    history: History
    ballast: Ballast
    seconds: Iterator[int] = field(default_factory=itertools.count)
    given: int = 0

    async def second(self, events: int = 1) -> Instant:
        """One cycle, with `events` events and, each ten seconds, a snapshot."""
        at = next(self.seconds)
        now = Instant(START + at, 100.0 + at, 100.0 + at, ClockState.SYNCED)
        told = [
            Event("alarm.raised", "high", now.wall, now.wall, {"number": self.given + number})
            for number in range(events)
        ]
        self.given += events
        await self.recorder.record(told, now)
        if at % 10 == 0:
            readings = {f"p{n}": Reading.good(at + n / 7, Unit.CELSIUS, now.wall) for n in range(100)}
            await self.recorder.snapshot(ProcessImage(now, readings), {})
        return now

    async def rows(self) -> list[Row]:
        return await self.journal.rows(0, 100_000)


@asynccontextmanager
async def bench(folder: Path, history_bytes: int = 4 << 20) -> AsyncIterator[Bench]:
    ballast = Ballast(folder / "ballast", BALLAST)
    async with (
        Journal(folder / "journal.sqlite", StandingClock()) as journal,
        History(folder / "history.sqlite", history_bytes, 0) as history,
    ):
        yield Bench(Recorder(journal, history, Room(ballast)), journal, history, ballast)


def numbers(rows: list[Row]) -> list[int]:
    return [row.content["number"] for row in rows if row.kind == "alarm.raised"]


def bodies(rows: list[Row], kind: str) -> list[dict[str, Any]]:
    return [row.content for row in rows if row.kind == kind]


async def test_ten_minutes_of_a_full_disk_cost_no_event_and_end_by_themselves(disk: Disk) -> None:
    async with bench(disk.folder) as plant:
        for _ in range(60):
            await plant.second()
        assert plant.ballast.held
        disk.fill()
        for _ in range(600):
            await plant.second()
        assert plant.recorder.disk_full
        disk.free()
        well = []
        for _ in range(60):
            await plant.second()
            well.append(not plant.recorder.failing and not plant.recorder.disk_full)
        assert well[-1]
        assert plant.ballast.held
        rows = await plant.rows()
    assert numbers(rows) == list(range(720))
    (full,) = bodies(rows, "storage.full")
    assert full["ballast_bytes"] == BALLAST
    (shed,) = (found for found in bodies(rows, "storage.shed") if found["what"] == "telemetry")
    assert shed["count"] in (60, 61)
    assert 590 <= shed["to"] - shed["from"] <= 600
    assert len(bodies(rows, "storage.recovered")) == 1
    assert verify(disk.folder / "journal.sqlite").ok


async def test_the_ballast_keeps_events_going_and_memory_keeps_them_when_it_is_used_up(disk: Disk) -> None:
    async with bench(disk.folder) as plant:
        await plant.second()
        disk.fill()
        durable, waiting = 0, 0
        for _ in range(900):
            await plant.second(events=10)
            if plant.recorder.failing:
                waiting += 1
            else:
                assert not waiting, "rows went in again although nobody gave room"
                durable += 1
        assert durable > 20
        assert waiting > 20
        assert not plant.ballast.held
        disk.free()
        for _ in range(20):
            await plant.second()
        assert not plant.recorder.failing
        assert plant.ballast.held
        rows = await plant.rows()
    assert numbers(rows) == list(range(plant.given))


async def test_without_a_full_disk_nothing_is_shed_and_the_ballast_is_there(disk: Disk) -> None:
    async with bench(disk.folder) as plant:
        for _ in range(100):
            await plant.second()
        assert not [row for row in await plant.rows() if row.kind.startswith("storage.")]
        assert (disk.folder / "ballast").stat().st_blocks * 512 >= BALLAST


async def test_old_frames_go_before_the_ballast_does_and_are_counted(disk: Disk) -> None:
    async with bench(disk.folder, history_bytes=9 << 20) as plant:
        now = await plant.second()
        for number in range(2200):
            readings = {f"p{n}": Reading.good(number + n / 7, Unit.CELSIUS, now.wall) for n in range(200)}
            await plant.history.append(int((now.wall + number) * 1e9), readings)
        large = (disk.folder / "history.sqlite").stat().st_size
        disk.fill(but=BALLAST // 5)
        for _ in range(6):
            await plant.second()
        assert plant.recorder.disk_full
        for _ in range(20):
            await plant.second()
        assert plant.ballast.held
        assert (disk.folder / "history.sqlite").stat().st_size < large - BALLAST // 4
        disk.free()
        for _ in range(20):
            await plant.second()
        rows, dropped = await plant.rows(), await plant.history.dropped()
    found = [one["count"] for one in bodies(rows, "storage.shed") if one["what"] == "history"]
    assert sum(found) == dropped > 100
    assert numbers(rows) == list(range(plant.given))


async def test_the_service_starts_and_controls_on_a_full_disk_and_records_it_all_later(
    disk: Disk, tmp_path: Path
) -> None:
    house = House(tmp_path, steady_field(), ScaledClock(START, time.monotonic(), 60.0))
    house.paths = house.paths.__class__(house.paths.site, disk.folder / "data", house.paths.status)
    disk.fill()
    freed: list[float] = []
    began = house.clock.now().monotonic

    def done() -> bool:
        lasted = house.clock.now().monotonic - began
        if house.wrote("high.valve_setpoint") and lasted > 40.0 and not freed:
            freed.append(house.clock.now().monotonic)
            disk.free()
        return bool(freed) and house.clock.now().monotonic - freed[0] > 60.0

    await house.run(done)
    rows = await house.rows()
    kinds = [row.kind for row in rows]
    assert {"service.started", "config.loaded", "control.command", "storage.full"} <= set(kinds)
    alarms = [row.kind for row in rows if row.subject == "station:disk_full"]
    assert alarms[:2] == ["alarm.raised", "alarm.cleared"]
    assert kinds.index("storage.recovered") < kinds.index("service.stopped")
    assert verify(house.paths.data / "journal.sqlite").ok
