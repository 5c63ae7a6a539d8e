"""What the demonstration says at its end, from rows made by hand."""

from collections.abc import Mapping
from typing import Any

import pytest

from drivers import Reading, Reason, Unit
from hil_tests.demo_facts import (
    BEGUN_S,
    SETTLED_S,
    Frame,
    Recorded,
    is_steady,
    outages,
    rooms,
    steady,
    tracking,
)
from hil_tests.story_effects import Event, Story

START = 1_768_428_000.0
STORY = Story("test", START, 36_000.0, "none", 0, (Event("mains_lost", 10_000.0, 600.0, {}),))


def _frame(elapsed: float, supply: float | None, room: float = 20.0) -> Frame:
    wall = START + elapsed
    reading = (
        Reading.good(supply, Unit.CELSIUS, wall)
        if supply is not None
        else Reading.bad(Reason.NO_ANSWER, Unit.CELSIUS, wall)
    )
    return Frame(
        wall,
        {
            "high.secondary_supply_temperature": reading,
            "high.setpoint": Reading.good(60.0, Unit.CELSIUS, wall),
            "room.h1.temperature": Reading.good(room, Unit.CELSIUS, wall),
        },
    )


@pytest.mark.parametrize(
    ("elapsed", "wanted"),
    [
        (0.0, False),
        (BEGUN_S, True),
        (9_999.0, True),
        (10_000.0, False),
        (10_600.0 + SETTLED_S - 1.0, False),
        (10_600.0 + SETTLED_S, True),
        (36_001.0, False),
    ],
)
def test_are_steady_hours_those_without_a_disturbance_and_some_time_after_it(
    elapsed: float, wanted: bool
) -> None:
    assert is_steady(STORY, START + elapsed) is wanted


def test_does_tracking_count_good_readings_only() -> None:
    frames = [_frame(2000.0, 60.5), _frame(2060.0, 61.5), _frame(2120.0, None), _frame(2180.0, 59.5)]
    found = tracking("high", steady(STORY, frames))
    assert found.share == pytest.approx(2 / 3)
    assert found.worst_k == pytest.approx(1.5)


def test_is_nothing_measured_told_as_nothing_known() -> None:
    found = tracking("high", [_frame(2000.0, None)])
    assert (found.share, found.worst_k) == (None, None)
    assert rooms(STORY, []).share is None


def test_do_rooms_count_in_steady_hours_and_over_all() -> None:
    found = rooms(STORY, [_frame(2000.0, 60.0, 19.0), _frame(10_100.0, 60.0, 17.0)])
    assert (found.lowest_steady_c, found.lowest_c, found.share) == (19.0, 17.0, 0.5)


def test_does_an_outage_gather_its_newest_cause_its_duties_its_end_and_its_refund() -> None:
    def row(kind: str, subject: str, body: Mapping[str, Any]) -> Recorded:
        return Recorded(START, kind, subject, body)

    found = outages(
        [
            row("outage.started", "high", {"id": "high-1", "cause": "unknown"}),
            row("duty.opened", "high-1:restore", {"clause": "ZY-30"}),
            row("duty.opened", "other:restore", {"clause": "ZY-30"}),
            row("outage.changed", "high", {"id": "high-1", "cause": "source"}),
            row("outage.ended", "high", {"id": "high-1", "ended_at": START + 60.0}),
            row("refund.basis", "high-1", {"reason": "due"}),
        ]
    )
    assert list(found) == ["high-1"]
    told = found["high-1"]
    assert told.outage["cause"] == "source"
    assert told.ended_at == START + 60.0
    assert list(told.duties) == ["restore"]
    assert told.refund == {"reason": "due"}
