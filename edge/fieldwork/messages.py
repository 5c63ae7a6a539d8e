"""What passes between the tools and whoever shows it: plain messages, one JSON object a line on the socket.

A message is {"kind": ..., more}: `way` (through the service or directly), `progress`, `found`, `value`,
`proposal`, `frame`, `candidate`, `text`, `node`, `note`, `done`, `error`. Notes and errors carry a code of
the text catalogue (`fieldwork.note.<code>`, `fieldwork.error.<code>`) and the values its text names.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any, TypeAlias

from edge.records import Plain

Message: TypeAlias = dict[str, Plain]
Stream: TypeAlias = AsyncGenerator[Message, None]
Request: TypeAlias = Mapping[str, Any]


class FieldworkError(Exception):
    """What a technician asked for cannot be done; `code` is a key of the catalogue below fieldwork.error."""

    def __init__(self, code: str, **values: str | int | float) -> None:
        self.code = code
        self.values = values
        super().__init__(f"{code} {values}")

    def message(self) -> Message:
        """The error as it travels."""
        return {"kind": "error", "code": self.code, "values": dict(self.values)}


def note(code: str, **values: str | int | float) -> Message:
    """Something a technician should know."""
    return {"kind": "note", "code": code, "values": dict(values)}


def encode(message: Message) -> bytes:
    """One line."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


_OPTIONS = {"unit": "--unit", "first": "--from", "last": "--to", "for_s": "--for", "wait_s": "--wait"}


def bad(name: str, given: object) -> FieldworkError:
    """An argument that cannot be, by the name it has on the command line."""
    return FieldworkError("bad_argument", name=_OPTIONS.get(name, name), given=str(given)[:60])


class Asked:
    """A request's arguments, each taken with its type; FieldworkError `bad_argument` where one is wrong."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def text(self, name: str, otherwise: str | None = None) -> str:
        """A word; required where there is no `otherwise`."""
        value = self._request.get(name)
        value = otherwise if value is None else value
        if not isinstance(value, str):
            raise bad(name, repr(value)[:40])
        return value

    def number(self, name: str, low: float, high: float, otherwise: float | None = None) -> float:
        """A finite number from `low` to `high`."""
        value = self._request.get(name)
        value = otherwise if value is None else value
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise bad(name, f"{repr(value)[:30]} ({low:g} … {high:g})")

    def whole(self, name: str, low: int, high: int, otherwise: int | None = None) -> int:
        """A whole number from `low` to `high`."""
        value = self.number(name, low, high, otherwise)
        if value != int(value):
            raise bad(name, value)
        return int(value)

    def flag(self, name: str) -> bool:
        """True where it says so."""
        return self._request.get(name) is True

    def has(self, name: str) -> bool:
        """True when the argument was given."""
        return self._request.get(name) is not None

    def choice(self, name: str, known: tuple[str, ...], otherwise: str | None = None) -> str:
        """One of the words known."""
        value = self.text(name, otherwise)
        if value not in known:
            raise bad(name, f"{value[:20]} ({', '.join(known)})")
        return value
