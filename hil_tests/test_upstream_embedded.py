"""The same way upstream through the demo's embedded broker, and the receiver as a program."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.receiver import compare
from hil_tests.broker import BrokerProcess, embedded_broker, embedded_process
from hil_tests.upstream_bench import GATEWAY, gateway, receiver, running, until


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    with embedded_process(tmp_path) as started:
        yield started


async def test_rows_arrive_once_through_the_embedded_broker(broker: BrokerProcess, tmp_path: Path) -> None:
    head_end = receiver(tmp_path, broker.port)
    async with (
        running(head_end.run()),
        gateway(tmp_path, broker.port) as sender,
        running(sender.upstream.run()),
    ):
        await sender.record(rows=500, frames=60)
        await sender.receipted()
    assert head_end.counts.stored == 560
    assert compare(tmp_path / "journal.db", tmp_path / "receiver.db", GATEWAY) == []


async def test_a_day_without_the_embedded_broker_loses_nothing(broker: BrokerProcess, tmp_path: Path) -> None:
    async with (
        running(receiver(tmp_path, broker.port).run()),
        gateway(tmp_path, broker.port) as sender,
        running(sender.upstream.run()),
    ):
        await sender.record(rows=10)
        await sender.receipted()
        await asyncio.to_thread(broker.kill)
        await sender.record(rows=3000, frames=1440)
        await asyncio.to_thread(broker.start)
        await sender.receipted(60.0)
        assert compare(tmp_path / "journal.db", tmp_path / "receiver.db", GATEWAY) == []


async def test_the_embedded_broker_serves_within_one_event_loop(tmp_path: Path) -> None:
    async with (
        embedded_broker() as port,
        running(receiver(tmp_path, port).run()),
        gateway(tmp_path, port) as sender,
        running(sender.upstream.run()),
    ):
        await sender.record(rows=20, frames=2)
        await sender.receipted()
    assert compare(tmp_path / "journal.db", tmp_path / "receiver.db", GATEWAY) == []


async def test_the_receiver_as_a_program_tells_its_rows_and_its_sums(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "edge", "receive", "--lang", "en", "--insecure"]
    command += ["--port", str(broker.port)]
    command += ["--database", str(tmp_path / "receiver.db")]
    program = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        async with gateway(tmp_path, broker.port) as sender, running(sender.upstream.run()):
            await sender.record(rows=3, frames=1)
            await sender.receipted()
    finally:
        program.terminate()
    said = (await program.communicate())[0].decode()
    assert program.returncode == 0
    lines = said.splitlines()
    assert len([line for line in lines if f"[{GATEWAY}]" in line and "high:supply_low" in line]) == 3
    assert lines[-1].startswith("4 rows stored, 0 duplicates")


async def test_the_embedded_broker_tells_its_port_in_a_file(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    command = [sys.executable, "-m", "hil_tests.broker", "--port-file", str(port_file)]
    program = await asyncio.create_subprocess_exec(*command)
    try:
        await until(port_file.exists)
        _, writer = await asyncio.open_connection("127.0.0.1", int(port_file.read_text()))
        writer.close()
        await writer.wait_closed()
    finally:
        program.terminate()
        assert await program.wait() == 0
