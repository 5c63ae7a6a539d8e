"""Outages over restarts, blind intervals and a clock that was never set; the station's; heat not given."""

from collections.abc import Mapping
from dataclasses import replace

import msgpack
import pytest

from drivers import Reason
from edge.chain import Draft, Entry
from edge.clock import ClockState, Instant
from edge.compliance import Compliance, follow, new_day
from edge.events import WatchState, judge, restore, resume, to_plain, with_blind_interval, with_clock_step
from edge.loading import read_site
from edge.records import Cause, Event, Plain
from edge.requests import ExpectRecovery, Reattribute
from edge.resources import config_dir
from edge.rules import Pack, load_pack
from edge.rules.facts import Phase
from edge.site import Load
from edge.tests.events_bench import HEALTHY, LIMITS, SITE, VIEWS, WALL, Tape, at, image
from edge.tests.test_events_outage_traces import NO_MAINS, NO_PUMP, NO_SOURCE, OK

H = 3600.0


def fresh(**changes: object) -> Tape:
    """A healthy station, ten seconds a cycle."""
    return replace(Tape(WatchState(), dict(HEALTHY), dict(VIEWS), period=10), **changes)  # type: ignore[arg-type]


def rows_of(tape: Tape) -> list[dict[str, Plain]]:
    """The newest rows as the journal gives them back."""
    latest = {(e.kind.partition(".")[0], e.subject): e for e in tape.events}
    drafts = [Draft.of(Entry.of(event)) for event in latest.values()]
    return [{"kind": d.kind, "subject": d.subject, "body": msgpack.unpackb(d.body)} for d in drafts]


def restarted(tape: Tape, pause: int) -> Tape:
    """A reboot with `pause` s in which nobody watched, said to the watch as the service does."""
    memory = msgpack.unpackb(msgpack.packb(to_plain(tape.state, at(tape.second - tape.period, tape.boot))))
    dark = WALL + tape.second - tape.period
    tape.second, tape.boot = tape.second + pause, 900.0
    now = at(tape.second, tape.boot)
    tape.state = with_blind_interval(resume(restore(rows_of(tape)), memory, now), dark, now.wall)
    return tape


def last(tape: Tape, kind: str, subject: str = "high") -> Mapping[str, Plain]:
    return [event for event in tape.of(kind) if event.subject == subject][-1].body


# -- restarts and blind intervals ----------------------------------------------------------------------------


@pytest.mark.parametrize("pause", [60, 7200])
def test_an_outage_goes_on_over_a_restart_and_keeps_the_blind_time_apart(pause: int) -> None:
    tape = fresh().run(600).run(3000, **NO_SOURCE)
    restarted(tape, pause).run(3000 + pause + 1200).run(3000 + pause + 2400, **OK)
    assert [event.kind for event in tape.of("outage.") if event.subject == "high"] == [
        "outage.started",
        "outage.ended",
    ]
    body = last(tape, "outage.ended")
    assert body["lost_at"] == WALL + 600
    assert body["blind_s"] == pytest.approx(pause + 10)
    assert body["blind"] == [[WALL + 2990, WALL + 3000 + pause]]
    undelivered = body["undelivered"]
    assert isinstance(undelivered, Mapping)
    assert undelivered["not_counted_s"] == pytest.approx(pause, abs=120)


def test_no_outage_is_invented_in_a_blind_interval() -> None:
    tape = restarted(fresh().run(3000), 7200).run(3000 + 7200 + 4000)
    assert tape.of("outage.") == []


def test_an_outage_found_after_a_blind_interval_began_when_it_was_seen() -> None:
    tape = restarted(fresh().run(3000), 7200).run(10300, **NO_MAINS).run(12000)
    assert last(tape, "outage.started")["lost_at"] == WALL + 10200


def test_two_blind_intervals_add_up_and_none_is_counted_twice() -> None:
    tape = fresh().run(600).run(1200, **NO_SOURCE)
    for begin, end in ((1200, 1500), (1400, 1600), (0, 700), (2000, 2100)):
        tape.state = with_blind_interval(tape.state, WALL + begin, WALL + end)
    outage = tape.state.circuits["high"].outage
    assert outage is not None
    assert outage.blind == (
        (WALL + 1200, WALL + 1500),
        (WALL + 1500, WALL + 1600),
        (WALL + 2000, WALL + 2100),
    )


def test_what_the_clock_was_set_by_during_an_outage_survives_a_restart() -> None:
    tape = fresh().run(600).run(1200, **NO_SOURCE)
    tape.state = with_clock_step(tape.state, -H, WALL - H)
    restarted(tape.run(1300), 60).run(1500)
    assert tape.outages["high"].clock_s == -H


def test_what_people_said_survives_a_restart() -> None:
    tape = fresh().run(600).run(1200, **NO_SOURCE)
    tape.asked = [
        ExpectRecovery("high", WALL + 9000, "li", "plant said"),
        Reattribute("high", Cause.EQUIPMENT, "li", "seen"),
    ]
    before = tape.run(1300).outages["high"]
    restarted(tape, 600).run(2200)
    after = tape.outages["high"]
    assert (after.expectations, after.attributions) == (before.expectations, before.attributions)
    assert (after.stands, after.cause) == (Cause.EQUIPMENT, Cause.SOURCE)


def test_a_degraded_supply_and_its_beginning_survive_a_restart() -> None:
    loaded = SITE.model_copy(
        update={
            "circuits": tuple(c.model_copy(update={"load": Load(design_w_per_m2=50)}) for c in SITE.circuits)
        }
    )
    warm = fresh(site=loaded).run(600)
    warm.run(6000, high__secondary_supply_temperature=38.0, high__heat_power=280.0)
    restarted(warm, 120).run(8000).run(9000, high__secondary_supply_temperature=50.0, high__heat_power=500.0)
    assert [event.kind for event in warm.of("supply.")] == ["supply.degraded", "supply.restored"]
    body = last(warm, "supply.restored")
    assert (body["since"], body["ended_at"], body["end_reason"]) == (WALL + 600, WALL + 8000, "heat_back")


# -- what people say -----------------------------------------------------------------------------------------


def test_the_evidence_is_judged_on_behind_a_persons_cause_and_never_overwrites_it() -> None:
    tape = fresh().run(600).run(1200, high__secondary_supply_temperature=39.0)
    tape.asked = [Reattribute("high", Cause.SOURCE, "li", "plant said so")]
    tape.run(1300).run(3000, **NO_PUMP)
    outage = tape.outages["high"]
    assert (outage.stands, outage.cause) == (Cause.SOURCE, Cause.EQUIPMENT)
    body = last(tape, "outage.changed")
    assert (body["cause"], body["judged"], body["judged_from"]) == ("source", "equipment", "unknown")


def test_an_outage_that_is_over_takes_a_cause_too_and_stays_over() -> None:
    tape = fresh().run(600).run(2000, **NO_PUMP).run(3000, **OK)
    outage = last(tape, "outage.ended")["id"]
    tape.asked = [Reattribute(str(outage), Cause.POWER, "li", "the breaker of the pump")]
    tape.run(3100)
    body = last(tape, "outage.revised")
    assert (body["id"], body["cause"], body["judged"], body["ended_at"]) == (
        outage,
        "power",
        "equipment",
        WALL + 2000,
    )
    assert restore(rows_of(tape)).circuits["high"].outage is None


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (ExpectRecovery("high", WALL + 100, "li", ""), "request.recovery_past"),
        (ExpectRecovery("low", WALL + 9000, "li", ""), "request.no_outage"),
        (Reattribute("low", Cause.POWER, "li", ""), "request.no_outage"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    request_: ExpectRecovery | Reattribute, text: str
) -> None:
    tape = fresh().run(600).run(1200, **NO_PUMP)
    before = tape.events
    tape.asked = [request_]
    tape.run(1210)
    assert tape.last is not None
    assert [(a.accepted, a.text) for a in tape.last.answers] == [(False, text)]
    assert tape.events == before


# -- the station ---------------------------------------------------------------------------------------------


def test_all_circuits_lost_by_the_mains_are_one_event_of_the_station_counted_once() -> None:
    tape = fresh().run(600).run(4000, station__mains_power=0.0).run(5000, station__mains_power=1.0)
    body = last(tape, "station.stopped", "station")
    members = body["members"]
    assert isinstance(members, Mapping)
    assert set(members) == {"high", "low"}
    assert (body["cause"], body["dwellings"], body["heated_area_m2"]) == ("power", 400, 40_000)
    assert last(tape, "station.restored", "station")["end_reason"] == "outages_over"


def test_two_circuits_lost_by_their_own_pumps_are_no_outage_of_the_station() -> None:
    low = {name.replace("high", "low"): value for name, value in NO_PUMP.items()}
    tape = fresh().run(600).run(4000, **NO_PUMP, **low)
    assert set(tape.outages) == {"high", "low"}
    assert tape.of("station.") == []


def test_a_person_expects_the_recovery_of_the_whole_station_at_once() -> None:
    tape = fresh().run(600).run(2000, station__mains_power=0.0)
    station = str(last(tape, "station.stopped", "station")["id"])
    tape.asked = [ExpectRecovery(station, WALL + 9000, "li", "grid said")]
    tape.run(2100)
    assert {outage.expected_recovery for outage in tape.outages.values()} == {WALL + 9000}


def test_the_stations_outage_goes_on_over_a_restart_and_ends_once() -> None:
    tape = fresh().run(600).run(2000, station__mains_power=0.0)
    restarted(tape, 600).run(4000).run(5000, station__mains_power=1.0)
    assert [event.kind for event in tape.of("station.")] == ["station.stopped", "station.restored"]


# -- heat not delivered --------------------------------------------------------------------------------------


def test_an_hour_without_heat_is_due_less_metered_with_method_and_doubt() -> None:
    loaded = SITE.model_copy(
        update={
            "circuits": tuple(c.model_copy(update={"load": Load(design_w_per_m2=50)}) for c in SITE.circuits)
        }
    )
    tape = fresh(site=loaded).run(600).run(4200, **NO_SOURCE).run(6000, **OK)
    found = last(tape, "outage.ended")["undelivered"]
    assert isinstance(found, Mapping)
    due = 50 * 20_000 / 1000 * 23 / 38  # kW at -5 degC, from 18 to -20 degC
    assert found["kwh"] == pytest.approx(due, rel=0.01)
    assert found["doubt_kwh"] == pytest.approx(0.2 * due, rel=0.01)
    assert (found["due_method"], found["delivered_methods"]) == ("design_load", ["meter"])


def test_without_meter_and_design_load_the_doubt_is_as_large_as_the_estimate() -> None:
    silent = dict.fromkeys(("high__heat_power", "high__primary_flow"), Reason.NO_ANSWER)
    tape = fresh().run(600).run(4200, **{**NO_MAINS, **silent}).run(6000, **OK)
    found = last(tape, "outage.ended")["undelivered"]
    assert isinstance(found, Mapping)
    assert found["due_method"] == "usual_load"
    assert found["delivered_methods"] == ["unmeasured"]
    kwh, doubt = found["kwh"], found["doubt_kwh"]
    assert isinstance(kwh, float)
    assert isinstance(doubt, float)
    assert doubt >= kwh > 0.0


def test_without_an_outdoor_temperature_nothing_is_estimated() -> None:
    tape = fresh().view("high", outdoor_c=None).run(600).run(4200, **NO_SOURCE).run(6000, **OK)
    found = last(tape, "outage.ended")["undelivered"]
    assert isinstance(found, Mapping)
    assert (found["kwh"], found["doubt_kwh"], found["not_counted_s"]) == (None, None, 3600)


# -- a clock that was never set ------------------------------------------------------------------------------

UNSET = -WALL  # 1970
DEMO = read_site(config_dir() / "sites" / "demo.toml")


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack("zhangye-2023").bind(DEMO.regulation.parameters)


class Station:
    """Watch and duties, with a clock that is set at a second."""

    def __init__(self, pack: Pack, set_at: int) -> None:
        self.pack, self.set_at = pack, set_at
        self.watch, self.memory = WatchState(), Compliance()
        self.values = dict(HEALTHY)
        self.said: list[Event] = []
        self.second = 0

    def moment(self) -> Instant:
        now = at(self.second, boot=1000.0)
        if self.second >= self.set_at:
            return now
        return replace(now, wall=now.wall + UNSET, state=ClockState.UNSYNCED)

    def run(self, until: int, **changes: float | Reason | None) -> "Station":
        self.values |= {
            name.replace("__", ".", 1).replace("pump_1_", "pump_1."): value for name, value in changes.items()
        }
        while self.second < until:
            now = self.moment()
            judged = judge(self.watch, image(self.values, now), VIEWS, SITE, LIMITS, now)
            self.memory = new_day(self.memory, self.pack, now)
            self.memory, said = follow(self.memory, self.pack, SITE, judged.outages, judged.events, now)
            self.watch = judged.state
            self.said += [*judged.events, *said]
            self.second += 10
        return self

    def of(self, kind: str, subject: str = "high") -> list[Event]:
        return [event for event in self.said if event.kind == kind and subject in event.subject]


def test_an_outage_from_before_the_clock_was_set_is_dated_anew_and_its_duties_with_it(pack: Pack) -> None:
    station = Station(pack, set_at=3000).run(600).run(4000, **NO_PUMP)
    started = station.of("outage.started")[0].body
    assert (started["lost_at"], started["undated"]) == (600.0, True)
    (changed,) = station.of("outage.changed")
    assert (changed.body["reason"], changed.body["lost_at"], changed.body["undated"]) == (
        "clock_set",
        WALL + 600,
        False,
    )
    reports = [event.body["due"] for event in station.of("duty.opened", ":report_authority")]
    assert reports == [600 + 2 * H, WALL + 600 + 2 * H]
    facts = station.memory.facts[str(started["id"])]
    assert (facts.lost_at, facts.phase) == (WALL + 600, Phase.SEASON)


def test_the_refund_of_an_outage_over_before_the_clock_was_set_follows_the_new_dates(pack: Pack) -> None:
    station = Station(pack, set_at=5000).run(600).run(2000, **NO_PUMP).run(6000, **OK)
    (revised,) = station.of("outage.revised")
    assert (revised.body["lost_at"], revised.body["ended_at"]) == (WALL + 600, WALL + 2000)
    evidence = [event.body["evidence"] for event in station.of("refund.basis")]
    lost = [found["lost_at"] for found in evidence if isinstance(found, Mapping)]
    assert lost == [600.0, WALL + 600]


def test_an_outage_dated_by_a_right_clock_does_not_move_when_the_clock_steps(pack: Pack) -> None:
    station = Station(pack, set_at=0).run(600).run(1200, **NO_PUMP)
    station.set_at = 1200
    before = station.watch.circuits["high"].outage
    station.run(1300)
    after = station.watch.circuits["high"].outage
    assert before is not None
    assert after is not None
    assert (before.lost_at, after.lost_at) == (WALL + 600, WALL + 600)


def test_an_undated_outage_of_another_boot_keeps_its_date_and_its_mark(pack: Pack) -> None:
    old = Station(pack, set_at=10**9).run(600).run(1200, **NO_PUMP)
    outage = old.watch.circuits["high"].outage
    assert outage is not None
    gone = replace(outage, detected_at=outage.detected_at - 1e6, lost_at=outage.lost_at - 1e6)
    watches = {**old.watch.circuits, "high": replace(old.watch.circuits["high"], outage=gone)}
    old.watch = replace(old.watch, circuits=watches)
    old.set_at = 1200
    kept = old.run(1300).watch.circuits["high"].outage
    assert kept is not None
    assert (kept.lost_at, kept.undated) == (gone.lost_at, True)
