"""The searches find every meter of a line, whatever it is called, and end."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import ConfigurationError, MBusBus, TcpHost, open_driver
from drivers.mbus.search import Found, Outcome, PrimaryScan, Searchable, SecondarySearch
from drivers.tests import mbus_meters as sim
from drivers.tests.mbus_encode import int_record
from drivers.tests.mbus_meters import Meter, MeterLine, serve_tcp

# twenty numbers as they come from one delivery: most differ in the last two digits only
CLOSE = [*range(70112340, 70112350), *range(70112360, 70112365), 70112999, 70999999, 1, 10, 99999999]


def meters(numbers: list[int]) -> list[Meter]:
    return [
        Meter(n % 8, f"{number:08d}.KAM.35.04", lambda: [int_record(b"\x06", 1)])
        for n, number in enumerate(numbers)
    ]


async def drive(line: MeterLine, search: PrimaryScan | SecondarySearch) -> int:
    """Run `search` on the line; how many addresses were tried."""
    tries = 0
    async with (
        serve_tcp(line) as port,
        open_driver(MBusBus(TcpHost("127.0.0.1", port), 0.04), [], lambda: 0.0) as driver,
    ):
        assert isinstance(driver, Searchable)
        while (address := search.next()) is not None:
            assert search.next() == address
            tries += 1
            search.tell(await driver.find(address))
    return tries


async def test_twenty_meters_with_close_numbers_are_all_found_on_one_line() -> None:
    search = SecondarySearch()
    line = MeterLine(*meters(CLOSE))
    tries = await drive(line, search)
    assert sorted(search.found) == sorted(f"{number:08d}.KAM.35.04" for number in CLOSE)
    assert search.collisions == []
    assert search.progress == pytest.approx(1.0)
    assert tries < 200


async def test_what_is_heard_of_several_meters_at_once_may_be_garbled_in_any_way() -> None:
    noise = random.Random(4)  # noqa: S311 (the same noise every time)
    line = MeterLine(*meters(CLOSE[:6]))

    def garbled(request: bytes, right: bytes) -> sim.Pieces:
        speakers = sum(meter.selected for meter in line.meters)
        if speakers > 1 and len(right) > 1:
            return [(0.0, noise.randbytes(noise.randrange(1, 60)))]
        return [(0.0, right)] if right else []

    line.fault = garbled
    search = SecondarySearch("701123FF")
    await drive(line, search)
    assert len(search.found) == 6


async def test_two_meters_with_the_same_number_are_reported_not_lost() -> None:
    one, two = Meter(1, "12345678.KAM.35.04"), Meter(2, "12345678.LUG.07.04")
    search = SecondarySearch("123456FF")
    await drive(MeterLine(one, two, *meters([12345679])), search)
    assert search.found == ["12345679.KAM.35.04"]
    assert search.collisions == ["12345678"]


async def test_a_line_that_always_makes_noise_ends_the_search_early() -> None:
    line = MeterLine()
    line.fault = lambda request, right: [(0.0, b"\x00\xff\x42")]
    search = SecondarySearch("0000FFFF")
    assert await drive(line, search) < 200
    assert search.gave_up
    assert search.found == []


async def test_a_primary_scan_finds_each_meter_and_names_addresses_given_twice() -> None:
    line = MeterLine(Meter(0, "10000001.KAM.35.04"), Meter(3, "10000002.KAM.35.04"))
    line.meters += [Meter(7, "20000004.KAM.35.04"), Meter(7, "10000003.LUG.35.04")]
    scan = PrimaryScan(last=9)
    assert await drive(line, scan) == 10
    assert scan.found == ["0", "3"]
    assert scan.collisions == ["7"]
    assert scan.progress == 1.0


async def test_an_address_that_is_none_cannot_be_tried() -> None:
    async with open_driver(MBusBus(TcpHost("127.0.0.1", 1)), [], lambda: 0.0) as driver:
        assert isinstance(driver, Searchable)
        with pytest.raises(ConfigurationError):
            await driver.find("251")


def told_by(numbers: set[int]) -> Callable[[str], Found]:
    """A perfect line with meters of these numbers."""

    def tell(mask: str) -> Found:
        fit = [n for n in numbers if all(m in ("F", d) for m, d in zip(mask, f"{n:08d}", strict=True))]
        if len(fit) > 1:
            return Found(Outcome.COLLISION)
        return Found(Outcome.ONE, f"{fit[0]:08d}") if fit else Found(Outcome.NOTHING)

    return tell


@given(st.sets(st.integers(0, 10**8 - 1) | st.integers(70_000_000, 70_000_099), max_size=12))
def test_every_set_of_numbers_is_found_exactly_in_few_tries(numbers: set[int]) -> None:
    line, search, tries, done = told_by(numbers), SecondarySearch(), 0, 0.0
    while (mask := search.next()) is not None:
        search.tell(line(mask))
        tries += 1
        assert search.progress >= done
        done = search.progress
    assert sorted(search.found) == sorted(f"{n:08d}" for n in numbers)
    assert tries <= 1 + 80 * max(1, len(numbers))
