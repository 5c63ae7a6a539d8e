"""SQLite for the record: one file, one connection, one thread. Knows nothing of what is stored.

One connection writes, reads and checkpoints, because SQLite before 3.51.3 could lose commits when two
connections checkpointed; the version is checked all the same. A commit may take half a second on flash, so
nothing here ever runs on the event loop.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Literal, ParamSpec, TypeVar

import apsw

P = ParamSpec("P")
T = TypeVar("T")

OLDEST_SQLITE = (3, 51, 3)  # the first without the WAL-reset bug
BUSY_MS = 2000  # an offline reader may hold the file for a moment


@dataclass(frozen=True, slots=True)
class Settings:
    """How a file is written: `level` of synchronous, bytes of a page, pages of WAL before it is played back.

    A commit writes whole pages: small ones wear flash a third less than the usual 4096 (measured: rows of
    some hundred bytes, one and ten a commit, and the blocks and frames of the history). A WAL of 400 KiB is
    played back often enough to stay in the cache and seldom enough to write most pages once.
    """

    level: int
    page: int
    checkpoint: int
    shrinks: bool  # on demand: pages that were freed can be given back to the disk


SETTINGS = {"NORMAL": Settings(1, 1024, 400, True), "FULL": Settings(2, 1024, 400, False)}


class StoreError(Exception):
    """The file cannot be used as the record asks."""


def sqlite_version() -> tuple[int, ...]:
    """Version of the SQLite in use."""
    return tuple(int(part) for part in apsw.sqlite_lib_version().split("."))


def _settle(connection: apsw.Connection, name: str, value: str, expected: object) -> None:
    connection.execute(f"pragma {name}={value}")
    found = connection.pragma(name)
    if found != expected:
        raise StoreError(f"SQLite does not accept {name}={value}: it is {found!r}")


def connect(path: Path, synchronous: Literal["NORMAL", "FULL"]) -> apsw.Connection:
    """A writing connection in WAL mode. FULL: commits are durable; NORMAL: a power cut may cost the last.

    FULL is for rows of some hundred bytes, NORMAL for larger blobs: see SETTINGS.

    StoreError when SQLite is too old or refuses a setting; apsw.Error when the file cannot be opened.
    """
    if sqlite_version() < OLDEST_SQLITE:
        raise StoreError(f"SQLite {apsw.sqlite_lib_version()} can lose commits; 3.51.3 or later is needed")
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(BUSY_MS)
        settings = SETTINGS[synchronous]
        connection.execute(f"pragma page_size={settings.page}")  # of a file that is begun now
        if settings.shrinks:
            connection.execute("pragma auto_vacuum=incremental")  # likewise
        _settle(connection, "journal_mode", "wal", "wal")
        _settle(connection, "synchronous", synchronous, settings.level)
        _settle(connection, "wal_autocheckpoint", str(settings.checkpoint), settings.checkpoint)
    except BaseException:
        abandon(connection)
        raise
    return connection


def abandon(connection: apsw.Connection) -> None:
    """Let go of a connection that failed, without a last checkpoint: what is in the WAL stays there."""
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.close(True)


def sync_folder(folder: Path) -> None:
    """Make names that were created, linked or removed in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Worker:
    """A thread that does one job after the other."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._stopped = False
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `job`, run after all that was asked before it."""
        promise: Future[T] = Future()

        def do() -> None:
            if not promise.set_running_or_notify_cancel():
                return
            try:
                promise.set_result(job(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - told to whoever waits
                promise.set_exception(error)

        self.post(do)
        return await asyncio.wrap_future(promise)

    def post(self, job: Callable[[], None]) -> None:
        """Run `job` in its turn; it reports by itself and raises nothing."""
        if self._stopped:
            raise RuntimeError("the thread has ended")
        self._jobs.put(job)

    def stop(self) -> None:
        """End the thread; waits for the jobs in hand."""
        self._stopped = True
        self._jobs.put(None)
        self._thread.join()
