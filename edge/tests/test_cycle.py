"""The cycle under a clock that is set at any time: nothing is lost, no outage gets longer or shorter by it.

The real cycle on a real journal and history; only the clocks are played. An hour of the demo station, a cycle
each 10 s: the source is lost for twenty minutes, and the wall clock does what a table says.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers import Reading
from edge.assembly import age_limits
from edge.blind import Traces
from edge.check import load
from edge.clock import ClockState, Instant, plausible
from edge.compliance import Compliance
from edge.control import initial
from edge.cycle import Cycle, Minds
from edge.events import Limits, WatchState
from edge.history import History
from edge.image import Inbox
from edge.journal import Journal, Row
from edge.points import quantity
from edge.recorder import Recorder
from edge.resources import config_dir
from edge.tests.field import START
from edge.tests.journals import StandingClock
from edge.tests.test_service import steady_field
from edge.timekeeping import Timekeeper
from edge.times import anchors, date
from edge.verification import verify

PERIOD_S = 10.0
HOUR_S = 3600
LOST, BACK = 600, 1800  # the source is gone between these seconds
COLD = {
    **{f"{circuit}.primary_supply_temperature": 30.0 for circuit in ("high", "low")},
    **{f"{circuit}.{what}": 0.0 for circuit in ("high", "low") for what in ("primary_flow", "heat_power")},
    **{f"{circuit}.secondary_supply_temperature": 30.0 for circuit in ("high", "low")},
    "station.primary_differential_pressure": 0.02,
    "station.primary_supply_temperature": 30.0,
}
YEAR_S = 31_557_600.0
MIDDLE = 1200


def once(size: float) -> Callable[[int], float]:
    """An offset of the wall clock in s from the true time, from the middle of the outage on."""
    return lambda second: size if second >= MIDDLE else 0.0


@dataclass(frozen=True)
class Case:
    """How far the wall clock is off at a second, and how many steps that is."""

    off: Callable[[int], float]
    steps: int


MATRIX: Mapping[str, Case] = {
    "no step": Case(lambda _second: 0.0, 0),
    "+1 s": Case(once(1.0), 1),
    "-1 s": Case(once(-1.0), 1),
    "a leap second": Case(once(-1.0), 1),
    "+1 h": Case(once(3600.0), 1),
    "-1 h": Case(once(-3600.0), 1),
    "-10 years": Case(once(-10 * YEAR_S), 1),
    "+68 years": Case(once(68 * YEAR_S), 1),
    "the last second of 31 bits passes": Case(lambda _second: 2.0**31 - START - MIDDLE, 0),
    "to behind 2038": Case(once(2.0**31 - START + 1e6), 1),
    "no clock: 1970 until it is set": Case(lambda second: 0.0 if second >= MIDDLE else -START, 1),
    "no clock: 1970 for ever": Case(lambda _second: -START, 0),
    "a step every 10 s": Case(lambda second: (second // 10 % 7) * 3.0, 359),
    "there and back": Case(lambda second: -7200.0 if MIDDLE <= second < MIDDLE + 300 else 0.0, 2),
}


def moment(second: int, off: Callable[[int], float], wrong: ClockState = ClockState.SYNCED) -> Instant:
    """All clocks at a second of the story; `wrong`: what a wrong but plausible wall clock says of itself."""
    wall = START + second + off(second)
    said = ClockState.SYNCED if off(second) == 0.0 else wrong
    state = said if plausible(wall) else ClockState.UNSYNCED
    return Instant(wall, float(second), 100.0 + second, state)


async def played(
    folder: Path, off: Callable[[int], float], wrong: ClockState = ClockState.SYNCED
) -> tuple[list[Row], int]:
    """The rows of the hour, and how many cycles were done."""
    loaded, clock = load(config_dir() / "sites" / "demo.toml", None), StandingClock()
    start = moment(0, off, wrong)
    limits = age_limits(loaded.devices, loaded.site, 1.0)
    inbox = Inbox(limits, start)
    values = {name: value for name, value in steady_field().values.items() if name in limits}
    async with (
        await Journal.open(folder / "journal.sqlite", clock) as journal,
        await History.open(folder / "history.sqlite", 1 << 24) as history,
    ):
        cycle = Cycle(
            loaded.site,
            loaded.pack,
            Limits(room_minimum_c=18.0),
            inbox,
            [],
            Recorder(journal, history),
            clock,
            Minds(initial(loaded.site), WatchState(), Compliance()),
            lambda _outcome: None,
            lambda: None,
            Timekeeper(clock.boot_id, 60.0, start, Traces()),
        )
        for second in range(0, HOUR_S, int(PERIOD_S)):
            now = moment(second, off, wrong)
            shown = values | (COLD if LOST <= second < BACK else {})
            inbox.put(readings(shown, now), now.monotonic, now.wall)
            await cycle.step(now)
        return await journal.rows(0, 10_000), cycle.pace.steps


def readings(values: Mapping[str, float], now: Instant) -> dict[str, Reading]:
    """All of them good and new."""
    known = ((name, value, quantity(name)) for name, value in values.items())
    return {name: Reading.good(value, what.unit, now.wall) for name, value, what in known if what is not None}


def ends(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.kind == "outage.ended"]


def seconds(rows: list[Row], kind: str) -> list[float]:
    """When rows of a kind were recorded, in s since the story began, by the time since boot."""
    return [row.boottime_ns / 1e9 - 100.0 for row in rows if row.kind == kind]


@pytest.fixture(scope="module")
def lengths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """How long the outage of each circuit lasted when nobody set the clock."""
    rows, _ = asyncio.run(played(tmp_path_factory.mktemp("quiet"), MATRIX["no step"].off))
    return {row.subject: row.content["lasted_s"] for row in ends(rows)}


@pytest.mark.parametrize("name", MATRIX)
async def test_does_no_setting_of_the_clock_lose_a_cycle_a_row_or_a_length(
    tmp_path: Path, name: str, lengths: dict[str, float]
) -> None:
    case = MATRIX[name]
    rows, cycles = await played(tmp_path, case.off)
    assert cycles == HOUR_S / PERIOD_S
    assert verify(tmp_path / "journal.sqlite").ok
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert [row.boottime_ns for row in rows] == sorted(row.boottime_ns for row in rows)
    assert len([row for row in rows if row.kind == "clock.step"]) == case.steps

    assert sorted(row.subject for row in rows if row.kind == "outage.started") == ["high", "low"]
    assert sorted(row.subject for row in ends(rows)) == ["high", "low"]
    for row in ends(rows):
        assert row.content["lasted_s"] == pytest.approx(lengths[row.subject], abs=PERIOD_S)
        assert abs(lengths[row.subject] - (BACK - LOST)) <= 3 * PERIOD_S


@pytest.mark.parametrize("off", [-START, -49 * 3600.0], ids=["no clock", "a clock that stood two days"])
async def test_are_rows_from_before_the_clock_was_set_dated_to_the_second(
    tmp_path: Path, lengths: dict[str, float], off: float
) -> None:
    rows, _ = await played(
        tmp_path, lambda second: 0.0 if second >= MIDDLE else off, wrong=ClockState.HOLDOVER
    )
    known = anchors(rows)
    assert min(row.boottime_ns for row in rows) < (100 + MIDDLE) * 1e9
    for row in rows:
        true = START + row.boottime_ns / 1e9 - 100.0
        assert (date(row, known).wall_ns or 0) / 1e9 == pytest.approx(true, abs=1e-3)
    for row in ends(rows):
        assert row.content["lasted_s"] == pytest.approx(lengths[row.subject], abs=PERIOD_S)


async def test_is_a_cycle_never_kept_from_its_time_by_the_wall_clock(tmp_path: Path) -> None:
    """The times at which rows were written, by the time since boot, are the same with and without steps."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    quiet, _ = await played(tmp_path / "a", MATRIX["no step"].off)
    wild, _ = await played(tmp_path / "b", MATRIX["a step every 10 s"].off)
    for kind in ("outage.started", "outage.ended", "alarm.raised"):
        assert seconds(quiet, kind) == seconds(wild, kind)
