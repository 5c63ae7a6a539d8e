"""What a device puts on the wire is what the driver reads: every shipped Modbus profile against a slave.

Two proofs. A table written by hand from the makers' tables (words as they stand on the wire, and what they
mean) holds the profiles to their sources. Numbers drawn at random, laid onto the wire here without the
driver's codec, hold the driver to the profiles, in every register of every one.
"""

import math
import random
import struct
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from fractions import Fraction

import pytest

from drivers import DeviceSetting, Driver, ModbusTcpBus, Point, Quality, Reading, Reason, Unit, open_driver
from drivers.modbus.profile import ModbusProfile, ModbusRegister
from drivers.modbus.registers import Span, plan, span
from drivers.tests.slaves import Slave, serve_tcp
from drivers.tests.test_profiles_shipped import SHIPPED

UNIT = 7


@asynccontextmanager
async def opened(slave: Slave, profile: ModbusProfile) -> AsyncIterator[Driver]:
    """A driver beside the slave, without the pauses that a real device needs."""
    swift = profile.modbus.model_copy(update={"gap_s": 0.0})
    setting = DeviceSetting("one", profile.model_copy(update={"modbus": swift}), UNIT)
    async with (
        serve_tcp(slave) as port,
        open_driver(ModbusTcpBus("127.0.0.1", port, 2.0), [setting], time.time) as driver,
    ):
        yield driver


async def readings(slave: Slave, profile: ModbusProfile, names: list[str]) -> Mapping[str, Reading]:
    """What the driver reads of these registers in their own units."""
    async with opened(slave, profile) as driver:
        return await driver.read([Point(name, "one", name, profile.registers[name].unit) for name in names])


# profile, register, function, wire address and words as the maker's table has them; what they mean
KNOWN: list[tuple[str, str, int, int, tuple[int, ...], float, Unit]] = [
    ("kamstrup_multical_603", "temperature_t1", 3, 6, (0x42AF, 0x0000), 87.5, Unit.CELSIUS),
    ("kamstrup_multical_603", "flow_v1", 3, 0, (0x449A, 0x5000), 1234.5, Unit.LITRE_PER_HOUR),
    ("kamstrup_multical_603", "volume_v1", 3, 52, (0x449A, 0x5000), 1234.5, Unit.CUBIC_METRE),
    ("sontex_supercal_5", "temperature_flow", 3, 722, (0x0000, 0x42AF), 87.5, Unit.CELSIUS),
    ("sontex_supercal_5", "energy", 3, 102, (0x5000, 0x449A), 1234.5, Unit.KILOWATT_HOUR),
    ("diehl_sharky_775", "temperature_return", 3, 54, (0x4220, 0x0000), 40.0, Unit.CELSIUS),
    ("runa_heat_meter", "flow", 3, 0, (0x0001, 0x86A0), 10.0, Unit.CUBIC_METRE_PER_HOUR),
    ("runa_heat_meter", "heat_energy", 3, 6, (0x0000, 0x04D2), 12.34, Unit.MEGAWATT_HOUR),
    ("runa_heat_meter", "temperature_return", 3, 11, (4512,), 45.12, Unit.CELSIUS),
    ("tuf_2000", "flow", 3, 0, (0x5000, 0x449A), 1234.5, Unit.CUBIC_METRE_PER_HOUR),
    ("tuf_2000", "positive_volume", 3, 8, (0x86A0, 0x0001), 100000, Unit.CUBIC_METRE),
    ("tuf_2000", "net_volume", 3, 24, (0xFFFF, 0xFFFF), -1, Unit.CUBIC_METRE),
    ("tuf_2000", "temperature_flow", 3, 32, (0x0000, 0x42AF), 87.5, Unit.CELSIUS),
    ("twoflow_mag_11", "flow", 3, 0x0400, (0xC148, 0x0000), -12.5, Unit.CUBIC_METRE_PER_HOUR),
    ("twoflow_mag_11", "monthly_cooling", 3, 0x0216, (0x0001, 0x86A0), 100.0, Unit.KILOWATT_HOUR),
    ("belimo_mod", "setpoint", 3, 0, (4321,), 43.21, Unit.PERCENT),
    ("belimo_mod", "position", 3, 4, (4321,), 43.21, Unit.PERCENT),
    ("belimo_mod", "flow", 3, 10, (0x86A0, 0x0001), 100.0, Unit.CUBIC_METRE_PER_HOUR),
    ("belimo_mod", "watchdog_triggered", 3, 104, (1 << 10,), 1, Unit.STATE),
    ("belimo_mod", "firmware", 3, 103, (302,), 3.02, Unit.ONE),
    ("belimo_uk24mod", "position", 3, 3, (4321,), 43.21, Unit.PERCENT),
    ("belimo_uk24mod", "actuator_type", 3, 11, (2,), 2, Unit.STATE),
    ("belimo_uk24mod", "flow", 3, 15, (30,), 1800, Unit.LITRE_PER_HOUR),
    ("siemens_acvatix_mo", "position", 3, 2, (4321,), 43.21, Unit.PERCENT),
    ("siemens_acvatix_mo", "backup_mode", 3, 512, (2,), 2, Unit.STATE),
    ("siemens_acvatix_mo", "backup_timeout", 3, 514, (900,), 900, Unit.SECOND),
    ("siemens_rdf302", "temperature", 4, 0x03EA, (1111,), 21.9978, Unit.CELSIUS),
    ("oventrop_aktor_m_st_l", "position", 3, 401, (4321,), 43.21, Unit.PERCENT),
    ("oventrop_aktor_m_st_l", "temperature_return", 3, 405, (0xFFF6,), -1.0, Unit.CELSIUS),
    ("oventrop_aktor_m_st_l", "valve_blocked", 3, 318, (0x0080,), 1, Unit.STATE),
    ("danfoss_ecl_310", "outdoor_temperature", 4, 10200, (0xFB50,), -12.0, Unit.CELSIUS),
    ("danfoss_ecl_310", "flow_setpoint", 4, 11253, (555,), 55.5, Unit.CELSIUS),
    ("danfoss_ecl_310", "room_setpoint_comfort", 3, 11179, (205,), 20.5, Unit.CELSIUS),
    ("danfoss_ecl_310", "heat_curve_at_minus_30", 3, 11399, (75,), 75, Unit.CELSIUS),
    ("danfoss_ecl_310", "heat_curve_at_15", 3, 11404, (28,), 28, Unit.CELSIUS),
    ("danfoss_ecl_110", "outdoor_temperature", 4, 11200, (0xFF88,), -12.0, Unit.CELSIUS),
    ("danfoss_ecl_110", "room_setpoint", 3, 11179, (20,), 20, Unit.CELSIUS),
    ("samson_trovis_557x", "outdoor_temperature_1", 3, 9, (0xFF88,), -12.0, Unit.CELSIUS),
    ("samson_trovis_557x", "circuit_1_valve_signal", 3, 106, (43,), 43, Unit.PERCENT),
    ("samson_trovis_557x", "circuit_2_flow_setpoint", 3, 1199, (480,), 48.0, Unit.CELSIUS),
    ("samson_trovis_557x", "circuit_1_mode", 3, 105, (5,), 5, Unit.STATE),
    ("samson_trovis_557x", "circuit_1_pump", 1, 56, (1,), 1, Unit.STATE),
    ("samson_trovis_557x", "circuit_1_valve_signal_level", 1, 89, (1,), 1, Unit.STATE),
    ("abb_acs550", "output_frequency", 3, 102, (352,), 35.2, Unit.HERTZ),
    ("abb_acs550", "energy", 3, 114, (65535,), 65535, Unit.KILOWATT_HOUR),
    ("abb_acs550", "reference_1", 3, 1, (10000,), 50.0, Unit.PERCENT),
    ("danfoss_fc", "reference", 3, 50009, (0x2000,), 50.0, Unit.PERCENT),
    ("danfoss_fc", "run", 3, 49999, (0x047C,), 1, Unit.STATE),
    ("danfoss_fc", "running", 3, 50199, (1 << 11,), 1, Unit.STATE),
    ("danfoss_fc", "output_frequency", 3, 16129, (352,), 35.2, Unit.HERTZ),
    ("danfoss_fc", "energy", 3, 15019, (0x0001, 0x86A0), 100000, Unit.KILOWATT_HOUR),
    ("veda_vf51", "output_frequency", 3, 0x2101, (3520,), 35.2, Unit.HERTZ),
    ("veda_vf51", "fault", 4, 8194, (1 << 4,), 1, Unit.STATE),
    ("vacon_10", "output_frequency", 4, 2103, (3520,), 35.2, Unit.HERTZ),
    ("vacon_10", "fault", 4, 2100, (1 << 3,), 1, Unit.STATE),
    ("vacon_10", "speed_setpoint", 3, 2002, (7000,), 70.0, Unit.PERCENT),
    ("sokol_m", "outdoor_temperature", 3, 3, (0xFB50,), -12.0, Unit.CELSIUS),
    ("sokol_m", "wind_speed", 3, 6, (512,), 5.12, Unit.METRE_PER_SECOND),
]


def test_every_shipped_map_is_in_the_table() -> None:
    assert {row[0] for row in KNOWN} == set(SHIPPED)


@pytest.mark.parametrize("row", KNOWN, ids=lambda row: f"{row[0]}-{row[1]}")
async def test_the_words_of_the_makers_table_mean_what_it_says(
    row: tuple[str, str, int, int, tuple[int, ...], float, Unit],
) -> None:
    name, register, function, address, words, value, unit = row
    slave = Slave()
    slave.put(UNIT, address, *words, function=function)
    reading = (await readings(slave, SHIPPED[name], [register]))[register]
    assert (reading.quality, reading.unit) == (Quality.GOOD, unit)
    assert reading.value == value


MARKS = [
    ("samson_trovis_557x", "flow_temperature_1", 3, 12, (0x7FFF,), Reason.SENTINEL),
    ("belimo_uk24mod", "relative_flow", 3, 4, (0xFFFF,), Reason.SENTINEL),
    ("belimo_mod", "position", 3, 4, (0xFFFF,), Reason.SENTINEL),
    ("siemens_rdf302", "temperature", 4, 0x03EA, (0x7FFF,), Reason.SENTINEL),
    ("kamstrup_multical_603", "temperature_t2", 3, 8, (0x7FC0, 0x0000), Reason.NOT_A_NUMBER),
    ("sontex_supercal_5", "power", 3, 702, (0x0000, 0x7F80), Reason.NOT_A_NUMBER),
    ("danfoss_ecl_310", "outdoor_temperature", 4, 10200, (19200,), Reason.OUT_OF_RANGE),
    ("danfoss_fc", "run", 3, 49999, (0x043D,), Reason.OUT_OF_RANGE),
    ("sokol_m", "pressure", 3, 4, (10132,), Reason.OUT_OF_RANGE),
]


@pytest.mark.parametrize("row", MARKS, ids=lambda row: f"{row[0]}-{row[1]}")
async def test_what_the_device_has_no_value_for_is_never_a_number(
    row: tuple[str, str, int, int, tuple[int, ...], Reason],
) -> None:
    name, register, function, address, words, reason = row
    slave = Slave()
    slave.put(UNIT, address, *words, function=function)
    reading = (await readings(slave, SHIPPED[name], [register]))[register]
    assert (reading.value, reading.reason) == (None, reason)


FORMATS = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "f32": ">f", "bool": ">H"}
SWAPS = {"ABCD": (0, 1), "CDAB": (1, 0)}
"""The orders that shipped maps have: which word of a pair comes first."""


def on_the_wire(register: ModbusRegister, raw: float) -> tuple[int, ...]:
    """`raw` as words, the first on the wire first."""
    data = struct.pack(FORMATS[register.type], raw)
    words = struct.unpack(f">{len(data) // 2}H", data)
    return words if len(words) == 1 else tuple(words[n] for n in SWAPS[register.order])


def drawn(register: ModbusRegister, chance: random.Random) -> float:
    """A raw number whose value is within the register's limits, and no mark."""
    if register.type == "bool":
        return chance.randint(0, 1)
    if register.write is not None and register.write.states:
        return chance.choice(sorted(register.write.states.values()))
    low, high = _raw_range(register)
    if register.type == "f32":
        exact: float = struct.unpack(">f", struct.pack(">f", chance.uniform(float(low), float(high))))[0]
        return exact if low <= exact <= high else float(low)
    raw = chance.randint(math.ceil(low), math.floor(high))
    return raw if raw not in register.sentinels else raw - 1


def _raw_range(register: ModbusRegister) -> tuple[Fraction, Fraction]:
    bits = 16 * register.width
    lowest, highest = {
        "u": (0, 2**bits - 1),
        "i": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
        "f": (-1_000_000, 1_000_000),
    }[register.type[0]]
    scale = Fraction(repr(register.scale))
    low = lowest if register.low is None else max(lowest, Fraction(register.low) / scale)
    high = highest if register.high is None else min(highest, Fraction(register.high) / scale)
    return Fraction(low), Fraction(high)


def meaning(register: ModbusRegister, raw: float) -> float:
    """What the maker's table makes of `raw`, rounded once."""
    if register.write is not None and register.write.states:
        return next(state for state, code in register.write.states.items() if code == raw)
    if register.bit is not None:
        return int(raw) >> register.bit & 1
    return float(Fraction(raw) * Fraction(repr(register.scale)) + Fraction(repr(register.offset)))


def repeatable(seed: str) -> random.Random:
    """The same numbers in every run."""
    return random.Random(seed)  # noqa: S311 - numbers of a test are no secrets


def filled(profile: ModbusProfile, chance: random.Random) -> tuple[Slave, dict[str, float]]:
    """A slave that has every register of the profile, and what each of them means.

    Unused registers exist where the profile says that the device lets them be read along.
    """
    slave = Slave()
    slave.largest = profile.modbus.max_registers
    for block in blocks(profile):
        slave.put(UNIT, block.start, *(0 for _ in range(block.count)), function=block.function)
    expected: dict[str, float] = {}
    words: dict[tuple[int, int], float] = {}
    for name, register in profile.registers.items():
        place = register.function, register.address
        raw = words.setdefault(place, drawn(register, chance))  # bits of one word share it
        slave.put(UNIT, register.address, *on_the_wire(register, raw), function=register.function)
        expected[name] = meaning(register, raw)
    return slave, expected


def blocks(profile: ModbusProfile) -> list[Span]:
    """The requests that read the whole profile."""
    spans = [span(register) for register in profile.registers.values()]
    return plan(spans, profile.modbus.max_registers, profile.modbus.merge_holes)


@pytest.mark.parametrize("name", SHIPPED)
async def test_every_register_of_the_map_is_read_as_what_was_written_onto_the_wire(name: str) -> None:
    profile = SHIPPED[name]
    for seed in range(3):
        slave, expected = filled(profile, repeatable(f"{name} {seed}"))
        read = await readings(slave, profile, list(expected))
        assert {n: r.reason for n, r in read.items() if not r.is_good} == {}
        assert {n: r.value for n, r in read.items()} == pytest.approx(expected, rel=1e-6)
        assert len(slave.requests) == len(blocks(profile))  # nothing was refused, nothing asked twice


def settable(register: ModbusRegister) -> dict[float, tuple[int, ...]]:
    """Values that may be written, and the words they are on the wire."""
    write = register.write
    assert write is not None
    if write.function == 5:
        return {0: (0,), 1: (1,)}
    if write.states:
        return {state: (code,) for state, code in write.states.items()}
    assert write.low is not None
    assert write.high is not None
    scale = Fraction(repr(register.scale))
    limits = (write.low, write.high)
    return {value: on_the_wire(register, round(Fraction(repr(value)) / scale)) for value in limits}


WRITABLE = [name for name, p in SHIPPED.items() if any(r.write is not None for r in p.registers.values())]


@pytest.mark.parametrize("name", WRITABLE)
async def test_whatever_may_be_written_arrives_as_the_words_of_the_makers_table(name: str) -> None:
    profile = SHIPPED[name]
    slave, _ = filled(profile, repeatable(name))
    async with opened(slave, profile) as driver:
        for register, description in profile.registers.items():
            for value, words in settable(description).items() if description.write else ():
                await driver.write(Point(register, "one", register, description.unit), value)
                place = description.function, description.address
                held = [slave.words[UNIT, place[0], place[1] + n] for n in range(len(words))]
                assert tuple(held) == words, (register, value)


async def test_a_totaliser_shows_its_digits_as_the_register_has_them() -> None:
    slave = Slave()
    slave.put(UNIT, 6, 0xFFFF, 0xFFFF)
    reading = (await readings(slave, SHIPPED["runa_heat_meter"], ["heat_energy"]))["heat_energy"]
    assert reading.total is not None
    assert reading.total.number == Decimal("42949672.95")
    assert reading.total.rolls_over == reading.total.number + Decimal("0.01")
