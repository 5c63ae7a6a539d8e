"""The service's local socket for a technician's tools: one request line in, message lines out until the end.

A unix socket, mode 0660, beside the status file. Whoever may open it may work on the buses; the kernel tells
who it is. Bad input gets an error line and costs nobody else anything; a client that goes away ends his work
at the next exchange.
"""

import asyncio
import contextlib
import json
import logging
import os
import pwd
import socket
import struct
from contextlib import aclosing
from pathlib import Path

from edge.fieldwork.access import Access
from edge.fieldwork.messages import FieldworkError, Message, Request, encode
from edge.fieldwork.operations import perform

log = logging.getLogger(__name__)

LONGEST_LINE = 16 * 1024
MOST_SESSIONS = 4
_PARTING_S = 1.0
_PATIENCE_S = 10.0  # real seconds: for the request line, and for a client that does not read


class Server:
    """Serves until cancelled. Without a socket, which is logged, the plant is controlled all the same."""

    def __init__(self, path: Path, access: Access) -> None:
        self._path = path
        self._access = access
        self._sessions: set[asyncio.Task[None]] = set()
        self._serving = 0
        self._ended = False

    async def run(self) -> None:
        """Listen until cancelled, then end every session and take the socket away."""
        try:
            listener = self._bind()
            mine = self._path.stat().st_ino
        except OSError as error:
            log.error("no socket for the tools", extra={"path": str(self._path), "error": str(error)})
            return
        try:
            server = await asyncio.start_unix_server(self._accept, sock=listener, limit=LONGEST_LINE)
            async with server:
                await server.serve_forever()
        finally:
            await self._end_sessions()
            self._unbind(mine)

    def _bind(self) -> socket.socket:
        """Nobody else can connect before the mode is set: a socket that does not listen refuses."""
        self._path.unlink(missing_ok=True)  # of a run that was killed; there is one service per folder
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self._path))
            self._path.chmod(0o660)
        except OSError:
            listener.close()
            raise
        return listener

    def _unbind(self, mine: int) -> None:
        """Take the socket away, unless another run has put its own there since."""
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == mine:
                self._path.unlink()

    async def _end_sessions(self) -> None:
        self._ended = True
        sessions = list(self._sessions)
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = asyncio.current_task()
        assert session is not None
        self._sessions.add(session)
        try:
            if self._ended:
                return  # it was accepted while we ended
            if self._serving < MOST_SESSIONS:
                await self._serve(reader, writer)
            else:
                await _send(writer, FieldworkError("crowded", most=MOST_SESSIONS).message())
            await _part(reader, writer)
        except (ConnectionError, TimeoutError):
            pass  # the client is gone, or does not read
        except asyncio.CancelledError:
            pass  # the service ends; the streams' own task has nobody to tell
        except Exception:
            log.exception("a technician's session failed")
        finally:
            self._sessions.discard(session)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving += 1
        try:
            await self._converse(await _request(reader), reader, writer)
        except FieldworkError as error:
            await _send(writer, error.message())
        finally:
            self._serving -= 1

    async def _converse(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Work until it is done or the client has gone, whichever is first."""
        work = asyncio.create_task(self._work(request, writer))
        gone = asyncio.create_task(_gone(reader))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, gone):
                task.cancel()
            ended = await asyncio.gather(work, gone, return_exceptions=True)
        if isinstance(ended[0], Exception):
            raise ended[0]

    async def _work(self, request: Request, writer: asyncio.StreamWriter) -> None:
        who = _peer(writer)
        log.info("a technician asks", extra={"who": who, "verb": str(request.get("verb"))[:40]})
        try:
            async with aclosing(perform(self._access, request, who)) as stream:
                async for message in stream:
                    await _send(writer, message)
        except (ConnectionError, TimeoutError):
            raise
        except Exception:
            log.exception("a technician's request failed")
            await _send(writer, FieldworkError("internal").message())


async def _request(reader: asyncio.StreamReader) -> Request:
    """The request line; FieldworkError where it is none."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError as error:
        raise FieldworkError("too_long", most=LONGEST_LINE) from error
    except asyncio.IncompleteReadError as error:
        raise FieldworkError("half_a_line") from error
    except TimeoutError as error:
        raise FieldworkError("half_a_line") from error
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FieldworkError("not_json") from error
    if not isinstance(request, dict):
        raise FieldworkError("not_json")
    return request


async def _gone(reader: asyncio.StreamReader) -> None:
    """Return when the client has gone away; what he says after his request concerns nobody."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(4096):
            continue


async def _part(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that this was all, and take what is still coming: closed over unread bytes, the answer is lost."""
    if writer.is_closing():  # the client was quicker
        return
    writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PARTING_S):
            await _gone(reader)


async def _send(writer: asyncio.StreamWriter, message: Message) -> None:
    """TimeoutError when the client does not take it in time."""
    writer.write(encode(message))
    async with asyncio.timeout(_PATIENCE_S):
        await writer.drain()


def _peer(writer: asyncio.StreamWriter) -> str:
    """The user at the other end, as the kernel says (SO_PEERCRED: pid, uid, gid)."""
    sock = writer.get_extra_info("socket")
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return user_name(struct.unpack("3i", raw)[1])


def user_name(uid: int | None = None) -> str:
    """The name of a user of this machine, or its number."""
    uid = os.getuid() if uid is None else uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
