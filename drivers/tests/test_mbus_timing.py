"""The time budget of a line is made of the bytes that really pass on it."""

from dataclasses import replace

import pytest

from drivers import DeviceSetting, MBusBus, Point, SerialPort, Traffic, Unit, open_driver
from drivers.mbus.timing import exchanges
from drivers.tests.mbus_encode import int_record
from drivers.tests.mbus_meters import Meter, MeterLine, serve_pty
from drivers.tests.profiles import make_profile

BODY = int_record(b"\x06", 7) + bytes.fromhex("2f") * 40


@pytest.mark.parametrize("address", ["5", "12345678"])
@pytest.mark.parametrize("pages", [[], ["51 01 FF 08 01", "50"]], ids=["one page", "two pages"])
async def test_a_reading_is_predicted_byte_by_byte(address: str, pages: list[str]) -> None:
    seen: list[Traffic] = []
    registers = {
        "energy": {"quantity": "energy", "unit": "kWh"},
        "absent": {"quantity": "volume", "unit": "m3"},
    }
    length = len(BODY) + 12 + 9
    profile = make_profile("mbus", registers, pages=pages, answer_bytes=length, turnaround_s=0.03)
    device = DeviceSetting("m", profile, None, address)
    async with serve_pty(MeterLine(Meter(5, "12345678.KAM.35.04", lambda: [BODY]))) as path:
        bus = MBusBus(SerialPort(path, 38400, "N"), timeout_s=0.2)
        async with open_driver(bus, [device], lambda: 0.0, seen.append) as driver:
            points = [
                Point("e", "m", "energy", Unit.KILOWATT_HOUR),
                Point("v", "m", "absent", Unit.CUBIC_METRE),
            ]
            await driver.read(points)  # the first one also deselects whoever an earlier master left selected
            seen.clear()
            await driver.read(points)
    predicted = exchanges(bus, device)
    assert sum(each.sent + each.received for each in predicted) == sum(len(t.data) for t in seen)
    assert len(predicted) == len(seen) / 2
    assert {each.turnaround_s for each in predicted} == {0.03}
    assert exchanges(replace(bus, endpoint=SerialPort(path, 300, "N")), device)[0].silence_s == 33 / 300
