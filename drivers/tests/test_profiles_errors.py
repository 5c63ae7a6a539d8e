"""Every wrong key of a profile is told with the file, the key and what to do about it."""

import tomllib

import pytest

from drivers import ConfigurationError
from drivers.profile import parse_profile
from drivers.tests.test_profiles_schema import GOOD

OPCUA = """
[profile]
id = "plc"
maker = "maker"
model = "model"
protocol = "opcua"
source = "manual"
confidence = "own"

[opcua]
namespace = "urn:plc"

[registers.valve]
identifier = "Valve"
type = "Float"
unit = "%"
write = { low = 0, high = 100 }
"""


def told(text: str) -> str:
    """What the loader says about a wrong profile."""
    with pytest.raises(ConfigurationError) as caught:
        parse_profile(tomllib.loads(text), "own_meter.toml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("total = {}", "total = { rolls_over = 0 }", ["registers.temperature.total.rolls_over", "greater"]),
        ("total = {}", "total = true", ["registers.temperature.total", "{ key = value }"]),
        ("total = {}", "refresh_s = 0", ["registers.temperature.refresh_s", "greater than 0"]),
        ("total = {}", 'confidence = "sure"', ["registers.temperature.confidence", "'listed'", "use one of"]),
        ("total = {}", 'order = "little"', ["registers.temperature.order", "'CDAB'", "use one of"]),
        ('documented = "5"', "documented = 5", ["registers.temperature.documented", "in quotes"]),
        ("high = 100 }", "high = 100, per_day = 0 }", ["registers.valve.write.per_day", "1"]),
        ("high = 100 }", "high = 100, read_back = 3 }", ["registers.valve.write.read_back", "true or false"]),
        ("high = 100 }", "high = 100, interval_s = -1 }", ["registers.valve.write.interval_s"]),
        ("0 = 0x043C", "off = 0x043C", ["registers.pump.write.states.off", "integer"]),
        ("gap_s = 0.005", "turnaround_s = 11", ["modbus.turnaround_s", "10"]),
        ("gap_s = 0.005", "connections = 0", ["modbus.connections", "1"]),
        ("gap_s = 0.005", "retries = 2", ["modbus.retries", "0 or 1"]),
        ('register = "valve"', "", ["fail_safe.0.register", "add it"]),
        ('register = "valve"', 'register = "gate"', ["fail_safe", "gate", "temperature, valve, pump"]),
        ('why = { zh = "阀", en = "valve" }', 'why = { en = "valve" }', ["fail_safe.0.why.zh", "add it"]),
        ("one_of = [0]", "", ["fail_safe.0", "either one_of, or low and high"]),
        ("one_of = [0]", "one_of = [0]\nlow = 1", ["fail_safe.0", "either one_of, or low and high"]),
        ("one_of = [0]", "low = 5\nhigh = 3", ["fail_safe.0", "low 5.0 must not be above high 3.0"]),
        ('unit = "degC"', 'unit = "state"\nscale = 1.0', ["registers.temperature", "totaliser"]),
        ('unit = "%"', 'unit = "%"\nhigh = 90', ["registers.valve", "written would read as BAD"]),
    ],
)
def test_a_wrong_key_is_told_with_file_key_and_remedy(old: str, new: str, words: list[str]) -> None:
    assert old in GOOD
    text = GOOD.replace("scale = 0.1\n", "") if "scale" in new else GOOD
    message = told(text.replace(old, new, 1))
    for word in ("own_meter.toml", *words):
        assert word in message


def test_a_range_to_write_that_nothing_fits_is_refused_behind_opc_ua_too() -> None:
    message = told(OPCUA.replace("high = 100", "high = 0"))
    assert "registers.valve.write" in message
    assert "low 0.0 must be below high 0.0" in message
