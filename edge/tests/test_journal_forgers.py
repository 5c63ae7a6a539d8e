"""Forgers of every kind, fifty places each: all are found, and the place is told to a checkpoint interval.

They know the layout and recompute every hash behind their change, so that the chain alone shows nothing; they
do not have the key. Whoever cuts the end or sets the file back leaves a record that is whole: only a receipt
tells.
"""

import asyncio
import contextlib
import dataclasses
import hashlib
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest

from edge.chain import Row, digest, seal
from edge.checkpoint import Checkpoint, origin, parse, sign
from edge.clock import ClockState, Instant
from edge.journal import Journal, JournalError, verify
from edge.keys import Key, Keyring
from edge.merkle import Frontier
from edge.notary import ROTATED, key_change
from edge.tables import CHECKPOINTS, KEYS, PUT_CHECKPOINT, insert
from edge.tests.journals import NOW, StandingClock, entry
from edge.verification import COLUMNS

EACH = 50
ROWS = 330
RNG = random.Random(6962)  # noqa: S311 - a seeded choice of places


@dataclass
class Copy:
    """A copy of a record in a forger's hands."""

    path: Path
    database: apsw.Connection

    def rows(self) -> list[Row]:
        query = f"select {COLUMNS} from rows order by seq"  # noqa: S608
        return [Row(*columns) for columns in self.database.execute(query)]

    def put(self, rows: list[Row]) -> None:
        """Write the whole history anew, every number and hash of it right."""
        prev, sealed = bytes(32), []
        for number, row in enumerate(rows, 1):
            fresh = dataclasses.replace(row, seq=number, body_hash=hashlib.sha256(row.body).digest())
            prev = digest(prev, fresh)
            sealed.append(dataclasses.replace(fresh, hash=prev).sealed)
        with self.database:
            self.database.execute("delete from rows")
            marks = ", ".join("?" * 10)
            self.database.executemany(f"insert into rows values ({marks})", sealed)  # noqa: S608


def _edit(rows: list[Row], place: int) -> list[Row]:
    body = rows[place].body.replace(b"number", b"nvmber")
    return [*rows[:place], dataclasses.replace(rows[place], body=body), *rows[place + 1 :]]


def _backdate(rows: list[Row], place: int) -> list[Row]:
    row = rows[place]
    return [
        *rows[:place],
        dataclasses.replace(row, wall_ns=row.wall_ns - 3_600_000_000_000),
        *rows[place + 1 :],
    ]


def _delete(rows: list[Row], place: int) -> list[Row]:
    return [*rows[:place], *rows[place + 1 :]]


def _reorder(rows: list[Row], place: int) -> list[Row]:
    return [*rows[: place - 1], rows[place], rows[place - 1], *rows[place + 1 :]]


def _insert(rows: list[Row], place: int) -> list[Row]:
    return [*rows[:place], rows[0], *rows[place:]]


FORGERS = {"edit": _edit, "backdate": _backdate, "delete": _delete, "reorder": _reorder, "insert": _insert}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of ROWS rows, with checkpoints of all three reasons: rows, time, kinds."""

    async def fill(path: Path) -> None:
        async with await Journal.open(path, StandingClock()) as journal:
            for number in range(ROWS):
                kind = "outage.started" if number % 70 == 33 else "alarm.raised"
                seconds = 0.7 * number
                now = Instant(NOW.wall + seconds, NOW.monotonic + seconds, NOW.boottime, ClockState.SYNCED)
                await journal.append([entry(number, kind)], now)

    path = tmp_path_factory.mktemp("sound") / "journal.db"
    asyncio.run(fill(path))
    return path


@contextlib.contextmanager
def copied(sound: Path, tmp_path: Path) -> Iterator[Copy]:
    path = tmp_path / "forged.db"
    shutil.copy(sound, path)
    with contextlib.closing(apsw.Connection(str(path))) as database:
        database.execute("pragma synchronous=off")
        yield Copy(path, database)


def _checkpoint_seqs(path: Path) -> list[int]:
    with contextlib.closing(apsw.Connection(str(path))) as database:
        return [seq for _, seq, _, _ in database.execute(CHECKPOINTS)]


@pytest.mark.parametrize("forger", FORGERS)
def test_a_history_written_anew_is_found_and_placed_between_two_checkpoints(
    sound: Path, tmp_path: Path, forger: str
) -> None:
    ends = _checkpoint_seqs(sound)
    for place in RNG.sample(range(1, ROWS - 1), EACH):
        with copied(sound, tmp_path) as copy:
            copy.put(FORGERS[forger](copy.rows(), place))
        found = verify(copy.path)
        assert not found.ok
        first, last = found.interval(found.faults[0].seq)
        changed = place + (0 if forger == "reorder" else 1)  # number of the first row that differs
        begin = max([0, *(end for end in ends if end < changed)])
        assert (first, last) == (begin + 1, min(end for end in ends if end >= changed)), f"row {changed}"


@pytest.mark.parametrize("forger", FORGERS)
def test_who_also_takes_the_checkpoints_away_is_found_where_they_are_missing(
    sound: Path, tmp_path: Path, forger: str
) -> None:
    for place in RNG.sample(range(1, 230), EACH):
        with copied(sound, tmp_path) as copy:
            copy.put(FORGERS[forger](copy.rows(), place))
            copy.database.execute("delete from checkpoints where seq > ?", (place - 1,))
        assert not verify(copy.path).ok


def test_a_cut_end_is_found_against_a_receipt(sound: Path, tmp_path: Path) -> None:
    receipt = verify(sound).head
    for place in RNG.sample(range(1, ROWS), EACH):
        with copied(sound, tmp_path) as copy:
            copy.database.execute("delete from rows where seq > ?", (place,))
        assert "record.truncated" in [fault.what for fault in verify(copy.path).faults]
        with copied(sound, tmp_path) as copy:
            copy.database.execute("delete from rows where seq > ?", (place,))
            copy.database.execute("delete from checkpoints where seq > ?", (place,))
        assert "record.truncated" in [fault.what for fault in verify(copy.path, receipt).faults]


async def test_a_file_set_back_whole_is_found_against_a_receipt_and_a_checkpoint(tmp_path: Path) -> None:
    path, old = tmp_path / "journal.db", tmp_path / "old"
    old.mkdir()
    for turn in range(EACH):
        async with await Journal.open(path, StandingClock()) as journal:
            await journal.append([entry(turn)] * RNG.randint(1, 9), NOW)
        shutil.copy(path, old / f"{turn}.db")
    async with await Journal.open(path, StandingClock()) as journal:
        await journal.append([entry(99)], NOW)
        held = parse(await journal.checkpoint())
        receipt = await journal.last()
    for turn in range(EACH):
        copy = old / f"{turn}.db"
        assert verify(copy).ok  # it was the record once
        assert [fault.what for fault in verify(copy, receipt).faults] == ["record.truncated"]
        assert [fault.what for fault in verify(copy, since=held).faults] == ["record.truncated"]


def _signed_anew(copy: Copy, folder: Path) -> Key:
    """The whole record with every checkpoint, by somebody with a key of his own."""
    key = Keyring(folder).make()
    rows = copy.rows()
    ends = [(size, seq) for size, seq, _, _ in copy.database.execute(CHECKPOINTS)]
    copy.database.execute("delete from checkpoints")
    copy.database.execute("delete from keys")
    copy.database.execute("insert into keys values (1, ?)", (key.public,))
    for size, seq in ends:
        tree = Frontier().grown(row.hash for row in rows[:size])
        note = sign(Checkpoint(origin(rows[0].hash), size, tree.root), key.public, key.sign)
        copy.database.execute("insert into checkpoints values (?, ?, ?, ?)", (size, seq, note, tree.packed()))
    return key


def test_a_record_signed_anew_with_another_key_is_found_by_key_receipt_and_checkpoint(
    sound: Path, tmp_path: Path
) -> None:
    honest = verify(sound)
    for place in RNG.sample(range(1, ROWS - 1), EACH):
        with copied(sound, tmp_path) as copy:
            copy.put(_edit(copy.rows(), place))
            _signed_anew(copy, tmp_path / f"keys-{place}")
        assert verify(copy.path).ok  # nothing in the file itself can tell
        whats = [fault.what for fault in verify(copy.path, key=honest.keys[0].public).faults]
        assert whats == ["record.key_unknown"]
        assert [fault.what for fault in verify(copy.path, honest.head).faults] == ["record.receipt"]


def test_a_forger_who_names_the_true_key_as_the_successor_of_his_own_is_found_by_key(
    sound: Path, tmp_path: Path
) -> None:
    true = verify(sound).keys[0].public
    with copied(sound, tmp_path) as copy:
        copy.put(_edit(copy.rows(), 40))
        own = _signed_anew(copy, tmp_path / "keys")
        rows = copy.rows()
        sealed, head = seal(rows[-1].head, [key_change(ROTATED, own.public, true, NOW)], NOW, "boot")
        insert(copy.database, sealed)
        tree = Frontier().grown(row.hash for row in copy.rows())
        note = sign(Checkpoint(origin(rows[0].hash), tree.size, tree.root), own.public, own.sign)
        copy.database.execute(PUT_CHECKPOINT, (tree.size, head.seq, note, tree.packed()))
    assert [fault.what for fault in verify(copy.path, key=true).faults] == ["record.key_unknown"]


# -- bits


def _flip(content: bytes, bit: int) -> bytes:
    flipped = bytearray(content)
    flipped[bit // 8] ^= 1 << (bit % 8)
    return bytes(flipped)


def _shown(path: Path) -> list[tuple[object, ...]] | None:
    """All rows and checkpoints as SQLite hands them out, or None when it does not."""
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    try:
        with contextlib.closing(apsw.Connection(f"{path.as_uri()}?immutable=1", flags=flags)) as file:
            rows = list(file.execute(f"select {COLUMNS} from rows order by seq"))  # noqa: S608
            return [*rows, *file.execute(CHECKPOINTS), *file.execute(KEYS)]
    except (apsw.Error, UnicodeError):
        return None


def _unseen(sound: Path, path: Path, bits: list[int]) -> list[int]:
    content, intact = sound.read_bytes(), _shown(sound)
    unseen = []
    for bit in bits:
        path.write_bytes(_flip(content, bit))
        if verify(path).ok and _shown(path) != intact:
            unseen.append(bit)
    return unseen


def test_a_flipped_bit_in_a_row_a_checkpoint_or_a_key_is_found(sound: Path, tmp_path: Path) -> None:
    assert _unseen(sound, tmp_path / "flipped.db", _places(sound, 200)) == []


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_ten_thousand_flipped_bits_are_found(sound: Path, tmp_path: Path) -> None:
    assert _unseen(sound, tmp_path / "flipped.db", _places(sound, 10_000)) == []


def _laid(sound: Path, folder: Path, bit: int) -> Path:
    folder.mkdir()
    shutil.copytree(sound.parent / "keys", folder / "keys")
    (folder / "journal.db").write_bytes(_flip(sound.read_bytes(), bit))
    return folder / "journal.db"


def _places(sound: Path, count: int) -> list[int]:
    return RNG.sample(range(sound.stat().st_size * 8), count)


async def _goes_on(path: Path, bit: int) -> None:
    """The journal opens and records, whichever bit was flipped."""
    async with await Journal.open(path, StandingClock()) as journal:
        with contextlib.suppress(JournalError):  # damage that only shows in use costs one append
            await journal.append([entry(1)], NOW)
        assert await journal.append([entry(2)], NOW) > ROWS, f"bit {bit}: a number was used twice"
    shutil.rmtree(path.parent)


async def test_the_journal_goes_on_after_any_flipped_bit(sound: Path, tmp_path: Path) -> None:
    for bit in _places(sound, 60):
        await _goes_on(_laid(sound, tmp_path / str(bit), bit), bit)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_the_journal_goes_on_after_a_thousand_flipped_bits(sound: Path, tmp_path: Path) -> None:
    for bit in _places(sound, 1000):
        await _goes_on(_laid(sound, tmp_path / str(bit), bit), bit)
