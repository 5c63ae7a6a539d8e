"""Totals over restarts: nothing is lost, nothing is told twice, and what happened meanwhile is seen."""

from fractions import Fraction

import pytest

from edge.events import WatchState, restore, resume, to_plain
from edge.records import Plain
from edge.tests.events_bench import WALL, at
from edge.tests.totals_bench import DAY, ENERGY, SILENT, TRACES, Register, Trace, restarted

EXCHANGED = next(trace for trace in TRACES if trace.told == [("exchanged", "likely")])


@pytest.mark.parametrize("cut", range(1, 13))
@pytest.mark.parametrize("trace", [t for t in TRACES if len(t.numbers) < 20], ids=lambda trace: trace.name)
def test_a_restart_at_any_moment_changes_no_finding_and_no_total(trace: Trace, cut: int) -> None:
    register = Register(trace.point, trace.unit, trace.rolls_over).run(trace.numbers[:cut])
    restarted(register, 5.0, 0.0, memory=True, journal=True).run(trace.numbers[cut:])
    assert register.told == trace.told
    assert register.total() == Fraction(trace.total)


def test_a_meter_exchanged_while_we_were_off_is_seen_on_return() -> None:
    register = restarted(Register().run(["45000", "45001"]), 3 * DAY, 500.0, memory=True, journal=True)
    register.run(["400000", "400001", "400002", "400003"])
    assert register.told == [("implausible", "uncertain")]
    register = restarted(Register().run(["9000000", "9000001"]), DAY, 500.0, memory=True, journal=True)
    register.run(["400000", "400001", "400002", "400003"])
    assert register.told == [("exchanged", "likely")]
    assert register.total() == 9000001 + 3


def test_the_journal_alone_keeps_the_total_once_a_meter_was_exchanged() -> None:
    register = Register().run(EXCHANGED.numbers)
    restarted(register, 60.0, 0.0, memory=False, journal=True).run(["31004", "31005"])
    assert register.total() == Fraction(EXCHANGED.total) + 2


def test_a_memory_older_than_the_exchange_gives_way_to_the_journal() -> None:
    register = Register().run(["45000", "45001"])
    memory = to_plain(WatchState(totals=dict(register.counts)), at(register.second))
    register.run([*SILENT, "31000", "31001", "31002", "31003"])
    rows: list[dict[str, Plain]]
    rows = [{"kind": e.kind, "subject": e.subject, "body": e.body} for e in register.events]
    found = resume(restore(rows), memory, at(register.second))
    register.counts = dict(found.totals)
    register.run(["31004"])
    assert register.told == [("exchanged", "likely")]
    assert register.total() == 45005


@pytest.mark.parametrize(
    "totals", [None, 3, {ENERGY: {}}, {ENERGY: {"shown": {"number": "NaN"}}}, {ENERGY: {"shown": 5}}]
)
def test_a_memory_of_totals_that_cannot_be_read_starts_anew(totals: object) -> None:
    memory = {"at": WALL, "circuits": {}, "totals": totals}
    assert resume(WatchState(), memory, at(0)).totals == {}  # type: ignore[arg-type]


def test_a_row_of_a_meter_that_cannot_be_read_is_named_and_left_out() -> None:
    found = restore([{"kind": "meter.reset", "subject": ENERGY, "body": {"base": "1"}}])
    assert (found.totals, found.discarded) == ({}, (ENERGY,))


def test_a_clock_set_back_while_we_were_off_takes_no_energy_away() -> None:
    register = Register().run(["45000", "45001"])
    kept = to_plain(WatchState(totals=register.counts), at(register.second))
    found = resume(WatchState(), kept, at(register.second - DAY, boot=900.0))
    register.counts, register.second = dict(found.totals), register.second - DAY
    register.run(["46000", "46001"])
    assert register.told == []
    assert register.total() == 46001
