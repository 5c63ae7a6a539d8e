"""An unknown meter's registers: is the right word order, scale and unit found among decoys?"""

import random
import struct
import tomllib

import pytest

from drivers import Unit, parse_profile
from edge.fieldwork.draft import draft
from edge.fieldwork.plausible import ORDERS, Candidate, number, rank

PLACES = {"ABCD": (0, 1, 2, 3), "CDAB": (2, 3, 0, 1), "BADC": (1, 0, 3, 2), "DCBA": (3, 2, 1, 0)}
SUPPLY, RETURN, FLOW = 83.47, 46.12, 12.345
POWER = 1.15 * FLOW * (SUPPLY - RETURN)


def put(words: dict[int, int], address: int, raw: bytes, order: str) -> None:
    """Four bytes, highest first, onto the wire in a word order."""
    wire = bytes(raw[place] for place in PLACES[order])
    words[address], words[address + 1] = struct.unpack(">HH", wire)


def wide_meter(kind: str, order: str, energy: float, flow: float = FLOW) -> dict[int, int]:
    """A meter of floats, or of integers x 0.01, with decoys: other temperatures, volumes, serial numbers."""
    words = dict.fromkeys(range(60), 0)
    power = 1.15 * flow * (SUPPLY - RETURN)
    values = {0: flow, 4: power, 6: SUPPLY, 8: RETURN, 14: SUPPLY - RETURN, 20: energy}
    values |= {30: 37.5, 32: 5.25, 40: 1234.5, 42: 61.0}
    for address, value in values.items():
        raw = struct.pack(">f", value) if kind == "f32" else struct.pack(">i", round(100 * value))
        put(words, address, raw, order)
    return words | {50: 603, 51: 8, 52: 2026}


def meant(candidate: Candidate) -> dict[str, tuple[int, float, Unit]]:
    return {each.quantity: (each.address, each.scale, each.unit) for each in candidate.found}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["f32", "i32"])
def test_the_right_order_and_scale_come_first_among_decoys(kind: str, order: str) -> None:
    one, two = (wide_meter(kind, order, energy) for energy in (123456.0, 123457.47))
    best, *others = rank(one, two, 10.0)
    scale = 1.0 if kind == "f32" else 0.01
    assert (best.type, best.order) == (kind, order)
    assert meant(best) == {
        "supply_temperature": (6, scale, Unit.CELSIUS),
        "return_temperature": (8, scale, Unit.CELSIUS),
        "flow": (0, scale, Unit.CUBIC_METRE_PER_HOUR),
        "power": (4, scale, Unit.KILOWATT),
        "energy": (20, scale, Unit.KILOWATT_HOUR),
    }
    assert all(best.score > other.score for other in others)


def test_registers_of_16_bits_with_different_scales_are_found() -> None:
    words = dict.fromkeys(range(40), 0)
    words |= {0: 834, 1: 461, 2: 123, 3: round(1.15 * 12.3 * 37.3), 4: 5, 5: 17}
    words |= {6: 2026, 7: 603, 8: 1, 9: 0x12, 10: 0xD687, 20: 250, 21: 300, 22: 77}
    best = rank(words, words, 10.0)[0]
    assert (best.type, best.order) == ("i16", "ABCD")
    assert meant(best) == {
        "supply_temperature": (0, 0.1, Unit.CELSIUS),
        "return_temperature": (1, 0.1, Unit.CELSIUS),
        "flow": (2, 0.1, Unit.CUBIC_METRE_PER_HOUR),
        "power": (3, 1.0, Unit.KILOWATT),
    }


def test_where_nothing_flows_the_order_is_still_found_and_nothing_is_called_sure() -> None:
    words = wide_meter("f32", "CDAB", 5000.0, flow=0.0)
    best = rank(words, words, 10.0)[0]
    assert (best.type, best.order) == ("f32", "CDAB")
    assert best.score < 0.5


def test_two_temperatures_alone_are_found_and_called_weak() -> None:
    words = dict.fromkeys(range(20), 0)
    put(words, 6, struct.pack(">f", SUPPLY), "BADC")
    put(words, 8, struct.pack(">f", RETURN), "BADC")
    best = rank(words, words, 10.0)[0]
    assert (best.type, best.order, best.why) == ("f32", "BADC", ("temperatures",))
    assert best.score < 0.5


def test_the_unit_of_the_energy_follows_from_what_the_power_gives() -> None:
    given_gj = POWER * 60.0 / 1e6
    one, two = (wide_meter("f32", "ABCD", energy) for energy in (40.0, 40.0 + given_gj))
    assert meant(rank(one, two, 60.0)[0])["energy"] == (20, 1.0, Unit.GIGAJOULE)


def test_a_float_that_drifts_is_no_totaliser_of_another_type() -> None:
    one, two = wide_meter("f32", "ABCD", 2.0), wide_meter("f32", "ABCD", 2.0)
    for last_digits in range(1, 0x4000, 499):
        two[15] = (one[15] + last_digits) & 0xFFFF  # the temperature difference, a little larger
        assert "energy" not in meant(rank(one, two, 16.0)[0])


def test_no_totaliser_of_another_type_is_found_across_the_registers_of_a_float() -> None:
    one, two = wide_meter("f32", "ABCD", 540.0), wide_meter("f32", "ABCD", 552.0)
    assert one[19] == 0  # with the float's first register it makes a small whole number that grows
    for elapsed_s in range(1, 200):
        found = meant(rank(one, two, float(elapsed_s))[0]).get("energy")
        assert found is None or found[0] == 20


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_never_called_sure(seed: int) -> None:
    noise = random.Random(seed)  # noqa: S311 (no cryptography)
    words = {address: noise.randrange(0x10000) for address in range(40)}
    assert all(candidate.score < 0.7 for candidate in rank(words, words, 10.0))


def test_nothing_comes_of_nothing() -> None:
    assert rank({}, {}, 10.0) == []
    assert rank(dict.fromkeys(range(50), 0), dict.fromkeys(range(50), 0), 10.0) == []


def test_a_missing_register_and_a_nan_are_no_numbers() -> None:
    assert number({0: 1}, 0, "f32", "ABCD") is None
    assert number({0: 0x7FC0, 1: 0}, 0, "f32", "ABCD") is None


@pytest.mark.parametrize("order", ORDERS)
def test_the_draft_is_a_profile_that_our_loader_takes(order: str) -> None:
    one, two = (wide_meter("f32", order, energy) for energy in (123456.0, 123457.47))
    profile = parse_profile(tomllib.loads(draft(rank(one, two, 10.0)[0], 4)), "draft")
    assert profile.profile.confidence == "assumed"
    assert set(profile.registers) == {
        "supply_temperature",
        "return_temperature",
        "flow",
        "power",
        "energy",
    }
