"""Alarm states: the table, every way through it, shelves, latches, chatter, floods, and that none is lost."""

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.events import WatchState, judge, resume, to_plain
from edge.events.alarm_states import TRANSITIONS, Signal, State, after
from edge.events.alarms import KEYS, LATCHED, ROWS
from edge.events.annunciator import step
from edge.events.board import FLOOD_BEGINS, MOST_SHELVED_S, WINDOW_S, Board
from edge.handbook import pages
from edge.requests import Acknowledge, AlarmRequest, Reset, Shelve, Unshelve
from edge.tests.alarm_panel import Panel, seen
from edge.tests.events_bench import HEALTHY, LIMITS, SITE, VIEWS, WALL, at, image, tape
from edge.texts import Texts

PLAIN = "high:pump_not_running"
TRIP = "high:pump_fault"
CAUSE = "station:mains_lost"
S, G = State, Signal


def acknowledge(panel: Panel, subject: str) -> None:
    assert panel.ask(Acknowledge(subject, "li")).accepted


def shelve(panel: Panel, subject: str, seconds: float = 3600.0) -> None:
    assert panel.ask(Shelve(subject, panel.now.wall + seconds, "li", "work on the pump")).accepted


def _suppress(panel: Panel, subject: str) -> None:
    panel.set(CAUSE, True).set(subject, True)


REACHED: dict[State, tuple[Callable[[Panel, str], object], ...]] = {
    S.NORMAL: (),
    S.UNACKNOWLEDGED: (lambda p, s: p.set(s, True),),
    S.ACKNOWLEDGED: (lambda p, s: p.set(s, True), acknowledge),
    S.RETURNED: (lambda p, s: p.set(s, True), lambda p, s: p.set(s, False)),
    S.LATCHED: (lambda p, s: p.set(s, True), acknowledge, lambda p, s: p.set(s, False)),
    S.SHELVED: (shelve,),
    S.SUPPRESSED: (_suppress,),
}
GIVEN: dict[Signal, Callable[[Panel, str], object]] = {
    G.RAISE: lambda p, s: p.set(s, True),
    G.CLEAR: lambda p, s: p.set(s, False),
    G.ACKNOWLEDGE: acknowledge,
    G.RESET: lambda p, s: p.ask(Reset(s, "li")),
    G.SHELVE: shelve,
    G.UNSHELVE: lambda p, s: p.ask(Unshelve(s, "li")),
    G.UNSHELVE_ACTIVE: lambda p, s: p.ask(Unshelve(s, "li")),
    G.SUPPRESS: _suppress,
    G.UNSUPPRESS: lambda p, s: p.set(CAUSE, False, seconds=8.0),
}
TOLD = {
    G.RAISE: "raised",
    G.CLEAR: "cleared",
    G.ACKNOWLEDGE: "acknowledged",
    G.RESET: "reset",
    G.SHELVE: "shelved",
    G.UNSHELVE: "unshelved",
    G.UNSHELVE_ACTIVE: "unshelved",
    G.SUPPRESS: "suppressed",
    G.UNSUPPRESS: "unsuppressed",
}


@pytest.mark.parametrize(("state", "signal"), TRANSITIONS, ids=lambda each: each.value)
@pytest.mark.parametrize("subject", [PLAIN, TRIP], ids=["ordinary", "latching"])
def test_every_transition_of_the_table_is_made_and_told(subject: str, state: State, signal: Signal) -> None:
    if state is S.LATCHED and subject == PLAIN:
        assert S.LATCHED not in {ordinary for ordinary, _ in TRANSITIONS.values()}  # it never comes there
        return
    panel = Panel()
    for move in REACHED[state]:
        move(panel, subject)
    if signal is G.UNSHELVE_ACTIVE or (signal is G.UNSHELVE and subject == TRIP):
        panel.set(subject, True)
    if signal is G.UNSHELVE:
        panel.set(subject, False)
    assert panel.state(subject) is state
    before = len(panel.events)
    GIVEN[signal](panel, subject)
    ordinary, latching = TRANSITIONS[state, signal]
    assert panel.state(subject) is (latching if subject == TRIP else ordinary)
    told = [event.kind.removeprefix("alarm.") for event in panel.events[before:] if event.subject == subject]
    assert told == [TOLD[signal]]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("signal", [G.ACKNOWLEDGE, G.RESET, G.SHELVE, G.UNSHELVE], ids=str)
def test_a_request_that_the_table_does_not_know_is_refused_and_changes_nothing(
    state: State, signal: Signal
) -> None:
    panel = Panel()
    for move in REACHED[state]:
        move(panel, TRIP)
    requests: dict[Signal, AlarmRequest] = {
        G.ACKNOWLEDGE: Acknowledge(TRIP, "li"),
        G.RESET: Reset(TRIP, "li"),
        G.SHELVE: Shelve(TRIP, panel.now.wall + 60, "li", "why"),
        G.UNSHELVE: Unshelve(TRIP, "li"),
    }
    before, told = panel.board, len(panel.events)
    answer = panel.ask(requests[signal])
    assert answer.accepted is ((state, signal) in TRANSITIONS)
    assert answer.accepted or (panel.board == before and len(panel.events) == told)


def test_what_is_not_in_the_table_changes_nothing() -> None:
    for state in State:
        for signal in Signal:
            if (state, signal) not in TRANSITIONS:
                assert after(state, signal, latching=True) is after(state, signal, latching=False) is state


def test_every_state_can_be_left_and_reached() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State)
    assert {end for ends in TRANSITIONS.values() for end in ends} == set(State)


def test_trips_latch_and_the_door_does_not() -> None:
    assert frozenset({"over_temperature", "frost", "sump_high", "pump_fault"}) == LATCHED


def test_a_trip_stays_until_it_was_acknowledged_and_reset_however_well_the_number_is() -> None:
    panel = Panel().set(TRIP, True).set(TRIP, False).run(100_000, every_s=100)
    assert panel.state(TRIP) is S.RETURNED
    assert not panel.ask(Reset(TRIP, "li")).accepted
    acknowledge(panel, TRIP)
    assert panel.run(100_000, every_s=100).state(TRIP) is S.LATCHED
    assert panel.ask(Reset(None, "li")).values["count"] == 1
    assert panel.board.tracks == {}
    assert panel.kinds(TRIP) == ["raised", "cleared", "acknowledged", "reset"]


def test_a_trip_that_comes_again_while_it_is_latched_is_raised_anew() -> None:
    panel = Panel().set(TRIP, True)
    acknowledge(panel, TRIP)
    panel.set(TRIP, False).set(TRIP, True)
    assert panel.state(TRIP) is S.UNACKNOWLEDGED
    assert panel.kinds(TRIP) == ["raised", "acknowledged", "cleared", "raised"]


def test_a_shelved_alarm_comes_back_by_itself_and_its_raising_was_recorded_meanwhile() -> None:
    panel = Panel()
    shelve(panel, PLAIN, 600)
    panel.set(PLAIN, True)
    assert (panel.state(PLAIN), panel.kinds(PLAIN)) == (S.SHELVED, ["shelved", "raised"])
    panel.run(590)
    assert panel.state(PLAIN) is S.UNACKNOWLEDGED
    back = panel.events[-1]
    assert (back.kind, back.body["who"], back.detected - WALL) == ("alarm.unshelved", "", 600)


@pytest.mark.parametrize("wall_step", [-10 * 365 * 86400.0, 86400.0])
def test_a_clock_that_is_set_neither_prolongs_nor_ends_a_shelf(wall_step: float) -> None:
    panel = Panel()
    shelve(panel, PLAIN, 600)
    panel.wall_step = wall_step
    assert panel.run(598).state(PLAIN) is S.SHELVED
    assert panel.run(3).state(PLAIN) is S.NORMAL


def test_a_shelf_ends_at_its_time_over_a_restart_and_is_never_longer_than_a_day() -> None:
    panel = Panel()
    shelve(panel, PLAIN, 600)
    panel.run(100).restart()
    assert panel.run(499).state(PLAIN) is S.SHELVED
    assert panel.run(2).state(PLAIN) is S.NORMAL
    shelve(panel, PLAIN, MOST_SHELVED_S)
    panel.wall_step = -10 * 365 * 86400.0
    panel.restart().run(MOST_SHELVED_S + 100, every_s=100)
    assert panel.state(PLAIN) is S.NORMAL


SHELVES: tuple[tuple[str, float, str, str], ...] = (
    (PLAIN, 3600, "", "request.alarm.why"),
    (PLAIN, 3600, "  ", "request.alarm.why"),
    (PLAIN, 86401, "why", "request.alarm.until"),
    (PLAIN, -1, "why", "request.alarm.until"),
    (PLAIN, float("nan"), "why", "request.alarm.until"),
    ("high:no_such_alarm", 3600, "why", "request.alarm.unknown"),
    ("attic:frost", 3600, "why", "request.alarm.unknown"),
    ("high:sensor:no_such_point", 3600, "why", "request.alarm.unknown"),
    ("", 3600, "why", "request.alarm.unknown"),
    ("high:supply_low", 3600, "", "request.alarm.shelve"),
    ("high:sensor:heat_power", 3600, "", "request.alarm.shelve"),
    ("room.r1:room_cold", 3600, "", "request.alarm.shelve"),
    (PLAIN, 86400, "why", "request.alarm.shelve"),
)


@pytest.mark.parametrize(("subject", "seconds", "why", "text"), SHELVES)
def test_a_shelf_needs_an_alarm_an_end_and_for_priority_1_a_reason(
    subject: str, seconds: float, why: str, text: str
) -> None:
    panel = Panel()
    answer = panel.ask(Shelve(subject, panel.now.wall + seconds, "li", why))
    assert answer.text == text


def test_a_consequence_is_recorded_as_suppressed_with_its_cause_and_not_raised() -> None:
    panel = Panel().set(CAUSE, True).set(PLAIN, True)
    (event,) = [event for event in panel.events if event.subject == PLAIN]
    assert (event.kind, event.body["by"], event.body["state"]) == ("alarm.suppressed", CAUSE, "suppressed")
    panel.set(CAUSE, False, seconds=8)
    assert panel.kinds(PLAIN) == ["suppressed", "unsuppressed"]
    assert panel.run(10).kinds(PLAIN) == ["suppressed", "unsuppressed", "raised"]


def test_a_shelved_cause_still_suppresses_its_consequences() -> None:
    panel = Panel().set(CAUSE, True)
    shelve(panel, CAUSE)
    assert panel.set(PLAIN, True).state(PLAIN) is S.SUPPRESSED


def test_a_chattering_alarm_is_told_once_held_counted_and_cleared_when_it_is_quiet() -> None:
    panel = Panel()
    for _ in range(10):
        panel.set(PLAIN, True).set(PLAIN, False, seconds=7)
    assert panel.kinds(PLAIN) == ["raised", "cleared"] * 3 + ["raised", "chattering"]
    assert panel.run(WINDOW_S).kinds(PLAIN)[-1] == "cleared"
    assert panel.events[-1].body["repeats"] == 6
    panel.set(PLAIN, True)
    assert panel.kinds(PLAIN)[-1] == "raised"  # and not chattering


def test_chatter_is_held_over_a_restart() -> None:
    panel = Panel()
    for _ in range(4):
        panel.set(PLAIN, True).set(PLAIN, False, seconds=7)
    told = len(panel.events)
    panel.restart().set(PLAIN, True).set(PLAIN, False, seconds=60)
    assert len(panel.events) == told
    assert panel.run(WINDOW_S).kinds(PLAIN)[-1] == "cleared"


def _many(count: int) -> list[str]:
    points = sorted(point for point in SITE.points() if point.startswith(("high.", "low.")))
    return [f"{point.partition('.')[0]}:sensor:{point.partition('.')[2]}" for point in points][:count]


def test_a_flood_begins_with_the_eleventh_alarm_of_ten_minutes_under_the_first_out() -> None:
    panel = Panel().set("station:door_open", True, seconds=12)
    for subject in _many(FLOOD_BEGINS - 1):
        panel.set(subject, True, seconds=12)
    assert panel.board.flood is None
    panel.set("low:frost", True)
    (event,) = [event for event in panel.events if event.kind == "alarm.flood_started"]
    assert (event.body["first"], event.body["count"]) == ("station:door_open", FLOOD_BEGINS + 1)
    panel.set("low:supply_low", True).run(WINDOW_S)
    (ended,) = [event for event in panel.events if event.kind == "alarm.flood_ended"]
    assert (ended.body["count"], ended.body["peak"]) == (FLOOD_BEGINS + 2, FLOOD_BEGINS + 2)
    assert panel.board.flood is None


def test_ten_alarms_or_shelved_ones_are_no_flood() -> None:
    panel = Panel()
    for subject in _many(FLOOD_BEGINS + 4)[FLOOD_BEGINS:]:
        shelve(panel, subject)
    panel.holds = dict.fromkeys(_many(FLOOD_BEGINS + 4), True)
    assert panel.run(30).board.flood is None
    assert len(panel.board.active()) == FLOOD_BEGINS + 4


def test_a_flood_goes_on_over_a_restart_with_its_memory_and_its_count() -> None:
    played = Panel()
    played.holds = dict.fromkeys(_many(FLOOD_BEGINS + 1), True)
    played.run(30)
    memory = to_plain(WatchState(board=played.board), played.now)
    board = resume(WatchState(board=played.restart().board), memory, played.now).board
    assert board.flood is not None
    assert board.flood.count == FLOOD_BEGINS + 1
    played.board = board
    assert played.run(60).board.flood is not None
    assert played.run(WINDOW_S).board.flood is None


def test_every_state_stands_again_after_a_restart_from_the_rows_alone() -> None:
    for state, moves in REACHED.items():
        panel = Panel()
        for move in moves:
            move(panel, TRIP)
        shown = panel.board.shown()
        assert panel.restart().board.shown() == shown, state
        told = len(panel.events)
        assert panel.run(30).state(TRIP) is state
        assert len(panel.events) == told


def test_requests_are_answered_by_the_judge_in_their_order() -> None:
    played = tape().run(130, station__door=1.0)
    now = at(played.second)
    asked: list[AlarmRequest] = [
        Acknowledge(None, "li"),
        Acknowledge(None, "li"),
        Shelve("high:frost", now.wall + 60, "li", "w"),
    ]
    found = judge(played.state, image(HEALTHY | {"station.door": 1.0}, now), VIEWS, SITE, LIMITS, now, asked)
    assert [answer.accepted for answer in found.answers] == [True, False, True]
    assert [event.kind for event in found.events] == ["alarm.acknowledged", "alarm.shelved"]
    assert [(each.key, each.state) for each in found.shown] == [
        ("door_open", S.ACKNOWLEDGED),
        ("frost", S.SHELVED),
    ]


SUBJECTS = (PLAIN, TRIP, CAUSE, "high:supply_low", "low:pump_not_running")
MOVE = st.one_of(
    st.tuples(st.sampled_from(SUBJECTS), st.sampled_from([True, False, None])),
    st.tuples(st.sampled_from(SUBJECTS), st.sampled_from(["acknowledge", "reset", "shelve", "unshelve"])),
    st.tuples(st.just(""), st.sampled_from(["restart", "all", "clock"])),
)
STORY = st.lists(st.tuples(MOVE, st.sampled_from([1.0, 6.0, 11.0, 70.0, 700.0])), max_size=40)


def _play(story: list[tuple[tuple[str, bool | str | None], float]]) -> Panel:
    panel = Panel()
    for (subject, what), seconds in story:
        requests: dict[str, AlarmRequest] = {
            "acknowledge": Acknowledge(subject, "li"),
            "all": Acknowledge(None, "li"),
            "reset": Reset(subject, "li"),
            "shelve": Shelve(subject, panel.now.wall + 500, "li", "why"),
            "unshelve": Unshelve(subject, "li"),
        }
        if what == "restart":
            panel.restart()
        elif what == "clock":
            panel.wall_step += 5000
        elif isinstance(what, str):
            panel.ask(requests[what])
        else:
            panel.holds[subject] = what
        panel.run(seconds, every_s=1.0 if seconds < 100 else 5.0)
    return panel


@settings(max_examples=120, deadline=None)
@given(STORY)
def test_no_alarm_is_lost_and_shelved_ones_come_back(
    story: list[tuple[tuple[str, bool | str | None], float]],
) -> None:
    panel = _play(story)
    active = {alarm.subject for alarm in panel.board.active()}
    for subject in SUBJECTS:
        pairs = [kind for kind in panel.kinds(subject) if kind in ("raised", "cleared")]
        assert pairs[::2] == ["raised"] * len(pairs[::2])  # never twice without an end
        assert pairs[1::2] == ["cleared"] * len(pairs[1::2])
        assert (len(pairs) % 2 == 1) is (subject in active)
    panel.holds = dict.fromkeys(SUBJECTS, False)
    panel.run(MOST_SHELVED_S, every_s=300)
    panel.ask(Acknowledge(None, "li"))
    panel.ask(Reset(None, "li"))
    panel.run(1)
    assert panel.board.tracks == {}
    for subject in SUBJECTS:
        kinds = panel.kinds(subject)
        assert kinds.count("raised") == kinds.count("cleared")
        assert kinds.count("suppressed") == kinds.count("unsuppressed") + _shelved_while_suppressed(kinds)
        assert kinds[-1:] != ["shelved"]


def _shelved_while_suppressed(kinds: list[str]) -> int:
    """A suppressed alarm that a person shelves is shelved, and suppressed no more."""
    return sum(pair == ("suppressed", "shelved") for pair in itertools.pairwise(kinds))


@settings(max_examples=60, deadline=None)
@given(STORY, st.randoms(use_true_random=False))
def test_nothing_depends_on_the_order_of_a_dictionary(
    story: list[tuple[tuple[str, bool | str | None], float]], dice: random.Random
) -> None:
    panel = _play(story)
    names = list(SUBJECTS)
    dice.shuffle(names)
    now = panel.now
    tracks = dict(dice.sample(sorted(panel.board.tracks.items()), len(panel.board.tracks)))
    board = Board(tracks, panel.board.next_order, panel.board.recent, panel.board.flood)
    straight = step(panel.board, [seen(subject, True) for subject in SUBJECTS], now)
    turned = step(board, [seen(subject, True) for subject in names], now)
    assert straight == turned
    assert straight[0].shown() == turned[0].shown()


def test_every_row_has_what_the_standard_asks_for() -> None:
    for key in KEYS:
        row = ROWS[key]
        assert row.key == key
        assert row.priority in (1, 2, 3)
        assert row.exit_s > 0


def test_the_page_of_the_alarms_is_what_the_code_says() -> None:
    page = "\n".join(pages(Texts.load("zh"), Texts.load("en"))) + "\n"
    printed = Path(__file__).resolve().parents[2] / "docs" / "alarms.md"
    assert printed.read_text(encoding="utf-8") == page  # python -m edge.handbook > docs/alarms.md


@pytest.mark.parametrize("state", State)
def test_every_state_and_event_has_its_words(state: State) -> None:
    words = Texts.load("en")
    assert f"alarm_state.{state}" in words
    assert all(f"kind.alarm.{told}" in words for told in (*TOLD.values(), "chattering"))
