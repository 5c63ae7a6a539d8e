"""The independent peers of the interoperation tests: set up once in `out/peers/`, started on free ports.

`python -m hil_tests.interop.peers` does the set-up: a C program on libmodbus, npm packages after their lock
file, and a Python environment of the peers' own. None of it is shipped, and none was written by us.
"""

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SERVERS = HERE / "servers"
PEERS = HERE.parents[1] / "out" / "peers"
NODE = PEERS / "node"
PYTHON = PEERS / "python" / "bin" / "python"
LIBMODBUS = PEERS / "libmodbus_server"
LIBMODBUS_CLIENT = PEERS / "libmodbus_client"
SERVER_SOURCE = SERVERS / "libmodbus_server.c"
CLIENT_SOURCE = HERE.parent / "benchmarks" / "libmodbus_client.c"
PACKAGES = (
    "pyMeterBus==0.8.5",
    "pymbusparser==0.5.3",
    "uModbus==1.0.4",
    "pyModbusTCP==0.3.1",
    "minimalmodbus==2.1.1",
)
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "NODE_PATH": str(NODE / "node_modules")}


def set_up() -> None:
    """Make what is missing or older than its recipe; RuntimeError or CalledProcessError when it cannot be."""
    set_up_libmodbus()
    # node-mbus is built for one version of node
    lock = (HERE / "package-lock.json").read_bytes()
    _once("node", lock + _said("node", "--version").encode(), _install_node)
    _once("python", " ".join(PACKAGES).encode(), _install_python)


def set_up_libmodbus() -> None:
    """The programs in C alone: what the benchmarks need."""
    PEERS.mkdir(parents=True, exist_ok=True)
    recipe = SERVER_SOURCE.read_bytes() + CLIENT_SOURCE.read_bytes()
    _once("libmodbus", recipe, _compile)


def _once(name: str, recipe: bytes, make: Callable[[], None]) -> None:
    mark = PEERS / f".{name}"
    digest = hashlib.sha256(recipe).hexdigest()
    if mark.exists() and mark.read_text(encoding="ascii") == digest:
        return
    print(f"setting up {name} ...", file=sys.stderr, flush=True)
    make()
    mark.write_text(digest, encoding="ascii")


def _compile() -> None:
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libmodbus"], check=True, capture_output=True, text=True
    ).stdout.split()
    for source, program in ((SERVER_SOURCE, LIBMODBUS), (CLIENT_SOURCE, LIBMODBUS_CLIENT)):
        subprocess.run(["gcc", "-O2", "-Wall", "-o", str(program), str(source), *flags], check=True)


def _install_node() -> None:
    NODE.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, NODE / name)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel", "error"], cwd=NODE, check=True)
    # newer npm leaves native code unbuilt unless told; node-mbus is C++
    subprocess.run(["npm", "rebuild", "node-mbus", "--loglevel", "error"], cwd=NODE, check=True)


def _install_python() -> None:
    folder = PYTHON.parents[1]
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PACKAGES], check=True)


def node(script: str) -> list[str]:
    """The command that runs one of our scripts with the installed packages in reach."""
    return ["node", str(SERVERS / script)]


@dataclass(frozen=True)
class Peer:
    """A peer's process and the first line it said (its port, or what it has to say)."""

    process: "subprocess.Popen[str]"
    first: str

    def order(self, what: Mapping[str, object]) -> None:
        """Give one order as a line of JSON; returns when the peer has obeyed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline().strip() != "done":
            raise RuntimeError(f"the peer did not obey {what}")


@contextlib.contextmanager
def started(command: Sequence[str]) -> Iterator[Peer]:
    """A peer that has said its first line; RuntimeError when it ends without one."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=_ENVIRONMENT) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line:
                raise RuntimeError(f"the peer did not start: {' '.join(command)}")
            yield Peer(process, line)
        finally:
            process.kill()


@contextlib.contextmanager
def running(command: Sequence[str]) -> Iterator[str]:
    """A peer's process; its first line."""
    with started(command) as peer:
        yield peer.first


def told(command: Sequence[str], data: object = None) -> Any:  # noqa: ANN401 (JSON)
    """What a peer's program answers to `data`, both as JSON; CalledProcessError when it fails."""
    found = subprocess.run(
        command, input=json.dumps(data), stdout=subprocess.PIPE, text=True, check=True, env=_ENVIRONMENT
    )
    return json.loads(found.stdout)


def versions() -> dict[str, str]:
    """The peers' own versions, by name."""
    wanted: dict[str, str] = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return (
        {"libmodbus": _said("pkg-config", "--modversion", "libmodbus")}
        | {"mbpoll": _said("mbpoll", "-V").rpartition(" ")[2]}
        | {"node": _said("node", "--version").removeprefix("v")}
        | {f"npm {name}": version for name, version in wanted.items()}
        | {name: version for name, _, version in (package.partition("==") for package in PACKAGES)}
    )


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().split("\n")[0]


if __name__ == "__main__":
    set_up()
