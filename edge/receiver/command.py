"""`substation-edge receive`: the receiver on a terminal, one line per outage, duty and alarm it stores."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import apsw

from edge.chain import Head
from edge.claims import Receipt as Claimed
from edge.claims import write_receipt
from edge.receiver.service import Receiver
from edge.receiver.store import Outcome, wire_to_row
from edge.store import StoreError
from edge.texts import Texts
from edge.upstream.codec import JOURNAL, Batch, Problem, WireRow
from edge.upstream.session import Address

log = logging.getLogger(__name__)

SHOWN = ("outage.", "duty.", "alarm.", "refund.")  # kinds of rows that are worth a line
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CIVIL = ZoneInfo("Asia/Shanghai")


def run(options: argparse.Namespace, texts: Texts) -> int:
    """Receive until SIGTERM or SIGINT; 0, or 2 when the database cannot be used."""
    receiver = Receiver(_address(options), options.database)

    def told(batch: Batch, outcome: Outcome) -> None:
        if options.receipts is not None:
            _keep(options.receipts, batch, outcome)
        if not options.quiet:
            _show(batch, outcome, texts)

    receiver.told = told
    place = {"host": options.host, "port": options.port, "database": options.database}
    print(texts("receive.listening", **place), flush=True)
    try:
        asyncio.run(_until_told(receiver))
    except (apsw.Error, StoreError, OSError) as error:
        print(texts("receive.failed", database=options.database, why=error), file=sys.stderr)
        return 2
    finally:
        print(texts("receive.summary", **asdict(receiver.counts)), flush=True)
    return 0


def _address(options: argparse.Namespace) -> Address:
    return Address(
        options.host,
        options.port,
        options.client_id,
        options.username,
        options.password_file,
        tls=not options.insecure or options.ca_file is not None,
        ca_file=options.ca_file,
    )


async def _until_told(receiver: Receiver) -> None:
    receiving = asyncio.ensure_future(receiver.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, receiving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await receiving


def _keep(folder: Path, batch: Batch, outcome: Outcome) -> None:
    """Write the receipt of a gateway's journal for `verify --receipt`; a full disk is no reason to end."""
    receipt = outcome.receipt
    if batch.stream != JOURNAL or receipt.problem is not Problem.NONE:
        return
    path = folder / f"{quote(batch.gateway, safe='')}.json"
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(
            write_receipt(Claimed(Head(receipt.seq, receipt.hash), receipt.log)), encoding="ascii"
        )
        fresh.replace(path)
    except OSError as error:
        log.warning("the receipt is not kept: %s", error)


def _show(batch: Batch, outcome: Outcome, texts: Texts) -> None:
    problem = outcome.receipt.problem
    if problem is not Problem.NONE:
        why = texts(f"receive.why.{problem.value}", seq=outcome.forked or outcome.receipt.seq)
        print(texts("receive.refused", gateway=batch.gateway, stream=batch.stream, why=why), flush=True)
    if batch.stream == JOURNAL:
        for row in outcome.stored:
            _show_row(batch.gateway, row, texts)


def _show_row(gateway: str, wire: WireRow, texts: Texts) -> None:
    row = wire_to_row(wire)
    if not row.kind.startswith(SHOWN):
        return
    kind = texts(f"kind.{row.kind}")
    line = texts(
        "receive.row",
        time=_civil(row.wall_ns),
        gateway=gateway,
        seq=row.seq,
        kind=kind,
        subject=row.subject,
    )
    print(_printable(line), flush=True)


def _civil(wall_ns: int) -> str:
    """Date and time in the station's civil time, or the number itself when it is no date."""
    try:
        moment = (_EPOCH + timedelta(microseconds=wall_ns // 1000)).astimezone(_CIVIL)
    except OverflowError:
        return f"{wall_ns} ns"
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _printable(line: str) -> str:
    """What a gateway says must not steer the terminal."""
    return "".join(mark if mark.isprintable() else "?" for mark in line)
