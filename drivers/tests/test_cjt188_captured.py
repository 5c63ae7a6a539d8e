"""Public frames of CJ/T 188 read as their sources say, and noticed where they are spoilt."""

import tomllib
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from drivers import RemoteProtocolError, Verdict
from drivers.cjt188.address import from_wire
from drivers.cjt188.frames import HEAT, Receiver, decode
from drivers.cjt188.values import Heat, candidates, layouts
from drivers.cjt188.values import decode as decode_heat

_DATA = Path(__file__).parent / "data" / "cjt188"


def _load(name: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((_DATA / name).read_text(encoding="utf-8"))


HEAT_ANSWERS = _load("heat_answers.toml")
SOUND = {name: entry for name, entry in HEAT_ANSWERS.items() if entry.get("checksum", True)}
SPOILT = {name: entry for name, entry in HEAT_ANSWERS.items() if name not in SOUND}
PUBLISHED = {name: entry for name, entry in SOUND.items() if "published" in entry}
OTHERS = _load("other_frames.toml")


def heat_of(entry: dict[str, Any]) -> Heat:
    return decode_heat(decode(bytes.fromhex(entry["hex"])).payload)


def test_the_collection_holds_as_many_frames_as_the_report_says() -> None:
    assert (len(SOUND), len(SPOILT), len(PUBLISHED), len(OTHERS)) == (12, 3, 2, 8)


@pytest.mark.parametrize("entry", SOUND.values(), ids=list(SOUND))
def test_a_captured_answer_is_one_frame_of_a_heat_meter(entry: dict[str, Any]) -> None:
    data = bytes.fromhex(entry["hex"])
    pieces = Receiver().feed(data)
    assert [(piece.verdict, piece.data) for piece in pieces] == [(Verdict.ANSWER, data)]
    frame = pieces[0].frame
    assert frame is not None
    assert frame.type in (0x20, 0x25, 0x27)
    assert frame.control == 0x81
    assert frame.names(HEAT)
    assert from_wire(frame.address, "standard") == entry["number"]


@pytest.mark.parametrize("entry", SOUND.values(), ids=list(SOUND))
def test_the_layout_of_a_captured_answer_is_found_and_its_values_make_sense(entry: dict[str, Any]) -> None:
    heat = heat_of(entry)
    assert heat.layout == entry["layout"]
    bad = {name for name, amount in heat.amounts.items() if amount.number is None}
    assert bad == set(entry.get("bad", ()))
    for side in ("supply_temperature", "return_temperature"):
        number = heat.amounts[side].number
        assert number is not None
        assert 0 < number < 100
    assert heat.clock is not None
    assert 2004 <= heat.clock.year <= 2025


@pytest.mark.parametrize("entry", PUBLISHED.values(), ids=list(PUBLISHED))
def test_a_captured_answer_reads_as_its_source_says(entry: dict[str, Any]) -> None:
    heat = heat_of(entry)
    for name, (number, unit) in entry["published"].items():
        assert heat.amounts[name].number == Decimal(number), name
        assert heat.amounts[name].unit == unit, name
    if "clock" in entry:
        assert heat.clock == datetime.fromisoformat(entry["clock"])


@pytest.mark.parametrize("entry", SPOILT.values(), ids=list(SPOILT))
def test_a_published_frame_whose_checksum_is_wrong_is_noticed(entry: dict[str, Any]) -> None:
    data = bytes.fromhex(entry["hex"])
    with pytest.raises(RemoteProtocolError, match="checksum"):
        decode(data)
    assert [piece.frame for piece in Receiver().feed(data)] == [None]


@pytest.mark.parametrize("entry", OTHERS.values(), ids=list(OTHERS))
def test_requests_and_frames_of_other_meters_have_the_same_form(entry: dict[str, Any]) -> None:
    frame = decode(bytes.fromhex(entry["hex"]))
    assert (frame.type, frame.control, frame.sequence) == (entry["type"], entry["control"], entry["sequence"])
    assert frame.names(entry["identifier"])
    assert from_wire(frame.address, "standard") == entry["number"]


def test_the_huizhong_and_runa_frames_bear_the_number_on_the_meter() -> None:
    huizhong = decode(bytes.fromhex(HEAT_ANSWERS["huizhong"]["hex"]))
    assert from_wire(huizhong.address, "huizhong") == "130156920"
    runa = decode(bytes.fromhex(HEAT_ANSWERS["runa_type_25"]["hex"]))
    assert from_wire(runa.address, "runa") == "0059200991"


def test_every_captured_answer_has_its_right_reading_among_the_candidates() -> None:
    for entry in SOUND.values():
        payload = decode(bytes.fromhex(entry["hex"])).payload
        assert layouts(payload) == (entry["layout"],)
        found = candidates(payload)
        assert next(c.heat for c in found if c.decimals == "standard") == heat_of(entry)
        assert {c.heat.layout for c in found} == {entry["layout"]}
