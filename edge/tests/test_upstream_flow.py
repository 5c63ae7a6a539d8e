"""Whatever is lost on the way, every row arrives, in order; and nothing is asked or sent in a busy loop."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.upstream.flow import Flow, Window
from edge.upstream.session import Backoff

WINDOW = Window(rows=10, size=1000, ask_s=5.0, ask_maximum_s=60.0)


def opened(at: int = 0) -> Flow:
    flow = Flow(WINDOW)
    flow.restart(0.0)
    flow.asked(0.0)
    flow.resume(at, 0.0)
    return flow


def test_nothing_goes_out_before_the_head_end_has_answered() -> None:
    flow = Flow(WINDOW)
    flow.restart(0.0)
    assert flow.must_ask(0.0)
    assert not flow.room()
    flow.asked(0.0)
    assert not flow.must_ask(4.9)
    flow.resume(7, 1.0)
    assert flow.room()
    assert (flow.sent, flow.receipted) == (7, 7)


def test_the_window_is_bounded_in_rows() -> None:
    flow = opened()
    flow.put(10, 10, 10, 0.0)
    assert not flow.room()
    flow.advance(10, 1.0)
    assert flow.room()


def test_the_window_is_bounded_in_bytes() -> None:
    flow = opened()
    flow.put(1, 1, 1000, 0.0)
    assert not flow.room()


def test_a_receipt_that_does_not_come_is_asked_for_with_growing_pauses() -> None:
    flow = opened()
    flow.put(3, 3, 30, 10.0)
    asked = []
    for tenth in range(100, 4000):
        if flow.must_ask(tenth / 10):
            flow.asked(tenth / 10)
            asked.append(tenth / 10)
    pauses = [round(later - earlier) for earlier, later in pairwise(asked)]
    assert asked[0] == pytest.approx(20.0)  # it was asked once when it opened
    assert pauses[:4] == [10, 20, 40, 60]


def test_an_idle_stream_asks_nothing() -> None:
    flow = opened()
    flow.put(3, 3, 30, 0.0)
    flow.advance(3, 1.0)
    assert not flow.must_ask(1e6)


def test_an_older_receipt_changes_nothing() -> None:
    flow = opened(5)
    flow.put(8, 3, 30, 0.0)
    assert flow.advance(8, 0.0)
    assert not flow.advance(6, 1.0)
    assert flow.receipted == 8


def test_a_head_end_that_went_back_is_followed() -> None:
    flow = opened(100)
    flow.resume(40, 1.0)
    assert (flow.sent, flow.receipted, flow.open) == (40, 40, True)


def test_a_refused_stream_waits_the_longest_pause() -> None:
    flow = opened()
    flow.refuse(0.0)
    assert not flow.room()
    assert not flow.must_ask(59.9)
    assert flow.must_ask(60.0)


@given(st.data())
@settings(max_examples=200)
def test_a_channel_that_loses_anything_still_brings_every_row_in_order(data: st.DataObject) -> None:
    """A model of the line: messages, answers and receipts may be lost; rows are taken in order only."""
    flow, stored, now = Flow(WINDOW), 0, 0.0
    flow.restart(now)
    lossy = data.draw(st.lists(st.sampled_from(["keep", "lose", "restart"]), min_size=30, max_size=120))
    fates = iter(lossy)
    while stored < 40 or flow.receipted < 40:
        fate = next(fates, "keep")  # at last the line is well
        now += 1.0
        if fate == "restart":
            flow.restart(now)
        if flow.must_ask(now):
            flow.asked(now)
            if fate == "keep":
                flow.resume(stored, now)
        elif flow.room() and flow.sent < 40:
            after, last = flow.sent, min(flow.sent + 3, 40)
            flow.put(last, last - after, 10, now)
            if fate == "keep" and after <= stored:
                stored = max(stored, last)
                if data.draw(st.booleans()) or len(lossy) < now:
                    flow.advance(stored, now)
        assert flow.receipted <= stored
        assert flow.receipted <= flow.sent
        assert now < 5000


def test_the_pauses_between_sessions_grow_spread_and_end() -> None:
    backoff = Backoff(first_s=1.0, maximum_s=300.0)
    pauses = [backoff.pause(held_s=0.1) for _ in range(12)]
    for number, pause in enumerate(pauses):
        step = min(2.0**number, 300.0)
        assert step / 2 <= pause <= step


def test_a_session_that_held_starts_the_pauses_anew_and_a_short_one_does_not() -> None:
    backoff = Backoff(first_s=1.0, maximum_s=300.0, stable_s=30.0)
    for _ in range(6):
        backoff.pause(held_s=5.0)  # connected, then thrown out: not stable
    assert backoff.pause(held_s=29.0) > 30.0
    assert backoff.pause(held_s=31.0) <= 1.0
