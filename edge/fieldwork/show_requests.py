"""Alarms, outages and answers as lines of words: what `alarm`, `outage` and `plan` print."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from edge.fieldwork.messages import Message
from edge.rules.civil import CHINA
from edge.texts import Texts

Line = tuple[str, str]  # words and their style
_STYLES = {1: "bold red", 2: "yellow"}


def lines(message: Message, texts: Texts) -> Iterator[Line]:
    """The lines of one message."""
    return _LINES[str(message["kind"])](message, texts)


def _answer(message: Message, texts: Texts) -> Iterator[Line]:
    given: Any = message["values"]
    values = dict(given)
    if "state" in values:
        values["state"] = texts(f"alarm_state.{values['state']}")
    yield texts(str(message["text"]), **values), "" if message["accepted"] else "bold red"
    if not message["recorded"]:
        yield texts("request.not_recorded"), "yellow"


def _alarm(message: Any, texts: Texts) -> Iterator[Line]:  # noqa: ANN401 (a message's values are of many kinds)
    state = texts(f"alarm_state.{message['state']}")
    until = "" if message["until"] is None else " " + texts("view.until", time=_hour(message["until"]))
    chatter = " " + texts("view.chattering") if message["chattering"] else ""
    style = _STYLES.get(message["priority"], "") if message["active"] else "dim"
    yield f"{message['priority']}  {_hour(message['occurred'])}  {message['subject']}", style
    yield f"   {texts('alarm.' + message['alarm'])}  [{state}{until}{chatter}]", ""


def _flood(message: Any, texts: Texts) -> Iterator[Line]:  # noqa: ANN401
    yield texts("view.flood", count=message["count"], first=message["first"]), "bold red"


def _outage(message: Any, texts: Texts) -> Iterator[Line]:  # noqa: ANN401
    at = message["expected_recovery"]
    recovery = texts("view.recovery_unknown") if at is None else texts("view.recovery", time=_hour(at))
    cause = texts(f"cause.{message['cause']}")
    yield f"{message['id']}  {message['circuit']}  {_hour(message['lost_at'])}–…", "bold red"
    yield f"   {cause}  {recovery}", ""


def _plan(message: Any, texts: Texts) -> Iterator[Line]:  # noqa: ANN401
    yield f"{message['id']}  {_hour(message['begin'])}–{_hour(message['end'])}", "bold"
    notice, kind = message["notice"], texts(f"plan_kind.{message['stop']}")
    told = texts("view.not_told") if notice is None else texts("view.told", time=_hour(notice))
    yield f"   {', '.join(message['circuits'])}  {kind}  {told}  {message['why']}", ""


def _hour(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).astimezone(CHINA).strftime("%m-%d %H:%M")


_LINES: Mapping[str, Callable[[Any, Texts], Iterator[Line]]] = {
    "answer": _answer,
    "alarm": _alarm,
    "flood": _flood,
    "outage": _outage,
    "plan": _plan,
}
KINDS = tuple(_LINES)
