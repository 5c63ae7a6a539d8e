"""From the tools to the buses: through the running service where there is one, else by opening the port.

What was chosen is said in the first message (`way`). A service that runs but cannot be spoken to is an error:
two masters on one line would disturb the plant.
"""

import asyncio
import contextlib
import json
from contextlib import aclosing
from pathlib import Path

from edge.clock import SystemClock
from edge.fieldwork.access import BusView, Own
from edge.fieldwork.messages import FieldworkError, Request, Stream, encode
from edge.fieldwork.operations import perform
from edge.fieldwork.server import user_name

STATUS = "status.json"
_FRESH_S = 15.0  # the service renews its status every second
_LONGEST_MESSAGE = 1 << 20


async def through_service(path: Path, request: Request) -> Stream | None:
    """The messages of the service at this socket; None where no service runs."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=_LONGEST_MESSAGE)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        if _service_lives(path):
            raise FieldworkError("unreachable", path=str(path), why=str(error)) from error
        return None
    except OSError as error:
        code = "denied" if isinstance(error, PermissionError) else "unreachable"
        raise FieldworkError(code, path=str(path), why=str(error.strerror or error)) from error
    return _messages(reader, writer, path, request)


def _service_lives(path: Path) -> bool:
    """True when the status beside the socket is still being renewed."""
    try:
        age_s = SystemClock().now().wall - path.with_name(STATUS).stat().st_mtime
    except OSError:
        return False
    return age_s < _FRESH_S


async def _messages(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: Path, request: Request
) -> Stream:
    yield {"kind": "way", "through": "service", "where": str(path)}
    try:
        writer.write(encode(dict(request)))
        await writer.drain()
        ended = False
        while line := await reader.readline():
            message = json.loads(line)
            ended = message["kind"] in ("done", "error")
            yield message
        if not ended:
            raise FieldworkError("service_ended")
    except (OSError, ValueError) as error:
        raise FieldworkError("service_ended") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def directly(views: dict[str, BusView], folder: Path | None, request: Request, where: str) -> Stream:
    """The messages of our own work on ports that we open."""
    yield {"kind": "way", "through": "direct", "where": where}
    clock = SystemClock()
    async with (
        Own(views, folder, lambda: clock.now().wall) as access,
        aclosing(perform(access, request, user_name())) as stream,
    ):
        async for message in stream:
            yield message
