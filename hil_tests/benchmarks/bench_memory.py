"""The service as a process on the whole bench: memory beside its limit, processor time, time to its start."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hil_tests.bench import Bench

LIMIT_MB = 100.0
SPEED = 30.0
STEPS = 600  # cycles before it is looked at
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Resident memory in MB (1e6 bytes), now and at its highest; CPU s a cycle; s to the first cycle."""

    resident_mb: float
    highest_mb: float
    cpu_s_a_cycle: float
    start_s: float


def _steps(status: Path) -> int:
    try:
        return int(json.loads(status.read_text(encoding="utf-8"))["pace"]["steps"])
    except (OSError, ValueError):  # not there yet
        return 0


def _wait(condition: Callable[[], bool], service: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        if service.poll() is not None or time.monotonic() > end:
            raise RuntimeError("the service does not run as it should: see its words above")
        time.sleep(0.02)


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory of a process in MB (1e6 bytes), now and at its highest."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return kib["VmRSS"] * 1024 / 1e6, kib["VmHWM"] * 1024 / 1e6


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, in s."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _look(service: "subprocess.Popen[bytes]", status: Path) -> Figures:
    began = time.monotonic()
    _wait(lambda: _steps(status) > 0, service)
    start_s = time.monotonic() - began
    first, used_before = _steps(status), cpu_s(service.pid)
    _wait(lambda: _steps(status) >= STEPS, service)
    used = (cpu_s(service.pid) - used_before) / (_steps(status) - first)
    return Figures(*memory_mb(service.pid), used, start_s)


def measured() -> Figures:
    """Start bench and service, let it work, look, end both."""
    with tempfile.TemporaryDirectory() as name, Bench(Path(name) / "bench", "steady", speed=SPEED) as bench:
        data = Path(name) / "data"
        command = [sys.executable, "-m", "edge", "run", str(bench.site), "--data", str(data)]
        command += ["--clock", bench.clock_argument]
        log = Path(name) / "log"
        with log.open("wb") as words, subprocess.Popen(command, stderr=words) as service:
            try:
                return _look(service, data / "status.json")
            except RuntimeError:
                print(log.read_text(encoding="utf-8"), file=sys.stderr)
                raise
            finally:
                service.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    service.wait(10)
                service.kill()
