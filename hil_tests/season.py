"""`make season`: 1 November to 31 March of measured weather through the very `decide` the service runs.

The season is cut into parts that run side by side, each a plain loop with three days of run-in; the parts are
the same on every machine, and so is the result. Prints a table, writes a plot.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.sharedctypes import SynchronizedArray
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from edge.loading import read_site
from edge.resources import config_dir
from edge.texts import LANGUAGES, Texts
from hil_tests.season_plot import draw
from hil_tests.season_run import DAY_S, RUN_IN_DAYS, Result, Score, join, run
from hil_tests.weather import ZONE, load, local

PARTS = 4


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the season: from `start` (Unix s) for `days`."""

    site: Path
    weather: str
    start: float
    days: float


_done: "SynchronizedArray[float] | None" = None  # days of each part, in the workers


def _share(done: "SynchronizedArray[float]") -> None:
    global _done  # noqa: PLW0603 (how a pool's workers are given shared memory)
    _done = done


def _run(number: int, part: Part) -> Result:
    """One part, in a worker."""

    def report(days: float) -> None:
        if _done is not None:
            _done[number] = days

    site = read_site(part.site)
    return run(site, load(part.weather), part.start, part.days, RUN_IN_DAYS, report)


def split(site: Path, weather: str, first: float, last: float) -> list[Part]:
    """The season's parts of whole days."""
    days = round((last - first) / DAY_S)
    cuts = [round(days * number / PARTS) for number in range(PARTS + 1)]
    return [
        Part(site, weather, first + cuts[n] * DAY_S, cuts[n + 1] - cuts[n])
        for n in range(PARTS)
        if cuts[n + 1] > cuts[n]
    ]


def simulate(parts: list[Part], report: Callable[[float], None]) -> Result:
    """All parts side by side; `report` is told the days done, run-in included."""
    context = multiprocessing.get_context("spawn")
    done = context.Array("d", len(parts))
    workers = min(len(parts), os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, context, initializer=_share, initargs=(done,)) as pool:
        futures: list[Future[Result]] = [pool.submit(_run, n, part) for n, part in enumerate(parts)]
        while not all(future.done() for future in futures):
            report(sum(done[:]))
            time.sleep(0.2)
        report(sum(done[:]))
        return join([future.result() for future in futures])


_ROWS: tuple[tuple[str, Callable[[Score, Texts], str]], ...] = (
    ("season.rmse", lambda score, _: f"{score.rmse_k:.2f} K"),
    ("season.free_rmse", lambda score, _: f"{score.free_rmse_k:.2f} K"),
    ("season.within", lambda score, _: f"{score.within / score.steps:.1%}"),
    ("season.limited", lambda score, _: f"{score.limited / score.steps:.1%}"),
    ("season.worst", lambda score, _: f"{score.worst_k:.1f} K"),
    ("season.rooms", lambda score, _: f"{score.warm_rooms / score.rooms:.1%}"),
    ("season.room_mean", lambda score, _: f"{score.room_sum_c / score.rooms:.1f} °C"),
    ("season.heat", lambda score, _: f"{score.heat_j / 1e9 / score.area_m2:.3f} GJ/m²"),
    (
        "season.travel",
        lambda score, texts: texts("season.travel.value", strokes=f"{score.strokes / score.days:.1f}"),
    ),
    (
        "season.starts",
        lambda score, texts: texts("season.starts.value", starts=f"{score.starts / score.days:.0f}"),
    ),
)


def table(result: Result, texts: Texts, title: str, names: dict[str, str]) -> Table:
    """The figures, a column for each circuit."""
    shown = Table(title=title)
    shown.add_column("")
    for score in result.scores:
        shown.add_column(names[score.name], justify="right")
    for key, cell in _ROWS:
        shown.add_row(texts(key), *(cell(score, texts) for score in result.scores))
    return shown


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hil_tests.season", description=__doc__)
    parser.add_argument("--site", type=Path, default=config_dir() / "sites" / "demo.toml")
    parser.add_argument("--weather", default="beijing_2012_2014")
    parser.add_argument("--first", default="2012-11-01", help="first day")
    parser.add_argument("--last", default="2013-04-01", help="day after the last")
    parser.add_argument("--plot", type=Path, default=Path("out/season.png"))
    parser.add_argument("--lang", choices=LANGUAGES, default=None)
    return parser.parse_args()


def main() -> None:
    """Simulate, print, plot."""
    options = _options()
    texts, console = Texts.load(options.lang), Console()
    first, last = local(f"{options.first}T00:00"), local(f"{options.last}T00:00")
    parts = split(options.site, options.weather, first, last)
    begun = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(
            texts("season.progress"), total=round(sum(part.days + RUN_IN_DAYS for part in parts))
        )
        result = simulate(parts, lambda days: bar.update(task, completed=int(days)))
        bar.update(task, completed=bar.tasks[0].total)
    spoken = {circuit.id: circuit.name.text(texts.language) for circuit in read_site(options.site).circuits}
    title = texts(
        "season.title",
        first=options.first,
        last=f"{datetime.fromtimestamp(last - DAY_S, ZONE):%Y-%m-%d}",
        weather=options.weather,
        seconds=round(time.monotonic() - begun),
    )
    console.print(table(result, texts, title, spoken))
    draw(result, options.plot)
    console.print(texts("season.plot", path=options.plot))


if __name__ == "__main__":
    main()
