"""Keys are made once, kept from others, and what cannot be used counts as lost instead of being believed."""

from pathlib import Path

from edge.checkpoint import decode_key
from edge.keys import Keyring


def test_a_key_is_found_again_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    made = Keyring(folder).make()
    found = Keyring(folder).newest()
    assert found is not None
    assert found.public == made.public
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "journal-1.ed25519").stat().st_mode & 0o777 == 0o600
    assert decode_key((folder / "journal-1.pub").read_text()) == made.public
    assert {file.name for file in folder.iterdir()} == {"journal-1.ed25519", "journal-1.pub"}


def test_every_key_has_its_own_number_and_an_older_one_is_still_found(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / "keys")
    keys = [ring.make() for _ in range(3)]
    newest = ring.newest()
    assert newest is not None
    assert newest.public == keys[2].public
    assert [ring.find(key.public) is not None for key in keys] == [True, True, True]
    (tmp_path / "keys" / "journal-3.ed25519").unlink()
    assert ring.find(keys[2].public) is None
    ring.make()
    assert (tmp_path / "keys" / "journal-4.pub").exists()


def test_no_folder_is_no_key(tmp_path: Path) -> None:
    assert Keyring(tmp_path / "keys").newest() is None


def test_no_flipped_bit_turns_a_key_into_another_one(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    made = Keyring(folder).make()
    file = folder / "journal-1.ed25519"
    content = file.read_bytes()
    for place in range(0, len(content) * 8, 5):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << (place % 8)
        file.write_bytes(flipped)
        found = Keyring(folder).newest()
        assert found is None or found.public == made.public
