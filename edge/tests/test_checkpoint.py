"""A checkpoint reads everywhere a signed note is read, and nothing that differs by a bit passes for one."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge.checkpoint import (
    Checkpoint,
    Note,
    NoteError,
    Signature,
    decode_key,
    encode_key,
    key_id,
    origin,
    parse,
    sign,
)
from edge.keys import Key
from edge.merkle import Frontier

# The key and the signature that the Go module golang.org/x/mod/sumdb/note documents and tests itself with.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
GO_BLOB = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
KEY = Key.of(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = Key.of(Ed25519PrivateKey.from_private_bytes(bytes(32)))
NAME = origin(bytes(range(32)))


def test_our_key_ids_and_signatures_are_those_of_the_go_module() -> None:
    key = Key.of(Ed25519PrivateKey.from_private_bytes(GO_SEED))
    assert key.public == decode_key(GO_KEY)
    assert key_id("PeterNeumann", key.public).hex() == "c74f20a3"
    blob = key_id("PeterNeumann", key.public) + key.sign(GO_TEXT.encode())
    assert base64.b64encode(blob).decode() == GO_BLOB


def test_the_example_of_the_specification_is_read() -> None:
    found = parse(
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1g"
        "GzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    )
    assert (found.checkpoint.origin, found.checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert found.signatures[0].key_id == bytes.fromhex("033de0ae")


@given(st.integers(0, (1 << 63) - 1), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_is_read_as_it_was_signed_and_only_its_key_fits(size: int, root: bytes) -> None:
    note = parse(sign(Checkpoint(NAME, size, root), KEY.public, KEY.sign))
    assert note.checkpoint == Checkpoint(NAME, size, root)
    assert note.signer([OTHER.public, KEY.public]) == KEY.public
    assert not note.signed_by(OTHER.public)


@given(st.data())
def test_no_changed_character_leaves_a_signed_checkpoint(data: st.DataObject) -> None:
    text = sign(Checkpoint(NAME, 1234, bytes(range(32))), KEY.public, KEY.sign)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(exclude_categories=["Cs"]).filter(lambda one: one != text[place]))
    try:
        found = parse(text[:place] + letter + text[place + 1 :])
    except NoteError:
        return
    assert not found.signed_by(KEY.public)


def test_signatures_of_witnesses_stand_beside_ours() -> None:
    text = sign(Checkpoint(NAME, 7, bytes(32)), KEY.public, KEY.sign)
    witnessed = text + "— witness.example/w " + base64.b64encode(bytes(76)).decode() + "\n"
    found = parse(witnessed)
    assert found.signed_by(KEY.public)
    assert found.signatures[1] == Signature("witness.example/w", bytes(4), bytes(72))


def test_a_key_of_another_name_or_a_short_signature_does_not_count() -> None:
    checkpoint = Checkpoint(NAME, 7, bytes(32))
    signed = KEY.sign(checkpoint.text.encode())
    identity = key_id(NAME, KEY.public)
    for one in (Signature("another", identity, signed), Signature(NAME, identity, signed[:63])):
        assert not Note(checkpoint, (one,)).signed_by(KEY.public)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\nAA==\n\n— a AAAAAAA=\n",
        f"a\n01\n{base64.b64encode(bytes(32)).decode()}\n\n— a AAAAAAA=\n",
        f"a\n1\n{base64.b64encode(bytes(32)).decode()}\nmore\n\n— a AAAAAAA=\n",
        f"a\n1\n{base64.b64encode(bytes(32)).decode()}\n\n-- a AAAAAAA=\n",
        f"a\n1\n{base64.b64encode(bytes(32)).decode()}\n\n— a AAAAAAA=",
        f"a\n{1 << 63}\n{base64.b64encode(bytes(32)).decode()}\n\n— a AAAAAAA=\n",
        f"\n1\n{base64.b64encode(bytes(32)).decode()}\n\n— a AAAAAAA=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        parse(text)


@pytest.mark.parametrize("column", [None, 7, b"bytes", 1.5])
def test_what_a_flipped_bit_makes_of_a_column_is_refused_too(column: object) -> None:
    with pytest.raises(NoteError):
        parse(column)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="frontier"):
        Frontier.unpacked(1, None if column == b"bytes" else column)


def test_a_public_key_travels_as_text() -> None:
    assert decode_key(encode_key(KEY.public) + "\n") == KEY.public
    for text in ("", "AAAA", encode_key(KEY.public)[:-4], base64.b64encode(bytes(33)).decode()):
        with pytest.raises(NoteError):
            decode_key(text)
