"""Sets the peers up once, and prints the table of what was tried at the end."""

import pytest

from hil_tests.interop import peers

TRIED: dict[tuple[str, str], list[str]] = {}
"""Protocol and what was tried -> the peers it held with."""


@pytest.fixture(scope="session", autouse=True)
def _peers() -> None:
    peers.set_up()


def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]") -> None:
    """Keep what a passed test of a peer says it tried."""
    marker = item.get_closest_marker("peer")
    if marker is None or call.when != "call" or call.excinfo is not None:
        return
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    what = item.name.partition("[")[0].removeprefix("test_").replace("_", " ")
    TRIED.setdefault((marker.args[-1], what), []).append(str(parameters.get("peer", marker.args[0])))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table, for the eyes and for `out/interop.md`."""
    if not TRIED:
        return
    lines = ["| protocol | what was tried and held | with |", "|---|---|---|"]
    lines += [f"| {protocol} | {what} | {', '.join(found)} |" for (protocol, what), found in TRIED.items()]
    terminalreporter.section("interoperation")
    for line in lines:
        terminalreporter.write_line(line)
    (peers.PEERS.parent / "interop.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
