"""Whatever comes from the line, the codec ends with values, a reason or a ProtocolError: led by coverage."""

import tomllib
from pathlib import Path

import pytest

from drivers import ProtocolError
from drivers.cjt188 import address, explain, frames, values
from drivers.cjt188.address import Scheme
from drivers.cjt188.values import Heat, Layout
from drivers.tests.cjt188_fuzz import Fuzzer

_DATA = Path(__file__).parent / "data" / "cjt188"
_SCHEMES: tuple[Scheme, ...] = ("standard", "runa", "huizhong", "maituo")
_WAYS: tuple[Layout | None, ...] = (None, "value_unit", "unit_value")


def _corpus() -> list[bytes]:
    files = sorted(_DATA.glob("*.toml"))
    entries = [entry for file in files for entry in tomllib.loads(file.read_text("utf-8")).values()]
    return [bytes.fromhex(entry["hex"]) for entry in entries]


def _target(data: bytes) -> None:
    explain.explain(data)
    try:
        frame = frames.decode(data)
    except ProtocolError:
        return
    assert frames.decode(frames.encode(frame)) == frame
    for scheme in _SCHEMES:
        address.from_wire(frame.address, scheme)
    values.candidates(frame.payload)
    for layout in _WAYS:
        try:
            _check(values.decode(frame.payload, layout))
        except ProtocolError:
            continue


def _check(heat: Heat) -> None:
    for amount in heat.amounts.values():
        assert amount.number is None or 0 <= amount.number < amount.rolls_over
    assert 0 <= heat.valve <= 3
    heat.bit(15)


def _repair(data: bytearray) -> None:
    """Give the first frame the checksum and the end its length asks for."""
    start = data.find(frames.START)
    end = start + 11 + data[start + 10] if start >= 0 and len(data) > start + 10 else len(data)
    if end + 1 < len(data):
        data[end] = frames.checksum(bytes(data[start:end]))
        data[end + 1] = frames.END


def _fuzz(seconds: float) -> None:
    fuzzer = Fuzzer(_target, (frames, values, address, explain), _corpus(), _repair)
    known = len(fuzzer.edges)
    fuzzer.run(seconds)
    assert fuzzer.inputs > len(_corpus())
    assert len(fuzzer.edges) >= known > 100


def test_a_moment_of_fuzzing_finds_no_uncaught_exception() -> None:
    _fuzz(1.0)


@pytest.mark.long
def test_a_minute_of_fuzzing_finds_no_uncaught_exception() -> None:
    _fuzz(60.0)
