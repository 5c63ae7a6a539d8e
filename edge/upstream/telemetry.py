"""A frame of readings as the head-end gets it: complete in itself, no table of names needed. Pure.

msgpack of a list with one entry per reading: [point, value or nil, unit, quality, reason, timestamp];
quality is 2 good, 1 uncertain, 0 bad (then value is nil), timestamp the source's Unix time in s.
"""

from collections.abc import Mapping
from typing import Any

import msgpack

from drivers import Quality, Reading, Reason, Unit
from edge.upstream.codec import MalformedError


def encode_readings(readings: Mapping[str, Reading]) -> bytes:
    """The blob; the same readings in the same order always give the same bytes."""
    packed: bytes = msgpack.packb([_plain(point, reading) for point, reading in readings.items()])
    return packed


def _plain(point: str, reading: Reading) -> list[str | float | None]:
    judged = [reading.unit.value, int(reading.quality), reading.reason.value]
    return [point, reading.value, *judged, reading.timestamp]


def decode_readings(blob: bytes) -> dict[str, Reading]:
    """The readings; MalformedError for anything that is not what encode_readings makes."""
    try:
        listed = msgpack.unpackb(blob, strict_map_key=True)
        if type(listed) is not list:
            raise MalformedError("shape of a frame")
        return dict(_reading(item) for item in listed)
    except MalformedError:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MalformedError(f"no frame: {type(error).__name__}") from None


def _reading(item: Any) -> tuple[str, Reading]:  # noqa: ANN401 (hostile until checked)
    if type(item) is not list:
        raise MalformedError("shape of a reading")
    point, value, unit, quality, reason, timestamp = item
    if type(point) is not str or type(timestamp) is not float or type(value) not in (float, type(None)):
        raise MalformedError("type in a reading")
    return point, Reading(value, Unit(unit), Quality(quality), Reason(reason), timestamp)
