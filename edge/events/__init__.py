"""Alarms and outages: `judge` looks at one image and says what happened. Pure."""

from edge.events.alarm_states import State as AlarmState
from edge.events.alarms import KEYS as ALARM_KEYS
from edge.events.board import Alarm, Flood
from edge.events.cause import Confidence
from edge.events.evidence import EVIDENCE, Item
from edge.events.facts import Limits
from edge.events.memory import resume, to_plain
from edge.events.meter import Count
from edge.events.outage import Phase
from edge.events.outage_record import Outage
from edge.events.watch import Judgement, WatchState, judge, restore, with_blind_interval, with_clock_step

__all__ = [
    "ALARM_KEYS",
    "EVIDENCE",
    "Alarm",
    "AlarmState",
    "Confidence",
    "Count",
    "Flood",
    "Item",
    "Judgement",
    "Limits",
    "Outage",
    "Phase",
    "WatchState",
    "judge",
    "restore",
    "resume",
    "to_plain",
    "with_blind_interval",
    "with_clock_step",
]
