"""The command line. Parses arguments, calls one room of the house, turns errors into words and exit codes.

Exit codes: 0 well, 1 what was asked found faults (a chain broken, a site refused), 2 it could not be done.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from edge.clock import Clock, ScaledClock, SystemClock
from edge.loading import SiteError
from edge.texts import Texts

STATUS = "status.json"
JOURNAL = "journal.sqlite"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(arguments)
    texts = Texts.load(options.lang)
    command: Callable[[argparse.Namespace, Texts], int] = options.command
    try:
        return command(options, texts)
    except SiteError as error:
        _print_problems(error, texts)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="substation-edge", description="Substation Edge / 换热站边缘控制器")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_run, _add_check, _add_watch, _add_verify, _add_export, _add_receive, *_FIELDWORK):
        add(commands)
    for command in commands.choices.values():
        command.add_argument("--lang", choices=["zh", "en"], help="language (default: the locale's) / 语言")
    return parser


Commands = argparse._SubParsersAction


def _add_run(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("run", help="run the service / 运行控制服务")
    parser.add_argument("site", type=Path, help="site file (TOML)")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of journal and history")
    parser.add_argument("--status", type=Path, help=f"status file for `watch` (default: DATA/{STATUS})")
    parser.add_argument("--clock", type=_clock, help="WALL,MONOTONIC,SPEED: a scaled clock, for benches only")
    parser.set_defaults(command=_run)


def _clock(text: str) -> Clock:
    try:
        wall, monotonic, speed = (float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected WALL,MONOTONIC,SPEED, not {text!r}") from error
    return ScaledClock(wall, monotonic, speed)


def _run(options: argparse.Namespace, texts: Texts) -> int:
    from edge import logs  # noqa: PLC0415 - the other commands start without the field libraries
    from edge.service import Paths, serve  # noqa: PLC0415

    logs.configure()
    paths = Paths(options.site, options.data, options.status or options.data / STATUS)
    try:
        with asyncio.Runner(loop_factory=_event_loop()) as runner:
            runner.run(serve(paths, options.clock or SystemClock()))
    except SiteError:
        raise
    except Exception:
        logging.getLogger("edge").critical("the service has failed", exc_info=True)
        return 2
    return 0


def _event_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Of uvloop where it is to be had: it halves the cost of Modbus TCP; else Python's own."""
    try:
        import uvloop  # noqa: PLC0415 - only the service needs it
    except ImportError:
        return None
    return uvloop.new_event_loop


def _add_check(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("check", help="check a site file / 检查站点文件")
    parser.add_argument("site", type=Path, help="site file (TOML)")
    parser.add_argument("--date", type=_date, help="judge the regulation as of this day (default: today)")
    parser.set_defaults(command=_check)


def _date(text: str) -> object:
    from datetime import date  # noqa: PLC0415

    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected YYYY-MM-DD, not {text!r}") from error


def _check(options: argparse.Namespace, texts: Texts) -> int:
    from edge.budget import budgets  # noqa: PLC0415
    from edge.check import load  # noqa: PLC0415
    from edge.rules.civil import local_day  # noqa: PLC0415

    loaded = load(options.site, options.date or local_day(SystemClock().now().wall))
    site = loaded.site
    print(texts("cli.check.good", file=options.site, circuits=len(site.circuits), devices=len(site.devices)))
    print(texts("cli.check.pack", title=loaded.pack.document.title, number=loaded.pack.document.number))
    for budget in budgets(site, loaded.devices):
        print(texts("cli.check.budget", bus=budget.bus, share=f"{budget.share:.0%}"))
    return 0


def _print_problems(error: SiteError, texts: Texts) -> None:
    for problem in error.problems:
        what = texts(f"check.{problem.code}", **problem.values)
        remedy = texts(f"check.{problem.code}.remedy", **problem.values)
        print(
            f"{problem.file}: {problem.key}: {what}\n    {texts('cli.check.remedy')}: {remedy}",
            file=sys.stderr,
        )
    print(texts("cli.check.bad", count=len(error.problems)), file=sys.stderr)


def _add_watch(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("watch", help="live view of a running service / 实时画面")
    parser.add_argument("status", type=Path, nargs="?", default=Path("/run/substation-edge") / STATUS)
    parser.add_argument("--once", action="store_true", help="print one picture and end")
    parser.add_argument("--note", default="", help="a line of text to show below")
    parser.set_defaults(command=_watch)


def _watch(options: argparse.Namespace, texts: Texts) -> int:
    from edge.watch import watch  # noqa: PLC0415

    return watch(options.status, texts, once=options.once, note=options.note)


def _add_verify(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("verify", help="check a journal and what vouches for it / 校验记录")
    parser.add_argument("journal", type=Path, help=f"{JOURNAL} of a service, or a copy of it")
    parser.add_argument(
        "--receipt", type=Path, help="JSON {log, seq, hash}: what the head-end has / 平台回执"
    )
    parser.add_argument("--key", help="public key given to you, or a file with it / 公钥或公钥文件")
    parser.add_argument("--since", type=Path, help="a checkpoint (signed note) given to you / 所持检查点")
    parser.set_defaults(command=_verify)


def _verify(options: argparse.Namespace, texts: Texts) -> int:
    from edge import audit  # noqa: PLC0415 - the other commands start without cryptography

    return audit.run(options, texts)


def _add_export(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("export", help="write a journal as JSON Lines or CSV / 导出记录")
    parser.add_argument("journal", type=Path, nargs="?", help=f"{JOURNAL} of a service, or a copy of it")
    parser.add_argument("--format", choices=["jsonl", "csv"], default="jsonl", help="of a journal")
    parser.add_argument("--history", type=Path, help="history.sqlite: measured values as CSV / 导出历史数据")
    parser.add_argument("--points", nargs="+", default=[], help="of the history (default: all) / 测点")
    parser.add_argument("--from", dest="begin", type=_moment, help="Beijing time, 2026-11-18T08:00 / 起")
    parser.add_argument("--to", dest="end", type=_moment, help="up to before / 止")
    parser.add_argument("--step", choices=["raw", "minute", "hour"], default="hour", help="/ 粒度")
    parser.add_argument("--output", type=Path, help="file to write (default: standard output)")
    parser.set_defaults(command=_export)


def _moment(text: str) -> float:
    from edge.history_export import moment  # noqa: PLC0415

    try:
        return moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected YYYY-MM-DD[THH:MM], not {text!r}") from error


def _export_history(options: argparse.Namespace, texts: Texts) -> int:
    import apsw  # noqa: PLC0415 - only to name its error

    from edge.history_export import NoPointError, export  # noqa: PLC0415

    if not options.history.is_file():
        print(texts("cli.no_file", file=options.history), file=sys.stderr)
        return 2
    span = (options.begin, options.end)
    try:
        with _output(options.output) as out:
            rows = export(options.history, out, options.points, options.step, *span, texts)
    except NoPointError as error:
        print(texts("cli.export.no_point", point=error), file=sys.stderr)
        return 1
    except apsw.Error as error:
        print(texts("cli.not_a_history", file=options.history, why=error), file=sys.stderr)
        return 2
    print(texts("cli.export.history", rows=rows), file=sys.stderr)
    return 0


def _export(options: argparse.Namespace, texts: Texts) -> int:
    import apsw  # noqa: PLC0415 - only to name its error

    from edge.export import export  # noqa: PLC0415

    if (options.journal is None) == (options.history is None):
        print(texts("cli.export.what"), file=sys.stderr)
        return 2
    if options.history is not None:
        return _export_history(options, texts)
    if not options.journal.is_file():
        print(texts("cli.no_file", file=options.journal), file=sys.stderr)
        return 2
    try:
        with _output(options.output) as out:
            done = export(options.journal, out, options.format, texts)
    except apsw.Error as error:
        print(texts("cli.not_a_journal", file=options.journal, why=error), file=sys.stderr)
        return 2
    print(texts("cli.export.done", rows=done.rows, faults=done.faults), file=sys.stderr)
    return 1 if done.faults else 0


def _output(path: Path | None) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdout.buffer) if path is None else path.open("wb")


def _add_receive(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("receive", help="reference receiver of the head-end / 上级平台参考接收端")
    parser.add_argument("--host", default="127.0.0.1", help="broker")
    parser.add_argument("--port", type=int, default=8883)
    parser.add_argument("--database", type=Path, default=Path("received.sqlite"), help="what is stored")
    parser.add_argument("--client-id", default="substation-receiver", help="one receiver, one id")
    parser.add_argument("--username")
    parser.add_argument("--password-file")
    parser.add_argument("--ca-file", help="authority of the broker's certificate (default: the system's)")
    parser.add_argument("--insecure", action="store_true", help="plain TCP, on a closed network only")
    parser.add_argument("--receipts", type=Path, help="folder for receipts, a file a gateway, for `verify`")
    parser.add_argument("--quiet", action="store_true", help="no line per row, only the summary at the end")
    parser.set_defaults(command=_receive)


def _receive(options: argparse.Namespace, texts: Texts) -> int:
    from edge import logs  # noqa: PLC0415 - the other commands start without MQTT
    from edge.receiver import command  # noqa: PLC0415 - as above

    logs.configure()
    return command.run(options, texts)


def _tool(verb: str, words: str) -> "Callable[[Commands[argparse.ArgumentParser]], None]":
    """A technician's tool: its arguments and its work are the fieldwork's."""

    def add(commands: "Commands[argparse.ArgumentParser]") -> None:
        from edge.fieldwork import arguments  # noqa: PLC0415 - as light as the rest of the parser

        arguments.ADD[verb](commands.add_parser(verb, help=words))
        commands.choices[verb].set_defaults(command=_fieldwork, verb=verb)

    return add


def _fieldwork(options: argparse.Namespace, texts: Texts) -> int:
    from edge.fieldwork import commands  # noqa: PLC0415 - the other commands start without the field libraries

    return commands.run(options, texts)


_FIELDWORK = (
    _tool("scan", "who answers on a bus / 扫描总线"),
    _tool("read", "read a device, a register or a point / 读取"),
    _tool("write", "write a register or hold an output / 写入"),
    _tool("monitor", "frames on a bus and their meaning / 监视报文"),
    _tool("probe", "find order and scale of an unknown meter / 试探未知表"),
    _tool("browse", "tree of an OPC UA server / 浏览 OPC UA"),
    _tool("alarm", "list, acknowledge, reset, shelve alarms / 报警"),
    _tool("outage", "list outages, expected recovery, cause / 停热"),
    _tool("plan", "a planned stop / 计划停热"),
)


if __name__ == "__main__":
    sys.exit(main())
