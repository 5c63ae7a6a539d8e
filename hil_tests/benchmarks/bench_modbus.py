"""Our Modbus driver reading 10 registers of a simulated meter beside plain pymodbus, in the same run.

The plain client is what the driver stands on; the ratio is what planning, decoding, units and quality cost on
top. Both speak over the loopback to the same process. The pause that the meter's profile wants between two
requests is left out: it is a wait, no work, and the plain client knows none.
"""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient

from drivers import DeviceSetting, ModbusTcpBus, Point, Profile, Unit, load_profile, open_driver
from drivers.modbus.profile import ModbusProfile
from edge.resources import config_dir
from hil_tests.blackboard import Blackboard
from hil_tests.devices import wiring

TURNS = 7
READS = 200  # a turn
REGISTERS = 10
METER = wiring.METERS[0]
POINTS = {  # registers 0 to 9 of the datagram
    "flow_v1": Unit.CUBIC_METRE_PER_HOUR,
    "power": Unit.KILOWATT,
    "temperature_t1": Unit.CELSIUS,
    "temperature_t2": Unit.CELSIUS,
}


_SHOWN = ("primary_flow", "heat_power", "primary_supply_temperature", "primary_return_temperature")


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds for one request and its answer, medians of the turns."""

    driver_us: float
    plain_us: float

    @property
    def ratio(self) -> float:
        """How many times the plain client; 1 means that the driver costs nothing."""
        return self.driver_us / self.plain_us


@contextlib.contextmanager
def _meter() -> Iterator[int]:
    """The meter as a process of its own; its TCP port."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "board"
        with Blackboard.create(path, wiring.slots(), owner="plant") as board:
            for quantity in _SHOWN:
                board.set(f"{METER.serves}.{quantity}", 50.0)
            command = [sys.executable, "-m", "hil_tests.devices", "meter", METER.name, "--tcp"]
            command += ["--board", str(path), "--parent", str(os.getpid())]
            board.start(time.time(), time.monotonic(), 1.0)
            with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                try:
                    assert process.stdout is not None
                    yield int(json.loads(process.stdout.readline())["port"])
                finally:
                    process.kill()


async def _microseconds(read: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    for _ in range(READS):
        await read()
    return (time.perf_counter() - began) / READS * 1e6


def _without_pause(profile: Profile) -> Profile:
    assert isinstance(profile, ModbusProfile)
    return profile.model_copy(update={"modbus": profile.modbus.model_copy(update={"gap_s": 0.0})})


async def _measure(port: int) -> Cost:
    profile = _without_pause(load_profile(config_dir() / "profiles" / "kamstrup_multical_603.toml"))
    points = [Point(name, METER.name, name, unit) for name, unit in POINTS.items()]
    setting = DeviceSetting(METER.name, profile, METER.unit_id)
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    async with open_driver(ModbusTcpBus("127.0.0.1", port, 1.0), [setting], time.time) as driver:
        await client.connect()

        async def ours() -> bool:
            return all(reading.is_good for reading in (await driver.read(points)).values())

        async def plain() -> bool:
            answer = await client.read_holding_registers(0, count=REGISTERS, device_id=METER.unit_id)
            return not answer.isError()

        assert await ours()
        assert await plain()

        turns = [[await _microseconds(read) for read in (ours, plain)] for _ in range(TURNS)]
        client.close()
    return Cost(*(statistics.median(column) for column in zip(*turns, strict=True)))


def measured() -> Cost:
    """The two take turns, so that a busy machine slows both."""
    with _meter() as port:
        return asyncio.run(_measure(port))
