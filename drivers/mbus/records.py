"""The records of a telegram with variable structure: bytes to values (EN 13757-3, data records).

May decode what stands behind the header, record by record; may not know who sent it, and does no input or
output. Numbers are exact: integers and decimals, never a sum of floats. Only RemoteProtocolError leaves here.
"""

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from functools import partial

from drivers.errors import RemoteProtocolError
from drivers.mbus import dates
from drivers.mbus.vif import EXTENSIONS, MOMENT, PLAIN_TEXT, PRIMARY, Measure, Vife, read_vifes

Value = Decimal | str | bytes | date | datetime | time

_MAKER_DATA, _MORE_FOLLOWS, _FILLER = 0x0F, 0x1F, 0x2F
_SPECIAL = 0x0F  # the data field that makes a DIF one of the special functions
_EXTENSION = 0x80
_MOST_EXTENSIONS = 10  # DIFEs or VIFEs of one record (EN 13757-3)
_VIF_TEXT = 0x7C


class Function(StrEnum):
    """What kind of value a record holds: bits 4 and 5 of its DIF."""

    INSTANTANEOUS = "instantaneous"
    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    ERROR = "error"  # a value of the time while the meter was in an error state


class Fault(StrEnum):
    """Why a record has no value."""

    BCD = "bcd"  # a digit A to E: the meter's display shows an error or an overflow (EN 13757-3, invalid BCD)
    INVALID = "invalid"  # the type's own mark for "no value", or an impossible date
    NOT_A_NUMBER = "not_a_number"
    REFUSED = "refused"  # an error code among the VIFEs


@dataclass(frozen=True, slots=True)
class Record:
    """One value. `value` is in `symbol` (see vif.Measure) and None exactly when there is a `fault`.

    `qualifiers` say what else the VIFEs make of it ("forward", "maker:02", ...); `rolls_over` is the first
    number that its digits cannot show. `error` is the text of a REFUSED one.
    """

    quantity: str
    symbol: str
    value: Value | None
    fault: Fault | None = None
    function: Function = Function.INSTANTANEOUS
    storage: int = 0
    tariff: int = 0
    subunit: int = 0
    qualifiers: tuple[str, ...] = ()
    rolls_over: Decimal | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """All records of one telegram, what the maker put behind them, and whether another telegram follows."""

    records: tuple[Record, ...]
    maker_data: bytes = b""
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Dib:
    field: int
    function: Function
    storage: int
    tariff: int
    subunit: int


class _Reader:
    """The bytes not yet read; every shortage is the meter's fault."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def byte(self) -> int:
        return self.take(1)[0]

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise RemoteProtocolError(
                f"the telegram ends within a record, {count - len(taken)} bytes too early"
            )
        self._at += count
        return taken

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def extensions(self, first: int) -> Iterator[int]:
        """The bytes that follow `first` as long as extension bits say so."""
        last, count = first, 0
        while last & _EXTENSION:
            count += 1
            if count > _MOST_EXTENSIONS:
                raise RemoteProtocolError(f"more than {_MOST_EXTENSIONS} extensions of one DIF or VIF")
            last = self.byte()
            yield last


def read_records(data: bytes) -> Block:
    """The records in `data`, the user data behind the header; RemoteProtocolError when they are not whole."""
    reader = _Reader(data)
    records: list[Record] = []
    while reader:
        dif = reader.byte()
        if dif in (_MAKER_DATA, _MORE_FOLLOWS):
            return Block(tuple(records), reader.rest(), dif == _MORE_FOLLOWS)
        if dif == _FILLER:
            continue
        if dif & 0x0F == _SPECIAL:
            raise RemoteProtocolError(f"DIF {dif:02X} is a function the standard reserves")
        records.append(_record(reader, _dib(reader, dif)))
    return Block(tuple(records))


_FUNCTIONS = tuple(Function)


def _dib(reader: _Reader, dif: int) -> _Dib:
    storage, tariff, subunit = dif >> 6 & 1, 0, 0
    for place, dife in enumerate(reader.extensions(dif)):
        storage |= (dife & 0x0F) << 1 + 4 * place
        tariff |= (dife >> 4 & 0x03) << 2 * place
        subunit |= (dife >> 6 & 0x01) << place
    return _Dib(dif & 0x0F, _FUNCTIONS[dif >> 4 & 0x03], storage, tariff, subunit)


def _record(reader: _Reader, dib: _Dib) -> Record:
    own, vife = _vib(reader)
    measure = vife.applied(own)
    raw, fault, digits = _FIELDS[dib.field](reader, measure)
    if vife.error:
        raw, fault = None, Fault.REFUSED
    return Record(
        quantity=measure.quantity,
        symbol=measure.symbol,
        value=shifted(raw, measure.exponent) if isinstance(raw, Decimal) else raw,
        fault=fault,
        function=dib.function,
        storage=dib.storage,
        tariff=dib.tariff,
        subunit=dib.subunit,
        qualifiers=vife.qualifiers,
        rolls_over=None if digits is None else shifted(Decimal(10) ** digits, measure.exponent),
        error=vife.error,
    )


def shifted(number: Decimal, exponent: int) -> Decimal:
    """`number` times ten to the `exponent`, whatever its length: no context rounds it."""
    sign, digits, own = number.as_tuple()
    assert isinstance(own, int), "no NaN comes here"
    return Decimal((sign, digits, own + exponent))


def _vib(reader: _Reader) -> tuple[Measure, Vife]:
    vif = reader.byte()
    code = vif & 0x7F
    if vif in EXTENSIONS:
        true = reader.byte()
        measure = EXTENSIONS[vif].get(true & 0x7F, Measure("reserved"))
        return _with_vifes(reader, true, measure, f"vif:{vif:02X}{true & 0x7F:02X}")
    if code == _VIF_TEXT:
        text = _text(reader.take(reader.byte()))
        measure, vife = _with_vifes(reader, vif, PLAIN_TEXT, "")
        return measure, replace(vife, qualifiers=(f"text:{text}", *vife.qualifiers))
    return _with_vifes(reader, vif, PRIMARY.get(code, Measure("reserved")), f"vif:{vif:02X}")


def _with_vifes(reader: _Reader, last: int, measure: Measure, name: str) -> tuple[Measure, Vife]:
    codes = [code & 0x7F for code in reader.extensions(last)]
    vife = read_vifes(codes, maker=measure.quantity == "maker")
    if measure.quantity == "reserved":
        vife = replace(vife, qualifiers=(name, *vife.qualifiers))
    return measure, vife


def _text(data: bytes) -> str:
    """Characters stand last one first (EN 13757-3, LVAR)."""
    return data[::-1].decode("latin-1")


_Raw = tuple[Value | None, Fault | None, int | None]
"""A value, or why there is none; and how many decimal digits the field has."""


def _nothing(reader: _Reader, measure: Measure) -> _Raw:
    return b"", None, None


def _integer(length: int, reader: _Reader, measure: Measure) -> _Raw:
    data = reader.take(length)
    if measure.symbol == MOMENT:
        return _moment(data)
    number = int.from_bytes(data, "little", signed=bool(measure.symbol))
    if measure.symbol and number == -(1 << 8 * length - 1):
        return None, Fault.INVALID, None  # type B: only the sign bit set is no value (EN 13757-3)
    return Decimal(number), None, None


def _moment(data: bytes) -> _Raw:
    moment = dates.decode(data)
    return moment, (Fault.INVALID if moment is None else None), None


def _real(reader: _Reader, measure: Measure) -> _Raw:
    (number,) = struct.unpack("<f", reader.take(4))
    return (Decimal(number), None, None) if math.isfinite(number) else (None, Fault.NOT_A_NUMBER, None)


def _bcd(length: int, reader: _Reader, measure: Measure) -> _Raw:
    return _digits(reader.take(length), negative=False)


def _digits(data: bytes, negative: bool) -> _Raw:
    """Data type A: two digits a byte, low ones first; F in the highest place is a minus sign."""
    text = data[::-1].hex()
    if text[:1] == "f":
        negative, text = True, text[1:]
    if not text.isdecimal():
        return (None, Fault.BCD, 2 * len(data)) if text else (Decimal(0), None, 0)
    number = Decimal((int(negative), tuple(map(int, text)), 0))
    return number, None, 2 * len(data)


_LVAR_BINARY = {0xE0 + n: n for n in range(16)} | {0xF0 + n: 16 + 4 * n for n in range(5)}
_LVAR_BINARY |= {0xF5: 48, 0xF6: 64}


def _variable(reader: _Reader, measure: Measure) -> _Raw:
    """LVAR: text, decimal digits with their sign, or a long integer."""
    lvar = reader.byte()
    if lvar < 0xC0:
        return _text(reader.take(lvar)), None, None
    if lvar < 0xE0:
        raw, fault, _ = _digits(reader.take(lvar & 0x0F), negative=lvar >= 0xD0)
        return raw, fault, None
    if lvar not in _LVAR_BINARY:
        raise RemoteProtocolError(f"LVAR {lvar:02X} is reserved")
    return reader.take(_LVAR_BINARY[lvar])[::-1], None, None


_FIELDS: dict[int, Callable[[_Reader, Measure], _Raw]] = {
    0x0: _nothing,
    0x1: partial(_integer, 1),
    0x2: partial(_integer, 2),
    0x3: partial(_integer, 3),
    0x4: partial(_integer, 4),
    0x5: _real,
    0x6: partial(_integer, 6),
    0x7: partial(_integer, 8),
    0x8: _nothing,  # selection for readout: a master's, without data
    0x9: partial(_bcd, 1),
    0xA: partial(_bcd, 2),
    0xB: partial(_bcd, 3),
    0xC: partial(_bcd, 4),
    0xD: _variable,
    0xE: partial(_bcd, 6),
}
"""The data field of a DIF."""
