"""What vouches for the record: checkpoints when they are due, keys that follow each other, honest losses."""

import contextlib
import dataclasses
import shutil
from pathlib import Path

import apsw
import pytest

from edge.chain import SEGMENT
from edge.checkpoint import Checkpoint, origin, parse
from edge.clock import ClockState, Instant
from edge.journal import Entry, Journal, Verification, verify
from edge.merkle import tree_root
from edge.notary import AT_ONCE
from edge.tests.journals import NOW, StandingClock, entry, write


def later(seconds: float) -> Instant:
    return dataclasses.replace(
        NOW, wall=NOW.wall + seconds, monotonic=NOW.monotonic + seconds, boottime=NOW.boottime + seconds
    )


def checkpoints(path: Path) -> list[tuple[int, str]]:
    """(seq, note) of every checkpoint in the file."""
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        return list(connection.execute("select seq, note from checkpoints order by size"))


def whats(found: Verification) -> list[str]:
    return [fault.what for fault in found.faults]


async def test_a_checkpoint_is_the_signed_root_over_all_rows_so_far(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        assert await journal.checkpoint() == ""
        await journal.append([entry(number) for number in range(7)], NOW)
        note = parse(await journal.checkpoint())
        rows = await journal.rows(0, 10)
        assert note.checkpoint == Checkpoint(origin(rows[0].hash), 7, tree_root(row.hash for row in rows))
        assert await journal.checkpoint() == await journal.checkpoint()
    found = verify(path)
    assert (found.ok, found.checkpoints, found.unsigned) == (True, 1, 0)
    assert note.signed_by(found.keys[0].public)


async def test_checkpoints_come_every_hundred_rows_every_minute_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        for number in range(230):
            await journal.append([entry(number)], NOW)
        assert [seq for seq, _ in checkpoints(path)] == [100, 200]
        await journal.append([entry(1)], later(59.0))
        await journal.append([entry(1)], later(60.0))
        await journal.append([entry(1)], later(61.0))
        assert [seq for seq, _ in checkpoints(path)] == [100, 200, 232]
    assert [seq for seq, _ in checkpoints(path)] == [100, 200, 232, 233]
    assert verify(path).ok


@pytest.mark.parametrize("kind", sorted(AT_ONCE))
async def test_a_row_that_matters_is_signed_with_its_commit(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        await journal.append([entry(1), entry(2, "outage.cause"), entry(3)], NOW)
        assert checkpoints(path) == []
        await journal.append([Entry(kind, "high", {}), entry(4)], NOW)
        assert [seq for seq, _ in checkpoints(path)] == [5]


async def test_the_tree_goes_on_over_restarts_and_kills(tmp_path: Path) -> None:
    path, copy = tmp_path / "journal.db", tmp_path / "copy" / "journal.db"
    shutil.copytree(tmp_path, copy.parent)
    journal = await Journal.open(path, StandingClock())
    for number in range(130):
        await journal.append([entry(number)], NOW)
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")  # as a kill leaves it
    await journal.close()
    shutil.copytree(tmp_path / "keys", copy.parent / "keys")
    await write(copy, 10)
    assert verify(copy).ok
    assert [seq for seq, _ in checkpoints(copy)] == [100, 140]
    await write(path, 10)
    assert [seq for seq, _ in checkpoints(path)] == [100, 130, 140]


async def test_a_new_key_is_signed_for_by_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        await journal.append([entry(1)], NOW)
        assert await journal.rotate_key() == 2
        await journal.append([entry(2)], NOW)
        assert await journal.rotate_key() == 4
        await journal.append([entry(3)], NOW)
    found = verify(path)
    assert (found.ok, [period.how for period in found.keys]) == (True, ["first", "rotated", "rotated"])
    signers = [parse(note).signer([p.public for p in found.keys]) for _, note in checkpoints(path)]
    assert signers == [found.keys[0].public, found.keys[1].public, found.keys[2].public]
    for period in found.keys:
        assert verify(path, key=period.public).ok
    assert whats(verify(path, key=bytes(32))) == ["record.key_unknown"]
    await write(path, 3)
    assert len(verify(path).keys) == 3


async def test_a_lost_key_is_told_and_the_record_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await write(path, 5)
    first = verify(path).keys[0].public
    shutil.rmtree(tmp_path / "keys")
    await write(path, 5)
    found = verify(path)
    assert found.ok
    assert [(notice.seq, notice.what) for notice in found.notices] == [(6, "record.key_lost")]
    assert (found.last, [period.how for period in found.keys]) == (11, ["first", "lost"])
    assert whats(verify(path, key=first)) == ["record.key_broken"]
    assert verify(path, key=found.keys[1].public).ok
    await write(path, 5)
    assert verify(path).last == 16


async def test_without_a_place_for_keys_rows_are_recorded_and_signed_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.db"
    (tmp_path / "keys").write_text("a file in the way")
    await write(path, 150, batch=10)
    found = verify(path)
    assert (found.rows, found.checkpoints, whats(found)) == (150, 0, ["record.unsigned"])
    assert caplog.messages.count("no key for checkpoints") == 1
    (tmp_path / "keys").unlink()
    await write(path, 1)
    found = verify(path)
    assert (found.ok, found.checkpoints, found.unsigned) == (True, 1, 0)


async def test_after_damage_the_record_has_a_new_name_and_names_the_last_receipted_checkpoint(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        for number in range(5):
            await journal.append([entry(one) for one in range(100)], NOW)
            if number == 2:
                await journal.set_receipt("upstream.journal", 250)
    old = checkpoints(path)
    with apsw.Connection(str(path)) as database:
        database.execute("update rows set body = x'80' where seq = 421")
    async with await Journal.open(path, StandingClock()) as journal:
        (segment,) = [row for row in await journal.rows(400, 1000) if row.kind == SEGMENT]
        assert segment.content["checkpoint"] == old[1][1]
        await journal.append([entry(1)], NOW)
    found = verify(path)
    assert (found.ok, [notice.what for notice in found.notices]) == (True, ["record.continued"])
    kept = checkpoints(path)
    assert kept[:4] == old[:4]
    names = [parse(note).checkpoint.origin for _, note in kept]
    assert names == [names[0]] * 4 + [origin(segment.hash)] * 2
    assert len(found.keys) == 1
    assert verify(path, since=parse(old[3][1])).ok
    assert whats(verify(path, since=parse(old[4][1]))) == ["record.lost"]


async def test_a_damaged_checkpoint_is_found_and_the_next_start_goes_on_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await write(path, 250, batch=50)
    with apsw.Connection(str(path)) as database:
        database.execute("update checkpoints set note = replace(note, 'e', 'f') where seq = 250")
    assert whats(verify(path)) == ["record.checkpoint"]
    await write(path, 1)
    found = verify(path)
    assert (found.ok, found.rows) == (True, 252)
    assert (tmp_path / "journal.db.damaged-1").exists()


async def test_a_checkpoint_that_was_given_away_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        await journal.append([entry(1)] * 33, NOW)
        held = parse(await journal.checkpoint())
        await journal.append([entry(1)] * 300, NOW)
    assert verify(path, since=held).ok
    (tmp_path / "other").mkdir()
    await write(tmp_path / "other" / "journal.db", 40)
    assert whats(verify(tmp_path / "other" / "journal.db", since=held)) == ["record.other_log"]


# -- old rows


YEAR = 365.25 * 86400.0


async def _years(path: Path, years: int, state: ClockState = ClockState.SYNCED) -> None:
    async with await Journal.open(path, StandingClock()) as journal:
        for number in range(years):
            now = dataclasses.replace(later(number * YEAR), state=state)
            await journal.append([entry(one) for one in range(100)], now)


async def test_old_rows_that_are_receipted_go_and_what_stays_still_verifies(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await _years(path, 9)
    before = verify(path)
    held = [parse(note) for _, note in checkpoints(path)]
    async with await Journal.open(path, StandingClock()) as journal:
        name = await journal.log()
        assert (await journal.purge(later(8.5 * YEAR))).rows == 0  # nobody has a copy
        await journal.set_receipt("upstream.journal", 250)
        done = await journal.purge(later(8.5 * YEAR))
        assert (done.rows, done.last_seq, done.more) == (200, 200, False)
        rows = await journal.rows(0, 1000)
        assert (rows[0].seq, rows[-1].kind, len(rows)) == (201, "journal.purged", 701)
        assert {row.subject: row.seq for row in await journal.latest("alarm.")} == {
            "high:0": 900,
            "high:1": 899,
            "high:2": 898,
        } | {row.subject: row.seq for row in rows[-4:-1]}
        assert await journal.log() == name
        await journal.set_receipt("upstream.journal", 900)
        assert (await journal.purge(later(8.5 * YEAR), before=205)).rows == 0
        assert (await journal.purge(later(8.5 * YEAR))).last_seq == 300
    found = verify(path, before.head, log=name)
    assert (found.ok, found.first, found.rows) == (True, 301, 602)
    for note in held[2:]:
        assert verify(path, since=note).ok
    await write(path, 3)
    assert verify(path).last == 905


async def test_a_purge_goes_on_in_bounded_steps(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        for _ in range(50):
            await journal.append([entry(one) for one in range(100)], NOW)
        await journal.append([entry(1)], later(10 * YEAR))
        await journal.set_receipt("upstream.journal", 5001)
        steps = [await journal.purge(later(10 * YEAR)) for _ in range(3)]
        assert [(step.rows, step.more) for step in steps] == [(2000, True), (2000, True), (1000, False)]
        assert (await journal.rows(0, 1))[0].seq == 5001
    assert verify(path).ok


async def test_a_purge_keeps_the_row_of_a_new_key_that_the_next_checkpoint_needs(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        first = await journal.append([entry(one) for one in range(100)], NOW)
        seq = await journal.rotate_key()
        await journal.append([entry(1, "outage.started")], later(10 * YEAR))
        await journal.set_receipt("upstream.journal", seq)
        assert (await journal.purge(later(10 * YEAR))).last_seq == first
    assert verify(path).ok


async def test_young_rows_and_rows_of_unknown_age_stay_whatever_is_asked(tmp_path: Path) -> None:
    young, undated = tmp_path / "young.db", tmp_path / "undated.db"
    await _years(young, 3)
    await _years(undated, 3, ClockState.UNSYNCED)
    for path in (young, undated):
        async with await Journal.open(path, StandingClock()) as journal:
            await journal.set_receipt("upstream.journal", 300)
            assert (await journal.purge(later(29 * 86400.0), retention_s=0.0)).rows == 0
            unset = dataclasses.replace(later(99 * YEAR), state=ClockState.UNSYNCED)
            assert (await journal.purge(unset)).rows == 0
    async with await Journal.open(undated, StandingClock()) as journal:
        assert (await journal.purge(later(99 * YEAR))).rows == 0


async def test_damage_after_a_purge_is_put_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await _years(path, 9)
    async with await Journal.open(path, StandingClock()) as journal:
        name = await journal.log()
        await journal.set_receipt("upstream.journal", 900)
        assert (await journal.purge(later(8.5 * YEAR))).last_seq == 300
    with apsw.Connection(str(path)) as database:
        database.execute("update rows set body = x'80' where seq = 555")
    async with await Journal.open(path, StandingClock()) as journal:
        assert [row.seq for row in await journal.rows(0, 1000)][:254] == list(range(301, 555))
        assert await journal.log() == name
        await journal.append([entry(1)], NOW)
    found = verify(path)
    assert [notice.what for notice in found.notices] == ["record.continued"]
    assert found.last > 901


async def test_a_beginning_taken_away_by_hand_is_no_purge(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await _years(path, 4)
    with apsw.Connection(str(path)) as database:
        seq, value, size, frontier = next(
            iter(
                database.execute(
                    "select c.seq, hash, size, frontier from checkpoints c join rows r on r.seq = c.seq"
                    " where c.seq = 200"
                )
            )
        )
        first = database.execute("select hash from rows where seq = 1").get
        database.execute("delete from rows where seq <= 200")
        database.execute("delete from checkpoints where seq < 200")
        database.execute("insert into purged values (1, ?, ?, ?, ?, ?)", (first, seq, value, size, frontier))
    assert whats(verify(path)) == ["record.missing"]
