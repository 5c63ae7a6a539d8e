"""Alarms of broken points, silent meters and lost devices. Pure.

A device none of whose points answer is one alarm, not a dozen. A device that measures heat energy is a meter
and tells of its silence at its circuit, since its record is what people pay by.
"""

from collections.abc import Iterable, Iterator, Mapping

from drivers import Quality, Reading, Reason
from edge.clock import Instant
from edge.events.alarms import DEVICE_LOST, METER_DOUBTFUL, METER_SILENT, SENSOR, PointFacts
from edge.events.annunciator import Observation, observe
from edge.events.board import Board
from edge.image import ProcessImage
from edge.points import quantity
from edge.site import Device, Site

_SILENT = frozenset({Reason.NO_ANSWER, Reason.STALE, Reason.NEVER_READ, Reason.PROTOCOL})
_START_S = 60.0  # and two periods of the slowest device: until then "never read" accuses nobody


def point_observations(
    image: ProcessImage, site: Site, board: Board, started: float, now: Instant
) -> list[Observation]:
    """Observations of everything BAD in the image; what is not BAD is at rest and left out.

    `started` is the monotonic time of the first cycle.
    """
    bad = {name: reading for name, reading in image.readings.items() if reading.quality is Quality.BAD}
    if not bad:
        return []
    grace_s = max(_START_S, 2.0 * max(device.period_s for device in site.devices))
    starting = now.monotonic - started < grace_s
    found: list[Observation] = []
    for device in site.devices:
        silent = _silent_points(device, image, bad)
        if silent:
            found += _device(device, bad[silent[0]], starting, site, board)
            for point in silent:
                bad.pop(point, None)
    for point, reading in bad.items():
        known = quantity(point)
        if known is None or not known.output:
            where, name = _split(point)
            facts = PointFacts(_broken(reading, starting), site.sensor_fault)
            found += observe((SENSOR,), where, facts, board, name, reading.reason.value)
    return found


def doubt_observations(points: Iterable[str], site: Site, board: Board) -> list[Observation]:
    """Observations of totalisers whose number is neither believed nor withdrawn."""
    facts = PointFacts(True, site.sensor_fault)
    return [
        seen
        for point in points
        for seen in observe((METER_DOUBTFUL,), _split(point)[0], facts, board, _split(point)[1])
    ]


def _broken(reading: Reading, starting: bool) -> bool | None:
    return None if starting and reading.reason is Reason.NEVER_READ else True


def _silent_points(device: Device, image: ProcessImage, bad: Mapping[str, Reading]) -> list[str]:
    """The device's points in the image when every one of them is silent, else nothing."""
    points = [point for point in device.points if point in image.readings]
    return points if all(point in bad and bad[point].reason in _SILENT for point in points) else []


def _device(
    device: Device, reading: Reading, starting: bool, site: Site, board: Board
) -> Iterator[Observation]:
    facts = PointFacts(_broken(reading, starting), site.sensor_fault)
    meter = next((point for point in device.points if point.endswith(".heat_energy")), None)
    if meter is None:
        yield from observe((DEVICE_LOST,), device.id, facts, board, "", reading.reason.value)
    else:
        yield from observe((METER_SILENT,), _split(meter)[0], facts, board, "", reading.reason.value)


def _split(point: str) -> tuple[str, str]:
    """Where and what: `high.heat_power` -> high, heat_power; `room.r1.temperature` -> room.r1, ..."""
    room = point.startswith("room.")
    where, _, name = point.rpartition(".") if room else point.partition(".")
    return where, name
