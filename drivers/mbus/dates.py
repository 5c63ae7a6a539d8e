"""Dates and times of EN 13757-3: the data types F, G, I and J. Pure; a meter's clock has no time zone.

What the meter marks as invalid, and what no calendar has, is None.
"""

from collections.abc import Callable
from datetime import date, datetime, time

Moment = date | datetime | time

_INVALID = 0x80  # type F, bit 8: the meter's clock is not to be believed
_LATEST_2000 = 80  # two digits up to 80 are of this century (the standard's note to type F)


def decode(data: bytes) -> Moment | None:
    """The moment in 2 (G, date), 3 (J, time), 4 (F, to the minute) or 6 (I, to the second) bytes."""
    try:
        return _TYPES[len(data)](data)
    except (KeyError, ValueError):
        return None


def _date(low: int, high: int, hundreds: int = 0) -> date:
    two = low >> 5 | (high & 0xF0) >> 1
    if two > 99:
        raise ValueError("no year")
    year = 1900 + 100 * hundreds + two
    return date(year + (100 if hundreds == 0 and two <= _LATEST_2000 else 0), high & 0x0F, low & 0x1F)


def _type_f(data: bytes) -> datetime:
    minute, hour, low, high = data
    if minute & _INVALID:
        raise ValueError("marked invalid")
    return datetime.combine(_date(low, high, hour >> 5 & 0x03), time(hour & 0x1F, minute & 0x3F))


def _type_g(data: bytes) -> date:
    return _date(data[0], data[1])


def _type_i(data: bytes) -> datetime:
    second, minute, hour, low, high, _ = data
    if minute & _INVALID:
        raise ValueError("marked invalid")
    return datetime.combine(_date(low, high), time(hour & 0x1F, minute & 0x3F, second & 0x3F))


def _type_j(data: bytes) -> time:
    second, minute, hour = data
    return time(hour & 0x1F, minute & 0x3F, second & 0x3F)


_TYPES: dict[int, Callable[[bytes], Moment]] = {2: _type_g, 3: _type_j, 4: _type_f, 6: _type_i}
