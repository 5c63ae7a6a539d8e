"""A Modbus driver on a real line, serial or TCP, with a slave at its other end that does as it is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from drivers import (
    DeviceSetting,
    Driver,
    ModbusRtuBus,
    ModbusTcpBus,
    Point,
    Unit,
    open_driver,
)
from drivers.tests.modbus_tls import identities
from drivers.tests.profiles import make_profile
from drivers.tests.slaves import Fault, Pieces, Slave, rtu, serve_rtu, serve_tcp, tcp
from drivers.traffic import Tap, unheard

TIMEOUT_S = 0.25


def value(address: int, **more: object) -> dict[str, object]:
    """A register of a profile."""
    return {"function": 3, "address": address, "documented": "", "type": "u16", "unit": "m"} | more


REGISTERS = {
    "a": value(0),
    "b": value(1),
    "c": value(4),
    "level": value(10, type="f32"),
    "far": value(300),
    "output": value(20, write={"function": 6, "low": 0, "high": 1000}),
    "pair": value(30, type="u32", write={"function": 16, "low": 0, "high": 1e6}),
}
PROFILE = make_profile("modbus", REGISTERS)


def points(*names: str, device: str = "one") -> list[Point]:
    """Points `<device>.<register>`."""
    return [Point(f"{device}.{name}", device, name, Unit.METRE) for name in names]


@dataclass
class Bench:
    """A driver on a line, and the slave at its other end. `frame` builds an answer as this line frames it."""

    driver: Driver
    slave: Slave
    serial: bool

    def frame(self, request: bytes, pdu: bytes, unit: int = 1) -> bytes:
        """`pdu` framed as an answer to `request`."""
        return rtu(unit, pdu) if self.serial else tcp(int.from_bytes(request[:2], "big"), unit, pdu)

    def pdu(self, adu: bytes) -> bytes:
        """What a frame carries."""
        return adu[1:-2] if self.serial else adu[7:]

    async def read(self, *names: str, device: str = "one") -> list[float | None]:
        """Values in the order of the names."""
        readings = await self.driver.read(points(*names, device=device))
        return [readings[f"{device}.{name}"].value for name in names]


def filled_slave() -> Slave:
    """Units 1 and 2, whose word n is 100 * unit + n."""
    slave = Slave()
    for unit in (1, 2):
        slave.put(unit, 0, *(100 * unit + n for n in range(40)))
        slave.put(unit, 300, 100 * unit + 99)
        slave.put_float(unit, 10, 1.5)
    return slave


KINDS = ("rtu", "tcp", "rtu over tcp", "tls")
"""Ways to a Modbus device."""


@asynccontextmanager
async def served(kind: str, slave: Slave, most: int = 8) -> AsyncIterator[ModbusRtuBus | ModbusTcpBus]:
    """The bus on which `slave` is served."""
    if kind == "rtu":
        async with serve_rtu(slave) as port:
            yield ModbusRtuBus(port, baud=115200, parity="N", timeout_s=TIMEOUT_S)
        return
    context, tls = (identities().server(), identities().tls()) if kind == "tls" else (None, None)
    framing: Literal["tcp", "rtu"] = "rtu" if kind == "rtu over tcp" else "tcp"
    async with serve_tcp(slave, framing, context, most) as number:
        yield ModbusTcpBus("127.0.0.1", number, timeout_s=TIMEOUT_S, framing=framing, tls=tls)


@asynccontextmanager
async def bench(kind: str, profile: object = PROFILE, tap: Tap = unheard) -> AsyncIterator[Bench]:
    """A bench on one of KINDS."""
    slave = filled_slave()
    devices = [DeviceSetting("one", profile, 1), DeviceSetting("two", profile, 2)]  # type: ignore[arg-type]
    async with served(kind, slave) as bus, open_driver(bus, devices, time.time, tap) as driver:
        yield Bench(driver, slave, serial=kind.startswith("rtu"))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, at most 2 s."""
    async with asyncio.timeout(2.0):
        done = False
        while not done:
            await asyncio.sleep(0.001)
            done = condition()


def silent(request: bytes, right: bytes) -> Pieces:
    """No answer."""
    return []


def after(delay_s: float) -> Fault:
    """The right answer, late."""
    return lambda request, right: [(delay_s, right)]
