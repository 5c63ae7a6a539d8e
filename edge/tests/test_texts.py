"""The catalogue: complete in both languages, and every key that code names stands in it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers import Reason
from edge.events import ALARM_KEYS, EVIDENCE, Confidence, Phase
from edge.records import Cause, Holder
from edge.texts import TextError, Texts, fields

ROOT = Path(__file__).resolve().parents[2]
ZH = Texts.load("zh")


def _write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")


def test_every_key_has_both_languages_with_the_same_fields() -> None:
    assert ZH.entries
    for key, entry in ZH.entries.items():
        assert set(entry) == {"zh", "en"}, key
        assert fields(entry["zh"]) == fields(entry["en"]), key


def test_chinese_is_chinese_and_english_is_not() -> None:
    han = re.compile("[\u4e00-\u9fff]")
    assert [key for key, entry in ZH.entries.items() if han.search(entry["en"])] == []


@pytest.mark.parametrize(
    "key",
    [f"alarm.{key}" for key in sorted(ALARM_KEYS)]
    + [f"alarm.{key}.action" for key in sorted(ALARM_KEYS)]
    + [f"evidence.{row.what}" for row in EVIDENCE]
    + [f"cause.{cause}" for cause in Cause]
    + [f"confidence.{level}" for level in Confidence]
    + [f"outage.phase.{phase}" for phase in Phase]
    + [f"holder.{holder.name.lower()}" for holder in Holder]
    + [f"bad.{reason}" for reason in Reason if reason],
)
def test_every_key_that_code_puts_together_is_written(key: str) -> None:
    assert key in ZH


def _calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the code that ships, with where it stands."""
    for path in sorted((ROOT / "edge").rglob("*.py")):
        if "tests" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield f"{path.name}:{node.lineno}", node


def _name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _first(call: ast.Call) -> str | None:
    """The first argument where it is a literal text."""
    argument = call.args[0] if call.args else None
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else None


def _named() -> list[tuple[str, str, ast.Call]]:
    """Where and which key: calls of the catalogue with a literal key."""
    return [
        (where, key, call)
        for where, call in _calls()
        if _name(call) in ("texts", "_texts", "bilingual") and (key := _first(call)) is not None
    ]


def test_every_key_that_code_names_is_written() -> None:
    assert [(where, key) for where, key, _ in _named() if key not in ZH] == []


def test_code_gives_every_field_of_the_text_it_names() -> None:
    short = [
        (where, key, sorted(fields(ZH.entries[key]["en"]) - {word.arg for word in call.keywords}))
        for where, key, call in _named()
        if key in ZH and all(word.arg is not None for word in call.keywords)
    ]
    assert [found for found in short if found[2]] == []


def test_every_kind_of_event_has_its_words() -> None:
    kinds = {
        (where, kind)
        for where, call in _calls()
        if _name(call) in ("Event", "Entry", "_event") and (kind := _first(call)) is not None
    }
    assert sorted((where, kind) for where, kind in kinds if f"kind.{kind}" not in ZH) == []


def test_fields_are_filled_in_and_one_that_is_not_given_stays_visible() -> None:
    assert Texts.load("en")("view.old", seconds="3") == "no news for 3 s"
    assert Texts.load("en")("view.old") == "no news for {seconds} s"


def test_a_key_nobody_wrote_shows_itself() -> None:
    assert ZH("no.such.key", value=1) == "no.such.key"
    assert "no.such.key" not in ZH


def test_records_take_both_languages() -> None:
    assert ZH.bilingual("cause.power") == {"zh": "停电", "en": "power cut"}


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_GB", "LC_MESSAGES": "C", "LC_ALL": "zh_TW"}, "zh"),
        ({"LANG": "zh_CN", "LC_ALL": ""}, "zh"),
        ({"LANG": "C"}, "en"),
    ],
)
def test_without_a_language_the_locale_decides(
    environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Texts.load().language == language


def test_a_language_we_do_not_speak_is_refused() -> None:
    with pytest.raises(TextError, match="'de'"):
        Texts.load("de")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[a]\nzh = "一"', "exactly the texts zh and en"),
        ('[a]\nzh = "一"\nen = "one"\nde = "eins"', "exactly the texts zh and en"),
        ('[a]\nzh = "{x}"\nen = "{y}"', "different fields"),
        ('[a]\nzh = ""\nen = "one"', "empty text"),
        ('[a]\nzh = 1\nen = "one"', "no text"),
        ('a = "one"', "exactly the texts zh and en"),
    ],
)
def test_an_unfit_catalogue_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    _write(tmp_path, "a.toml", text)
    with pytest.raises(TextError, match=complaint):
        Texts.load("zh", tmp_path)


def test_a_key_in_two_files_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, "a.toml", '[a]\nzh = "一"\nen = "one"')
    _write(tmp_path, "b.toml", '[a]\nzh = "一"\nen = "one"')
    with pytest.raises(TextError, match=r"b\.toml: the key 'a' stands in two files"):
        Texts.load("zh", tmp_path)
