"""Meters are read through real sockets and terminals; what is wrong never becomes a value."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from drivers import (
    ClosedError,
    ConfigurationError,
    DeviceError,
    DeviceSetting,
    Driver,
    LocalProtocolError,
    MBusBus,
    NoAnswerError,
    Point,
    Quality,
    Reading,
    Reason,
    RemoteProtocolError,
    SerialPort,
    TcpHost,
    Total,
    Traffic,
    Unit,
    Verdict,
    open_driver,
)
from drivers.mbus import frames
from drivers.tests import mbus_meters as sim
from drivers.tests.mbus_encode import RSP_UD, bcd_record, dib, int_record
from drivers.tests.mbus_meters import Meter, MeterLine, serve_pty, serve_tcp
from drivers.tests.profiles import make_profile

WHO = "12345678.KAM.35.04"
REGISTERS: dict[str, dict[str, Any]] = {
    "energy": {"quantity": "energy", "unit": "kWh", "total": {}},
    "energy_billed": {"quantity": "energy", "unit": "kWh", "storage": 1},
    "volume": {"quantity": "volume", "unit": "m3", "total": {"rolls_over": 100000}},
    "flow": {"quantity": "volume_flow", "unit": "m3/h", "low": 0, "high": 100},
    "supply": {"quantity": "flow_temperature", "unit": "degC"},
    "return": {"quantity": "return_temperature", "unit": "degC"},
    "cooling": {"quantity": "energy", "unit": "kWh", "qualifiers": ["maker:02"]},
    "number": {"quantity": "identification_number", "unit": "state"},
    "maker": {"quantity": "manufacturer", "unit": "state"},
    "temporary_error": {"quantity": "status", "unit": "state", "bit": 4},
}
RECORDS = (
    bcd_record(b"\x06", 123456)  # kWh
    + bcd_record(b"\x06", 100000, storage=1)
    + int_record(b"\x14", 987654)  # 0.01 m3
    + int_record(b"\x3b", 1250, 2)  # l/h
    + int_record(b"\x59", 8512, 2)
    + int_record(b"\x5d", 4520, 2)
)


def meter(body: bytes = RECORDS, primary: int = 5, who: str = WHO, status: int = 0) -> Meter:
    return Meter(primary, who, lambda: [body], status)


@asynccontextmanager
async def opened(
    line: MeterLine,
    address: str = "5",
    serial: bool = False,
    tap: Callable[[Traffic], None] = lambda _: None,
    **options: object,
) -> AsyncIterator[Driver]:
    async with serve_tcp(line) as port, serve_pty(line) as path:
        endpoint = SerialPort(path, 38400, "N") if serial else TcpHost("127.0.0.1", port)
        devices = [DeviceSetting("m", make_profile("mbus", REGISTERS, **options), None, address)]
        async with open_driver(MBusBus(endpoint, timeout_s=0.08), devices, lambda: 7.0, tap) as driver:
            yield driver


def points(*names: str) -> list[Point]:
    return [Point(f"house.{name}", "m", name, Unit(REGISTERS[name]["unit"])) for name in names]


async def read(driver: Driver, *names: str) -> dict[str, Reading]:
    readings = await driver.read(points(*names))
    return {name: readings[f"house.{name}"] for name in names}


@pytest.mark.parametrize("serial", [False, True], ids=["tcp", "tty"])
@pytest.mark.parametrize("address", ["5", "254", "12345678", WHO, "FFFFFFFF", "1234FFFF.FFFF.FF.04"])
async def test_a_meter_is_read_by_its_primary_or_secondary_address(address: str, serial: bool) -> None:
    m = meter()
    async with opened(MeterLine(m), address, serial) as driver:
        got = await read(driver, "energy", "energy_billed", "volume", "flow", "supply", "return")
    values = {name: reading.value for name, reading in got.items()}
    assert values == {
        "energy": 123456,
        "energy_billed": 100000,
        "volume": 9876.54,
        "flow": 1.25,
        "supply": 85.12,
        "return": 45.2,
    }
    assert all(reading.is_good and reading.timestamp == 7.0 for reading in got.values())
    assert m.asked == 1  # one telegram serves all points


async def test_a_total_is_what_the_meter_shows_digit_by_digit() -> None:
    async with opened(MeterLine(meter())) as driver:
        got = await read(driver, "energy", "volume", "flow")
    assert got["energy"].total == Total(Decimal(123456), Unit.KILOWATT_HOUR, Decimal(10**8))
    assert got["volume"].total == Total(Decimal("9876.54"), Unit.CUBIC_METRE, Decimal(100000))
    assert got["flow"].total is None


async def test_a_total_in_megajoule_stays_in_megajoule_and_its_value_comes_in_the_points_unit() -> None:
    async with opened(MeterLine(meter(bcd_record(b"\x0e", 480)))) as driver:
        readings = await driver.read([Point("e", "m", "energy", Unit.GIGAJOULE)])
    assert readings["e"].value == 0.48
    assert readings["e"].total == Total(Decimal(480), Unit.MEGAJOULE, Decimal(10**8))


async def test_the_unit_of_the_meter_is_its_own_affair() -> None:
    bodies = {b"\x06": 3600, b"\x0e": 12960, b"\xfb\x00": 36, b"\x07": 360}
    for vib, number in bodies.items():
        async with opened(MeterLine(meter(int_record(vib, number)))) as driver:
            assert (await read(driver, "energy"))["energy"].value == 3600, vib


async def test_a_record_with_qualifiers_is_another_value_than_one_without() -> None:
    body = int_record(b"\x86\xff\x02", 77) + int_record(b"\x06", 11)
    async with opened(MeterLine(meter(body))) as driver:
        got = await read(driver, "energy", "cooling")
    assert (got["energy"].value, got["cooling"].value) == (11, 77)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (dib(0xC) + b"\x06" + b"\xaa\xaa\xaa\xaa", Reason.SENTINEL),
        (dib(0xC) + b"\x06" + b"\xbb\xeb\xdd\x0d", Reason.SENTINEL),
        (dib(0x4) + b"\x06" + b"\x00\x00\x00\x80", Reason.SENTINEL),
        (dib(0x5) + b"\x06" + b"\x00\x00\xc0\x7f", Reason.NOT_A_NUMBER),
        (dib(0x4) + b"\x86\x15" + bytes(4), Reason.DEVICE),
        (dib(0x0) + b"\x06", Reason.NOT_A_NUMBER),
        (int_record(b"\x06", 5, function="error"), Reason.DEVICE),
        (int_record(b"\x16", 5), Reason.DEVICE),
    ],
    ids=[
        "digit A",
        "digits B to E",
        "most negative",
        "NaN",
        "no data available",
        "no data",
        "in error",
        "absent",
    ],
)
async def test_what_the_meter_marks_as_no_value_is_bad_and_costs_nothing_else(
    record: bytes, reason: Reason
) -> None:
    async with opened(MeterLine(meter(record + int_record(b"\x3b", 1250, 2)))) as driver:
        got = await read(driver, "energy", "flow")
    assert (got["energy"].value, got["energy"].quality, got["energy"].reason) == (None, Quality.BAD, reason)
    assert got["flow"].is_good


async def test_a_value_outside_the_profiles_limits_is_bad() -> None:
    async with opened(MeterLine(meter(int_record(b"\x3b", -1, 2)))) as driver:
        assert (await read(driver, "flow"))["flow"].reason is Reason.OUT_OF_RANGE


@pytest.mark.parametrize(
    ("status", "good"), [(0x00, True), (0x04, True), (0x08, False), (0x10, False), (0x02, False)]
)
async def test_values_are_doubtful_while_the_meter_reports_an_error(status: int, good: bool) -> None:
    async with opened(MeterLine(meter(status=status))) as driver:
        got = await read(driver, "energy", "number", "temporary_error")
    assert got["energy"].is_good is good
    assert got["energy"].value == 123456
    assert got["energy"].total is not None
    assert got["number"].is_good
    assert got["temporary_error"].value == (1 if status == 0x10 else 0)


async def test_an_exchanged_meter_shows_by_its_number() -> None:
    line = MeterLine(meter())
    async with opened(line) as driver:
        before = await read(driver, "number", "maker")
        line.meters[0].who = "87654321.LUG.04.04"
        after = await read(driver, "number", "maker")
    assert (before["number"].value, after["number"].value) == (12345678, 87654321)
    assert before["maker"].value != after["maker"].value


async def test_another_meter_at_the_secondary_address_is_not_taken_for_it() -> None:
    line = MeterLine(meter())

    def stranger(request: bytes, right: bytes) -> sim.Pieces:
        return [(0.0, right.replace(bytes.fromhex("78563412"), bytes.fromhex("79563412")))] if right else []

    async with opened(line, "12345678", retries=0) as driver:
        line.fault = stranger
        with pytest.raises(RemoteProtocolError):
            await driver.read(points("energy"))


async def test_an_answer_of_another_primary_address_is_foreign() -> None:
    line = MeterLine(meter(), meter(primary=6))
    seen: list[Traffic] = []
    wrong = line.meters[1].hear(frames.short(frames.REQ_UD2 | frames.FCB, 6))
    line.fault = lambda _, right: [(0.0, wrong + right)] if right else []
    async with opened(line, tap=seen.append, retries=0) as driver:
        assert (await read(driver, "energy"))["energy"].is_good
    assert [t.verdict for t in seen if t.data == wrong] == [Verdict.FOREIGN, Verdict.FOREIGN]


def telegrams() -> Sequence[bytes]:
    return [int_record(b"\x06", 11), int_record(b"\x3b", 1250, 2), int_record(b"\x59", 8512, 2)]


@pytest.mark.parametrize("address", ["5", WHO])
async def test_a_meter_with_several_telegrams_is_asked_until_all_points_are_served(address: str) -> None:
    m = Meter(5, WHO, telegrams)
    async with opened(MeterLine(m), address) as driver:
        assert (await read(driver, "energy"))["energy"].value == 11
        assert m.asked == 1
        got = await read(driver, "supply", "energy")
        assert (got["supply"].value, got["energy"].value) == (85.12, 11)
        assert m.asked == 4
        missing = await read(driver, "volume", "flow")
    assert missing["volume"].reason is Reason.DEVICE
    assert missing["flow"].value == 1.25


async def test_a_repeated_question_is_answered_by_the_same_telegram_not_by_the_next() -> None:
    line = MeterLine(Meter(5, WHO, telegrams))
    drops = iter([False, True, False, True, False, False])  # ACK; first telegram; second; third

    def lossy(request: bytes, right: bytes) -> sim.Pieces:
        return [] if next(drops) else [(0.0, right)]

    line.fault = lossy
    async with opened(line) as driver:
        got = await read(driver, "supply", "flow", "energy")
    assert {name: r.value for name, r in got.items()} == {"supply": 85.12, "flow": 1.25, "energy": 11}
    assert next(drops, None) is None


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("address", ["5", WHO])
async def test_every_reading_brings_new_values_not_the_telegram_before(address: str, reset: bool) -> None:
    energy = iter(range(1, 100))
    m = Meter(5, WHO, lambda: [int_record(b"\x06", next(energy))])
    async with opened(MeterLine(m), address, reset=reset) as driver:
        assert [(await read(driver, "energy"))["energy"].value for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("reset", [True, False])
async def test_the_reading_after_a_lost_answer_brings_new_values_too(reset: bool) -> None:
    energy = iter(range(1, 100))
    line = MeterLine(Meter(5, WHO, lambda: [int_record(b"\x06", next(energy))]))
    async with opened(line, reset=reset, retries=0) as driver:
        assert (await read(driver, "energy"))["energy"].value == 1
        line.fault = sim.silent
        with pytest.raises(NoAnswerError):
            await driver.read(points("energy"))
        line.fault = None
        fresh = (await read(driver, "energy"))["energy"].value
        assert fresh == next(energy) - 1


async def test_a_meter_that_does_not_know_snd_nke_is_read_without_it() -> None:
    line = MeterLine(meter())
    line.fault = lambda _, right: [(0.0, right)] if len(right) > 1 else []
    async with opened(line, reset=False) as driver:
        for _ in range(2):
            assert (await read(driver, "energy"))["energy"].value == 123456


async def test_a_copy_of_the_telegram_before_is_not_taken_for_the_next_one() -> None:
    line = MeterLine(Meter(5, WHO, telegrams))
    line.fault = lambda _, right: [(0.0, right), (0.03, right)] if len(right) > 1 else [(0.0, right)]
    async with opened(line) as driver:
        got = await read(driver, "supply", "flow", "energy")
    assert {name: r.value for name, r in got.items()} == {"supply": 85.12, "flow": 1.25, "energy": 11}


async def test_a_telegram_lost_half_way_costs_only_its_own_points() -> None:
    line = MeterLine(Meter(5, WHO, telegrams))
    answers: list[bytes] = []

    def second_is_lost(request: bytes, right: bytes) -> sim.Pieces:
        answers.append(right)
        return [(0.0, right)] if len(answers) <= 2 else []

    line.fault = second_is_lost
    async with opened(line) as driver:
        got = await read(driver, "energy", "flow")
    assert got["energy"].value == 11
    assert got["flow"].reason is Reason.NO_ANSWER


async def test_pages_are_switched_until_all_points_are_served() -> None:
    first, second = b"\x01\xff\x08\x01", b"\x01\xff\x08\x03"
    m = Meter(5, WHO, lambda: [b""])
    m.pages = {first: lambda: [int_record(b"\x06", 11)], second: lambda: [int_record(b"\x3b", 1250, 2)]}
    async with opened(MeterLine(m), pages=["51 01 FF 08 01", "51 01 FF 08 03"]) as driver:
        got = await read(driver, "flow", "energy")
    assert (got["flow"].value, got["energy"].value) == (1.25, 11)


@pytest.mark.parametrize("address", ["5", WHO])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (sim.silent, NoAnswerError),
        (sim.corrupt(25), RemoteProtocolError),
        (sim.corrupt(1), RemoteProtocolError),
        (sim.cut(30), RemoteProtocolError),
        (sim.late(0.2), NoAnswerError),
    ],
    ids=["silence", "checksum", "length", "cut off", "late"],
)
async def test_a_fault_is_an_error_and_never_a_value(
    fault: sim.Fault, error: type[Exception], address: str
) -> None:
    line = MeterLine(meter())
    async with opened(line, address) as driver:
        line.fault = fault
        with pytest.raises(error):
            await driver.read(points("energy"))
        line.fault = None
        await asyncio.sleep(0.25)  # what was late has arrived
        assert (await read(driver, "energy"))["energy"].value == 123456


@pytest.mark.parametrize("fault", [sim.echo, sim.bytewise, sim.late(0.03)], ids=["echo", "bytewise", "slow"])
async def test_what_a_converter_may_do_costs_nothing(fault: sim.Fault) -> None:
    line = MeterLine(meter())
    line.fault = fault
    async with opened(line, WHO) as driver:
        assert (await read(driver, "energy"))["energy"].value == 123456


@pytest.mark.parametrize(
    "fault", [sim.silent, sim.corrupt(25), sim.cut(30)], ids=["silence", "spoilt", "cut"]
)
async def test_a_meter_that_slept_or_was_disturbed_is_asked_once_more(fault: sim.Fault) -> None:
    line, spoil = MeterLine(meter()), [fault]
    seen: list[Traffic] = []

    def once_for_data(request: bytes, right: bytes) -> sim.Pieces:
        return spoil.pop()(request, right) if spoil and len(right) > 1 else [(0.0, right)]

    line.fault = once_for_data
    async with opened(line, tap=seen.append) as driver:
        assert (await read(driver, "energy"))["energy"].value == 123456
    assert [t.verdict for t in seen].count(Verdict.RETRY) == 1


async def test_an_application_error_of_the_meter_is_its_refusal_with_its_code() -> None:
    line = MeterLine(meter())
    report = frames.encode(frames.long(RSP_UD, 5, frames.Ci.ERROR, b"\x08"))
    line.fault = lambda _, right: [(0.0, report if len(right) > 1 else right)]
    async with opened(line) as driver:
        with pytest.raises(DeviceError) as caught:
            await driver.read(points("energy"))
    assert caught.value.code == 8


async def test_nothing_is_ever_written_to_a_meter() -> None:
    async with opened(MeterLine(meter())) as driver:
        with pytest.raises(LocalProtocolError):
            await driver.write(points("energy")[0], 1.0)


@pytest.mark.parametrize(
    "address", [None, "251", "1234567", "12345678.KAM", "12345678.kam1.35.04", "x", "-1"]
)
async def test_an_address_that_is_none_is_refused_before_anything_is_sent(address: str | None) -> None:
    device = DeviceSetting("m", make_profile("mbus", REGISTERS), None, address)
    with pytest.raises(ConfigurationError, match="device m"):
        open_driver(MBusBus(TcpHost("127.0.0.1", 1)), [device], lambda: 0.0)


async def test_a_point_in_a_unit_of_another_dimension_is_refused() -> None:
    async with opened(MeterLine(meter())) as driver:
        with pytest.raises(ConfigurationError):
            await driver.read([Point("e", "m", "energy", Unit.BAR)])
        with pytest.raises(ConfigurationError):
            await driver.read([Point("e", "m", "nothing", Unit.BAR)])


async def test_a_converter_that_hung_up_is_connected_again() -> None:
    line = MeterLine(meter())
    async with serve_tcp(line) as port:
        devices = [DeviceSetting("m", make_profile("mbus", REGISTERS, retries=0), None, "5")]
        bus = MBusBus(TcpHost("127.0.0.1", port), timeout_s=0.1)
        async with open_driver(bus, devices, lambda: 7.0) as driver:
            assert (await read(driver, "energy"))["energy"].is_good
            line.hang_up()
            with contextlib.suppress(ClosedError):  # noticed now, or already before
                await driver.read(points("energy"))
            assert (await read(driver, "energy"))["energy"].is_good


async def test_neighbours_with_secondary_addresses_are_told_apart_reading_after_reading() -> None:
    one = meter(int_record(b"\x06", 1), primary=0, who="10000001.KAM.35.04")
    two = meter(int_record(b"\x06", 2), primary=0, who="10000002.KAM.35.04")
    profile = make_profile("mbus", REGISTERS)
    async with serve_tcp(MeterLine(one, two)) as port:
        devices = [
            DeviceSetting("a", profile, None, "10000001"),
            DeviceSetting("b", profile, None, "10000002"),
        ]
        async with open_driver(MBusBus(TcpHost("127.0.0.1", port), 0.08), devices, lambda: 7.0) as driver:
            for _ in range(3):
                for device, value in (("a", 1), ("b", 2)):
                    readings = await driver.read([Point("e", device, "energy", Unit.KILOWATT_HOUR)])
                    assert readings["e"].value == value


async def test_two_readings_at_once_do_not_mix_on_the_line() -> None:
    one = meter(int_record(b"\x06", 1), primary=0, who="10000001.KAM.35.04")
    two = meter(int_record(b"\x06", 2), primary=0, who="10000002.KAM.35.04")
    profile = make_profile("mbus", REGISTERS, retries=0)
    async with serve_tcp(MeterLine(one, two)) as port:
        devices = [DeviceSetting(n, profile, None, n) for n in ("10000001", "10000002")]
        async with open_driver(MBusBus(TcpHost("127.0.0.1", port), 0.2), devices, lambda: 7.0) as driver:
            asked = [Point(n, n, "energy", Unit.KILOWATT_HOUR) for n in 2 * ("10000001", "10000002")]
            found = await asyncio.gather(*(driver.read([point]) for point in asked))
    assert [reading.value for each in found for reading in each.values()] == [1, 2, 1, 2]


async def test_a_reading_that_was_cancelled_leaves_the_line_to_the_next_one() -> None:
    line = MeterLine(meter())
    async with opened(line, WHO) as driver:
        line.fault = sim.silent
        reading = asyncio.create_task(driver.read(points("energy")))
        while not line.requests:
            await asyncio.sleep(0.001)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        line.fault = None
        assert (await read(driver, "energy"))["energy"].is_good


async def test_a_line_that_is_not_there_does_not_prevent_entering_and_is_told_by_the_reading() -> None:
    device = DeviceSetting("m", make_profile("mbus", REGISTERS), None, "5")
    async with open_driver(MBusBus(SerialPort("/dev/nowhere", 2400, "E")), [device], lambda: 0.0) as driver:
        with pytest.raises(ClosedError):
            await driver.read(points("energy"))


async def test_meters_come_and_go_while_the_line_is_served() -> None:
    line = MeterLine(meter(), meter(int_record(b"\x06", 6), primary=6))
    async with opened(line) as driver:
        assert await driver.read([]) == {}
        driver.adopt(DeviceSetting("guest", make_profile("mbus", REGISTERS), None, "6"))
        guest = Point("g", "guest", "energy", Unit.KILOWATT_HOUR)
        assert (await driver.read([guest]))["g"].value == 6
        with pytest.raises(LocalProtocolError):
            await driver.read([guest, *points("energy")])
        driver.dismiss("guest")
        driver.dismiss("nobody")
        with pytest.raises(ConfigurationError):
            await driver.read([guest])


@pytest.mark.parametrize(
    ("register", "text"),
    [
        ({"quantity": "enthalpy", "unit": "kWh"}, "none of"),
        ({"quantity": "energy", "unit": "bar"}, "never sent"),
        ({"quantity": "date", "unit": "s"}, "never sent"),
        ({"quantity": "status", "unit": "kWh"}, "never sent"),
        ({"quantity": "energy", "unit": "kWh", "storage": -1}, "greater than or equal to 0"),
        ({"quantity": "energy", "unit": "kWh", "write": {"low": 0, "high": 1}}, "should be None"),
    ],
)
def test_a_register_that_no_telegram_can_hold_is_refused(register: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        make_profile("mbus", {"x": register})
