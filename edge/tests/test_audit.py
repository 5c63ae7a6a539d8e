"""`verify` at the terminal: what an auditor with a copy, a receipt and a public key is told."""

import json
from pathlib import Path

import apsw
import pytest

from edge.__main__ import main
from edge.chain import Row
from edge.checkpoint import encode_key
from edge.journal import Journal, verify
from edge.receiver import command
from edge.receiver.store import Store
from edge.tests.journals import NOW, StandingClock, entry, write
from edge.upstream.codec import JOURNAL, Batch
from edge.upstream.source import journal_wire


@pytest.fixture
async def copy(tmp_path: Path) -> Path:
    path = tmp_path / "journal.db"
    await write(path, 250, batch=25)
    return path


def _receipt(tmp_path: Path, **said: object) -> str:
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(said))
    return str(path)


def _checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["verify", *words, "--lang", "en"])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_a_whole_record_is_said_to_be_whole_and_its_key_is_shown(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = _checked(capsys, str(copy))
    assert code == 0
    assert "250 rows, chain whole" in said
    assert encode_key(verify(copy).keys[0].public) in said
    assert "--receipt" in said
    assert main(["verify", str(copy), "--lang", "zh"]) == 0
    assert "共 250 行" in capsys.readouterr().out


def test_a_change_is_placed_between_two_checkpoints(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with apsw.Connection(str(copy)) as database:
        database.execute("update rows set subject = 'low' where seq = 133")
    code, said = _checked(capsys, str(copy))
    assert code == 1
    assert "row 133" in said
    assert "between two checkpoints: rows 101 to 200" in said


def test_a_receipt_a_key_and_a_checkpoint_are_held_against_the_file(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = verify(copy).head
    key = str(tmp_path / "keys" / "journal-1.pub")
    note = tmp_path / "held.note"
    with apsw.Connection(str(copy)) as database:
        first = database.execute("select hash from rows where seq = 1").get.hex()
        note.write_text(database.execute("select note from checkpoints where seq = 100").get)
    right = _receipt(tmp_path, log=first, seq=head.seq, hash=head.hash.hex())
    code, said = _checked(capsys, str(copy), "--receipt", right, "--key", key, "--since", str(note))
    assert (code, "--receipt" in said, "--key" in said) == (0, False, False)
    ahead = _receipt(tmp_path, log=first, seq=251, hash=head.hash.hex())
    assert "cut off" in _checked(capsys, str(copy), "--receipt", ahead)[1]
    other = _receipt(tmp_path, log="00" * 32, seq=250, hash=head.hash.hex())
    assert "another record" in _checked(capsys, str(copy), "--receipt", other)[1]
    assert "never signed" in _checked(capsys, str(copy), "--key", encode_key(bytes(32)))[1]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"seq": true, "hash": ""}', '{"seq": 1, "hash": 5}', '{"seq": 1}']
)
def test_a_receipt_that_cannot_be_read_is_no_receipt(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(text)
    assert _checked(capsys, str(copy), "--receipt", str(path))[0] == 2
    assert _checked(capsys, str(copy), "--key", "no key")[0] == 2
    assert _checked(capsys, str(copy), "--since", str(path))[0] == 2


async def test_the_receiver_writes_receipts_that_verify_reads(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await Journal.open(path, StandingClock()) as journal:
        await journal.append([entry(number) for number in range(10)], NOW)
        rows: list[Row] = await journal.rows(0, 100)
    batch = Batch("gw/1", JOURNAL, rows[0].hash, 0, bytes(32), tuple(map(journal_wire, rows)))
    store = Store(tmp_path / "received.db")
    command._keep(tmp_path, batch, store.take(batch, 1.0))
    store.close()
    kept = tmp_path / "gw%2F1.json"
    assert main(["verify", str(path), "--receipt", str(kept), "--lang", "en"]) == 0
    with apsw.Connection(str(path)) as database:
        database.execute("delete from rows where seq > 8")
        database.execute("delete from checkpoints")
    assert main(["verify", str(path), "--receipt", str(kept), "--lang", "en"]) == 1
