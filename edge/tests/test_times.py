"""Rows dated by the anchors of their boot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.chain import GENESIS, Draft, Entry, Row, link
from edge.clock import ClockState, Instant
from edge.steps import anchor
from edge.times import Anchors, Dated, Dating, anchors, date

BOOT, OTHER = "this boot", "another boot"
NOON = 1_795_000_000.0
SYNCED, HOLDOVER, UNSYNCED = ClockState.SYNCED, ClockState.HOLDOVER, ClockState.UNSYNCED
HOUR = 3600.0


def row(boottime: float, wall: float, state: ClockState, boot: str = BOOT) -> Row:
    """A row of no interest but for its times."""
    return link(GENESIS, Draft.of(Entry("alarm.raised", "high", {})), at(boottime, wall, state), boot)


def at(boottime: float, wall: float, state: ClockState) -> Instant:
    return Instant(wall, boottime, boottime, state)


def known(*moments: Instant, boot: str = BOOT) -> Anchors:
    """The anchors recorded at these moments."""
    said = [Draft.of(Entry.of(anchor(now, boot))) for now in moments]
    return anchors(link(GENESIS, draft, now, boot) for draft, now in zip(said, moments, strict=True))


def dated(found: Dated) -> tuple[float | None, Dating]:
    return (None if found.wall_ns is None else found.wall_ns / 1e9), found.dating


SET = at(2 * HOUR, NOON, SYNCED)


@pytest.mark.parametrize(
    ("one", "anchored", "expected"),
    [
        (row(HOUR, HOUR, UNSYNCED), known(SET), (NOON - HOUR, Dating.ANCHORED)),
        (row(HOUR, HOUR, UNSYNCED), known(), (None, Dating.UNKNOWN)),
        (row(HOUR, HOUR, UNSYNCED, OTHER), known(SET), (None, Dating.UNKNOWN)),
        (row(3 * HOUR, NOON + HOUR, SYNCED), known(SET), (NOON + HOUR, Dating.AS_RECORDED)),
        (row(3 * HOUR, NOON + HOUR, HOLDOVER), known(SET), (NOON + HOUR, Dating.AS_RECORDED)),
        (row(3 * HOUR, NOON, HOLDOVER), known(), (NOON, Dating.AS_RECORDED)),
        (row(HOUR, NOON - 49 * HOUR, HOLDOVER), known(SET), (NOON - HOUR, Dating.ANCHORED)),
        (row(3 * HOUR, HOUR, UNSYNCED), known(SET), (NOON + HOUR, Dating.ANCHORED)),
        (row(HOUR, HOUR, UNSYNCED), known(at(2 * HOUR, NOON, HOLDOVER)), (NOON - HOUR, Dating.ANCHORED)),
        (row(HOUR, HOUR, UNSYNCED), known(at(2 * HOUR, 2 * HOUR, UNSYNCED)), (None, Dating.UNKNOWN)),
        (
            row(HOUR, HOUR, UNSYNCED),
            known(at(HOUR, NOON + 999.0, HOLDOVER), SET),
            (NOON - HOUR, Dating.ANCHORED),
        ),
    ],
    ids=[
        "before the clock was set",
        "in a boot in which it never was",
        "in another boot",
        "synchronised",
        "in holdover after it was synchronised",
        "in holdover of a boot without a server",
        "by the clock saved before two dark days",
        "after somebody unset it again",
        "set by hand later",
        "stepped, and still not set",
        "a hand-set clock is near, a synchronised one decides",
    ],
)
def test_when_was_a_row_recorded(one: Row, anchored: Anchors, expected: tuple[float | None, Dating]) -> None:
    assert dated(date(one, anchored)) == expected


def test_of_several_anchors_the_nearest_dates_a_row() -> None:
    """A server that was wrong itself until the eighth hour."""
    both = known(at(HOUR, NOON, SYNCED), at(8 * HOUR, NOON + 8 * HOUR, SYNCED))
    assert dated(date(row(2 * HOUR, 0.0, UNSYNCED), both)) == (NOON + HOUR, Dating.ANCHORED)
    assert dated(date(row(7 * HOUR, 0.0, UNSYNCED), both)) == (NOON + 7 * HOUR, Dating.ANCHORED)


def test_is_a_boot_whose_id_is_hidden_dated_by_no_anchor_of_another() -> None:
    assert known(SET, boot="unknown") == {}


@pytest.mark.parametrize(
    "body",
    [{}, {"boot_id": BOOT}, {"boot_id": BOOT, "boottime_ns": "x", "wall_ns": 1, "clock": "synced"}],
)
def test_is_an_anchor_that_says_no_time_left_out(body: dict[str, str | int]) -> None:
    assert anchors([link(GENESIS, Draft.of(Entry("clock.anchor", "station", body)), SET, BOOT)]) == {}


@given(
    st.floats(0.0, 1e7),
    st.floats(0.0, 1e7),
    st.sampled_from([0.0, 1.0, 1e9, NOON - 3 * 86400.0]),
    st.floats(0.0, 4e9),
)
def test_do_rows_of_one_boot_keep_their_distance_whatever_the_clock_said(
    first: float, second: float, wrong: float, right: float
) -> None:
    """Dated by one anchor, two rows are as far apart as they were in the time since boot."""
    one = known(at(1e6, right, SYNCED))
    found = [date(row(boottime, wrong + boottime, UNSYNCED), one).wall_ns for boottime in (first, second)]
    assert None not in found
    distance_ns = int(found[1] or 0) - int(found[0] or 0)
    assert abs(distance_ns - (second - first) * 1e9) < 3000
