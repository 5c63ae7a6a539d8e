"""What systemd hears of the service, on the real socket: ready, alive, stopping; and how it ends."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import edge.cycle
from edge.control.decide import Decision, decide
from edge.notify import Notifier
from edge.resources import config_dir
from edge.service import Paths, serve
from edge.tests.test_service import START, House, steady_field
from edge.verification import verify

SECRET = "correct horse battery staple"
END_S = 10.0
PORTS = ("port = 1502", "port = 1503", "port = 1883", "127.0.0.1:4840")  # of the demo's site


class Supervisor:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.heard: list[str] = []

    def listen(self, within_s: float = 0.0) -> list[str]:
        """All that was said so far, waiting for a first word at most that long."""
        self._socket.settimeout(within_s or 1e-6)
        try:
            while True:
                self.heard += self._socket.recv(4096).decode("ascii").splitlines()
                self._socket.settimeout(1e-6)
        except (TimeoutError, BlockingIOError):
            return self.heard

    def until(self, condition: Callable[[list[str]], bool], within_s: float = 30.0) -> None:
        end = time.monotonic() + within_s
        while not condition(self.listen(0.05)):
            assert time.monotonic() < end, f"heard only {self.heard}"

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["file", "abstract"])
def supervisor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Supervisor]:
    name = str(tmp_path / "notify")
    found = Supervisor(
        name if request.param == "file" else f"@substation-edge-{os.getpid()}-{time.monotonic_ns()}"
    )
    yield found
    found.close()


def test_is_a_state_one_datagram(supervisor: Supervisor) -> None:
    notifier = Notifier(supervisor.address)
    notifier.tell("READY=1\nWATCHDOG=1")
    notifier.tell("STOPPING=1")
    notifier.close()
    assert supervisor.listen(5.0) == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_is_nothing_told_where_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    for notifier in (
        Notifier(),
        Notifier(str(tmp_path / "nobody")),
        Notifier("@nobody-at-all"),
        Notifier("/" * 300),
    ):
        notifier.tell("READY=1")
        notifier.close()
        notifier.tell("STOPPING=1")  # after the end, too


def test_does_a_supervisor_that_does_not_read_hold_nobody_up(tmp_path: Path) -> None:
    deaf = Supervisor(str(tmp_path / "deaf"))
    notifier = Notifier(deaf.address)
    began = time.monotonic()
    for _ in range(5000):  # far more than the socket holds
        notifier.tell("WATCHDOG=1")
    assert time.monotonic() - began < 5.0
    notifier.close()
    deaf.close()


class Minutes:
    """`decide` that counts, and fails in the cycle it is told to."""

    def __init__(self, fails_in: int | None = None) -> None:
        self.cycles = 0
        self.fails_in = fails_in

    def __call__(self, *what: object) -> Decision:
        self.cycles += 1
        if self.cycles == self.fails_in:
            raise ArithmeticError("this cycle fails")
        return decide(*what)  # type: ignore[arg-type]


async def serve_until(house: House, told: Supervisor, stop_when: Callable[[list[str]], bool]) -> None:
    stop = asyncio.Event()
    service = asyncio.create_task(
        serve(house.paths, house.clock, house.plant.open, Notifier(told.address), stop)
    )
    async with asyncio.timeout(20.0):
        while not service.done() and not stop_when(told.listen()):
            await asyncio.sleep(0.005)
    stop.set()
    await service


async def test_is_the_watchdog_fed_once_by_every_good_cycle_and_never_before_one(
    tmp_path: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = Minutes()
    monkeypatch.setattr(edge.cycle, "decide", minutes)
    await serve_until(
        House(tmp_path, steady_field()), supervisor, lambda heard: heard.count("WATCHDOG=1") >= 20
    )
    heard = supervisor.listen()
    assert heard[:2] == ["READY=1", "WATCHDOG=1"]
    assert heard[-1] == "STOPPING=1"
    assert 0 <= minutes.cycles - heard.count("WATCHDOG=1") <= 1  # the last may have been cut short


async def test_is_the_watchdog_left_hungry_by_a_cycle_that_fails(
    tmp_path: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = Minutes(fails_in=4)
    monkeypatch.setattr(edge.cycle, "decide", minutes)
    with pytest.raises(ExceptionGroup) as caught:
        await serve_until(House(tmp_path, steady_field()), supervisor, lambda _: False)
    assert caught.group_contains(ArithmeticError)
    assert supervisor.listen().count("WATCHDOG=1") == 3


async def test_is_a_service_whose_first_cycle_fails_never_ready(
    tmp_path: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.cycle, "decide", Minutes(fails_in=1))
    with pytest.raises(ExceptionGroup):
        await serve_until(House(tmp_path, steady_field()), supervisor, lambda _: False)
    assert supervisor.listen() == []


class Process:
    """`substation-edge run` on the demo's site, whose devices are all away, and whose broker is, too."""

    def __init__(self, folder: Path, told: Supervisor) -> None:
        self._told = told
        password = folder / "password"
        password.write_text(SECRET + "\n", encoding="utf-8")
        text = (config_dir() / "sites" / "demo.toml").read_text(encoding="utf-8")
        text = text.replace("/dev/ttyS1", str(folder / "no line"))
        self._nobody = [socket.socket() for _ in PORTS]
        for given, bound in zip(PORTS, self._nobody, strict=True):
            bound.bind(("127.0.0.1", 0))  # nobody else gets it, and nobody listens: connections are refused
            text = text.replace(given, f"{given[:-4]}{bound.getsockname()[1]}")
        text += f'username = "gw"\npassword_file = "{password}"\n'
        self.paths = Paths(folder / "site.toml", folder / "data", folder / "data" / "status.json")
        self.paths.site.write_text(text, encoding="utf-8")
        self._log = folder / "log"
        with self._log.open("wb") as log:
            command = [
                sys.executable,
                "-m",
                "edge",
                "run",
                str(self.paths.site),
                "--data",
                str(self.paths.data),
            ]
            command += ["--clock", f"{START},{time.monotonic()},1"]
            environment = {**os.environ, "NOTIFY_SOCKET": told.address}
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def until(self, condition: Callable[[list[str]], bool]) -> None:
        """Until the supervisor has heard what is wanted; fails with the log when the process ends before."""

        def held(heard: list[str]) -> bool:
            assert self.process.poll() is None, self.log
            return condition(heard)

        self._told.until(held)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for bound in self._nobody:
            bound.close()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Supervisor]:
    found = Supervisor(str(tmp_path / "notify"))
    yield found
    found.close()


@pytest.fixture
def service(tmp_path: Path, plain: Supervisor) -> Iterator[Process]:
    found = Process(tmp_path, plain)
    yield found
    found.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_does_the_service_end_cleanly_although_devices_and_broker_are_away(
    service: Process, plain: Supervisor, number: signal.Signals
) -> None:
    service.until(lambda heard: heard.count("WATCHDOG=1") >= 3)
    began = time.monotonic()
    service.process.send_signal(number)
    assert service.process.wait(END_S) == 0, service.log
    assert time.monotonic() - began < END_S
    assert plain.listen()[-1] == "STOPPING=1"
    assert verify(service.paths.data / "journal.sqlite").ok


def test_does_a_secret_ever_stand_in_the_logs_or_in_what_is_kept(service: Process) -> None:
    def has_tried(heard: list[str]) -> bool:
        return "upstream lost" in service.log

    service.until(has_tried)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(END_S) == 0
    assert SECRET not in service.log
    kept = [path for path in service.paths.data.iterdir() if path.is_file()]
    assert kept
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]


def test_is_every_line_of_the_log_one_record(service: Process) -> None:
    service.until(lambda heard: heard.count("WATCHDOG=1") >= 3)
    service.process.send_signal(signal.SIGTERM)
    service.process.wait(END_S)
    lines = service.log.splitlines()
    assert lines
    for line in lines:
        assert line[:4].isdigit(), line
        assert line.split(" ")[1] in ("info", "warning", "error"), line
