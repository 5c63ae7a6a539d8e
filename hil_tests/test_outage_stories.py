"""The bench's stories through physics, control, judgement and the five documents, in a plain loop.

What the plant loses, the watch must find, with its time and its cause; what a document asks then, it asks of
this outage and no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from edge.clock import ClockState, Instant
from edge.compliance import Compliance, follow, new_day
from edge.control import decide, initial
from edge.events import Limits, WatchState, judge
from edge.image import ProcessImage
from edge.loading import read_site
from edge.records import Event, Plain
from edge.resources import config_dir
from edge.rules import Pack, load_pack
from edge.tests.rules_stories import pack as bound_pack
from hil_tests.plant import Inputs, Noise, commands, measure, station, steady_commands, steady_state, step
from hil_tests.plant_trial import readings
from hil_tests.story import shipped
from hil_tests.story_effects import Event as Trouble
from hil_tests.story_effects import Story, effects

SITE = read_site(config_dir() / "sites" / "demo.toml")
STEP_S = 3.0
HOUR = 3600.0
OUTDOOR_C = -3.0


@dataclass
class Told:
    """What the record would say of a story: every event, in order."""

    start: float
    events: list[Event] = field(default_factory=list)

    def of(self, kind: str, subject: str = "") -> list[Event]:
        return [event for event in self.events if event.kind == kind and subject in event.subject]

    def body(self, kind: str, subject: str = "") -> Mapping[str, Plain]:
        (event,) = self.of(kind, subject)
        return event.body

    def hours(self, wall: Plain) -> float:
        """Hours after the story's start."""
        assert isinstance(wall, float)
        return (wall - self.start) / HOUR


def tell(story: Story, pack: Pack, start: float, hours: float) -> Told:
    """Play the story from `start` (Unix s) for so long, under that document."""
    told, plant, noise = Told(start), station(), Noise(3)
    state = steady_state(plant, start, OUTDOOR_C)
    mind, watch, compliance = initial(SITE), WatchState(), Compliance()
    wanted = steady_commands(plant, state)
    values: dict[str, float] = {}
    for number in range(int(hours * HOUR / STEP_S)):
        elapsed = number * STEP_S
        now = Instant(start + elapsed, elapsed, elapsed, ClockState.SYNCED)
        image = ProcessImage(now, readings(measure(plant, state, noise), now.wall))
        compliance = new_day(compliance, pack, now)
        decision = decide(mind, image, SITE, compliance.heating, now)
        judged = judge(watch, image, decision.views, SITE, Limits(), now)
        compliance, duties = follow(compliance, pack, SITE, judged.outages, judged.events, now)
        mind, watch = decision.state, judged.state
        told.events += [*judged.events, *duties]
        values |= {command.point: command.value for command in decision.commands}
        wanted = commands(plant, values) if values else wanted
        disturbance = effects(story, elapsed).plant
        step(plant, state, Inputs(OUTDOOR_C, wanted, disturbance=disturbance), STEP_S)
    return told


def january(year: int) -> float:
    """17 January 06:00 in China, Unix s."""
    return datetime(year, 1, 16, 22, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("name", "circuits", "cause", "within_h"),
    [
        ("primary_lost", ["high", "low"], "source", 0.1),
        ("mains_lost", ["high", "low"], "power", 0.1),
        ("burst", ["high"], "water", 0.4),  # the make-up pump holds the pressure until it is locked out
        ("pump_trip", ["high"], "equipment", 0.1),
    ],
)
def test_what_the_plant_loses_is_found_with_its_time_and_its_cause(
    name: str, circuits: list[str], cause: str, within_h: float
) -> None:
    story = shipped(name)
    (event,) = story.events
    end_h = (event.at + event.lasts) / HOUR
    told = tell(story, bound_pack("zhangye-2023"), january(2026), end_h + 1.5)
    assert sorted(one.subject for one in told.of("outage.started")) == circuits
    for circuit in circuits:
        body = told.body("outage.started", circuit)
        assert body["cause"] == cause
        lost_h = told.hours(body["lost_at"])
        assert event.at / HOUR - 0.01 <= lost_h <= event.at / HOUR + within_h
        assert told.hours(body["detected_at"]) <= lost_h + 0.15
        ended = told.body("outage.ended", circuit)
        assert ended["cause"] == cause
        assert end_h - 0.05 < told.hours(ended["ended_at"]) < end_h + 1.0


def test_too_little_pressure_in_the_network_is_a_degraded_supply_and_asks_nothing_of_a_stop() -> None:
    start = january(2026)
    trouble = Trouble("pressure_low", HOUR, 3 * HOUR, {"share": 0.16})
    story = Story("pressure_low", start, 5 * HOUR, "beijing_2012_2014", 12, (trouble,))
    told = tell(story, bound_pack("zhangye-2023"), start, 5.0)
    heat = [event for event in told.events if event.kind.startswith(("outage.", "station.", "duty."))]
    assert heat == []
    for circuit in ("high", "low"):
        body = told.body("supply.restored", circuit)
        assert (body["method"], body["end_reason"]) == ("meter", "heat_back")
        assert 1.0 <= told.hours(body["since"]) <= 2.1  # the share, not the pressure, begins it
        assert told.hours(body["ended_at"]) == pytest.approx(4.0, abs=0.1)
        lowest = body["lowest_share"]
        assert isinstance(lowest, float)
        assert 0.2 < lowest < 0.6


# document: (year in force, duty -> (clause, hours after the loss it is due), repair class, refund)
ASKED: dict[str, tuple[int, dict[str, tuple[str, float | None]], str | None, str]] = {
    "zhangye-2023": (
        2026,
        {"restore": ("ZY-35", None), "report_authority": ("ZY-35", 2.0), "tell_users": ("ZY-35", 2.0)},
        None,
        "below_threshold",  # 超过24小时
    ),
    "zhengzhou-2026": (
        2027,
        {"repair_at_once": ("ZZ-34", None), "report_authority": ("ZZ-34", 1.0)},
        None,
        "below_threshold",  # 12小时以上
    ),
    "zibo-2022": (
        2027,
        {
            "repair_at_once": ("ZB-2.4", None),
            "report_authority": ("ZB-2.4", None),
            "tell_users": ("ZB-2.4", None),
            "report_safety_authority": ("ZB-5.1", None),
        },
        None,
        "due",  # 因供热企业原因: whether a lost source is one, only a finding or the contract says
    ),
    "jilin-2012": (2027, {"repair_within_class": ("JL-9", 6.0)}, "general", "silent"),
    "baiyin-2023": (2024, {}, None, "due"),  # 迟供、少供按规定退还
}


@pytest.mark.parametrize("name", ASKED)
def test_three_hours_without_source_ask_what_each_document_says(name: str) -> None:
    year, wanted, repair, refund = ASKED[name]
    pack = bound_pack(name)
    assert pack.document == load_pack(name).document
    told = tell(shipped("primary_lost"), pack, january(year), 5.5)
    lost_at = told.body("outage.started", "high")["lost_at"]
    assert isinstance(lost_at, float)
    opened = {
        event.subject.split(":")[1]: (
            event.body["clause"],
            None if event.body["due"] is None else round((float(str(event.body["due"])) - lost_at) / HOUR, 6),
        )
        for event in told.of("duty.opened", "high-")
    }
    assert opened == wanted
    classes = [event.body["class"] or event.body["at_least"] for event in told.of("repair.class", "high-")]
    assert classes == ([] if repair is None else [repair])
    assert told.body("refund.basis", "high-")["reason"] == refund
