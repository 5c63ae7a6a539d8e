"""The live view, as a technician sees it in a terminal of 80 x 24."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from edge.texts import Texts
from edge.watch import picture, watch

WALL = 1_768_428_000.0
LANGUAGES = ("zh", "en")


def reading(value: float | None, unit: str, reason: str = "") -> dict[str, Any]:
    quality = "bad" if value is None else "good"
    return {"value": value, "unit": unit, "quality": quality, "reason": reason}


def circuit(name: str, zh: str, en: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": {"zh": zh, "en": en},
        "heating": True,
        "ready": True,
        "setpoint_c": 61.4,
        "outdoor_c": -5.9,
        "valve_percent": 88.0,
        "holder": "automatic",
        "limited_by": "",
    }


def calm() -> dict[str, Any]:
    readings = {
        f"{name}.{quantity}": reading(value, unit)
        for name in ("high", "low")
        for quantity, value, unit in (
            ("secondary_supply_temperature", 61.2, "degC"),
            ("secondary_return_temperature", 46.5, "degC"),
            ("valve_position", 87.9, "%"),
            ("pump_1.frequency", 45.0, "Hz"),
            ("heat_power", 1869.0, "kW"),
            ("secondary_return_pressure", 5.97, "bar"),
        )
    }
    station = (("outdoor_temperature", -5.9), ("primary_supply_temperature", 90.9), ("tank_level", 2.0))
    readings |= {f"station.{name}": reading(value, "degC") for name, value in station}
    readings |= {"station.primary_differential_pressure": reading(1.6, "bar")}
    readings |= {"station.mains_power": reading(1.0, "state")}
    readings |= {
        f"room.{room}.temperature": reading(20.4, "degC") for room in ("h1", "h2", "h3", "l1", "l2", "l3")
    }
    return {
        "version": 1,
        "gateway": "demo-01",
        "name": {"zh": "示范换热站", "en": "Demo substation"},
        "wall": WALL,
        "clock": "synced",
        "circuits": [circuit("high", "高区", "High zone"), circuit("low", "低区", "Low zone")],
        "readings": readings,
        "alarms": [],
        "compliance": {"pack": "p", "phase": "season", "outages": [], "duties": [], "refunds": []},
        "upstream": {
            "connected": True,
            "refused": 0,
            "streams": {
                name: {"sent": 99_999, "receipted": 99_998, "problem": ""} for name in ("journal", "history")
            },
        },
        "pace": {"steps": 1, "missed": 0},
        "devices": [],
        "tail": [{"kind": "alarm.raised", "subject": "station:primary_dp_low", "detected": WALL}] * 9,
    }


def busy() -> dict[str, Any]:
    """The worst hour: four outages, their duties, more alarms than there is room for."""
    document = calm()
    ids = [f"{name}-{number}" for number in (1, 2) for name in ("high", "low")]
    document["compliance"]["outages"] = [
        {
            "id": one,
            "circuit": one[:-2],
            "lost_at": WALL,
            "detected_at": WALL,
            "ended_at": None,
            "cause": "source",
        }
        for one in ids
    ]
    document["compliance"]["duties"] = [
        {
            "outage": one,
            "clause": "ZY-35",
            "action": f"duty.{duty}",
            "recipient": "recipient.authority",
            "urgency": "urgency.within",
            "due": WALL + hour * 3600,
            "state": state,
        }
        for one in ids
        for hour, (duty, state) in enumerate(
            (
                ("report_authority", "overdue"),
                ("tell_users", "due_soon"),
                ("restore", "open"),
                ("restore", "closed"),
            )
        )
    ]
    document["compliance"]["refunds"] = [
        {
            "outage": ids[0],
            "kind": "by_day",
            "reason": "due",
            "clauses": ["ZY-35"],
            "quantity": 1.08,
            "unit": "day",
            "share": None,
        }
    ]
    document["alarms"] = [
        {"key": key, "where": where, "priority": 1, "occurred": WALL}
        for key, where in (("primary_dp_low", "station"), ("supply_low", "high"), ("room_cold", "room.h3"))
        * 3
    ]
    for one in document["circuits"]:
        one["limited_by"] = "limit.valve_maximum"
    return document


def flooded() -> dict[str, Any]:
    """The worst hour with alarms in every state, in a flood."""
    document = broken()
    rows = (
        ("station:mains_lost", "shelved", 1),
        ("high:pump_not_running", "suppressed", 1),
        ("low:pump_not_running", "suppressed", 1),
        ("low:supply_low", "acknowledged", 2),
        ("high:frost", "latched", 1),
        ("station:door_open", "returned", 3),
        ("high:over_temperature", "unacknowledged", 1),
        ("high:makeup_rate", "unacknowledged", 2),
    )
    document["alarms"] = [
        {
            "subject": subject,
            "key": subject.split(":")[1],
            "where": subject.split(":")[0],
            "priority": priority,
            "occurred": WALL + 60 * number,
            "state": state,
            "active": state not in ("latched", "returned"),
            "until": WALL + 7200 if state == "shelved" else None,
            "chattering": number == 7,
        }
        for number, (subject, state, priority) in enumerate(rows)
    ]
    document["flood"] = {"count": 27, "where": "station", "key": "primary_dp_low", "began": WALL}
    return document


def troubled(name: str, **wrong: object) -> dict[str, Any]:
    return {
        "id": name,
        "lost": False,
        "probe_in_s": None,
        "not_written": [],
        "fail_safe": [],
        "interval_p99_s": 10.1,
        "period_s": 10.0,
        **wrong,
    }


def broken() -> dict[str, Any]:
    """The worst hour with a station full of troubled devices."""
    document = busy()
    document["devices"] = [
        troubled("meter_high", lost=True, probe_in_s=34.2),
        troubled("valve_high", not_written=["high.valve_setpoint"], fail_safe=[{"register": "backup_mode"}]),
        troubled("meter_low", interval_p99_s=21.0),
        troubled("room_h1", lost=True, probe_in_s=3.0),
        troubled("room_h2"),
    ]
    return document


def drawn(document: dict[str, Any], language: str, age_s: float = 0.5) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=False).print(picture(document, Texts.load(language), age_s))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("make", [calm, busy, broken, flooded], ids=lambda make: make.__name__)
def test_it_fits_a_terminal_of_80_by_24(make: Callable[[], dict[str, Any]], language: str) -> None:
    lines = drawn(make(), language)
    assert len(lines) < 24  # the last line is the note's
    assert max(cell_len(line.rstrip()) for line in lines) <= 80


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_of_a_circuit_is_whole_and_no_key_of_the_catalogue_shows(language: str) -> None:
    text = "\n".join(drawn(busy(), language))
    for number in ("61.4", "61.2", "46.5", "87.9", "45.0", "1869", "5.97"):
        assert number in text
    assert not [
        word for word in text.split() if word.startswith(("view.", "word.", "duty.", "alarm.", "cause."))
    ]


@pytest.mark.parametrize(("language", "word"), [("zh", "无应答"), ("en", "no answer")])
def test_a_bad_reading_is_a_word_never_a_number(language: str, word: str) -> None:
    document = calm()
    document["readings"]["high.secondary_supply_temperature"] = reading(None, "degC", "no_answer")
    assert word[:4] in "\n".join(drawn(document, language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_flood_shows_its_first_out_and_how_many(language: str) -> None:
    texts = Texts.load(language)
    lines = drawn(flooded(), language)
    (number,) = [number for number, line in enumerate(lines) if "27" in line]
    assert texts("alarm.primary_dp_low") in lines[number]
    assert f"{texts('alarm_state.shelved')} 1" in lines[number - 1]
    assert f"{texts('alarm_state.suppressed')} 2" in lines[number - 1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_alarms_that_wait_for_a_person_stand_first_each_with_its_state(language: str) -> None:
    texts = Texts.load(language)
    lines = drawn(flooded() | {"flood": None}, language)
    shown = ["over_temperature", "makeup_rate", "supply_low"]
    at = [next(n for n, line in enumerate(lines) if f": {texts('alarm.' + key)}" in line) for key in shown]
    assert at == sorted(at)
    assert texts("alarm_mark.unacknowledged").strip() in lines[at[0]]
    assert texts("view.chattering") in lines[at[1]]
    assert texts("alarm_mark.acknowledged").strip() in lines[at[2]]
    assert texts("alarm.frost") not in "".join(lines)  # there is room for three


def test_shelved_alarms_alone_are_counted_and_take_no_line_of_their_own() -> None:
    document = flooded() | {"flood": None}
    document["alarms"] = document["alarms"][:3]
    (line,) = [line for line in drawn(document, "en") if "shelved" in line]
    assert "no alarms" in line
    assert "shelved 1" in line


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"lost": True, "probe_in_s": 34.2}, "silent, asked again in 34 s"),
        ({"not_written": ["high.valve_setpoint"]}, "not as written"),
        ({"fail_safe": [{"register": "backup_mode"}]}, "fail-safe setting off"),
        ({"interval_p99_s": 20.1}, "read late"),
    ],
)
def test_a_device_is_shown_when_something_is_wrong_with_it(wrong: dict[str, Any], words: str) -> None:
    document = calm()
    document["devices"] = [troubled("meter_low"), troubled("valve_high", **wrong)]
    (line,) = [line for line in drawn(document, "en") if "valve_high" in line]
    assert words in line
    assert "meter_low" not in line


def test_devices_that_are_well_take_no_line() -> None:
    document = calm()
    without = len(drawn(document, "en"))
    document["devices"] = [troubled("meter_low")]
    assert len(drawn(document, "en")) == without


def test_a_document_that_has_gone_old_says_so() -> None:
    assert "61" in drawn(calm(), "en", age_s=61.0)[0]
    assert "no news" in drawn(calm(), "en", age_s=61.0)[0]
    assert "no news" not in drawn(calm(), "en", age_s=1.0)[0]


def test_one_duty_owed_for_two_circuits_is_one_line() -> None:
    overdue = [line for line in drawn(busy(), "en") if "overdue" in line]
    assert len(overdue) == 1


def test_without_a_service_it_says_where_it_looked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch(tmp_path / "status.json", Texts.load("en"), once=True) == 2
    assert str(tmp_path / "status.json") in capsys.readouterr().err


def test_a_half_written_document_does_not_end_the_view(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text(json.dumps(calm())[:-30], encoding="utf-8")
    os.utime(path, (WALL, WALL))
    assert watch(path, Texts.load("en"), once=True) == 2
