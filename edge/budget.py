"""Has a serial line time for all that the site asks of it? Pure: from the settings, before a port is opened.

Counted is what goes on the line at each period: the reads as the drivers would plan them, the renewals of the
outputs and reading them back. `LIMIT` leaves room for retries, probes and a technician.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from drivers import Bus, Point, read_seconds, write_seconds
from edge.assembly import Fitted, bus_setting, device_setting
from edge.outputs import RENEW_S
from edge.site import Site

LIMIT = 0.9  # of the line's time


@dataclass(frozen=True, slots=True)
class Use:
    """What one group of points needs: `seconds` on the line every `period_s`."""

    device: str
    points: tuple[str, ...]
    seconds: float
    period_s: float

    @property
    def share(self) -> float:
        """Of the line's time; 1 is all."""
        return self.seconds / self.period_s


@dataclass(frozen=True, slots=True)
class Budget:
    """One serial line and all that uses it, the greatest first."""

    bus: str
    uses: tuple[Use, ...]

    @property
    def share(self) -> float:
        """Of the line's time; above `LIMIT` it is overfull."""
        return sum(use.share for use in self.uses)


def budgets(site: Site, devices: Iterable[Fitted]) -> list[Budget]:
    """The serial lines of the site; TCP and OPC UA have no such limit."""
    settings = {bus.id: bus_setting(bus) for bus in site.buses}
    renew_s = {f"{c.id}.valve_setpoint": c.valve.renew_s for c in site.circuits}
    uses: dict[str, list[Use]] = {}
    for fitted in devices:
        bus = fitted.setting.bus
        found = [*_reads(settings[bus], fitted), *_writes(settings[bus], fitted, renew_s)]
        uses.setdefault(bus, []).extend(found)
    return [
        Budget(bus, tuple(sorted(found, key=lambda use: -use.share))) for bus, found in uses.items() if found
    ]


def _reads(bus: Bus, fitted: Fitted) -> Iterator[Use]:
    groups: dict[tuple[float, bool], list[Point]] = {}
    for each in fitted.inputs:
        groups.setdefault((each.period_s, each.slow), []).append(each.point)
    device = device_setting(fitted)
    for (period_s, _), points in groups.items():
        seconds = read_seconds(bus, device, points)
        if seconds is not None:
            yield Use(device.id, tuple(point.name for point in points), seconds, period_s)


def _writes(bus: Bus, fitted: Fitted, renew_s: Mapping[str, float]) -> Iterator[Use]:
    device = device_setting(fitted)
    for output in fitted.outputs:
        seconds = write_seconds(bus, device, output.point)
        if seconds is None:
            continue
        if output.read_back:
            seconds += read_seconds(bus, device, (output.point,)) or 0.0
        name = output.point.name
        yield Use(device.id, (name,), seconds, max(renew_s.get(name, RENEW_S), output.interval_s))
