"""Between a decision and the field: what is written when, and what of it is recorded before.

A command goes out when its value changes, and again every `renew_s` although nothing changed: actuators
fall back to their own safe value when nobody renews (Belimo: 120 s). The journal gets the intent first
whenever the holder changes, a state is switched or a valve has moved by `INTENT_PERCENT` since the last
entry; the small moves between are in the history (docs/decisions/0003-intents.md).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from drivers import Unit
from edge.clock import Instant
from edge.points import quantity
from edge.records import Command, Event, Holder, Plain

INTENT_PERCENT = 5.0
RENEW_S = 30.0  # where the site says nothing


@dataclass(slots=True)
class _Sent:
    value: float
    at: float  # monotonic s


class Outputs:
    """Remembers what was last sent and last recorded of every output."""

    def __init__(self, renew_s: Mapping[str, float]) -> None:
        self._renew_s = renew_s
        self._sent: dict[str, _Sent] = {}
        self._recorded: dict[str, tuple[float, Holder]] = {}

    def due(self, commands: Iterable[Command], now: Instant) -> list[Command]:
        """The commands that must go out now."""
        return [command for command in commands if self._is_due(command, now)]

    def forget(self, points: Iterable[str]) -> None:
        """These were not accepted by their devices: send them again in the next cycle."""
        for point in points:
            self._sent.pop(point, None)

    def _is_due(self, command: Command, now: Instant) -> bool:
        sent = self._sent.get(command.point)
        renew_s = self._renew_s.get(command.point, RENEW_S)
        if sent is not None and sent.value == command.value and now.monotonic - sent.at < renew_s:
            return False
        self._sent[command.point] = _Sent(command.value, now.monotonic)
        return True

    def intents(self, commands: Iterable[Command], now: Instant) -> list[Event]:
        """What the journal must say before these commands are carried out."""
        return [self._intent(command, now) for command in commands if self._is_news(command)]

    def _is_news(self, command: Command) -> bool:
        recorded = self._recorded.get(command.point)
        if recorded is None or recorded[1] is not command.holder:
            return True
        known = quantity(command.point)
        step = 0.5 if known is not None and known.unit is Unit.STATE else INTENT_PERCENT
        return abs(command.value - recorded[0]) >= step

    def _intent(self, command: Command, now: Instant) -> Event:
        self._recorded[command.point] = (command.value, command.holder)
        body: dict[str, Plain] = {
            "value": command.value,
            "holder": command.holder.name.lower(),
            "reason": command.reason,
        }
        if command.who:
            body["who"] = command.who
        return Event("control.command", command.point, now.wall, now.wall, body)
