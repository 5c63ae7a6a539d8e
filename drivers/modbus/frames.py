"""The client's side of Modbus framing, without I/O: bytes in as they come, pieces with a verdict out.

`RtuFrames` and `TcpFrames` know the request that awaits its answer and judge what comes by it; how the bytes
were cut up on their way changes nothing. They never raise, wait, or read a clock.

A serial frame has neither mark nor number: its length follows from its first bytes, its end is proved by
its checksum, and only unit, function and length tell whose answer it is (Modbus over Serial Line V1.02,
2.5.1).
A TCP frame has a header with length and transaction id (Modbus Messaging on TCP/IP V1.0b, 3.1.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from drivers.modbus.request import COILS, READS, Request, Shape, checks
from drivers.traffic import Verdict

ERROR_BIT = 0x80
_ECHOED = (5, 6, 15, 16)  # answered with the first four bytes of the request
_SIZES = {
    **dict.fromkeys(_ECHOED, 8),
    **{function | ERROR_BIT: 5 for function in (*READS, *_ECHOED)},
}
_LARGEST_COUNT = 250  # bytes of data in an answer (V1.1b3, 6.1 to 6.4)
_BABBLE = 512  # bytes that are no frame: more than any frame's worth, nothing good will follow
_HEADER = 6  # of a TCP frame, up to what its length counts
_LENGTHS = range(2, 255)  # unit, function, at most 252 bytes of data


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that are decided. `last` says that they end the wait for the answer, for good or ill.

    `payload` is what stands behind the function code of an ANSWER, or the code of a REFUSED.
    """

    verdict: Verdict
    data: bytes
    payload: bytes = b""
    last: bool = False


class Frames(Protocol):
    """What the exchange wants of a codec."""

    def ask(self, request: Request) -> bytes:
        """The frame to send; from now on its answer is awaited."""

    def at_once(self, data: bytes) -> bytes | None:
        """The payload if `data` is the whole awaited answer and nothing else; else nothing was taken."""

    def feed(self, data: bytes) -> Sequence[Piece]:
        """Take bytes; give what is decided."""

    def end(self) -> Sequence[Piece]:
        """Nothing more will come: what is left over, and nothing is awaited any more."""


class RtuFrames:
    """Frames of a serial line.

    Some converters send back what they are given. A right answer to a write of one register looks just like
    that, so that a dead device would seem to obey. So whether a line echoes is learned from its reads, whose
    answers never equal their requests; from then on the echo (a REQUEST) is passed over before any answer.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._junk = bytearray()
        self._awaited: Request | None = None
        self._echoing = False
        self._echo = b""  # may come before the answer

    def ask(self, request: Request) -> bytes:
        """The frame to send."""
        self._awaited = request
        self._echo = request.rtu if self._echoing or request.function in READS else b""
        return request.rtu

    def at_once(self, data: bytes) -> bytes | None:
        """The payload of a whole answer."""
        request = self._awaited
        if request is None or self._buffer or self._junk or len(data) != request.length + 4:
            return None
        if data == self._echo or not self._has_shape(request, data) or not checks(data):
            return None
        if self._echo:
            self._echoing = False
        self._awaited = None
        return data[2:-2]

    def feed(self, data: bytes) -> Sequence[Piece]:
        """Take bytes; give what is decided."""
        self._buffer += data
        pieces: list[Piece] = []
        if self._echo:
            if self._echo.startswith(self._buffer[: len(self._echo)]):
                if len(self._buffer) < len(self._echo):
                    return pieces
                pieces.append(self._echoed())
            self._echo = b""
        while (piece := self._next()) is not None:
            pieces.append(piece)
        return pieces

    def end(self) -> Sequence[Piece]:
        """What is left over; a frame that only began is no frame."""
        self._junk += self._buffer
        self._buffer.clear()
        self._awaited, self._echo = None, b""
        return [self._rubbish()] if self._junk else []

    def _echoed(self) -> Piece:
        self._echoing = True
        del self._buffer[: len(self._echo)]
        return Piece(Verdict.REQUEST, self._echo)

    def _next(self) -> Piece | None:
        buffer = self._buffer
        while buffer:
            size = answer_size(buffer)
            if size is None or size > len(buffer):
                return None
            if size:
                frame = bytes(buffer[:size])
                whole = checks(frame)
                if whole or self._spoilt(frame):
                    return self._rubbish() if self._junk else self._decided(frame, whole)
            self._junk.append(buffer.pop(0))
            if len(self._junk) == _BABBLE:
                self._awaited = None
                return self._rubbish(last=True)
        return None

    def _decided(self, frame: bytes, whole: bool) -> Piece:
        del self._buffer[: len(frame)]
        request = self._awaited
        if not whole:
            self._awaited = None
            return Piece(Verdict.CHECKSUM, frame, last=True)
        if request is None or frame[0] != request.unit:
            return Piece(Verdict.FOREIGN, frame)
        verdict = judged(request, frame[1:-2])
        if verdict is Verdict.MALFORMED:  # a right answer to another question
            return Piece(Verdict.FOREIGN, frame)
        self._awaited = None
        return Piece(verdict, frame, frame[2:-2], last=True)

    def _spoilt(self, frame: bytes) -> bool:
        """The wrong checksum is the awaited answer's, not that of bytes which only look like a beginning."""
        request = self._awaited
        if request is None or frame[0] != request.unit:
            return False
        refusal = frame[1] == request.function | ERROR_BIT
        return refusal or (len(frame) == request.length + 4 and self._has_shape(request, frame))

    def _rubbish(self, last: bool = False) -> Piece:
        data = bytes(self._junk)
        self._junk.clear()
        return Piece(Verdict.MALFORMED, data, last=last)

    @staticmethod
    def _has_shape(request: Request, frame: bytes) -> bool:
        return frame[0] == request.unit and frame[1] == request.function and frame.startswith(request.echo, 2)


def answer_size(data: bytes | bytearray) -> int | None:
    """Bytes of the answer that begins here, checksum included; None: more is needed to know; 0: none does.

    Unit 0 never answers, units above 247 are reserved (Modbus over Serial Line V1.02, 2.2).
    """
    if not 1 <= data[0] <= 247:
        return 0
    if len(data) < 2:
        return None
    function = data[1]
    if function not in READS:
        return _SIZES.get(function, 0)
    if len(data) < 3:
        return None
    count = data[2]
    fits = 1 <= count <= _LARGEST_COUNT and (function in COILS or count % 2 == 0)
    return count + 5 if fits else 0


def shape_of(frame: bytes) -> Shape:
    """The shape of an answer on a serial line (a frame with a right checksum)."""
    return frame[1], frame[2:3] if frame[1] in READS else frame[2:6]


def judged(request: Request, pdu: bytes) -> Verdict:
    """ANSWER, REFUSED or MALFORMED: function, length and echo must be exactly those awaited."""
    function = pdu[0]
    if function == request.function:
        right = len(pdu) == 1 + request.length and pdu.startswith(request.echo, 1)
        return Verdict.ANSWER if right else Verdict.MALFORMED
    refused = function == request.function | ERROR_BIT and len(pdu) == 2
    return Verdict.REFUSED if refused else Verdict.MALFORMED


class TcpFrames:
    """Frames of one TCP connection. After a header that cannot be, nothing is understood until `end`."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transaction = 0
        self._awaited: Request | None = None
        self._head = b""
        self._lost_step = False

    def ask(self, request: Request) -> bytes:
        """The frame to send."""
        self._transaction = self._transaction % 0xFFFF + 1
        number = self._transaction.to_bytes(2, "big")
        self._awaited = request
        size = request.length + 2
        self._head = b"%b\0\0%c%c%c%c%b" % (number, 0, size, request.unit, request.function, request.echo)
        return number + request.tcp

    def at_once(self, data: bytes) -> bytes | None:
        """The payload of a whole answer."""
        request = self._awaited
        if request is None or self._buffer or len(data) != request.length + 8:
            return None
        if not data.startswith(self._head):
            return None
        self._awaited = None
        return data[8:]

    def feed(self, data: bytes) -> Sequence[Piece]:
        """Take bytes; give what is decided."""
        self._buffer += data
        pieces: list[Piece] = []
        while (piece := self._next()) is not None:
            pieces.append(piece)
        return pieces

    def end(self) -> Sequence[Piece]:
        """What is left over; the next bytes begin a connection."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._awaited = None
        self._lost_step = False
        return [Piece(Verdict.MALFORMED, rest)] if rest else []

    def _next(self) -> Piece | None:
        buffer = self._buffer
        if self._lost_step:
            buffer.clear()
        if len(buffer) < _HEADER:
            return None
        length = buffer[4] << 8 | buffer[5]
        if buffer[2] or buffer[3] or length not in _LENGTHS:
            self._lost_step = True
            self._awaited = None
            return Piece(Verdict.MALFORMED, bytes(buffer[:_HEADER]), last=True)
        if len(buffer) < _HEADER + length:
            return None
        frame = bytes(buffer[: _HEADER + length])
        del buffer[: _HEADER + length]
        return self._decided(frame)

    def _decided(self, frame: bytes) -> Piece:
        request = self._awaited
        if request is None or not frame.startswith(self._head[:2]):
            return Piece(Verdict.FOREIGN, frame)
        self._awaited = None  # this number is answered, rightly or wrongly
        if frame[6] != request.unit:
            return Piece(Verdict.FOREIGN, frame, last=True)
        return Piece(judged(request, frame[7:]), frame, frame[8:], last=True)


def take_apart(data: bytes, request: Request, framing: str) -> Sequence[Piece]:
    """All pieces of `data` after `request` ("rtu" or "tcp" framing); any bytes will do, nothing is raised.

    What a fuzzer calls: the pieces joined are `data`, but for what follows a TCP header that cannot be.
    """
    frames: Frames = RtuFrames() if framing == "rtu" else TcpFrames()
    frames.ask(request)
    return [*frames.feed(data), *frames.end()]
