"""`alarm`, `outage`, `plan`: what is there, and a technician's requests to the cycle, with who he is.

The request goes into the next cycle and is judged there; the message `answer` says what became of it.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from edge.events import Alarm, Outage
from edge.fieldwork.access import Access
from edge.fieldwork.messages import Asked, FieldworkError, Message, Stream
from edge.records import Cause
from edge.requests import (
    Acknowledge,
    CancelPlan,
    ExpectRecovery,
    PlanStop,
    Reattribute,
    Request,
    Reset,
    Shelve,
    Unshelve,
)
from edge.rules.civil import CHINA

_STOPS = ("repair", "overhaul", "trial_run")  # the last two are judged by clauses of their own
_LONGEST_WHY = 200
_LONGEST_S = 366 * 86400.0
_UNITS_S = {"m": 60, "h": 3600, "d": 86400}
_TIME = re.compile(r"(?:(\d{4}-\d{2}-\d{2})[ T])?(\d{1,2}:\d{2})")
_AGO = re.compile(r"([+-])(\d{1,6})([mhd])")

_Made = Callable[[Access, Asked, str], Request]


async def alarm(access: Access, asked: Asked, who: str) -> Stream:
    """The alarms that are not at rest, or one request about them."""
    do = asked.choice("do", ("list", *_ALARM), "list")
    if do != "list":
        yield await _asked(access, _ALARM[do](access, asked, who))
        return
    judged = access.judged()
    for each in judged.shown:
        yield _alarm(each)
    if judged.flood is not None:
        yield {"kind": "flood", **judged.flood.body()}


async def outage(access: Access, asked: Asked, who: str) -> Stream:
    """The open outages, or one request about them."""
    do = asked.choice("do", ("list", *_OUTAGE), "list")
    if do != "list":
        yield await _asked(access, _OUTAGE[do](access, asked, who))
        return
    for each in access.judged().outages.values():
        yield _outage(each)


async def plan(access: Access, asked: Asked, who: str) -> Stream:
    """The stops planned ahead, or one request about them."""
    do = asked.choice("do", ("list", *_PLAN), "list")
    if do != "list":
        yield await _asked(access, _PLAN[do](access, asked, who))
        return
    for each in access.judged().state.station.plans.values():
        yield {**each.body(), "kind": "plan", "stop": each.stop.kind}


async def _asked(access: Access, request: Request) -> Message:
    answer = await access.request(request)
    return {
        "kind": "answer",
        "accepted": answer.accepted,
        "text": answer.text,
        "values": dict(answer.values),
        "recorded": answer.recorded,
    }


def _alarm(each: Alarm) -> Message:
    return {
        "kind": "alarm",
        "subject": each.subject,
        "alarm": each.key,
        "priority": each.priority,
        "state": each.state.value,
        "active": each.active,
        "occurred": each.occurred,
        "until": each.until,
        "chattering": each.chattering,
    }


def _outage(each: Outage) -> Message:
    return {
        "kind": "outage",
        "id": each.id,
        "circuit": each.circuit,
        "lost_at": each.lost_at,
        "cause": each.stands.value,
        "expected_recovery": each.expected_recovery,
    }


def _subject(asked: Asked) -> str | None:
    """One alarm, or None for all."""
    subject = asked.text("subject", "")
    if asked.flag("all") == bool(subject):
        raise FieldworkError("one_or_all")
    return subject or None


def _why(asked: Asked) -> str:
    why = asked.text("why", "").strip()
    if len(why) > _LONGEST_WHY:
        raise FieldworkError("reason")
    return why


def _reason(asked: Asked) -> str:
    """A reason that must be given."""
    why = _why(asked)
    if not why:
        raise FieldworkError("reason")
    return why


def _shelve(access: Access, asked: Asked, who: str) -> Request:
    seconds = asked.number("for_s", 1.0, _LONGEST_S)
    return Shelve(asked.text("subject"), access.now() + seconds, who, _why(asked))


def _expect(access: Access, asked: Asked, who: str) -> Request:
    at = None if asked.flag("unknown") else moment(asked.text("at"), access.now())
    return ExpectRecovery(asked.text("outage"), at, who, _reason(asked))


def _attribute(_: Access, asked: Asked, who: str) -> Request:
    cause = asked.choice("cause", tuple(each.value for each in Cause))
    return Reattribute(asked.text("outage"), Cause(cause), who, _reason(asked))


def _stop(access: Access, asked: Asked, who: str) -> Request:
    now = access.now()
    circuits = tuple(part for part in asked.text("circuits").split(",") if part)
    begin, end = (moment(asked.text(name), now) for name in ("begin", "end"))
    notice = moment(asked.text("notice"), now) if asked.has("notice") else None
    kind = asked.choice("kind", _STOPS, _STOPS[0])
    return PlanStop(asked.text("id"), circuits, begin, end, kind, who, _reason(asked), notice)


_ALARM: Mapping[str, _Made] = {
    "acknowledge": lambda _, asked, who: Acknowledge(_subject(asked), who),
    "reset": lambda _, asked, who: Reset(_subject(asked), who),
    "shelve": _shelve,
    "unshelve": lambda _, asked, who: Unshelve(asked.text("subject"), who),
}
_OUTAGE: Mapping[str, _Made] = {"expect": _expect, "cause": _attribute}
_PLAN: Mapping[str, _Made] = {
    "stop": _stop,
    "cancel": lambda _, asked, who: CancelPlan(asked.text("id"), who, _reason(asked)),
}


def moment(text: str, now: float) -> float:
    """Unix s of `2026-01-15 18:00`, `18:00` (today), `+2h`, `-30m`, `+1d`; local time of the station."""
    away = _AGO.fullmatch(text.strip())
    if away is not None:
        seconds = int(away[2]) * _UNITS_S[away[3]]
        return now + (seconds if away[1] == "+" else -seconds)
    named = _TIME.fullmatch(text.strip())
    try:
        if named is None:
            raise ValueError(text)
        day = named[1] or datetime.fromtimestamp(now, CHINA).date().isoformat()
        hour, _, minute = named[2].partition(":")
        late = hour == "24" and minute == "00"
        found = datetime.fromisoformat(f"{day} {'00' if late else hour.zfill(2)}:{minute}")
        return (found.replace(tzinfo=CHINA) + timedelta(days=late)).timestamp()
    except (ValueError, OverflowError) as error:
        raise FieldworkError("bad_time", given=text[:40]) from error
