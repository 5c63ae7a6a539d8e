"""The driver against meters on sockets and pseudo-terminals: right values or none, whatever the line does."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

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
    TcpHost,
    Total,
    Traffic,
    Unit,
    Verdict,
    load_profile,
    open_driver,
)
from drivers.cjt188.address import to_wire
from drivers.cjt188.driver import Cjt188Driver
from drivers.cjt188.profile import Cjt188Options, Cjt188Profile
from drivers.tests.cjt188_meters import (
    Fault,
    Meter,
    MeterLine,
    Pieces,
    frame,
    heat_payload,
    serve_pty,
    serve_tcp,
)

PROFILES = Path(__file__).parents[2] / "config" / "profiles"
NUMBER = "11110012345678"
WIRE = bytes.fromhex("78 56 34 12 00 11 11")
UNITS = {
    "energy": Unit.KILOWATT_HOUR,
    "power": Unit.KILOWATT,
    "flow": Unit.CUBIC_METRE_PER_HOUR,
    "volume": Unit.CUBIC_METRE,
    "supply_temperature": Unit.CELSIUS,
    "return_temperature": Unit.CELSIUS,
    "valve": Unit.STATE,
    "battery_low": Unit.STATE,
    "meter_number": Unit.STATE,
}


def profile(name: str = "standard", **options: object) -> Cjt188Profile:
    loaded = load_profile(PROFILES / f"cjt188_{name}.toml")
    assert isinstance(loaded, Cjt188Profile)
    plain = loaded.cjt188.model_dump() | {"retries": 0} | options
    return loaded.model_copy(update={"cjt188": Cjt188Options.model_validate(plain)})


def points(names: Iterable[str] = tuple(UNITS), device: str = "meter") -> list[Point]:
    return [Point(name, device, name, UNITS[name]) for name in names]


class Heard:
    """A tap that keeps what it was told."""

    def __init__(self) -> None:
        self.traffic: list[Traffic] = []

    def __call__(self, traffic: Traffic) -> None:
        self.traffic.append(traffic)

    @property
    def verdicts(self) -> list[Verdict]:
        return [traffic.verdict for traffic in self.traffic]


@asynccontextmanager
async def driving(
    line: MeterLine, prof: Cjt188Profile | None = None, address: str = NUMBER, heard: Heard | None = None
) -> AsyncIterator[Cjt188Driver]:
    async with serve_tcp(line) as port:
        bus = Cjt188Bus(TcpHost("127.0.0.1", port), timeout_s=0.15)
        setting = DeviceSetting("meter", prof or profile(), address=address)
        driver = open_driver(bus, [setting], lambda: 1000.0, heard or Heard())
        assert isinstance(driver, Cjt188Driver)
        async with driver:
            yield driver


def check_right(readings: dict[str, Reading]) -> None:
    assert all(reading.is_good and reading.timestamp == 1000.0 for reading in readings.values())
    expected = Total(Decimal("1234.56"), Unit.KILOWATT_HOUR, Decimal(1_000_000))
    assert readings["energy"].total == expected
    shown = {name: reading.value for name, reading in readings.items()}
    assert shown == {
        "energy": 1234.56,
        "power": 23.2,
        "flow": 1.0,
        "volume": 7654.32,
        "supply_temperature": 65.12,
        "return_temperature": 45.12,
        "valve": 0.0,
        "battery_low": 0.0,
        "meter_number": 11110012345678.0,
    }


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


OTHER = bytes.fromhex("99 99 34 12 00 11 11")
WRONG = heat_payload({1: (9_999_999, 0x05)})


def foreign(request: bytes, right: bytes) -> bytes:
    """A sound answer of another meter, with another energy."""
    return frame(0x20, OTHER, 0x81, request[11:14] + WRONG)


FAULTS: dict[str, Fault] = {
    "foreign first": lambda q, r: [(0.0, foreign(q, r) + r)],
    "echo first": lambda q, r: [(0.0, q + r)],
    "junk around": lambda q, r: [(0.0, b"\r\nCTRL:R20181000h" + r + b"\x00\xff")],
    "byte by byte": lambda q, r: [(0.001, r[i : i + 1]) for i in range(len(r))],
    "no wake": lambda q, r: [(0.0, r.lstrip(b"\xfe"))],
    "thirteen wakes": lambda q, r: [(0.0, b"\xfe" * 9 + r)],
    "spoilt first": lambda q, r: [(0.0, r[:20] + bytes((r[20] ^ 1,)) + r[21:] + r)],
    "water meter first": lambda q, r: [(0.0, frame(0x10, WIRE, 0x81, q[11:14] + WRONG) + r)],
    "other identifier first": lambda q, r: [(0.0, frame(0x20, WIRE, 0x81, b"\xd1\x20\x00" + WRONG) + r)],
    "other command first": lambda q, r: [(0.0, frame(0x20, WIRE, 0x84, q[11:14] + WRONG) + r)],
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
async def test_the_right_answer_is_found_among_what_else_comes(fault: Fault) -> None:
    line = MeterLine(Meter(WIRE))
    line.fault = fault
    async with driving(line) as driver:
        check_right(dict(await driver.read(points())))


HOPELESS: dict[str, Fault] = {
    "silence": lambda q, r: [],
    "only foreign": lambda q, r: [(0.0, foreign(q, r))],
    "bit flip": lambda q, r: [(0.0, r[:30] + bytes((r[30] ^ 0x10,)) + r[31:])],
    "cut short": lambda q, r: [(0.0, r[:-3])],
    "only echo": lambda q, r: [(0.0, q)],
    "wrong length": lambda q, r: [(0.0, frame(0x20, WIRE, 0x81, q[11:14] + WRONG[:40]))],
    "unknown units": lambda q, r: [(0.0, frame(0x20, WIRE, 0x81, q[11:14] + bytes(43)))],
}


@pytest.mark.parametrize("fault", HOPELESS.values(), ids=list(HOPELESS))
async def test_where_no_right_answer_comes_there_is_no_reading_and_the_next_one_is_right(
    fault: Fault,
) -> None:
    line = MeterLine(Meter(WIRE))
    line.fault = fault
    async with driving(line) as driver:
        with pytest.raises((NoAnswerError, RemoteProtocolError)):
            await driver.read(points())
        line.fault = None
        check_right(dict(await driver.read(points())))


async def test_half_an_answer_is_told_apart_from_silence() -> None:
    line = MeterLine(Meter(WIRE))
    async with driving(line) as driver:
        line.fault = lambda request, right: [(0.0, right[:-3])]
        with pytest.raises(RemoteProtocolError, match="no whole answer"):
            await driver.read(points())
        line.fault = lambda request, right: []
        with pytest.raises(NoAnswerError):
            await driver.read(points())


async def test_a_late_answer_to_an_older_question_is_not_taken_where_the_meter_echoes() -> None:
    line, heard = MeterLine(Meter(WIRE)), Heard()
    async with driving(line, heard=heard) as driver:
        for _ in range(3):  # the driver sees that this meter echoes
            await driver.read(points())

        def keep(request: bytes, right: bytes) -> Pieces:
            stale.append(frame(0x20, WIRE, 0x81, request[11:14] + WRONG))
            return []

        stale: list[bytes] = []
        line.fault = keep
        with pytest.raises(NoAnswerError):
            await driver.read(points())
        line.fault = lambda request, right: [(0.0, stale[0]), (0.02, right)]
        check_right(dict(await driver.read(points())))
    assert heard.verdicts[-2:] == [Verdict.FOREIGN, Verdict.ANSWER]


async def test_questions_to_one_meter_at_the_same_time_wait_for_each_other() -> None:
    line, heard = MeterLine(Meter(WIRE)), Heard()
    async with driving(line, heard=heard) as driver:
        for _ in range(3):  # the driver sees that this meter echoes
            await driver.read(points(["energy"]))
        for readings in await asyncio.gather(*(driver.read(points()) for _ in range(3))):
            check_right(dict(readings))
    assert heard.verdicts == [Verdict.REQUEST, Verdict.ANSWER] * 6


async def test_a_meter_that_stops_echoing_is_learned_anew() -> None:
    meter = Meter(WIRE)
    line = MeterLine(meter)
    async with driving(line) as driver:
        for _ in range(3):
            await driver.read(points(["energy"]))
        meter.echoes, meter.battery = False, 0xEE
        for _ in range(3):
            with pytest.raises(RemoteProtocolError):
                await driver.read(points(["energy"]))
        check_right(dict(await driver.read(points())))


async def test_silence_is_asked_once_more_and_told() -> None:
    line, heard = MeterLine(Meter(WIRE)), Heard()

    def sleepy(request: bytes, right: bytes) -> Pieces:
        return [] if len(line.requests) == 1 else [(0.0, right)]

    line.fault = sleepy
    async with driving(line, profile(retries=1), heard=heard) as driver:
        check_right(dict(await driver.read(points())))
    assert heard.verdicts == [
        Verdict.REQUEST,
        Verdict.SILENCE,
        Verdict.RETRY,
        Verdict.REQUEST,
        Verdict.ANSWER,
    ]


async def test_two_meters_on_a_line_keep_apart() -> None:
    line = MeterLine(Meter(WIRE), Meter(OTHER, payload=WRONG))
    async with driving(line) as driver:
        driver.adopt(DeviceSetting("other", profile(), address="11110012349999"))
        mine, others = await asyncio.gather(
            driver.read(points(["energy"])), driver.read(points(["energy"], device="other"))
        )
    assert mine["energy"].value == 1234.56
    assert others["energy"].value == 99999.99


async def test_a_line_that_comes_back_is_used_again() -> None:
    line = MeterLine(Meter(WIRE))
    async with driving(line) as driver:
        await driver.read(points())
        for writer in line.writers:
            writer.close()
        while driver._link.is_open:  # the driver notices by itself
            await asyncio.sleep(0.005)
        check_right(dict(await driver.read(points())))


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
