"""Profiles are data; a wrong one is refused with the file, the key and what to do."""

from pathlib import Path

import pytest

from drivers import ConfigurationError, Profile, Unit, load_profile
from drivers.modbus.profile import ModbusProfile
from drivers.opcua.profile import OpcUaProfile

SHIPPED = sorted((Path(__file__).parents[2] / "config" / "profiles").glob("*.toml"))

GOOD = """
[profile]
id = "thing"
maker = "maker"
model = "model"
protocol = "modbus"
source = "manual"
confidence = "vendor"

[registers.temperature]
function = 3
address = 4
documented = "5"
type = "i16"
scale = 0.1
unit = "degC"
"""


def load(tmp_path: Path, text: str) -> Profile:
    path = tmp_path / "thing.toml"
    path.write_text(text, encoding="utf-8")
    return load_profile(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_profile_loads_and_is_called_like_its_file(path: Path) -> None:
    assert load_profile(path).profile.id == path.stem


def test_no_two_registers_of_a_shipped_modbus_profile_mean_the_same_place() -> None:
    for path in SHIPPED:
        profile = load_profile(path)
        if isinstance(profile, ModbusProfile):
            places = [(r.function, r.address, r.bit) for r in profile.registers.values()]
            assert len(places) == len(set(places)), path


def test_the_meters_units_that_hang_on_its_configuration_are_marked_as_assumed() -> None:
    meter = load_profile(next(p for p in SHIPPED if p.stem == "kamstrup_multical_603"))
    marked = {name for name, register in meter.registers.items() if register.unit in _CONFIGURED}
    assert marked == {"power", "energy_e1", "energy_a1", "volume_v1"}
    assert {n for n, r in meter.registers.items() if getattr(r, "confidence", None) == "assumed"} == marked


_CONFIGURED = {Unit.KILOWATT, Unit.KILOWATT_HOUR, Unit.CUBIC_METRE}


def test_the_valve_maps_the_makers_numbers_one_lower_on_the_wire() -> None:
    valve = load_profile(next(p for p in SHIPPED if p.stem == "siemens_acvatix_mo"))
    assert isinstance(valve, ModbusProfile)
    assert all(int(r.documented) == r.address + 1 for r in valve.registers.values())


def test_the_pump_stops_and_runs_with_the_bits_of_the_makers_control_word() -> None:
    pump = load_profile(next(p for p in SHIPPED if p.stem == "danfoss_fc"))
    assert isinstance(pump, ModbusProfile)
    write = pump.registers["run"].write
    idle = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 10
    assert write is not None
    assert write.states == {0: idle, 1: idle | 1 << 6}


def test_the_station_names_each_of_its_points_once() -> None:
    plc = load_profile(next(p for p in SHIPPED if p.stem == "station_plc"))
    assert isinstance(plc, OpcUaProfile)
    identifiers = [register.identifier for register in plc.registers.values()]
    assert len(identifiers) == len(set(identifiers)) == 19


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('unit = "degC"', 'unit = "°C"', ["registers.temperature.unit", "'degC'"]),
        ('unit = "degC"', "", ["registers.temperature.unit", "add it"]),
        ("scale = 0.1", "scael = 0.1", ["registers.temperature.scael", "remove it"]),
        ("scale = 0.1", "scale = 0.0", ["registers.temperature", "scale must not be 0"]),
        ("scale = 0.1", "scale = nan", ["registers.temperature.scale", "finite"]),
        ("address = 4", "address = 70000", ["registers.temperature.address", "65535"]),
        (
            'type = "i16"',
            'type = "u32"\nwrite = { low = 0, high = 1 }',
            ["registers.temperature", "function = 16"],
        ),
        ("scale = 0.1", "bit = 3", ["registers.temperature", 'unit = "state"']),
        ("scale = 0.1", "low = 5\nhigh = 5", ["registers.temperature", "below high"]),
        ("scale = 0.1", "sentinels = [65536]", ["registers.temperature", "wider"]),
        (
            "scale = 0.1",
            "write = { function = 6 }",
            ["registers.temperature.write", "low below high, or states"],
        ),
        ("function = 3", "function = 4\nwrite = { low = 0, high = 1 }", ["function 4", "cannot be written"]),
        ('protocol = "modbus"', 'protocol = "bacnet"', ["profile.protocol", "modbus"]),
        ("[profile]", "[profile", ["not TOML", "line"]),
    ],
)
def test_a_wrong_profile_is_refused_with_file_key_and_remedy(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    message = str(caught.value)
    assert "thing.toml" in message
    for word in words:
        assert word in message


def test_all_problems_of_a_profile_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, GOOD.replace('unit = "degC"', "").replace("address = 4", "address = -1"))
    assert len(str(caught.value).splitlines()) == 2


def test_a_value_too_wide_for_one_request_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace('type = "i16"', 'type = "u32"') + "\n[modbus]\nmax_registers = 1\n"
    with pytest.raises(ConfigurationError, match="max_registers"):
        load(tmp_path, text)


def test_a_profile_that_is_not_there_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        load_profile(tmp_path / "nowhere.toml")
