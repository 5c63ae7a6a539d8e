"""What the gateway's clock says of itself."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from edge import clock
from edge.clock import (
    ClockState,
    Discipline,
    ScaledClock,
    SystemClock,
    file_discipline,
    kernel_discipline,
    plausible,
)

NOON = 1_795_000_000.0


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The mark that timesyncd leaves of a synchronisation at NOON."""
    path = tmp_path / "synchronized"
    path.touch()
    os.utime(path, (NOON, NOON))
    return path


def answer(monkeypatch: pytest.MonkeyPatch, found: Discipline | None) -> None:
    monkeypatch.setattr(clock, "kernel_discipline", lambda: found)


def test_does_the_kernel_answer_or_say_nothing_at_all() -> None:
    found = kernel_discipline()
    assert found is None or found.synced == (found.error_s is not None)


@pytest.mark.parametrize(
    ("age_s", "synced"),
    [(0.0, True), (2048.0, True), (-0.5, True), (86400.0, False), (-3600.0, False)],
    ids=["just now", "one poll ago", "slewed back", "a day ago: set since or cut off", "set back by an hour"],
)
def test_is_a_mark_of_timesyncd_believed_only_while_it_is_young(
    mark: Path, age_s: float, synced: bool
) -> None:
    assert file_discipline(mark, NOON + age_s).synced is synced


def test_is_a_clock_without_a_mark_not_synchronised(tmp_path: Path) -> None:
    assert file_discipline(tmp_path / "none", NOON) == Discipline(synced=False)


@pytest.mark.parametrize(
    ("wall", "set_once"),
    [
        (0.0, False),
        (1_452_000_000.0, False),
        (NOON, True),
        (2.0**31, True),
        (2.0**31 + 1e8, True),
        (2.0**33, False),
    ],
    ids=["1970", "ten years back", "now", "the second of 2038", "after it", "2242"],
)
def test_is_only_a_clock_of_our_time_taken_for_set(wall: float, set_once: bool) -> None:
    assert plausible(wall) is set_once


@pytest.mark.parametrize(
    ("wall", "kernel", "state"),
    [
        (NOON, Discipline(synced=True, error_s=0.002), ClockState.SYNCED),
        (NOON, Discipline(synced=False), ClockState.HOLDOVER),
        (NOON, None, ClockState.SYNCED),  # by the mark
        (NOON + 1e6, None, ClockState.HOLDOVER),
        (100.0, Discipline(synced=True, error_s=0.002), ClockState.UNSYNCED),
        (100.0, None, ClockState.UNSYNCED),
    ],
)
def test_which_state_has_a_clock(
    monkeypatch: pytest.MonkeyPatch, mark: Path, wall: float, kernel: Discipline | None, state: ClockState
) -> None:
    answer(monkeypatch, kernel)
    monkeypatch.setattr(time, "time", lambda: wall)
    found = SystemClock(mark).now()
    assert (found.wall, found.state) == (wall, state)
    assert (found.error_s is None) is (state is not ClockState.SYNCED or kernel is None)


def test_is_the_state_looked_up_once_a_second_at_most(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[float] = []
    at = 50.0
    monkeypatch.setattr(clock, "kernel_discipline", lambda: asked.append(at))
    monkeypatch.setattr(time, "monotonic", lambda: at)
    system = SystemClock(tmp_path / "none")
    for tick in range(100):
        at = 50.0 + tick * 0.1
        system.now()
    assert asked == pytest.approx([50.0 + second for second in range(10)], abs=0.11)


def test_are_the_clocks_of_one_moment_read_again_when_the_process_was_held_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Held for 3 s between two readings, the wall clock would seem to have been set."""
    answer(monkeypatch, Discipline(synced=False))
    at, held = 1000.0, [3.0]

    def wall() -> float:
        nonlocal at
        found = NOON + at
        at += held.pop() if held else 0.0
        return found

    monkeypatch.setattr(time, "time", wall)
    monkeypatch.setattr(time, "monotonic", lambda: at)
    monkeypatch.setattr(time, "clock_gettime", lambda _which: at)
    found = SystemClock(tmp_path / "none").now()
    assert found.wall - found.boottime == NOON


def test_does_the_boot_time_run_with_the_monotonic_time() -> None:
    found = SystemClock().now()
    assert abs(found.wall - time.time()) < 5.0
    assert found.boottime >= found.monotonic - 1.0
    assert found.boottime - time.clock_gettime(time.CLOCK_BOOTTIME) < 5.0


def test_is_a_scaled_clock_that_starts_in_1970_not_set() -> None:
    assert ScaledClock(0.0, time.monotonic(), 60.0).now().state is ClockState.UNSYNCED
    with pytest.raises(ValueError, match="positive"):
        ScaledClock(0.0, 0.0, 0.0)


async def test_does_the_system_clock_sleep_until_a_moment_and_not_before() -> None:
    system = SystemClock()
    until = system.now().monotonic + 0.02
    await system.sleep_until(until)
    assert system.now().monotonic >= until
    await asyncio.wait_for(system.sleep_until(until - 100.0), 5.0)
