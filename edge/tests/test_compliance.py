"""Duties followed through time: each said once, kept through a restart, closed by what closes them."""

from collections.abc import Iterable

import pytest

from edge.clock import ClockState, Instant
from edge.compliance import KEPT, Compliance, follow, new_day, restore
from edge.events import Confidence, Outage
from edge.loading import read_site
from edge.records import Cause, Event, Plain
from edge.resources import config_dir
from edge.rules import Pack, load_pack
from edge.rules.facts import Phase

SITE = read_site(config_dir() / "sites" / "demo.toml")
HOUR = 3600.0
LOST = 1_768_428_000.0  # 2026-01-15 06:00 in Zhangye


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack("zhangye-2023").bind(SITE.regulation.parameters)


def moment(hours: float, state: ClockState = ClockState.SYNCED) -> Instant:
    return Instant(LOST + hours * HOUR, hours * HOUR, hours * HOUR, state)


def outage(cause: Cause = Cause.SOURCE) -> Outage:
    return Outage("high-1", "high", LOST, LOST, LOST + 300.0, cause, Confidence.HIGH, ())


def over(hours: float) -> Event:
    body: dict[str, Plain] = {**outage().body(), "ended_at": LOST + hours * HOUR}
    return Event("outage.ended", "high", LOST + hours * HOUR, LOST + hours * HOUR, body)


class Station:
    """One outage followed in steps of ten minutes."""

    def __init__(self, pack: Pack, memory: Compliance | None = None) -> None:
        self.pack = pack
        self.memory = memory if memory is not None else Compliance()
        self.said: list[Event] = []

    def until(self, start_h: float, end_h: float, lasts: bool = True) -> "Station":
        step = 1.0 / 6.0
        hours = start_h
        while hours <= end_h:
            self.at(hours, {"high": outage()} if lasts else {})
            hours += step
        return self

    def at(self, hours: float, outages: dict[str, Outage], events: Iterable[Event] = ()) -> None:
        now = moment(hours)
        self.memory = new_day(self.memory, self.pack, now)
        self.memory, said = follow(self.memory, self.pack, SITE, outages, events, now)
        self.said += said

    def kinds(self, duty: str) -> list[str]:
        return [event.kind for event in self.said if event.subject == f"high-1:{duty}"]


def test_a_report_is_opened_due_soon_and_overdue_once_each(pack: Pack) -> None:
    station = Station(pack).until(0.1, 5.0)
    assert station.kinds("report_authority") == ["duty.opened", "duty.due_soon", "duty.overdue"]


def test_the_duty_says_clause_deadline_area_and_dwellings(pack: Pack) -> None:
    station = Station(pack).until(0.1, 0.2)
    (opened,) = [event for event in station.said if event.subject == "high-1:report_authority"]
    assert (opened.body["clause"], opened.body["due"]) == ("ZY-35", LOST + 2 * HOUR)
    assert opened.body["dwellings"] == 420
    assert opened.body["area"] == SITE.circuit("high").area.model_dump()


def test_heat_back_closes_the_duty_to_restore_it_and_gives_the_refund_basis_once(pack: Pack) -> None:
    station = Station(pack).until(0.1, 3.0)
    station.at(3.1, {}, [over(3.0)])
    station.until(3.2, 5.0, lasts=False)
    assert station.kinds("restore")[-1] == "duty.closed"
    refunds = [event for event in station.said if event.kind == "refund.basis"]
    assert [refund.body["reason"] for refund in refunds] == ["below_threshold"]


def test_a_notice_not_confirmed_stays_owed_after_the_heat_is_back(pack: Pack) -> None:
    station = Station(pack).until(0.1, 1.0)
    station.at(1.1, {}, [over(1.0)])
    station.until(1.2, 3.0, lasts=False)
    assert station.kinds("report_authority")[-1] == "duty.overdue"


def test_a_restart_says_nothing_twice(pack: Pack) -> None:
    before = Station(pack).until(0.1, 2.5)
    rows: list[dict[str, Plain]] = [
        {"kind": event.kind, "subject": event.subject, "body": dict(event.body)} for event in before.said
    ]
    after = Station(pack, restore(rows, pack)).until(2.6, 3.0)
    assert after.said == []


def test_an_outage_that_ended_before_a_restart_is_not_refunded_again(pack: Pack) -> None:
    before = Station(pack).until(0.1, 3.0)
    before.at(3.1, {}, [over(3.0)])
    events = [*before.said, over(3.0)]
    rows: list[dict[str, Plain]] = [
        {"kind": event.kind, "subject": event.subject, "body": dict(event.body)} for event in events
    ]
    after = Station(pack, restore(rows, pack)).until(3.2, 3.5, lasts=False)
    assert [event for event in after.said if event.kind == "refund.basis"] == []


@pytest.mark.parametrize(
    ("days", "phase", "heating"),
    [(0, Phase.SEASON, True), (75, Phase.SEASON, True), (76, Phase.OFF, False)],  # 31 March is day 75
)
def test_the_season_ends_with_its_last_day(pack: Pack, days: int, phase: Phase, heating: bool) -> None:
    memory = new_day(Compliance(), pack, moment(24.0 * days))
    assert (memory.phase, memory.heating) == (phase, heating)


def test_a_clock_that_was_never_set_does_not_end_the_heating(pack: Pack) -> None:
    in_june = 24.0 * 150
    assert not new_day(Compliance(), pack, moment(in_june)).heating
    unset = new_day(Compliance(), pack, moment(in_june, ClockState.UNSYNCED))
    assert (unset.phase, unset.heating) == (Phase.UNKNOWN, True)


def test_many_outages_at_once_are_all_followed_and_old_ones_forgotten(pack: Pack) -> None:
    def numbered(number: int) -> Outage:
        return Outage(f"high-{number}", "high", LOST, LOST, LOST + 300.0, Cause.SOURCE, Confidence.HIGH, ())

    def ended(number: int) -> Event:
        body: dict[str, Plain] = {**numbered(number).body(), "ended_at": LOST + HOUR}
        return Event("outage.ended", "high", LOST + HOUR, LOST + HOUR, body)

    station = Station(pack)
    station.at(0.5, {str(number): numbered(number) for number in range(20)})
    assert len(station.memory.facts) == 20
    still = {"19": numbered(19)}
    station.at(1.0, still, [ended(number) for number in range(19)])
    station.at(1.1, still)
    assert len([event for event in station.said if event.kind == "refund.basis"]) == 19
    facts, memory = station.memory.facts, station.memory
    assert "high-19" in facts
    assert len(facts) == 1 + KEPT
    assert {subject.partition(":")[0] for subject in memory.told} == set(facts)
    assert set(memory.duties) == set(facts)
    assert set(memory.refunds) == memory.refunded == set(facts) - {"high-19"}


@pytest.mark.parametrize(
    "body",
    [None, 7, [], {}, {"id": "high-1"}, {**outage().body(), "ended_at": "soon"}],
    ids=["nothing", "number", "list", "empty", "half", "no time"],
)
def test_an_old_record_that_cannot_be_understood_is_left_out(pack: Pack, body: Plain) -> None:
    garbled: dict[str, Plain] = {"kind": "outage.ended", "subject": "high", "body": body}
    sound: dict[str, Plain] = {"kind": "outage.ended", "subject": "low", "body": dict(over(3.0).body)}
    assert list(restore([garbled, sound], pack).facts) == ["high-1"]


def test_the_duties_of_a_circuit_the_site_has_no_more_are_still_followed(pack: Pack) -> None:
    gone = {**over(1.0).body, "circuit": "gone"}
    rows: list[dict[str, Plain]] = [{"kind": "outage.ended", "subject": "gone", "body": gone}]
    station = Station(pack, restore(rows, pack)).until(3.0, 3.2, lasts=False)
    assert station.kinds("report_authority") == ["duty.overdue"]
    (said,) = [event for event in station.said if event.subject == "high-1:report_authority"]
    assert (said.body["area"], said.body["dwellings"]) == (None, None)


def test_a_clock_set_back_says_no_duty_twice(pack: Pack) -> None:
    station = Station(pack).until(0.1, 5.0)
    for tenth in range(60):
        wall_h, lived_h = 1.0 + tenth / 10.0, 5.1 + tenth / 10.0
        now = Instant(LOST + wall_h * HOUR, lived_h * HOUR, lived_h * HOUR, ClockState.HOLDOVER)
        station.memory, said = follow(station.memory, pack, SITE, {"high": outage()}, [], now)
        station.said += said
    assert station.kinds("report_authority") == ["duty.opened", "duty.due_soon", "duty.overdue"]
