"""M-Bus: our decoder beside two others, and a master on libmbus on the meters that our driver reads.

Every published telegram goes through pyMeterBus and pymbusparser, too. Where they differ from us stands in
`mbus_differences.toml` with the reason; anything else that differs is a failure.
"""

import asyncio
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from drivers import DeviceSetting, MBusBus, Point, TcpHost, Unit, open_driver
from drivers.mbus.search import Searchable, SecondarySearch
from drivers.mbus.telegram import decode
from drivers.tests.mbus_encode import bcd_record, int_record
from drivers.tests.mbus_meters import Meter, MeterLine, serve_tcp
from drivers.tests.profiles import make_profile
from hil_tests.interop import mbus_opinions
from hil_tests.interop.mbus_opinions import Opinion
from hil_tests.interop.peers import PYTHON, SERVERS, node, told

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "drivers" / "tests" / "data" / "mbus"
TELEGRAMS: list[dict[str, Any]] = [
    entry
    for name in ("libmbus", "field")
    for entry in json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
]
DIFFERENCES: dict[str, dict[str, str]] = tomllib.loads((HERE / "mbus_differences.toml").read_text("utf-8"))
Reader = Callable[[Sequence[dict[str, Any]]], Iterator[Opinion]]
DECODERS: Mapping[str, tuple[str, str, Reader, bool]] = {
    "pyMeterBus 0.8": ("pyMeterBus", "meterbus_decode.py", mbus_opinions.pymeterbus, True),
    "pymbusparser 0.5": ("pymbusparser", "mbusparser_decode.py", mbus_opinions.pymbusparser, False),
}
AGREED = {"pyMeterBus": 1130, "pymbusparser": 1020}
"""How many values both have alike; more is welcome, fewer is a failure."""


def differing(name: str, telegram: str, theirs: Sequence[Opinion], seconds: bool) -> tuple[set[str], int]:
    """Where `theirs` is not ours, as keys of the differences; and how many records are alike."""
    ours = [mbus_opinions.ours(record, seconds) for record in decode(bytes.fromhex(telegram)).records]
    pairs = list(zip(ours, theirs, strict=False))
    unlike = {f"{name} {place}" for place, (our, their) in enumerate(pairs) if not our.agrees(their)}
    alike = len(pairs) - len(unlike)
    return unlike | ({name} if len(ours) != len(theirs) else set()), alike


@pytest.mark.peer("M-Bus")
@pytest.mark.parametrize("peer", list(DECODERS))
def test_every_published_telegram_has_the_values_another_decoder_finds_or_a_reason_why_not(peer: str) -> None:
    name, script, read, seconds = DECODERS[peer]
    answers = told([str(PYTHON), str(SERVERS / script)], [entry["hex"] for entry in TELEGRAMS])
    found: set[str] = set()
    agreed = 0
    for entry, answer in zip(TELEGRAMS, answers, strict=True):
        theirs = list(read(answer.get("records", [])))
        unlike, alike = differing(entry["name"], entry["hex"], theirs, seconds)
        found, agreed = found | unlike, agreed + alike
    assert found == set(DIFFERENCES[name])
    assert agreed >= AGREED[name]


WHO = ("70112340.KAM.35.04", "70112341.KAM.35.04", "00000001.LUG.07.0C", "99999999.ZRI.88.04")
REGISTERS: dict[str, dict[str, Any]] = {
    "energy": {"quantity": "energy", "unit": "kWh", "total": {}},
    "volume": {"quantity": "volume", "unit": "m3"},
    "flow": {"quantity": "volume_flow", "unit": "m3/h"},
    "supply": {"quantity": "flow_temperature", "unit": "degC"},
    "billed": {"quantity": "energy", "unit": "kWh", "storage": 1},
}
POINTS = [Point(name, "m", name, Unit(register["unit"])) for name, register in REGISTERS.items()]


def says(number: int) -> Sequence[bytes]:
    """The telegrams of the meter of that number: two, so that a master must ask twice."""
    now = bcd_record(b"\x06", 123456 + number) + int_record(b"\x14", 987654) + int_record(b"\x3b", 1250, 2)
    return [now + int_record(b"\x59", 8512, 2), bcd_record(b"\x06", 100000 + number, storage=1)]


def line() -> MeterLine:
    """Four meters on primary addresses 1 to 4."""
    return MeterLine(*[Meter(n, who, partial(says, n)) for n, who in enumerate(WHO, 1)])


EXPECTED = {"energy": 123456.0, "volume": 9876.54, "flow": 1.25, "supply": 85.12, "billed": 100000.0}


async def master(port: int, *addresses: str) -> list[Any]:
    """What libmbus hears of these addresses."""
    found = await asyncio.to_thread(told, [*node("mbus_master.js"), str(port), "40", *addresses])
    assert isinstance(found, list)
    return found


def libmbus(address: str) -> str:
    """A secondary address as libmbus writes it: the bytes as they travel, only the number turned round."""
    number, maker, version, medium = address.split(".")
    code = sum((ord(letter) - 64) << shift for letter, shift in zip(maker, (10, 5, 0), strict=True))
    return f"{number}{code.to_bytes(2, 'little').hex().upper()}{version}{medium}"


def values(answer: dict[str, Any]) -> list[tuple[str, int]]:
    """Units and raw numbers, in their order; a record without unit says that another telegram follows."""
    return [(record["Unit"], record["Value"]) for record in answer["DataRecord"] if "Unit" in record]


async def ours(port: int, address: str) -> dict[str, float | None]:
    """What our driver reads."""
    device = DeviceSetting("m", make_profile("mbus", REGISTERS), None, address)
    async with open_driver(MBusBus(TcpHost("127.0.0.1", port), 0.1), [device], lambda: 0.0) as driver:
        return {name: found.value for name, found in (await driver.read(POINTS)).items()}


def raw(number: int) -> list[tuple[str, int]]:
    """What libmbus should say of the meter's values."""
    return [
        ("Energy (kWh)", 123456 + number),
        ("Volume (1e-2  m^3)", 987654),
        ("Volume flow (m m^3/h)", 1250),
        ("Flow temperature (1e-2 deg C)", 8512),
        ("Energy (kWh)", 100000 + number),
    ]


def of(number: int) -> dict[str, float]:
    """The same as readings."""
    return EXPECTED | {"energy": 123456.0 + number, "billed": 100000.0 + number}


@pytest.mark.peer("node-mbus 2.2 (libmbus)", "M-Bus")
async def test_a_master_on_libmbus_and_our_driver_read_the_same_from_primary_addresses() -> None:
    async with serve_tcp(line()) as port:
        answers = await master(port, "1", "2", "3", "4")
        for number, (who, answer) in enumerate(zip(WHO, answers, strict=True), 1):
            assert answer["SlaveInformation"]["Id"] == int(who[:8])
            assert answer["SlaveInformation"]["Manufacturer"] == who[9:12]
            assert values(answer) == raw(number)
            assert await ours(port, str(number)) == pytest.approx(of(number))


@pytest.mark.peer("node-mbus 2.2 (libmbus)", "M-Bus")
async def test_a_master_on_libmbus_and_our_driver_read_the_same_from_secondary_addresses() -> None:
    async with serve_tcp(line()) as port:
        answers = await master(port, *map(libmbus, WHO))
        for number, (who, answer) in enumerate(zip(WHO, answers, strict=True), 1):
            assert values(answer) == raw(number)
            assert await ours(port, who) == pytest.approx(of(number))


@pytest.mark.peer("node-mbus 2.2 (libmbus)", "M-Bus")
async def test_the_wildcard_searches_of_libmbus_and_ours_find_the_same_meters() -> None:
    async with serve_tcp(line()) as port:
        theirs = await master(port)
        async with open_driver(MBusBus(TcpHost("127.0.0.1", port), 0.04), [], lambda: 0.0) as driver:
            assert isinstance(driver, Searchable)
            search = SecondarySearch()
            while (address := search.next()) is not None:
                search.tell(await driver.find(address))
    assert sorted(theirs) == sorted(map(libmbus, WHO))
    assert sorted(search.found) == sorted(WHO)


@pytest.mark.peer("node-mbus 2.2 (libmbus)", "M-Bus")
async def test_nobody_is_found_where_nobody_is() -> None:
    async with serve_tcp(line()) as port:
        assert await master(port, "77") == [None]
