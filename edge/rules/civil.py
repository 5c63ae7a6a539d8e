"""Local civil time of the five documents: Asia/Shanghai, UTC+8, no daylight saving (none since 1991). Pure.

A day is a local calendar day; moments are Unix seconds. `24:00` of a day is the first second of the next.
"""

import calendar
from datetime import UTC, date, datetime, time, timedelta, timezone

CHINA = timezone(timedelta(hours=8), "Asia/Shanghai")
HOUR_S = 3600.0
DAY_S = 86400.0


def local_day(wall: float) -> date:
    """The local calendar day of a moment."""
    return datetime.fromtimestamp(wall, UTC).astimezone(CHINA).date()


def local_time(wall: float) -> time:
    """The local time of day of a moment."""
    return datetime.fromtimestamp(wall, UTC).astimezone(CHINA).time()


def midnight(day: date) -> float:
    """The first moment of a local day (Unix s)."""
    return datetime.combine(day, time(), CHINA).timestamp()


def end_of(day: date) -> float:
    """24:00 of a local day (Unix s), the first moment of the next."""
    return midnight(day + timedelta(days=1))


def days_touched(start: float, end: float) -> int:
    """How many local calendar days the time from `start` up to, not including, `end` lies on."""
    if end <= start:
        return 0
    last = local_day(end)
    count = (last - local_day(start)).days + 1
    return count - 1 if end == midnight(last) else count


def add_months(day: date, months: int) -> date:
    """The day of the same number `months` later, or the last day of that month where it has no such day."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
