"""The status document: what a viewer may know of the service, as plain data, and the file it is kept in.

Keys and values, units and qualities: no language, no logic. `edge.watch` draws it.
"""

import json
import os
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers import Reading
from edge.acquisition import BusWorker, PolledDevice
from edge.acquisition.statistics import p99
from edge.compliance import Compliance, refund_figures
from edge.cycle import Outcome, Pace
from edge.events import Alarm, Flood
from edge.records import CircuitView, Event
from edge.rules.duties import Duty
from edge.rules.facts import OutageFacts
from edge.site import Site
from edge.upstream import UpstreamStatus

VERSION = 1
Document = dict[str, Any]


def _reading(reading: Reading) -> Document:
    return {
        "value": None if reading.value is None else round(reading.value, 3),
        "unit": reading.unit.value,
        "quality": reading.quality.name.lower(),
        "reason": reading.reason.value,
    }


def _view(view: CircuitView) -> Document:
    return {
        "heating": view.heating,
        "ready": view.ready,
        "setpoint_c": view.setpoint_c,
        "outdoor_c": view.outdoor_c,
        "valve_percent": view.valve_percent,
        "holder": view.holder.name.lower(),
        "limited_by": view.limited_by,
    }


def document(
    site: Site,
    outcome: Outcome,
    pace: Pace,
    workers: Sequence[BusWorker],
    tail: deque[Event],
    upstream: UpstreamStatus | None,
) -> Document:
    """The present status. `tail` holds the newest recorded events, oldest first."""
    image = outcome.image
    return {
        "version": VERSION,
        "gateway": site.site.gateway,
        "name": site.site.name.model_dump(),
        "wall": image.now.wall,
        "clock": image.now.state.value,
        "circuits": [
            {"id": c.id, "name": c.name.model_dump(), **_view(outcome.decision.views[c.id])}
            for c in site.circuits
        ],
        "readings": {name: _reading(reading) for name, reading in image.readings.items()},
        "alarms": [_alarm(each) for each in outcome.judgement.shown],
        "flood": _flood(outcome.judgement.flood),
        "compliance": _compliance(outcome.compliance, site.regulation.pack),
        "pace": {"steps": pace.steps, "missed": pace.missed},
        "devices": [
            _device(device, worker, image.now.monotonic) for worker in workers for device in worker.devices
        ],
        "upstream": None if upstream is None else _upstream(upstream),
        "tail": [{"kind": e.kind, "subject": e.subject, "detected": e.detected} for e in tail],
    }


def _alarm(alarm: Alarm) -> Document:
    return {
        "subject": alarm.subject,
        "key": alarm.key,
        "where": alarm.where,
        "priority": alarm.priority,
        "occurred": alarm.occurred,
        "state": alarm.state.value,
        "active": alarm.active,
        "until": alarm.until,
        "chattering": alarm.chattering,
    }


def _flood(flood: Flood | None) -> Document | None:
    """How many, and which alarm was first."""
    if flood is None:
        return None
    where, key = flood.first.split(":")[:2]
    return {"count": flood.count, "where": where, "key": key, "began": flood.began}


def _device(device: PolledDevice, worker: BusWorker, now: float) -> Document:
    """How a device is doing. Latencies in real s, intervals and pauses in s of the clock; None: not known."""
    found, health = device.statistics, device.health
    latencies = found.latencies
    return {
        "id": device.id,
        "bus": worker.id,
        "lost": health.lost,
        "failures": health.failures,
        "reads": found.reads,
        "errors": found.errors,
        "error": found.last_error,
        "frames": {verdict.value: count for verdict, count in found.counts.items() if count},
        "latency_s": _rounded(sum(latencies) / len(latencies) if latencies else None),
        "latency_max_s": _rounded(max(latencies, default=None)),
        "period_s": device.period_s,
        "interval_p99_s": _rounded(p99(found.intervals)),
        "missed": found.missed,
        "probe_in_s": _rounded(max(0.0, health.latest - now)) if health.failures else None,
        "not_written": worker.writes.refusing(device.id),
        "fail_safe": device.fail_safe.wrong(),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _upstream(found: UpstreamStatus) -> Document:
    streams = {
        name: {"sent": s.sent, "receipted": s.receipted, "problem": s.problem}
        for name, s in found.streams.items()
    }
    return {"connected": found.connected, "refused": found.refused, "streams": streams}


def _compliance(found: Compliance, pack_id: str) -> Document:
    return {
        "pack": pack_id,
        "phase": found.phase.value,
        "outages": [_outage(facts) for facts in found.facts.values()],
        "duties": [
            _duty(outage, duty, found.told.get(f"{outage}:{duty.id}", "pending"))
            for outage, duties in found.duties.items()
            for duty in duties
        ],
        "refunds": [{"outage": basis.outage, **refund_figures(basis)} for basis in found.refunds.values()],
    }


def _outage(facts: OutageFacts) -> Document:
    return {
        "id": facts.id,
        "circuit": facts.circuit,
        "lost_at": facts.lost_at,
        "detected_at": facts.detected_at,
        "ended_at": facts.ended_at,
        "cause": facts.cause.value,
    }


def _duty(outage: str, duty: Duty, state: str) -> Document:
    return {
        "outage": outage,
        "clause": duty.clause,
        "action": duty.action,
        "recipient": duty.recipient,
        "urgency": duty.urgency,
        "due": duty.due,
        "state": state,
    }


def write(path: Path, status: Mapping[str, Any]) -> None:
    """Replace the file in one step, so that a reader never sees half of it. No fsync: it lives in memory."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(status, ensure_ascii=False), encoding="utf-8")
    new.chmod(0o644)
    os.replace(new, path)
