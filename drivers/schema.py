"""The JSON Schema of device profiles, made from their models: `python -m drivers.schema` renews the file.

Draft 2020-12. `profile.protocol` chooses the model. A schema cannot say all: rules between keys (a coil takes
no scale, a state needs unit "state") are checked when the profile is loaded.
"""

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from drivers.profile import MODELS

SCHEMA_FILE = Path(__file__).parents[1] / "config" / "schemas" / "profile.schema.json"
"""Where the schema lies in a checkout; profiles name it in their first line, from their own folder."""

SCHEMA_LINE = "#:schema ../schemas/profile.schema.json"
"""The first line of every profile that ships: editors of TOML then check and explain while one types."""


def profile_schema() -> dict[str, Any]:
    """The schema of a profile of any protocol, as plain data."""
    refs, shared = models_json_schema([(model, "validation") for model in MODELS.values()])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Device profile",
        "description": "What a field device has to read and to write, and where: see docs/profiles.md.",
        "type": "object",
        "required": ["profile"],
        "properties": {"profile": _header()},
        "allOf": [
            {"if": _speaks(protocol), "then": refs[model, "validation"]} for protocol, model in MODELS.items()
        ],
        "$defs": shared["$defs"],
    }


def _header() -> dict[str, Any]:
    choice = {"enum": sorted(MODELS)}
    return {"type": "object", "required": ["protocol"], "properties": {"protocol": choice}}


def _speaks(protocol: str) -> dict[str, Any]:
    header = {"required": ["protocol"], "properties": {"protocol": {"const": protocol}}}
    return {"required": ["profile"], "properties": {"profile": header}}


def render() -> str:
    """The schema as the text of its file."""
    return json.dumps(profile_schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the schema's file."""
    SCHEMA_FILE.parent.mkdir(exist_ok=True)
    SCHEMA_FILE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
