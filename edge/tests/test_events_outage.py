"""Outages as traces: what the station did over time, and the record that must come of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgpack
import pytest

from drivers import Reason
from edge.chain import Draft, Entry
from edge.events import Confidence, Phase, WatchState, restore, resume, to_plain
from edge.events.outage import TRANSITIONS, Signal, outage_id
from edge.records import Cause, Event, Plain
from edge.tests.events_bench import HEALTHY, VIEWS, WALL, Tape, at, tape

Changes = Mapping[str, float | Reason | None]
Rows = tuple[tuple[int, Changes], ...]
NO_DRAW: Changes = {"high__heat_power": 0.0, "high__primary_flow": 0.0}
STANDS: Changes = {"high__pump_1_running": 0.0, "high__pump_1_frequency": 0.0}


@dataclass(frozen=True)
class Story:
    """Rows of (second, changes at that second), when the tape ends, and the record expected of it."""

    name: str
    rows: Rows
    cause: Cause
    lost: int
    detected: int
    confidence: Confidence = Confidence.HIGH
    valve: tuple[float, int] | None = None  # commanded, from second
    end: int = 1200


STORIES = (
    Story(
        "primary pressure falls away, the meter shows no heat",
        ((100, {"station__primary_differential_pressure": 0.05, **NO_DRAW}),),
        Cause.SOURCE,
        lost=100,
        detected=400,
    ),
    Story(
        "primary pressure falls away, the meter is silent, the supply cools later",
        (
            (100, {"station__primary_differential_pressure": 0.05, "high__heat_power": Reason.NO_ANSWER}),
            (100, {"high__primary_flow": Reason.NO_ANSWER}),
            (300, {"high__secondary_supply_temperature": 38.0}),
        ),
        Cause.SOURCE,
        lost=100,
        detected=600,
    ),
    Story(
        "primary supply goes cold though it flows",
        (
            (100, {"station__primary_supply_temperature": 51.0}),
            (200, {"high__secondary_supply_temperature": 39.0}),
        ),
        Cause.SOURCE,
        lost=100,
        detected=500,
    ),
    Story(
        "mains is lost",
        ((100, {"station__mains_power": 0.0, **STANDS}),),
        Cause.POWER,
        lost=100,
        detected=400,
    ),
    Story(
        "mains is lost, the pump is read seconds earlier",
        ((100, {**STANDS, "high__pump_1_fault": 1.0}), (108, {"station__mains_power": 0.0})),
        Cause.POWER,
        lost=100,
        detected=400,
    ),
    Story(
        "the pump trips, mains is lost minutes later: two faults, the first keeps it",
        ((100, {**STANDS, "high__pump_1_fault": 1.0}), (260, {"station__mains_power": 0.0})),
        Cause.EQUIPMENT,
        lost=100,
        detected=400,
        confidence=Confidence.MEDIUM,
    ),
    Story(
        "a burst: pressure goes, then the interlock stops the pump",
        (
            (100, {"high__makeup_pump.running": 1.0, "high__makeup_flow": 6.0}),
            (400, {"high__secondary_return_pressure": 0.2}),
            (402, STANDS),
        ),
        Cause.WATER,
        lost=400,
        detected=700,
    ),
    Story(
        "a burst: when the pump stops the pressure rises a little, and it is still the water",
        (
            (400, {"high__secondary_return_pressure": 0.4}),
            (410, STANDS),
            (412, {"high__secondary_return_pressure": 0.58}),
        ),
        Cause.WATER,
        lost=400,
        detected=700,
    ),
    Story(
        "the pump faults",
        ((100, {**STANDS, "high__pump_1_fault": 1.0}),),
        Cause.EQUIPMENT,
        lost=100,
        detected=400,
    ),
    Story(
        "the pump stands without a word",
        ((100, STANDS),),
        Cause.EQUIPMENT,
        lost=100,
        detected=400,
    ),
    Story(
        "the valve is shut though commanded open",
        (
            (100, {"high__valve_position": 0.0, **NO_DRAW}),
            (250, {"high__secondary_supply_temperature": 35.0}),
        ),
        Cause.EQUIPMENT,
        lost=100,
        detected=550,
    ),
    Story(
        "the valve stands still at a wrong opening: its beginning does not date the loss",
        ((100, {"high__valve_position": 20.0}), (500, {"high__secondary_supply_temperature": 39.0})),
        Cause.EQUIPMENT,
        lost=500,
        detected=800,
    ),
    Story(
        "the supply is cold and nobody knows why",
        ((100, {"high__secondary_supply_temperature": 39.0}),),
        Cause.UNKNOWN,
        lost=100,
        detected=400,
        confidence=Confidence.LOW,
    ),
    Story(
        "the supply is cold and most evidence is missing",
        (
            (80, {"station__primary_differential_pressure": None, "station__mains_power": Reason.NO_ANSWER}),
            (80, {"high__heat_power": Reason.NO_ANSWER, "high__pump_1_running": Reason.STALE}),
            (100, {"high__secondary_supply_temperature": 39.0}),
        ),
        Cause.UNKNOWN,
        lost=100,
        detected=400,
        confidence=Confidence.LOW,
    ),
    Story(
        "only the tank is low: weak evidence of water",
        ((100, {"station__tank_level": 0.1, "high__secondary_supply_temperature": 39.0}),),
        Cause.WATER,
        lost=100,
        detected=400,
        confidence=Confidence.LOW,
    ),
    Story(
        "source first, then mains: the first keeps it",
        (
            (100, {"station__primary_differential_pressure": 0.0, **NO_DRAW}),
            (250, {"station__mains_power": 0.0, **STANDS}),
        ),
        Cause.SOURCE,
        lost=100,
        detected=400,
        confidence=Confidence.MEDIUM,
    ),
)


def play(rows: Rows, end: int) -> Tape:
    tape_ = tape()
    for second, changes in rows:
        tape_.run(second).run(second, **changes)
    return tape_.run(end)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_the_record_of_an_outage_says_when_heat_was_lost_when_it_was_seen_and_why(story: Story) -> None:
    played = play(story.rows, story.end)
    started = [event for event in played.of("outage.started") if event.subject == "high"]
    assert len(started) == 1
    body = started[0].body
    assert (body["cause"], body["confidence"]) == (story.cause.value, story.confidence.value)
    assert body["lost_at"] == started[0].occurred == WALL + story.lost
    assert body["detected_at"] == started[0].detected == WALL + story.detected
    assert body["id"] == outage_id("high", WALL + story.lost)
    assert body["expected_recovery"] is None
    assert played.outages["high"].cause is story.cause


def outage_kinds(played: Tape) -> list[tuple[str, str]]:
    return [(event.kind.partition(".")[2], event.subject) for event in played.of("outage.")]


def test_an_outage_is_named_by_circuit_and_local_time_of_the_loss() -> None:
    assert outage_id("high", WALL) == "high-20260115T080000"


def test_evidence_carries_what_since_when_its_value_and_unit() -> None:
    played = play(STORIES[0].rows, 500)
    assert played.of("outage.started")[0].body["evidence"] == [
        {"what": "no_heat_drawn", "since": WALL + 100, "value": 0.0, "unit": "kW"},
        {"what": "source_pressure_low", "since": WALL + 100, "value": 0.05, "unit": "bar"},
        {"what": "no_primary_flow", "since": WALL + 100, "value": 0.0, "unit": "m3/h"},
    ]


def test_a_dip_shorter_than_the_confirmation_is_no_outage() -> None:
    cold = {"high__secondary_supply_temperature": 35.0}
    warm = {"high__secondary_supply_temperature": 50.0}
    assert outage_kinds(play(((100, cold), (395, warm), (400, cold), (690, warm)), 1500)) == []


def test_heat_back_for_the_recovery_time_ends_the_outage_when_heat_came_back() -> None:
    back: Changes = {
        "station__primary_differential_pressure": 1.5,
        "high__heat_power": 500.0,
        "high__primary_flow": 9.0,
    }
    played = play((*STORIES[0].rows, (2000, back)), 2400)
    assert outage_kinds(played) == [("started", "high"), ("ended", "high")]
    ended = played.of("outage.ended")[0]
    assert (ended.occurred, ended.detected) == (WALL + 2000, WALL + 2300)
    assert (ended.body["ended_at"], ended.body["end_reason"]) == (WALL + 2000, "heat_back")
    assert ended.body["id"] == played.of("outage.started")[0].body["id"]
    assert played.outages == {}


SUPPLY = "high__secondary_supply_temperature"


def test_the_supply_must_come_back_within_half_the_deficit_when_little_heat_is_delivered() -> None:
    played = play(((100, {SUPPLY: 35.0, "high__heat_power": 150.0}), (1000, {SUPPLY: 44.0})), 2000)
    assert outage_kinds(played) == [("started", "high")]
    assert outage_kinds(played.run(2400, **{SUPPLY: 45.0}))[-1] == ("ended", "high")


def test_with_heat_delivered_three_quarters_of_the_deficit_are_near_enough() -> None:
    played = play(((100, {SUPPLY: 35.0}), (1000, {SUPPLY: 42.4})), 2000)
    assert outage_kinds(played) == [("started", "high")]
    assert outage_kinds(played.run(2400, **{SUPPLY: 42.5}))[-1] == ("ended", "high")


def test_noise_at_the_limit_does_not_put_off_the_end() -> None:
    played = play(((100, {SUPPLY: 35.0}),), 1000)
    for second in range(1000, 1400, 2):
        played.run(second + 1, **{SUPPLY: 42.6}).run(second + 2, **{SUPPLY: 42.4})
    assert [event.occurred - WALL for event in played.of("outage.ended")] == [1000]


def test_heat_lost_again_while_recovering_is_the_same_outage() -> None:
    cold = {"high__secondary_supply_temperature": 35.0}
    warm = {"high__secondary_supply_temperature": 50.0}
    rows: Rows = ((100, cold), (1000, warm), (1200, cold), (1300, warm), (1500, cold), (2000, warm))
    played = play(rows, 2400)
    assert outage_kinds(played) == [("started", "high"), ("ended", "high")]
    assert played.of("outage.ended")[0].occurred == WALL + 2000


def test_two_circuits_out_at_once_are_two_outages_with_one_cause() -> None:
    rows: Rows = ((100, {"station__mains_power": 0.0}),)
    played = play(rows, 500)
    assert outage_kinds(played) == [("started", "high"), ("started", "low")]
    assert {o.cause for o in played.outages.values()} == {Cause.POWER}
    assert {o.id for o in played.outages.values()} == {"high-20260115T080140", "low-20260115T080140"}


@pytest.mark.parametrize("reason", [Reason.NO_ANSWER, Reason.OUT_OF_RANGE, Reason.STALE])
def test_a_broken_supply_sensor_alone_is_no_outage(reason: Reason) -> None:
    assert outage_kinds(tape().run(7200, high__secondary_supply_temperature=reason)) == []


def test_everything_silent_is_no_outage_and_never_a_measured_one() -> None:
    silent = Tape(WatchState(), dict.fromkeys(HEALTHY, Reason.NO_ANSWER), dict(VIEWS))
    assert outage_kinds(silent.run(3600)) == []


def test_a_cold_start_judges_nothing_before_it_is_ready() -> None:
    cold = HEALTHY | {"high.secondary_supply_temperature": 20.0, "station.mains_power": 0.0}
    starting = Tape(WatchState(), dict(cold), dict(VIEWS))
    starting.view("high", ready=False).view("low", ready=False)
    assert outage_kinds(starting.run(1000)) == []


def test_a_circuit_that_warms_up_is_no_outage_until_it_has_had_an_hour() -> None:
    warming = Tape(WatchState(), HEALTHY | {"high.secondary_supply_temperature": 25.0}, dict(VIEWS))
    assert outage_kinds(warming.run(3590)) == []
    assert outage_kinds(warming.run(4000)) == [("started", "high")]


def test_out_of_season_nothing_is_lost_and_the_end_of_the_season_ends_an_outage() -> None:
    played = play(STORIES[0].rows, 1000).view("high", heating=False).run(1100)
    assert outage_kinds(played) == [("started", "high"), ("ended", "high")]
    assert played.of("outage.ended")[0].body["end_reason"] == "heat_not_due"
    assert outage_kinds(played.run(5000))[2:] == []


def test_an_open_outage_without_any_evidence_is_held_and_marked_and_told_when_it_resumes() -> None:
    played = play(STORIES[0].rows, 1000)
    known = dict(played.values)
    played.values = dict.fromkeys(known, Reason.NO_ANSWER)
    played.run(3000)
    assert played.outages["high"].held
    played.values = known
    played.run(3100)
    assert not played.outages["high"].held
    assert [event.body["reason"] for event in played.of("outage.changed")] == ["held", "resumed"]
    assert len(played.of("outage.started")) == 1


def test_heat_measured_by_the_meter_ends_an_outage_when_the_supply_sensor_is_broken() -> None:
    back: Changes = {
        "station__mains_power": 1.0,
        "high__secondary_supply_temperature": Reason.OUT_OF_RANGE,
        "high__pump_1_running": 1.0,
        "high__pump_1_frequency": 40.0,
    }
    played = play(((100, {"station__mains_power": 0.0, **STANDS}), (1000, back)), 1400)
    assert ("ended", "high") in outage_kinds(played)


def test_an_unknown_cause_is_named_as_soon_as_evidence_appears() -> None:
    rows: Rows = (
        (100, {"high__secondary_supply_temperature": 39.0}),
        (600, {"high__pump_1_fault": 1.0}),
    )
    changed = play(rows, 700).of("outage.changed")
    assert [(e.body["from"], e.body["to"], e.detected - WALL) for e in changed] == [
        ("unknown", "equipment", 600)
    ]


def test_a_second_fault_takes_over_only_after_the_first_is_repaired_and_the_second_has_held() -> None:
    back: Changes = {"station__primary_differential_pressure": 1.5}
    rows: Rows = (*STORIES[0].rows, (800, STANDS), (1500, back))
    changed = play(rows, 2500).of("outage.changed")
    assert [(e.body["from"], e.body["to"]) for e in changed] == [("source", "equipment")]
    assert changed[0].occurred == WALL + 800
    assert changed[0].detected == WALL + 1800


def test_pumps_that_start_when_mains_is_back_leave_the_cause_to_the_mains() -> None:
    rows: Rows = (
        (100, {"station__mains_power": 0.0, "high__valve_position": 20.0, **STANDS}),
        (4000, {"station__mains_power": 1.0, SUPPLY: 30.0}),
        (4030, {"high__pump_1_running": 1.0, "high__pump_1_frequency": 40.0}),
        (4100, {"high__valve_position": 50.0, SUPPLY: 50.0}),
    )
    played = play(rows, 4500)
    assert played.of("outage.changed") == []
    assert [event.body["cause"] for event in played.of("outage.ended")] == ["power", "power"]


def test_the_make_up_pump_running_while_the_water_cools_does_not_take_the_cause() -> None:
    rows: Rows = (
        *STORIES[0].rows,
        (500, {"high__makeup_pump.running": 1.0, "high__secondary_supply_temperature": 30.0}),
        (2000, {"station__primary_differential_pressure": 1.5, "high__heat_power": 900.0}),
    )
    assert play(rows, 4000).of("outage.changed") == []


def test_old_weak_evidence_does_not_date_the_loss() -> None:
    rows: Rows = (
        (100, {"station__primary_supply_temperature": 52.0}),
        (7300, {"high__pump_1_fault": 1.0, **STANDS}),
    )
    started = play(rows, 7700).of("outage.started")[0]
    assert (started.body["cause"], started.occurred) == ("equipment", WALL + 7300)


def rows_of(events: list[Event]) -> list[dict[str, Plain]]:
    """As the journal gives them back: checked, packed and unpacked."""
    drafts = [Draft.of(Entry.of(event)) for event in events]
    return [{"kind": d.kind, "subject": d.subject, "body": msgpack.unpackb(d.body)} for d in drafts]


def newest(events: tuple[Event, ...]) -> list[dict[str, Plain]]:
    latest = {(e.kind.partition(".")[0], e.subject): e for e in events}
    return rows_of(list(latest.values()))


def test_a_restart_in_the_middle_opens_nothing_twice_and_ends_the_same_outage() -> None:
    played = play(STORIES[0].rows, 1000)
    before, alarms = played.outages["high"], played.alarms
    played.state = restore(newest(played.events))
    played.boot = 900.0  # monotonic time starts anew
    played.view("high", ready=False).run(1060).view("high", ready=True).run(2000)
    account = played.outages["high"].account  # goes on counting
    assert played.outages["high"] == replace(before, held=False, account=account)
    assert played.alarms == alarms
    assert len(played.of("outage.")) == 1
    assert len(played.of("alarm.")) == len(alarms)
    played.run(
        2400, station__primary_differential_pressure=1.5, high__heat_power=500.0, high__primary_flow=9.0
    )
    assert played.of("outage.ended")[0].body["lost_at"] == before.lost_at
    assert played.alarms == ()


def restarted(played: Tape, pause: int) -> Tape:
    """Killed, rebooted, `pause` s without a watch; memory as it was saved at the last cycle."""
    memory = msgpack.unpackb(msgpack.packb(to_plain(played.state, at(played.second - 1, played.boot))))
    played.second, played.boot = played.second + pause, 900.0
    played.state = resume(restore(newest(played.events)), memory, at(played.second, played.boot))
    return played


@pytest.mark.parametrize("pause", [0, 20, 250])
def test_a_restart_while_heat_is_only_suspected_lost_keeps_when_it_was_lost(pause: int) -> None:
    played = restarted(play(STORIES[0].rows, 200), pause).run(1000)
    started = played.of("outage.started")
    assert [(e.occurred - WALL, e.body["cause"]) for e in started] == [(100, "source")]
    assert started[0].detected - WALL == max(400, 200 + pause)


def test_a_restart_during_recovery_keeps_when_heat_was_back() -> None:
    back: Changes = {"station__primary_differential_pressure": 1.5, "high__heat_power": 500.0}
    played = play((*STORIES[0].rows, (1000, {**back, "high__primary_flow": 9.0})), 1200)
    restarted(played, 30).run(1500)
    assert [event.occurred - WALL for event in played.of("outage.ended")] == [1000]
    assert len(played.of("outage.started")) == 1


def test_a_memory_too_old_or_not_understood_is_left_aside() -> None:
    played = play(STORIES[0].rows, 200)
    memory = to_plain(played.state, at(199))
    assert resume(WatchState(), memory, at(700)).circuits == {}
    assert resume(WatchState(), memory, at(100)).circuits == {}
    assert resume(WatchState(), {"at": WALL + 199, "circuits": {"high": {}}}, at(200)).circuits == {}
    assert resume(WatchState(), None, at(200)).circuits == {}


def test_the_journal_decides_whether_an_outage_is_open() -> None:
    memory = to_plain(play(STORIES[0].rows, 1000).state, at(999))
    lost = resume(WatchState(), memory, at(1000)).circuits["high"]
    assert (lost.phase, lost.outage) == (Phase.SUSPECTED, None)
    healthy = to_plain(tape().state, at(59))
    kept = resume(restore(newest(play(STORIES[0].rows, 1000).events)), healthy, at(60)).circuits["high"]
    assert kept.phase is Phase.OUT
    assert kept.outage is not None


def test_a_restart_does_not_turn_the_order_of_the_evidence() -> None:
    rows: Rows = (*STORIES[5].rows,)  # the pump first, mains minutes later
    played = play(rows, 1000)
    played.state = restore(newest(played.events))
    played.run(3000)
    assert played.outages["high"].cause is Cause.EQUIPMENT
    assert played.of("outage.changed") == []


def test_an_ended_outage_is_not_restored_and_a_garbled_row_is_named_not_fatal() -> None:
    ended: list[dict[str, Plain]] = [{"kind": "outage.ended", "subject": "high", "body": {}}]
    assert restore(ended).circuits == {}
    rows: list[dict[str, Plain]] = [
        {"kind": "outage.started", "subject": "high", "body": {"id": 3}},
        {"kind": "alarm.raised", "subject": "high:frost", "body": None},
        {"kind": "service.started", "subject": "service", "body": {}},
    ]
    state = restore(rows)
    assert state.discarded == ("high", "high:frost")
    assert state.circuits == {}


def test_an_outage_of_a_circuit_that_is_no_more_is_closed() -> None:
    played = play(STORIES[0].rows, 500)
    row = played.of("outage.started")[0]
    gone = rows_of([replace(row, subject="attic", body=dict(row.body) | {"circuit": "attic"})])
    played.state = restore(gone)
    played.events = ()
    played.run(501)
    assert [(e.kind, e.subject, e.body["end_reason"]) for e in played.of("outage.ended")] == [
        ("outage.ended", "attic", "circuit_removed")
    ]


def test_the_printed_transition_table_is_the_table() -> None:
    import edge.events.outage as module

    assert module.__doc__ is not None
    words = [line.split() for line in module.__doc__.splitlines() if line.startswith("    ")][1:]
    printed = {(Phase(w[0]), Signal(w[1])): Phase(w[2]) for w in words}
    assert printed == TRANSITIONS


@pytest.mark.parametrize("age", [-1.0, 1e17, 1e300, float("inf"), float("nan")])
def test_a_memory_of_impossible_ages_is_left_aside(age: float) -> None:
    timers: dict[str, Plain] = {"supply_low": [5.0, 0.0]}
    ages: dict[str, Plain] = {"age": 5.0, "due_age": 9.0, "heat_back_age": None}
    high: dict[str, Plain] = {"phase": "suspected", "warm": True, "timers": timers, **ages}
    assert resume(WatchState(), {"at": WALL + 199, "circuits": {"high": high}}, at(200)).circuits != {}
    for wrong in ({"age": age}, {"timers": {"supply_low": [age, 0.0]}}):
        memory: Plain = {"at": WALL + 199, "circuits": {"high": {**high, **wrong}}}
        assert resume(WatchState(), memory, at(200)).circuits == {}
