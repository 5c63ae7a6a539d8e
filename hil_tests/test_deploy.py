"""The service as it gets onto a gateway: built, installed outside the checkout, upgraded, gone back on.

The quick form runs the real installer without a network: in place of the locked packages it installs one made
here that points to the packages of the test's own environment.
"""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
SITE = CHECKOUT / "config" / "sites" / "demo.toml"
DAY = ("--date", "2026-01-15")  # the demo's pack is in force then
_ABOUT = """
import json, sys, edge, drivers
from edge.check import load
from edge.resources import config_dir
from edge.texts import Texts
print(json.dumps({"edge": edge.__file__, "drivers": drivers.__file__, "config": str(config_dir()),
                  "path": sys.path, "good": Texts.load("zh")("cli.check.bad", count=3)}))
"""


@dataclass(frozen=True)
class Gateway:
    """A root folder with what the installer put there."""

    root: Path
    deploy: Path  # a copy of deploy/ beside the lock file it is to use
    wheels: Path | None

    @property
    def link(self) -> Path:
        return self.root / "usr" / "lib" / "substation-edge"

    @property
    def command(self) -> Path:
        return self.root / "usr" / "local" / "bin" / "substation-edge"

    def install(self, what: str | Path, **more: str) -> "subprocess.CompletedProcess[str]":
        environment = {**clean(), "ROOT": str(self.root), "PYTHON": sys.executable, **more}
        if self.wheels is not None:
            environment["WHEELS"] = str(self.wheels)
        return ran("sh", str(self.deploy / "install.sh"), str(what), env=environment, cwd=self.root.parent)

    def edge(self, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        return ran(str(self.command), *map(str, words), env=clean(), cwd=self.root)


def clean() -> dict[str, str]:
    """This environment without what would lead Python to the checkout."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }


def ran(*command: str, env: dict[str, str], cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def well(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    well(ran(sys.executable, "-m", "pip", "wheel", *options, str(CHECKOUT), env=clean(), cwd=folder))
    return next(folder.glob("*.whl"))


def copy_of_deploy(folder: Path, lock: str) -> Path:
    """deploy/ and the guides as in an archive of the checkout, with this lock file."""
    shutil.copytree(CHECKOUT / "deploy", folder / "deploy")
    (folder / "docs").mkdir()
    for guide in ("operator.md", "record.md"):
        shutil.copy(CHECKOUT / "docs" / guide, folder / "docs")
    (folder / "requirements.lock").write_text(lock, encoding="ascii")
    return folder / "deploy"


def borrowed_packages(folder: Path) -> str:
    """A wheel in `folder` that adds this environment's packages by a .pth file; its line for a lock file."""
    about = "borrowed_packages-1.0.dist-info"
    files = {
        "borrowed_packages.pth": sysconfig.get_path("purelib") + "\n",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: borrowed-packages\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    path = folder / "borrowed_packages-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{about}/RECORD": record}.items():
            archive.writestr(name, text)
    return f"borrowed-packages==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def new_gateway(folder: Path) -> Gateway:
    archive, wheels = folder / "an archive", folder / "wheels of it"
    archive.mkdir()
    wheels.mkdir()
    deploy = copy_of_deploy(archive, borrowed_packages(wheels))
    return Gateway(folder / "root of an image", deploy, wheels)  # paths with spaces on purpose


@pytest.fixture(scope="module")  # an installation takes seconds: whoever changes it puts it right again
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Gateway:
    gateway = new_gateway(tmp_path_factory.mktemp("installed"))
    well(gateway.install(wheel))
    return gateway


def about(gateway: Gateway) -> dict[str, str]:
    python = str(gateway.link / "bin" / "python")
    told: dict[str, str] = json.loads(well(ran(python, "-I", "-c", _ABOUT, env=clean(), cwd=gateway.root)))
    return told


def test_does_the_installed_service_load_its_code_and_its_data_from_where_it_was_installed(
    installed: Gateway,
) -> None:
    told = about(installed)
    for what in ("edge", "drivers", "config"):
        assert Path(told[what]).resolve().is_relative_to(installed.root.resolve()), told
    assert str(CHECKOUT) not in told["path"]
    assert told["good"] != "cli.check.bad"  # a text, not its key


def test_does_the_wheel_hold_every_file_of_config_and_no_test(installed: Gateway) -> None:
    def files(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    config = Path(about(installed)["config"])
    assert files(config) == files(CHECKOUT / "config")
    packages = config.parent.parent
    assert not [p for name in ("edge", "drivers") for p in (packages / name).rglob("tests")]


def test_is_a_site_checked_by_the_installed_command_from_any_folder(installed: Gateway) -> None:
    good = installed.edge("check", SITE, *DAY, "--lang", "en")
    assert well(good)
    broken = installed.root / "broken.toml"
    broken.write_text(SITE.read_text(encoding="utf-8").replace("gateway =", "gatewai ="), encoding="utf-8")
    refused = installed.edge("check", broken, *DAY, "--lang", "en")
    assert refused.returncode == 1
    assert "gatewai" in refused.stderr


def test_does_the_installed_service_run_and_leave_a_journal_that_verifies(
    installed: Gateway, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    site = tmp_path / "site.toml"
    text = SITE.read_text(encoding="utf-8")
    site.write_text(
        text[: text.index("[upstream]")].replace("/dev/ttyS1", str(tmp_path / "no line")), "utf-8"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(30.0)
        environment = {**clean(), "NOTIFY_SOCKET": str(tmp_path / "notify")}
        command = [str(installed.command), "run", str(site), "--data", str(data)]
        clock = ["--clock", "1768428000,0,1"]  # mid-winter, whenever the test runs
        service = subprocess.Popen([*command, *clock], env=environment, cwd=tmp_path)
        try:
            assert b"READY=1" in supervisor.recv(1024)
            service.send_signal(signal.SIGTERM)
            assert service.wait(10) == 0
        finally:
            service.kill()
            service.wait()
    assert well(installed.edge("verify", data / "journal.sqlite"))


def test_does_it_still_run_when_the_whole_root_is_moved(installed: Gateway) -> None:
    moved = Gateway(installed.root.with_name("elsewhere"), installed.deploy, installed.wheels)
    installed.root.rename(moved.root)
    checked = moved.edge("check", SITE, *DAY)
    moved.root.rename(installed.root)
    well(checked)


def test_does_an_upgrade_switch_a_link_and_can_one_go_back_on_it(installed: Gateway, wheel: Path) -> None:
    first = os.readlink(installed.link)
    well(installed.install(wheel))
    second = os.readlink(installed.link)
    assert {first, second} == {"substation-edge.d/a", "substation-edge.d/b"}
    well(installed.install("--back"))
    assert os.readlink(installed.link) == first
    well(installed.edge("check", SITE, *DAY))


def test_does_an_upgrade_that_fails_leave_the_old_version_in_place(
    installed: Gateway, tmp_path: Path
) -> None:
    before = os.readlink(installed.link)
    torn = tmp_path / "substation_edge-9.0-py3-none-any.whl"
    torn.write_bytes(b"half a download")
    failed = installed.install(torn)
    assert failed.returncode != 0
    assert "nothing was changed" in failed.stderr
    assert os.readlink(installed.link) == before
    well(installed.edge("check", SITE, *DAY))
    assert "no version to go back to" in installed.install("--back").stderr


def test_is_a_version_that_refuses_the_site_file_not_switched_to(installed: Gateway, wheel: Path) -> None:
    before = os.readlink(installed.link)
    site = installed.root / "etc" / "substation-edge" / "site.toml"
    site.write_text("[site]\n", encoding="utf-8")
    refused = installed.install(wheel)
    site.unlink()
    assert refused.returncode != 0
    assert "refuses" in refused.stderr
    assert os.readlink(installed.link) == before


def test_is_a_package_with_another_hash_than_the_lock_names_refused(tmp_path: Path, wheel: Path) -> None:
    gateway = new_gateway(tmp_path)
    lock = gateway.deploy.parent / "requirements.lock"
    lock.write_text(lock.read_text(encoding="ascii")[:-9] + "00000000\n", encoding="ascii")
    refused = gateway.install(wheel)
    assert refused.returncode != 0
    assert "nothing was changed" in refused.stderr
    assert not gateway.link.exists()


@pytest.mark.parametrize(
    ("given", "word"),
    [("nowhere.whl", "no such file"), ("README.md", "not a wheel"), ("--back", "no version to go back to")],
)
def test_does_the_installer_say_what_is_wrong(tmp_path: Path, given: str, word: str) -> None:
    refused = new_gateway(tmp_path).install(given)
    assert refused.returncode == 1
    assert word in refused.stderr


def test_does_the_installer_say_that_the_lock_file_is_missing(tmp_path: Path, wheel: Path) -> None:
    gateway = new_gateway(tmp_path)
    (gateway.deploy.parent / "requirements.lock").unlink()
    assert "requirements.lock" in gateway.install(wheel).stderr


@pytest.mark.long
@pytest.mark.timeout(900)
def test_does_the_installer_bring_everything_the_lock_file_pins(tmp_path: Path, wheel: Path) -> None:
    """With the network: the real lock file, nothing borrowed."""
    lock = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
    (tmp_path / "archive").mkdir()
    gateway = Gateway(tmp_path / "root", copy_of_deploy(tmp_path / "archive", lock), wheels=None)
    well(gateway.install(wheel))
    told = about(gateway)
    assert not [path for path in told["path"] if Path(path).is_relative_to(CHECKOUT)]
    well(gateway.edge("check", SITE, *DAY))
