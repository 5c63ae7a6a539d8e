"""Checkpoints: the head of the record's Merkle tree as a signed note. Pure, but for the signing itself.

The form is C2SP tlog-checkpoint (a C2SP signed note), so that any witness or auditor's tool reads it:

    substation-edge/journal/<32 hex digits>   origin: which record this is
    1234                                      rows in the tree
    <base64>                                  root of the tree (RFC 6962)
    <empty line>
    — <origin> <base64 of 4 bytes key id and 64 bytes Ed25519 signature over the three lines>

The origin holds the first half of the hash of the row with which the record began: the first row of all, or
the newest `journal.segment`, so that the checkpoints of two files never pass for those of one. The id of a
key is the first 4 bytes of SHA-256(origin, 0x0A, 0x01, public key); it only says which key to try.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.merkle import DIGEST

MOST_NOTE = 4096  # characters; ours have about 270
_ED25519 = b"\x01"
_SIGNATURE = 64
_MOST_SIZE = (1 << 63) - 1
_PREFIX = "substation-edge/journal/"
_DASH = "— "


class NoteError(ValueError):
    """A text is no checkpoint."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of one record's tree: its root over the first `size` rows."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who, with which key, what."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint with its signatures, none of them checked."""

    checkpoint: Checkpoint
    signatures: tuple[Signature, ...]

    def signed_by(self, public: bytes) -> bool:
        """Is a signature of the log's own name with this Ed25519 key (32 bytes) on it, and right?"""
        name = self.checkpoint.origin
        wanted = key_id(name, public)
        for one in self.signatures:
            if one.name == name and one.key_id == wanted:
                return _is_right(public, one.signature, self.checkpoint.text.encode())
        return False

    def signer(self, publics: Iterable[bytes]) -> bytes | None:
        """The first of these keys whose signature is on it."""
        return next((public for public in publics if self.signed_by(public)), None)


def origin(begin: bytes) -> str:
    """The name of the record that began with the row of this hash."""
    return _PREFIX + begin[:16].hex()


def key_id(name: str, public: bytes) -> bytes:
    """The 4 bytes by which a signed note names a key."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def fingerprint(public: bytes) -> str:
    """A public key in few letters, for people to compare: the same whatever record it signs."""
    return hashlib.sha256(public).hexdigest()[:16]


def encode_key(public: bytes) -> str:
    """A public key as text: base64 of 0x01 and the 32 bytes, the last part of a note's verifier key."""
    return base64.b64encode(_ED25519 + public).decode()


def decode_key(text: str) -> bytes:
    """The 32 bytes of a key as `encode_key` or a whole verifier key `name+id+key` gives it; NoteError."""
    found = _unbase64(text.strip().split("+", 2)[2] if _is_verifier_key(text) else text.strip())
    if len(found) != 1 + DIGEST or found[:1] != _ED25519:
        raise NoteError("not an Ed25519 public key")
    return found[1:]


def _is_verifier_key(text: str) -> bool:
    parts = text.strip().split("+", 2)
    return len(parts) == 3 and len(parts[1]) == 8 and len(parts[2]) == 44


def sign(checkpoint: Checkpoint, public: bytes, signed: Callable[[bytes], bytes]) -> str:
    """The note, signed with the key pair of `public` by `signed`."""
    text = checkpoint.text
    blob = key_id(checkpoint.origin, public) + signed(text.encode())
    return f"{text}\n{_DASH}{checkpoint.origin} {base64.b64encode(blob).decode()}\n"


def parse(note: str) -> Note:
    """The checkpoint in a note; NoteError when it is none. Extra lines are refused: we write none."""
    if not isinstance(note, str):
        raise NoteError("not a text")
    text, blank, signatures = note.rpartition("\n\n")
    lines = text.split("\n")
    if not blank or len(note) > MOST_NOTE or not signatures.endswith("\n") or len(lines) != 3:
        raise NoteError("not a signed note of three lines")
    name, size, root = lines
    if not name or not size.isascii() or not size.isdecimal() or str(int(size)) != size:
        raise NoteError("the origin or the size cannot be read")
    checkpoint = Checkpoint(name, int(size), _unbase64(root))
    if len(checkpoint.root) != DIGEST or checkpoint.size > _MOST_SIZE:
        raise NoteError("the root or the size cannot be that of a tree")
    return Note(checkpoint, tuple(_signature(line) for line in signatures[:-1].split("\n")))


def _signature(line: str) -> Signature:
    name, _, blob = line.removeprefix(_DASH).partition(" ")
    found = _unbase64(blob)
    if not line.startswith(_DASH) or not name or len(found) <= 4:
        raise NoteError("a signature line cannot be read")
    return Signature(name, found[:4], found[4:])


def _unbase64(text: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("not base64") from error
    if base64.b64encode(found).decode() != text:  # two texts for the same bytes would be two notes
        raise NoteError("not base64 in its one form")
    return found


def _is_right(public: bytes, signature: bytes, text: bytes) -> bool:
    if len(signature) != _SIGNATURE:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
