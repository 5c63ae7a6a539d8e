"""Brokers for the bench: the demo's embedded one (amqtt) and a real Mosquitto for the tests.

`python -m hil_tests.broker --port-file FILE` runs the embedded one in a process of its own until SIGTERM.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from amqtt.broker import Broker

_START_S = 15.0  # a loaded machine needs a while to start a process
_MOSQUITTO = ("mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto")


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def embedded_broker(port: int = 0) -> AsyncIterator[int]:
    """An amqtt broker on the loopback within this event loop; yields its port (0: a free one)."""
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    try:
        server = broker._servers["default"].instance
        assert isinstance(server, asyncio.Server)
        yield int(server.sockets[0].getsockname()[1])
    finally:
        await broker.shutdown()


@dataclass(slots=True)
class BrokerProcess:
    """A broker that can be stopped, killed and started again on the same port."""

    command: Sequence[str]
    port: int
    output: Path
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def start(self) -> None:
        """Start and wait until it listens; RuntimeError with its words when it does not."""
        assert self._process is None
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(self.command, stdout=output, stderr=output)
        deadline = time.monotonic() + _START_S
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                words = self.output.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"the broker did not start: {' '.join(self.command)}\n{words}")
            time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(timeout=_START_S)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def mosquitto_path() -> str:
    """Where Mosquitto is; RuntimeError tells how to install it."""
    for candidate in _MOSQUITTO:
        found = shutil.which(candidate)
        if found is not None:
            return found
    raise RuntimeError("these tests need the real Mosquitto broker: sudo apt-get install mosquitto")


@dataclass(frozen=True, slots=True)
class ServerTls:
    """Files of a broker's TLS listener."""

    ca_file: Path
    certificate: Path
    key: Path


@contextlib.contextmanager
def mosquitto(folder: Path, tls: ServerTls | None = None) -> Iterator[BrokerProcess]:
    """A real Mosquitto with persistence in `folder` on a free port of the loopback, started."""
    port = free_port()
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "persistence true",
        f"persistence_location {folder}/",
        "log_dest stderr",
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # else it gives up its rights, and with them the folder of the test
    if tls is not None:
        lines += [f"cafile {tls.ca_file}", f"certfile {tls.certificate}", f"keyfile {tls.key}"]
    settings = folder / "mosquitto.conf"
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    broker = BrokerProcess((mosquitto_path(), "-c", str(settings)), port, folder / "mosquitto.log")
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@contextlib.contextmanager
def embedded_process(folder: Path) -> Iterator[BrokerProcess]:
    """The demo's broker as the demo runs it: in a process of its own, on a free port."""
    port = free_port()
    child = (sys.executable, "-m", "hil_tests.child", str(os.getpid()))  # gone when we are gone
    command = (*child, "hil_tests.broker", "--port", str(port))
    broker = BrokerProcess(command, port, folder / "broker.log")
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


async def _serve(port: int, port_file: Path | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with embedded_broker(port) as bound:
        if port_file is not None:
            written = port_file.with_name(port_file.name + ".new")
            written.write_text(f"{bound}\n", encoding="ascii")
            written.replace(port_file)  # whoever waits for the file finds it complete
        await stop.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the embedded broker until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m hil_tests.broker", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--port-file", type=Path)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("transitions").setLevel(logging.WARNING)
    asyncio.run(_serve(chosen.port, chosen.port_file))


if __name__ == "__main__":
    main()
