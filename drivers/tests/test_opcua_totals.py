"""A totaliser behind an OPC UA server keeps the digits the server shows."""

import math
import struct
from decimal import Decimal

import pytest
from asyncua import ua

from drivers import Quality, Reading, Reason, Unit
from drivers.opcua.driver import reading
from drivers.opcua.profile import OpcUaRegister
from drivers.reading import Total


def read(kind: str, value: float, status: int = 0, **values: object) -> Reading:
    fields = {"identifier": "s=total", "type": kind, "unit": "MWh", "total": {"rolls_over": 10_000_000}}
    register = OpcUaRegister.model_validate(fields | values)
    variant = ua.Variant(value, ua.VariantType[kind])
    data = ua.DataValue(variant, ua.StatusCode(ua.UInt32(status)))
    return reading(data, register, Unit.KILOWATT_HOUR, 7.0)


@pytest.mark.parametrize(
    ("kind", "value", "scale", "digits"),
    [
        ("UInt64", 2**53 + 1, 0.000001, "9007199254.740993"),
        ("UInt32", 1234567890, 0.01, "12345678.90"),
        ("Float", struct.unpack(">f", struct.pack(">f", 12345.67))[0], 1.0, "12345.67"),
        ("Double", 12345.678901, 1.0, "12345.678901"),
    ],
)
def test_the_total_is_what_the_server_shows(kind: str, value: float, scale: float, digits: str) -> None:
    got = read(kind, value, scale=scale)
    assert got.total == Total(Decimal(digits), Unit.MEGAWATT_HOUR, Decimal(10_000_000))
    assert got.value == float(Decimal(digits) * 1000)


def test_an_uncertain_total_stays_uncertain() -> None:
    got = read("Double", 5.5, status=0x40900000)
    assert (got.quality, got.reason) == (Quality.UNCERTAIN, Reason.DOUBTFUL)
    assert got.total is not None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_has_no_total(value: float) -> None:
    got = read("Double", value)
    assert (got.reason, got.total) == (Reason.NOT_A_NUMBER, None)
