"""Published telegrams of real meters decode to the values that were published with them.

`data/mbus/libmbus.json` has what libmbus prints, in base units with six decimals; `data/mbus/field.json` has
values of other publishers in the meter's unit. Where we say otherwise, the file says why. `refused.json` are
the collection's faulty telegrams, and those that are no meter's answer.
"""

import json
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from drivers import ProtocolError, Reading, load_profile
from drivers.mbus.profile import MBusProfile
from drivers.mbus.readings import Heard, reading
from drivers.mbus.records import Function, Record
from drivers.mbus.telegram import MEDIA, Telegram, decode, maker_letters

DATA = Path(__file__).parent / "data" / "mbus"
CONFIG = Path(__file__).parents[2] / "config" / "profiles"
LIBMBUS: list[dict[str, Any]] = json.loads((DATA / "libmbus.json").read_text(encoding="utf-8"))
FIELD: list[dict[str, Any]] = json.loads((DATA / "field.json").read_text(encoding="utf-8"))
REFUSED: list[dict[str, str]] = json.loads((DATA / "refused.json").read_text(encoding="utf-8"))
ALL = LIBMBUS + FIELD
HEAT = [entry for entry in ALL if entry["heat"]]

FUNCTIONS = {
    Function.INSTANTANEOUS: ("Instantaneous value", "Actual value", "Stored value"),
    Function.MAXIMUM: ("Maximum value",),
    Function.MINIMUM: ("Minimum value",),
    Function.ERROR: ("Value during error state",),
}
NOT_RECORDS = ("Manufacturer specific", "More records follow")
BASE = {"kWh": 10**3, "MWh": 10**6, "MJ": 10**6, "GJ": 10**9, "min": 60, "h": 3600, "d": 86400}


def of(entries: Sequence[dict[str, Any]] | Sequence[dict[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", entries, ids=[entry["name"] for entry in entries])


def test_the_collection_is_as_large_as_we_say() -> None:
    assert (len(LIBMBUS), len(FIELD), len(HEAT)) == (76, 12, 44)
    assert len({entry["hex"] for entry in HEAT}) == 44  # no telegram is counted twice


@of(LIBMBUS)
def test_a_telegram_of_the_libmbus_collection_has_its_published_values(entry: dict[str, Any]) -> None:
    telegram = decode(bytes.fromhex(entry["hex"]))
    _header(telegram, entry)
    published = [row for row in entry["records"] if row[0] not in NOT_RECORDS]
    assert len(telegram.records) == len(published)
    differs = [
        str(n)
        for n, (row, r) in enumerate(zip(published, telegram.records, strict=True))
        if not _same(row, r)
    ]
    assert differs == list(entry.get("differs", {}))


def _header(telegram: Telegram, entry: dict[str, Any]) -> None:
    identity = telegram.identity
    assert telegram.access == int(entry["access"])
    assert f"{telegram.status:02X}" == entry["status"]
    assert identity.number.lstrip("0") == entry["number"].lstrip("0")
    if identity.maker is not None:
        assert maker_letters(identity.maker) == entry["maker"]
        assert identity.version == int(entry["version"])


def _same(row: list[str], record: Record) -> bool:
    function, storage, tariff, subunit, _, unit, value = row
    place = (record.storage, record.tariff, record.subunit)
    return (
        function in FUNCTIONS[record.function]
        and tuple(int(number or 0) for number in (storage, tariff, subunit)) == place
        and _equal(record, value, 1 if unit == record.symbol else BASE.get(record.symbol, 1))
    )


def _equal(record: Record, published: str, base: int) -> bool:
    match record.value:
        case Decimal() as number:
            printed = Decimal(published) if published else None
            return printed is not None and abs(number * base - printed) <= Decimal("1e-6")
        case date() | datetime() | time() as moment:
            return published.rstrip("Z") == moment.isoformat()
        case bytes() as data:
            return published.replace(" ", "").lower() == data.hex()
        case str() as text:
            return published.strip() == text.strip()
        case None:
            return False


@of(FIELD)
def test_a_telegram_from_the_field_has_its_published_values(entry: dict[str, Any]) -> None:
    telegram = decode(bytes.fromhex(entry["hex"]))
    assert str(telegram.identity) == entry["who"]
    differs = [str(n) for n, row in enumerate(entry["values"]) if not _holds(telegram, *row)]
    assert differs == list(entry.get("differs", {}))


PLACE: dict[str, Any] = {
    "function": "instantaneous",
    "storage": 0,
    "tariff": 0,
    "subunit": 0,
    "qualifiers": [],
}


def _place(record: Record) -> dict[str, Any]:
    return {key: getattr(record, key) for key in PLACE} | {"qualifiers": list(record.qualifiers)}


def _holds(
    telegram: Telegram, quantity: str, symbol: str, value: str, place: dict[str, Any] | None = None
) -> bool:
    wanted = PLACE | (place or {})
    found = [r for r in telegram.records if r.quantity == quantity and _place(r) == wanted]
    assert found, (quantity, wanted)
    shown = found[0].value
    if isinstance(shown, Decimal):
        return found[0].symbol == symbol and shown == Decimal(value)
    return isinstance(shown, date) and shown.isoformat() == value


@of(REFUSED)
def test_a_telegram_that_libmbus_has_as_faulty_or_no_answer_is_refused_and_says_why(
    entry: dict[str, str],
) -> None:
    with pytest.raises(ProtocolError, match=entry["why"]):
        decode(bytes.fromhex(entry["hex"]))


def test_every_heat_meter_of_the_collection_calls_itself_one() -> None:
    media = {MEDIA[decode(bytes.fromhex(entry["hex"])).identity.medium] for entry in HEAT}
    assert media == {"heat", "heat_flow", "heat_cooling"}


def readings_of(profile: str, name: str) -> dict[str, Reading]:
    """All registers of a shipped profile, read from a telegram of the collection."""
    loaded = load_profile(CONFIG / f"{profile}.toml")
    assert isinstance(loaded, MBusProfile)
    (entry,) = [entry for entry in ALL if entry["name"] == name]
    heard = Heard((decode(bytes.fromhex(entry["hex"])),))
    return {key: reading(r, r.unit, heard, loaded.mbus, 0.0) for key, r in loaded.registers.items()}


def values_of(profile: str, name: str) -> dict[str, float | None]:
    return {key: found.value for key, found in readings_of(profile, name).items()}


GENERIC = ("energy", "volume", "flow", "power", "supply_temperature", "return_temperature")


@of([entry for entry in HEAT if len(entry.get("records", [])) > 8 or "values" in entry])
def test_the_generic_profile_finds_energy_or_volume_in_every_heat_meter(entry: dict[str, Any]) -> None:
    values = values_of("mbus_heat_meter", entry["name"])
    assert values["number"] is not None
    assert any(values[key] is not None for key in ("energy", "energy_forward", "volume"))


@pytest.mark.parametrize(
    ("profile", "name", "values"),
    [
        ("mbus_heat_meter", "kamstrup_multical_403", (34510, 2232.49, 0.527, None, 64.6, 45.16)),
        ("mbus_heat_meter", "landis_gyr_ultraheat_t550", (8974.444444444445, 1995.07, 0.808, 0.5, 52, 51)),
        ("mbus_heat_meter", "kamstrup_multical_601", (37351, 561.08, 0.543, 34.7, 101.69, 46.16)),
        ("mbus_kamstrup_multical", "kamstrup_multical_603", (3363200, 85656, 13.16, 560, 81.37, 44.31)),
        (
            "mbus_landis_gyr_ultraheat",
            "landis_gyr_ultraheat_t550",
            (8974.444444444445, 1995.07, 0.808, 0.5, 52, 51),
        ),
        ("mbus_engelmann_sensostar", "engelmann_sensostar_2019", (8608, 841.6, 0, 0, 24, 23)),
    ],
)
def test_a_shipped_profile_reads_what_its_meter_publishes(
    profile: str, name: str, values: tuple[float | None, ...]
) -> None:
    found = values_of(profile, name)
    assert tuple(found[key] for key in GENERIC) == values
