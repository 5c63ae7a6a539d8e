"""One Modbus request, and what a right answer to it looks like. Pure; built once, sent many times.

pymodbus makes the bytes (PDU, checksum, header): Modbus Application Protocol V1.1b3, section 6.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from drivers.errors import LocalProtocolError
from drivers.modbus.registers import Span

COILS = frozenset({1, 2})
"""Functions whose answers carry one bit for each address."""

READS: dict[int, type[ModbusPDU]] = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
_WRITES: dict[int, Callable[[int, list[int]], ModbusPDU]] = {
    5: lambda start, words: WriteSingleCoilRequest(address=start, bits=[bool(words[0])]),
    6: lambda start, words: WriteSingleRegisterRequest(address=start, registers=words),
    16: lambda start, words: WriteMultipleRegistersRequest(address=start, registers=words),
}
_NO_DECODER = DecodePDU(False)  # a framer wants one; nothing is decoded by it
_RTU = FramerRTU(_NO_DECODER)
_TCP = FramerSocket(_NO_DECODER)

Shape = tuple[int, bytes]
"""Function and first bytes: what tells answers on a serial line apart."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask of a unit. `rtu` is the whole serial frame, `tcp` the TCP frame behind its transaction id.

    A right answer has the same unit and function, then `length` bytes that begin with `echo`.
    """

    unit: int
    function: int
    start: int
    echo: bytes
    length: int
    rtu: bytes
    tcp: bytes

    @property
    def shape(self) -> Shape:
        """What tells its answers from those of other requests on a serial line."""
        return self.function, self.echo

    @classmethod
    def read(cls, unit: int, span: Span) -> Self:
        """Read registers or coils; the answer is the byte count and the data."""
        size = (span.count + 7) // 8 if span.function in COILS else 2 * span.count
        pdu = READS[span.function](address=span.start, count=span.count)
        return cls._made(unit, span.start, pdu, bytes((size,)), size + 1)

    @classmethod
    def write(cls, unit: int, function: int, start: int, words: Sequence[int]) -> Self:
        """Write; functions 5 and 6 answer with address and value, function 16 with address and count."""
        second = len(words) if function == 16 else words[0]
        pdu = _WRITES[function](start, list(words))
        return cls._made(unit, start, pdu, struct.pack(">HH", start, second), 4)

    @classmethod
    def _made(cls, unit: int, start: int, pdu: ModbusPDU, echo: bytes, length: int) -> Self:
        function = pdu.function_code
        try:
            data = bytes((function,)) + pdu.encode()
        except ValueError as error:
            raise LocalProtocolError(f"unit {unit}, function {function}, address {start}: {error}") from error
        rtu, tcp = _RTU.encode(data, unit, 0), _TCP.encode(data, unit, 0)[2:]
        return cls(unit, function, start, echo, length, rtu, tcp)


def checks(frame: bytes) -> bool:
    """True when a serial frame ends in its checksum (Modbus over Serial Line V1.02, 6.2.2)."""
    return FramerRTU.compute_CRC(frame[:-2]) == int.from_bytes(frame[-2:], "big")
