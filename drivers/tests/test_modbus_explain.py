"""What the technician's monitor says of a frame: facts, and a key for their sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.explain import KEYS, Framing, explain
from drivers.tests.slaves import rtu, tcp

# (PDU, sent, key, some of the facts); examples of the application protocol V1.1b3, sections 6 and 7
CASES: list[tuple[str, bool, str, dict[str, str | int]]] = [
    ("01 00 13 00 13", True, "modbus.ask.read_coils", {"address": 19, "count": 19}),
    ("01 03 cd 6b 05", False, "modbus.answer.read_coils", {"values": "101100111101011010100000"}),
    ("03 00 6b 00 03", True, "modbus.ask.read_holding", {"address": 107, "count": 3, "function": 3}),
    (
        "03 06 02 2b 00 00 00 64",
        False,
        "modbus.answer.read_holding",
        {"values": "022b 0000 0064", "bytes": 6},
    ),
    ("05 00 ac ff 00", True, "modbus.ask.write_coil", {"address": 172, "values": "ff00"}),
    ("06 00 01 00 03", False, "modbus.answer.write_register", {"address": 1, "values": "0003"}),
    (
        "10 00 01 00 02 04 00 0a 01 02",
        True,
        "modbus.ask.write_registers",
        {"count": 2, "values": "000a 0102"},
    ),
    ("10 00 01 00 02", False, "modbus.answer.write_registers", {"address": 1, "count": 2}),
    ("81 02", False, "modbus.refused.illegal_address", {"function": 1, "code": 2}),
    ("83 0b", False, "modbus.refused.gateway_target", {"function": 3, "code": 11}),
    ("83 63", False, "modbus.refused.other", {"code": 99}),
    ("2b 0e 01 00", True, "modbus.other_function", {"function": 43, "data": "0e 01 00"}),
]


@pytest.mark.parametrize("framing", ["rtu", "tcp"])
@pytest.mark.parametrize(("pdu", "sent", "key", "facts"), CASES)
def test_a_frame_is_told_by_its_unit_function_address_and_values(
    pdu: str, sent: bool, key: str, facts: dict[str, str | int], framing: Framing
) -> None:
    frame = rtu(17, bytes.fromhex(pdu)) if framing == "rtu" else tcp(5, 17, bytes.fromhex(pdu))
    meaning = explain(frame, sent, framing)
    assert meaning.key == key
    assert {"unit": 17} | facts == {name: meaning.values[name] for name in {"unit"} | facts.keys()}


def test_a_spoilt_serial_frame_is_told_as_spoilt_with_what_it_seems_to_be() -> None:
    frame = bytearray(rtu(17, b"\x03\x02\x00\x01"))
    frame[3] ^= 1
    meaning = explain(bytes(frame), False, "rtu")
    assert meaning.key == "modbus.checksum"
    assert (meaning.values["unit"], meaning.values["function"]) == (17, 3)


@pytest.mark.parametrize("framing", ["rtu", "tcp"])
@given(data=st.binary(max_size=300), sent=st.booleans(), framed=st.booleans())
def test_any_bytes_have_a_meaning_whose_key_is_known(
    data: bytes, sent: bool, framed: bool, framing: Framing
) -> None:
    if framed and data:
        data = rtu(data[0], data[1:]) if framing == "rtu" else tcp(1, data[0], data[1:])
    assert explain(data, sent, framing).key in KEYS
