"""Many Modbus TCP devices in one process, each on a port of its own, as cheap as Python allows.

`python -m hil_tests.benchmarks.fleet --devices N --registers M --parent PID` reports its ports in one line of
JSON. Register n holds 20.00 to 25.00 (times 100), and every answer moves the values on by a hundredth.
"""

import argparse
import asyncio
import struct

from hil_tests.child import die_with_parent, report_ready

_HEAD = struct.Struct(">HHHBBHH")


class _Device(asyncio.Protocol):
    """Answers reads from a ring of prepared words, and accepts the write of a register."""

    def __init__(self, words: bytes, registers: int) -> None:
        self._words = words
        self._span = 2 * registers
        self._turn = 0
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        data = self._rest + data
        while len(data) >= _HEAD.size:
            transaction, _, _, unit, function, start, count = _HEAD.unpack_from(data)
            request, data = data[: _HEAD.size], data[_HEAD.size :]
            if function == 6:
                self._transport.write(request)
                continue
            self._turn = (self._turn + 2) % self._span
            begin = self._turn + 2 * start
            values = self._words[begin : begin + 2 * count]
            head = struct.pack(">HHHBBB", transaction, 0, 3 + 2 * count, unit, function, 2 * count)
            self._transport.write(head + values)
        self._rest = data


async def _serve(devices: int, registers: int) -> None:
    loop = asyncio.get_running_loop()
    ring = struct.pack(f">{3 * registers}H", *(2000 + n % 501 for n in range(3 * registers)))
    servers = [
        await loop.create_server(lambda: _Device(ring, registers), "127.0.0.1", 0) for _ in range(devices)
    ]
    report_ready({str(n): server.sockets[0].getsockname()[1] for n, server in enumerate(servers)})
    await asyncio.Event().wait()


def main() -> None:
    """Serve until the parent dies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("--registers", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args()
    die_with_parent(options.parent)
    asyncio.run(_serve(options.devices, options.registers))


if __name__ == "__main__":
    main()
