"""What a technician asks of `check` about a serial line: is it too full, by whom, and what to do."""

import re
from datetime import date
from pathlib import Path

import pytest

from edge.__main__ import main
from edge.budget import LIMIT, budgets
from edge.check import load
from edge.loading import SiteError
from edge.resources import config_dir

TODAY = date(2026, 1, 15)
DEMO = (config_dir() / "sites" / "demo.toml").read_text(encoding="utf-8")


def site(folder: Path, *changes: tuple[str, str]) -> Path:
    """The demo's site with changes."""
    text = DEMO
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


SLOW = ("baud = 19200", "baud = 1200")
OFTEN = ("period_s = 10\n", "period_s = 0.5\n")


def test_a_line_that_is_asked_for_more_than_it_carries_is_refused_with_its_worst_points(
    tmp_path: Path,
) -> None:
    with pytest.raises(SiteError) as refused:
        load(site(tmp_path, SLOW, OFTEN), TODAY)
    [problem] = refused.value.problems
    assert (problem.key, problem.code) == ("buses[line1]", "overfull")
    assert float(problem.values["share"].rstrip("%")) > 100 * LIMIT
    assert problem.values["worst"].index("meter_high") < problem.values["worst"].index("valve_high")
    assert re.search(r"high\.heat_energy, .*: \d+ ms / 0.5 s", problem.values["worst"])


def test_a_running_plant_is_not_stopped_by_it(tmp_path: Path) -> None:
    assert load(site(tmp_path, SLOW, OFTEN), None, beside=None).site.site.gateway == "demo-01"


def test_tcp_and_opcua_have_no_such_budget() -> None:
    loaded = load(config_dir() / "sites" / "demo.toml", TODAY)
    assert [budget.bus for budget in budgets(loaded.site, loaded.devices)] == ["line1"]


def test_half_the_baud_rate_takes_nearly_twice_the_time(tmp_path: Path) -> None:
    shares = []
    for baud in (9600, 4800):
        loaded = load(site(tmp_path, ("baud = 19200", f"baud = {baud}")), TODAY)
        shares.append(budgets(loaded.site, loaded.devices)[0].share)
    assert 1.5 < shares[1] / shares[0] < 2.0  # the turnaround of the devices stays what it is


@pytest.mark.parametrize("language", ["zh", "en"])
def test_check_prints_how_full_each_line_is(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "check",
        str(config_dir() / "sites" / "demo.toml"),
        "--date",
        "2026-01-15",
        "--lang",
        language,
    ]
    assert main(arguments) == 0
    assert re.search(r"line1.*\d+%", capsys.readouterr().out)
