"""`monitor`: what passes on a bus, frame by frame. Without a service to listen to it asks by itself."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from drivers import Driver, DriverError, OpcUaBus, Point, Traffic, Verdict, explain
from edge.fieldwork import places, temporary
from edge.fieldwork.access import Access, BusView
from edge.fieldwork.messages import Asked, FieldworkError, Message, Stream, note
from edge.records import Plain

_MOST_WAITING = 1000  # frames kept for a terminal that is slower than the bus
_LONGEST_S = 86400.0
_PAUSE_S = 1.0  # between two devices, where we ask ourselves


class _Heard:
    """Frames between the bus, which never waits, and the reader."""

    def __init__(self) -> None:
        self._frames: deque[Traffic] = deque(maxlen=_MOST_WAITING)
        self._news = asyncio.Event()
        self.lost = 0

    def take(self, traffic: Traffic) -> None:
        """The tap: when the reader is too slow the oldest frame goes, and is counted."""
        self.lost += len(self._frames) == _MOST_WAITING
        self._frames.append(traffic)
        self._news.set()

    async def frames(self, until: float) -> AsyncIterator[Traffic]:
        """Frames as they come, until the loop's time is `until`."""
        with contextlib.suppress(TimeoutError):
            while True:
                while self._frames:
                    yield self._frames.popleft()
                self._news.clear()
                async with asyncio.timeout_at(until):
                    await self._news.wait()


async def monitor(access: Access, asked: Asked, _who: str) -> Stream:
    """Frame messages until `seconds` are over or the stream is closed."""
    view = places.bus(access, asked.text("bus"))
    if isinstance(view.setting, OpcUaBus):
        raise FieldworkError("no_frames", bus=view.id)
    device = asked.text("device") if asked.has("device") else None
    if device is not None and device not in {each.setting.id for each in view.devices}:
        raise FieldworkError("unknown_device", name=device, bus=view.id)
    loop = asyncio.get_running_loop()
    until = loop.time() + asked.number("seconds", 0.1, _LONGEST_S, _LONGEST_S)
    heard = _Heard()
    remove = access.listen(view.id, heard.take)
    asking = None if access.live else loop.create_task(_ask(access, view, device))
    if asking is not None:
        yield note("own_monitor")
    last: float | None = None
    try:
        async for traffic in heard.frames(until):
            if device is None or traffic.device == device:
                yield _frame(access, view, traffic, last)
            last = traffic.at
        if heard.lost:
            yield note("frames_lost", count=heard.lost)
    finally:
        remove()
        await _end(asking)


def _frame(access: Access, view: BusView, traffic: Traffic, last: float | None) -> Message:
    since_s = asyncio.get_running_loop().time() - traffic.at
    return {
        "kind": "frame",
        "device": traffic.device,
        "verdict": traffic.verdict.value,
        "sent": traffic.verdict in (Verdict.REQUEST, Verdict.RETRY),
        "data": traffic.data.hex(),
        "wall": round(access.now() - since_s, 4),
        "gap_ms": None if last is None else round((traffic.at - last) * 1000, 1),
        "meaning": _meaning(view, traffic),
    }


def _meaning(view: BusView, traffic: Traffic) -> list[Plain]:
    found = explain(view.setting, traffic)
    return [] if found is None else [{"key": found.key, "values": dict(found.values)}]


async def _ask(access: Access, view: BusView, only: str | None) -> None:
    """Read the devices of the bus in turn: without a service nobody else does."""
    chosen = [each for each in view.devices if only is None or each.setting.id == only]
    while True:
        for fitted in chosen:
            for names in temporary.chunks(fitted.profile, list(fitted.profile.registers)):
                with contextlib.suppress(DriverError):  # the frames say it
                    await _read(access, view.id, temporary.points(fitted.setting.id, fitted.profile, names))
        await asyncio.sleep(_PAUSE_S)


async def _read(access: Access, bus: str, points: tuple[Point, ...]) -> None:
    async def job(driver: Driver) -> None:
        await driver.read(points)

    await access.run(bus, job)


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is None:
        return
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
