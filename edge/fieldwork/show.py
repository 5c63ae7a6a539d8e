"""Messages on a terminal of 80 columns: words of the catalogue, cells counted as Chinese needs it.

Colour only on a terminal. Progress is one line that renews itself, on a terminal only, so that a file or a
pipe gets what was found and nothing else.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from edge.fieldwork import show_requests
from edge.fieldwork.messages import Message
from edge.texts import Texts

WIDTH = 80
_LOCAL = ZoneInfo("Asia/Shanghai")
_UNITS = {"degC": "°C", "1": "", "state": ""}
_DATA = 16  # bytes of a frame on one line
_PIECES = re.compile(r"[（“]*(?:[\u2e80-\uffff]|[^\s\u2e80-\uffff]+)[，。；：、？！）”]*\s*")
_ARROWS = {True: "→", False: "←"}
_STYLES = {"good": "", "uncertain": "yellow", "bad": "bold red"}


class Printer:
    """Shows one command's messages, in order."""

    def __init__(self, texts: Texts, raw: bool) -> None:
        self._texts = texts
        self._raw = raw
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)
        self._headed: set[str] = set()
        self._noted: set[str] = set()  # what was said once is not said again after the question
        self._found = 0
        self._quiet = False
        self._wide = False  # names of registers that leave no room for the raw words beside them
        self._progress = False

    def show(self, message: Message) -> None:
        """One message."""
        if self._raw:
            print(json.dumps(message, ensure_ascii=False), flush=True)
            return
        if message["kind"] != "progress":
            self._clear()
        show = _SHOWS.get(str(message["kind"]))
        if show is not None:
            show(self, message)

    def again(self) -> None:
        """The same command's second part follows: what was said once is not said again."""
        self._quiet = True

    def interrupted(self, searching: bool) -> None:
        """Ctrl-C; what a search has found stands."""
        self._clear()
        if not self._raw:
            key = "fieldwork.interrupted" if searching else "fieldwork.stopped"
            self._say(self._texts(key, found=self._found))

    def declined(self) -> None:
        """The question was not answered with yes."""
        self._say(self._texts("fieldwork.declined"), "yellow")

    def ask(self) -> bool:
        """Whether to go on: y or j or 是."""
        answer = input(self._texts("fieldwork.ask") + " ")
        return answer.strip().lower() in {"y", "yes", "是"}

    def _say(self, text: str, style: str = "dim") -> None:
        for line in _wrapped(text, WIDTH):
            self._err.print(Text(line, style=style))

    def _line(self, *parts: tuple[str, str]) -> None:
        self._out.print(Text.assemble(*parts), crop=False)

    def _clear(self) -> None:
        if self._progress:
            self._err.file.write("\r\x1b[K")
            self._err.file.flush()
            self._progress = False

    def _head(self, key: str) -> None:
        """A table's head, once."""
        if key not in self._headed:
            self._headed.add(key)
            self._line(
                (_row(_COLUMNS[key], [self._texts(f"fieldwork.col.{name}") for name in _NAMES[key]]), "bold")
            )

    # -- kinds -----------------------------------------------------------------------------------------------

    def _way(self, message: Message) -> None:
        if not self._quiet:
            self._say(self._texts(f"fieldwork.way.{message['through']}", where=message["where"]))

    def _on_progress(self, message: Message) -> None:
        if not self._err.is_terminal:
            return
        left = message["left_s"]
        text = self._texts(
            "fieldwork.waiting" if message["where"] == "wait" else "fieldwork.progress",
            done=message["done"],
            total=message["total"],
            found=message["found"],
            left="?" if left is None else duration(_float(left)),
            where=message["where"],
        )
        self._err.file.write("\r\x1b[K" + set_cell_size(text, min(cell_len(text), WIDTH - 1)))
        self._err.file.flush()
        self._progress = True

    def _device(self, message: Message) -> None:
        place = "" if message["place"] is None else f" {message['place']}"
        self._say(f"{message['device']}  {message['bus']}{place}  {message['profile']}", "bold")
        self._wide = int(_float(message.get("longest", 0))) > _COLUMNS["value"][0] - 2

    def _value(self, message: Message) -> None:
        columns = "wide_value" if self._wide else "value"
        self._head(columns)
        good = str(message["quality"])
        why = f"bad.{message['reason']}" if message["reason"] else f"fieldwork.{good}"
        cells = [
            str(message["register"]) + (" *" if message["writable"] else ""),
            shown(message["value"]),
            unit(message["unit"]),
            self._texts(why),
            str(message["raw"]),
            duration(_float(message["age_s"])),
        ]
        if self._wide:
            del cells[4]
        row = _row(_COLUMNS[columns], cells)
        if cell_len(row) > WIDTH:  # a long name or reason: the age goes first
            row = _cut(_row(_COLUMNS[columns], [*cells[:-1], ""]), WIDTH)
        self._line((row, _STYLES[good]))
        if self._wide and message["raw"]:
            self._line((f"    {message['raw']}", "dim"))

    def _on_found(self, message: Message) -> None:
        self._found += 1
        place = str(message["place"])
        columns = "found" if cell_len(place) <= _COLUMNS["found"][0] else "meters"
        self._head(columns)
        name = self._texts("fieldwork.unknown") if message["device"] is None else str(message["device"])
        what = str(message.get("profile") or message.get("what") or "")
        answer = self._texts(f"fieldwork.answer.{message['answer']}")
        row = _row(_COLUMNS[columns], [place, name, answer, "" if what == place else what])
        self._line((_cut(row, WIDTH), ""))

    def _like(self, message: Message) -> None:
        names = _list(message["profiles"])
        key = "fieldwork.like" if names else "fieldwork.like_none"
        self._line(("      " + self._texts(key, profiles=", ".join(map(str, names))), "dim"))

    def _proposal(self, message: Message) -> None:
        if self._quiet:
            return
        point = message["point"]
        self._line((f"{message['register']}" + ("" if point is None else f"  ({point})"), "bold"))
        old = shown(message["value"])
        if message["value"] is None:
            old = self._texts(f"bad.{message['reason']}")
        sign = unit(message["unit"])
        self._line((f"  {self._texts('fieldwork.old')}  {old} {sign}", ""))
        self._line((f"  {self._texts('fieldwork.new')}  {shown(message['new'])} {sign}", "bold"))
        if message["hold_s"] is not None:
            held = duration(_float(message["hold_s"]))
            self._line((f"  {self._texts('fieldwork.will_hold', held=held)}", "yellow"))

    def _written(self, message: Message) -> None:
        back = shown(message["value"])
        if message["value"] is None:
            back = self._texts(f"bad.{message['reason']}")
        self._line((self._texts("fieldwork.written", value=back, unit=unit(message["unit"])), "green"))

    def _frame(self, message: Message) -> None:
        wall = datetime.fromtimestamp(_float(message["wall"]), UTC).astimezone(_LOCAL)
        gap = "" if message["gap_ms"] is None else f"+{_float(message['gap_ms']):.1f} ms"
        verdict = str(message["verdict"])
        head = _row(
            _COLUMNS["frame"],
            [
                wall.strftime("%H:%M:%S.%f")[:-3],
                gap,
                _ARROWS[bool(message["sent"])],
                str(message["device"]) or "-",
                self._texts(f"fieldwork.verdict.{verdict}"),
            ],
        )
        bad = verdict not in {"request", "answer", "retry"}
        self._line((head, "yellow" if bad else ""))
        data = bytes.fromhex(str(message["data"]))
        for start in range(0, len(data), _DATA):
            self._line(("    " + data[start : start + _DATA].hex(" ").upper(), "cyan"))
        for meaning in _list(message["meaning"]):
            assert isinstance(meaning, Mapping)
            values: Any = meaning["values"]
            for part in _wrapped(self._texts(str(meaning["key"]), **values), WIDTH - 4):
                self._line(("    " + part, "dim"))

    def _place(self, message: Message) -> None:
        self._head("place")
        orders: Any = message["orders"]
        cells = [f"{message['address']}", f"{_float(message['word']):.0f}"]
        self._line((_row(_COLUMNS["place"], [*cells, *(sane(orders[name]) for name in orders)]), ""))

    def _candidate(self, message: Message) -> None:
        style = "bold" if message["position"] == 1 else ""
        why = ", ".join(self._texts(f"fieldwork.why.{each}") for each in _list(message["why"]))
        head = self._texts(
            "fieldwork.candidate",
            position=message["position"],
            type=message["type"],
            order=message["order"],
            percent=f"{100 * _float(message['score']):.0f}",
            why=why,
        )
        for line in _wrapped(head, WIDTH):
            self._line((line, style))
        for each in _list(message["found"]):
            assert isinstance(each, Mapping)
            name = self._texts(f"fieldwork.quantity.{each['quantity']}")
            scale = "" if each["scale"] == 1.0 else f" x{each['scale']:g}"
            kind = f"{each['type']} {each['order']}{scale}"
            value = f"{shown(each['value'])} {unit(each['unit'])}"
            self._line((_row(_COLUMNS["candidate"], [name, str(each["address"]), kind, value]), style))

    def _drafted(self, message: Message) -> None:
        self._say(self._texts(f"fieldwork.draft.{message['state']}", path=message["path"]))

    def _node(self, message: Message) -> None:
        depth = int(_float(message["depth"]))
        bad = message["status"] not in ("", "Good")
        marks = ("*" if message["writable"] else "") + ("!" if bad else "")
        value = "" if message["value"] is None else str(message["value"])
        shown_ = " ".join(part for part in (value, str(message["unit"] or "")) if part)
        if bad:
            shown_ = f"{shown_} {message['status']}".strip()
        left = "  " * depth + str(message["name"]) + marks
        row = _row(_COLUMNS["node"], [left, str(message["type"] or ""), shown_])
        self._line((_cut(row, WIDTH), "yellow" if bad else ""))
        lines = [str(message["node"])] if message["class"] != "Variable" else []
        for line in [*lines, *map(str, _list(message["lines"]))]:
            text = "  " * depth + "  " + line  # of what is to be pasted only the comment may be cut
            self._line((_cut(text, WIDTH) if line.startswith("[") else text, "dim"))

    def _requested(self, message: Message) -> None:
        for text, style in show_requests.lines(message, self._texts):
            for line in _wrapped(text, WIDTH):
                self._line((line, style))

    def _note(self, message: Message) -> None:
        if str(message) in self._noted:
            return
        self._noted.add(str(message))
        values: Any = message["values"]
        self._say(self._texts(f"fieldwork.note.{message['code']}", **values), "yellow")

    def _error(self, message: Message) -> None:
        values: Any = message["values"]
        code = message["code"]
        self._say(self._texts(f"fieldwork.error.{code}", **values), "bold red")
        remedy = f"fieldwork.error.{code}.remedy"
        if remedy in self._texts:
            self._say("  " + self._texts(remedy, **values), "")


def _float(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def _row(columns: tuple[int, ...], cells: list[str]) -> str:
    """Cells in columns; negative widths to the right. What is too long pushes the rest, nothing is hidden."""
    parts = []
    for width, cell in zip(columns, cells, strict=True):
        blank = " " * max(0, abs(width) - cell_len(cell))
        parts.append(blank + cell if width < 0 else cell + blank)
    return " ".join(parts).rstrip()


def _cut(text: str, width: int) -> str:
    """The text, or as much as fits and an ellipsis."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells; Chinese breaks anywhere but before its punctuation, English at spaces.

    Lines after the first are indented as the first; what is wider than a line is cut into lines.
    """
    indent = text[: len(text) - len(text.lstrip())]
    lines = [indent]
    for piece in _PIECES.findall(text.lstrip()):
        if cell_len(lines[-1] + piece.rstrip()) > width and lines[-1] != indent:
            lines.append(indent)
        lines[-1] += piece
        while cell_len(lines[-1].rstrip()) > width:
            kept = set_cell_size(lines[-1], width).rstrip()
            lines[-1:] = [kept, indent + lines[-1][len(kept) :]]
    return [line.rstrip() for line in lines]


def shown(value: object) -> str:
    """A number with as many digits as help."""
    if value is None:
        return "-"
    number = _float(value)
    return f"{number:.0f}" if number == int(number) and abs(number) < 1e15 else f"{number:.6g}"


def sane(value: object) -> str:
    """A float that a meter may show; anything else is a dot."""
    if value is None:
        return "."
    number = _float(value)
    return f"{number:.6g}" if number == 0 or 1e-3 <= abs(number) <= 1e9 else "."


def unit(value: object) -> str:
    """A unit as people write it."""
    return _UNITS.get(str(value), str(value))


def duration(seconds: float) -> str:
    """A short time: 4.2 s, 3 min, 2 h."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5940 else f"{seconds / 3600:.1f} h"


_COLUMNS: dict[str, tuple[int, ...]] = {
    "value": (25, -11, 5, 14, 11, -7),
    "wide_value": (38, -11, 5, 14, -7),
    "found": (6, 16, 26, 28),
    "meters": (18, 16, 14, 28),
    "frame": (12, -13, 1, 18, 20),
    "place": (-6, -6, -14, -14, -14, -14),
    "candidate": (22, -6, 22, -18),
    "node": (40, 9, 29),
}
_NAMES: dict[str, tuple[str, ...]] = {
    "value": ("register", "value", "unit", "quality", "raw", "age"),
    "wide_value": ("register", "value", "unit", "quality", "age"),
    "found": ("place", "device", "answer", "profile"),
    "meters": ("number", "device", "answer", "profile"),
    "place": ("address", "word", "abcd", "cdab", "badc", "dcba"),
}
_SHOWS: dict[str, Callable[[Printer, Message], None]] = {
    "way": Printer._way,
    "progress": Printer._on_progress,
    "device": Printer._device,
    "value": Printer._value,
    "found": Printer._on_found,
    "like": Printer._like,
    "proposal": Printer._proposal,
    "written": Printer._written,
    "frame": Printer._frame,
    "place": Printer._place,
    "candidate": Printer._candidate,
    "drafted": Printer._drafted,
    "node": Printer._node,
    "note": Printer._note,
    "error": Printer._error,
    **dict.fromkeys(show_requests.KINDS, Printer._requested),
}
