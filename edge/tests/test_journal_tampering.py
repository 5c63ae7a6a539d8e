"""Every change of a record by another hand is found, and its place is told."""

import contextlib
import dataclasses
import hashlib
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from edge.chain import Row, digest
from edge.journal import Journal, JournalError, Verification, verify
from edge.tests.journals import NOW, StandingClock, entry, write
from edge.verification import COLUMNS

ROWS = 200
RNG = random.Random(2611)  # noqa: S311 - a seeded choice of places
PLACES = sorted(RNG.sample(range(2, ROWS), 8))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import asyncio

    path = tmp_path_factory.mktemp("sound") / "journal.db"
    asyncio.run(write(path, ROWS, batch=20))
    return path


@pytest.fixture(scope="module")
def content(sound: Path) -> bytes:
    return sound.read_bytes()


@contextmanager
def _opened(sound: Path, tmp_path: Path) -> Iterator[apsw.Connection]:
    path = tmp_path / "journal.db"
    shutil.copy(sound, path)
    connection = apsw.Connection(str(path))
    yield connection
    connection.close()


def _after(
    sound: Path, tmp_path: Path, change: Callable[[apsw.Connection, int], object], place: int
) -> Verification:
    with _opened(sound, tmp_path) as connection:
        change(connection, place)
    return verify(tmp_path / "journal.db")


def _row(connection: apsw.Connection, seq: int) -> Row:
    query = f"select {COLUMNS} from rows where seq = ?"  # noqa: S608
    return Row(*connection.execute(query, (seq,)).fetchone())  # type: ignore[misc]


def _delete(connection: apsw.Connection, seq: int) -> None:
    connection.execute("delete from rows where seq = ?", (seq,))


def _close_the_gap(connection: apsw.Connection, seq: int) -> None:
    connection.execute("delete from rows where seq = ?", (seq,))
    for later in range(seq + 1, ROWS + 1):
        connection.execute("update rows set seq = ? where seq = ?", (later - 1, later))


def _swap(connection: apsw.Connection, seq: int) -> None:
    for old, new in ((seq, 9999), (seq + 1, seq), (9999, seq + 1)):
        connection.execute("update rows set seq = ? where seq = ?", (new, old))


def _insert(connection: apsw.Connection, seq: int) -> None:
    for later in range(ROWS, seq, -1):
        connection.execute("update rows set seq = ? where seq = ?", (later + 1, later))
    connection.execute(
        "insert into rows select ?, boot_id, boottime_ns, wall_ns, clock_state, kind, subject, body_hash,"
        " hash, body from rows where seq = ?",
        (seq + 1, seq),
    )


def _edit_with_its_hashes(connection: apsw.Connection, seq: int) -> None:
    """The careful forger: body, body hash and row hash fit each other, only the next row does not."""
    row = _row(connection, seq)
    body = row.body.replace(b"number", b"nvmber")
    forged = dataclasses.replace(row, body=body, body_hash=hashlib.sha256(body).digest())
    value = digest(_row(connection, seq - 1).hash, forged)
    connection.execute(
        "update rows set body = ?, body_hash = ?, hash = ? where seq = ?",
        (body, forged.body_hash, value, seq),
    )


EDITS = {
    "boot_id": "'another'",
    "boottime_ns": "boottime_ns + 1",
    "wall_ns": "wall_ns - 1",
    "clock_state": "'unsynced'",
    "kind": "'alarm.cleared'",
    "subject": "'low'",
    "body_hash": "zeroblob(32)",
    "hash": "zeroblob(32)",
}


def test_an_untouched_journal_verifies(sound: Path) -> None:
    found = verify(sound)
    assert (found.ok, found.rows, found.first, found.last) == (True, ROWS, 1, ROWS)


@pytest.mark.parametrize("column", EDITS)
def test_an_edit_of_any_column_is_found_at_its_row(sound: Path, tmp_path: Path, column: str) -> None:
    for place in PLACES:

        def change(connection: apsw.Connection, seq: int) -> None:
            connection.execute(f"update rows set {column} = {EDITS[column]} where seq = ?", (seq,))  # noqa: S608

        assert _after(sound, tmp_path, change, place).faults[0].seq == place


def test_an_edited_body_is_found_at_its_row(sound: Path, tmp_path: Path) -> None:
    for place in PLACES:
        found = _after(
            sound,
            tmp_path,
            lambda connection, seq: connection.execute(
                "update rows set body = (select body from rows where seq = 1) where seq = ?", (seq,)
            ),
            place,
        )
        assert [(fault.seq, fault.what) for fault in found.faults] == [(place, "record.body")]


@pytest.mark.parametrize(
    ("change", "offset"),
    [(_delete, 1), (_close_the_gap, 0), (_swap, 0), (_insert, 1), (_edit_with_its_hashes, 1)],
)
def test_delete_insert_reorder_and_forgery_are_found_within_one_row(
    sound: Path, tmp_path: Path, change: Callable[[apsw.Connection, int], None], offset: int
) -> None:
    for place in PLACES:
        found = _after(sound, tmp_path, change, place)
        assert found.faults[0].seq == place + offset


def test_a_deleted_first_row_is_found(sound: Path, tmp_path: Path) -> None:
    assert [fault.what for fault in _after(sound, tmp_path, _delete, 1).faults] == ["record.missing"]


def test_a_body_taken_away_is_found(sound: Path, tmp_path: Path) -> None:
    found = _after(
        sound,
        tmp_path,
        lambda connection, seq: connection.execute("update rows set body = null where seq = ?", (seq,)),
        77,
    )
    assert [(fault.seq, fault.what) for fault in found.faults] == [(77, "record.body_missing")]


@pytest.mark.parametrize("place", PLACES)
def test_a_cut_tail_is_found_only_against_a_receipt(sound: Path, tmp_path: Path, place: int) -> None:
    receipt = verify(sound).head
    with _opened(sound, tmp_path) as connection:
        connection.execute("delete from rows where seq > ?", (place,))
        connection.execute("delete from checkpoints where seq > ?", (place,))
    cut = tmp_path / "journal.db"
    assert verify(cut).ok
    assert [fault.what for fault in verify(cut, receipt).faults] == ["record.truncated"]


def test_a_history_written_anew_is_found_against_a_receipt(sound: Path, tmp_path: Path) -> None:
    with _opened(sound, tmp_path) as connection:
        _edit_with_its_hashes(connection, ROWS)
    receipt = verify(sound).head
    forged = tmp_path / "journal.db"
    assert [fault.what for fault in verify(forged).faults] == ["record.root"]
    assert [fault.what for fault in verify(forged, receipt).faults] == ["record.root", "record.receipt"]
    assert verify(sound, receipt).ok


def _readable_rows(path: Path) -> list[tuple[object, ...]] | None:
    """All rows as SQLite hands them out, or None when it does not."""
    query = f"select {COLUMNS} from rows order by seq"  # noqa: S608
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    try:
        with contextlib.closing(apsw.Connection(f"{path.as_uri()}?immutable=1", flags=flags)) as file:
            return list(file.execute(query))
    except (apsw.Error, UnicodeError):
        return None


def test_every_flipped_bit_that_changes_a_row_is_found_and_none_ends_the_check(
    sound: Path, tmp_path: Path
) -> None:
    content = sound.read_bytes()
    intact = _readable_rows(sound)
    path = tmp_path / "flipped.db"
    found = 0
    for bit in RNG.sample(range(len(content) * 8), 1000):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(flipped)
        verification = verify(path)
        found += not verification.ok
        assert not verification.ok or _readable_rows(path) == intact, f"bit {bit} went unseen"
    assert found > 500  # the others hit free space: no row reads differently


def _flipped_places(size: int) -> list[int]:
    """Bits all over the file, and every eighth of its first 100 bytes, on which everything else rests."""
    return [*RNG.sample(range(size * 8), 40), *range(0, 800, 8), *range(7, 800, 8)]


async def test_with_any_bit_flipped_the_journal_goes_on_and_hands_out_no_wrong_row(
    sound: Path, content: bytes, tmp_path: Path
) -> None:
    async with await Journal.open(sound, StandingClock()) as journal:
        intact = {row.seq: row for row in await journal.rows(0, ROWS)}
    for bit in _flipped_places(len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << (bit % 8)
        folder = tmp_path / str(bit)
        folder.mkdir()
        (folder / "journal.db").write_bytes(flipped)
        async with await Journal.open(folder / "journal.db", StandingClock()) as journal:
            with contextlib.suppress(JournalError):  # damage that only shows in use costs one append
                await journal.append([entry(1)], NOW)
            assert await journal.append([entry(2)], NOW) > ROWS, f"bit {bit}: a number was used twice"
            with contextlib.suppress(JournalError):
                old = [row for row in await journal.rows(0, 1000) if row.seq <= ROWS]
                assert all(intact[row.seq] == row for row in old), f"bit {bit}: a wrong row"


def test_a_torn_page_costs_its_rows_and_the_rest_is_still_read(sound: Path, tmp_path: Path) -> None:
    content = bytearray(sound.read_bytes())
    content[7 * 4096 : 9 * 4096] = bytes(2 * 4096)
    path = tmp_path / "torn.db"
    path.write_bytes(content)
    found = verify(path)
    assert 0 < found.rows < ROWS
    assert found.last == ROWS
    assert not found.ok


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "journal.db")
