"""Question and answer on a real socket: what is late, foreign or spoilt is never taken for the answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers import ClosedError, NoAnswerError, RemoteProtocolError, TcpHost, Traffic, Verdict, dialogue
from drivers.dialogue import Dialogue
from drivers.link import Link
from drivers.pieces import Piece

_TIMEOUT_S = 0.1


class Triples:
    """A codec as small as can be: `<`, a byte, its complement; a `<` with another third byte is spoilt."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Sequence[Piece[int]]:
        self._bytes += data
        pieces: list[Piece[int]] = []
        while self._bytes:
            if self._bytes[0] != ord("<"):
                pieces.append(Piece(bytes(self._bytes[:1]), Verdict.MALFORMED))
                del self._bytes[:1]
                continue
            if len(self._bytes) < 3:
                break
            value, check = self._bytes[1:3]
            sound = value ^ check == 0xFF
            verdict = Verdict.ANSWER if sound else Verdict.CHECKSUM
            pieces.append(Piece(bytes(self._bytes[:3]), verdict, value if sound else None))
            del self._bytes[:3]
        return pieces


def triple(value: int) -> bytes:
    """The frame that says `value`."""
    return bytes((ord("<"), value, value ^ 0xFF))


Script = list[tuple[float, bytes]]


@dataclass
class Peer:
    """Answers each request by the next script of (delay in s, bytes); without one it is silent."""

    scripts: list[Script] = field(default_factory=list)
    requests: list[tuple[float, bytes]] = field(default_factory=list)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.writers.add(writer)
        with suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(64):
                loop = asyncio.get_running_loop()
                self.requests.append((loop.time(), data))
                script = self.scripts.pop(0) if self.scripts else []
                task = loop.create_task(_play(script, writer))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
        writer.close()


async def _play(script: Script, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        for delay, data in script:
            await asyncio.sleep(delay)
            writer.write(data)
            await writer.drain()


@dataclass
class Bench:
    """A dialogue and who it talks to."""

    peer: Peer
    dialogue: Dialogue
    link: Link
    traffic: list[Traffic]

    async def ask(self, value: int) -> int:
        """Ask for `value`; only a frame that says it is an answer."""
        return await self.dialogue.ask("meter", bytes((value,)), Triples(), lambda got: got == value)

    @property
    def verdicts(self) -> list[Verdict]:
        """What the tap was told."""
        return [traffic.verdict for traffic in self.traffic]


@asynccontextmanager
async def bench(*scripts: Script, silence_s: float = 0.0) -> AsyncIterator[Bench]:
    peer, traffic = Peer(list(scripts)), list[Traffic]()
    server = await asyncio.start_server(peer.talk, "127.0.0.1", 0)
    link = Link(TcpHost("127.0.0.1", server.sockets[0].getsockname()[1]))
    try:
        yield Bench(peer, Dialogue(link, _TIMEOUT_S, silence_s, traffic.append), link, traffic)
    finally:
        link.close()
        for task in list(peer.tasks):
            task.cancel()
        await asyncio.gather(*peer.tasks, return_exceptions=True)
        server.close()
        for writer in peer.writers:
            writer.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)


OTHERS = st.one_of(
    st.integers(0, 255).filter(lambda value: value != 7).map(triple),  # another's answer
    st.binary(min_size=1, max_size=5).map(lambda junk: junk.replace(b"<", b"x")),
    st.just(b"<\x07\x07"),  # the right one, spoilt
)


@settings(max_examples=40, deadline=None)
@given(st.lists(OTHERS, max_size=5), st.integers(1, 4), st.lists(OTHERS, max_size=2))
def test_the_answer_is_found_among_others_however_it_is_split(
    before: list[bytes], size: int, after: list[bytes]
) -> None:
    async def run() -> None:
        stream = b"".join(before) + triple(7) + b"".join(after)
        parts = [(0.0005, stream[i : i + size]) for i in range(0, len(stream), size)]
        async with bench(parts) as it:
            assert await it.ask(7) == 7
            told = [t for t in it.traffic if t.verdict is Verdict.ANSWER]
            assert [t.data for t in told] == [triple(7)]
            assert b"".join(t.data for t in it.traffic[1:-1]) == b"".join(before)

    asyncio.run(run())


@settings(max_examples=20, deadline=None)
@given(st.lists(OTHERS, min_size=1, max_size=5))
def test_without_the_answer_there_is_none(others: list[bytes]) -> None:
    async def run() -> None:
        async with bench([(0.0, b"".join(others))], [(0.0, triple(8))]) as it:
            with pytest.raises(RemoteProtocolError):
                await it.ask(7)
            assert it.verdicts[-1] is Verdict.SILENCE
            assert Verdict.ANSWER not in it.verdicts
            assert await it.ask(8) == 8

    asyncio.run(run())


async def test_silence_is_no_answer() -> None:
    async with bench() as it:
        with pytest.raises(NoAnswerError):
            await it.ask(7)
        assert it.verdicts == [Verdict.REQUEST, Verdict.SILENCE]


async def test_a_late_answer_is_told_and_never_taken_for_the_next_one() -> None:
    async with bench([(_TIMEOUT_S + 0.03, triple(7))], [(0.05, triple(8))]) as it:
        with pytest.raises(NoAnswerError):
            await it.ask(7)
        assert await it.ask(8) == 8
        assert it.verdicts[2:] == [Verdict.REQUEST, Verdict.FOREIGN, Verdict.ANSWER]


async def test_what_came_between_two_questions_belongs_to_neither() -> None:
    async with bench([(0.0, triple(1)), (0.01, triple(2))], [(0.0, triple(2))]) as it:
        assert await it.ask(1) == 1
        heard = it.link.heard
        while it.link.heard == heard:
            await asyncio.sleep(0.005)
        assert await it.ask(2) == 2
        assert it.verdicts == [
            Verdict.REQUEST,
            Verdict.ANSWER,
            Verdict.FOREIGN,
            Verdict.REQUEST,
            Verdict.ANSWER,
        ]


async def test_a_question_that_was_given_up_leaves_its_answer_to_nobody() -> None:
    async with bench([(0.05, triple(7))], [(0.0, triple(7))]) as it:
        asking = asyncio.create_task(it.ask(7))
        while not it.peer.requests:
            await asyncio.sleep(0.005)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        while not it.link.heard:
            await asyncio.sleep(0.005)
        assert await it.ask(7) == 7
        assert it.verdicts[-3:] == [Verdict.FOREIGN, Verdict.REQUEST, Verdict.ANSWER]


async def test_questions_wait_for_each_other_and_for_the_silence_between() -> None:
    answers: list[Script] = [[(0.01, triple(value))] for value in range(5)]
    async with bench(*answers, silence_s=0.03) as it:
        assert await asyncio.gather(*(it.ask(value) for value in range(5))) == list(range(5))
        asked = [at for at, _ in it.peer.requests]
        assert all(later - earlier >= 0.035 for earlier, later in pairwise(asked))


async def test_a_line_that_is_lost_is_told_and_opened_again_by_the_next_question() -> None:
    async with bench([(0.0, b"<")], [(0.0, triple(8))]) as it:
        asking = asyncio.create_task(it.ask(7))
        while not it.link.heard:
            await asyncio.sleep(0.005)
        for writer in it.peer.writers:
            writer.close()
        with pytest.raises(ClosedError):
            await asking
        assert it.verdicts[-1] is Verdict.LOST
        assert await it.ask(8) == 8


async def test_a_connection_that_died_unseen_is_given_up_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialogue, "_DEAF_S", 0.25)
    async with bench([(0.0, triple(1))]) as it:
        assert await it.ask(1) == 1
        first = next(iter(it.peer.writers))
        for _ in range(3):  # the other end is there, and hears nothing
            with pytest.raises(NoAnswerError):
                await it.ask(2)
        await asyncio.sleep(0.1)
        it.peer.scripts = [[(0.0, triple(2))]]
        assert await it.ask(2) == 2
        assert len(it.peer.writers) == 2
        assert first in it.peer.writers


async def test_a_silent_meter_among_others_costs_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "_DEAF_S", 0.15)
    scripts: list[Script] = [[], [(0.0, triple(1))]] * 4
    async with bench(*scripts) as it:
        for _ in range(4):
            with pytest.raises(NoAnswerError):
                await it.ask(2)
            assert await it.ask(1) == 1
        assert len(it.peer.writers) == 1


async def test_a_line_that_is_not_there_is_told_as_closed() -> None:
    async with bench() as it:
        link = Link(TcpHost("127.0.0.1", 9))  # the discard port: nobody listens
        lonely = Dialogue(link, _TIMEOUT_S, 0.0, it.traffic.append)
        with pytest.raises(ClosedError):
            await lonely.ask("meter", b"\x07", Triples(), lambda got: True)


async def test_one_who_never_ends_talking_does_not_hold_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "_LONGEST_ANSWER_S", 0.2)
    async with bench([(0.0, b"x" * 64)] * 1_000_000) as it:
        async with asyncio.timeout(20):
            with pytest.raises(RemoteProtocolError):
                await it.ask(7)


async def test_nothing_is_sent_on_a_line_that_is_never_silent() -> None:
    async with bench([(0.0, triple(1))] + [(0.005, b"x")] * 400, silence_s=0.05) as it:
        assert await it.ask(1) == 1
        with pytest.raises(RemoteProtocolError, match="never silent"):
            await it.ask(2)
        assert len(it.peer.requests) == 1


async def test_a_broadcast_is_told_and_waits_for_nobody() -> None:
    async with bench() as it:
        await it.dialogue.tell("", b"\x99")
        while not it.peer.requests:
            await asyncio.sleep(0.005)
        assert it.verdicts == [Verdict.REQUEST]
