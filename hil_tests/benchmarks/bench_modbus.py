"""Modbus TCP, one request after the other: our driver, plain pymodbus, libmodbus in C, in the same run.

All ask the same server on libmodbus, which is never the bottleneck, for the first registers of one device.
Ours plans, checks and makes a Reading of each; pymodbus makes a list of integers, libmodbus an array.
The clients take turns, so that a busy machine slows them all.
"""

import asyncio
import os
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import uvloop
from pymodbus.client import AsyncModbusTcpClient

from drivers import DeviceSetting, ModbusTcpBus, Point, Unit, open_driver, parse_profile
from hil_tests.interop import peers

TURNS = 7
REQUESTS = 600  # a turn
REGISTERS = (10, 100)
LIBMODBUS = "libmodbus (C)"
OURS, PLAIN = "our driver, uvloop", "plain pymodbus, uvloop"


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second and processor time in us a request, medians of the turns."""

    requests_s: float
    cpu_us: float


Ask = Callable[[], Awaitable[object]]


async def _timed(ask: Ask) -> Rate:
    await ask()
    began, spent = time.perf_counter(), time.process_time()
    for _ in range(REQUESTS):
        await ask()
    spent = time.process_time() - spent
    return Rate(REQUESTS / (time.perf_counter() - began), spent / REQUESTS * 1e6)


def _setting(registers: int) -> DeviceSetting:
    header = {"id": "fast", "maker": "-", "model": "-", "protocol": "modbus"}
    header |= {"source": "hil_tests.interop", "confidence": "own"}
    rows = {
        f"r{n}": {"function": 3, "address": n, "documented": "", "type": "u16", "unit": "degC", "scale": 0.01}
        for n in range(registers)
    }
    return DeviceSetting("fast", parse_profile({"profile": header, "registers": rows}, "fast"), 1)


async def _ours(port: int, registers: int) -> Rate:
    points = [Point(f"r{n}", "fast", f"r{n}", Unit.CELSIUS) for n in range(registers)]
    bus = ModbusTcpBus("127.0.0.1", port, 5.0)
    async with open_driver(bus, [_setting(registers)], time.time) as driver:
        return await _timed(lambda: driver.read(points))


async def _plain(port: int, registers: int) -> Rate:
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    try:
        return await _timed(lambda: client.read_holding_registers(0, count=registers, device_id=1))
    finally:
        client.close()


def _libmodbus(port: int, registers: int) -> Rate:
    command = [str(peers.LIBMODBUS_CLIENT), str(port), str(registers), str(5 * REQUESTS)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ)).stdout
    return Rate(*map(float, told.split()))


def _turn(port: int, registers: int) -> dict[str, Rate]:
    """One turn of everybody. The server takes one connection at a time."""
    found: dict[str, Rate] = {}
    for loop, factory in (("uvloop", uvloop.new_event_loop), ("asyncio", asyncio.new_event_loop)):
        for name, measure in (("our driver", _ours), ("plain pymodbus", _plain)):
            with asyncio.Runner(loop_factory=factory) as runner:
                found[f"{name}, {loop}"] = runner.run(measure(port, registers))
    found[LIBMODBUS] = _libmodbus(port, registers)
    return found


def measured() -> dict[int, Mapping[str, Rate]]:
    """Medians by number of registers and client."""
    peers.set_up_libmodbus()
    result: dict[int, Mapping[str, Rate]] = {}
    with peers.running([str(peers.LIBMODBUS), "tcp", "1"]) as port:
        for registers in REGISTERS:
            turns = [_turn(int(port), registers) for _ in range(TURNS)]
            result[registers] = {
                name: Rate(
                    statistics.median(turn[name].requests_s for turn in turns),
                    statistics.median(turn[name].cpu_us for turn in turns),
                )
                for name in turns[0]
            }
    return result
