"""The service starts, controls and says so, whatever lies where its files should be."""

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.clock import ScaledClock
from edge.tests.test_service import START, House, steady_field
from edge.verification import verify

Damage = Callable[[Path], None]


def _flipped(path: Path) -> None:
    """One bit of each hundred bytes or so."""
    content, rng = bytearray(path.read_bytes()), random.Random(len(path.name))
    for _ in range(len(content) // 100 + 1):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _halved(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 + 7])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path) -> None:
    path.write_bytes(b"this is no database\n" * 400)


def _folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def _locked(path: Path) -> None:
    """Nobody may read or write it; whoever runs the tests as root still may."""
    path.chmod(0)


DAMAGES = (_flipped, _halved, _emptied, _foreign, _folder, _locked)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one life of the service left."""
    import asyncio

    house = _house(tmp_path_factory.mktemp("lived"))
    asyncio.run(house.run(lambda: bool(house.wrote("high.valve_setpoint"))))
    return house.folder


def _house(folder: Path) -> House:
    return House(folder, steady_field(), ScaledClock(START, time.monotonic(), 60.0))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["journal.sqlite", "history.sqlite", "keys/journal-1.ed25519", "ballast"])
async def test_the_service_starts_and_controls(
    lived: Path, tmp_path: Path, name: str, damage: Damage
) -> None:
    shutil.copytree(lived, tmp_path / "next")
    damage(tmp_path / "next" / "data" / name)
    house = _house(tmp_path / "next")
    await house.run(lambda: bool(house.wrote("high.valve_setpoint")))
    kinds = [row.kind for row in await house.rows()]
    assert {"service.started", "control.command", "service.stopped"} <= set(kinds)
    aside = [file.name for file in house.paths.data.rglob("*.damaged*")]
    found = verify(house.paths.data / "journal.sqlite")
    assert found.ok, found.faults
    if name == "journal.sqlite" and damage not in (_emptied, _locked):
        assert aside
        assert "journal.segment" in kinds
    if name == "history.sqlite" and damage in (_halved, _foreign, _folder):
        assert aside
