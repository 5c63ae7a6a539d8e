"""What a value information block means: quantity, unit and power of ten (EN 13757-3, VIF and VIFE tables).

Tables, and the reading of them; may not look at values, and does no input or output. A factor is always a
power of ten of a named unit, so that values stay exact decimals: 22 counts hours, not 3600 seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from drivers.units import Unit, factor

MOMENT = "moment"
"""The symbol of dates and times, whose type the length of the data decides."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity in a unit: the value is the number sent, times 10 to the `exponent`.

    `symbol` is a Unit's where there is such a unit, else one of `FOREIGN`, else "" for plain numbers.
    """

    quantity: str
    symbol: str = ""
    exponent: int = 0


def _decades(first: int, quantity: str, symbol: str, exponent: int, count: int) -> dict[int, Measure]:
    return {first + n: Measure(quantity, symbol, exponent + n) for n in range(count)}


def _times(first: int, quantity: str, symbols: Iterable[str]) -> dict[int, Measure]:
    return {first + n: Measure(quantity, symbol) for n, symbol in enumerate(symbols)}


def _numbers(first: int, quantities: str) -> dict[int, Measure]:
    return {first + n: Measure(name) for n, name in enumerate(quantities.split())}


_SPANS = ("s", "min", "h", "d")
_LONG_SPANS = ("h", "d", "month", "year")

PRIMARY: dict[int, Measure] = (
    _decades(0x00, "energy", "kWh", -6, 8)
    | _decades(0x08, "energy", "MJ", -6, 8)
    | _decades(0x10, "volume", "m3", -6, 8)
    | _decades(0x18, "mass", "kg", -3, 8)
    | _times(0x20, "on_time", _SPANS)
    | _times(0x24, "operating_time", _SPANS)
    | _decades(0x28, "power", "W", -3, 8)
    | _decades(0x30, "power", "J/h", 0, 8)
    | _decades(0x38, "volume_flow", "m3/h", -6, 8)
    | _decades(0x40, "volume_flow", "m3/min", -7, 8)
    | _decades(0x48, "volume_flow", "m3/s", -9, 8)
    | _decades(0x50, "mass_flow", "kg/h", -3, 8)
    | _decades(0x58, "flow_temperature", "degC", -3, 4)
    | _decades(0x5C, "return_temperature", "degC", -3, 4)
    | _decades(0x60, "temperature_difference", "K", -3, 4)
    | _decades(0x64, "external_temperature", "degC", -3, 4)
    | _decades(0x68, "pressure", "bar", -3, 4)
    | {0x6C: Measure("date", MOMENT), 0x6D: Measure("date_time", MOMENT), 0x6E: Measure("heat_cost_units")}
    | {0x6F: Measure("reserved")}
    | _times(0x70, "averaging_duration", _SPANS)
    | _times(0x74, "actuality_duration", _SPANS)
    | _numbers(0x78, "fabrication_number enhanced_identification bus_address")
    | _numbers(0x7E, "any maker")
)
"""The primary table: the VIF itself, without its extension bit."""

EXTENSION_FB: dict[int, Measure] = (
    _decades(0x00, "energy", "MWh", -1, 2)
    | _decades(0x02, "reactive_energy", "kvarh", 0, 2)
    | _decades(0x04, "apparent_energy", "kVAh", 0, 2)
    | _decades(0x08, "energy", "GJ", -1, 2)
    | _decades(0x0C, "energy", "Gcal", -4, 4)  # 10^(n-1) Mcal
    | _decades(0x10, "volume", "m3", 2, 2)
    | _decades(0x14, "reactive_power", "kvar", -3, 4)
    | _decades(0x18, "mass", "t", 2, 2)
    | _decades(0x1A, "relative_humidity", "%", -1, 2)
    | _decades(0x21, "volume", "ft3", -1, 1)
    | _decades(0x22, "volume", "gal", -1, 2)
    | _decades(0x24, "volume_flow", "gal/min", -3, 1)
    | _decades(0x25, "volume_flow", "gal/min", 0, 1)
    | _decades(0x26, "volume_flow", "gal/h", 0, 1)
    | _decades(0x28, "power", "MW", -1, 2)
    | _numbers(0x2A, "phase_angle_voltages phase_angle_current")
    | _decades(0x2C, "frequency", "Hz", -3, 4)
    | _decades(0x30, "power", "GJ/h", -1, 2)
    | _decades(0x34, "apparent_power", "kVA", -3, 4)
    | _decades(0x58, "flow_temperature", "degF", -3, 4)
    | _decades(0x5C, "return_temperature", "degF", -3, 4)
    | _decades(0x60, "temperature_difference", "F difference", -3, 4)
    | _decades(0x64, "external_temperature", "degF", -3, 4)
    | _decades(0x70, "temperature_limit", "degF", -3, 4)
    | _decades(0x74, "temperature_limit", "degC", -3, 4)
    | _decades(0x78, "cumulated_maximum_power", "W", -3, 8)
)
"""The extension behind FB."""

EXTENSION_FD: dict[int, Measure] = (
    _decades(0x00, "credit", "", -3, 4)
    | _decades(0x04, "debit", "", -3, 4)
    | _numbers(0x08, "transmission_count device_type maker_code parameter_set model_version")
    | _numbers(0x0D, "hardware_version firmware_version software_version customer_location customer")
    | _numbers(0x12, "user_code operator_code system_operator_code developer_code password")
    | _numbers(0x17, "error_flags error_mask reserved digital_output digital_input baud_rate")
    | _numbers(0x1D, "response_delay retries remote_control first_storage last_storage storage_block")
    | _times(0x24, "storage_interval", (*_SPANS, "month", "year"))
    | _times(0x2C, "since_last_readout", _SPANS)
    | {0x30: Measure("tariff_start", MOMENT), 0x70: Measure("battery_change", MOMENT)}
    | _times(0x31, "tariff_duration", _SPANS[1:])
    | _times(0x34, "tariff_period", (*_SPANS, "month", "year"))
    | _numbers(0x3A, "dimensionless")
    | _decades(0x40, "voltage", "V", -9, 16)
    | _decades(0x50, "current", "A", -12, 16)
    | _numbers(0x60, "reset_counter cumulation_counter control_signal day_of_week week_number")
    | {0x65: Measure("day_change", MOMENT)}
    | _numbers(0x66, "parameter_activation supplier_information")
    | _times(0x68, "since_last_cumulation", _LONG_SPANS)
    | _times(0x6C, "battery_operating_time", _LONG_SPANS)
    | _numbers(0x71, "radio_level daylight_saving listening_window")
    | _times(0x74, "battery_remaining", ("d",))
    | _numbers(0x75, "stop_count maker_container")
)
"""The extension behind FD."""

EXTENSIONS: dict[int, dict[int, Measure]] = {0xFB: EXTENSION_FB, 0xFD: EXTENSION_FD}
PLAIN_TEXT = Measure("text")

_ERRORS: dict[int, str] = {
    0x01: "too many DIFEs",
    0x02: "storage number not implemented",
    0x03: "subunit not implemented",
    0x04: "tariff not implemented",
    0x05: "function not implemented",
    0x06: "data class not implemented",
    0x07: "data size not implemented",
    0x0B: "too many VIFEs",
    0x0C: "illegal VIF group",
    0x0D: "illegal VIF exponent",
    0x0E: "VIF and DIF do not match",
    0x0F: "action not implemented",
    0x15: "no data available",
    0x16: "data overflow",
    0x17: "data underflow",
    0x18: "data error",
    0x1C: "premature end of record",
}
_LAST_ERROR = 0x1F

_QUALIFIERS: dict[int, str] = {
    0x20: "per second",
    0x21: "per minute",
    0x22: "per hour",
    0x23: "per day",
    0x24: "per week",
    0x25: "per month",
    0x26: "per year",
    0x27: "per revolution",
    0x28: "per input pulse 0",
    0x29: "per input pulse 1",
    0x2A: "per output pulse 0",
    0x2B: "per output pulse 1",
    0x2C: "per litre",
    0x2D: "per m3",
    0x2E: "per kg",
    0x2F: "per K",
    0x30: "per kWh",
    0x31: "per GJ",
    0x32: "per kW",
    0x33: "per K l",
    0x34: "per V",
    0x35: "per A",
    0x36: "times s",
    0x37: "times s/V",
    0x38: "times s/A",
    0x39: "start of",
    0x3A: "uncorrected",
    0x3B: "forward",
    0x3C: "backward",
    0x3D: "not metric",
    0x3E: "at base conditions",
    0x3F: "obis",
    0x40: "lower limit",
    0x48: "upper limit",
    0x68: "value during lower limit exceeded",
    0x6C: "value during upper limit exceeded",
    0x69: "leakage",
    0x6D: "overflow",
    0x78: "additive 0.001",
    0x79: "additive 0.01",
    0x7A: "additive 0.1",
    0x7B: "additive 1",
    0x7E: "future",
}
"""The orthogonal VIFEs that change what a value means. 3B counts only forward flow, 3C only backward."""


def _limits() -> Iterable[tuple[int, str, str]]:
    """E100 u000 to E111 1f1b, what is told of limits exceeded: code, text, the symbol of the value."""
    for code in range(0x40, 0x70):
        side = "upper" if code & 0x08 else "lower"
        order = "last" if code & 0x04 else "first"
        end = "end" if code & 0x01 else "begin"
        span = _SPANS[code & 3]
        if code & 0x77 == 0x41:
            yield code, f"{side} limit exceeded count", ""
        elif code & 0x72 == 0x42:
            yield code, f"{end} of {order} {side} limit exceeded", MOMENT
        elif code & 0x70 == 0x50:
            yield code, f"duration of {order} {side} limit exceeded in {span}", span
        elif code & 0x78 == 0x60:
            yield code, f"duration of {order} in {span}", span
        elif code & 0x7A == 0x6A:
            yield code, f"{end} of {order}", MOMENT


QUALIFIERS: dict[int, str] = {code: text for code, text, _ in _limits()} | _QUALIFIERS
_RECAST: dict[int, str] = {code: symbol for code, _, symbol in _limits()} | {0x39: MOMENT}
_MULTIPLIERS: dict[int, int] = {0x70 + n: n - 6 for n in range(8)} | {0x7D: 3}
_EXTENDED, _MAKER = 0x7C, 0x7F


@dataclass(frozen=True, slots=True)
class Vife:
    """What the VIFEs of a record say together: powers of ten, what the value is, why there is none.

    `recast` is the symbol of a value that is no longer in the VIF's unit: the date of a maximum.
    """

    exponent: int = 0
    qualifiers: tuple[str, ...] = ()
    error: str = ""
    recast: str | None = None

    def applied(self, measure: Measure) -> Measure:
        """`measure` as these VIFEs change it."""
        if self.recast is not None:
            return Measure(measure.quantity, self.recast)
        return Measure(measure.quantity, measure.symbol, measure.exponent + self.exponent)


def read_vifes(codes: Iterable[int], maker: bool) -> Vife:
    """The meaning of VIFEs without their extension bits; with `maker` all of them are the maker's own."""
    exponent, error, extended = 0, "", False
    qualifiers: list[str] = []
    recast: str | None = None
    for code in codes:
        if maker:
            qualifiers.append(f"maker:{code:02X}")
        elif extended:
            qualifiers.append(f"extended:{code:02X}")
        elif code in _MULTIPLIERS:
            exponent += _MULTIPLIERS[code]
        elif code <= _LAST_ERROR:
            error = error or (_ERRORS.get(code, f"error {code:02X}") if code else "")
        elif code not in (_EXTENDED, _MAKER):
            qualifiers.append(QUALIFIERS.get(code, f"reserved:{code:02X}"))
            recast = _RECAST.get(code, recast)
        maker, extended = maker or code == _MAKER, code == _EXTENDED
    return Vife(exponent, tuple(qualifiers), error, recast)


FOREIGN: dict[str, tuple[Unit, Fraction, Fraction]] = {
    "J/h": (Unit.WATT, Fraction(1, 3600), Fraction(0)),
    "m3/min": (Unit.CUBIC_METRE_PER_HOUR, Fraction(60), Fraction(0)),
    "m3/s": (Unit.CUBIC_METRE_PER_HOUR, Fraction(3600), Fraction(0)),
    # exact by definition: 1 in = 25.4 mm, 1 gal = 231 in3
    "ft3": (Unit.LITRE, Fraction(28316846592, 10**9), Fraction(0)),
    "gal": (Unit.LITRE, Fraction(3785411784, 10**9), Fraction(0)),
    "gal/min": (Unit.LITRE_PER_HOUR, Fraction(60 * 3785411784, 10**9), Fraction(0)),
    "gal/h": (Unit.LITRE_PER_HOUR, Fraction(3785411784, 10**9), Fraction(0)),
    "degF": (Unit.CELSIUS, Fraction(5, 9), Fraction(-160, 9)),
    "F difference": (Unit.KELVIN_DIFFERENCE, Fraction(5, 9), Fraction(0)),
}
"""Units of meters that the house has not: which of ours, times what, plus what."""

_OURS = frozenset(unit.value for unit in Unit)
_PLAIN = (Unit.STATE, Unit.ONE)


def house_unit(symbol: str) -> Unit | None:
    """The unit of the house that `symbol` names; None for a foreign one or a plain number."""
    return Unit(symbol) if symbol in _OURS else None


def convert(value: Fraction, symbol: str, unit: Unit) -> Fraction:
    """`value` in the meter's `symbol` expressed in `unit`, exactly; ValueError when they do not fit."""
    if symbol in FOREIGN:
        own, times, plus = FOREIGN[symbol]
        return (value * times + plus) * factor(own, unit)
    if symbol in _OURS:
        return value * factor(Unit(symbol), unit)
    if symbol == "" and unit in _PLAIN:
        return value
    raise ValueError(f"no conversion from {symbol or 'a plain number'} to {unit}")


def fits(quantity: str, unit: Unit) -> bool:
    """True when some VIF of `quantity` can be expressed in `unit`."""
    return any(_convertible(symbol, unit) for symbol in SYMBOLS[quantity])


def _convertible(symbol: str, unit: Unit) -> bool:
    try:
        convert(Fraction(1), symbol, unit)
    except ValueError:
        return False
    return True


def _symbols() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {"text": {""}}
    for table in (PRIMARY, *EXTENSIONS.values()):
        for measure in table.values():
            found.setdefault(measure.quantity, set()).add(measure.symbol)
    return {quantity: frozenset(symbols) for quantity, symbols in found.items()}


SYMBOLS: dict[str, frozenset[str]] = _symbols()
"""Every quantity that a record can have, with the units it can come in."""
