"""Days of flapping lines leave nothing behind: no task, no descriptor, no memory, no device unread."""

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest

from hil_tests.soak import Sample, Soaked

GROWTH_KIB, GROWTH = 3 * 1024, 0.02


def soaked(days: float, speed: float) -> Soaked:
    """In a process of its own: what pytest keeps does not count."""
    command = [sys.executable, "-m", "hil_tests.soak", "--days", str(days), "--speed", str(speed)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""  # no task ended with an exception that nobody saw
    found = json.loads(ran.stdout)
    return Soaked(**{**found, "samples": [Sample(**each) for each in found["samples"]]})


def check_well(found: Soaked) -> None:
    """The lines flapped indeed, no worker ended, nothing wrong was accepted, all is read at the end."""
    assert found.troubles > 10
    assert found.failures > 10
    assert (found.broken, found.wrong, found.unread) == ([], [], [])


def test_a_few_hours_of_flapping_lines_end_with_every_device_read_and_nothing_wrong() -> None:
    found = soaked(0.1, 2000.0)
    check_well(found)
    assert max(sample.tasks for sample in found.samples) < 80
    assert max(sample.descriptors for sample in found.samples) < 80


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_seven_days_of_flapping_lines_leave_tasks_descriptors_and_memory_flat(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = soaked(7.0, 2000.0)
    with capsys.disabled():
        print_days(found)
    check_well(found)
    for what, allowed in (("tasks", 2.0), ("descriptors", 2.0)):
        assert found.mean(what, 6, 7) <= found.mean(what, 1, 2) + allowed, what
    second, last = found.mean("rss_kib", 1, 2), found.mean("rss_kib", 6, 7)
    assert last - second <= max(GROWTH_KIB, GROWTH * second)
    assert found.mean("objects", 6, 7) <= (1 + GROWTH) * found.mean("objects", 1, 2)


def print_days(found: Soaked) -> None:
    """The measured figures."""
    print(f"\n{found.reads} reads, {found.failures} failed; {found.troubles} troubles, {found.lost} losses")
    print(f"{'day':>4} {'tasks':>7} {'descriptors':>12} {'RSS MiB':>8} {'objects':>9}")
    for day in range(int(max(sample.day for sample in found.samples)) + 1):
        means: Sequence[float] = [
            found.mean(what, day, day + 1) for what in ("tasks", "descriptors", "rss_kib", "objects")
        ]
        print(f"{day + 1:4} {means[0]:7.1f} {means[1]:12.1f} {means[2] / 1024:8.2f} {means[3]:9.0f}")
