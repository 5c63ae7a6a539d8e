"""`kill -9` of the service in the running demo: it comes back, the valves stay, nothing is lost."""

import contextlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import msgpack
import pytest

from edge.receiver import compare
from edge.verification import opened, verify
from hil_tests.bench import Bench
from hil_tests.broker import BrokerProcess, mosquitto

KILLS = 10
LONG_KILLS = 200
CIRCUITS = ("high", "low")


def until(condition: Callable[[], bool], within_s: float, what: str) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"not within {within_s} s: {what}"
        time.sleep(0.02)


@dataclass
class Station:
    """The bench with the service and the head-end as processes of their own."""

    bench: Bench
    broker: BrokerProcess
    folder: Path
    _running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def journal(self) -> Path:
        return self.folder / "data" / "journal.sqlite"

    @property
    def received(self) -> Path:
        return self.folder / "received.sqlite"

    def start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "edge", *words]
            self._running[name] = subprocess.Popen(command, stdout=log, stderr=log)

    def start_service(self) -> None:
        where = ["--data", str(self.folder / "data"), "--clock", self.bench.clock_argument]
        self.start("service", "run", str(self.bench.site), *where)

    def start_receiver(self) -> None:
        where = ["--port", str(self.broker.port), "--database", str(self.received), "--insecure"]
        self.start("receiver", "receive", *where)

    def end(self, name: str, number: signal.Signals) -> int:
        process = self._running.pop(name)
        process.send_signal(number)
        return process.wait(20)

    def close(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()

    def first_commands(self, after: int) -> dict[str, float]:
        """Circuit -> first valve command recorded above seq `after`; none while there is no journal yet."""
        found: dict[str, float] = {}
        query = (
            "select subject, body from rows"
            " where seq > ? and kind = 'control.command' and subject like '%.valve_setpoint' order by seq"
        )
        with contextlib.suppress(apsw.Error, FileNotFoundError), opened(self.journal) as connection:
            for subject, body in connection.execute(query, (after,)):
                found.setdefault(str(subject).partition(".")[0], msgpack.unpackb(body)["value"])
        return found

    def last_seq(self) -> int:
        with opened(self.journal) as connection:
            return next(int(seq) for (seq,) in connection.execute("select max(seq) from rows"))

    def hash_of(self, seq: int) -> bytes:
        with opened(self.journal) as connection:
            return bytes(connection.execute("select hash from rows where seq = ?", (seq,)).get)

    def positions(self) -> dict[str, float]:
        return {circuit: self.bench.get(f"{circuit}.valve_position") for circuit in CIRCUITS}


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with (
        mosquitto(tmp_path) as broker,
        Bench(tmp_path / "bench", "demo", speed=60.0, baud=115_200, broker_port=broker.port) as bench,
    ):
        found = Station(bench, broker, tmp_path)
        found.start_receiver()
        found.start_service()
        try:
            yield found
        finally:
            found.close()


def has_received_all(station: Station) -> bool:
    try:
        return compare(station.journal, station.received, "demo-01") == []
    except (apsw.Error, FileNotFoundError):
        return False


def killed(station: Station, kills: int, back_within_s: float) -> float:
    """So many kills at random moments; the longest time (s) until both valves had a command again."""
    chance, worst_s, seen = random.Random(20260115), 0.0, dict[int, bytes]()
    until(lambda: set(station.first_commands(0)) == set(CIRCUITS), 30, "the service controls")
    for _ in range(kills):
        time.sleep(chance.uniform(0.3, 4.0))  # a random moment, not a hope
        station.end("service", signal.SIGKILL)
        before, seq = station.positions(), station.last_seq()
        seen[seq] = station.hash_of(seq)
        station.start_service()
        begun = time.monotonic()
        until(
            lambda after=seq: set(station.first_commands(after)) == set(CIRCUITS),  # type: ignore[misc]
            back_within_s,
            "it is back",
        )
        worst_s = max(worst_s, time.monotonic() - begun)
        print(f"back after {time.monotonic() - begun:.2f} s")
        for circuit, command in station.first_commands(seq).items():
            assert abs(command - before[circuit]) < 2.0, f"{circuit}: {before[circuit]} -> {command}"
    assert station.end("service", signal.SIGTERM) == 0
    assert verify(station.journal).ok
    assert {seq: station.hash_of(seq) for seq in seen} == seen, "a number was used for another row"
    until(lambda: has_received_all(station), 60, "the receiver's copy equals the journal")
    return worst_s


@pytest.mark.timeout(400)
def test_ten_kills_move_no_valve_and_lose_no_row(station: Station) -> None:
    killed(station, KILLS, 30.0)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_hundred_kills_move_no_valve_lose_no_row_and_control_is_back_in_ten_seconds(
    station: Station,
) -> None:
    print(f"back within {killed(station, LONG_KILLS, 10.0):.1f} s")
