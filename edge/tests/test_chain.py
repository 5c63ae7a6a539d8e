"""One body has one encoding; whoever decodes it gets the same body."""

from collections.abc import Mapping

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from edge.chain import GENESIS, Draft, Entry, canonical, check, link
from edge.clock import Instant
from edge.records import Event, Plain
from edge.tests.journals import NOW, StandingClock

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 64) - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
PLAIN = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(KEYS, inner, max_size=5))
)
BODIES = st.dictionaries(KEYS, PLAIN, max_size=8)


def _reversed(value: Plain) -> Plain:
    if isinstance(value, Mapping):
        return {key: _reversed(value[key]) for key in reversed(list(value))}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


@given(BODIES)
def test_the_order_in_which_a_body_was_made_does_not_change_its_bytes(body: dict[str, Plain]) -> None:
    other = _reversed(body)
    assert isinstance(other, Mapping)
    assert canonical(body) == canonical(other)


@given(BODIES)
def test_a_body_is_read_as_it_was_written_and_written_again_the_same(body: dict[str, Plain]) -> None:
    packed = canonical(body)
    assert msgpack.unpackb(packed) == body
    assert canonical(msgpack.unpackb(packed)) == packed


@given(BODIES, st.floats(0, 4e9), st.floats(0, 1e9))
def test_a_linked_row_passes_its_own_check(body: dict[str, Plain], wall: float, boottime: float) -> None:
    now = Instant(wall, 0.0, boottime, NOW.state)
    row = link(GENESIS, Draft.of(Entry("alarm.raised", "high", body)), now, StandingClock.boot_id)
    assert check(GENESIS, row) is None
    assert abs(row.wall_ns / 1e9 - wall) < 1e-6


def test_an_event_becomes_an_entry_with_both_of_its_times() -> None:
    entry = Entry.of(Event("outage.started", "high", 100.0, 160.0, {"cause": "source"}))
    assert entry.body == {"cause": "source", "occurred": 100.0, "detected": 160.0}
