"""The values a site binds to a pack's parameters, and their checks. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date

from edge.rules.problems import Problem
from edge.rules.sections import Parameter

Value = float | str | bool


def value_problems(parameters: Iterable[Parameter], values: Mapping[str, Value]) -> Iterator[Problem]:
    """What is wrong with the values a site gives to the pack's parameters."""
    declared = {one.name: one for one in parameters}
    for name, value in values.items():
        parameter = declared.get(name)
        if parameter is None:
            known = ", ".join(sorted(declared)) or "none"
            yield Problem(name, "the pack has no such parameter", f"remove it; known are: {known}")
        else:
            yield from _value(parameter, value)


def _value(parameter: Parameter, value: Value) -> Iterator[Problem]:
    reason = _KINDS[parameter.kind](parameter, value)
    if reason:
        source, gloss = parameter.clause or "the text is silent", parameter.gloss
        yield Problem(parameter.name, f"{value!r} {reason}", f"give what is asked ({source}): {gloss}")


def _number(parameter: Parameter, value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "is no number"
    low = parameter.minimum is not None and value < parameter.minimum
    high = parameter.maximum is not None and value > parameter.maximum
    return f"lies outside {parameter.minimum} to {parameter.maximum}" if low or high else ""


def _flag(_: Parameter, value: Value) -> str:
    return "" if isinstance(value, bool) else "is neither true nor false"


def _choice(parameter: Parameter, value: Value) -> str:
    return "" if value in parameter.choices else f"is none of {', '.join(parameter.choices)}"


def _date(_: Parameter, value: Value) -> str:
    try:
        date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        return "is no date YYYY-MM-DD"
    return ""


def _periods(_: Parameter, value: Value) -> str:
    try:
        periods(value if isinstance(value, str) else "?")
    except ValueError:
        return "is no list of YYYY-MM-DD/YYYY-MM-DD, parted by commas, each in order"
    return ""


_KINDS: dict[str, Callable[[Parameter, Value], str]] = {
    "number": _number,
    "flag": _flag,
    "choice": _choice,
    "date": _date,
    "periods": _periods,
}


def periods(text: str) -> tuple[tuple[date, date], ...]:
    """Ranges of days (first, last) of `2026-12-20/2027-01-10, 2027-02-01`; the text may be empty."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        first, _, last = part.partition("/")
        pair = (date.fromisoformat(first), date.fromisoformat(last or first))
        if pair[1] < pair[0]:
            raise ValueError(f"{part} ends before it starts")
        found.append(pair)
    return tuple(found)
