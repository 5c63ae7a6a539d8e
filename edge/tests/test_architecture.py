"""The house itself: who imports whom, who reads a clock, what is pure, what a person reads."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLOCKS = {
    ("time", "time"),
    ("time", "monotonic"),
    ("time", "clock_gettime"),
    ("datetime", "now"),
    ("date", "today"),
}
IMPURE = {"asyncio", "time", "socket", "sqlite3", "logging", "apsw", "threading", "os", "random"}


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if "tests" not in path.relative_to(ROOT).parts)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_imports_run_one_way() -> None:
    # a process of its own: import-linter silences every logger of the process it runs in
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", sources("edge"), ids=name)
def test_only_the_clock_reads_a_clock(path: Path) -> None:
    read = {
        (node.value.id, node.attr)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    assert path == ROOT / "edge" / "clock.py" or not read & CLOCKS


@pytest.mark.parametrize("path", sources("edge/control", "edge/rules", "edge/events"), ids=name)
def test_what_decides_is_pure(path: Path) -> None:
    assert not set(imported(tree(path))) & IMPURE


@pytest.mark.parametrize("path", sources("edge"), ids=name)
def test_only_the_face_of_the_drivers_is_imported(path: Path) -> None:
    inner = [
        node.module
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("drivers.")
    ]
    assert not inner


def test_the_data_of_config_is_never_imported() -> None:
    assert not list((ROOT / "config").rglob("*.py"))


def test_no_city_stands_in_the_code() -> None:
    city = re.compile(r"zhangye|zhengzhou|zibo|jilin|baiyin|张掖|郑州|淄博|吉林|白银", re.IGNORECASE)
    found = [
        name(path) for path in sources("edge", "drivers") if city.search(path.read_text(encoding="utf-8"))
    ]
    assert not found
