"""How long the service was blind before it started: never a point where only an interval is known."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.blind import Alive, Blind, Traces, blind, from_plain, revised
from edge.clock import ClockState, Instant
from edge.timekeeping import Timekeeper

BOOT, OTHER = "this boot", "another boot"
NOON = 1_795_000_000.0
SYNCED, HOLDOVER, UNSYNCED = ClockState.SYNCED, ClockState.HOLDOVER, ClockState.UNSYNCED
EVERY = 60.0

BEAT = Alive(BOOT, 10_000.0, NOON, SYNCED, seq=500)
STOP = replace(BEAT, stopped=True)
ROW = replace(BEAT, boottime=10_040.0, wall=NOON + 40.0, seq=501, heartbeat=False)
LATER = Instant(NOON + 600.0, 10_600.0, 10_600.0, SYNCED)  # ten minutes, same boot
BOOTED = Instant(NOON + 7200.0, 30.0, 30.0, SYNCED)  # two hours, another boot
RESTORED = Instant(NOON + 50.0, 30.0, 30.0, HOLDOVER)  # the same, by a clock that stood meanwhile
IN_1970 = Instant(30.0, 30.0, 30.0, UNSYNCED)


def found(traces: Traces, now: Instant, boot: str = BOOT) -> tuple[float, float | None, bool | None, str]:
    one = blind(traces, now, boot, EVERY)
    assert one is not None
    assert one.to_wall == now.wall
    return one.at_least_s, one.at_most_s, one.boot_changed, one.why


@pytest.mark.parametrize(
    ("traces", "now", "boot", "expected"),
    [
        (Traces(STOP, None), LATER, BOOT, (600.0, 600.0, False, "stopped")),
        (Traces(BEAT, None), LATER, BOOT, (540.0, 600.0, False, "killed")),
        (Traces(BEAT, ROW), LATER, BOOT, (540.0, 560.0, False, "killed")),
        (Traces(BEAT, replace(ROW, stopped=True)), LATER, BOOT, (560.0, 560.0, False, "stopped")),
        (Traces(BEAT, replace(ROW, seq=499)), LATER, BOOT, (540.0, 600.0, False, "killed")),
        (Traces(None, ROW), LATER, BOOT, (0.0, 560.0, False, "unknown")),
        (Traces(None, replace(ROW, stopped=True)), LATER, BOOT, (560.0, 560.0, False, "stopped")),
        (Traces(replace(BEAT, boottime=5000.0), ROW), LATER, BOOT, (0.0, 560.0, False, "unknown")),
        (Traces(BEAT, None), BOOTED, OTHER, (7080.0, 7200.0, True, "power_or_reboot")),
        (Traces(STOP, None), BOOTED, OTHER, (7200.0, 7200.0, True, "stopped")),
        (Traces(None, ROW), BOOTED, OTHER, (30.0, 7160.0, True, "unknown")),
        (Traces(BEAT, None), RESTORED, OTHER, (30.0, None, True, "power_or_reboot")),
        (Traces(BEAT, None), IN_1970, OTHER, (30.0, None, True, "power_or_reboot")),
        (Traces(replace(BEAT, clock=HOLDOVER), None), BOOTED, OTHER, (30.0, None, True, "power_or_reboot")),
        (Traces(replace(BEAT, wall=NOON + 1e6), None), BOOTED, OTHER, (30.0, None, True, "power_or_reboot")),
        (Traces(BEAT, None), BOOTED, "unknown", (0.0, 7200.0, None, "unknown")),
        (Traces(BEAT, None), replace(LATER, boottime=50.0), BOOT, (480.0, 600.0, True, "power_or_reboot")),
    ],
    ids=[
        "stopped in order",
        "killed",
        "killed after its last row",
        "stopped, the heartbeat not kept",
        "a heartbeat that knows of the row",
        "history lost",
        "history lost, but an orderly stop on record",
        "the history took no heartbeat any more",
        "power cut, clocks synchronised",
        "stopped and shut down",
        "power cut and history lost",
        "power cut, the clock stood",
        "power cut, no clock at all",
        "power cut, the clock was doubtful before",
        "power cut, the clock contradicts",
        "the ids of boots are hidden",
        "the time since boot went back",
    ],
)
def test_how_long_was_nothing_seen(
    traces: Traces, now: Instant, boot: str, expected: tuple[float, float | None, bool | None, str]
) -> None:
    assert found(traces, now, boot) == expected


def test_is_nothing_said_at_the_first_start_ever() -> None:
    assert blind(Traces(), LATER, BOOT, EVERY) is None


def test_does_a_clock_that_was_set_meanwhile_change_no_duration_within_a_boot() -> None:
    set_back = replace(LATER, wall=LATER.wall - 3600.0)
    one = blind(Traces(BEAT), set_back, BOOT, EVERY)
    assert one is not None
    assert (one.at_least_s, one.at_most_s) == (540.0, 600.0)
    assert one.to_wall - one.from_wall == pytest.approx(600.0)


def test_is_the_interval_made_exact_once_the_clock_is_synchronised() -> None:
    """Dark for two hours; the service starts by a clock that stood, which is set ten minutes later."""
    keeper = Timekeeper(OTHER, EVERY, RESTORED, Traces(BEAT))
    assert keeper.blind is not None
    assert keeper.blind.at_most_s is None
    assert keeper.look(RESTORED).events == ()
    still = replace(RESTORED, wall=RESTORED.wall + 300.0, monotonic=330.0, boottime=330.0)
    assert keeper.look(still).events == ()
    synced = Instant(NOON + 7200.0 + 600.0, 630.0, 630.0, SYNCED)
    found_now = keeper.look(synced)
    events = found_now.events
    assert found_now.dark == ((NOON, NOON + 7200.0),)
    assert [event.kind for event in events] == ["clock.step", "clock.anchor", "service.blind"]
    body = events[-1].body
    assert (body["from_wall"], body["to_wall"], body["revised"]) == (NOON, NOON + 7200.0, True)
    assert (body["at_least_s"], body["at_most_s"]) == (7080.0, 7200.0)
    assert keeper.look(replace(synced, wall=synced.wall + 1, monotonic=631.0, boottime=631.0)).events == ()


def test_is_an_interval_that_is_exact_already_not_revised() -> None:
    assert revised(Traces(BEAT), BOOTED, BOOTED, OTHER, EVERY) is None
    keeper = Timekeeper(BOOT, EVERY, LATER, Traces(BEAT))
    assert [event.kind for event in keeper.look(LATER).events] == ["clock.anchor"]


def test_is_a_heartbeat_read_back_as_it_was_kept() -> None:
    keeper = Timekeeper(BOOT, EVERY, LATER)
    for stopped in (False, True):
        alive = keeper.heartbeat(LATER, 77, stopped=stopped)
        assert from_plain(alive.plain()) == alive
    assert keeper.blind is None


@pytest.mark.parametrize("kept", [None, [], {"boot_id": BOOT}, BEAT.plain() | {"clock": "?"}, {"wall": "x"}])
def test_is_a_damaged_heartbeat_none_at_all(kept: object) -> None:
    assert from_plain(kept) is None  # type: ignore[arg-type]


def test_does_the_row_tell_all_that_is_known_and_no_more() -> None:
    one = Blind(NOON, NOON + 600.0, 540.0, 600.0, False, "killed")
    event = one.event(LATER)
    assert (event.kind, event.occurred, event.detected) == ("service.blind", NOON, LATER.wall)
    assert event.body["at_most_s"] == 600.0


@given(
    beat_at=st.floats(0.0, 59.0),
    row_at=st.floats(0.0, 59.0),
    lived=st.floats(0.0, 59.0),
    dark=st.floats(0.0, 1e6),
    rebooted=st.booleans(),
    off=st.floats(0.0, 1.0),
)
def test_does_the_true_length_always_lie_within_the_bounds(
    beat_at: float, row_at: float, lived: float, dark: float, rebooted: bool, off: float
) -> None:
    """A service that lived `lived` s after its last heartbeat and was dark for `dark` s."""
    died = beat_at + lived
    beat = Alive(BOOT, 1000.0 + beat_at, NOON + beat_at, SYNCED, 10)
    last = beat_at + lived * row_at / 59.0
    row = Alive(BOOT, 1000.0 + last, NOON + last, SYNCED, 11, heartbeat=False)
    wall, since_boot = NOON + died + dark, dark * off if rebooted else 1000.0 + died + dark
    now = Instant(wall, since_boot, since_boot, SYNCED)
    one = blind(Traces(beat, row), now, OTHER if rebooted else BOOT, EVERY)
    assert one is not None
    assert one.at_most_s is not None
    assert one.at_least_s - 1e-3 <= dark <= one.at_most_s + 1e-3
