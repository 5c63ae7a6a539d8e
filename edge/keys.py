"""The keys with which the journal signs its checkpoints: a folder of Ed25519 pairs, newest last.

`journal-<n>.ed25519` is the private key (PKCS 8, PEM, mode 0600, in a folder of mode 0700), and
`journal-<n>.pub` its public part as text, for whoever is to check our record. A pair is made once and never
changed; what cannot be read, or does not fit its public part, is put aside and counts as lost.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from edge.checkpoint import decode_key, encode_key
from edge.store import sync_folder

_PRIVATE, _PUBLIC = ".ed25519", ".pub"


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair; `public` is 32 bytes."""

    private: Ed25519PrivateKey
    public: bytes

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> "Key":
        """The pair of a private key."""
        return cls(private, private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, text: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self.private.sign(text)


class Keyring:
    """The folder of our keys. Every method touches the disk and raises OSError where that fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, public: bytes) -> Key | None:
        """The pair with this public part."""
        return next((key for key in self._sound() if key.public == public), None)

    def newest(self) -> Key | None:
        """The last pair that was made and can be used."""
        return next(self._sound(), None)

    def make(self) -> Key:
        """A new pair, durable when this returns: a signature must not outlive its key."""
        key = Key.of(Ed25519PrivateKey.generate())
        self._folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(self._folder.parent)
        number = max(self._numbers(), default=0) + 1
        pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _put(self._file(number, _PUBLIC), encode_key(key.public).encode() + b"\n", 0o644)
        _put(self._file(number, _PRIVATE), pem, 0o600)
        return key

    def _sound(self) -> Iterator[Key]:
        """All pairs that can be used, newest first."""
        for number in sorted(self._numbers(), reverse=True):
            key = self._load(number)
            if key is not None:
                yield key

    def _load(self, number: int) -> Key | None:
        path = self._file(number, _PRIVATE)
        try:
            private = load_pem_private_key(path.read_bytes(), password=None)
            public = decode_key(self._file(number, _PUBLIC).read_text(encoding="ascii"))
        except FileNotFoundError:  # made only in part, or taken away
            return None
        except (IsADirectoryError, ValueError, TypeError, UnsupportedAlgorithm):
            path.replace(path.with_name(path.name + ".damaged"))
            return None
        key = Key.of(private) if isinstance(private, Ed25519PrivateKey) else None
        return key if key is not None and key.public == public else None

    def _numbers(self) -> set[int]:
        """The numbers of all files, so that none is ever used twice."""
        if not self._folder.is_dir():
            return set()
        names = [file.name.removeprefix("journal-").partition(".")[0] for file in self._folder.iterdir()]
        return {int(name) for name in names if name.isdecimal()}

    def _file(self, number: int, suffix: str) -> Path:
        return self._folder / f"journal-{number}{suffix}"


def _put(path: Path, content: bytes, mode: int) -> None:
    """Write a file in one step, durable when this returns."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)
    fresh.replace(path)
    sync_folder(path.parent)
