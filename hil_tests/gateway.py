"""A Modbus TCP gateway with a serial port for each unit, as inverters stand behind in a station, as a
process.

`python -m hil_tests.gateway --folder F --unit ID=NAME ...` leaves a tty `F/<name>` for every unit. Requests
are served one after the other; a unit that does not answer in time gets exception 0x0B from the gateway.
"""

import argparse
import contextlib
import os
import select
import socket
import time
from pathlib import Path

from hil_tests.child import die_with_parent, report_ready
from hil_tests.devices.pdu import TARGET_SILENT, RtuAssembler, TcpAssembler, rtu
from hil_tests.devices.server import arrived, listen, reply
from hil_tests.line import open_pair

_REPLY_S = 0.2


class Gateway:
    """TCP clients on one side, a tty per unit on the other."""

    def __init__(self, listener: socket.socket, units: dict[int, int]) -> None:
        self._listener = listener
        self._units = units
        self._clients: dict[socket.socket, TcpAssembler] = {}

    def run(self) -> None:
        """Serve until the process is killed."""
        while True:
            for ready in select.select([self._listener, *self._clients], (), ())[0]:
                if ready is self._listener:
                    client, _ = ready.accept()
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._clients[client] = TcpAssembler()
                else:
                    self._serve(ready)

    def _serve(self, client: socket.socket) -> None:
        for transaction, unit, pdu in arrived(client, self._clients):
            response = self._ask(unit, pdu) or bytes((pdu[0] | 0x80, TARGET_SILENT))
            reply(client, transaction, unit, response)

    def _ask(self, unit: int, pdu: bytes) -> bytes | None:
        """The unit's response; late bytes of an earlier request are thrown away first."""
        serial = self._units.get(unit)
        if serial is None:
            return None
        with contextlib.suppress(BlockingIOError):
            os.read(serial, 4096)
        with contextlib.suppress(BlockingIOError):  # the buffer of a dead unit is full
            os.write(serial, rtu(unit, pdu))
        assembler = RtuAssembler()
        end = time.monotonic() + _REPLY_S
        while (left := end - time.monotonic()) > 0.0 and select.select([serial], (), (), left)[0]:
            frame = assembler.feed(os.read(serial, 4096), time.monotonic())
            if frame is not None and frame[0] == unit:
                return frame[1:-2]
        return None


def main() -> None:
    """Be the gateway until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--unit", action="append", required=True, metavar="ID=NAME")
    arguments = parser.parse_args()
    die_with_parent(arguments.parent)
    units = {}
    for entry in arguments.unit:
        number, _, name = entry.partition("=")
        units[int(number)] = open_pair(arguments.folder / name, hold=True)
    listener = listen()
    report_ready({"port": listener.getsockname()[1]})
    Gateway(listener, units).run()


if __name__ == "__main__":
    main()
