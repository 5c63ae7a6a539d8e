"""Frames of the wired M-Bus both ways: bytes to frames and back (EN 13757-2, FT 1.2 of EN 60870-5-1).

May judge start, length, checksum and stop of a frame; may not know what its user data mean, and does no input
or output. The receiving side never raises: what is no frame comes back as a piece with its verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from drivers.errors import RemoteProtocolError
from drivers.pieces import Piece
from drivers.traffic import Verdict

SND_NKE = 0x40  # EN 13757-2: start up, forget the frame count bit
SND_UD = 0x53  # data to the meter; the frame count bit (0x20) is set on top
REQ_UD2 = 0x5B  # ask for class 2 data; the frame count bit (0x20) alternates
FCB = 0x20
BROADCAST = 0xFE  # every meter answers: for a line with a single one
SELECTED = 0xFD  # the meter that was selected by its secondary address
LAST_PRIMARY = 250

_RSP_UD = 0x08
_RSP_FLAGS = 0x30  # ACD and DFC: the meter has urgent data, or will not take more
_ACK, _SHORT, _LONG, _STOP = 0xE5, 0x10, 0x68, 0x16
_SHORT_LENGTH = 5
_SHORTEST_L = 3  # C, A and CI
_AROUND_LONG = 6  # two starts, two lengths, checksum, stop
_HEAD_LONG = 4


class Kind(StrEnum):
    """The formats of a frame; the standard calls a long one with nothing behind CI a control frame."""

    ACK = "ack"
    SHORT = "short"
    LONG = "long"


class Ci(IntEnum):
    """Application layer services on a wired line (EN 13757-3, CI field)."""

    RESET = 0x50
    SEND = 0x51
    SELECT = 0x52
    ERROR = 0x70
    ALARM = 0x71
    VARIABLE = 0x72
    FIXED = 0x73


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `ci` is None and `data` empty unless it is a long one; an ACK has nothing but its kind."""

    kind: Kind
    control: int = 0
    address: int = 0
    ci: int | None = None
    data: bytes = b""

    @property
    def is_answer(self) -> bool:
        """True for user data of a meter: RSP_UD, whatever ACD and DFC say."""
        return self.kind is Kind.LONG and self.control & ~_RSP_FLAGS == _RSP_UD


ACK = Frame(Kind.ACK)


def short(control: int, address: int) -> Frame:
    """A frame without user data."""
    return Frame(Kind.SHORT, control, address)


def long(control: int, address: int, ci: int, data: bytes = b"") -> Frame:
    """A frame with user data, at most 252 bytes of them."""
    return Frame(Kind.LONG, control, address, ci, data)


def encode(frame: Frame) -> bytes:
    """The bytes of a frame."""
    if frame.kind is Kind.ACK:
        return bytes((_ACK,))
    if frame.kind is Kind.SHORT:
        body = bytes((frame.control, frame.address))
        return bytes((_SHORT,)) + body + bytes((sum(body) & 0xFF, _STOP))
    body = bytes((frame.control, frame.address, frame.ci or 0)) + frame.data
    head = bytes((_LONG, len(body), len(body), _LONG))
    return head + body + bytes((sum(body) & 0xFF, _STOP))


def decode(telegram: bytes) -> Frame:
    """The frame that `telegram` is, no byte more or less; RemoteProtocolError when it is none."""
    pieces = Receiver().feed(telegram)
    if len(pieces) == 1 and pieces[0].frame is not None and len(pieces[0].data) == len(telegram):
        return pieces[0].frame
    verdict = pieces[0].verdict if pieces and pieces[0].frame is None else Verdict.MALFORMED
    raise RemoteProtocolError(f"not one whole M-Bus frame ({verdict}): {telegram[:12].hex(' ')}")


class Receiver:
    """Takes bytes in any portions. Junk is skipped until a frame begins whose checksum and stop are right.

    A lone ACK has no checksum: it is believed only where a frame may begin, never behind junk. A frame that
    is whole but spoilt is dropped as a whole, so that nothing inside it is taken for a frame. Some level
    converters send back what they are given: a frame equal to `echo` is passed over.
    """

    def __init__(self, echo: bytes = b"") -> None:
        self._echo = echo
        self._waiting = bytearray()
        self._junk = bytearray()
        self._trusted = True  # nothing spoilt was seen since the last good frame

    def feed(self, data: bytes) -> Sequence[Piece[Frame]]:
        """Take more bytes; give what is decided."""
        self._waiting += data
        pieces: list[Piece[Frame]] = []
        while self._waiting and (length := self._length()) is not None:
            if length == 0:
                self._junk.append(self._waiting.pop(0))
                self._trusted = False
            else:
                pieces += self._cut(length)
        return [piece for piece in pieces + self._flushed() if piece.data != self._echo]

    @property
    def rest(self) -> bytes:
        """What came and is not yet a frame: an answer that was cut off, if no more comes."""
        return bytes(self._waiting)

    def _length(self) -> int | None:
        """How long the frame is that begins here: 0 when none does, None when more bytes must come."""
        waiting = self._waiting
        if waiting[0] == _ACK and self._trusted:
            return 1
        if waiting[0] == _SHORT:
            return _enough(_SHORT_LENGTH, waiting)
        if waiting[0] != _LONG:
            return 0
        known = bytes(waiting[:_HEAD_LONG])
        if len(known) > 1 and (known[1] < _SHORTEST_L or known[1:3] != known[1:2] * len(known[1:3])):
            return 0
        if len(known) < _HEAD_LONG:
            return None
        return _enough(known[1] + _AROUND_LONG, waiting) if known[3] == _LONG else 0

    def _cut(self, length: int) -> list[Piece[Frame]]:
        data = bytes(self._waiting[:length])
        if length == _SHORT_LENGTH and data[0] == _SHORT and not _sound(data, 1):
            self._junk.append(self._waiting.pop(0))  # 0x10 is a common byte: only this one is junk
            self._trusted = False
            return []
        del self._waiting[:length]
        sound = length == 1 or _sound(data, 1 if data[0] == _SHORT else _HEAD_LONG)
        self._trusted = sound
        verdict = Verdict.ANSWER if sound else Verdict.CHECKSUM
        return [*self._flushed(), Piece(data, verdict, _frame(data) if sound else None)]

    def _flushed(self) -> list[Piece[Frame]]:
        if not self._junk:
            return []
        junk = bytes(self._junk)
        self._junk.clear()
        return [Piece(junk, Verdict.MALFORMED)]


def _enough(length: int, waiting: bytearray) -> int | None:
    return length if len(waiting) >= length else None


def _sound(data: bytes, body: int) -> bool:
    return data[-1] == _STOP and sum(data[body:-2]) & 0xFF == data[-2]


def _frame(data: bytes) -> Frame:
    if data[0] == _ACK:
        return ACK
    if data[0] == _SHORT:
        return short(data[1], data[2])
    return long(data[4], data[5], data[6], data[7:-2])
