"""The two counters of a telegram with fixed structure (CI 73; EN 1434-3, kept by EN 13757-3 for old meters).

May decode the 16 bytes of such a telegram that are counters and their units. Pure; raises nothing.
"""

from decimal import Decimal

from drivers.mbus.records import Fault, Record, shifted
from drivers.mbus.vif import Measure

_BINARY = 0x01  # status, bit 0: counters are binary, else decimal digits
_STORED = 0x02  # status, bit 1: counters of the billing day, else of this moment
_SAME = 0x3E  # counter 2 has the unit of counter 1 and is historic
_DIGITS = 8


def _decades(first: int, quantity: str, *units: tuple[str, int]) -> dict[int, Measure]:
    return {
        first + 3 * n + power: Measure(quantity, symbol, exponent + power)
        for n, (symbol, exponent) in enumerate(units)
        for power in range(3)
    }


UNITS: dict[int, Measure] = (
    _decades(0x02, "energy", ("kWh", -3), ("kWh", 0), ("MWh", 0))
    | _decades(0x0B, "energy", ("MJ", -3), ("MJ", 0), ("GJ", 0))
    | _decades(0x14, "power", ("W", 0), ("kW", 0), ("MW", 0))
    | _decades(0x1D, "power", ("J/h", 3), ("J/h", 6), ("GJ/h", 0))
    | _decades(0x26, "volume", ("l", -3), ("l", 0), ("m3", 0))
    | _decades(0x2F, "volume_flow", ("l/h", -3), ("l/h", 0), ("m3/h", 0))
    | {0x38: Measure("flow_temperature", "degC", -3), 0x39: Measure("heat_cost_units")}
    | {0x3F: Measure("dimensionless")}
)
"""The table of physical units; 00 and 01 (clock and date) and the reserved ones have no number."""


def read_counters(status: int, first: int, second: int, one: bytes, two: bytes) -> tuple[Record, Record]:
    """Both counters: `first` and `second` are the bytes of medium and unit, `one` and `two` the counters'."""
    unit, other = first & 0x3F, second & 0x3F
    stored = int(bool(status & _STORED))
    historic = other == _SAME
    return (
        _counter(unit, one, status, stored),
        _counter(unit if historic else other, two, status, 1 if historic else stored),
    )


def _counter(unit: int, data: bytes, status: int, storage: int) -> Record:
    measure = UNITS.get(unit, Measure("reserved"))
    text = data[::-1].hex()
    if status & _BINARY:
        number, digits = Decimal(int.from_bytes(data, "little")), None
    elif text.isdecimal():
        number, digits = Decimal(text), shifted(Decimal(10) ** _DIGITS, measure.exponent)
    else:
        return Record(measure.quantity, measure.symbol, None, Fault.BCD, storage=storage)
    value = shifted(number, measure.exponent)
    return Record(measure.quantity, measure.symbol, value, storage=storage, rolls_over=digits)
