"""The monitor says what a frame means, of any bytes, in words the catalogue has."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mbus import frames
from drivers.mbus.explain import KEYS, explain
from drivers.mbus.frames import ACK, Ci, long, short
from drivers.tests.mbus_encode import dib, identity, int_record, telegram

TEXTS = tomllib.loads(
    (Path(__file__).parents[2] / "config" / "texts" / "fieldwork_mbus.toml").read_text(encoding="utf-8")
)
WHO = identity("12345678.KAM.35.04")
SELECT = bytes.fromhex("78 56 34 12 FF FF FF FF")


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (ACK, "acknowledged (E5)"),
        (short(0x40, 253), "start address 253 (SND_NKE)"),
        (short(0x7B, 5), "ask address 5 for its data (REQ_UD2, frame count bit 1)"),
        (
            long(0x53, 253, Ci.SELECT, SELECT),
            "select the meter numbered 12345678 (maker, version, medium: FF FF FF FF)",
        ),
        (long(0x53, 5, Ci.RESET), "reset the application of address 5, parameter -"),
        (long(0x73, 5, 0x51, b"\x01\xff\x08\x03"), "to address 5: control 73, CI 51, data 01 FF 08 03"),
        (short(0x5A, 5), "to address 5: control 5A, CI -, data -"),
        (long(0x08, 5, Ci.ERROR, b"\x08"), "the meter at address 5 refuses: application error 8"),
    ],
)
def test_a_frame_is_told_in_one_sentence(frame: frames.Frame, text: str) -> None:
    meaning = explain(frames.encode(frame))
    assert TEXTS[meaning.key]["en"].format(**meaning.values) == text


def test_a_telegram_is_told_with_who_it_is_and_what_it_measures() -> None:
    body = int_record(b"\x06", 7, storage=1) + int_record(b"\x06", 123) + int_record(b"\x3b", 1250, 2)
    body += dib(0xC) + b"\x14" + b"\xaa" * 4
    meaning = explain(telegram(5, WHO, body, access=9, status=4))
    shown = {
        key: meaning.values[key] for key in ("meter", "medium", "energy", "volume", "volume_flow", "power")
    }
    assert shown == {
        "meter": "12345678.KAM.35.04",
        "medium": "heat",
        "energy": "123 kWh",
        "volume": "bcd",
        "volume_flow": "1.250 m3/h",
        "power": "-",
    }
    assert (meaning.values["records"], meaning.values["status"], meaning.values["more"]) == (4, "04", "-")


def test_the_catalogue_has_every_key_and_its_fields_in_both_languages() -> None:
    assert TEXTS.keys() == KEYS


@given(st.binary(max_size=260), st.sampled_from([0x08, 0x53, 0x73]), st.integers(0, 255))
def test_no_bytes_upset_the_monitor(data: bytes, control: int, ci: int) -> None:
    for line in (data, frames.encode(long(control, 1, ci, data[:252])), telegram(1, WHO, data[:240])):
        meaning = explain(line)
        assert "{" not in TEXTS[meaning.key]["zh"].format(**meaning.values).replace(
            str(meaning.values.get("why")), ""
        )
