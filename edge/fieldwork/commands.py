"""The tools' command lines: arguments into a request, messages onto the terminal, an exit code.

Exit codes: 0 well, 1 what was asked found a fault (a device that refuses, a value that differs), 2 it could
not be done; 130 a scan that was interrupted.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from drivers import (
    Bus,
    Cjt188Bus,
    MBusBus,
    ModbusRtuBus,
    ModbusTcpBus,
    OpcUaBus,
    SerialPort,
    TcpHost,
)
from edge.assembly import bus_setting
from edge.check import load
from edge.fieldwork.access import BusView
from edge.fieldwork.arguments import LINE
from edge.fieldwork.client import directly, through_service
from edge.fieldwork.messages import FieldworkError, Message, Request, Stream
from edge.fieldwork.show import Printer
from edge.texts import Texts

_FOUND_FAULTS = frozenset({"refused", "no_answer", "differs", "protocol", "nothing"})
_OF_THE_SERVICE = frozenset({"alarm", "outage", "plan"})  # nobody else knows of them
_TCP_PORTS = {"modbus": 502, "mbus": 10001, "cjt188": 10001}
_BAUDS = {"modbus": 19200, "mbus": 2400, "cjt188": 2400}


def run(options: argparse.Namespace, texts: Texts) -> int:
    """One command, from its parsed arguments to its exit code."""
    printer = Printer(texts, raw=options.json)
    try:
        return _run(options, printer)
    except FieldworkError as error:
        printer.show(error.message())
        return 2


def _run(options: argparse.Namespace, printer: Printer) -> int:
    request = _REQUESTS[options.verb](options)
    if "bus" in request and _line(options):
        request["bus"] = LINE
    if options.verb == "write" and not options.yes and "value" in request:
        code = asyncio.run(_once(options, request, printer))
        if code != 0:
            return code
        if not _confirmed(printer):
            printer.declined()
            return 1
        request["confirmed"] = True
        printer.again()
    return asyncio.run(_once(options, request, printer))


def _confirmed(printer: Printer) -> bool:
    """Asked outside of any event loop: there Ctrl-C and the end of input are a no, at once."""
    if not sys.stdin.isatty():
        raise FieldworkError("not_confirmed")
    try:
        return printer.ask()
    except (KeyboardInterrupt, EOFError):
        return False


async def _once(options: argparse.Namespace, request: dict[str, Any], printer: Printer) -> int:
    """Send one request wherever it must go, and show what comes."""
    verdict = _Verdict()
    try:
        lines: list[tuple[Bus | None, str]] = [*_line(options)]
        for setting, where in lines or [(None, "")]:
            async with aclosing(await _stream(options, request, setting, where)) as messages:
                async for message in messages:
                    verdict.see(message)
                    printer.show(message)
                    if message["kind"] == "draft":
                        printer.show(_drafted(options.draft, str(message["text"])))
    except asyncio.CancelledError:  # Ctrl-C: what was found stands
        printer.interrupted(options.verb == "scan")
        return 0 if options.verb == "monitor" else 130
    return verdict.code


class _Verdict:
    """The exit code of a stream: 2 it could not be done, 1 a fault was found or nothing read was good."""

    def __init__(self) -> None:
        self._error = 0
        self._values = 0
        self._good = 0

    def see(self, message: Message) -> None:
        """One more message."""
        if message["kind"] == "error":
            self._error = max(self._error, 1 if message["code"] in _FOUND_FAULTS else 2)
        elif message["kind"] == "answer" and not message["accepted"]:
            self._error = max(self._error, 1)
        elif message["kind"] == "value":
            self._values += 1
            self._good += message["quality"] != "bad"

    @property
    def code(self) -> int:
        """After the last message."""
        return self._error or int(self._values > 0 and self._good == 0)


def _drafted(path: Path | None, text: str) -> Message:
    """Write the profile's draft where it was wanted."""
    if path is None:
        return {"kind": "drafted", "state": "hint", "path": ""}
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FieldworkError("draft", path=str(path), why=str(error.strerror)) from error
    return {"kind": "drafted", "state": "written", "path": str(path)}


async def _stream(options: argparse.Namespace, request: Request, setting: Bus | None, where: str) -> Stream:
    """On a line of our own where one is given, else through the service, else on the site's buses."""
    if setting is not None:
        return directly({LINE: BusView(LINE, setting)}, None, request, where)
    stream = await through_service(options.socket, request)
    if stream is None and options.verb in _OF_THE_SERVICE:
        raise FieldworkError("no_service")
    return stream if stream is not None else directly(*_site(options), request, str(options.site))


def _site(options: argparse.Namespace) -> tuple[dict[str, BusView], Path]:
    """The site's buses for our own use, where no service runs."""
    if not options.site.is_file():
        raise FieldworkError("no_site", path=str(options.site), socket=str(options.socket))
    loaded = load(options.site, None)
    views = {
        bus.id: BusView(
            bus.id, bus_setting(bus), tuple(each for each in loaded.devices if each.setting.bus == bus.id)
        )
        for bus in loaded.site.buses
    }
    return views, options.site.parent


def _line(options: argparse.Namespace) -> list[tuple[Bus, str]]:
    """What --port, --host or a URL names, once for each speed; [] where a bus of the site is meant."""
    if options.verb == "browse" and str(options.bus).startswith("opc.tcp://"):
        return [(_opcua(options), options.bus)]
    protocol = getattr(options, "protocol", "modbus")
    if getattr(options, "port", None):
        bauds = options.baud or [_BAUDS[protocol]]
        return [(_serial(options, protocol, baud), f"{options.port} {baud}") for baud in bauds]
    if getattr(options, "host", None):
        port = options.tcp_port or _TCP_PORTS[protocol]
        return [(_tcp(options, protocol, port), f"{options.host}:{port}")]
    return []


def _opcua(options: argparse.Namespace) -> Bus:
    """A server by its URL: without a folder of certificates nothing is encrypted, and no password sent."""
    return OpcUaBus(
        options.bus,
        insecure=options.pki is None,
        policy=options.policy,
        security=options.security,
        pki=options.pki,
        user=options.user,
        password_file=options.password_file,
    )


def _serial(options: argparse.Namespace, protocol: str, baud: int) -> Bus:
    parity, timeout_s = options.parity, options.timeout
    if protocol == "modbus":
        return ModbusRtuBus(options.port, baud, parity, timeout_s=timeout_s or 0.3)
    kind = MBusBus if protocol == "mbus" else Cjt188Bus
    return kind(SerialPort(options.port, baud, parity), timeout_s or 1.0)


def _tcp(options: argparse.Namespace, protocol: str, port: int) -> Bus:
    if protocol == "modbus":
        return ModbusTcpBus(options.host, port, options.timeout or 1.0, "rtu" if options.rtu else "tcp")
    kind = MBusBus if protocol == "mbus" else Cjt188Bus
    return kind(TcpHost(options.host, port), options.timeout or 1.5)


def _plain(*names: str) -> Callable[[argparse.Namespace], dict[str, Any]]:
    def made(options: argparse.Namespace) -> dict[str, Any]:
        given = {name: getattr(options, name) for name in names}
        return {"verb": options.verb} | {k: v for k, v in given.items() if v is not None and v is not False}

    return made


def _read(options: argparse.Namespace) -> dict[str, Any]:
    if options.unit is None:
        return {"verb": "read", "target": options.target}
    if options.address is None:
        raise FieldworkError("no_address")
    names = ("unit", "function", "address", "count", "type", "order")
    return {"verb": "read", "bus": options.target} | {name: getattr(options, name) for name in names}


def _write(options: argparse.Namespace) -> dict[str, Any]:
    if options.release:
        return {"verb": "release", "target": options.target}
    if options.value is None:
        raise FieldworkError("no_value")
    request = _plain("target", "value", "why", "for_s")(options)
    request |= {"anyway": True} if options.anyway else {}
    return request | ({"confirmed": True} if options.yes else {})


_REQUESTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "scan": _plain("bus", "first", "last", "secondary"),
    "read": _read,
    "write": _write,
    "monitor": _plain("bus", "device", "seconds"),
    "probe": _plain("bus", "unit", "meter", "function", "first", "last", "wait_s"),
    "browse": _plain("bus", "node", "depth", "thumbprint", "trust"),
    "alarm": _plain("do", "subject", "all", "for_s", "why"),
    "outage": _plain("do", "outage", "at", "unknown", "cause", "why"),
    "plan": _plain("do", "id", "circuits", "begin", "end", "kind", "notice", "why"),
}
