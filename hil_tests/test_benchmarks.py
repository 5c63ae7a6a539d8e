"""The benchmarks: all of them are run, and they run."""

import subprocess
import sys
from pathlib import Path

import pytest

from hil_tests.benchmarks.__main__ import BENCHES, main

FOLDER = Path(__file__).resolve().parent / "benchmarks"


def test_is_every_benchmark_of_the_folder_in_the_table() -> None:
    assert {path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py")} == set(BENCHES)


def test_is_a_benchmark_that_does_not_exist_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_does_one_benchmark_print_its_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decide"]) == 0
    assert "two bare PI" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.timeout(240)
def test_do_all_of_them_end_within_two_minutes_and_keep_their_limits() -> None:
    command = [sys.executable, "-m", "hil_tests.benchmarks"]
    done = subprocess.run(
        command, cwd=FOLDER.parent.parent, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
