"""A driver on a line of simulated meters: what the tests of CJ/T 188 share."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from drivers import (
    Cjt188Bus,
    DeviceSetting,
    Point,
    Reading,
    TcpHost,
    Total,
    Traffic,
    Unit,
    Verdict,
    load_profile,
    open_driver,
)
from drivers.cjt188.driver import Cjt188Driver
from drivers.cjt188.profile import Cjt188Options, Cjt188Profile
from drivers.tests.cjt188_meters import (
    MeterLine,
    frame,
    heat_payload,
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
    """A profile that ships, with other options; asks once only."""
    loaded = load_profile(PROFILES / f"cjt188_{name}.toml")
    assert isinstance(loaded, Cjt188Profile)
    plain = loaded.cjt188.model_dump() | {"retries": 0} | options
    return loaded.model_copy(update={"cjt188": Cjt188Options.model_validate(plain)})


def points(names: Iterable[str] = tuple(UNITS), device: str = "meter") -> list[Point]:
    """Points called like their registers."""
    return [Point(name, device, name, UNITS[name]) for name in names]


class Heard:
    """A tap that keeps what it was told."""

    def __init__(self) -> None:
        self.traffic: list[Traffic] = []

    def __call__(self, traffic: Traffic) -> None:
        """The tap."""
        self.traffic.append(traffic)

    @property
    def verdicts(self) -> list[Verdict]:
        """What the frames were, in order."""
        return [traffic.verdict for traffic in self.traffic]


@asynccontextmanager
async def driving(
    line: MeterLine, prof: Cjt188Profile | None = None, address: str = NUMBER, heard: Heard | None = None
) -> AsyncIterator[Cjt188Driver]:
    """An entered driver on the line, which has the device `meter` and a clock that says 1000."""
    async with serve_tcp(line) as port:
        bus = Cjt188Bus(TcpHost("127.0.0.1", port), timeout_s=0.15)
        setting = DeviceSetting("meter", prof or profile(), address=address)
        driver = open_driver(bus, [setting], lambda: 1000.0, heard or Heard())
        assert isinstance(driver, Cjt188Driver)
        async with driver:
            yield driver


def check_right(readings: dict[str, Reading]) -> None:
    """All points have the values that a simulated meter shows."""
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


OTHER = bytes.fromhex("99 99 34 12 00 11 11")
WRONG = heat_payload({1: (9_999_999, 0x05)})


def foreign(request: bytes, right: bytes) -> bytes:
    """A sound answer of another meter, with another energy."""
    return frame(0x20, OTHER, 0x81, request[11:14] + WRONG)
