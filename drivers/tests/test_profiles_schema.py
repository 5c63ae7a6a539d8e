"""The JSON Schema of profiles is current, is right about what ships, and refuses what the loader refuses."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from drivers import ConfigurationError
from drivers.profile import MODELS, parse_profile
from drivers.schema import SCHEMA_FILE, SCHEMA_LINE, profile_schema, render
from drivers.units import Unit

SHIPPED = sorted((Path(__file__).parents[2] / "config" / "profiles").glob("*.toml"))

GOOD = """
[profile]
id = "thing"
maker = "maker"
model = "model"
protocol = "modbus"
source = "manual"
confidence = "vendor"

[modbus]
gap_s = 0.005

[[fail_safe]]
register = "valve"
one_of = [0]
why = { zh = "阀", en = "valve" }

[registers.temperature]
function = 3
address = 4
documented = "5"
type = "i16"
scale = 0.1
unit = "degC"
total = {}

[registers.valve]
function = 3
address = 5
documented = "6"
type = "u16"
unit = "%"
write = { low = 0, high = 100 }

[registers.pump]
function = 3
address = 6
documented = "7"
type = "u16"
unit = "state"
write = { states = { 0 = 0x043C, 1 = 0x047C } }
"""


def problems(data: Mapping[str, Any]) -> list[str]:
    """What the independent validator finds."""
    return [error.message for error in Draft202012Validator(profile_schema()).iter_errors(data)]


def test_the_committed_schema_is_that_of_the_models() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == render(), "run: python -m drivers.schema"


def test_the_schema_is_itself_valid_and_knows_every_protocol() -> None:
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]["profile"]["properties"]["protocol"]["enum"]) == set(MODELS)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_profile_names_the_schema_and_satisfies_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0] == SCHEMA_LINE
    assert (path.parent / SCHEMA_LINE.removeprefix("#:schema ")).resolve() == SCHEMA_FILE.resolve()
    assert problems(tomllib.loads(text)) == []


def test_the_sample_is_right_for_both() -> None:
    data = tomllib.loads(GOOD)
    assert problems(data) == []
    parse_profile(data, "sample")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("scale = 0.1", "scael = 0.1"),
        ('unit = "degC"', 'unit = "°C"'),
        ('unit = "degC"', ""),
        ("address = 4", "address = 65536"),
        ("address = 4", "address = 4.5"),
        ("function = 3", "function = 7"),
        ('type = "i16"', 'type = "i17"'),
        ('type = "i16"', 'type = "i16"\norder = "BACD"'),
        ('type = "i16"', 'type = "i16"\nbit = 16'),
        ('type = "i16"', 'type = "i16"\nrefresh_s = 0'),
        ('type = "i16"', 'type = "i16"\nsentinels = [-1]'),
        ('type = "i16"', 'type = "i16"\nconfidence = "sure"'),
        ("total = {}", "total = { rolls_over = 0 }"),
        ("total = {}", "total = { rolls = 100 }"),
        ("gap_s = 0.005", "gap_s = -1"),
        ("gap_s = 0.005", "max_registers = 126"),
        ("gap_s = 0.005", "gap = 0.005"),
        ("{ low = 0, high = 100 }", "{ low = 0, high = 100, per_day = 0 }"),
        ("{ low = 0, high = 100 }", "{ low = 0, high = 100, function = 3 }"),
        ("0x047C", "0x1047C"),
        ("0 = 0x043C", "off = 0x043C"),
        ('why = { zh = "阀", en = "valve" }', ""),
        ('why = { zh = "阀", en = "valve" }', 'why = { en = "valve" }'),
        ('register = "valve"', ""),
        ('id = "thing"', 'id = "My Thing"'),
        ('source = "manual"', 'source = ""'),
        ('source = "manual"', ""),
        ('confidence = "vendor"', 'confidence = "certain"'),
        ('protocol = "modbus"', 'protocol = "bacnet"'),
        ('protocol = "modbus"', ""),
        ('protocol = "modbus"', 'protocol = "opcua"'),
    ],
)
def test_what_the_loader_refuses_the_schema_refuses_while_one_types(old: str, new: str) -> None:
    assert old in GOOD
    data = tomllib.loads(GOOD.replace(old, new, 1))
    assert problems(data)
    with pytest.raises(ConfigurationError, match="sample"):
        parse_profile(data, "sample")


def test_a_profile_without_registers_or_header_is_refused_by_both() -> None:
    header = {"profile": tomllib.loads(GOOD)["profile"]}
    for data in ({}, header, header | {"registers": {}}):
        assert problems(data)
        with pytest.raises(ConfigurationError):
            parse_profile(data, "sample")


def test_the_schema_explains_every_key_of_a_modbus_register_and_lists_the_units() -> None:
    definitions = profile_schema()["$defs"]
    assert set(definitions["Unit"]["enum"]) == {unit.value for unit in Unit}
    unexplained = list(_unexplained(definitions["ModbusRegister"]["properties"]))
    unexplained += _unexplained(definitions["ModbusWrite"]["properties"])
    unexplained += _unexplained(definitions["ModbusOptions"]["properties"])
    assert unexplained == []


def _unexplained(properties: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    return (name for name, schema in properties.items() if not schema.get("description"))


Table = dict[str, Any]
SMALL = [path for path in SHIPPED if path.stat().st_size < 10_000]


def tables(node: object) -> Iterator[Table]:
    """Every table of a profile, itself included."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from tables(item)


@settings(max_examples=100, deadline=None)
@given(choice=st.data())
def test_whatever_key_is_lost_or_misspelt_the_schema_says_nothing_the_loader_does_not_say(
    choice: st.DataObject,
) -> None:
    data = tomllib.loads(choice.draw(st.sampled_from(SMALL)).read_text(encoding="utf-8"))
    table = choice.draw(st.sampled_from([table for table in tables(data) if table]))
    key = choice.draw(st.sampled_from(sorted(table)))
    value = table.pop(key)
    if choice.draw(st.booleans()):
        table[f"{key}_"] = value
    if problems(data):
        with pytest.raises(ConfigurationError):
            parse_profile(data, "changed")


GUIDE = (SCHEMA_FILE.parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "model", ["Header", "ModbusOptions", "ModbusRegister", "ModbusWrite", "FailSafe", "Totaliser", "Text"]
)
def test_the_guide_explains_every_key_an_engineer_may_write(model: str) -> None:
    keys = profile_schema()["$defs"][model]["properties"]
    assert [key for key in keys if not re.search(rf"[`.{{ ]{key}\b[^\n]*`", GUIDE)] == []


def test_the_guide_lists_every_unit() -> None:
    assert [unit.value for unit in Unit if f"`{unit.value}`" not in GUIDE] == []


def test_the_guide_lists_every_profile_that_ships() -> None:
    families = [line.split("|")[1] for line in GUIDE.splitlines() if line.startswith("| `")]
    listed = {name for cell in families for name in re.findall(r"`([a-z0-9_]+\*?)`", cell)}
    missing = [
        path.stem
        for path in SHIPPED
        if path.stem not in listed and path.stem.split("_")[0] + "_*" not in listed
    ]
    assert missing == []


def test_the_example_of_the_guide_is_right_for_both() -> None:
    example = GUIDE.split("```toml\n")[1].split("```")[0]
    assert problems(tomllib.loads(example)) == []
    parse_profile(tomllib.loads(example), "guide")


def test_the_wheel_carries_the_schema_and_every_profile(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=SCHEMA_FILE.parents[2], check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert "edge/_config/schemas/profile.schema.json" in names
    assert {f"edge/_config/profiles/{path.name}" for path in SHIPPED} <= names
