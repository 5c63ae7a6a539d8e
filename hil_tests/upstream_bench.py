"""A gateway's way upstream and a receiver around a broker, for tests. Uses the real journal and history."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path

from drivers import Reading, Reason, Unit
from edge import site
from edge.clock import SystemClock
from edge.history import History
from edge.journal import Entry, Journal
from edge.receiver import Receiver
from edge.records import Plain
from edge.upstream import Pace, Upstream
from edge.upstream.flow import Window
from edge.upstream.session import Address, payload, session

GATEWAY = "gw-17"
QUICK = Pace(
    poll_s=0.02,
    keep_s=0.05,
    first_pause_s=0.05,
    maximum_pause_s=0.4,
    window=Window(ask_s=0.3, ask_maximum_s=1.0),
)


async def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Poll until the condition holds; AssertionError after the limit."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(work: Coroutine[object, object, None]) -> AsyncIterator["asyncio.Task[None]"]:
    """The work as a task, cancelled and awaited at the end; its own failure is raised."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@dataclass(frozen=True, slots=True)
class Gateway:
    """The record of a gateway, and its way upstream (not running by itself)."""

    journal: Journal
    history: History
    upstream: Upstream

    async def record(self, rows: int, frames: int = 0) -> None:
        """Append alarms to the journal, fifty to a commit, and frames to the history."""
        clock = SystemClock()
        while rows > 0:
            now = clock.now()
            entries = [_entry(number, now.wall) for number in range(min(rows, 50))]
            await self.journal.append(entries, now)
            rows -= len(entries)
        for number in range(frames):
            await self.history.append(1_780_000_000_000_000_000 + number * 60_000_000_000, _readings(number))

    async def receipted(self, limit_s: float = 20.0) -> None:
        """Wait until everything recorded so far is receipted."""
        journal, history = (await self.journal.last()).seq, await self.history.last()

        def done() -> bool:
            streams = self.upstream.status.streams
            return streams["journal"].receipted >= journal and streams["history"].receipted >= history

        await until(done, limit_s)


def _entry(number: int, wall: float) -> Entry:
    body: dict[str, Plain] = {
        "occurred": wall - 30.0,
        "detected": wall,
        "supply_c": 41.5,
        "number": number,
        "cause": "一次侧",
    }
    return Entry("alarm.raised", f"high:supply_low_{number % 7}", body)


def _readings(number: int) -> dict[str, Reading]:
    timestamp = 1_780_000_000.0 + 60.0 * number
    return {
        "high.secondary_supply_temperature": Reading.good(45.0 + number % 10, Unit.CELSIUS, timestamp),
        "low.secondary_supply_temperature": Reading.bad(Reason.NO_ANSWER, Unit.CELSIUS, timestamp),
    }


@contextlib.asynccontextmanager
async def gateway(
    folder: Path, port: int, pace: Pace = QUICK, ca_file: Path | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Gateway]:
    """A gateway whose files stand in `folder`."""
    settings = site.Upstream(
        host=host, port=port, insecure=ca_file is None, ca_file=None if ca_file is None else str(ca_file)
    )
    async with (
        await Journal.open(folder / "journal.db", SystemClock()) as journal,
        await History.open(folder / "history.db", 1 << 28) as history,
    ):
        yield Gateway(journal, history, Upstream(settings, GATEWAY, journal, history, pace))


def receiver(folder: Path, port: int, ca_file: Path | None = None, host: str = "127.0.0.1") -> Receiver:
    """A receiver whose file stands in `folder`."""
    ca = None if ca_file is None else str(ca_file)
    address = Address(host, port, "receiver", tls=ca_file is not None, ca_file=ca)
    return Receiver(address, folder / "receiver.db", first_pause_s=0.05, maximum_pause_s=0.4)


@contextlib.asynccontextmanager
async def listener(port: int, *topics: str) -> AsyncIterator[list[tuple[str, bytes]]]:
    """Somebody else at the broker; the list fills with (topic, payload)."""
    heard: list[tuple[str, bytes]] = []

    async def listen() -> None:
        async with session(Address("127.0.0.1", port, "listener")) as client:
            await client.subscribe([(topic, 1) for topic in topics])
            ready.set()
            async for message in client.messages:
                heard.append((str(message.topic), payload(message)))  # noqa: PERF401 (it is read while it grows)

    ready = asyncio.Event()
    async with running(listen()):
        await ready.wait()
        yield heard


async def publish(port: int, messages: Iterable[tuple[str, bytes]]) -> None:
    """Say something to the broker, as anybody could; returns when the broker has it."""
    async with session(Address("127.0.0.1", port, "somebody")) as client:
        for topic, content in messages:
            await client.publish(topic, content, qos=1)
