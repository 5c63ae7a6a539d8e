"""Loads a regulation pack: one document as data, checked, refused with file, key, reason and remedy.

Reads the pack's file and nothing else; no clock. `load_pack` -> Pack; `Pack.bind` adds the site's parameters.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge.resources import config_dir
from edge.rules.checks import pack_problems
from edge.rules.model import Pack, required_parameters
from edge.rules.problems import NotInForceError, PackError, Problem

__all__ = [
    "NotInForceError",
    "Pack",
    "PackError",
    "Problem",
    "load_pack",
    "pack_path",
    "parse_pack",
    "required_parameters",
]


def pack_path(id_or_path: str | Path) -> Path:
    """The file of a pack: a path as it is, an id looked up among the packs that are shipped."""
    if isinstance(id_or_path, Path) or id_or_path.endswith(".toml"):
        return Path(id_or_path)
    return config_dir() / "regulations" / f"{id_or_path}.toml"


def load_pack(id_or_path: str | Path) -> Pack:
    """Read and check a pack by id (`<city>-<year>`) or by its file's path; PackError when it is refused."""
    path = pack_path(id_or_path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        shipped = ", ".join(sorted(found.stem for found in (config_dir() / "regulations").glob("*.toml")))
        raise PackError(str(path), (Problem("file", str(error), f"name one of: {shipped}"),)) from error
    except tomllib.TOMLDecodeError as error:
        raise PackError(str(path), (Problem("file", str(error), "write it as TOML"),)) from error
    return parse_pack(raw, str(path))


def parse_pack(raw: Mapping[str, Any], file: str) -> Pack:
    """Check a pack that was read already; `file` is named in the errors."""
    if "values" in raw:
        problem = Problem("values", "a pack has no values of its own", "bind them in the site's file")
        raise PackError(file, (problem,))
    try:
        pack = Pack.model_validate(raw)
    except ValidationError as error:
        raise PackError(file, tuple(_translate(error))) from error
    problems = tuple(pack_problems(pack))
    if problems:
        raise PackError(file, problems)
    return pack


_REMEDIES = {
    "missing": "add it as the text says, or declare the topic in `silent` where the text says nothing",
    "extra_forbidden": "remove it or correct its spelling",
    "string_pattern_mismatch": "write it in the form the pattern shows",
}


def _translate(error: ValidationError) -> Iterator[Problem]:
    for found in error.errors(include_url=False):
        key = ".".join(str(part) for part in found["loc"]) or "pack"
        remedy = _REMEDIES.get(found["type"], "correct the value")
        if key.endswith("clause"):
            remedy = "cite the clause as <place>-<article>, as ZY-35 or ZB-2.4"
        yield Problem(key, found["msg"], remedy)
