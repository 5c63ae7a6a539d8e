"""Sends journal and history to the head-end and believes only its receipts. Never blocks the control loop.

Each stream has a task of its own within a session; a session that breaks is followed by another one after a
growing pause. All limits here are real seconds of the event loop's clock, whatever speed the plant runs at.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aiomqtt

from edge import site
from edge.chain import GENESIS, Head
from edge.history import History, HistoryError
from edge.journal import Journal, JournalError
from edge.upstream import codec
from edge.upstream.codec import Batch, Hello, MalformedError, Problem, Receipt, WireRow
from edge.upstream.flow import Flow, Window
from edge.upstream.session import SESSION_ERRORS, Address, Backoff, payload, session, unless_lost
from edge.upstream.source import READERS, HistorySource, JournalSource, Source, Standing

log = logging.getLogger(__name__)

PUBLISH_S = 120.0  # a message of 32 KiB takes 30 s at 9600 bit/s
MESSAGE_BYTES = 32 << 10  # a message ends after the row that passes this
_WAITING_RECEIPTS = 64
_DISOWNED = frozenset({"upstream.fork", "upstream.ahead"})  # what a new name for the log cures, where allowed


@dataclass(frozen=True, slots=True)
class Pace:
    """Real seconds and sizes; the defaults suit a mobile line, a bench wants it quicker."""

    poll_s: float = 0.2  # how soon a new row is seen
    keep_s: float = 1.0  # how often a receipt is written down at most
    first_pause_s: float = 1.0
    maximum_pause_s: float = 300.0
    window: Window = field(default_factory=Window)


DEFAULT_PACE = Pace()


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How far a stream is; `problem` is a key of the text catalogue, "" when there is none."""

    sent: int
    receipted: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamStatus:
    """For the live view. `refused` counts receipts that were malformed or impossible."""

    connected: bool
    refused: int
    streams: Mapping[str, StreamStatus]


@dataclass(slots=True)
class _Stream:
    source: Source
    flow: Flow
    head: Head = GENESIS  # the last row sent
    log: bytes = b""
    problem: str = ""
    kept: int = 0  # the receipt as it is written down
    keep_at: float = 0.0
    receipts: deque[Receipt] = field(default_factory=lambda: deque(maxlen=_WAITING_RECEIPTS))
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def status(self) -> StreamStatus:
        return StreamStatus(self.flow.sent, self.flow.receipted, self.problem)


def address(settings: site.Upstream, gateway: str) -> Address:
    """TLS unless `insecure = true` is written; a `ca_file` asks for TLS in any case."""
    return Address(
        settings.host,
        settings.port,
        f"substation-{gateway}",
        settings.username,
        settings.password_file,
        tls=not settings.insecure or settings.ca_file is not None,
        ca_file=settings.ca_file,
    )


class Upstream:
    """The way to the head-end. `run` never returns; cancel it. Files stay open, they belong to the caller."""

    def __init__(
        self,
        settings: site.Upstream,
        gateway: str,
        journal: Journal,
        history: History,
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        self._address = address(settings, gateway)
        self._gateway = gateway
        self._journal = journal  # keeps the receipts of both streams
        self._rows = settings.batch_rows
        self._pace = pace
        sources: tuple[Source, ...] = (JournalSource(journal), HistorySource(history))
        self._streams = {source.stream: _Stream(source, Flow(pace.window)) for source in sources}
        self._connected = False
        self._refused = 0

    @property
    def status(self) -> UpstreamStatus:
        """A picture of this moment."""
        streams = {name: stream.status() for name, stream in self._streams.items()}
        return UpstreamStatus(self._connected, self._refused, streams)

    def wake(self) -> None:
        """Rows were appended: look now instead of at the next poll. Call it on the event loop."""
        for stream in self._streams.values():
            stream.wake.set()

    async def run(self) -> None:
        """Connect, send, and connect again, until cancelled."""
        backoff = Backoff(self._pace.first_pause_s, self._pace.maximum_pause_s)
        await self._recall()
        while True:
            began = _now()
            try:
                await self._converse()
            except* SESSION_ERRORS as errors:
                log.warning("upstream lost: %s", _causes(errors))
            finally:
                self._connected = False
            await asyncio.sleep(backoff.pause(_now() - began))

    async def _recall(self) -> None:
        """What was receipted before the restart; the head-end's first answer overrules it."""
        try:
            kept = await self._journal.receipts()
        except JournalError as error:
            log.warning("the receipts cannot be read: %s", error)
            return
        for name, stream in self._streams.items():
            stream.kept = kept.get(READERS[name], 0)
            stream.flow.receipted = stream.flow.sent = stream.kept

    async def _converse(self) -> None:
        async with session(self._address) as client:
            await unless_lost(client, client.subscribe(codec.topic(self._gateway, "receipt"), qos=1))
            self._connected = True
            log.info("upstream connected to %s:%d", self._address.host, self._address.port)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(client))
                for stream in self._streams.values():
                    tasks.create_task(self._serve(client, stream))

    async def _listen(self, client: aiomqtt.Client) -> None:
        """Hand receipts to their streams; ends with MqttError when the connection does."""
        async for message in client.messages:
            try:
                receipt = codec.decode_receipt(payload(message))
            except MalformedError as error:
                self._refuse(f"malformed: {error}")
                continue
            stream = self._streams[receipt.stream]
            stream.receipts.append(receipt)
            stream.wake.set()

    def _refuse(self, why: str) -> None:
        self._refused += 1
        if self._refused & (self._refused - 1) == 0:  # 1, 2, 4, 8 ...: a flood must not fill the log
            log.warning("receipt refused (%d so far): %s", self._refused, why)

    async def _serve(self, client: aiomqtt.Client, stream: _Stream) -> None:
        """One stream, as long as the session lasts. A failure of its file costs only time."""
        stream.receipts.clear()
        stream.flow.restart(_now())
        while True:
            stream.wake.clear()
            try:
                busy = await self._step(client, stream)
            except (JournalError, HistoryError) as error:
                log.error("%s cannot be read, upstream waits: %s", stream.source.stream, error)
                stream.problem = "upstream.unreadable"
                stream.flow.refuse(_now())
                busy = False
            if not busy:
                await _wait(stream.wake, self._pace.poll_s)

    async def _step(self, client: aiomqtt.Client, stream: _Stream) -> bool:
        """Take receipts, then ask or send; True when there may be more to do at once."""
        while stream.receipts:
            await self._take(stream, stream.receipts.popleft())
        await self._keep(stream)
        if stream.flow.must_ask(_now()):
            return await self._ask(client, stream)
        return stream.flow.room() and await self._send(client, stream)

    async def _take(self, stream: _Stream, receipt: Receipt) -> None:
        if receipt.log != stream.log:
            return  # about a file we no longer have
        if receipt.problem is not Problem.NONE:
            await self._disagree(stream, f"upstream.{receipt.problem.value}")
            return
        head = Head(receipt.seq, receipt.hash)
        standing = await stream.source.standing(head)
        if standing is not Standing.KNOWN:
            self._refuse(f"{stream.source.stream} {receipt.seq} is {standing.value}")
            if receipt.again:
                await self._disagree(stream, f"upstream.{standing.value}")
        elif receipt.again:
            self._resume(stream, head)
        elif stream.flow.advance(receipt.seq, _now()) and head.seq > stream.head.seq:
            stream.head = head

    def _resume(self, stream: _Stream, head: Head) -> None:
        if head.seq < stream.flow.receipted:
            log.warning("%s: the head-end went back to row %d", stream.source.stream, head.seq)
        stream.flow.resume(head.seq, _now())
        stream.head = head
        stream.problem = ""

    async def _disagree(self, stream: _Stream, problem: str) -> None:
        """The head-end has other rows than we under the same name, or does not find ours sound."""
        if problem in _DISOWNED and await stream.source.disown():
            log.warning("%s: %s; it goes on as a new log", stream.source.stream, problem)
            stream.flow.resume(0, _now())
            stream.flow.restart(_now() + self._pace.window.ask_s)
            return
        if stream.problem != problem:
            log.error("%s: %s; it is held until this is looked into", stream.source.stream, problem)
        stream.problem = problem
        stream.flow.refuse(_now())

    async def _keep(self, stream: _Stream) -> None:
        if stream.flow.receipted != stream.kept and _now() >= stream.keep_at:
            seq = stream.flow.receipted
            await self._journal.set_receipt(READERS[stream.source.stream], seq)
            stream.kept = seq
            stream.keep_at = _now() + self._pace.keep_s

    async def _ask(self, client: aiomqtt.Client, stream: _Stream) -> bool:
        name = await stream.source.log()
        if name is None:
            return False
        stream.log = name
        stream.flow.asked(_now())
        hello = codec.encode_hello(Hello(self._gateway, stream.source.stream, name))
        await client.publish(codec.topic(self._gateway, "hello"), hello, qos=1, timeout=PUBLISH_S)
        return True

    async def _send(self, client: aiomqtt.Client, stream: _Stream) -> bool:
        head, rows = await stream.source.rows(stream.head, self._rows)
        if not rows:
            return False
        rows, size = _portion(rows)
        batch = Batch(self._gateway, stream.source.stream, stream.log, head.seq, head.hash, tuple(rows))
        stream.flow.put(rows[-1].seq, len(rows), size, _now())
        stream.head = Head(rows[-1].seq, rows[-1].hash)
        topic = codec.topic(self._gateway, stream.source.stream)
        await client.publish(topic, codec.encode_batch(batch), qos=1, timeout=PUBLISH_S)
        return True


def _portion(rows: Sequence[WireRow]) -> tuple[Sequence[WireRow], int]:
    """The first rows, up to and with the one that passes MESSAGE_BYTES, and their bytes."""
    size = 0
    for count, row in enumerate(rows, 1):
        size += codec.row_bytes(row)
        if size >= MESSAGE_BYTES:
            return rows[:count], size
    return rows, size


async def _wait(event: asyncio.Event, limit_s: float) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return


def _now() -> float:
    return asyncio.get_running_loop().time()


def _causes(group: BaseExceptionGroup[BaseException]) -> str:
    """The errors of a session in one line."""
    nested = (e if isinstance(e, BaseExceptionGroup) else None for e in group.exceptions)
    return "; ".join(_causes(n) if n else str(e) for n, e in zip(nested, group.exceptions, strict=True))
