"""What the journal promises: order, durability, an intact chain, and a clear word when it cannot."""

import asyncio
import hashlib
import os
import sqlite3
import threading
from pathlib import Path

import apsw
import msgpack
import pytest

from edge import store
from edge.chain import SEGMENT, stands_on
from edge.journal import BodyError, DamagedError, Entry, Head, Journal, JournalError, verify
from edge.tests.journals import NOW, StandingClock, entry, failing_disk, write


async def test_rows_come_back_in_order_with_their_clocks_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await write(path, 5)
    async with await Journal.open(path, StandingClock()) as journal:
        assert await journal.append([entry(5), entry(6)], NOW) == 7
        rows = await journal.rows(2, 3)
        assert [row.seq for row in rows] == [3, 4, 5]
        assert rows[0].content == {"number": 2, "text": "供水温度偏低", "value": 2 / 7}
        assert (rows[0].wall_ns, rows[0].boottime_ns) == (1_795_000_000_250_000_000, 200_500_000_000)
        assert (rows[0].boot_id, rows[0].clock_state) == (StandingClock.boot_id, "synced")
        assert await journal.last() == (await journal.rows(6, 10))[-1].head
    assert verify(path).ok


async def test_an_empty_journal_and_an_empty_append_are_no_special_case(tmp_path: Path) -> None:
    async with await Journal.open(tmp_path / "journal.db", StandingClock()) as journal:
        assert await journal.last() == Head(0, bytes(32))
        assert await journal.append([], NOW) == 0
        assert await journal.rows(0, 10) == []
        assert await journal.append([entry(1)], NOW) == 1


async def test_appends_of_one_moment_share_a_commit_and_keep_their_order(tmp_path: Path) -> None:
    async with await Journal.open(tmp_path / "journal.db", StandingClock()) as journal:
        seqs = await asyncio.gather(*(journal.append([entry(number)], NOW) for number in range(100)))
        assert seqs == list(range(1, 101))
        assert journal.commits == 1
        assert [row.content["number"] for row in await journal.rows(0, 100)] == list(range(100))


async def test_appends_that_arrive_during_a_commit_share_the_next_one(tmp_path: Path) -> None:
    async with await Journal.open(tmp_path / "journal.db", StandingClock()) as journal:

        async def writer(first: int) -> list[int]:
            return [await journal.append([entry(first + turn)], NOW) for turn in range(20)]

        seqs = await asyncio.gather(*(writer(100 * number) for number in range(10)))
        assert sorted(seq for mine in seqs for seq in mine) == list(range(1, 201))
        assert all(mine == sorted(mine) for mine in seqs)
        assert journal.commits <= 100
        assert verify(tmp_path / "journal.db").rows == 200


async def test_the_newest_row_of_each_subject_is_found_for_a_restart(tmp_path: Path) -> None:
    entries = [
        Entry("outage.started", "high", {"n": 1}),
        Entry("outage.started", "low", {"n": 2}),
        Entry("outage.ended", "high", {"n": 3}),
        Entry("outages", "high", {"n": 4}),
        Entry("alarm.raised", "high", {"n": 5}),
    ]
    async with await Journal.open(tmp_path / "journal.db", StandingClock()) as journal:
        await journal.append(entries, NOW)
        found = {row.subject: row.content["n"] for row in await journal.latest("outage.")}
        assert found == {"high": 3, "low": 2}


async def test_receipts_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        await journal.set_receipt("journal", 7)
        await journal.set_receipt("journal", 9)
        await journal.set_receipt("history", 3)
        with pytest.raises(ValueError, match="negative"):
            await journal.set_receipt("history", -1)
    async with await Journal.open(path, StandingClock()) as journal:
        assert await journal.receipts() == {"journal": 9, "history": 3}


async def test_a_stranger_can_check_the_record_with_the_lines_in_the_module(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await write(path, 20)
    database = sqlite3.connect(path)
    prev = bytes(32)
    for *head, body_hash, found, body in database.execute(
        "select seq, boot_id, boottime_ns, wall_ns, clock_state, kind, subject, body_hash, hash, body"
        " from rows order by seq"
    ):
        assert hashlib.sha256(body).digest() == body_hash
        prev = hashlib.sha256(prev + msgpack.packb([1, *head, body_hash])).digest()
        assert prev == found
    database.close()
    assert verify(path).head.hash == prev


@pytest.mark.parametrize(
    "body",
    [
        {"x": float("nan")},
        {"x": [1, float("inf")]},
        {"x": b"bytes"},
        {1: "key"},
        {"x": {2: 1}},
        {"x": 1 << 64},
        {"x": object()},
        {"x": "\ud800"},
        {"x": "a" * (1 << 20)},
        ["no", "map"],
    ],
)
async def test_a_body_that_a_stranger_could_not_read_is_refused_and_nothing_is_written(
    tmp_path: Path, body: dict[str, object]
) -> None:
    async with await Journal.open(tmp_path / "journal.db", StandingClock()) as journal:
        with pytest.raises(BodyError):
            await journal.append([entry(1), Entry("a.b", "high", body)], NOW)  # type: ignore[arg-type]
        assert await journal.append([entry(1)], NOW) == 1


async def test_a_closed_journal_says_so_and_leaves_one_file(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path / "journal.db", StandingClock())
    last = asyncio.create_task(journal.append([entry(1)], NOW))
    await asyncio.sleep(0)
    await asyncio.gather(journal.close(), journal.close())
    assert await last == 1
    with pytest.raises(JournalError, match="closed"):
        await journal.append([entry(1)], NOW)
    assert sorted(os.listdir(tmp_path)) == ["journal.db", "keys"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("journal")]


async def test_a_caller_that_gives_up_leaves_the_journal_in_order(tmp_path: Path) -> None:
    async with await Journal.open(tmp_path / "journal.db", StandingClock()) as journal:
        given_up = asyncio.create_task(journal.append([entry(1)], NOW))
        await asyncio.sleep(0)
        given_up.cancel()
        assert await journal.append([entry(2)], NOW) == 2
        assert [row.content["number"] for row in await journal.rows(0, 9)] == [1, 2]


@pytest.mark.parametrize("error", [apsw.FullError, apsw.IOError])
@pytest.mark.parametrize("succeed", [0, 1, 2, 3, 4])
async def test_a_failing_disk_acknowledges_nothing_and_the_journal_recovers(
    tmp_path: Path, error: type[apsw.Error], succeed: int
) -> None:
    path = tmp_path / "journal.db"
    with failing_disk() as disk:
        async with await Journal.open(path, StandingClock()) as journal:
            acknowledged = [await journal.append([entry(number)], NOW) for number in range(3)]
            disk.writes_left, disk.broken = succeed, error("the disk says no")
            failed = await asyncio.gather(
                *(journal.append([entry(number)], NOW) for number in range(3, 60)), return_exceptions=True
            )
            assert all(isinstance(one, JournalError) for one in failed)
            for _ in range(3):
                with pytest.raises(JournalError):
                    await journal.append([entry(9)], NOW)
            disk.broken = None
            acknowledged.append(await journal.append([entry(10)], NOW))
            rows = {row.seq: row.content["number"] for row in await journal.rows(0, 100)}
            assert [rows[seq] for seq in acknowledged] == [0, 1, 2, 10]
    assert verify(path).ok
    assert sorted(os.listdir(tmp_path)) == ["journal.db", "keys"]  # nothing was put aside


async def test_a_damaged_file_is_put_aside_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await write(path, 30)
    with apsw.Connection(str(path)) as database:
        database.execute("update rows set body = x'80' where seq = 21")
    async with await Journal.open(path, StandingClock()) as journal:
        rows = await journal.rows(0, 100)
        assert [row.seq for row in rows[:-1]] == list(range(1, 21))
        segment = rows[-1]
        assert segment.kind == SEGMENT
        assert segment.seq > 30  # no number of the damaged file is used again
        assert stands_on(segment) == rows[-2].head
        assert segment.content["damaged"] == "journal.db.damaged-1"
        assert await journal.append([entry(1)], NOW) == segment.seq + 1
    assert verify(path).ok
    assert verify(tmp_path / "journal.db.damaged-1").rows == 29


@pytest.mark.parametrize("content", [b"no database at all", b"\xff" * 10_000])
async def test_a_file_of_garbage_is_put_aside_and_a_new_journal_begun(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    async with await Journal.open(path, StandingClock()) as journal:
        (first,) = await journal.rows(0, 10)
        assert first.kind == SEGMENT
        assert stands_on(first) == Head(0, bytes(32))
    assert (tmp_path / "journal.db.damaged-1").read_bytes() == content
    assert verify(path).ok


async def test_numbers_stay_unique_over_repeated_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    used = 0
    for turn in range(1, 4):
        await write(path, 10)
        used, before = verify(path).last, used
        assert used > before
        path.write_bytes(path.read_bytes().replace(b"alarm.raised", b"alarm.cleared"[:12]))
        async with await Journal.open(path, StandingClock()) as journal:
            assert (await journal.last()).seq > used
        assert (tmp_path / f"journal.db.damaged-{turn}").exists()


async def test_a_wrong_row_is_never_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.db"
    monkeypatch.setattr("edge.ledger.TAIL", 5)  # the damage lies before what is checked at the start
    await write(path, 30)
    with apsw.Connection(str(path)) as database:
        database.execute("update rows set subject = 'low' where seq = 11")
    async with await Journal.open(path, StandingClock()) as journal:
        assert len(await journal.rows(0, 10)) == 10
        with pytest.raises(DamagedError) as caught:
            await journal.rows(8, 10)
        assert caught.value.fault.seq == 11
        assert await journal.append([entry(1)], NOW) == 31


async def test_a_folder_that_does_not_exist_is_a_journal_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError):
        await Journal.open(tmp_path / "nowhere" / "journal.db", StandingClock())


async def test_a_sqlite_that_loses_commits_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(JournalError, match=r"3\.51\.3"):
        await Journal.open(tmp_path / "journal.db", StandingClock())


def test_the_connection_has_the_settings_that_durability_rests_on(tmp_path: Path) -> None:
    connection = store.connect(tmp_path / "journal.db", "FULL")
    names = ("journal_mode", "synchronous", "wal_autocheckpoint", "page_size")
    assert [connection.pragma(name) for name in names] == ["wal", 2, 400, 1024]
    connection.close()
