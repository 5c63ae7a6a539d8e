"""The way upstream through the real broker: nothing is lost, nothing twice, the order stays."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from edge.chain import Head
from edge.receiver import compare
from edge.upstream import codec
from edge.upstream.codec import HISTORY, JOURNAL, Batch, Receipt
from edge.upstream.source import history_wire, journal_wire
from hil_tests.broker import BrokerProcess, mosquitto
from hil_tests.upstream_bench import (
    GATEWAY,
    Gateway,
    gateway,
    listener,
    publish,
    receiver,
    running,
    until,
)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    with mosquitto(tmp_path) as started:
        yield started


def stored(folder: Path, stream: str) -> list[tuple[int, bytes]]:
    """(seq, row) of all logs of a stream at the receiver, in the order of storing."""
    connection = apsw.Connection(str(folder / "receiver.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        query = (
            "select seq, row from rows join logs on logs.id = rows.log where stream = ? order by logs.id, seq"
        )
        return [(int(seq), bytes(row)) for seq, row in connection.execute(query, (stream,))]
    finally:
        connection.close()


def remove(folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for file in folder.glob(pattern):
            file.unlink()


async def assert_the_copies_are_equal(sender: Gateway, folder: Path) -> None:
    assert compare(folder / "journal.db", folder / "receiver.db", GATEWAY) == []
    frames = await sender.history.frames(0, 100_000)
    assert stored(folder, HISTORY) == [(frame.seq, codec.pack_row(history_wire(frame))) for frame in frames]


async def test_rows_appended_while_connected_arrive_once_and_in_order(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    head_end = receiver(tmp_path, broker.port)
    async with (
        running(head_end.run()),
        gateway(tmp_path, broker.port) as sender,
        running(sender.upstream.run()),
    ):
        for _ in range(20):
            await sender.record(rows=7, frames=1)
        await sender.receipted()
        await assert_the_copies_are_equal(sender, tmp_path)
        assert sender.upstream.status.connected
        assert sender.upstream.status.refused == 0
    assert head_end.counts.stored == 160
    assert (head_end.counts.duplicates, head_end.counts.refused, head_end.counts.forks) == (0, 0, 0)


async def test_a_day_without_broker_loses_nothing_and_keeps_the_order(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    head_end = receiver(tmp_path, broker.port)
    async with (
        running(head_end.run()),
        gateway(tmp_path, broker.port) as sender,
        running(sender.upstream.run()),
    ):
        await sender.record(rows=10, frames=3)
        await sender.receipted()
        await asyncio.to_thread(broker.stop)
        await until(lambda: not sender.upstream.status.connected)
        await sender.record(rows=3000, frames=1440)
        await asyncio.to_thread(broker.start)
        await sender.receipted(60.0)
        await assert_the_copies_are_equal(sender, tmp_path)


async def test_a_broker_killed_after_its_acknowledgement_loses_nothing_in_the_end(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    async with gateway(tmp_path, broker.port) as sender, running(sender.upstream.run()):
        async with running(receiver(tmp_path, broker.port).run()):
            await sender.record(rows=10, frames=3)
            await sender.receipted()
        await sender.record(rows=500)
        await until(lambda: sender.upstream.status.streams[JOURNAL].sent == 510)  # only the broker has them
        assert sender.upstream.status.streams[JOURNAL].receipted == 10
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        async with running(receiver(tmp_path, broker.port).run()):
            await sender.receipted(60.0)
            await assert_the_copies_are_equal(sender, tmp_path)


async def test_a_broker_killed_again_and_again_under_load_loses_nothing(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    async with (
        running(receiver(tmp_path, broker.port).run()),
        gateway(tmp_path, broker.port) as sender,
        running(sender.upstream.run()),
    ):
        for _ in range(6):
            await sender.record(rows=400, frames=5)
            await until(lambda: sender.upstream.status.connected)
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
        await sender.receipted(60.0)
        await assert_the_copies_are_equal(sender, tmp_path)


async def test_a_receiver_restarted_in_the_stream_gets_everything(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    async with gateway(tmp_path, broker.port) as sender, running(sender.upstream.run()):
        for _ in range(4):
            head_end = receiver(tmp_path, broker.port)
            async with running(head_end.run()):
                before = head_end.counts.stored
                await sender.record(rows=700, frames=10)
                await until(lambda: head_end.counts.stored > before)  # noqa: B023 (used at once)
        async with running(receiver(tmp_path, broker.port).run()):
            await sender.receipted(60.0)
            await assert_the_copies_are_equal(sender, tmp_path)


async def test_a_gateway_restarted_goes_on_from_the_receipt(broker: BrokerProcess, tmp_path: Path) -> None:
    head_end = receiver(tmp_path, broker.port)
    async with running(head_end.run()):
        for _ in range(3):
            async with gateway(tmp_path, broker.port) as sender, running(sender.upstream.run()):
                await sender.record(rows=30, frames=2)
                await sender.receipted()
                await assert_the_copies_are_equal(sender, tmp_path)
                await until_kept(sender)
    assert head_end.counts.stored == 96
    assert head_end.counts.duplicates == 0


async def until_kept(sender: Gateway) -> None:
    """Wait until the receipt is written down."""
    last = (await sender.journal.last()).seq
    for _ in range(500):
        if (await sender.journal.receipts()).get("upstream.journal") == last:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the receipt was not kept")


async def test_a_receiver_that_lost_its_copy_gets_all_of_it_again(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    async with gateway(tmp_path, broker.port) as sender, running(sender.upstream.run()):
        async with running(receiver(tmp_path, broker.port).run()):
            await sender.record(rows=300, frames=10)
            await sender.receipted()
        remove(tmp_path, "receiver.db*")
        head_end = receiver(tmp_path, broker.port)
        async with running(head_end.run()):
            await sender.record(rows=1, frames=1)  # what is new shows that the rest is missing
            await until(lambda: head_end.counts.stored == 312)
            await assert_the_copies_are_equal(sender, tmp_path)


async def test_a_gateway_that_lost_its_files_begins_a_new_log_and_mixes_with_nothing(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    head_end = receiver(tmp_path, broker.port)
    async with running(head_end.run()):
        for _ in range(2):
            async with gateway(tmp_path, broker.port) as sender, running(sender.upstream.run()):
                await sender.record(rows=20, frames=5)
                await sender.receipted()
                assert compare(tmp_path / "journal.db", tmp_path / "receiver.db", GATEWAY) == []
            remove(tmp_path, "journal.db*", "history.db*")
    assert [seq for seq, _ in stored(tmp_path, JOURNAL)] == [*range(1, 21), *range(1, 21)]
    assert head_end.counts.forks == 0


async def test_lost_receipts_are_asked_for(broker: BrokerProcess, tmp_path: Path) -> None:
    async with gateway(tmp_path, broker.port) as sender:
        await sender.record(rows=50)
        rows = await sender.journal.rows(0, 50)
        head_end = receiver(tmp_path, broker.port)
        batch = Batch(GATEWAY, JOURNAL, rows[0].hash, 0, bytes(32), tuple(journal_wire(row) for row in rows))
        async with running(head_end.run()):
            await until(lambda: head_end.connected)
            await publish(broker.port, [(codec.topic(GATEWAY, JOURNAL), codec.encode_batch(batch))])
            await until(lambda: head_end.counts.stored == 50)  # its receipt found nobody
            async with running(sender.upstream.run()):
                await sender.receipted()
        assert (head_end.counts.stored, head_end.counts.duplicates) == (50, 0)


async def test_a_batch_sent_twice_is_stored_once(broker: BrokerProcess, tmp_path: Path) -> None:
    head_end = receiver(tmp_path, broker.port)
    async with running(head_end.run()), gateway(tmp_path, broker.port) as sender:
        await sender.record(rows=50)
        rows = [journal_wire(row) for row in await sender.journal.rows(0, 50)]
        first = Batch(GATEWAY, JOURNAL, rows[0].hash, 0, bytes(32), tuple(rows[:30]))
        across = Batch(GATEWAY, JOURNAL, rows[0].hash, 20, rows[19].hash, tuple(rows[20:]))
        early = Batch(GATEWAY, JOURNAL, rows[0].hash, 40, rows[39].hash, tuple(rows[40:]))
        topic = codec.topic(GATEWAY, JOURNAL)
        await until(lambda: head_end.connected)
        async with listener(broker.port, codec.topic(GATEWAY, "receipt")) as heard:
            sent = [early, first, first, across, across]
            await publish(broker.port, [(topic, codec.encode_batch(batch)) for batch in sent])
            await until(lambda: len(heard) == 5)
        receipts = [codec.decode_receipt(said) for _, said in heard]
        assert [(receipt.seq, receipt.again) for receipt in receipts] == [
            (0, True), (30, False), (30, False), (50, False), (50, False),
        ]  # fmt: skip
        assert (head_end.counts.stored, head_end.counts.duplicates, head_end.counts.gaps) == (50, 70, 1)
        assert compare(tmp_path / "journal.db", tmp_path / "receiver.db", GATEWAY) == []


async def test_a_gateway_set_back_to_an_older_record_is_refused_as_a_fork(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    head_end = receiver(tmp_path, broker.port)
    async with running(head_end.run()):
        async with gateway(tmp_path, broker.port) as sender:
            await sender.record(rows=20)
        shutil.copy(tmp_path / "journal.db", tmp_path / "older.db")
        async with gateway(tmp_path, broker.port) as sender, running(sender.upstream.run()):
            await sender.record(rows=10)
            await sender.receipted()
        (tmp_path / "older.db").replace(tmp_path / "journal.db")
        async with gateway(tmp_path, broker.port) as sender, running(sender.upstream.run()):
            await until(lambda: sender.upstream.status.streams[JOURNAL].problem == "upstream.ahead")
            await sender.record(rows=40)
            await until(lambda: sender.upstream.status.streams[JOURNAL].problem == "upstream.fork")
            await sender.record(rows=0, frames=3)
            await until(lambda: sender.upstream.status.streams[HISTORY].receipted >= 3)  # it goes on
    assert len(stored(tmp_path, JOURNAL)) == 30


async def test_a_forked_row_is_refused_and_kept_as_evidence(broker: BrokerProcess, tmp_path: Path) -> None:
    head_end = receiver(tmp_path, broker.port)
    (tmp_path / "b").mkdir()
    async with running(head_end.run()), gateway(tmp_path, broker.port) as sender:
        await sender.record(rows=20)
        async with running(sender.upstream.run()):
            await sender.receipted()
        rows = [journal_wire(row) for row in await sender.journal.rows(0, 20)]
        other = await forged_after(rows[9].seq, Head(rows[9].seq, rows[9].hash), tmp_path / "b", sender)
        batch = Batch(GATEWAY, JOURNAL, rows[0].hash, 10, rows[9].hash, (other,))
        async with listener(broker.port, codec.topic(GATEWAY, "receipt")) as heard:
            await publish(broker.port, [(codec.topic(GATEWAY, JOURNAL), codec.encode_batch(batch))])
            await until(lambda: bool(heard))
        receipt = codec.decode_receipt(heard[0][1])
        assert (receipt.seq, receipt.problem) == (20, codec.Problem.FORK)
        assert head_end.counts.forks == 1
        assert compare(tmp_path / "journal.db", tmp_path / "receiver.db", GATEWAY) == []


async def forged_after(seq: int, head: Head, folder: Path, sender: Gateway) -> codec.WireRow:
    """A row that follows soundly from row `seq`, but is not the one the gateway wrote."""
    from edge.chain import Draft, Entry, link
    from edge.clock import SystemClock

    draft = Draft.of(Entry("outage.ended", "high", {"forged": True}))
    row = link(head, draft, SystemClock().now(), "another-boot")
    assert row.seq == seq + 1
    return journal_wire(row)


async def test_nothing_hostile_stops_the_gateway(broker: BrokerProcess, tmp_path: Path) -> None:
    head_end = receiver(tmp_path, broker.port)
    async with (
        running(head_end.run()),
        gateway(tmp_path, broker.port) as sender,
        running(sender.upstream.run()),
    ):
        await sender.record(rows=10)
        await sender.receipted()
        log = (await sender.journal.rows(0, 1))[0].hash
        too_far = Receipt(JOURNAL, log, 10_000, bytes(32), again=False)
        another = Receipt(JOURNAL, log, 5, bytes(32), again=False)
        hostile = [b"", b"\x00" * 5000, b"\x91" * 900, codec.encode_receipt(too_far)]
        hostile += [
            codec.encode_receipt(another),
            codec.encode_receipt(Receipt(JOURNAL, b"x" * 32, 1, bytes(32), False)),
        ]
        await publish(broker.port, [(codec.topic(GATEWAY, "receipt"), said) for said in hostile])
        await until(lambda: sender.upstream.status.refused == 5)
        await sender.record(rows=10)
        await sender.receipted()
        assert sender.upstream.status.streams[JOURNAL].receipted == 20


async def test_nothing_hostile_stops_the_receiver(broker: BrokerProcess, tmp_path: Path) -> None:
    head_end = receiver(tmp_path, broker.port)
    async with (
        running(head_end.run()),
        gateway(tmp_path, broker.port) as sender,
        running(sender.upstream.run()),
    ):
        await sender.record(rows=10)
        await sender.receipted()
        (row,) = await sender.journal.rows(9, 1)
        wire = journal_wire(row)
        foreign = codec.encode_batch(Batch("gw-18", JOURNAL, bytes(32), 0, bytes(32), (wire,)))
        topic = codec.topic(GATEWAY, JOURNAL)
        hostile = [
            (topic, b""),
            (topic, b"\xc1" * 100),
            (topic, b"\x91" * 100_000),
            (topic, b"\xff" * 3_000_000),
        ]
        hostile += [
            (topic, foreign),
            (codec.topic(GATEWAY, "hello"), b"\x80"),
            (codec.topic("", HISTORY), b"\x80"),
        ]
        await publish(broker.port, hostile)
        await until(lambda: head_end.counts.refused == 7)
        await sender.record(rows=10)
        await sender.receipted()
    assert compare(tmp_path / "journal.db", tmp_path / "receiver.db", GATEWAY) == []
