"""The demonstration: broker, head-end, simulated substation and the service, from one command.

`python -m hil_tests.demo [--speed 60] [--story demo] [--minutes N] [--no-view] [--data FOLDER] [--lang
zh|en]`

Starts everything on ports of its own, shows the service's live view (or, without a terminal, what the
head-end receives), and ends after the story with a summary of what the head-end has. Exit code 0 when the
journal is sound and the head-end has every row of it. Ctrl-C, SIGTERM or a closed terminal end all.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.loading import read_site
from edge.receiver import Difference, compare
from edge.texts import Texts
from edge.watch import clock_text
from hil_tests.bench import Bench
from hil_tests.broker import embedded_process
from hil_tests.demo_facts import read_copy
from hil_tests.demo_summary import heat_lines, outage_lines, record_lines
from hil_tests.devices.wiring import METERS
from hil_tests.story_effects import effects

BAUD = 115_200  # at sixty times real time the line carries every period of the demo's site
_STOP_S = 20.0
_RECEIPTS_S = 30.0
_LOOK_S = 0.5
_TOLD_EVERY_S = 1800.0  # simulated; how often a line is printed without a view


@dataclass(frozen=True, slots=True)
class Demo:
    """One demonstration under way."""

    options: argparse.Namespace
    texts: Texts
    folder: Path
    bench: Bench
    service: "subprocess.Popen[bytes]"

    @property
    def journal(self) -> Path:
        """The service's journal."""
        return self.folder / "service" / "journal.sqlite"

    @property
    def status(self) -> Path:
        """The service's status document."""
        return self.folder / "service" / "status.json"

    @property
    def received(self) -> Path:
        """The head-end's file."""
        return self.folder / "received.sqlite"

    @property
    def elapsed(self) -> float:
        """Simulated seconds since the story's start."""
        return self.bench.clock.now().monotonic

    def is_over(self, began: float) -> bool:
        """True at the story's end, after the minutes asked for, or when the service has ended by itself."""
        minutes = self.options.minutes
        late = minutes is not None and time.monotonic() - began > minutes * 60.0
        return late or self.elapsed >= self.bench.story.duration or self.service.poll() is not None


@contextlib.contextmanager
def program(module: str, *words: str | Path, output: Path | None) -> Iterator["subprocess.Popen[bytes]"]:
    """A program of the project in a process of its own: told to end by SIGTERM, gone when we are gone.

    `output` takes what it prints; None leaves it our terminal.
    """
    command = [sys.executable, "-m", "hil_tests.child", str(os.getpid()), module, *map(str, words)]
    with contextlib.ExitStack() as stack:
        sink = None if output is None else stack.enter_context(output.open("ab"))
        process = subprocess.Popen(command, stdout=sink, stderr=sink, start_new_session=True)
        try:
            yield process
        finally:
            stop(process, signal.SIGTERM)


def stop(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Ask a process to end, and end it if it does not."""
    process.send_signal(number)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hil_tests.demo", description=__doc__)
    parser.add_argument("--speed", type=float, default=60.0, help="simulated seconds per second")
    parser.add_argument("--story", default="demo", help="name of a shipped story, or a file")
    parser.add_argument("--minutes", type=float, help="end after so many real minutes")
    parser.add_argument("--no-view", action="store_true", help="print lines instead of the live view")
    parser.add_argument("--data", type=Path, help="folder to keep everything in (default: a temporary one)")
    parser.add_argument("--lang", choices=["zh", "en"])
    return parser.parse_args()


def main() -> int:
    """Run the demonstration; the exit code."""
    options = _arguments()
    texts = Texts.load(options.lang)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        folder = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="substation-")))
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return _run(options, texts, folder.resolve(), stack)
        except KeyboardInterrupt:
            with contextlib.suppress(OSError):  # the terminal may be gone
                print(f"\n{texts('demo.run.stopped')}", flush=True)
            return 130


def _run(options: argparse.Namespace, texts: Texts, folder: Path, stack: contextlib.ExitStack) -> int:
    view = sys.stdout.isatty() and not options.no_view
    print(texts("demo.starting"), flush=True)
    broker = stack.enter_context(embedded_process(folder))
    language = ("--lang", texts.language)
    head_end = ("--insecure", "--port", str(broker.port), "--database", folder / "received.sqlite")
    log = folder / "head-end.log" if view else None
    stack.enter_context(program("edge", "receive", *head_end, *language, output=log))
    story = Path(options.story) if options.story.endswith(".toml") else options.story
    bench = stack.enter_context(Bench(folder / "bench", story, options.speed, BAUD, broker.port))
    run = ("run", bench.site, "--data", folder / "service", "--clock", bench.clock_argument)
    service = stack.enter_context(program("edge", *run, *language, output=folder / "service.log"))
    demo = Demo(options, texts, folder, bench, service)
    _introduce(demo)
    _show(demo, view)
    return _finish(demo)


def _mbpoll(demo: Demo) -> str:
    """How another program reads the temperatures of a simulated meter while the demo runs."""
    meter = METERS[0]
    port = demo.bench.port(meter.name)
    return f"mbpoll -m tcp -a {meter.unit_id} -p {port} -t 4:float -B -0 -r 6 -c 2 127.0.0.1"


def _introduce(demo: Demo) -> None:
    print(demo.texts("demo.ready"))
    print(demo.texts("demo.run.folder", folder=demo.folder))
    print(demo.texts("demo.run.meter", command=_mbpoll(demo)), flush=True)


def _show(demo: Demo, view: bool) -> None:
    """Until the story is over."""
    began = time.monotonic()
    if view:
        words = ("--lang", demo.texts.language, "--note", _mbpoll(demo))
        with program("edge", "watch", demo.status, *words, output=None) as watching:
            while not demo.is_over(began):
                time.sleep(_LOOK_S)
            stop(watching, signal.SIGINT)
        return
    told, active = 0.0, frozenset[str]()
    while not demo.is_over(began):
        time.sleep(_LOOK_S)
        active = _tell_story(demo, active)
        if demo.elapsed >= told + _TOLD_EVERY_S and demo.status.is_file():
            told = demo.elapsed
            print(_line(demo), flush=True)


def _tell_story(demo: Demo, before: frozenset[str]) -> frozenset[str]:
    """Print what the story has just begun; what is under way now."""
    active = frozenset(effects(demo.bench.story, demo.elapsed).active)
    for kind in sorted(active - before):
        key = f"demo.{kind}" if f"demo.{kind}" in demo.texts else f"demo.kind.{kind}"
        now = clock_text(demo.bench.clock.now().wall)
        print(demo.texts("demo.run.begins", time=now, what=demo.texts(key)), flush=True)
    return active


def _line(demo: Demo) -> str:
    """The service's state in one line."""
    document: dict[str, Any] = json.loads(demo.status.read_text(encoding="utf-8"))

    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f}"

    def measured(point: str) -> str:
        return shown(document["readings"][point]["value"])

    circuits = [
        demo.texts(
            "demo.run.circuit",
            name=circuit["name"][demo.texts.language],
            supply=measured(f"{circuit['id']}.secondary_supply_temperature"),
            setpoint=shown(circuit["setpoint_c"]),
            valve=measured(f"{circuit['id']}.valve_position"),
        )
        for circuit in document["circuits"]
    ]
    outdoor = measured("station.outdoor_temperature")
    time_text = clock_text(document["wall"])
    return demo.texts("demo.run.line", time=time_text, circuits="  ".join(circuits), outdoor=outdoor)


def _await_receipts(demo: Demo, gateway: str) -> list[Difference]:
    """Rows the head-end does not have as the journal has them, after giving it time to get them."""
    end = time.monotonic() + _RECEIPTS_S
    while True:
        differences = compare(demo.journal, demo.received, gateway)
        if not differences or time.monotonic() > end or demo.service.poll() is not None:
            return differences
        time.sleep(_LOOK_S)


def _finish(demo: Demo) -> int:
    """The summary; 0 when all that happened is safely with the head-end."""
    if demo.service.poll() is not None:
        print(demo.texts("demo.run.service_ended", log=demo.folder / "service.log"))
        return 1
    site, texts = read_site(demo.bench.site), demo.texts
    gateway = site.site.gateway
    differences = _await_receipts(demo, gateway)
    copy = read_copy(demo.received, gateway)
    stop(demo.service, signal.SIGTERM)
    rows, good = record_lines(demo.journal, copy, len(differences), texts)
    print(f"\n{texts('demo.over')}\n{texts('demo.summary.title')}")
    for line in [*heat_lines(copy, site, demo.bench.story, texts), *outage_lines(copy, site, texts), *rows]:
        print(line)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
