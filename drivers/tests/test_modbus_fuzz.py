"""Whatever comes from a Modbus line, codec and explanation end in verdicts and facts: led by coverage."""

import pytest

from drivers.modbus import explain, frames
from drivers.modbus.registers import Span
from drivers.modbus.request import Request, checks
from drivers.tests.cjt188_fuzz import Fuzzer
from drivers.tests.slaves import crc, rtu, tcp
from drivers.traffic import Verdict

REQUESTS = (
    Request.read(5, Span(3, 100, 2)),
    Request.read(5, Span(1, 0, 19)),
    Request.write(5, 6, 7, (9,)),
    Request.write(5, 16, 7, (9, 10)),
)
PDUS = ("030412345678", "0103cd6b05", "0600070009", "1000070002", "8302", "0b", "2b0e0100")
HEAD = 2  # bytes that choose framing and request; the rest is what the line brings


def _corpus() -> list[bytes]:
    pdus = [bytes.fromhex(text) for text in PDUS]
    serial = [bytes((0, n)) + rtu(5, pdu) for n in range(len(REQUESTS)) for pdu in pdus]
    return serial + [bytes((1, n)) + tcp(1, 5, pdu) for n in range(len(REQUESTS)) for pdu in pdus]


def _target(data: bytes) -> None:
    if len(data) < HEAD:
        return
    request, framing = REQUESTS[data[1] % len(REQUESTS)], "tcp" if data[0] % 2 else "rtu"
    stream = data[HEAD:]
    pieces = frames.take_apart(stream, request, framing)
    if framing == "rtu":
        assert b"".join(piece.data for piece in pieces) == stream
    answers = [piece for piece in pieces if piece.verdict in (Verdict.ANSWER, Verdict.REFUSED)]
    assert len(answers) <= 1
    assert all(framing == "tcp" or checks(piece.data) for piece in answers)
    for sent in (False, True):
        assert explain.explain(stream, sent, "tcp" if framing == "tcp" else "rtu").key in explain.KEYS


def _repair(data: bytearray) -> None:
    """Give a serial frame the checksum, a TCP frame the length it should have."""
    if len(data) < HEAD + 6:
        return
    if data[0] % 2:
        data[HEAD + 2 : HEAD + 6] = b"\0\0" + (len(data) - HEAD - 6).to_bytes(2, "big")
        return
    size = frames.answer_size(data[HEAD:])
    end = HEAD + size if size and HEAD + size <= len(data) else len(data)
    data[end - 2 : end] = crc(bytes(data[HEAD : end - 2]))


def _fuzz(seconds: float) -> None:
    fuzzer = Fuzzer(_target, (frames, explain), _corpus(), _repair)
    known = len(fuzzer.edges)
    fuzzer.run(seconds)
    assert fuzzer.inputs > len(_corpus())
    assert len(fuzzer.edges) >= known > 100


def test_a_moment_of_fuzzing_finds_no_uncaught_exception() -> None:
    _fuzz(1.0)


@pytest.mark.long
def test_a_minute_of_fuzzing_finds_no_uncaught_exception() -> None:
    _fuzz(60.0)
