"""Everything a person reads, in Chinese and English, from the catalogue `config/texts/*.toml`.

A file holds one table per key, `["alarm.frost"]` with `zh` and `en`; values are filled in by str.format.
The catalogue is checked when it is loaded (both languages, the same fields, no key twice), so that what is
left to go wrong at run time is a key nobody wrote: then the key itself is shown. A terminal that shows a key
helps the technician more than one that has died; the tests demand every key.
"""

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from edge.resources import config_dir

LANGUAGES = ("zh", "en")
_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")  # in the order POSIX gives them


class TextError(ValueError):
    """The catalogue is not fit to be used: a fault of the installation, not of the site."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The catalogue, speaking one language."""

    language: str
    entries: Mapping[str, Mapping[str, str]]

    @classmethod
    def load(cls, language: str | None = None, folder: Path | None = None) -> "Texts":
        """All files of the folder merged; `language` None asks the environment. Raises TextError."""
        chosen = _from_environment(os.environ) if language is None else language
        if chosen not in LANGUAGES:
            raise TextError(f"language {chosen!r} is none of {', '.join(LANGUAGES)}")
        return cls(chosen, _merge(sorted((folder or config_dir() / "texts").glob("*.toml"))))

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of `key` with its fields filled in; the key itself where nobody wrote one."""
        entry = self.entries.get(key)
        return key if entry is None else entry[self.language].format_map(_Values(values))

    def bilingual(self, key: str, /, **values: object) -> dict[str, str]:
        """The text in both languages, for records that outlive the language of the day."""
        entry = self.entries.get(key)
        filled = _Values(values)
        return {tongue: key if entry is None else entry[tongue].format_map(filled) for tongue in LANGUAGES}

    def __contains__(self, key: str) -> bool:
        return key in self.entries


class _Values(dict[str, object]):
    """Fields nobody gave stay visible as `{name}`."""

    def __missing__(self, name: str) -> object:
        return _Missing(name)


class _Missing:
    """Stands for a value that was not given, whatever its format specification."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __format__(self, specification: str) -> str:
        return "{" + self._name + "}"


def fields(text: str) -> frozenset[str]:
    """Names of the fields of a text."""
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def _from_environment(environment: Mapping[str, str]) -> str:
    """`zh` for any Chinese locale, else `en`; the first variable that is set and not empty decides."""
    locale = next((environment[name] for name in _LOCALE_VARIABLES if environment.get(name)), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def _merge(files: Iterable[Path]) -> dict[str, Mapping[str, str]]:
    merged: dict[str, Mapping[str, str]] = {}
    for path in files:
        for key, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if key in merged:
                raise TextError(f"{path.name}: the key {key!r} stands in two files")
            merged[key] = _checked(path.name, key, entry)
    return merged


def _checked(name: str, key: str, entry: object) -> Mapping[str, str]:
    if not isinstance(entry, dict) or set(entry) != set(LANGUAGES):
        raise TextError(f"{name}: {key!r} must have exactly the texts zh and en")
    if not all(isinstance(text, str) and text for text in entry.values()):
        raise TextError(f"{name}: {key!r} has an empty text or one that is no text")
    if fields(entry["zh"]) != fields(entry["en"]):
        raise TextError(f"{name}: {key!r} has different fields in zh and en")
    return entry
