"""`browse` as a technician uses it: by URL, with certificates, deciding whom to trust."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len

from drivers import OpcUaBus
from drivers.opcua.pki import make_own, thumbprint
from drivers.tests.certificates import Identity, issue
from drivers.tests.plc import NAMESPACE, Plc, serving_plc
from edge.fieldwork.access import BusView, Live, Own
from edge.fieldwork.arguments import LINE
from edge.fieldwork.operations import perform
from edge.records import Event
from edge.tests.fieldwork_bench import directly, error, kinds
from edge.tests.fieldwork_commands import run

PLC = issue("plc")
SHOWN = thumbprint(PLC)


def furnish(plc: Plc) -> None:
    plc.measured(plc.folder("Station"), "Supply", 45.1, "°C")


@pytest.fixture(scope="module")
def open_plc() -> Iterator[Plc]:
    with serving_plc() as plc:
        furnish(plc)
        yield plc


@dataclass(frozen=True)
class Secured:
    """A server that wants certificates, knows ours, and one user."""

    plc: Plc
    pki: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder, pki = tmp_path_factory.mktemp("plc"), tmp_path_factory.mktemp("pki")
    make_own(pki, "urn:test:gateway", "gateway")
    ours = pki / "own" / "certificate.der"
    clients = folder / "clients"
    clients.mkdir()
    (clients / "gateway.der").write_bytes(ours.read_bytes())
    identity = Identity.make(folder, "plc", PLC)
    with serving_plc(identity=identity, users={"heating": "warm"}, clients=clients) as plc:
        furnish(plc)
        yield Secured(plc, pki)


@pytest.fixture
def undecided(secured: Secured) -> Secured:
    """The same, with nobody trusted yet."""
    for folder in ("trusted", "rejected"):
        for file in (secured.pki / folder).glob("*"):
            file.unlink()
    return secured


def names(messages: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in messages]


async def test_the_tree_is_shown_with_values_units_and_lines_for_a_profile(open_plc: Plc) -> None:
    view = BusView(LINE, OpcUaBus(open_plc.url, insecure=True))
    messages = await directly(view, verb="browse", bus=LINE)
    found = {each["name"]: each for each in kinds(messages, "node")}
    assert (found["Supply"]["value"], found["Supply"]["unit"]) == ("45.1", "°C")
    assert (found["Supply"]["depth"], found["Supply"]["namespace"]) == (1, NAMESPACE)
    assert 'identifier = "s=Supply"' in found["Supply"]["lines"]


async def test_a_node_that_is_not_there_is_an_error(open_plc: Plc) -> None:
    view = BusView(LINE, OpcUaBus(open_plc.url, insecure=True))
    assert error(await directly(view, verb="browse", bus=LINE, node="i=99999")) == "refused"
    assert error(await directly(view, verb="browse", bus=LINE, node="ns=77;s=x")) == "configuration"


async def test_frames_of_a_server_are_not_offered(open_plc: Plc) -> None:
    view = BusView(LINE, OpcUaBus(open_plc.url, insecure=True))
    assert error(await directly(view, verb="monitor", bus=LINE, seconds=1.0)) == "no_frames"


async def test_an_unknown_server_is_refused_with_its_thumbprint_then_trusted_by_it(
    undecided: Secured,
) -> None:
    view = BusView(LINE, OpcUaBus(undecided.plc.url, pki=undecided.pki, timeout_s=4.0))
    first = await directly(view, verb="browse", bus=LINE)
    assert error(first) == "untrusted"
    told = first[-1]["values"]
    assert told == {"name": "plc", "sha256": SHOWN}
    then = await directly(view, verb="browse", bus=LINE, trust=SHOWN.lower().replace(" ", ":"))
    assert [each["code"] for each in kinds(then, "note")] == ["trusted"]
    assert "Supply" in names(kinds(then, "node"))
    assert [*(undecided.pki / "rejected").glob("*.der")] == []


async def test_who_trusted_a_server_is_recorded(undecided: Secured) -> None:
    view = BusView(LINE, OpcUaBus(undecided.plc.url, pki=undecided.pki, timeout_s=4.0))
    await directly(view, verb="browse", bus=LINE)
    events: list[Event] = []

    async def keep(event: Event) -> None:
        events.append(event)

    async def unasked(*_: object) -> Any:  # noqa: ANN401
        raise AssertionError

    async with Own({LINE: view}, None, lambda: 1000.0) as own:
        worker = SimpleNamespace(errand=partial(own.run, LINE), listen=partial(own.listen, LINE))
        live = Live({LINE: view}, None, {LINE: worker}, own.now, keep, print, print, unasked, lambda: None)
        asked = {"verb": "browse", "bus": LINE, "trust": SHOWN}
        messages = [message async for message in perform(live, asked, "li")]
    assert messages[-1] == {"kind": "done"}
    (event,) = events
    assert (event.kind, event.subject) == ("technician.trust", LINE)
    assert event.body == {"who": "li", "name": "plc", "sha256": SHOWN}


@pytest.mark.parametrize("wanted", ["", SHOWN[:20], "00" * 32, "../own"])
async def test_only_the_whole_thumbprint_of_a_server_that_was_rejected_is_trusted(
    undecided: Secured, wanted: str
) -> None:
    view = BusView(LINE, OpcUaBus(undecided.plc.url, pki=undecided.pki, timeout_s=4.0))
    await directly(view, verb="browse", bus=LINE)
    assert error(await directly(view, verb="browse", bus=LINE, trust=wanted)) == "configuration"
    assert [*(undecided.pki / "trusted").iterdir()] == []


def test_the_command_browses_a_secured_server_by_its_url_with_a_password(
    undecided: Secured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "password"
    secret.write_text("warm\n", encoding="utf-8")
    secret.chmod(0o600)
    where = ("browse", undecided.plc.url, "--pki", str(undecided.pki), "--lang", "zh")
    user = ("--user", "heating", "--password-file", str(secret))
    assert run(*where, *user) == 2
    refused = capsys.readouterr()
    assert SHOWN.replace(" ", "") in refused.err.replace(" ", "").replace("\n", "")
    assert run(*where, *user, "--trust", SHOWN, "--policy", "Aes256Sha256RsaPss", "--thumbprint") == 0
    shown = capsys.readouterr()
    assert "Supply" in shown.out
    secret.write_text("cold\n", encoding="utf-8")
    assert run(*where, *user) == 1
    lines = [*(refused.out + refused.err).splitlines(), *(shown.out + shown.err).splitlines()]
    assert max(map(cell_len, lines)) <= 80


def test_a_password_without_certificates_is_refused_before_anything_is_sent(
    open_plc: Plc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "password"
    secret.write_text("warm\n", encoding="utf-8")
    words = ("--user", "heating", "--password-file", str(secret), "--lang", "en")
    assert run("browse", open_plc.url, *words) == 2
    assert "in clear" in " ".join(capsys.readouterr().err.split())
