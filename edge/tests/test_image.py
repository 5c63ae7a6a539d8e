"""The image of a moment: what is too old, out of range or has not moved for too long is BAD."""

from drivers import Quality, Reading, Reason, Unit
from edge.clock import ClockState, Instant
from edge.image import Inbox
from edge.tests.events_bench import WALL, tape

POINT = "high.secondary_supply_temperature"
LIMIT_S, STUCK_S, PERIOD_S = 30.0, 900.0, 10.0


def at(second: float) -> Instant:
    return Instant(WALL + second, second, second, ClockState.SYNCED)


def inbox(stuck: dict[str, float] | None = None) -> Inbox:
    return Inbox({POINT: LIMIT_S, "low.heat_power": LIMIT_S}, at(0.0), stuck)


def good(value: float, second: float) -> dict[str, Reading]:
    return {POINT: Reading.good(value, Unit.CELSIUS, WALL + second)}


def bad(second: float) -> dict[str, Reading]:
    return {POINT: Reading.bad(Reason.NO_ANSWER, Unit.CELSIUS, WALL + second)}


def feed(box: Inbox, value: float, begin: float, end: float) -> Reading:
    """The same value every PERIOD_S from `begin` to `end`; the reading at the end."""
    second = begin
    while second <= end:
        box.put(good(value, second), second)
        second += PERIOD_S
    return box.freeze(at(end)).get(POINT)


def test_a_value_that_has_not_moved_for_so_long_is_bad_as_stuck_and_has_no_value() -> None:
    box = inbox({POINT: STUCK_S})
    assert feed(box, 50.0, 0.0, 890.0).is_good
    stuck = feed(box, 50.0, 900.0, 900.0)
    assert (stuck.quality, stuck.reason, stuck.value) == (Quality.BAD, Reason.STUCK, None)
    assert box.freeze(at(900.0)).value(POINT) is None


def test_a_moved_last_digit_makes_it_good_at_once() -> None:
    box = inbox({POINT: STUCK_S})
    assert feed(box, 50.0, 0.0, 2000.0).reason is Reason.STUCK
    assert feed(box, 50.1, 2010.0, 2010.0).value == 50.1
    assert feed(box, 50.1, 2020.0, 2900.0).is_good  # and it has its time anew
    assert feed(box, 50.1, 2910.0, 2910.0).reason is Reason.STUCK


def test_a_bad_reading_or_a_silence_between_makes_a_stuck_value_no_better() -> None:
    box = inbox({POINT: STUCK_S})
    feed(box, 50.0, 0.0, 1000.0)
    box.put(bad(1010.0), 1010.0)
    assert box.freeze(at(1010.0)).get(POINT).reason is Reason.NO_ANSWER
    assert feed(box, 50.0, 1020.0, 1020.0).reason is Reason.STUCK
    assert box.freeze(at(1100.0)).get(POINT).reason is Reason.STALE
    assert feed(box, 50.0, 9000.0, 9000.0).reason is Reason.STUCK


def test_a_time_in_which_nothing_was_read_does_not_count_as_standing_still() -> None:
    box = inbox({POINT: STUCK_S})
    feed(box, 50.0, 0.0, 100.0)
    box.put(bad(110.0), 110.0)
    assert feed(box, 50.0, 5000.0, 5000.0).is_good
    assert feed(box, 50.0, 5010.0, 5790.0).is_good
    assert feed(box, 50.0, 5800.0, 5800.0).reason is Reason.STUCK


def test_a_point_without_stuck_s_may_stand_still_for_ever() -> None:
    assert feed(inbox(), 50.0, 0.0, 20_000.0).is_good
    box = inbox({"low.heat_power": STUCK_S})
    assert feed(box, 50.0, 0.0, 20_000.0).is_good


def test_out_of_range_and_stale_are_told_before_stuck() -> None:
    box = inbox({POINT: STUCK_S})
    assert feed(box, 500.0, 0.0, 2000.0).reason is Reason.OUT_OF_RANGE
    feed(box, 50.0, 2010.0, 4000.0)
    assert box.freeze(at(4031.0)).get(POINT).reason is Reason.STALE


def test_the_alarm_of_a_stuck_sensor_names_it_and_the_reason() -> None:
    played = tape().run(120, high__secondary_supply_temperature=Reason.STUCK)
    (event,) = played.of("alarm.raised")
    assert event.subject == "high:sensor:secondary_supply_temperature"
    assert Reason.STUCK.value in event.body.values()


def test_a_source_whose_time_stamp_stands_still_is_stale_though_it_is_read_all_the_time() -> None:
    box = inbox()
    for second in range(0, 100, 10):
        box.put(good(50.0, 0.0), float(second), WALL + second)
    assert box.freeze(at(LIMIT_S)).get(POINT).is_good
    assert box.freeze(at(LIMIT_S + 0.1)).get(POINT).reason is Reason.STALE


def test_a_clock_that_is_set_makes_no_reading_older() -> None:
    box = inbox()
    box.put(good(50.0, 0.0), 0.0, WALL)
    leap = Instant(WALL + 90_000.0, 5.0, 5.0, ClockState.SYNCED)
    assert box.freeze(leap).get(POINT).is_good
    box.put({POINT: Reading.good(50.0, Unit.CELSIUS, WALL + 90_010.0)}, 10.0, WALL + 10.0)  # and back again
    assert box.freeze(at(10.0 + LIMIT_S)).get(POINT).is_good
    assert box.freeze(at(10.1 + LIMIT_S)).get(POINT).reason is Reason.STALE
