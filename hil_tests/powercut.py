"""A disk that loses its power: records what SQLite writes, and makes the files a power cut could have left.

What was written before the last sync of a file is there. Of what was written after it, anything may be there:
nothing, a part in order, a part out of order, a write torn at a sector, sectors of garbage.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import apsw

SECTOR = 512  # bytes a disk writes at once
_LOGS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
_KEPT = apsw.SQLITE_OPEN_MAIN_DB | _LOGS


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes put at an offset."""

    offset: int
    data: bytes

    def apply(self, content: bytearray) -> None:
        """Do it; a gap before the offset becomes zeros."""
        content.extend(bytes(max(0, self.offset - len(content))))
        content[self.offset : self.offset + len(self.data)] = self.data


@dataclass(frozen=True, slots=True)
class Truncate:
    """The file cut to a size; a deleted file is one cut to nothing."""

    size: int

    def apply(self, content: bytearray) -> None:
        """Do it."""
        del content[self.size :]


@dataclass(frozen=True, slots=True)
class Sync:
    """Everything before this is safe."""


Operation = Write | Truncate | Sync
Change = Write | Truncate


@dataclass(slots=True)
class Recording:
    """`start` is what the files held at first, `log` what was done since: (file name, operation)."""

    start: dict[str, bytes]
    log: list[tuple[str, Operation]] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)  # names that the folder may still have after a cut


class _File(apsw.VFSFile):
    def __init__(self, recording: Recording, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._name = Path(path).name if flags[0] & _KEPT else ""
        self._recording = recording
        self._folder_due = bool(flags[0] & _LOGS and flags[0] & apsw.SQLITE_OPEN_CREATE)
        recording.deleted.discard(self._name)
        super().__init__("unix", name, flags)

    def _note(self, operation: Operation) -> None:
        if self._name:
            self._recording.log.append((self._name, operation))

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._note(Write(offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._note(Truncate(newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._note(Sync())
        if self._folder_due:  # SQLite syncs the folder with the first sync of a log that it may have created
            self._folder_due = False
            self._recording.log += [(name, Sync()) for name in sorted(self._recording.deleted)]
            self._recording.deleted.clear()


class _Disk(apsw.VFS):
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        super().__init__("recording", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _File:  # noqa: N802
        return _File(self._recording, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self._recording.log.append((Path(filename).name, Truncate(0)))
        self._recording.deleted.add(Path(filename).name)


@contextmanager
def recorded(folder: Path) -> Iterator[Recording]:
    """Record all that SQLite does to the files of `folder`, which nobody has open yet."""
    recording = Recording({file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()})
    disk = _Disk(recording)
    try:
        yield recording
    finally:
        disk.unregister()


def _some(changes: Sequence[Change], rng: random.Random) -> list[Change]:
    return [change for change in changes if rng.random() < 0.5]


def _prefix(changes: Sequence[Change], rng: random.Random) -> list[Change]:
    return list(changes[: rng.randint(0, len(changes))])


def _torn(changes: Sequence[Change], rng: random.Random) -> list[Change]:
    kept = _prefix(changes, rng)
    if kept and isinstance(last := kept[-1], Write):
        kept[-1] = Write(last.offset, last.data[: SECTOR * rng.randint(0, len(last.data) // SECTOR)])
    return kept


def _garbage(changes: Sequence[Change], rng: random.Random) -> list[Change]:
    kept = _some(changes, rng)
    for place, change in enumerate(kept):
        if isinstance(change, Write) and rng.random() < 0.5:
            kept[place] = Write(change.offset, rng.randbytes(len(change.data)))
    return kept


_LOSSES: tuple[Callable[[Sequence[Change], random.Random], list[Change]], ...] = (
    lambda changes, rng: [],
    lambda changes, rng: list(changes),
    _prefix,
    _some,
    _torn,
    _garbage,
)


def _content(start: bytes, done: Sequence[Operation], rng: random.Random) -> bytes:
    syncs = [place for place, operation in enumerate(done) if isinstance(operation, Sync)]
    safe = syncs[-1] if syncs else 0
    changes = [operation for operation in done if not isinstance(operation, Sync)]
    kept_safe = sum(not isinstance(operation, Sync) for operation in done[:safe])
    content = bytearray(start)
    for change in changes[:kept_safe] + rng.choice(_LOSSES)(changes[kept_safe:], rng):
        change.apply(content)
    return bytes(content)


def after_cut(recording: Recording, moment: int, rng: random.Random) -> dict[str, bytes]:
    """Name to content of the files as a cut after `moment` operations may have left them."""
    done = recording.log[:moment]
    names = {*recording.start, *(name for name, _ in done)}
    return {
        name: _content(recording.start.get(name, b""), [o for file, o in done if file == name], rng)
        for name in sorted(names)
    }


def put(files: dict[str, bytes], folder: Path) -> None:
    """Lay the files into an empty `folder`; empty ones are left out."""
    for name, content in files.items():
        if content:
            (folder / name).write_bytes(content)
