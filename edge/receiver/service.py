"""The reference head-end: takes what gateways send, stores it once, answers with receipts after its commit.

Messages are taken one after the other. What is malformed, foreign or too large is counted and ignored; what
does not follow from the rows that are stored is refused, and the gateway is told why.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import apsw

from edge.clock import Clock, SystemClock
from edge.receiver.store import Outcome, Store
from edge.store import StoreError, Worker
from edge.upstream import codec
from edge.upstream.codec import HISTORY, JOURNAL, Batch, MalformedError, Problem
from edge.upstream.session import SESSION_ERRORS, Address, Backoff, payload, session, unless_lost

log = logging.getLogger(__name__)

TOPICS = tuple(codec.topic("+", leaf) for leaf in (JOURNAL, HISTORY, "hello"))
ASK_AGAIN_S = 2.0  # a gap is told once; if the rows do not come, again after this
MOST_ASKED = 10_000
PUBLISH_S = 30.0


@dataclass(slots=True)
class Counts:
    """What was done since the start."""

    stored: int = 0  # rows
    duplicates: int = 0  # rows, equal to the stored ones
    forks: int = 0  # batches refused because a row differs from the stored one
    unsound: int = 0  # batches refused because a hash does not follow
    refused: int = 0  # messages that were malformed
    gaps: int = 0  # batches that came too early
    holes: int = 0  # runs of numbers the gateways declared to be without row
    failed: int = 0  # batches not stored because our file failed


Told = Callable[[Batch, Outcome], None]


@dataclass(slots=True)
class Receiver:
    """`run` never returns; cancel it. `told` hears what became of each batch."""

    address: Address
    path: Path
    told: Told = lambda _batch, _outcome: None
    clock: Clock = field(default_factory=SystemClock)  # dates what is received
    first_pause_s: float = 1.0
    maximum_pause_s: float = 60.0
    counts: Counts = field(default_factory=Counts)
    connected: bool = False
    _asked: dict[bytes, tuple[int, float]] = field(
        default_factory=dict
    )  # log: its standing and when we asked

    async def run(self) -> None:
        """Open the file, connect, receive, and connect again, until cancelled."""
        worker = Worker("receiver")
        try:
            store = await worker.run(Store, self.path)
            try:
                await self._serve(worker, store)
            finally:
                await worker.run(store.close)
        finally:
            worker.stop()

    async def _serve(self, worker: Worker, store: Store) -> None:
        backoff = Backoff(self.first_pause_s, self.maximum_pause_s)
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._receive(worker, store)
            except SESSION_ERRORS as error:
                log.warning("the broker is lost: %s", error)
            except (apsw.Error, StoreError) as error:
                log.error("the file cannot be used: %s", error)
                await worker.run(store.drop)
            finally:
                self.connected = False
            await asyncio.sleep(backoff.pause(asyncio.get_running_loop().time() - began))

    async def _receive(self, worker: Worker, store: Store) -> None:
        async with session(self.address) as client:
            await unless_lost(client, client.subscribe([(topic, 1) for topic in TOPICS]))
            self.connected = True
            for gateway, receipt in await worker.run(store.newest):
                await self._tell(client, gateway, receipt)
            async for message in client.messages:
                try:
                    await self._handle(client, worker, store, message)
                except MalformedError as error:
                    self._refuse(message, error)
                except apsw.Error as error:
                    self.counts.failed += 1
                    log.error("not stored, not receipted: %s", error)
                    await worker.run(store.drop)

    def _refuse(self, message: aiomqtt.Message, error: MalformedError) -> None:
        self.counts.refused += 1
        if (
            self.counts.refused & (self.counts.refused - 1) == 0
        ):  # 1, 2, 4, 8 ...: a flood must not fill the log
            log.warning("refused (%d so far) on %r: %s", self.counts.refused, str(message.topic)[:120], error)

    async def _handle(
        self, client: aiomqtt.Client, worker: Worker, store: Store, message: aiomqtt.Message
    ) -> None:
        gateway, leaf = codec.parse_topic(str(message.topic))
        if leaf == "hello":
            hello = codec.decode_hello(payload(message))
            _same(hello.gateway, gateway)
            await self._tell(client, gateway, await worker.run(store.answer, hello))
            return
        batch = codec.decode_batch(payload(message))
        _same((batch.gateway, batch.stream), (gateway, leaf))
        outcome = await worker.run(store.take, batch, self.clock.now().wall)
        self._count(batch, outcome)
        if not outcome.gap or self._may_ask(outcome.receipt):
            await self._tell(client, gateway, outcome.receipt)

    def _count(self, batch: Batch, outcome: Outcome) -> None:
        self.counts.stored += len(outcome.stored)
        self.counts.duplicates += outcome.duplicates
        self.counts.holes += outcome.holes
        self.counts.gaps += outcome.gap
        self.counts.forks += outcome.receipt.problem is Problem.FORK
        self.counts.unsound += outcome.receipt.problem is Problem.CHAIN
        if outcome.receipt.problem is not Problem.NONE:
            log.error("%s %s refused: %s", batch.gateway, batch.stream, outcome.receipt.problem)
        self.told(batch, outcome)

    def _may_ask(self, receipt: codec.Receipt) -> bool:
        now = asyncio.get_running_loop().time()
        seq, when = self._asked.get(receipt.log, (-1, 0.0))
        if seq == receipt.seq and now - when < ASK_AGAIN_S:
            return False
        if len(self._asked) >= MOST_ASKED:  # many gateways, or somebody who invents logs
            self._asked.clear()
        self._asked[receipt.log] = (receipt.seq, now)
        return True

    @staticmethod
    async def _tell(client: aiomqtt.Client, gateway: str, receipt: codec.Receipt) -> None:
        topic = codec.topic(gateway, "receipt")
        said = codec.encode_receipt(receipt)
        await unless_lost(client, client.publish(topic, said, qos=1, timeout=PUBLISH_S))


def _same(said: object, topic: object) -> None:
    if said != topic:
        raise MalformedError("the payload speaks for another than its topic")
