"""Sets the peers up once, and prints the table of what was tried at the end."""

from collections import Counter
from dataclasses import dataclass, field

import pytest

from hil_tests.interop import peers


@dataclass
class _Row:
    """One line of the table: the peers it was tried with, how often, and with whom it failed."""

    tried: "Counter[str]" = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = [peer if count == 1 else f"{peer} ({count} ways)" for peer, count in self.tried.items()]
        held = "held" if not self.failed else f"FAILED with {', '.join(dict.fromkeys(self.failed))}"
        return f"{', '.join(told)} | {held}"


TRIED: dict[tuple[str, str], _Row] = {}
"""Protocol and what was tried."""


@pytest.fixture(scope="session", autouse=True)
def _peers() -> None:
    peers.set_up()


def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]") -> None:
    """Keep what a test of a peer says it tried, and whether it held."""
    marker = item.get_closest_marker("peer")
    if marker is None or (call.when != "call" and call.excinfo is None):
        return
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    peer = str(parameters.get("peer", marker.args[0]))
    what = item.name.partition("[")[0].removeprefix("test_").replace("_", " ")
    row = TRIED.setdefault((marker.args[-1], what), _Row())
    if call.when == "call":
        row.tried[peer] += 1
    if call.excinfo is not None:
        row.failed.append(peer)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table, for the eyes and for `out/interop.md`."""
    if not TRIED:
        return
    lines = [f"{name} {version}" for name, version in peers.versions().items()]
    lines = [", ".join(lines), "", "| protocol | what was tried | with | result |", "|---|---|---|---|"]
    lines += [f"| {protocol} | {what} | {row} |" for (protocol, what), row in sorted(TRIED.items())]
    terminalreporter.section("interoperation")
    for line in lines:
        terminalreporter.write_line(line)
    (peers.PEERS.parent / "interop.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
