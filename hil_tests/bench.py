"""The simulated substation as a whole: starts every process, says where it can be reached, and leaves
nothing behind.

    with Bench(folder, "demo", speed=60.0) as bench:
        ...  # bench.site is the site file with this bench's ports; bench.clock is simulated time

Ports are chosen by the system and ttys by the kernel; `folder` holds the shared memory, the ttys' links,
the site file and a log for each process.
"""

import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from json import loads
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.clock import ScaledClock
from edge.resources import config_dir
from hil_tests.blackboard import Blackboard
from hil_tests.devices import wiring
from hil_tests.line import silence_s
from hil_tests.story import FOLDER as STORIES
from hil_tests.story import load
from hil_tests.story_effects import Story

_READY_S = 30.0
_REPLY_S = 0.0005  # a slave's own time after the silence that ends a request
_LINE, _TECHNICIAN = "line1", "line1_technician"
_ON_LINE = (*wiring.METERS, *wiring.ACTUATORS)


class BenchError(RuntimeError):
    """A process of the bench did not come up, or the site's template does not fit; the message says where."""


@dataclass(slots=True)
class _Child:
    """A process of the bench: how it is started, and what it said when it was ready."""

    name: str
    command: list[str]
    process: "subprocess.Popen[bytes]"
    facts: dict[str, int] = field(default_factory=dict)


class Bench:
    """All processes of the simulated substation; a context manager.

    `story` is the name of a shipped story or a story file, `speed` simulated seconds per real second, `baud`
    that of the serial line, `broker_port` what the site file says of the head-end's broker.
    """

    def __init__(
        self,
        folder: Path,
        story: str | Path,
        speed: float = 1.0,
        baud: int = 19_200,
        broker_port: int = 1883,
    ) -> None:
        self.folder = folder.resolve()
        self.speed = speed
        self.baud = baud
        self.story_file = STORIES / f"{story}.toml" if isinstance(story, str) else story.resolve()
        self.story: Story = load(self.story_file)
        self.site = self.folder / "site.toml"
        self.line = self.folder / _LINE
        self.technician = self.folder / _TECHNICIAN  # a second master's tty on the same line
        self._broker_port = broker_port
        self._board_file = self.folder / "blackboard"
        self._children: dict[str, _Child] = {}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._board = Blackboard.create(self._board_file, wiring.slots(), owner="bench")
        try:
            plc = self._spawn("plc", self._command("hil_tests.plc", "--board", self._board_file))
            self._start(self._first())
            self._start(self._second())
            self._await_ready(plc)  # building the standard address space takes seconds
            self.site.write_text(self._site_text(), encoding="utf-8")
        except BaseException:
            self.close()
            raise
        self._board.start(self.story.start, time.monotonic(), self.speed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process and remove what stood for them."""
        for child in self._children.values():
            child.process.kill()
        for child in self._children.values():
            child.process.wait()
            if child.process.stdout is not None:
                child.process.stdout.close()
        self._children.clear()
        self._board.close()
        for path in self.folder.iterdir():
            if path.is_symlink() or path == self._board_file:
                path.unlink()

    @property
    def clock(self) -> ScaledClock:
        """Simulated time, as all processes of the bench have it."""
        return self._board.wait_for_clock()

    @property
    def clock_argument(self) -> str:
        """The same for the service's `--clock`: origin wall, origin monotonic, speed."""
        return ",".join(repr(part) for part in self._board.origin())

    def get(self, slot: str) -> float:
        """A slot of the blackboard: what a probe shows or a device was told; NaN when absent."""
        return self._board.get(slot)

    def set(self, slot: str, value: float) -> None:
        """Set one of the bench's own slots, e.g. `fault.meter_high.silent` to 1."""
        self._board.set(slot, value)

    def port(self, name: str) -> int:
        """The TCP port of `meter_high`, `meter_low`, `drives`, `rooms` or `plc` on 127.0.0.1."""
        return self._children[name].facts["port"]

    def names(self) -> tuple[str, ...]:
        """Names of all processes."""
        return tuple(self._children)

    def pid(self, name: str) -> int:
        """The process id of a process of the bench."""
        return self._children[name].process.pid

    def kill(self, name: str) -> None:
        """End one process at once, as a device that loses its supply."""
        self._children[name].process.kill()
        self._children[name].process.wait()

    def restart(self, name: str) -> None:
        """Start a killed process again; a TCP device comes back on another port."""
        self._start({name: self._children[name].command})

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds that each process has used so far."""
        tick = os.sysconf("SC_CLK_TCK")
        used = {}
        for name, child in self._children.items():
            stat = Path(f"/proc/{child.process.pid}/stat").read_text(encoding="ascii")
            fields = stat.rpartition(")")[2].split()
            used[name] = (int(fields[11]) + int(fields[12])) / tick
        return used

    def _start(self, commands: dict[str, list[str]]) -> None:
        """Start processes side by side and wait until each is ready."""
        for child in [self._spawn(name, command) for name, command in commands.items()]:
            self._await_ready(child)

    def _spawn(self, name: str, command: list[str]) -> _Child:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )  # a Ctrl-C in the terminal is for who owns the bench
        self._children[name] = _Child(name, command, process)
        return self._children[name]

    def _await_ready(self, child: _Child) -> None:
        pipe = child.process.stdout
        assert pipe is not None
        line = pipe.readline() if select.select([pipe], (), (), _READY_S)[0] else b""
        pipe.close()
        if not line:
            raise BenchError(f"{child.name} did not come up: see {self.folder / child.name}.log")
        child.facts = loads(line)

    def _command(self, module: str, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", module, *map(str, arguments), "--parent", str(os.getpid())]

    def _first(self) -> dict[str, list[str]]:
        """What must stand before devices can: the plant's first measurements and the ttys."""
        board = ("--board", str(self._board_file))
        ports = [word for name in (_LINE, _TECHNICIAN) for word in ("--port", name)]
        devices = [word for unit in _ON_LINE for word in ("--device", unit.name)]
        units = [word for unit in wiring.INVERTERS for word in ("--unit", f"{unit.unit_id}={unit.name}")]
        folder = ("--folder", str(self.folder))
        line = (*board, *folder, "--baud", str(self.baud), *ports, *devices)
        return {
            "plant": self._command("hil_tests.plant_process", *board, "--story", self.story_file),
            _LINE: self._command("hil_tests.line", _LINE, *line),
            "drives": self._command("hil_tests.gateway", *folder, *units),
        }

    def _second(self) -> dict[str, list[str]]:
        board = ("--board", self._board_file)

        def serve(kind: str, name: str, *more: str | Path) -> list[str]:
            return self._command("hil_tests.devices", kind, name, *board, *more)

        commands = {"rooms": serve("rooms", "all", "--tcp")}
        turnaround = ("--turnaround-s", str(silence_s(self.baud) + _REPLY_S))
        for unit in wiring.METERS:
            tty = ("--serial", self.folder / unit.name, *turnaround)
            commands[unit.name] = serve("meter", unit.name, *tty, "--tcp")
        for unit in wiring.ACTUATORS:
            tty = ("--serial", self.folder / unit.name, *turnaround)
            commands[unit.name] = serve("actuator", unit.name, *tty)
        for unit in wiring.INVERTERS:
            commands[unit.name] = serve("inverter", unit.name, "--serial", self.folder / unit.name)
        return commands

    def _site_text(self) -> str:
        """The demo's site with this bench's ports instead of those a station would have."""
        text = (config_dir() / "sites" / "demo.toml").read_text(encoding="utf-8")
        places = {
            'port = "/dev/ttyS1"': f'port = "{self.line}"',
            "baud = 19200": f"baud = {self.baud}",
            "port = 1502": f"port = {self.port('drives')}",
            "port = 1503": f"port = {self.port('rooms')}",
            "opc.tcp://127.0.0.1:4840": f"opc.tcp://127.0.0.1:{self.port('plc')}",
            "port = 1883": f"port = {self._broker_port}",
        }
        for there, here in places.items():
            if text.count(there) != 1:
                raise BenchError(f"config/sites/demo.toml must hold {there!r} exactly once")
            text = text.replace(there, here)
        return text
