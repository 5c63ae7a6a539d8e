"""A disk that fails at a chosen write or sync: what it answers, and what it then has of what was written.

Counted are writes, truncations and syncs of databases and their logs. A write that fails leaves half of its
bytes. A sync that fails throws away all that was written to the file since the last one, and the next sync
says that all is well: so does Linux, which marks the pages clean that it could not write.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

_KEPT = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


@dataclass(frozen=True, slots=True)
class Fault:
    """`error` at operation number `at` (from 1); `lasting`: and at every one after it.

    `syncs`: only syncs count and fail.
    """

    at: int
    error: str
    lasting: bool
    syncs: bool = False


ERRORS: dict[str, type[apsw.Error]] = {"EIO": apsw.IOError, "ENOSPC": apsw.FullError}


class Disk(apsw.VFS):
    """`done` counts operations since `arm`, `tripped` those that failed, `opened` databases opened."""

    def __init__(self) -> None:
        self.done = 0
        self.tripped = 0
        self.syncs_failed = 0
        self.opened = 0
        self._fault: Fault | None = None
        super().__init__("faults", "unix", makedefault=True)

    def arm(self, fault: Fault) -> None:
        """Fail as told, counting from here."""
        self._fault, self.done, self.tripped, self.syncs_failed = fault, 0, 0, 0

    def heal(self) -> None:
        """Everything succeeds from now on."""
        self._fault = None

    def fails(self, *, sync: bool = False) -> apsw.Error | None:
        """Count one operation; what it answers when it fails."""
        fault = self._fault
        if fault is not None and fault.syncs and not sync:
            return None
        self.done += 1
        if fault is None or self.done < fault.at or (self.done > fault.at and not fault.lasting):
            return None
        self.tripped += 1
        return ERRORS[fault.error](fault.error)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "_File":  # noqa: N802
        """A file on this disk."""
        self.opened += bool(flags[0] & apsw.SQLITE_OPEN_MAIN_DB)
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._counts = bool(flags[0] & _KEPT)
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._path = Path(path)
        self._safe: bytes | None = None  # the content at the last sync, once something was written after it
        super().__init__("unix", name, flags)

    def _fails(self, *, sync: bool = False) -> apsw.Error | None:
        return self._disk.fails(sync=sync) if self._counts else None

    def _keep(self) -> None:
        if self._safe is None and self._counts:
            self._safe = self._path.read_bytes()

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._keep()
        if error := self._fails():
            super().xWrite(data[: len(data) // 2], offset)
            raise error
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._keep()
        if error := self._fails():
            raise error
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if error := self._fails(sync=True):
            self._disk.syncs_failed += 1
            self._throw_away()
            raise error
        self._safe = None  # nothing here pulls a plug: the real disk need not be waited for

    def _throw_away(self) -> None:
        """Put the file back to what it was at the last sync."""
        if self._safe is None:
            return
        for start in range(0, len(self._safe), 1 << 16):
            super().xWrite(self._safe[start : start + (1 << 16)], start)
        super().xTruncate(len(self._safe))
        self._safe = None


@contextmanager
def faulty_disk() -> Iterator[Disk]:
    """All SQLite files opened meanwhile stand on a disk whose faults the test chooses."""
    disk = Disk()
    try:
        yield disk
    finally:
        disk.unregister()
