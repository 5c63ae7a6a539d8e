"""The systemd unit and its companions, judged by Debian's own tools and by the command they start."""

import argparse
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.__main__ import _parser
from edge.service import Paths

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
UNIT = DEPLOY / "substation-edge.service"
EXPOSURE_LIMIT = 20  # tenths; systemd calls 2.0 and below OK
PREFIX = Path("/usr/lib/substation-edge")


@pytest.fixture(scope="module")
def unit() -> dict[str, str]:
    """The settings of the unit; the lines of a repeated one one below the other."""
    found: dict[str, str] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found[key] = f"{found[key]}\n{value}" if key in found else value
    return found


@pytest.fixture(scope="module")
def started(unit: dict[str, str]) -> argparse.Namespace:
    """What the command makes of ExecStart."""
    program, *words = shlex.split(unit["ExecStart"])
    assert Path(program) == PREFIX / "bin" / "substation-edge"
    return _parser().parse_args(words)


def tool(*command: str) -> "subprocess.CompletedProcess[str]":
    found = shutil.which(command[0])
    assert found, f"{command[0]} is missing: it comes with Debian's package systemd"
    return subprocess.run([found, *command[1:]], capture_output=True, text=True, timeout=60, check=False)


def test_does_systemd_find_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "substation-edge"  # systemd wants to see what it is to start
    program.write_text("#!/bin/sh\n", encoding="ascii")
    program.chmod(0o755)
    text = UNIT.read_text(encoding="utf-8")
    there = f"{PREFIX}/bin/substation-edge"
    assert text.count(there) == 1
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace(there, str(program)), encoding="utf-8")
    done = tool("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy))
    assert (done.returncode, done.stderr) == (0, "")


def test_is_the_unit_locked_up_to_the_limit_of_exposure() -> None:
    done = tool("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_LIMIT}", str(UNIT))
    assert done.returncode == 0, done.stdout.splitlines()[-1] + done.stderr


def test_does_a_unit_without_its_locks_exceed_the_limit(tmp_path: Path) -> None:
    """The test above can fail."""
    bare = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8")
    bare.write_text(re.sub(r"(?m)^(Protect|Restrict|SystemCall).*$", "", text), encoding="utf-8")
    done = tool("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_LIMIT}", str(bare))
    assert done.returncode != 0


def test_does_the_command_take_what_the_unit_gives_it(started: argparse.Namespace) -> None:
    assert started.site == Path("/etc/substation-edge/site.toml")
    assert started.clock is None


def test_may_the_service_write_where_the_unit_tells_it_to(
    unit: dict[str, str], started: argparse.Namespace
) -> None:
    assert started.data == Path("/var/lib") / unit["StateDirectory"]
    assert started.status.parent == Path("/run") / unit["RuntimeDirectory"]


def test_does_watch_look_where_the_service_writes_its_status(started: argparse.Namespace) -> None:
    assert _parser().parse_args(["watch"]).status == started.status


def test_is_the_service_restarted_for_ever_and_watched(unit: dict[str, str]) -> None:
    assert (unit["Type"], unit["NotifyAccess"], unit["Restart"]) == ("notify", "main", "always")
    assert int(unit["WatchdogSec"]) > 5.0  # the longest period that a site may choose for its cycle
    assert int(unit["TimeoutStopSec"]) >= 10
    assert unit["StartLimitIntervalSec"] == "0"


def test_is_the_user_made_as_the_unit_needs_it(unit: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "usr" / "lib" / "sysusers.d"
    folder.mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    shutil.copy(DEPLOY / "substation-edge.sysusers", folder / "substation-edge.conf")
    done = tool("systemd-sysusers", f"--root={tmp_path}", "substation-edge.conf")
    assert done.returncode == 0, done.stderr
    users = (tmp_path / "etc" / "passwd").read_text(encoding="ascii")
    groups = (tmp_path / "etc" / "group").read_text(encoding="ascii")
    assert re.search(rf"(?m)^{unit['User']}:.*:/var/lib/{unit['StateDirectory']}:", users)
    members = dict(re.findall(r"(?m)^([^:]+):[^:]*:\d+:(.*)$", groups))
    assert unit["SupplementaryGroups"].split() == ["dialout", unit["User"]]
    assert members["dialout"] == unit["User"]
    assert members[unit["Group"]] == ""  # whoever is added to it by hand is a technician


def test_may_only_root_write_and_only_the_service_read_the_site_file(unit: dict[str, str]) -> None:
    lines = (DEPLOY / "substation-edge.tmpfiles").read_text(encoding="utf-8").splitlines()
    rules = [line.split() for line in lines if not line.startswith("#")]
    assert rules == [["d", "/etc/substation-edge", "0750", "root", unit["User"], "-"]]
    assert unit["User"] in unit["SupplementaryGroups"].split()


def test_do_technicians_reach_socket_and_status_but_neither_passwords_nor_the_record(
    unit: dict[str, str], started: argparse.Namespace
) -> None:
    assert unit["Group"] not in {unit["User"], "root"}  # /etc/substation-edge belongs to the service's own
    assert int(unit["RuntimeDirectoryMode"], 8) == 0o750
    assert int(unit["StateDirectoryMode"], 8) == 0o700
    assert int(unit["UMask"], 8) == 0o027  # the status: written by the service, read by the group
    paths = Paths(started.site, started.data, started.status)
    assert paths.socket.parent == Path("/run") / unit["RuntimeDirectory"]


def test_are_serial_lines_named_by_the_port_of_the_adapter_and_allowed_to_the_service(
    unit: dict[str, str],
) -> None:
    rules = [
        line
        for line in (DEPLOY / "99-substation-edge.rules").read_text(encoding="utf-8").splitlines()
        if "SYMLINK" in line and not line.startswith("#")
    ]
    assert rules
    for rule in rules:
        assert re.search(r'ENV\{ID_PATH\}=="[^"]+", SYMLINK\+="rs485-[a-z0-9_-]+"', rule), rule
    assert "char-ttyUSB rw" in unit["DeviceAllow"].splitlines()


@pytest.mark.parametrize("script", sorted(DEPLOY.glob("*.sh")), ids=lambda path: path.name)
def test_does_the_shell_of_debian_read_the_script(script: Path) -> None:
    assert tool("sh", "-n", str(script)).returncode == 0
