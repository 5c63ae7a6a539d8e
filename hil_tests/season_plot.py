"""The season as a picture. Its words are English in either language: matplotlib brings no Chinese font."""

# ruff: noqa: ANN401 (matplotlib ships no usable types for axes)

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hil_tests.season_run import COMFORT_C, Result, Sample
from hil_tests.weather import ZONE

_COLOURS = ("tab:red", "tab:blue")


def _temperatures(
    axes: Any, days: Sequence[datetime], samples: Sequence[Sample], names: Sequence[str]
) -> None:
    axes.plot(days, [sample.primary_c for sample in samples], color="0.6", lw=0.5, label="primary supply")
    for number, name in enumerate(names):
        colour = _COLOURS[number % len(_COLOURS)]
        supply = [sample.supply_c[number] for sample in samples]
        setpoint = [sample.setpoint_c[number] for sample in samples]
        axes.plot(days, supply, color=colour, lw=0.5, label=f"{name} supply")
        axes.plot(days, setpoint, color="black", lw=0.4, ls=":", label="setpoint" if number == 0 else None)
    axes.set_ylabel("°C")


def _errors(axes: Any, days: Sequence[datetime], samples: Sequence[Sample], names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        gaps = [sample.supply_c[number] - sample.setpoint_c[number] for sample in samples]
        axes.plot(days, gaps, color=_COLOURS[number % len(_COLOURS)], lw=0.5, label=f"{name} error")
    axes.axhspan(-1.0, 1.0, color="tab:green", alpha=0.15)
    axes.set_ylim(-4.0, 4.0)
    axes.set_ylabel("K")


def _rooms(axes: Any, days: Sequence[datetime], samples: Sequence[Sample], names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        colour = _COLOURS[number % len(_COLOURS)]
        low = [min(sample.rooms_c[number]) for sample in samples]
        high = [max(sample.rooms_c[number]) for sample in samples]
        axes.fill_between(days, low, high, color=colour, alpha=0.4, lw=0, label=f"{name} rooms")
    axes.axhline(COMFORT_C, color="black", lw=0.8)
    axes.set_ylabel("°C")


def _valves(axes: Any, days: Sequence[datetime], samples: Sequence[Sample], names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        valve = [sample.valve_percent[number] for sample in samples]
        axes.plot(days, valve, color=_COLOURS[number % len(_COLOURS)], lw=0.5, label=f"{name} valve")
    axes.set_ylabel("%")


def _outdoor(axes: Any, days: Sequence[datetime], samples: Sequence[Sample], _: Sequence[str]) -> None:
    axes.plot(days, [sample.outdoor_c for sample in samples], color="tab:cyan", lw=0.6, label="outdoor")
    axes.set_ylabel("°C")


def draw(result: Result, path: Path) -> None:
    """Five panels over the season into a PNG; the folder is made where it is missing."""
    import matplotlib as mpl  # noqa: PLC0415 (half a second that only the picture needs)

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415 (after the choice of backend)

    names = [score.name for score in result.scores]
    days = [datetime.fromtimestamp(sample.wall, ZONE) for sample in result.samples]
    panels = (_outdoor, _temperatures, _errors, _rooms, _valves)
    figure, rows = pyplot.subplots(len(panels), 1, sharex=True, figsize=(14, 14), layout="constrained")
    for axes, panel in zip(rows, panels, strict=True):
        panel(axes, days, result.samples, names)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right", ncols=4, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
