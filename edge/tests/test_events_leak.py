"""Leaks by make-up water: by the trade's limit at once, by the learned night base after some nights."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache

import pytest

from drivers import Reason
from edge.events import WatchState, judge, restore, resume, to_plain
from edge.events.leak import Limits, limits
from edge.records import Event, Plain
from edge.tests.events_bench import HEALTHY, LIMITS, SITE, VIEWS, WALL, at, image

HOUR, DAY = 3600, 86_400
TRADE = 0.5  # m3/h: 1 % of the circulation of 20 000 m2
VOLUME = "high.makeup_volume"
Rate = Callable[[int], float]


class Water:
    """A station whose make-up meter runs at a rate (m3/h by hour of the tape), seen every five minutes."""

    def __init__(self, metered: bool = True) -> None:
        self.state, self.second, self.volume, self.metered = WatchState(), 0, 100.0, metered
        self.views = dict(VIEWS)
        self.values = dict(HEALTHY)
        self.events: list[Event] = []
        self.silent = False
        self.alarms: list[str] = []

    def run(self, hours: float, rate: float | Rate) -> "Water":
        until = self.second + round(hours * HOUR)
        while self.second < until:
            m3h = rate(self.second // HOUR) if callable(rate) else rate
            self.volume += m3h / 12.0
            shown: float | Reason = Reason.NO_ANSWER if self.silent else round(self.volume, 3)
            self.values[VOLUME if self.metered else "high.makeup_flow"] = shown if self.metered else m3h
            now = at(self.second)
            judged = judge(self.state, image(self.values, now), self.views, SITE, LIMITS, now)
            self.state = judged.state
            self.events += [event for event in judged.events if event.kind.startswith("leak.")]
            self.alarms = [alarm.subject for alarm in judged.alarms]
            self.second += 300
        return self

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(event.kind.partition(".")[2], str(event.body["why"])) for event in self.events]

    @property
    def nights(self) -> tuple[float, ...]:
        return self.state.circuits["high"].leak.nights


@cache
def _settled(metered: bool) -> Water:
    return Water(metered).run(8 * 24, 0.02)


def settled(metered: bool = True) -> Water:
    """Eight days of a sound network: the first is not judged, the nights after it are learned."""
    return deepcopy(_settled(metered))


@pytest.mark.parametrize("metered", [True, False])
def test_the_night_base_is_learned_from_the_meter_or_the_flow(metered: bool) -> None:
    water = settled(metered)
    assert len(water.nights) >= 5
    assert water.nights == pytest.approx([0.02] * len(water.nights), abs=0.002)
    assert water.told == []


def test_before_the_nights_are_known_only_the_limit_of_the_trade_counts() -> None:
    water = Water().run(3 * 24, 0.02).run(24, 0.3)
    assert water.told == []
    assert water.run(3, 0.6).told == [("suspected", "trade"), ("confirmed", "trade")]


def test_a_small_leak_is_found_against_the_learned_base_and_told_with_rate_base_and_volume() -> None:
    water = settled().run(14, 0.3)
    assert water.told == [("suspected", "night_base"), ("confirmed", "night_base")]
    body = water.events[-1].body
    assert body["base_m3h"] == pytest.approx(0.02, abs=0.002)
    assert body["rate_m3h"] == pytest.approx(0.3, abs=0.01)
    assert body["limit_m3h"] == pytest.approx(0.02 + 0.2 * TRADE, abs=0.005)
    volume = body["volume_m3"]
    assert isinstance(volume, float)
    assert 2.4 < volume < 4.3


def test_a_large_leak_is_told_before_the_hour_is_over() -> None:
    water = settled().run(0.5, 4.0)
    assert water.told == [("suspected", "trade")]
    assert water.events[0].detected - (WALL + 8 * DAY) <= 600


def test_a_leak_that_is_mended_is_cleared_and_its_nights_are_not_learned() -> None:
    water = settled()
    before = water.nights
    water.run(24, 0.3)
    assert water.nights == before
    assert water.run(24, 0.02).told[-1][0] == "cleared"
    assert water.events[-1].body["stage"] == "confirmed"


def test_a_leak_is_an_alarm_from_the_suspicion_until_it_is_cleared() -> None:
    water = settled().run(8, 0.3)
    assert water.alarms == ["high:leak"]
    assert water.run(24, 0.02).alarms == []


def test_topping_up_now_and_then_is_no_leak() -> None:
    assert Water().run(12 * 24, lambda hour: 0.25 if hour % 8 == 3 else 0.0).told == []


def test_one_wild_night_does_not_move_the_base() -> None:
    water = settled()
    water.run(24, lambda hour: 0.1 if hour % 24 < 4 else 0.02).run(72, 0.02)
    found = limits(SITE.circuit("high"), water.nights)
    assert found.base == pytest.approx(0.02, abs=0.002)
    assert water.told == []


def test_filling_and_commissioning_are_no_leak() -> None:
    water = Water()
    water.views = {name: replace(view, heating=False) for name, view in VIEWS.items()}
    water.run(24, 6.0)
    water.views = dict(VIEWS)
    assert water.run(23, 2.0).told == []  # venting and topping up in the first day of heat
    assert water.run(4, 2.0).told[0] == ("suspected", "trade")


def test_water_that_shrinks_in_an_outage_is_no_leak() -> None:
    water = settled()
    water.values |= {"station.mains_power": 0.0}
    water.run(4, 0.25)
    water.values |= {"station.mains_power": 1.0}
    assert water.run(5, 0.25).run(8, 0.02).told == []


def test_a_silent_meter_is_no_zero_and_no_leak() -> None:
    water = settled()
    water.silent = True
    water.run(12, 0.02)
    water.silent = False
    assert water.run(24, 0.02).told == []
    assert min(water.nights) > 0.015


def test_a_leak_and_what_was_learned_survive_a_restart() -> None:
    water = settled().run(8, 0.3)
    memory = to_plain(water.state, at(water.second))
    rows: list[Mapping[str, Plain]] = [
        {"kind": event.kind, "subject": event.subject, "body": event.body} for event in water.events
    ]
    before = water.nights
    water.state = resume(restore(rows), memory, at(water.second))
    assert water.nights == before
    assert water.run(30, 0.02).told == [("suspected", "night_base"), ("cleared", "night_base")]


def test_the_learned_limit_never_lies_above_the_trades() -> None:
    circuit = SITE.circuit("high")
    assert limits(circuit, [0.4] * 14) == Limits(TRADE, TRADE, 0.4)
    assert limits(circuit, [0.02] * 4) == Limits(TRADE, None, None)
    assert limits(circuit, [0.0] * 5).lower == pytest.approx(0.1)
