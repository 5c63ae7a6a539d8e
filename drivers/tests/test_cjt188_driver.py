"""The driver against meters on sockets and pseudo-terminals: right values, by the profile."""

from dataclasses import replace
from decimal import Decimal

import pytest

from drivers import (
    Cjt188Bus,
    ConfigurationError,
    DeviceError,
    DeviceSetting,
    LocalProtocolError,
    NoAnswerError,
    Point,
    Quality,
    Reading,
    Reason,
    RemoteProtocolError,
    SerialPort,
    Total,
    Unit,
    Verdict,
    load_profile,
    open_driver,
)
from drivers.cjt188.address import to_wire
from drivers.cjt188.profile import Cjt188Profile
from drivers.tests.cjt188_bench import (
    NUMBER,
    PROFILES,
    UNITS,
    WIRE,
    Heard,
    check_right,
    driving,
    points,
    profile,
)
from drivers.tests.cjt188_meters import (
    Meter,
    MeterLine,
    Pieces,
    heat_payload,
    serve_pty,
)


async def test_one_question_serves_all_points_of_a_meter() -> None:
    line, heard = MeterLine(Meter(WIRE)), Heard()
    async with driving(line, heard=heard) as driver:
        check_right(dict(await driver.read(points())))
    assert len(line.requests) == 1
    assert heard.verdicts == [Verdict.REQUEST, Verdict.ANSWER]
    assert heard.traffic[0].data[:5] == b"\xfe\xfe\xfe\xfe\x68"


async def test_a_meter_on_a_tty_is_read_as_well() -> None:
    line = MeterLine(Meter(WIRE))
    async with serve_pty(line) as path:
        bus = Cjt188Bus(SerialPort(path, 2400, "N"), timeout_s=0.5)  # a pseudo-terminal has no parity
        async with open_driver(
            bus, [DeviceSetting("meter", profile(), address=NUMBER)], lambda: 1000.0
        ) as driver:
            check_right(dict(await driver.read(points())))


async def test_every_request_bears_the_next_number_modulo_256() -> None:
    line = MeterLine(Meter(WIRE))
    async with driving(line) as driver:
        driver._meters["meter"].sequence = 253
        for _ in range(4):
            await driver.number("meter")
    assert [request[13] for request in line.requests] == [254, 255, 0, 1]


@pytest.mark.parametrize(("order", "wire"), [("901F", b"\x90\x1f"), ("1F90", b"\x1f\x90")])
async def test_the_identifier_goes_out_in_the_profiles_order_and_comes_back_in_either(
    order: str, wire: bytes
) -> None:
    for swapped in (False, True):
        line = MeterLine(Meter(WIRE, swapped=swapped))
        async with driving(line, profile(identifier=order)) as driver:
            check_right(dict(await driver.read(points())))
        assert line.requests[0][11:13] == wire


async def test_a_meter_that_sends_units_first_is_read_without_being_told() -> None:
    line = MeterLine(Meter(WIRE, payload=heat_payload(unit_first=True)))
    async with driving(line) as driver:
        check_right(dict(await driver.read(points())))
    async with driving(line, profile(layout="unit_value")) as driver:
        check_right(dict(await driver.read(points())))


async def test_a_meter_that_answers_as_another_type_with_its_battery_for_a_number_is_believed() -> None:
    line = MeterLine(Meter(WIRE, meter_type=0x25, echoes=False))
    async with driving(line, profile("runa"), address="12345678") as driver:
        for _ in range(4):
            await driver.read(points())
        readings = await driver.read(points())
        assert readings["energy"].value == 1234.56
        assert readings["meter_number"].value == 12345678
    assert {request[13] for request in line.requests} == {0x12}


async def test_the_decimals_of_the_maker_are_used() -> None:
    line = MeterLine(Meter(WIRE))
    decimals = {"energy": 0, "flow": 2, "power": 1}
    async with driving(line, profile(decimals=decimals)) as driver:
        readings = await driver.read(points())
    assert [readings[n].value for n in ("energy", "flow", "power")] == [123456.0, 100.0, 232.0]
    total = readings["energy"].total
    assert total is not None
    assert total.rolls_over == 100_000_000


@pytest.mark.parametrize(
    ("digits", "code", "value", "total"),
    [
        (100, 0x11, 277.77777777777777, ("1.00", Unit.GIGAJOULE, "1000000")),
        (100, 0x08, 1000.0, ("1.00", Unit.MEGAWATT_HOUR, "1000000")),
        (100, 0x02, 0.001, ("0.00100", Unit.KILOWATT_HOUR, "1000")),
        (360, 0x0B, 0.001, ("0.00360", Unit.MEGAJOULE, "1000")),
        (99_999_999, 0x0A, 99999999000.0, ("99999999", Unit.MEGAWATT_HOUR, "1E+8")),
    ],
)
async def test_energy_in_any_unit_of_the_meter_is_exact(
    digits: int, code: int, value: float, total: tuple[str, Unit, str]
) -> None:
    line = MeterLine(Meter(WIRE, payload=heat_payload({1: (digits, code)})))
    async with driving(line) as driver:
        reading = (await driver.read(points(["energy"])))["energy"]
    assert reading.value == value
    number, unit, rolls_over = total
    assert reading.total == Total(Decimal(number), unit, Decimal(rolls_over))


@pytest.mark.parametrize(
    ("place", "raw", "name", "reason"),
    [
        (slice(10, 14), b"\xff" * 4, "power", Reason.SENTINEL),
        (slice(10, 14), b"\x00\x00\x00\x80", "power", Reason.SENTINEL),
        (slice(5, 9), b"\x0a\x00\x00\x00", "energy", Reason.NOT_A_NUMBER),
        (slice(25, 28), b"\xff" * 3, "supply_temperature", Reason.SENTINEL),
        (slice(28, 31), b"\x00\x99\x00", "return_temperature", None),
        (slice(25, 28), b"\x00\x00\x99", "supply_temperature", Reason.OUT_OF_RANGE),
    ],
)
async def test_what_is_no_number_is_bad_and_never_zero(
    place: slice, raw: bytes, name: str, reason: Reason | None
) -> None:
    payload = bytearray(heat_payload())
    payload[place] = raw
    line = MeterLine(Meter(WIRE, payload=bytes(payload)))
    async with driving(line) as driver:
        readings = await driver.read(points())
    if reason is None:
        assert readings[name].is_good
    else:
        assert readings[name] == Reading.bad(reason, UNITS[name], 1000.0)
    assert sum(reading.is_good for reading in readings.values()) == len(UNITS) - (reason is not None)


async def test_the_status_tells_of_valve_battery_and_the_makers_bits() -> None:
    line = MeterLine(Meter(WIRE, payload=heat_payload(status=b"\x05\x82")))
    async with driving(line, profile("runa"), address="12345678") as driver:
        names = ["supply_sensor_fault", "return_sensor_fault", "no_water", "valve", "battery_low", "status"]
        bits = await driver.read([Point(name, "meter", name, Unit.STATE) for name in names])
        measured = await driver.read(points(["supply_temperature", "return_temperature", "energy"]))
    assert [bits[name].value for name in names] == [1.0, 0.0, 1.0, 1.0, 1.0, float(0x8205)]
    assert measured["supply_temperature"].quality is Quality.UNCERTAIN
    assert measured["supply_temperature"].reason is Reason.DOUBTFUL
    assert measured["return_temperature"].is_good
    assert measured["energy"].is_good


async def test_a_meter_of_any_number_tells_its_number() -> None:
    line = MeterLine(Meter(WIRE))
    async with driving(line, address="A" * 14) as driver:
        assert await driver.number("meter") == NUMBER
        only = await driver.read(points(["meter_number"]))
        check_right(dict(await driver.read(points())))
    assert only["meter_number"].value == float(NUMBER)
    assert [request[9] for request in line.requests] == [3, 3, 1]
    assert line.requests[0][2:9] == b"\xaa" * 7
    assert line.requests[0][11:13] == b"\x81\x0a"


async def test_two_meters_that_answer_at_once_are_no_meter() -> None:
    def collide(request: bytes, right: bytes) -> Pieces:
        return [(0.0, bytes(b & 0x7F for b in right[:20]) + right[30:])]

    line = MeterLine(Meter(WIRE))
    line.fault = collide
    async with driving(line, address="A" * 14) as driver:
        with pytest.raises((RemoteProtocolError, NoAnswerError)):
            await driver.number("meter")


async def test_a_refusal_is_told_with_its_status() -> None:
    line, heard = MeterLine(Meter(WIRE, refusal=b"\x04\x01")), Heard()
    async with driving(line, heard=heard) as driver:
        with pytest.raises(DeviceError) as caught:
            await driver.read(points())
    assert caught.value.code == 0x0104
    assert heard.verdicts == [Verdict.REQUEST, Verdict.REFUSED]


async def test_nothing_is_ever_written() -> None:
    line = MeterLine(Meter(WIRE))
    async with driving(line) as driver:
        with pytest.raises(LocalProtocolError, match="only read"):
            await driver.write(points(["valve"])[0], 1.0)
    assert line.requests == []


async def test_what_cannot_work_is_refused_before_anything_is_sent() -> None:
    line = MeterLine(Meter(WIRE))
    async with driving(line) as driver:
        setting = DeviceSetting("x", profile("huizhong"), address="1234567890")
        with pytest.raises(ConfigurationError, match="9 digits"):
            driver.adopt(setting)
        with pytest.raises(ConfigurationError, match="give its address"):
            driver.adopt(replace(setting, address=None))
        with pytest.raises(ConfigurationError, match="no register"):
            await driver.read([Point("x", "meter", "nothing", Unit.STATE)])
        with pytest.raises(ConfigurationError, match="measure different things"):
            await driver.read([Point("x", "meter", "energy", Unit.BAR)])
        with pytest.raises(ConfigurationError, match="no device"):
            await driver.read([Point("x", "nobody", "energy", Unit.BAR)])
        with pytest.raises(LocalProtocolError, match="one device"):
            await driver.read([*points(["energy"]), *points(["power"], device="other")])
        assert await driver.read([]) == {}
        driver.dismiss("meter")
        driver.dismiss("meter")
        with pytest.raises(ConfigurationError, match="no device"):
            await driver.read(points())
    assert line.requests == []


async def test_every_shipped_profile_reads_a_meter_of_its_maker() -> None:
    for path in sorted(PROFILES.glob("cjt188_*.toml")):
        loaded = load_profile(path)
        assert isinstance(loaded, Cjt188Profile)
        unit_first = loaded.cjt188.layout == "unit_value"
        wire = to_wire("12345678", loaded.cjt188.address_scheme)
        line = MeterLine(Meter(wire, payload=heat_payload(unit_first=unit_first)))
        async with driving(line, loaded, address="12345678") as driver:
            readings = await driver.read(
                [Point(name, "meter", name, register.unit) for name, register in loaded.registers.items()]
            )
        assert all(reading.is_good for reading in readings.values()), (path.stem, readings)
        assert readings["energy"].value == 1234.56, path.stem


@pytest.mark.parametrize(
    ("register", "word"),
    [
        ({"field": "energy", "unit": "bar"}, "no unit of energy"),
        ({"field": "valve", "unit": "kWh"}, "no unit of valve"),
        ({"field": "energy", "unit": "kWh", "bit": 3}, "bits"),
        ({"field": "power", "unit": "kW", "total": {}}, "counts nothing"),
        ({"field": "energy", "unit": "kWh", "total": {"rolls_over": 5}}, "rolls_over"),
        ({"field": "valve", "unit": "state", "doubted_by": [9]}, "doubted"),
    ],
)
def test_a_profile_that_means_nothing_is_refused(register: dict[str, object], word: str) -> None:
    data = profile().model_dump(by_alias=True) | {"registers": {"it": register}}
    with pytest.raises(ValueError, match=word):
        Cjt188Profile.model_validate(data)
