"""From the number on a meter to A0..A6 on the wire and back, as makers do it. Pure.

The standard: fourteen digits, low byte first, the last two bytes being the maker's code. Runa and Tiangang
keep to it with the maker's code 1111. Huizhong and Maituo send their digits in reading order with a filling
of their own (schemes found in a public reading tool for four makers; not proved by a maker's document).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from drivers.cjt188.frames import WILDCARD

Scheme = Literal["standard", "runa", "huizhong", "maituo"]

_ANY = WILDCARD.hex().upper()


@dataclass(frozen=True, slots=True)
class _Rule:
    digits: int  # as many as the number on the meter has at most
    fill: Callable[[str], str]  # number -> fourteen digits
    strip: Callable[[str], str]  # and back; "" when they are not of this scheme
    reverse: bool


def _cut(digits: str, before: str, after: str = "") -> str:
    fits = digits.startswith(before) and digits.endswith(after)
    return digits[len(before) : len(digits) - len(after)] if fits else ""


_RULES: Mapping[str, _Rule] = {
    "standard": _Rule(14, lambda number: number.zfill(14), lambda digits: digits, reverse=True),
    "runa": _Rule(10, lambda number: "1111" + number.zfill(10), lambda d: _cut(d, "1111"), reverse=True),
    "huizhong": _Rule(9, lambda number: "FFFFF" + number.zfill(9), lambda d: _cut(d, "FFFFF"), reverse=False),
    "maituo": _Rule(8, lambda number: number.zfill(8) + "001111", lambda d: _cut(d, "", "001111"), False),
}


def to_wire(number: str, scheme: Scheme) -> bytes:
    """A0..A6 of the number on the meter. Fourteen A mean any meter; any scheme takes fourteen digits whole.

    ValueError when the number does not fit the scheme.
    """
    rule, text = _RULES[scheme], number.strip().upper()
    if text == _ANY:
        return WILDCARD
    if len(text) != len(_ANY):
        if not text.isascii() or not text.isdigit() or len(text) > rule.digits:
            raise ValueError(f"{number!r} is no number of 1 to {rule.digits} digits, as {scheme} meters have")
        text = rule.fill(text)
    try:
        digits = bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{number!r} is not made of fourteen digits") from None
    return digits[::-1] if rule.reverse else digits


def from_wire(address: bytes, scheme: Scheme) -> str:
    """The number on the meter, or all fourteen digits where the address is not of this scheme."""
    rule = _RULES[scheme]
    digits = (address[::-1] if rule.reverse else address).hex().upper()
    number = rule.strip(digits)
    return number if number.isdigit() else digits


def overlaps(one: bytes, other: bytes) -> bool:
    """True when one meter answers to both: the same digits on the wire, or fourteen A beside any."""
    return one == other or WILDCARD in (one, other)
