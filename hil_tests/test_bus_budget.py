"""The time budget that `check` computes, held against a slave that takes the time a wire would take."""

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from drivers import ModbusRtuBus, SerialPort, Traffic, Verdict, open_driver, read_seconds
from drivers.modbus.line import silence_s
from edge.acquisition import BusWorker, Listeners
from edge.assembly import age_limits, device_setting, polled
from edge.budget import budgets
from edge.check import Loaded, load
from edge.clock import SystemClock
from edge.image import Inbox
from edge.records import Command, Holder
from edge.resources import config_dir
from hil_tests.benchmarks import bench_rtu

NEAR = 0.10  # between predicted and measured
TURNAROUND_S = 0.010  # the profiles' default; the paced slave waits 3.5 characters of it anyway
RUN_S = 6.0


@dataclass
class Stopwatch:
    """How long each kind of request took to its answer. Medians: a busy machine delays some, a line all."""

    took_s: dict[bytes, list[float]] = field(default_factory=dict)
    _asked: tuple[bytes, float] = (b"", 0.0)

    def __call__(self, traffic: Traffic) -> None:
        if traffic.verdict is Verdict.REQUEST:
            self._asked = traffic.data, traffic.at
        elif traffic.verdict is Verdict.ANSWER:
            request, asked = self._asked
            self.took_s.setdefault(request, []).append(traffic.at - asked)

    def busy_s(self, silence: float) -> float:
        """Of the line, the silence after each answer included."""
        return sum(len(each) * (statistics.median(each) + silence) for each in self.took_s.values())


def port(baud: int, tty: str = "-") -> SerialPort:
    """A pty's settings: it knows no parity."""
    return SerialPort(tty, baud, "N")


def paced_turnaround(baud: int) -> float:
    """What the paced slave adds to its 3.5 characters."""
    return TURNAROUND_S - silence_s(port(baud))


@pytest.mark.parametrize("baud", [4800, 9600, 19200])
@pytest.mark.parametrize("numbers", [(0,), (0, 99), tuple(range(40))], ids=["one", "two blocks", "forty"])
async def test_a_read_takes_the_time_that_was_predicted(baud: int, numbers: tuple[int, ...]) -> None:
    points, watch = bench_rtu.points(*numbers), Stopwatch()
    with bench_rtu.slave(baud, paced_turnaround(baud)) as tty:
        bus = ModbusRtuBus(tty, baud, "N", timeout_s=2.0)
        async with open_driver(bus, [bench_rtu.setting()], time.time, watch) as driver:
            for _ in range(9):
                await driver.read(points)
    predicted = read_seconds(bus, bench_rtu.setting(), points)
    assert predicted is not None
    assert watch.busy_s(silence_s(port(baud))) / 9 == pytest.approx(predicted, rel=NEAR)


def line_of_the_demo(folder: Path, tty: str) -> Loaded:
    """The demo's serial line at 9600 baud, asked ten times as often."""
    text = (config_dir() / "sites" / "demo.toml").read_text(encoding="utf-8")
    for old, new in (
        ('port = "/dev/ttyS1"', f'port = "{tty}"'), ("baud = 19200", "baud = 9600"),
        ("timeout_s = 0.3", "timeout_s = 2"),
        ("period_s = 10\n", "period_s = 1\n"), ("period_s = 2\n", "period_s = 0.5\n"),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    (folder / "site.toml").write_text(text, encoding="utf-8")
    return load(folder / "site.toml", date(2026, 1, 15))


async def test_a_whole_line_is_as_full_as_check_says(tmp_path: Path) -> None:
    clock, watch = SystemClock(), Stopwatch()
    with bench_rtu.slave(9600, paced_turnaround(9600)) as tty:
        loaded = line_of_the_demo(tmp_path, tty)
        devices = [each for each in loaded.devices if each.setting.bus == "line1"]
        settings = [device_setting(each) for each in devices]
        traffic = Listeners()
        driver = open_driver(ModbusRtuBus(tty, 9600, "N", timeout_s=2.0), settings, time.time, traffic)
        inbox = Inbox(age_limits(devices, loaded.site, 1.0), clock.now())
        outputs = {each.point.name: each for fitted in devices for each in fitted.outputs}
        polls = polled(devices, clock.now().monotonic)
        worker = BusWorker("line1", driver, polls, outputs, inbox, clock, 2.0, traffic)
        task = asyncio.create_task(worker.run())
        await asyncio.sleep(1.5)  # the first reads, fail-safe registers among them, are over
        traffic.add(watch)
        began = time.monotonic()
        for name in outputs:
            worker.submit(Command(name, 50.0, Holder.AUTOMATIC, "heat", clock.now().monotonic + 60))
        await asyncio.sleep(RUN_S)
        elapsed = time.monotonic() - began
        task.cancel()
    [budget] = budgets(loaded.site, devices)
    writes = [use for use in budget.uses if use.period_s >= 30]
    predicted = budget.share - sum(use.share for use in writes) + sum(use.seconds for use in writes) / elapsed
    assert watch.busy_s(silence_s(port(9600))) / elapsed == pytest.approx(predicted, rel=NEAR)
