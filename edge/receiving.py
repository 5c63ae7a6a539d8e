"""`substation-edge receive`: the reference head-end on the command line, until it is interrupted.

Plain MQTT on a trusted line; TLS ends at the broker in front of it. Prints what matters to people.
"""

import asyncio
import signal
from pathlib import Path

from edge.receiver import Receiver
from edge.receiver.store import Outcome
from edge.texts import Texts
from edge.upstream.codec import JOURNAL, Batch, WireRow
from edge.upstream.session import Address
from edge.watch import clock_text

SHOWN = ("outage.", "duty.", "refund.", "repair.", "alarm.", "service.", "config.", "device.")


def run(host: str, port: int, database: Path, texts: Texts) -> int:
    """Receive until SIGINT or SIGTERM; then say how many rows were stored."""

    def told(batch: Batch, outcome: Outcome) -> None:
        for line in lines(batch, outcome.stored, texts):
            print(line, flush=True)

    receiver = Receiver(Address(host, port, "substation-head-end"), database, told)
    print(texts("receive.listening", address=f"{host}:{port}"), flush=True)
    asyncio.run(_until_stopped(receiver))
    print(texts("receive.stored", rows=receiver.counts.stored), flush=True)
    return 0


async def _until_stopped(receiver: Receiver) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(receiver.run(), name="receiver")
        await stop.wait()
        task.cancel()


def lines(batch: Batch, rows: tuple[WireRow, ...], texts: Texts) -> list[str]:
    """What a person at the head-end wants to see of these rows."""
    if batch.stream != JOURNAL:
        return []
    heads = ((int(str(row.fields[2])), str(row.fields[4]), str(row.fields[5])) for row in rows)
    return [
        texts(
            "cli.receive.row",
            gateway=batch.gateway,
            time=clock_text(wall_ns / 1e9),
            kind=texts(f"kind.{kind}"),
            subject=subject,
        )
        for wall_ns, kind, subject in heads
        if kind.startswith(SHOWN)
    ]
