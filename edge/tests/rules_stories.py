"""Packs with a site's parameters bound, and outages told in hours: what the tests of the rules share."""

from dataclasses import replace
from datetime import UTC, date, datetime

from drivers import Reading, Unit
from edge.records import Cause
from edge.rules.civil import CHINA, HOUR_S
from edge.rules.facts import Expectation, OutageFacts
from edge.rules.model import Pack
from edge.rules.pack import load_pack
from edge.rules.values import Value

SITE: dict[str, dict[str, Value]] = {
    "zhangye-2023": {"outage_day_rounding": "started_24h", "room_refund_share": 0.5, "fill_notice_days": 3.0},
    "zhengzhou-2026": {"report_within_h": 1.0, "room_refund_share": 0.3},
    "zibo-2022": {
        "season_start": "2026-11-15",
        "season_end": "2027-03-15",
        "provincial_conditions_met": True,
        "estate_usage_percent": 60.0,
        "zone_usage_percent": 80.0,
        "contract_threshold_c": 16.0,
        "refund_day_value": "lowest",
        "charged_by_area": True,
        "outage_day_rounding": "full_24h",
        "supplier_answers_for_source": True,
    },
    "jilin-2012": {
        "season_start": "2026-10-20",
        "season_end": "2027-04-10",
        "room_threshold_c": 18.0,
        "room_day_value": "lowest",
        "key_periods": "2026-12-20/2027-01-10",
        "important_days": "2027-01-01, 2027-02-15/2027-02-21",
        "key_city_or_enterprise": False,
    },
    "baiyin-2023": {
        "season_start": "2023-10-25",
        "season_end": "2024-04-10",
        "room_day_value": "lowest",
        "refund_share": 1.0,
        "supplier_answers_for_source": True,
    },
}
ALL = tuple(SITE)


def pack(name: str) -> Pack:
    """A shipped pack, bound as a site would bind it."""
    return load_pack(name).bind(SITE[name])


def wall(text: str) -> float:
    """Unix s of a local time like `2027-01-10 02:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp()


def local(moment: float) -> str:
    """The local time of Unix s, to the minute."""
    return datetime.fromtimestamp(moment, UTC).astimezone(CHINA).strftime("%Y-%m-%d %H:%M")


def lost(name: str) -> float:
    """A winter night in which the pack is in force."""
    return wall("2024-01-10 02:00" if name == "baiyin-2023" else "2027-01-10 02:00")


def outage(name: str, cause: Cause, hours: float | None, expected_h: float | None = None) -> OutageFacts:
    """Heat lost at 02:00, noticed five minutes later; back after `hours`, or expected after `expected_h`."""
    start = lost(name)
    return OutageFacts(
        id="high-1",
        circuit="high",
        lost_at=start,
        detected_at=start + 300.0,
        cause=cause,
        ended_at=None if hours is None else start + hours * HOUR_S,
        expected_recovery=None if expected_h is None else start + expected_h * HOUR_S,
    )


def planned(name: str, hours: float, noticed_h_before: float | None) -> OutageFacts:
    """A stop of so many hours, planned a week ahead; the users told so many hours before, or not at all."""
    facts = outage(name, Cause.EQUIPMENT, hours, hours)
    return replace(
        facts,
        planned=True,
        detected_at=facts.lost_at - 7 * 24 * HOUR_S,
        announced_at=None if noticed_h_before is None else facts.lost_at - noticed_h_before * HOUR_S,
    )


def expecting(facts: OutageFacts, *stated: tuple[float, float]) -> OutageFacts:
    """The facts with expectations stated: (hour they were made, hour heat was expected back)."""
    made = tuple(
        Expectation(facts.lost_at + at * HOUR_S, facts.lost_at + recovery * HOUR_S) for at, recovery in stated
    )
    return replace(facts, expectations=made, expected_recovery=made[-1].recovery)


def readings(
    day: date, *temperatures: float, first_hour: int = 0, step_h: float = 1.0
) -> tuple[Reading, ...]:
    """Good room readings of one day, hour by hour."""
    start = datetime(day.year, day.month, day.day, first_hour, tzinfo=CHINA).timestamp()
    return tuple(
        Reading.good(value, Unit.CELSIUS, start + index * step_h * HOUR_S)
        for index, value in enumerate(temperatures)
    )
