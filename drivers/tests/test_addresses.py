"""Whether two addresses of one bus are the same device: never counted twice, however they are written."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import (
    Bus,
    Cjt188Bus,
    ConfigurationError,
    DeviceSetting,
    MBusBus,
    TcpHost,
    load_profile,
    open_driver,
)
from drivers.cjt188.address import overlaps as cjt188_overlaps
from drivers.cjt188.address import to_wire
from drivers.mbus.address import overlaps as mbus_overlaps
from drivers.mbus.address import parse
from drivers.tests.cjt188_bench import PROFILES

END = TcpHost("127.0.0.1", 1)
BUSES: dict[str, Bus] = {"mbus_heat_meter": MBusBus(END), "cjt188_standard": Cjt188Bus(END)}
ONE_METER = [
    ("mbus_heat_meter", "5", "05"),
    ("mbus_heat_meter", "5", "254"),
    ("mbus_heat_meter", "254", "12345678"),
    ("mbus_heat_meter", "12345678", "12345678.KAM.35.04"),
    ("mbus_heat_meter", "12345678.kam.35.04", "12345678.KAM.FF.04"),
    ("mbus_heat_meter", "12345678", "1234FFFF"),
    ("mbus_heat_meter", "FFFFFFFF", "5"),
    ("cjt188_standard", "5", "00000005"),
    ("cjt188_standard", "12345678", "00000012345678"),
    ("cjt188_standard", "AAAAAAAAAAAAAA", "12345678"),
]
TWO_METERS = [
    ("mbus_heat_meter", "5", "6"),
    ("mbus_heat_meter", "5", "12345678"),  # perhaps one, but only a reading tells
    ("mbus_heat_meter", "12345678", "12345679"),
    ("mbus_heat_meter", "12345678.KAM.35.04", "12345678.LUG.35.04"),
    ("mbus_heat_meter", "1234FFFF", "FFF55679.KAM.35.04"),
    ("cjt188_standard", "12345678", "12345679"),
]


def opened(name: str, *addresses: str) -> None:
    profile = load_profile(PROFILES / f"{name}.toml")
    devices = [DeviceSetting(f"meter_{n}", profile, address=text) for n, text in enumerate(addresses)]
    open_driver(BUSES[name], devices, time.time)


@pytest.mark.parametrize(("profile", "one", "other"), ONE_METER)
def test_one_meter_is_not_two_devices_however_its_address_is_written(
    profile: str, one: str, other: str
) -> None:
    for pair in ((one, other), (other, one)):
        with pytest.raises(ConfigurationError, match=r"meter_0.*meter_1"):
            opened(profile, *pair)


@pytest.mark.parametrize(("profile", "one", "other"), TWO_METERS)
def test_two_meters_are_two_devices(profile: str, one: str, other: str) -> None:
    opened(profile, one, other)


@pytest.mark.parametrize(
    ("profile", "address"),
    [("mbus_heat_meter", "251"), ("mbus_heat_meter", "1234"), ("cjt188_standard", "12AB")],
)
def test_an_address_that_cannot_be_is_a_configuration_error(profile: str, address: str) -> None:
    with pytest.raises(ConfigurationError, match="meter_0"):
        opened(profile, address)


def test_one_number_in_two_makers_ways_is_two_addresses() -> None:
    assert not cjt188_overlaps(to_wire("123456", "standard"), to_wire("123456", "runa"))
    assert cjt188_overlaps(to_wire("11110000123456", "standard"), to_wire("123456", "runa"))


_TEXTS = st.one_of(
    st.integers(0, 250).map(str),
    st.just("254"),
    st.text("01F", min_size=8, max_size=8),
    st.builds(
        "{}.{}.{}.{}".format,
        st.text("01F", min_size=8, max_size=8),
        st.sampled_from(["KAM", "LUG", "FFFF"]),
        st.sampled_from(["35", "FF"]),
        st.sampled_from(["04", "FF"]),
    ),
)


@given(_TEXTS, _TEXTS)
def test_who_overlaps_whom_does_not_depend_on_the_order_and_everybody_overlaps_himself(
    one: str, other: str
) -> None:
    assert mbus_overlaps(parse(one), parse(other)) == mbus_overlaps(parse(other), parse(one))
    assert mbus_overlaps(parse(one), parse(one))
