"""The frames of CJ/T 188, both ways: bytes to frames and back. Pure: no I/O, no clock, no meter values.

68 T A0..A6 C L DATA CS 16 (CJ/T 188-2004, table 2), after 2 to 4 bytes FE that wake the receiver. CS is the
sum of everything from 68 to the last byte of DATA, modulo 256. DATA of a request and of a normal answer
begins with the data identifier DI0 DI1 and the sequence number SER; that of an error answer is SER ST.

Receiving trusts nothing: converters put ASCII before an answer, meters send anything from no FE to a dozen,
and lines add bytes. A frame is what begins with 68, has its length, its checksum and its 16; where one begins
inside another, the one that is whole first wins. Hence the frames found do not hang on how the bytes were
split on their way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.errors import RemoteProtocolError
from drivers.pieces import Piece
from drivers.traffic import Verdict

START, END, WAKE = 0x68, 0x16, 0xFE
LONGEST_DATA = 0x64  # L is at most 64H when data is read, 32H when it is written
WILDCARD = b"\xaa" * 7  # any meter answers: allowed with a single one on the line
ANY_TYPE = 0xAA

READ, READ_ADDRESS = 0x01, 0x03
ANSWER, ERROR = 0x80, 0x40  # D7 and D6 of the control code

HEAT = 0x901F  # metering data
ADDRESS = 0x810A  # the meter's address, which stands in the frame's head anyway

_HEAD = 11  # 68 T A0..A6 C L
_TAIL = 2  # CS 16
_IDENTIFIED = 3  # DI0 DI1 SER
_MOST_JUNK = 256  # bytes without a start are let go after so many


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `address` is A0..A6 as on the wire; `data` is what `L` counts."""

    type: int
    address: bytes
    control: int
    data: bytes

    @property
    def is_answer(self) -> bool:
        """True when a meter sent it."""
        return bool(self.control & ANSWER)

    @property
    def is_error(self) -> bool:
        """True for a meter's refusal."""
        return self.is_answer and bool(self.control & ERROR)

    @property
    def command(self) -> int:
        """What is asked or answered: D5 to D0 of the control code."""
        return self.control & ~(ANSWER | ERROR)

    @property
    def identifier(self) -> bytes:
        """DI0 DI1 as on the wire; empty for an error answer and where DATA is too short."""
        return b"" if self.is_error or len(self.data) < _IDENTIFIED else self.data[:2]

    @property
    def sequence(self) -> int | None:
        """SER; None where DATA has none."""
        if self.is_error:
            return self.data[0] if self.data else None
        return self.data[2] if len(self.data) >= _IDENTIFIED else None

    @property
    def payload(self) -> bytes:
        """What follows SER."""
        return self.data[1:] if self.is_error else self.data[_IDENTIFIED:]

    def names(self, identifier: int) -> bool:
        """True when DI0 DI1 are `identifier` in either byte order: 2004 sends 90 1F, 2018 sends 1F 90."""
        wire = identifier.to_bytes(2, "big")
        return self.identifier in (wire, wire[::-1])


def checksum(data: bytes) -> int:
    """CS of everything from 68 to the last byte of DATA."""
    return sum(data) % 256


def encode(frame: Frame, wake: int = 0) -> bytes:
    """The frame as bytes, after `wake` bytes FE. ValueError when it cannot be one."""
    if len(frame.address) != len(WILDCARD) or len(frame.data) > LONGEST_DATA:
        raise ValueError(f"not a frame of CJ/T 188: {frame!r}")
    body = bytes((START, frame.type)) + frame.address + bytes((frame.control, len(frame.data))) + frame.data
    return bytes((WAKE,)) * wake + body + bytes((checksum(body), END))


def request(
    meter_type: int, address: bytes, command: int, identifier: int, sequence: int, *, little: bool
) -> Frame:
    """The question for `identifier`; `little` sends its low byte first."""
    wire = identifier.to_bytes(2, "little" if little else "big")
    return Frame(meter_type, address, command, wire + bytes((sequence,)))


def decode(data: bytes) -> Frame:
    """The first frame in `data`, whatever stands around it; RemoteProtocolError when there is none."""
    pieces = Receiver().feed(data)
    for piece in pieces:
        if piece.frame is not None:
            return piece.frame
    fault = next((piece.verdict.value for piece in pieces), "not whole")
    raise RemoteProtocolError(f"no frame of CJ/T 188 ({fault}): {data[:16].hex(' ')}")


class Receiver:
    """Makes pieces of bytes as they come (drivers.pieces.Frames). Never raises.

    What precedes a frame (FE, a converter's greeting) belongs to its piece. A start whose frame turns out to
    be spoilt is given at once, up to the next byte that may be a start.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._starts: list[int] = []

    def feed(self, data: bytes) -> Sequence[Piece[Frame]]:
        """Take more bytes; give what is decided."""
        pieces: list[Piece[Frame]] = []
        for byte in data:
            self._bytes.append(byte)
            if byte == START:
                self._starts.append(len(self._bytes) - 1)
            pieces += self._decide()
        return pieces

    @property
    def rest(self) -> bytes:
        """What is not decided yet."""
        return bytes(self._bytes)

    def _decide(self) -> list[Piece[Frame]]:
        """Judge the starts whose frame ends with the byte that came last, the earliest first."""
        pieces: list[Piece[Frame]] = []
        ended = [start for start in self._starts if self._ends(start)]
        for start in ended:
            frame = self._frame(start)
            if frame is not None:
                verdict = Verdict.REFUSED if frame.is_error else Verdict.ANSWER
                return [Piece(self._take(len(self._bytes)), verdict, frame)]
        if ended:
            pieces += self._drop(ended)
        if not self._starts and len(self._bytes) >= _MOST_JUNK:
            pieces.append(Piece(self._take(len(self._bytes)), Verdict.MALFORMED))
        return pieces

    def _ends(self, start: int) -> bool:
        """True when the bytes since `start` are as many as its length says, or its length is impossible."""
        have = len(self._bytes) - start
        if have < _HEAD:
            return False
        length = self._bytes[start + _HEAD - 1]
        return length > LONGEST_DATA or have >= _HEAD + length + _TAIL

    def _frame(self, start: int) -> Frame | None:
        body = bytes(self._bytes[start:-_TAIL])
        sound = len(body) >= _HEAD and body[_HEAD - 1] == len(body) - _HEAD
        if not sound or self._bytes[-1] != END or self._bytes[-_TAIL] != checksum(body):
            return None
        return Frame(body[1], body[2:9], body[9], body[_HEAD:])

    def _drop(self, ended: Sequence[int]) -> list[Piece[Frame]]:
        """Give up these starts; when the first is among them, tell and let go what stands before the next."""
        first = self._starts[0]
        self._starts = [start for start in self._starts if start not in ended]
        if first not in ended:
            return []
        verdict = Verdict.CHECKSUM if self._bytes[-1] == END else Verdict.MALFORMED
        until = self._starts[0] if self._starts else len(self._bytes)
        return [Piece(self._take(until), verdict)]

    def _take(self, until: int) -> bytes:
        data = bytes(self._bytes[:until])
        del self._bytes[:until]
        self._starts = [start - until for start in self._starts if start >= until]
        return data
