"""The identifier of a node as text and back: `i=1234`, `s=Name`, `g=<GUID>`, `b=<base64>`.

The forms are those of OPC 10000-6, 5.3.1.10; a text without such a beginning is a string identifier as it
stands. Pure.
"""

import base64
import binascii
from collections.abc import Callable
from uuid import UUID

Identifier = int | str | UUID | bytes


def _numeric(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= number < 2**32:
        raise ValueError(f"i={text}: a numeric identifier is a whole number from 0 to 4294967295")
    return number


def _guid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValueError(f"g={text}: a GUID looks like 09087e75-8e5e-499b-954f-f2a9603db28a") from None


def _opaque(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(f"b={text}: an opaque identifier is written in base64") from None


_FORMS: dict[str, Callable[[str], Identifier]] = {"i=": _numeric, "s=": str, "g=": _guid, "b=": _opaque}


def parse_identifier(text: str) -> Identifier:
    """What `text` means; ValueError with the remedy when it has the beginning of a form but not its rest."""
    form = _FORMS.get(text[:2])
    return text if form is None else form(text[2:])


def identifier_text(identifier: Identifier) -> str:
    """The text that `parse_identifier` reads back."""
    if isinstance(identifier, bytes):
        return "b=" + base64.b64encode(identifier).decode("ascii")
    kind = "s" if isinstance(identifier, str) else "g" if isinstance(identifier, UUID) else "i"
    return f"{kind}={identifier}"
