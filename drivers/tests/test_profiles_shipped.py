"""Every Modbus profile that ships keeps the rules of its maker's table and of the protocol."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers import FailSafe, Unit, convert, load_profile
from drivers.modbus.profile import ModbusProfile, ModbusRegister
from drivers.modbus.registers import encode, plan, span

FOLDER = Path(__file__).parents[2] / "config" / "profiles"


def _modbus() -> Iterator[ModbusProfile]:
    for path in sorted(FOLDER.glob("*.toml")):
        if 'protocol = "modbus"' in path.read_text(encoding="utf-8"):  # a broken file fails its own test only
            profile = load_profile(path)
            assert isinstance(profile, ModbusProfile)
            yield profile


SHIPPED = {profile.profile.id: profile for profile in _modbus()}
each = pytest.mark.parametrize("profile", SHIPPED.values(), ids=SHIPPED.keys())


def named(name: str) -> ModbusProfile:
    """One that ships."""
    return SHIPPED[name]


def first_number(documented: str) -> int:
    """The number a maker's table prints, in front of what it says about bits and words."""
    return int(documented.split(",", maxsplit=1)[0].split(" ", maxsplit=1)[0], 0)


def as_printed(documented: str) -> int:
    """Tables of wire addresses."""
    return first_number(documented)


def counted_from_1(documented: str) -> int:
    """Tables of register numbers."""
    return first_number(documented) - 1


def holding_40001(documented: str) -> int:
    """Modicon's numbers of holding registers."""
    return first_number(documented) - 40001


def trovis(documented: str) -> int:
    """HR40001 is the first holding register, CL1 the first coil."""
    kind, number = documented[:2], documented[2:]
    return holding_40001(number) if kind == "HR" else counted_from_1(number)


def danfoss(documented: str) -> int:
    """Parameter n-nn lives in register n-nn x 10; words of the profile have numbers of their own."""
    group, _, rest = documented.partition("-")
    if rest.isdigit() and group.isdigit():
        return int(group + rest) * 10 - 1
    return counted_from_1(documented)


WIRE: dict[str, Callable[[str], int]] = {
    "abb_acs550": holding_40001,
    "belimo_mod": counted_from_1,
    "belimo_uk24mod": counted_from_1,
    "danfoss_ecl_110": as_printed,
    "danfoss_ecl_310": as_printed,
    "danfoss_fc": danfoss,
    "diehl_sharky_775": as_printed,
    "kamstrup_multical_603": as_printed,
    "oventrop_aktor_m_st_l": as_printed,
    "runa_heat_meter": as_printed,
    "samson_trovis_557x": trovis,
    "siemens_acvatix_mo": counted_from_1,
    "siemens_rdf302": as_printed,
    "sokol_m": as_printed,
    "sontex_supercal_5": as_printed,
    "tuf_2000": counted_from_1,
    "twoflow_mag_11": counted_from_1,
    "vacon_10": as_printed,
    "veda_vf51": as_printed,
}
"""How each table prints what is on the wire."""


def test_every_map_that_ships_is_listed_here_and_only_those() -> None:
    assert set(SHIPPED) == set(WIRE)


@each
def test_the_wire_address_follows_from_the_documented_one_by_the_rule_of_its_table(
    profile: ModbusProfile,
) -> None:
    rule = WIRE[profile.profile.id]
    wrong = {name: r.documented for name, r in profile.registers.items() if rule(r.documented) != r.address}
    assert wrong == {}


@each
def test_the_source_is_named_and_every_register_says_where_it_is_documented(profile: ModbusProfile) -> None:
    assert len(profile.profile.source) > 10
    assert profile.profile.maker
    assert profile.profile.model
    assert all(register.documented for register in profile.registers.values())


@each
def test_no_two_registers_share_words_except_bits_of_one_word(profile: ModbusProfile) -> None:
    shared = [
        (one, two)
        for (one, a), (two, b) in itertools.combinations(profile.registers.items(), 2)
        if _overlap(a, b) and not _bits_of_one_word(a, b)
    ]
    assert shared == []


def _overlap(a: ModbusRegister, b: ModbusRegister) -> bool:
    one, two = span(a), span(b)
    return one.function == two.function and one.start < two.end and two.start < one.end


def _bits_of_one_word(a: ModbusRegister, b: ModbusRegister) -> bool:
    return a.bit is not None and b.bit is not None and a.bit != b.bit and a.address == b.address


@each
def test_every_value_is_planned_whole_into_one_request_the_device_bears(profile: ModbusProfile) -> None:
    spans = [span(register) for register in profile.registers.values()]
    blocks = plan(spans, profile.modbus.max_registers, profile.modbus.merge_holes)
    assert max(block.count for block in blocks) <= profile.modbus.max_registers
    for item in spans:
        inside = [
            b for b in blocks if b.function == item.function and b.start <= item.start and item.end <= b.end
        ]
        assert len(inside) == 1, item


@each
def test_whatever_may_be_written_fits_into_its_register(profile: ModbusProfile) -> None:
    for name, register in profile.registers.items():
        if register.write is not None:
            for value in _writable(register):
                assert len(encode(register, value)) == register.width, (name, value)


def _writable(register: ModbusRegister) -> list[float]:
    write = register.write
    assert write is not None
    if write.function == 5:
        return [0, 1]
    if write.states:
        return list(write.states)
    assert write.low is not None
    assert write.high is not None
    return [write.low, (write.low + write.high) / 2, write.high]


@each
def test_a_fail_safe_rule_tells_why_and_expects_what_its_register_can_hold(profile: ModbusProfile) -> None:
    for rule in profile.fail_safe:
        register = profile.registers[rule.register_]
        assert len(rule.why.zh) > 5
        assert len(rule.why.en) > 10
        assert any(_holds(register, value) for value in _expected(rule)), rule.register_


def _expected(rule: FailSafe) -> tuple[float, ...]:
    return rule.one_of or tuple(limit for limit in (rule.low, rule.high) if limit is not None)


def _holds(register: ModbusRegister, value: float) -> bool:
    return (register.low is None or register.low <= value) and (
        register.high is None or value <= register.high
    )


def test_the_actuators_whose_setpoint_can_expire_all_have_a_fail_safe_rule() -> None:
    with_rules = {name for name, profile in SHIPPED.items() if profile.fail_safe}
    assert with_rules == {
        "belimo_mod",
        "belimo_uk24mod",
        "oventrop_aktor_m_st_l",
        "samson_trovis_557x",
        "siemens_acvatix_mo",
    }


@pytest.mark.parametrize(
    ("profile", "register", "off", "safe"),
    [
        ("siemens_acvatix_mo", "backup_mode", 2, 0),
        ("oventrop_aktor_m_st_l", "bus_failure_function", 0, 3),
        ("belimo_mod", "bus_fail_position", 0, 1),
    ],
)
def test_a_valve_that_does_nothing_when_its_controller_dies_is_warned_of(
    profile: str, register: str, off: float, safe: float
) -> None:
    rule = next(rule for rule in named(profile).fail_safe if rule.register_ == register)
    assert not rule.accepts(off)
    assert rule.accepts(safe)


CYCLIC = {"setpoint", "override", "command"}


@pytest.mark.parametrize(
    "name", ["belimo_mod", "belimo_uk24mod", "oventrop_aktor_m_st_l", "siemens_acvatix_mo"]
)
def test_an_actuators_parameters_have_a_budget_of_writes_and_its_setpoint_has_none(name: str) -> None:
    for register, description in named(name).registers.items():
        if description.write is not None:
            assert (description.write.per_day is None) == (register in CYCLIC), register


def test_a_command_that_clears_itself_is_not_read_back() -> None:
    for name, profile in SHIPPED.items():
        for register, description in profile.registers.items():
            if register == "command" and description.write is not None:
                assert description.write.read_back is False, name


METERS = {
    "diehl_sharky_775": ("energy", "power", "flow", "temperature_flow", "temperature_return"),
    "kamstrup_multical_603": ("energy_e1", "power", "flow_v1", "temperature_t1", "temperature_t2"),
    "runa_heat_meter": ("heat_energy", "power", "flow", "temperature_flow", "temperature_return"),
    "sontex_supercal_5": ("energy", "power", "flow", "temperature_flow", "temperature_return"),
    "tuf_2000": ("positive_energy", "heat_power", "flow", "temperature_flow", "temperature_return"),
}


@pytest.mark.parametrize("name", METERS)
def test_a_heat_meters_values_convert_to_the_units_of_a_station(name: str) -> None:
    units = (Unit.KILOWATT_HOUR, Unit.KILOWATT, Unit.CUBIC_METRE_PER_HOUR, Unit.CELSIUS, Unit.CELSIUS)
    for register, unit in zip(METERS[name], units, strict=True):
        assert convert(1.0, named(name).registers[register].unit, unit) > 0


@each
def test_what_counts_up_for_ever_is_marked_as_a_totaliser(profile: ModbusProfile) -> None:
    words = ("heat_energy", "cooling_energy", "energy_e1", "energy_a1", "volume_v1", "travel_total")
    for name, register in profile.registers.items():
        assert (name in words or name in {"energy", "volume"}) <= (register.total is not None), name


@pytest.mark.parametrize(
    ("profile", "register", "rolls_over"),
    [
        ("abb_acs550", "energy", "65536"),
        ("runa_heat_meter", "heat_energy", "42949672.96"),
        ("runa_heat_meter", "volume", "4294967296"),
        ("tuf_2000", "positive_energy", "2147483648"),
    ],
)
def test_a_totaliser_rolls_over_where_its_register_ends(profile: str, register: str, rolls_over: str) -> None:
    total = named(profile).registers[register].total
    assert total is not None
    assert str(total.rolls_over) == rolls_over


def test_an_absent_sensor_of_the_trovis_has_its_mark_on_every_temperature() -> None:
    for name, register in named("samson_trovis_557x").registers.items():
        if register.unit is Unit.CELSIUS:
            assert register.sentinels == {0x7FFF}, name


def test_the_trovis_opens_for_writing_with_the_code_of_its_maker_and_gives_each_output_a_level() -> None:
    registers = named("samson_trovis_557x").registers
    access = registers["write_access"]
    assert (access.documented, access.address) == ("HR40145", 144)
    assert encode(access, 1) == (1732,)
    assert encode(access, 0) == (0,)
    levels = {name for name, r in registers.items() if name.endswith("_level") and r.write is not None}
    commanded = {
        name
        for name, r in registers.items()
        if r.write is not None and not name.endswith("_level") and r.write.per_day is None
    }
    assert {f"{name}_level" for name in commanded - {"write_access"}} <= levels


def test_the_trovis_ships_all_that_its_source_describes() -> None:
    kinds = Counter(register.documented[:2] for register in named("samson_trovis_557x").registers.values())
    assert kinds == {"HR": 327 - 20 - 6, "CL": 267 - 1}  # without test registers, programmes, the unknown one
