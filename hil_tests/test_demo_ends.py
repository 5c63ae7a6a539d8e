"""However the demonstration ends, nothing of it stays behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def _alive(marker: str) -> list[int]:
    """Processes that have `marker` in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:  # gone meanwhile, or somebody else's
            continue
        if marker.encode() in environment:
            found.append(int(folder.name))
    return found


def _gone(marker: str) -> bool:
    """True when no such process is left, after giving the last ones time to die."""
    end = time.monotonic() + 5.0
    while _alive(marker) and time.monotonic() < end:
        time.sleep(0.05)
    return not _alive(marker)


def _started(folder: Path) -> "subprocess.Popen[str]":
    """The demonstration with all its processes, its files below `folder`."""
    command = [sys.executable, "-m", "hil_tests.demo", "--no-view", "--lang", "en"]
    demo = subprocess.Popen(
        command, env=os.environ | {"TMPDIR": str(folder)}, stdout=subprocess.PIPE, text=True
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if "mbpoll" in line:
            return demo
    raise AssertionError("the demonstration did not come up")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_is_nothing_left_when_the_demo_is_interrupted_or_its_terminal_closed(
    tmp_path: Path, number: signal.Signals
) -> None:
    demo = _started(tmp_path)
    demo.send_signal(number)
    demo.communicate(timeout=30.0)
    assert demo.returncode == 130
    assert _gone(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_is_no_process_left_when_the_demo_itself_is_killed(tmp_path: Path) -> None:
    demo = _started(tmp_path)
    demo.kill()
    demo.communicate(timeout=30.0)
    assert _gone(str(tmp_path))
