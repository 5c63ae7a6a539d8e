"""The live view: draws the status document in a terminal of 80 x 24. Reads a file, writes nothing.

A client without logic of its own, in the words of the catalogue. A value that is not GOOD is never shown as
a plain number, and a document that has gone old says so.
"""

import json
import math
import os
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge.clock import SystemClock
from edge.texts import Texts

Document = Mapping[str, Any]

OLD_S = 5.0  # the service renews the document every second
_REFRESH_S = 0.5
_LOCAL = ZoneInfo("Asia/Shanghai")
_STYLE = {"good": "", "uncertain": "yellow", "bad": "bold red"}
_DUTY_STYLE = {"open": "", "due_soon": "yellow", "overdue": "bold red"}
_MOST_OUTAGES, _MOST_DUTIES, _MOST_ALARMS, _MOST_DEVICES = 3, 4, 3, 3
_ALARM_RANK = {"unacknowledged": 0, "acknowledged": 1, "returned": 2, "latched": 2}  # those that have a line
_LATE = 2.0  # of its period: a device whose intervals are longer misses whole deadlines
_LINES = 23  # of a terminal of 24; the last is the note's
_HEADER_LINES = 1  # the table of the circuits has two, and counts as one part


def watch(path: Path, texts: Texts, once: bool = False, note: str = "") -> int:
    """Draw until interrupted, `note` below it; with `once` a single picture. 2 when there is none to draw."""
    console = Console()
    if once:
        document = _read(path)
        if document is None:
            print(texts("view.none", file=path), file=sys.stderr)
            return 2
        console.print(picture(document, texts, _age(path)))
        return 0
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            document = _read(path)
            waiting = Text(texts("view.none", file=path))
            shown = waiting if document is None else picture(document, texts, _age(path))
            live.update(Group(shown, Text(note, style="dim")), refresh=True)
            time.sleep(_REFRESH_S)


def _read(path: Path) -> Document | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _age(path: Path) -> float:
    """Seconds since the service last wrote, by the file system's clock."""
    try:
        return max(0.0, SystemClock().now().wall - os.stat(path).st_mtime)
    except OSError:
        return float("inf")


def clock_text(wall: float) -> str:
    """Local date and time of the station."""
    return datetime.fromtimestamp(wall, UTC).astimezone(_LOCAL).strftime("%Y-%m-%d %H:%M:%S")


def _hour(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).astimezone(_LOCAL).strftime("%m-%d %H:%M")


def _end(start: float, end: float) -> str:
    """An end, with its date where it is another than that of the start."""
    return _hour(end).removeprefix(_hour(start)[: len("01-17 ")])


def picture(document: Document, texts: Texts, age_s: float) -> RenderableType:
    """The whole screen."""
    parts: list[RenderableType] = [_title(document, texts, age_s), _circuits(document, texts)]
    parts += [_station(document, texts), _rooms(document, texts)]
    parts += _devices(document, texts)
    parts += _outages(document, texts)
    parts += _alarms(document, texts)
    used = len(parts) + _HEADER_LINES + len(document["circuits"])
    left = _LINES - used - 2
    parts += _journal(document, texts, left) if left > 0 else ()
    parts += [_upstream(document, texts)]
    return Group(*parts)


def _title(document: Document, texts: Texts, age_s: float) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{document['name'][texts.language]} ", style="bold")
    line.append(f" {document['gateway']}  {clock_text(document['wall'])}  ")
    line.append(texts(f"phase.{document['compliance']['phase']}"), style="cyan")
    if age_s > OLD_S:
        line.append("  " + texts("view.old", seconds=f"{age_s:.0f}"), style="bold white on red")
    return line


def _number(document: Document, texts: Texts, point: str, digits: int = 1) -> Text:
    """A reading as text: number, or in red why there is none."""
    reading = document["readings"].get(point)
    if reading is None:
        return Text("-", style="dim")
    if reading["value"] is None:
        return Text(texts(f"bad.{reading['reason']}"), style=_STYLE["bad"])
    mark = "" if reading["quality"] == "good" else "?"
    return Text(f"{reading['value']:.{digits}f}{mark}", style=_STYLE[reading["quality"]])


def _plain(value: float | None, digits: int = 1) -> Text:
    return Text("-" if value is None else f"{value:.{digits}f}")


_CIRCUIT_COLUMNS = (
    ("word.circuit", ""),
    ("view.setpoint", "°C"),
    ("word.supply", "°C"),
    ("word.return", "°C"),
    ("word.valve", "%"),
    ("word.pump", "Hz"),
    ("view.power", "kW"),
    ("view.pressure", "bar"),
    ("word.mode", ""),
)


def _circuits(document: Document, texts: Texts) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, header_style="bold", padding=(0, 1, 0, 0))
    for key, unit in _CIRCUIT_COLUMNS[:-1]:
        heading = f"{texts(key)}\n{unit}"
        width = max(cell_len(word) for word in [*heading.split("\n"), "0000.0"])
        table.add_column(heading, justify="right" if unit else "left", no_wrap=True, min_width=width)
    table.add_column(texts(_CIRCUIT_COLUMNS[-1][0]) + "\n", no_wrap=True, overflow="ellipsis", ratio=1)
    for circuit in document["circuits"]:
        name = circuit["id"]
        table.add_row(
            circuit["name"][texts.language],
            _plain(circuit["setpoint_c"]),
            _number(document, texts, f"{name}.secondary_supply_temperature"),
            _number(document, texts, f"{name}.secondary_return_temperature"),
            _number(document, texts, f"{name}.valve_position"),
            _number(document, texts, f"{name}.pump_1.frequency"),
            _number(document, texts, f"{name}.heat_power", 0),
            _number(document, texts, f"{name}.secondary_return_pressure", 2),
            _mode(circuit, texts),
        )
    return table


def _mode(circuit: Document, texts: Texts) -> Text:
    if circuit["limited_by"]:
        return Text(texts(circuit["limited_by"]), style="yellow")
    return Text(
        texts(f"holder.{circuit['holder']}"), style="" if circuit["holder"] == "automatic" else "yellow"
    )


def _station(document: Document, texts: Texts) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis", style="")
    for key, point, digits, unit in (
        ("view.outdoor", "station.outdoor_temperature", 1, "°C"),
        ("view.primary", "station.primary_supply_temperature", 1, "°C"),
        ("view.dp", "station.primary_differential_pressure", 2, "bar"),
        ("view.tank", "station.tank_level", 2, "m"),
    ):
        line.append(f"{texts(key)} ", style="dim").append(_number(document, texts, point, digits)).append(
            f" {unit}  "
        )
    line.append(f"{texts('view.mains')} ", style="dim").append(_state(document, texts, "station.mains_power"))
    return line


def _state(document: Document, texts: Texts, point: str) -> Text:
    reading = document["readings"].get(point)
    if reading is None or reading["value"] is None:
        return Text(texts("state.unknown"), style="yellow")
    return Text(texts("state.on")) if reading["value"] else Text(texts("state.off"), style="bold red")


def _rooms(document: Document, texts: Texts) -> Text:
    line = Text(f"{texts('live.rooms')} °C  ", style="dim", no_wrap=True, overflow="ellipsis")
    for point in sorted(document["readings"]):
        if point.startswith("room."):
            line.append(f"{point.split('.')[1]} ", style="dim").append(
                _number(document, texts, point)
            ).append("  ")
    return line


def _devices(document: Document, texts: Texts) -> Iterable[RenderableType]:
    """One line, and only where something is wrong: which devices, and what."""
    found = [
        (device["id"], trouble) for device in document["devices"] if (trouble := _trouble(device, texts))
    ]
    if not found:
        return
    line = Text(f"── {texts('live.devices')} ", style="bold yellow", no_wrap=True, overflow="ellipsis")
    shown = "; ".join(f"{name} {', '.join(trouble)}" for name, trouble in found[:_MOST_DEVICES])
    more = f" ({texts('view.more', count=len(found) - _MOST_DEVICES)})" if len(found) > _MOST_DEVICES else ""
    yield line.append(shown + more, style="not bold yellow")


def _trouble(device: Document, texts: Texts) -> list[str]:
    """What is wrong with a device, in words."""
    if device["lost"]:
        return [texts("device.lost", seconds=f"{device['probe_in_s']:.0f}")]
    late = device["interval_p99_s"]
    return [
        words
        for wrong, words in (
            (device["not_written"], texts("device.not_written")),
            (device["fail_safe"], texts("device.fail_safe")),
            (late is not None and late > _LATE * device["period_s"], texts("device.late")),
        )
        if wrong
    ]


def _heading(texts: Texts, key: str, style: str = "bold", left_out: int = 0) -> Text:
    more = f"({texts('view.more', count=left_out)})" if left_out > 0 else ""
    return Text(f"── {texts(key)} {more}", style=style)


def _place(document: Document, texts: Texts, where: str) -> str:
    """A circuit, the station, a room or a device, as people call it."""
    names = {circuit["id"]: str(circuit["name"][texts.language]) for circuit in document["circuits"]}
    names["station"] = texts("live.station")
    kind, _, room = where.partition(".")
    return f"{texts('word.room')} {room}" if kind == "room" else names.get(where, where)


def _outages(document: Document, texts: Texts) -> Iterable[RenderableType]:
    found = document["compliance"]
    outages = sorted(found["outages"], key=lambda each: each["ended_at"] or math.inf)
    duties = _grouped(outages, found["duties"])
    if not outages and not duties:
        return
    style = "bold red" if any(outage["ended_at"] is None for outage in outages) else "bold"
    yield _heading(texts, "live.outages", style, len(outages) - _MOST_OUTAGES)
    for outage in outages[-_MOST_OUTAGES:]:
        yield _outage(document, texts, outage, found["refunds"])
    for duty, circuits in duties[:_MOST_DUTIES]:
        names = "、".join(_place(document, texts, circuit) for circuit in circuits)
        yield _duty(texts, duty, names)


def _grouped(outages: Iterable[Document], duties: Iterable[Document]) -> list[tuple[Document, list[str]]]:
    """Each duty once, with the circuits it is owed for; what is closed last."""
    circuits = {outage["id"]: outage["circuit"] for outage in outages}
    found: dict[tuple[object, ...], tuple[Document, list[str]]] = {}
    for duty in duties:
        minute = None if duty["due"] is None else int(duty["due"] // 60)
        key = (duty["clause"], duty["action"], minute, duty["state"])
        found.setdefault(key, (duty, []))[1].append(circuits.get(duty["outage"], "?"))
    return sorted(found.values(), key=lambda pair: pair[0]["state"] == "closed")


def _outage(document: Document, texts: Texts, outage: Document, refunds: Iterable[Document]) -> Text:
    name = _place(document, texts, outage["circuit"])
    ended = outage["ended_at"]
    span = f"{_hour(outage['lost_at'])}–{'…' if ended is None else _end(outage['lost_at'], ended)}"
    line = Text(f"  {name} {span} {texts('cause.' + outage['cause'])}", no_wrap=True, overflow="ellipsis")
    for refund in refunds:
        if refund["outage"] == outage["id"]:
            line.append(f"; {texts('view.refund')}: {_refund(texts, refund)}", style="dim")
    return line


def _refund(texts: Texts, refund: Document) -> str:
    clauses = ", ".join(refund["clauses"])
    words = texts(f"refund_reason.{refund['reason']}")
    if refund["quantity"] is not None:
        words += f" {refund['quantity']:.2f} {texts('view.' + refund['unit'])}"
    return f"{words} [{clauses}]" if clauses else words


def _duty(texts: Texts, duty: Document, names: str) -> Text:
    line = Text("  ", no_wrap=True, overflow="ellipsis")
    due = texts(duty["urgency"]) if duty["due"] is None else _hour(duty["due"])
    line.append(f"{due} ", style="bold")
    line.append(f"{texts('duty_state.' + duty['state'])}  ", style=_DUTY_STYLE.get(duty["state"], ""))
    line.append(f"{texts(duty['action'])} [{duty['clause']}] ")
    line.append(names, style="dim")
    return line


def _alarms(document: Document, texts: Texts) -> Iterable[RenderableType]:
    """What waits for a person first, in first-out order; shelved and suppressed ones are only counted."""
    states = [(_alarm_state(each), each) for each in document["alarms"]]
    alarms = [each for state, each in states if state in _ALARM_RANK]
    alarms.sort(key=lambda each: _ALARM_RANK[_alarm_state(each)])
    flood = document.get("flood")
    most = _MOST_ALARMS if flood is None else _MOST_ALARMS - 1
    yield _alarm_heading(texts, [state for state, _ in states], len(alarms) - most)
    if flood is not None:
        yield _flood_line(document, texts, flood)
    for alarm in alarms[:most]:
        yield _alarm_line(document, texts, alarm)
    if alarms:
        first = texts(f"alarm.{alarms[0]['key']}.action")
        yield Text(f"    → {first}", style="dim", no_wrap=True, overflow="ellipsis")


def _alarm_state(alarm: Document) -> str:
    return str(alarm.get("state", "unacknowledged"))


def _alarm_heading(texts: Texts, states: list[str], left_out: int) -> Text:
    """How many are not shown, and how many are put aside."""
    shown = any(state in _ALARM_RANK for state in states)
    line = _heading(texts, "live.alarms" if shown else "live.no_alarms", "dim", left_out)
    line.style = "bold yellow" if shown else "dim"
    line.no_wrap, line.overflow = True, "ellipsis"
    for state in ("shelved", "suppressed"):
        if state in states:
            line.append(f" {texts('alarm_state.' + state)} {states.count(state)} ", style="not bold cyan")
    return line


def _flood_line(document: Document, texts: Texts, flood: Document) -> Text:
    """How many there were, and the alarm they stand under."""
    first = f"{_place(document, texts, flood['where'])}: {texts('alarm.' + flood['key'])}"
    words = texts("view.flood", count=flood["count"], first=first)
    return Text(f"── {words}", style="bold white on red", no_wrap=True, overflow="ellipsis")


def _alarm_line(document: Document, texts: Texts, alarm: Document) -> Text:
    state, name = _alarm_state(alarm), _place(document, texts, alarm["where"])
    mark = texts(f"alarm_mark.{state}")
    words = f"  {_hour(alarm['occurred'])} {mark} {name}: {texts('alarm.' + alarm['key'])}"
    if alarm.get("chattering"):
        words += f" ({texts('view.chattering')})"
    colour = "red" if alarm["priority"] == 1 else "yellow"
    style = {"unacknowledged": f"bold {colour}", "acknowledged": colour}.get(state, "dim")
    return Text(words, style=style, no_wrap=True, overflow="ellipsis")


def _journal(document: Document, texts: Texts, most: int) -> Iterable[RenderableType]:
    yield _heading(texts, "live.journal")
    for row in document["tail"][-most:]:
        kind = texts(f"kind.{row['kind']}")
        line = Text(f"  {_hour(row['detected'])} {kind}  {row['subject']}", no_wrap=True, overflow="ellipsis")
        yield line


def _upstream(document: Document, texts: Texts) -> Text:
    line = Text(f"── {texts('live.upstream')} ", style="bold", no_wrap=True, overflow="ellipsis")
    found = document.get("upstream")
    if found is None:
        return line.append(texts("upstream.off"), style="dim")
    connected = "upstream.connected" if found["connected"] else "upstream.disconnected"
    line.append(texts(connected), style="green" if found["connected"] else "bold red")
    line.append(f"  {texts('upstream.receipted')}", style="")
    for stream, state in found["streams"].items():
        line.append(f" {texts('view.stream.' + stream)} {state['receipted']}/{state['sent']}", style="")
        if state["problem"]:
            line.append(f" {texts(state['problem'])}", style="bold red")
    return line
