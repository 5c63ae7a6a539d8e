"""Plain values of journal bodies and memories, taken apart; the wrong kind raises TypeError."""

from collections.abc import Mapping

from edge.records import Plain


def mapping(value: Plain) -> Mapping[str, Plain]:
    """A mapping, as it is."""
    if not isinstance(value, Mapping):
        raise TypeError(f"expected a mapping, found {type(value).__name__}")
    return value


def number(value: Plain) -> float:
    """A number; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number, found {type(value).__name__}")
    return float(value)


def optional(value: Plain) -> float | None:
    """A number or None."""
    return None if value is None else number(value)
