"""Every benchmark in turn: `python -m hil_tests.benchmarks [NAME ...]`. Exit code 1 when a limit is not kept.

A figure alone says nothing of another machine: each stands beside a peer or a limit of the same run.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hil_tests.benchmarks import (
    bench_cycle,
    bench_decide,
    bench_gateways,
    bench_history,
    bench_journal,
    bench_memory,
    bench_modbus,
    bench_rtu,
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: our figure, what it stands beside, the ratio, and whether a limit is kept."""

    what: str
    ours: str
    beside: str
    ratio: float
    kept: bool = True


def _journal() -> Iterator[Line]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:  # /tmp may be memory, where fsync is free
        folder = Path(name)
        found = [asyncio.run(bench_journal.measure(folder, rows)) for rows in (1, 100)]
        verified = bench_journal.verified(folder / "journal-100.db")
    for rates in found:
        beside = f"SQLite {rates.sqlite:,.0f} rows/s"
        yield Line(f"journal, {rates.rows} a commit", f"{rates.journal:,.0f} rows/s", beside, rates.ratio)
    written = found[-1].journal
    yield Line(
        "journal, verify", f"{verified:,.0f} rows/s", f"writing {written:,.0f} rows/s", verified / written
    )


def _history() -> Iterator[Line]:
    wear = bench_history.measured()
    what = f"history, {bench_history.POINTS} points changing each second"
    kept = wear.written_mb <= bench_history.LIMIT_MB
    plain = f"a row a look {wear.plain_mb:,.0f} MB"
    yield Line(f"{what}: written a day", f"{wear.written_mb:.0f} MB", plain, wear.ratio, kept)
    yield _within(f"{what}: written a day", wear.written_mb, bench_history.LIMIT_MB, "MB", "limit")
    yield _within(f"{what}: of a cycle", wear.cycle_us / 1e3, 1.0, "ms", "limit")


def _decide() -> Iterator[Line]:
    cost = bench_decide.measured()
    yield Line(
        "decide, two circuits", f"{cost.decide_us:.0f} us", f"two bare PI {cost.bare_us:.2f} us", cost.ratio
    )


def _cycle() -> Iterator[Line]:
    cost = bench_cycle.measured()
    bare = f"two bare PI {cost.bare_us:.2f} us"
    yield Line("step without I/O", f"{cost.step_us:.0f} us", bare, cost.ratio)
    yield _within("step without I/O", cost.step_us / 1e3, 1000.0, "ms", "period")


def _modbus() -> Iterator[Line]:
    for registers, rates in bench_modbus.measured().items():
        ours = rates[bench_modbus.OURS]
        for name, other in rates.items():
            if name != bench_modbus.OURS:
                yield Line(
                    f"Modbus TCP, {registers} registers",
                    f"{ours.requests_s:,.0f}/s, CPU {ours.cpu_us:.0f} us",
                    f"{name}: {other.requests_s:,.0f}/s, CPU {other.cpu_us:.0f} us",
                    ours.requests_s / other.requests_s,
                )


def _rtu() -> Iterator[Line]:
    for pace in bench_rtu.measured():
        kept = pace.hurried == 0 and (pace.baud != 9600 or pace.share >= bench_rtu.WANTED)
        yield Line(
            f"Modbus RTU, {pace.baud} baud, {pace.registers} registers",
            f"{pace.cycle_ms:.1f} ms",
            f"wire {pace.limit_ms:.1f} ms, {pace.hurried} hurried",
            pace.share,
            kept,
        )


def _gateways() -> Iterator[Line]:
    ours, theirs = bench_gateways.measured()
    what, peer = (
        f"{bench_gateways.DEVICES} x {bench_gateways.REGISTERS} registers a second",
        "ThingsBoard Gateway",
    )
    arrived = f"{peer} {theirs.values_s:,.0f}"
    yield Line(f"{what}: values arrived/s", f"{ours.values_s:,.0f}", arrived, ours.values_s / theirs.values_s)
    share = ours.cpu_us / theirs.cpu_us
    spent = f"{peer} {theirs.cpu_us:.1f} us"
    yield Line(f"{what}: CPU a value", f"{ours.cpu_us:.1f} us", spent, share, share <= bench_gateways.WANTED)
    size = f"{peer} {theirs.bytes_a_value:.1f}"
    yield Line(
        f"{what}: bytes a value", f"{ours.bytes_a_value:.1f}", size, ours.bytes_a_value / theirs.bytes_a_value
    )
    memory = f"{peer} {theirs.resident_mb:.0f} MB"
    kept = ours.resident_mb <= bench_memory.LIMIT_MB
    yield Line(
        f"{what}: memory", f"{ours.resident_mb:.0f} MB", memory, ours.resident_mb / theirs.resident_mb, kept
    )


def _memory() -> Iterator[Line]:
    found = bench_memory.measured()
    yield _within("service, memory", found.resident_mb, bench_memory.LIMIT_MB, "MB", "limit")
    yield _within("service, memory at most", found.highest_mb, bench_memory.LIMIT_MB, "MB", "limit")
    yield _within("service, CPU a cycle", found.cpu_s_a_cycle * 1e3, 1000.0, "ms", "period")
    yield _within("service, first cycle after", found.start_s, 10.0, "s", "limit")


def _within(what: str, value: float, limit: float, unit: str, name: str) -> Line:
    return Line(what, f"{value:.3g} {unit}", f"{name} {limit:.0f} {unit}", value / limit, value <= limit)


BENCHES: Mapping[str, Callable[[], Iterator[Line]]] = {
    "journal": _journal,
    "history": _history,
    "decide": _decide,
    "cycle": _cycle,
    "modbus": _modbus,
    "rtu": _rtu,
    "gateways": _gateways,
    "memory": _memory,
}


def _run(names: Sequence[str], console: Console) -> list[Line]:
    lines: list[Line] = []
    for number, name in enumerate(names, 1):
        began = time.monotonic()
        console.print(f"{number}/{len(names)} {name} ...", end="", highlight=False)
        lines += BENCHES[name]()
        console.print(f" {time.monotonic() - began:.0f} s", highlight=False)
    return lines


def _table(lines: Sequence[Line]) -> Table:
    table = Table("benchmark", box=None, header_style="bold")
    for heading in ("ours", "beside", "ratio"):
        table.add_column(heading, justify="right")
    for line in lines:
        style = "" if line.kept else "bold red"
        table.add_row(line.what, line.ours, line.beside, f"{line.ratio:.3g}", style=style)
    return table


def main(arguments: Sequence[str]) -> int:
    """Run the benchmarks named, or all."""
    unknown = sorted(set(arguments) - set(BENCHES))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    console = Console()
    lines = _run(arguments or list(BENCHES), console)
    console.print(_table(lines))
    return 0 if all(line.kept for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
