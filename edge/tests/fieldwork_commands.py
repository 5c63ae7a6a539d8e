"""Command lines of the technician's tools against lines that live in a thread of their own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

from drivers.tests.slaves import Slave, serve_tcp
from edge.__main__ import main


def run(*words: str) -> int:
    """One command; its exit code."""
    return main(list(words))


@contextmanager
def served(line: Callable[[], AbstractAsyncContextManager[int]]) -> Iterator[int]:
    """A line with a loop of its own, for commands that run theirs; its port."""
    ready = threading.Event()
    state: dict[str, object] = {}

    async def live() -> None:
        async with line() as port:
            stop, loop = asyncio.Event(), asyncio.get_running_loop()
            state.update(port=port, stop=lambda: loop.call_soon_threadsafe(stop.set))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    ready.wait(10.0)
    try:
        yield int(str(state["port"]))
    finally:
        stop: Callable[[], None] = state["stop"]  # type: ignore[assignment]
        stop()
        thread.join(10.0)


@contextmanager
def slave_thread(slave: Slave) -> Iterator[int]:
    """A Modbus slave; its port."""
    with served(lambda: serve_tcp(slave)) as port:
        yield port


@contextmanager
def command_on(
    line: Callable[[], AbstractAsyncContextManager[int]], protocol: str
) -> Iterator[Callable[..., int]]:
    """A function that runs a command on a line of meters behind a converter."""
    with served(line) as port:
        where = ("--host", "127.0.0.1", "--tcp-port", str(port), "--protocol", protocol, "--timeout", "0.05")
        yield lambda verb, *more: run(verb, *where, *more)
