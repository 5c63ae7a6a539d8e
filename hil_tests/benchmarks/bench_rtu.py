"""Modbus RTU beside the limit of the wire: our driver reading a slave that paces its bytes.

The limit: request, 3.5 characters, the slave's turnaround of 5 ms, answer, 3.5 characters (Modbus over Serial
Line V1.02, 2.5.1.1). A driver that is faster than the limit breaks the standard: real slaves then miss
requests, and this one counts them.
"""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from drivers import DeviceSetting, ModbusRtuBus, Point, Unit, open_driver, parse_profile
from hil_tests.benchmarks.paced import HURRIED
from hil_tests.line import BITS_PER_CHARACTER, silence_s

TURNAROUND_S = 0.005
WANTED = 0.95  # of the wire's limit, at 9600 baud
CYCLES = 60
BAUDS = (9600, 19200, 115200)
COUNTS = (10, 40, 100)


@dataclass(frozen=True, slots=True)
class Pace:
    """Median time of a cycle in ms, the wire's limit, and how many requests came before their time."""

    baud: int
    registers: int
    cycle_ms: float
    limit_ms: float
    hurried: int

    @property
    def share(self) -> float:
        """How much of the wire's limit is used: 1 is all."""
        return self.limit_ms / self.cycle_ms


@contextlib.contextmanager
def slave(baud: int, turnaround_s: float = TURNAROUND_S) -> Iterator[str]:
    """The paced slave as a process; its tty."""
    command = [sys.executable, "-m", "hil_tests.benchmarks.paced", "--parent", str(os.getpid())]
    command += ["--baud", str(baud), "--turnaround", str(turnaround_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield str(json.loads(process.stdout.readline())["tty"])
        finally:
            process.kill()


def limit_s(baud: int, registers: int) -> float:
    """The shortest cycle the standard allows, in s."""
    characters = 8 + 5 + 2 * registers
    return characters * BITS_PER_CHARACTER / baud + 2 * silence_s(baud) + TURNAROUND_S


def setting(unit: int = 1) -> DeviceSetting:
    """The slave's registers 0 to 99, and the one that counts hurried requests."""
    header = {
        "id": "paced",
        "maker": "-",
        "model": "-",
        "protocol": "modbus",
        "source": "-",
        "confidence": "own",
    }
    registers = {
        f"r{n}": {"function": 3, "address": n, "documented": "", "type": "u16", "unit": "state"}
        for n in (*range(100), HURRIED)
    }
    profile = parse_profile({"profile": header, "registers": registers}, "paced")
    return DeviceSetting("paced", profile, unit)


def points(*numbers: int) -> list[Point]:
    """Points of these registers."""
    return [Point(f"r{n}", "paced", f"r{n}", Unit.STATE) for n in numbers]


async def _measure(baud: int, registers: int) -> Pace:
    with slave(baud) as tty:
        async with open_driver(ModbusRtuBus(tty, baud, "N", timeout_s=2.0), [setting()], time.time) as driver:
            wanted = points(*range(registers))
            moments = []
            for _ in range(CYCLES + 1):
                readings = await driver.read(wanted)
                moments.append(time.perf_counter())
                assert all(reading.is_good for reading in readings.values())
            told = (await driver.read(points(HURRIED)))[f"r{HURRIED}"].value
    cycles = [late - early for early, late in pairwise(moments)]
    assert told is not None
    return Pace(baud, registers, statistics.median(cycles) * 1e3, limit_s(baud, registers) * 1e3, int(told))


def measured() -> list[Pace]:
    """Every baud rate with every length."""
    return [asyncio.run(_measure(baud, registers)) for baud in BAUDS for registers in COUNTS]
