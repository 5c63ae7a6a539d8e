"""A reading keeps its promises however it was made."""

import copy
import math
import pickle
from decimal import Decimal

import pytest

from drivers import Quality, Reading, Reason, Unit
from drivers.reading import Total

TOTAL = Total(Decimal("12345.67"), Unit.MEGAWATT_HOUR, Decimal(1_000_000))
GOOD = Reading.good(12345670.0, Unit.KILOWATT_HOUR, 7.0, TOTAL)
BAD = Reading.bad(Reason.SENTINEL, Unit.BAR, 7.0)


@pytest.mark.parametrize(
    ("made", "plain"),
    [
        (GOOD, Reading(12345670.0, Unit.KILOWATT_HOUR, Quality.GOOD, Reason.NONE, 7.0, TOTAL)),
        (BAD, Reading(None, Unit.BAR, Quality.BAD, Reason.SENTINEL, 7.0)),
    ],
)
def test_the_short_ways_make_the_same_reading_as_the_long_one(made: Reading, plain: Reading) -> None:
    assert type(made) is Reading
    assert made == plain
    assert hash(made) == hash(plain)
    assert repr(made) == repr(plain)
    assert copy.copy(made) == copy.deepcopy(made) == plain
    assert pickle.loads(pickle.dumps(made)) == plain  # noqa: S301 (our own bytes)


@pytest.mark.parametrize("reading", [GOOD, BAD])
def test_a_reading_is_never_changed(reading: Reading) -> None:
    with pytest.raises(AttributeError):
        reading.value = 0.0  # type: ignore[misc]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_never_good(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Reading.good(value, Unit.BAR, 7.0)
    with pytest.raises(ValueError, match="finite"):
        Reading(value, Unit.BAR, Quality.GOOD, Reason.NONE, 7.0)


def test_bad_never_looks_good() -> None:
    with pytest.raises(ValueError, match="reason"):
        Reading.bad(Reason.NONE, Unit.BAR, 7.0)
    with pytest.raises(ValueError, match="no value"):
        Reading(0.0, Unit.BAR, Quality.BAD, Reason.DEVICE, 7.0)
    with pytest.raises(ValueError, match="no value"):
        Reading(None, Unit.BAR, Quality.GOOD, Reason.NONE, 7.0)
    with pytest.raises(ValueError, match="needs a reason"):
        Reading(1.0, Unit.BAR, Quality.UNCERTAIN, Reason.NONE, 7.0)
