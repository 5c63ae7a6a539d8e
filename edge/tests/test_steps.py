"""What is found of the clocks from one cycle to the next. Traces: real seconds and what the clocks did."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.chain import GENESIS, Draft, Entry, Row, link
from edge.clock import ClockState, Instant
from edge.records import Event
from edge.steps import ANCHOR, STEP, STEP_S, Seen, anchor, resumed, watch

BOOT = "0b5e9d5e-6f0c-4a52-8d7c-3f1f7c7f2a11"
NOON = 1_795_000_000.0
SYNCED, HOLDOVER, UNSYNCED = ClockState.SYNCED, ClockState.HOLDOVER, ClockState.UNSYNCED


@dataclass
class Gateway:
    """The clocks of a machine, and what was found of them."""

    offset: float = NOON
    state: ClockState = SYNCED
    boottime: float = 100.0
    slept: float = 0.0
    seen: Seen | None = None
    found: list[Event] = field(default_factory=list)

    @property
    def now(self) -> Instant:
        return Instant(self.offset + self.boottime, self.boottime - self.slept, self.boottime, self.state)

    def look(self) -> None:
        found = watch(self.seen, self.now, BOOT)
        self.seen, self.found = found.seen, [*self.found, *found.events]

    def run(self, cycles: int, period: float = 1.0) -> None:
        for _ in range(cycles):
            self.boottime += period
            self.look()

    def kinds(self) -> list[str]:
        return [event.kind for event in self.found]

    def steps(self) -> list[float]:
        return [float(str(event.body["step_s"])) for event in self.found if event.kind == STEP]

    def rows(self) -> list[Row]:
        """What was found as the rows of a journal, each recorded at the moment that it speaks of."""
        rows: list[Row] = []
        for event in self.found:
            at = event.occurred
            now = Instant(at, 0.0, at - self.offset, self.state)
            rows.append(link(rows[-1].head if rows else GENESIS, Draft.of(Entry.of(event)), now, BOOT))
        return rows


def test_is_the_first_synchronised_look_of_a_boot_an_anchor_and_no_step() -> None:
    gateway = Gateway()
    gateway.run(100)
    assert gateway.kinds() == [ANCHOR]
    body = gateway.found[0].body
    assert (body["boot_id"], body["clock"]) == (BOOT, "synced")
    assert (body["boottime_ns"], body["wall_ns"]) == (101_000_000_000, 1_795_000_101_000_000_000)
    assert body["offset_ns"] == 1_795_000_000_000_000_000


def test_is_nothing_found_of_a_clock_that_nobody_sets() -> None:
    gateway = Gateway(state=HOLDOVER)
    gateway.run(100)
    assert gateway.kinds() == []


@pytest.mark.parametrize("size", [0.5, 1.0, -1.0, 3600.0, -3600.0, -315_576_000.0, 68 * 31_557_600.0])
def test_is_a_step_of_any_size_one_event_with_its_size_and_one_anchor(size: float) -> None:
    gateway = Gateway()
    gateway.run(10)
    gateway.offset += size
    gateway.run(10)
    assert gateway.kinds() == [ANCHOR, STEP, ANCHOR]
    step = gateway.found[1]
    assert gateway.steps() == pytest.approx([size], abs=1e-5)
    assert step.body["to"] == pytest.approx(step.occurred)
    assert step.body["from"] == pytest.approx(step.occurred - size)


def test_is_a_step_every_ten_seconds_one_event_each() -> None:
    gateway = Gateway()
    sizes = [-7.0, -1.0, 1.0, 3600.0, -86_400.0] * 10
    for size in sizes:
        gateway.offset += size
        gateway.run(10)
    assert gateway.steps() == pytest.approx(sizes[1:], abs=1e-5)


def test_do_many_small_steps_add_up_to_one_that_is_told() -> None:
    gateway = Gateway()
    gateway.run(1)
    for _ in range(10):
        gateway.offset += 0.2
        gateway.run(1)
    assert gateway.steps() == pytest.approx([0.6, 0.6, 0.6], abs=1e-5)


@given(st.lists(st.floats(-0.02, 0.02), min_size=1, max_size=60))
def test_is_jitter_between_two_clocks_never_a_step(jitter: list[float]) -> None:
    gateway = Gateway()
    for held in jitter:
        gateway.offset = NOON + held
        gateway.run(1)
    assert gateway.steps() == []


@given(st.lists(st.one_of(st.just(0.0), st.floats(-4e9, 4e9)), min_size=1, max_size=30))
def test_do_the_steps_told_add_up_to_how_far_the_clock_was_set(sizes: list[float]) -> None:
    gateway = Gateway()
    gateway.look()
    for size in sizes:
        gateway.offset += size
        gateway.run(1)
    assert abs(sum(gateway.steps()) - (gateway.offset - NOON)) < STEP_S + 1e-3


def test_is_a_sleeping_machine_told_apart_from_a_step() -> None:
    gateway = Gateway()
    gateway.run(3)
    gateway.boottime += 600.0
    gateway.slept += 600.0
    gateway.run(3)
    assert gateway.kinds() == [ANCHOR, "service.asleep"]
    assert gateway.found[1].body["asleep_s"] == pytest.approx(600.0)
    assert gateway.found[1].detected - gateway.found[1].occurred == pytest.approx(600.0)


def test_is_a_machine_that_slept_and_woke_with_another_time_told_as_both() -> None:
    gateway = Gateway()
    gateway.run(3)
    gateway.boottime += 600.0
    gateway.slept += 600.0
    gateway.offset -= 30.0
    gateway.run(3)
    assert gateway.kinds() == [ANCHOR, STEP, ANCHOR, "service.asleep"]
    assert gateway.steps() == pytest.approx([-30.0])


def test_is_a_clock_in_1970_anchored_when_it_is_set_and_not_before() -> None:
    gateway = Gateway(offset=0.0, state=UNSYNCED)
    gateway.run(60)
    gateway.offset, gateway.state = NOON, SYNCED
    gateway.run(60)
    assert gateway.kinds() == [STEP, ANCHOR]
    assert (gateway.found[0].body["clock_before"], gateway.found[0].body["clock"]) == ("unsynced", "synced")


def test_is_a_clock_anchored_once_when_it_loses_and_finds_its_server() -> None:
    gateway = Gateway()
    for state in (SYNCED, HOLDOVER, SYNCED, HOLDOVER, SYNCED):
        gateway.state = state
        gateway.run(10)
    assert gateway.kinds() == [ANCHOR]


def test_is_a_clock_set_by_hand_anchored_again_when_a_server_agrees() -> None:
    gateway = Gateway()
    gateway.run(1)
    gateway.offset, gateway.state = NOON + 10.0, HOLDOVER
    gateway.run(10)
    gateway.state = SYNCED
    gateway.run(10)
    assert gateway.kinds() == [ANCHOR, STEP, ANCHOR, ANCHOR]
    assert [event.body["clock"] for event in gateway.found if event.kind == ANCHOR] == [
        "synced",
        "holdover",
        "synced",
    ]


def test_does_a_restart_in_the_same_boot_anchor_nothing_again_and_find_what_happened_meanwhile() -> None:
    gateway = Gateway()
    gateway.run(10)
    rows = gateway.rows()
    again = Gateway(boottime=200.0, seen=resumed(rows, BOOT))
    again.run(10)
    assert again.kinds() == []
    set_meanwhile = Gateway(offset=NOON + 3600.0, boottime=200.0, seen=resumed(rows, BOOT))
    set_meanwhile.run(10)
    assert set_meanwhile.kinds() == [STEP, ANCHOR]


def test_is_a_step_on_record_not_found_again_after_a_restart() -> None:
    gateway = Gateway()
    gateway.run(10)
    gateway.offset += 3600.0
    gateway.run(1)
    rows = gateway.rows()[-2:]
    again = Gateway(offset=gateway.offset, boottime=200.0, seen=resumed(rows, BOOT))
    again.run(10)
    assert again.kinds() == []


def test_does_another_boot_begin_anew() -> None:
    gateway = Gateway()
    gateway.run(10)
    assert resumed(gateway.rows(), "another") is None
    assert resumed(gateway.rows(), "unknown") is None


def test_is_the_error_of_the_clock_in_the_anchor() -> None:
    assert anchor(Instant(NOON, 1.0, 1.0, SYNCED, 0.004), BOOT).body["error_s"] == 0.004
    assert anchor(Instant(NOON, 1.0, 1.0, SYNCED), BOOT).body["error_s"] is None
