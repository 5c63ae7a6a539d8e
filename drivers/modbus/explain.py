"""A Modbus frame in facts, for the technician's monitor. Pure: bytes in, a Meaning out; never raises.

A frame is explained by itself: an answer to a read bears no address, which stands in the request before it.
Numbers: unit, function, address (on the wire, from 0), count, code; `values` is text, words in hex or bits.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Literal

from drivers.modbus.frames import ERROR_BIT
from drivers.modbus.request import COILS, READS, checks
from drivers.traffic import Meaning

Framing = Literal["rtu", "tcp"]
Facts = Mapping[str, str | int]

NAMES: Mapping[int, str] = {
    1: "read_coils",
    2: "read_discrete_inputs",
    3: "read_holding",
    4: "read_input",
    5: "write_coil",
    6: "write_register",
    15: "write_coils",
    16: "write_registers",
}
"""Functions we know (V1.1b3, section 6), as the keys of their meaning end."""

EXCEPTIONS: Mapping[int, str] = {
    1: "illegal_function",
    2: "illegal_address",
    3: "illegal_value",
    4: "device_failure",
    5: "acknowledge",
    6: "busy",
    8: "memory_parity",
    10: "gateway_path",
    11: "gateway_target",
}
"""Exception codes by name (V1.1b3, section 7)."""

KEYS = frozenset(
    {f"modbus.ask.{name}" for name in NAMES.values()}
    | {f"modbus.answer.{name}" for name in NAMES.values()}
    | {f"modbus.refused.{name}" for name in (*EXCEPTIONS.values(), "other")}
    | {"modbus.other_function", "modbus.checksum", "modbus.unreadable"}
)
"""Every key `explain` gives: what a catalogue must have."""


def explain(data: bytes, sent: bool, framing: Framing) -> Meaning:
    """What one whole frame says; `sent` is True for our requests, False for what a device sent."""
    body = _body(data, framing)
    if body is None:
        return Meaning("modbus.unreadable", {"data": data.hex(" ")})
    unit, pdu = body
    facts: dict[str, str | int] = {"unit": unit, "function": pdu[0]}
    if framing == "rtu" and not checks(data):
        return Meaning("modbus.checksum", facts | {"data": data.hex(" ")})
    try:
        key, more = _facts(pdu, sent)
    except (struct.error, IndexError):  # shorter than its function wants
        return Meaning("modbus.unreadable", {"data": data.hex(" ")})
    return Meaning(key, {**facts, **more})


def _body(data: bytes, framing: Framing) -> tuple[int, bytes] | None:
    """Unit, and the PDU with its function code; None when no frame looks like this."""
    if framing == "rtu":
        return (data[0], data[1:-2]) if len(data) >= 4 else None
    if len(data) < 8 or data[2:4] != b"\0\0" or int.from_bytes(data[4:6], "big") != len(data) - 6:
        return None
    return data[6], data[7:]


def _facts(pdu: bytes, sent: bool) -> tuple[str, Facts]:
    function = pdu[0]
    if function & ERROR_BIT and not sent:
        code = pdu[1]
        key = f"modbus.refused.{EXCEPTIONS.get(code, 'other')}"
        return key, {"function": function & ~ERROR_BIT, "code": code}
    name = NAMES.get(function)
    if name is None:
        return "modbus.other_function", {"data": pdu[1:].hex(" ")}
    if sent:
        return f"modbus.ask.{name}", _ASKED[function](pdu)
    return f"modbus.answer.{name}", _answered(pdu)


def _span(pdu: bytes) -> Facts:
    address, count = struct.unpack_from(">HH", pdu, 1)
    return {"address": address, "count": count}


def _single(pdu: bytes) -> Facts:
    address, word = struct.unpack_from(">HH", pdu, 1)
    return {"address": address, "values": f"{word:04x}"}


def _several(pdu: bytes) -> Facts:
    address, count, _ = struct.unpack_from(">HHB", pdu, 1)
    return {"address": address, "count": count, "values": _values(pdu[0], pdu[6:])}


_ASKED: Mapping[int, Callable[[bytes], Facts]] = {
    **dict.fromkeys(READS, _span),
    5: _single,
    6: _single,
    15: _several,
    16: _several,
}


def _answered(pdu: bytes) -> Facts:
    if pdu[0] in READS:
        data = pdu[2 : 2 + pdu[1]]
        return {"bytes": pdu[1], "values": _values(pdu[0], data)}
    return _single(pdu) if pdu[0] in (5, 6) else _span(pdu)


def _values(function: int, data: bytes) -> str:
    """Words in hex, or bits with the lowest address first."""
    if function in COILS or function == 15:
        return "".join(f"{byte:08b}"[::-1] for byte in data)
    return data.hex(" ", -2) if len(data) % 2 == 0 else data.hex(" ")
