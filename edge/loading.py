"""Reads a site file into the models of `edge.site`, and says of each fault: where it is and what to do.

A fault is a Problem: file, key, a code of the text catalogue (`check.<code>`, remedy `check.<code>.remedy`)
and the values its text names. All faults of a file are told at once, not the first only.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge import site as models
from edge.site import Site


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a configuration, in the words of the catalogue."""

    file: str
    key: str
    code: str
    values: Mapping[str, str] = field(default_factory=dict)


class SiteError(Exception):
    """A site file that cannot be used; `problems` is never empty."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.file}: {p.key}: {p.code}" for p in problems))


_KNOWN_KEYS = sorted(
    {
        found.alias or key
        for model in vars(models).values()
        if isinstance(model, type) and issubclass(model, BaseModel)
        for key, found in model.model_fields.items()
    }
)

# pydantic's error types -> our codes; what is not listed is `invalid` with pydantic's own words.
_CODES = {
    "extra_forbidden": "unknown_key",
    "unexpected_keyword_argument": "unknown_key",
    "missing": "missing_key",
    "greater_than": "too_small",
    "greater_than_equal": "too_small",
    "less_than": "too_large",
    "less_than_equal": "too_large",
    "too_short": "too_few",
    "too_long": "too_many",
    "string_pattern_mismatch": "bad_name",
    "literal_error": "not_a_choice",
    "union_tag_invalid": "not_a_choice",
    "union_tag_not_found": "missing_key",
    "float_type": "not_a_number",
    "float_parsing": "not_a_number",
    "int_type": "not_a_number",
    "int_parsing": "not_a_number",
    "int_from_float": "not_a_number",
    "season_half": "season_half",
    "tls_half": "tls_half",
    "line_end": "line_end",
    "host": "host",
    "season_order": "season_order",
    "curve_order": "curve_order",
    "curve_rising": "curve_rising",
    "limits_order": "limits_order",
}


def read_site(path: Path) -> Site:
    """The site file as frozen models; SiteError with every fault found in the file itself."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SiteError([Problem(str(path), "-", "no_file")]) from error
    except OSError as error:
        raise SiteError([Problem(str(path), "-", "unreadable", {"why": error.strerror or "?"})]) from error
    except UnicodeDecodeError as error:
        raise SiteError([Problem(str(path), f"byte {error.start}", "not_utf8")]) from error
    except tomllib.TOMLDecodeError as error:
        raise SiteError([Problem(str(path), "-", "not_toml", {"why": str(error)})]) from error
    try:
        return Site.model_validate(data)
    except ValidationError as error:
        raise SiteError([_problem(str(path), detail, data) for detail in error.errors()]) from error


def _problem(file: str, detail: ErrorDetails, data: Mapping[str, Any]) -> Problem:
    code = _CODES.get(detail["type"], "invalid")
    key, leaf = _key(detail["loc"], data)
    context = detail.get("ctx", {})
    values = {"given": _short(detail["input"]), "why": detail["msg"]}
    limit = next(
        (context[name] for name in ("gt", "ge", "lt", "le", "min_length", "max_length") if name in context),
        "",
    )
    values["limit"] = str(limit)
    values["choices"] = str(context.get("expected", context.get("expected_tags", "")))
    if detail["type"].startswith("union_tag"):
        key, leaf = f"{key}.kind", "kind"
        values["given"] = str(context.get("tag", "-"))
    if code == "unknown_key":
        near = difflib.get_close_matches(leaf, _KNOWN_KEYS, n=1)
        values["near"] = near[0] if near else "-"
    return Problem(file, key, code, values)


def _short(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else value
    return text if len(text) <= 60 else text[:57] + "..."


def _key(location: tuple[int | str, ...], data: object) -> tuple[str, str]:
    """`circuits[high].curve.maximum_c` from pydantic's location; tags of unions are left out."""
    words: list[str] = []
    here: object = data
    for step in location:
        if isinstance(step, int):
            here = here[step] if isinstance(here, list) and step < len(here) else None
            name = here.get("id", step) if isinstance(here, dict) else step
            words.append(f"[{name}]")
        elif isinstance(here, dict) and step not in here and here.get("kind") == step:
            continue
        else:
            here = here.get(step) if isinstance(here, dict) else None
            words.append(f".{step}")
    leaf = str(location[-1]) if location else ""
    return "".join(words).lstrip(".") or "-", leaf
