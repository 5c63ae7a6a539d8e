"""The faults a Modbus unit can have, as one table: what goes onto the line, and what may become of it.

`bad`: the reasons a reading may be BAD for while the fault lasts. `read`: right answers are among the wrong
ones, or the answer is right but odd: it must be read. `once`: the fault happens when it begins and no more,
because what fails is the connection that all units share.

An answer that is right in form and belongs to an older request cannot be told on a serial line by any client:
frames carry no number there. So the previous answer comes *unasked* on RTU, and *instead* on TCP only. A bit
that flips among the data of a TCP frame is likewise beyond a client (TCP's own checksum stands for it).
"""

import itertools
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from drivers import Reason
from drivers.tests.slaves import Fault, Pieces
from hil_tests.device_faults import FAULTY, PERIOD_S, TIMEOUT_S, Kind, Wire

Maker = Callable[[Wire], Fault]

BOTH: tuple[Kind, ...] = ("rtu", "tcp")
RTU: tuple[Kind, ...] = ("rtu",)
TCP: tuple[Kind, ...] = ("tcp",)

SILENT = frozenset({Reason.NO_ANSWER})
BROKEN = frozenset({Reason.NO_ANSWER, Reason.PROTOCOL})
REFUSED = frozenset({Reason.DEVICE})
ANY = BROKEN | REFUSED
NONE: frozenset[Reason] = frozenset()


@dataclass(frozen=True, slots=True)
class DeviceFault:
    """One row."""

    name: str
    kinds: tuple[Kind, ...]
    bad: frozenset[Reason]
    make: Maker
    read: bool = False
    once: bool = False
    spoil: Callable[[list[int]], None] | None = None
    split: bool = False  # after a refusal registers are asked for one by one
    stuck: str = ""  # the register that stands still: accepted until it is BAD as stuck


def _always(pieces: Callable[[bytes, bytes], Pieces]) -> Maker:
    return lambda wire: pieces


def _at_once(forge: Callable[[Wire, bytes, bytes], bytes]) -> Maker:
    """A forgery of request and right answer."""
    return lambda wire: lambda request, right: [(0.0, forge(wire, request, right))]


def _pdu(forge: Callable[[bytes], bytes]) -> Maker:
    """A wrong PDU in a right frame."""
    return _at_once(lambda wire, request, right: wire.frame(request, forge(wire.pdu(right))))


def _right(wire: Wire) -> Fault:
    return lambda request, right: [(0.0, right)]


def _flipped(wire: Wire) -> Fault:
    """One bit, another one each time: all of an RTU frame; of a TCP frame the head, unit, function, count."""
    places = itertools.count(
        0, 7
    )  # 7 and the number of bits have no common divisor: every place has its turn

    def flip(request: bytes, right: bytes) -> Pieces:
        size = 8 * (len(right) if wire.kind == "rtu" else 9)
        place = next(places) % size
        spoilt = bytearray(right)
        spoilt[place // 8] ^= 1 << place % 8
        return [(0.0, bytes(spoilt))]

    return flip


def _previous(wire: Wire) -> Fault:
    """The answer of before, instead of the right one."""
    before = b""

    def again(request: bytes, right: bytes) -> Pieces:
        nonlocal before
        sent, before = before, right
        return [(0.0, sent)]

    return again


def _exceptions(wire: Wire) -> Fault:
    codes = itertools.cycle(range(1, 12))
    return lambda request, right: [(0.0, wire.frame(request, bytes((0x83, next(codes)))))]


def _flapping(wire: Wire) -> Fault:
    well = itertools.cycle((True, False))
    return lambda request, right: [(0.0, right)] if next(well) else []


def _babble(wire: Wire) -> Fault:
    """Noise instead of an answer, 250 bytes in bursts over 50 ms."""
    dice = random.Random(7)
    return lambda request, right: [(0.005, dice.randbytes(25)) for _ in range(10)]


def _cut(reset: bool) -> Maker:
    def make(wire: Wire) -> Fault:
        def cut(request: bytes, right: bytes) -> Pieces:
            wire.cut(reset)
            return []

        return cut

    return make


def _half_open(wire: Wire) -> Fault:
    def deafen(request: bytes, right: bytes) -> Pieces:
        wire.deafen()
        return []

    return deafen


def _refuse_two(wire: Wire) -> Fault:
    wire.refuse = 2
    wire.cut(reset=False)
    return _right(wire)


def _put(place: int, *raw: int) -> Callable[[list[int]], None]:
    def spoil(words: list[int]) -> None:
        words[place : place + len(raw)] = raw

    return spoil


def _other_transaction(wire: Wire, request: bytes, right: bytes) -> bytes:
    number = (int.from_bytes(right[:2], "big") - 1) % 0x10000
    return number.to_bytes(2, "big") + right[2:]


def _junk(wire: Wire, request: bytes, right: bytes) -> bytes:
    return b"\x00\xff\x55\x00\xaa" + right


_NAN = struct.unpack(">HH", struct.pack(">f", float("nan")))

FAULTS: tuple[DeviceFault, ...] = (
    DeviceFault("silence", BOTH, SILENT, _always(lambda q, r: [])),
    DeviceFault("late", BOTH, BROKEN, _always(lambda q, r: [(1.3 * TIMEOUT_S, r)])),
    DeviceFault("later than the next request", BOTH, BROKEN, _always(lambda q, r: [(1.6 * PERIOD_S, r)])),
    DeviceFault("slow, but in time", BOTH, NONE, _always(lambda q, r: [(0.3 * TIMEOUT_S, r)]), read=True),
    DeviceFault("twice", BOTH, BROKEN, _always(lambda q, r: [(0.0, r), (0.0, r)]), read=True),
    DeviceFault("again, unasked", BOTH, BROKEN, _always(lambda q, r: [(0.0, r), (0.01, r)]), read=True),
    DeviceFault("the previous answer", TCP, BROKEN, _previous),
    DeviceFault("flipped bits", BOTH, ANY, _flipped, split=True),
    DeviceFault("a unit nobody has", BOTH, BROKEN, _at_once(lambda w, q, r: w.frame(q, w.pdu(r), 77))),
    DeviceFault("a neighbour's unit", BOTH, BROKEN, _at_once(lambda w, q, r: w.frame(q, w.pdu(r), 1))),
    DeviceFault("wrong function", BOTH, BROKEN, _pdu(lambda p: b"\x04" + p[1:])),
    DeviceFault("unknown function", BOTH, BROKEN, _pdu(lambda p: b"\x5b" + p[1:])),
    DeviceFault("wrong byte count", BOTH, BROKEN, _pdu(lambda p: p[:1] + bytes((p[1] - 2,)) + p[2:])),
    DeviceFault("a register too few", BOTH, BROKEN, _pdu(lambda p: p[:1] + bytes((p[1] - 2,)) + p[2:-2])),
    DeviceFault("truncated", BOTH, BROKEN, _at_once(lambda w, q, r: r[:-3])),
    DeviceFault("too long", BOTH, BROKEN, _at_once(lambda w, q, r: r + bytes(9)), read=True),
    DeviceFault("junk in front", RTU, BROKEN, _at_once(_junk), read=True),
    DeviceFault("junk in front", TCP, BROKEN, _at_once(_junk)),
    DeviceFault(
        "byte after byte",
        BOTH,
        BROKEN,  # on a machine so busy that the last byte comes too late
        _always(lambda q, r: [(0.001, r[n : n + 1]) for n in range(len(r))]),
        read=True,
    ),
    DeviceFault("exceptions 1 to 11", BOTH, ANY, _exceptions, split=True),
    DeviceFault("busy", BOTH, REFUSED, _pdu(lambda p: b"\x83\x06")),
    DeviceFault("exception of another function", BOTH, BROKEN, _pdu(lambda p: b"\x84\x02")),
    DeviceFault("echo of the request", BOTH, BROKEN, _at_once(lambda w, q, r: q)),
    DeviceFault("babble", BOTH, BROKEN, _babble),
    DeviceFault("every second answer only", BOTH, SILENT, _flapping, read=True),
    DeviceFault("NaN", BOTH, frozenset({Reason.NOT_A_NUMBER}), _right, spoil=_put(4, *_NAN)),
    DeviceFault("sentinel", BOTH, frozenset({Reason.SENTINEL}), _right, spoil=_put(6, 0x8000)),
    DeviceFault("stuck value", BOTH, NONE, _right, read=True, spoil=_put(6, 4321), stuck=f"u{FAULTY}.sensor"),
    DeviceFault("RST", TCP, BROKEN, _cut(reset=True)),
    DeviceFault("FIN", TCP, BROKEN, _cut(reset=False)),
    DeviceFault("half open", TCP, BROKEN, _half_open),
    DeviceFault("two connections refused", TCP, BROKEN, _refuse_two, read=True, once=True),
    DeviceFault("wrong transaction", TCP, BROKEN, _at_once(_other_transaction)),
    DeviceFault("wrong protocol", TCP, BROKEN, _at_once(lambda w, q, r: r[:2] + b"\x00\x01" + r[4:])),
)


def rows() -> Iterator[tuple[DeviceFault, Kind]]:
    """Each fault on each kind of line it is possible on."""
    return ((fault, kind) for fault in FAULTS for kind in fault.kinds)
