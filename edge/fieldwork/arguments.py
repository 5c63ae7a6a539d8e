"""The arguments of the technician's tools. Every command reads this: it names no library of the field."""

import argparse
import re
from collections.abc import Callable, Mapping
from pathlib import Path

RUNTIME = Path("/run/substation-edge")
SITE = Path("/etc/substation-edge/site.toml")
SOCKET = "fieldwork.sock"
POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
LINE = "line"  # the bus of --port, --host or a URL


def _add_common(parser: argparse.ArgumentParser) -> None:
    """What every tool takes."""
    parser.add_argument("--site", type=Path, default=SITE, help="site file, used where no service runs")
    parser.add_argument("--socket", type=Path, default=RUNTIME / SOCKET, help="socket of the running service")
    parser.add_argument("--json", action="store_true", help="messages as JSON lines, for programs")


def _add_line(parser: argparse.ArgumentParser) -> None:
    """A line that stands in no site file."""
    parser.add_argument("--port", help="serial port to open ourselves")
    parser.add_argument("--baud", type=_bauds, help="speed; for a scan several, with commas")
    parser.add_argument("--parity", choices=["N", "E", "O"], default="E")
    parser.add_argument("--host", help="TCP device or converter to connect to ourselves")
    parser.add_argument("--tcp-port", type=int, help="its port (Modbus: 502)")
    parser.add_argument("--rtu", action="store_true", help="Modbus RTU frames over TCP")
    parser.add_argument("--protocol", choices=["modbus", "mbus", "cjt188"], default="modbus")
    parser.add_argument("--timeout", type=float, help="seconds to wait for an answer")


def _bauds(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected 9600 or 2400,9600,19200, not {text!r}") from error


def duration(text: str) -> float:
    """Seconds of `90`, `90s`, `10m`, `2h`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected 90s, 10m or 2h, not {text!r}")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def add_scan(parser: argparse.ArgumentParser) -> None:
    """`scan`."""
    parser.add_argument("bus", nargs="?", default=LINE, help="bus of the site")
    parser.add_argument("--from", dest="first", type=int, help="first unit or address")
    parser.add_argument("--to", dest="last", type=int, help="last unit or address")
    parser.add_argument("--secondary", action="store_true", help="M-Bus: search by meter numbers")
    _add_line(parser)
    _add_common(parser)


def add_read(parser: argparse.ArgumentParser) -> None:
    """`read`."""
    parser.add_argument("target", nargs="?", default=LINE, help="DEVICE, DEVICE.register, POINT, or a BUS")
    parser.add_argument("--unit", type=int, help="with a BUS: which unit to ask")
    parser.add_argument("--function", type=int, default=3, choices=[1, 2, 3, 4])
    parser.add_argument("--address", type=int, help="address on the wire, from 0")
    parser.add_argument("--count", type=int, default=1, help="how many values")
    parser.add_argument("--type", default="u16")
    parser.add_argument("--order", default="ABCD", choices=["ABCD", "CDAB", "BADC", "DCBA"])
    _add_line(parser)
    _add_common(parser)


def add_write(parser: argparse.ArgumentParser) -> None:
    """`write`."""
    parser.add_argument("target", help="DEVICE.register or POINT")
    parser.add_argument("value", nargs="?", type=float)
    parser.add_argument("--why", default="", help="the reason, for the journal")
    parser.add_argument("--for", dest="for_s", type=duration, help="how long to hold an output: 10m, 2h")
    parser.add_argument("--release", action="store_true", help="give a held output back")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--anyway", action="store_true", help="beyond the writes a day that the memory bears")
    _add_common(parser)


def add_monitor(parser: argparse.ArgumentParser) -> None:
    """`monitor`."""
    parser.add_argument("bus", help="bus of the site")
    parser.add_argument("--device", help="only this device")
    parser.add_argument("--raw", action="store_true", help="bytes only, without their meaning")
    parser.add_argument("--seconds", type=float, help="end by itself")
    _add_common(parser)


def add_probe(parser: argparse.ArgumentParser) -> None:
    """`probe`."""
    parser.add_argument("bus", nargs="?", default=LINE, help="bus of the site")
    parser.add_argument("--unit", type=int, help="Modbus: which unit (required)")
    parser.add_argument("--meter", help="CJ/T 188: number of the meter (none: the only one on the line)")
    parser.add_argument("--function", type=int, default=3, choices=[3, 4])
    parser.add_argument("--from", dest="first", type=int, default=0, help="first register")
    parser.add_argument("--to", dest="last", type=int, default=99, help="last register")
    parser.add_argument("--wait", dest="wait_s", type=duration, default=10.0, help="between the two readings")
    parser.add_argument("--draft", type=Path, help="file for a profile made of the best candidate")
    _add_line(parser)
    _add_common(parser)


def add_browse(parser: argparse.ArgumentParser) -> None:
    """`browse`."""
    parser.add_argument("bus", help="opc.tcp://... or a bus of the site")
    parser.add_argument("node", nargs="?", help="where to begin (default: Objects)")
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--thumbprint", action="store_true", help="show the certificate we present")
    parser.add_argument("--trust", metavar="SHA256", help="believe the server with this certificate")
    parser.add_argument("--pki", type=Path, help="with a URL: folder of certificates; none: no encryption")
    parser.add_argument("--policy", choices=POLICIES, default=POLICIES[0], help="with a URL and --pki")
    parser.add_argument("--security", choices=["Sign", "SignAndEncrypt"], default="SignAndEncrypt")
    parser.add_argument("--user", help="with a URL: user name")
    parser.add_argument("--password-file", type=Path, help="with a URL: file that holds the password")
    _add_common(parser)


def _add_doing(parser: argparse.ArgumentParser, *words: str) -> None:
    """What is to be done, and why; without a word: what there is."""
    parser.add_argument("do", nargs="?", default="list", choices=["list", *words])
    parser.add_argument("--why", help="the reason, for the journal")


def add_alarm(parser: argparse.ArgumentParser) -> None:
    """`alarm`."""
    _add_doing(parser, "acknowledge", "reset", "shelve", "unshelve")
    parser.add_argument("subject", nargs="?", help="which alarm, as `alarm` lists it")
    parser.add_argument("--all", action="store_true", help="acknowledge or reset: all of them")
    parser.add_argument(
        "--for", dest="for_s", type=duration, help="shelve: how long, 90m or 8h (at most 24h)"
    )
    _add_common(parser)


def add_outage(parser: argparse.ArgumentParser) -> None:
    """`outage`."""
    _add_doing(parser, "expect", "cause")
    parser.add_argument("outage", nargs="?", help="which outage, as `outage` lists it")
    parser.add_argument("--at", help="expect: when heat is back, '2026-01-15 18:00', 18:00 or +2h")
    parser.add_argument("--unknown", action="store_true", help="expect: nobody knows any more")
    parser.add_argument("--cause", choices=["source", "power", "water", "equipment", "unknown"])
    _add_common(parser)


def add_plan(parser: argparse.ArgumentParser) -> None:
    """`plan`."""
    _add_doing(parser, "stop", "cancel")
    parser.add_argument("id", nargs="?", help="a name for the plan")
    parser.add_argument("--circuits", help="circuits of the site, with commas")
    parser.add_argument("--from", dest="begin", help="'2026-01-15 08:00', 08:00 or +2d")
    parser.add_argument("--to", dest="end", help="its end, written the same way")
    parser.add_argument("--kind", choices=["repair", "overhaul", "trial_run"], help="default: repair")
    parser.add_argument("--notice", help="when the users were told, written the same way (=-1h: an hour ago)")
    _add_common(parser)


ADD: Mapping[str, Callable[[argparse.ArgumentParser], None]] = {
    "scan": add_scan,
    "read": add_read,
    "write": add_write,
    "monitor": add_monitor,
    "probe": add_probe,
    "browse": add_browse,
    "alarm": add_alarm,
    "outage": add_outage,
    "plan": add_plan,
}
