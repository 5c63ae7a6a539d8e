"""What other decoders make of a telegram, brought into one form beside ours, so that values can be compared.

Both give records in the order of the telegram. pyMeterBus gives numbers in base units (Wh, s, m3/h);
pymbusparser in units of its own writing. Neither gives what the maker put behind the records as a record.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from drivers.mbus.records import Record

_BASE = {"kWh": 10**3, "MWh": 10**6, "MJ": 10**6, "GJ": 10**9, "min": 60, "h": 3600, "d": 86400}
_OWN_UNIT = frozenset({"min", "h", "d"})  # times that pymbusparser leaves in the meter's unit
_FUNCTIONS = {
    "INSTANTANEOUS_VALUE": "instantaneous",
    "MAXIMUM_VALUE": "maximum",
    "MINIMUM_VALUE": "minimum",
    "ERROR_STATE_VALUE": "error",
    "Instantaneous value": "instantaneous",
    "Maximum value": "maximum",
    "Minimum value": "minimum",
    "Value during error state": "error",
}


@dataclass(frozen=True, slots=True)
class Opinion:
    """One record as a decoder sees it; `value` is a number in base units, a text (of time, too), or None."""

    function: str
    storage: int
    value: Decimal | str | None

    def agrees(self, other: "Opinion") -> bool:
        """True for the same place and the same value, as exactly as floats can say it."""
        if (self.function, self.storage) != (other.function, other.storage):
            return False
        if isinstance(self.value, Decimal) and isinstance(other.value, Decimal):
            return abs(self.value - other.value) <= abs(self.value) * Decimal("1e-7")
        return self.value == other.value


def ours(record: Record, times_in_seconds: bool) -> Opinion:
    """Our record in that form."""
    base = 1 if record.symbol in _OWN_UNIT and not times_in_seconds else _BASE.get(record.symbol, 1)
    return Opinion(str(record.function), record.storage, _ours(record, base))


def _ours(record: Record, base: int) -> Decimal | str | None:
    match record.value:
        case Decimal() as number:
            return number * base
        case datetime() | date() | time() as moment:
            return _minutes(moment.isoformat())
        case bytes() as data:
            return data.hex()
        case str() as text:
            return text.strip()
        case None:
            return None


def _minutes(moment: str) -> str:
    """Seconds are left out where they are none: the decoders do not agree on showing them."""
    return moment.removesuffix(":00") if moment.count(":") > 1 else moment


def pymeterbus(records: Sequence[dict[str, Any]]) -> Iterator[Opinion]:
    """Opinions from what pyMeterBus prints as JSON."""
    for record in records:
        function = _FUNCTIONS.get(str(record["function"]).partition(".")[2])
        if function is not None:
            yield Opinion(function, int(record["storage_number"]), _value(record["value"]))


def pymbusparser(records: Sequence[dict[str, Any]]) -> Iterator[Opinion]:
    """Opinions from pymbusparser's records."""
    for record in records:
        function = _FUNCTIONS.get(str(record["function"]))
        if function is not None:
            value = record["value"]
            number = value["kind"] in ("decimal", "float")
            found = Decimal(str(value["value"])) if number else _value(value.get("value"))
            yield Opinion(function, int(record["storage_number"]), found)


def _value(value: object) -> Decimal | str | None:
    match value:
        case bool() | None:
            return None
        case int() | float():
            return Decimal(repr(value))
        case str():
            return _minutes(value.strip())
        case _:
            return str(value)
