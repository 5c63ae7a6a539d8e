"""What a frame of CJ/T 188 says, for the technician's monitor. Pure; the sentences are the catalogue's."""

from collections.abc import Mapping

from drivers.cjt188.frames import HEAT, Frame, decode
from drivers.cjt188.values import Amount
from drivers.cjt188.values import decode as decode_heat
from drivers.errors import ProtocolError
from drivers.traffic import Meaning

KEYS = frozenset({"cjt188.request", "cjt188.answer", "cjt188.heat", "cjt188.refused", "cjt188.junk"})
"""Every key `explain` gives: what a catalogue must have."""

_SHOWN = ("energy", "power", "flow", "volume", "supply_temperature", "return_temperature")


def explain(data: bytes) -> Meaning:
    """The meaning of bytes from the line: of the first frame in them, or that there is none. Never raises."""
    try:
        frame = decode(data)
    except ProtocolError:
        return Meaning("cjt188.junk", {"bytes": len(data)})
    if frame.is_error:
        return Meaning("cjt188.refused", {**_head(frame), "status": frame.payload.hex(" ").upper()})
    if frame.is_answer and frame.names(HEAT):
        return _heat(frame)
    key = "cjt188.answer" if frame.is_answer else "cjt188.request"
    return Meaning(key, {**_head(frame), "bytes": len(frame.payload)})


def _head(frame: Frame) -> Mapping[str, str | int]:
    sequence = frame.sequence
    return {
        "type": f"{frame.type:02X}",
        "address": frame.address.hex(" ").upper(),
        "control": f"{frame.control:02X}",
        "identifier": frame.identifier.hex(" ").upper() or "-",
        "sequence": "-" if sequence is None else f"{sequence:02X}",
    }


def _heat(frame: Frame) -> Meaning:
    """The values by the standard's decimals: what a profile says otherwise is not known here."""
    try:
        heat = decode_heat(frame.payload)
    except ProtocolError:
        return Meaning("cjt188.answer", {**_head(frame), "bytes": len(frame.payload)})
    values = {name: _shown(heat.amounts[name]) for name in _SHOWN}
    clock = "-" if heat.clock is None else heat.clock.isoformat(" ")
    status = heat.status.hex(" ").upper()
    return Meaning("cjt188.heat", {**_head(frame), **values, "clock": clock, "status": status})


def _shown(amount: Amount) -> str:
    return "-" if amount.number is None else f"{amount.number:f} {amount.unit}"
