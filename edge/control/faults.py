"""Sensor faults: what is required, when a sensor counts as broken, and what then stands in for it. Pure.

Behaviour and delays as Ouman H23 (outdoor: a fixed value; supply: the valve stays where it was) and
CJJ/T 34-2022 13.1.5 (hold the present value on loss of signal). A return or room sensor has no rule: nothing
is controlled by it, so nothing stands in for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from edge.clock import Instant
from edge.control.latch import Latch
from edge.records import Event, Plain
from edge.site import SensorFault


class Treatment(StrEnum):
    """What stands in for a broken sensor."""

    SUBSTITUTE = "substitute"  # a configured value
    HOLD = "hold"  # the valve stays at its last command
    MODEL = "model"  # the last command stands for the measured position
    STOP = "stop"  # what it controls is stopped


OUTDOOR = "outdoor_temperature"
SUPPLY = "secondary_supply_temperature"
POSITION = "valve_position"
PRESSURE = "secondary_return_pressure"

# The inputs that must have reported once before a circuit leaves its safe outputs, and what else is done.
REQUIRED: Mapping[str, Treatment] = {
    OUTDOOR: Treatment.SUBSTITUTE,
    SUPPLY: Treatment.HOLD,
    POSITION: Treatment.MODEL,
    PRESSURE: Treatment.STOP,
}

START_S = 60.0  # a sensor that has never reported is broken after this: slow buses need their first round


@dataclass(frozen=True, slots=True)
class Sensor:
    """One required input: its last good value, and whether it counts as broken (since the wall time)."""

    last: float | None = None
    fault: Latch = field(default_factory=Latch)
    broken_since: float | None = None

    @property
    def value(self) -> float | None:
        """The value to control with: the last good one through the delays, None when broken or never seen."""
        return None if self.fault.on else self.last

    @property
    def settled(self) -> bool:
        """Has reported once, or is known to be broken."""
        return self.last is not None or self.fault.on

    def after(self, value: float | None, settings: SensorFault, now: Instant) -> "Sensor":
        """The sensor one cycle later; `value` is None unless the reading is GOOD."""
        if value is not None and value == self.last and not self.fault.on and self.fault.turning is None:
            return self
        last = self.last if value is None else value
        entry_s = settings.entry_delay_s if last is not None else max(START_S, settings.entry_delay_s)
        fault = self.fault.after(value is None, now.monotonic, entry_s, settings.exit_delay_s)
        since = self.broken_since
        if fault.on is not self.fault.on:
            since = _since(self.fault, now) if fault.on else None
        return Sensor(last, fault, since)


def _since(before: Latch, now: Instant) -> float:
    """Wall time at which the input began to disagree with the latch."""
    return now.wall if before.turning is None else now.wall - (now.monotonic - before.turning)


def event(before: Sensor, after: Sensor, point: str, stand_in: float | None, now: Instant) -> Event:
    """`control.substituted` when the sensor of `point` has just broken, `control.restored` when it is back.

    `stand_in` is the value used instead (degC, %), None where nothing is. The event occurred when the
    readings turned, it is detected now, after the delay.
    """
    turned = _since(before.fault, now)
    body: dict[str, Plain] = {"treatment": REQUIRED[point.partition(".")[2]].value, "value": stand_in}
    if after.fault.on:
        return Event("control.substituted", point, turned, now.wall, body | {"start": turned})
    return Event(
        "control.restored", point, turned, now.wall, body | {"start": before.broken_since, "end": turned}
    )
