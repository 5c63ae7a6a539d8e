"""A technician's jobs on a bus: they wait in a queue of their own, and the bus's task runs them one by one.

The one who asked gets the result, or whatever the job raised. When he goes away (is cancelled) his job is
dropped; one already on the line is let finish, for an exchange broken off costs the bus more than its end.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from drivers import ClosedError, Driver

T = TypeVar("T")
Job = Callable[[Driver], Awaitable[T]]

PATIENCE_S = 5.0  # real seconds that a job waits on a line that control inputs keep busy
LONGEST_S = 30.0  # real seconds: a job that hangs ends in TimeoutError and does not hang the bus


class Errands:
    """The queue. `wake` is called when there is something to do."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._queue: deque[tuple[Job[Any], asyncio.Future[Any]]] = deque()
        self._closed = False
        self._since = 0.0  # loop time from which the oldest job waits: asked, or the last one's end

    async def ask(self, job: Job[T]) -> T:
        """The job's result; ClosedError when the bus ends before its turn comes."""
        if self._closed:
            raise ClosedError("the bus is served no longer")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        if not self.waiting:
            self._since = loop.time()
        self._queue.append((job, done))
        self._wake()
        return await done

    @property
    def waiting(self) -> bool:
        """True when somebody waits for a job's turn; those who went away are forgotten."""
        while self._queue and self._queue[0][1].done():
            self._queue.popleft()
        return bool(self._queue)

    @property
    def impatient(self) -> bool:
        """True when the oldest job has waited so long that it goes before control inputs, once."""
        return asyncio.get_running_loop().time() - self._since >= PATIENCE_S

    async def run_next(self, driver: Driver) -> None:
        """Run the oldest job; what it raises goes to the one who asked. Call only when one is `waiting`."""
        job, done = self._queue.popleft()
        try:
            async with asyncio.timeout(LONGEST_S):
                result = await job(driver)
        except asyncio.CancelledError:
            self._fail(done, ClosedError("the bus ended during the job"))
            if _we_are_cancelled():
                raise
        except Exception as error:  # noqa: BLE001 (whatever it is, it is its owner's and must not end the bus)
            self._fail(done, error)
        else:
            if not done.done():
                done.set_result(result)
        finally:
            self._since = asyncio.get_running_loop().time()

    def close(self) -> None:
        """The bus ends: everybody who waits is told."""
        self._closed = True
        while self._queue:
            self._fail(self._queue.popleft()[1], ClosedError("the bus ended before the job's turn"))

    def _fail(self, done: asyncio.Future[Any], error: Exception) -> None:
        if not done.done():
            done.set_exception(error)


def _we_are_cancelled() -> bool:
    """True when the bus's own task is asked to end, not only something inside the job."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
