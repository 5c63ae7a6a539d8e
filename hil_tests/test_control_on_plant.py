"""The very `decide` of the service on the bench's physics, in a plain loop of seconds."""

from dataclasses import dataclass, field

import pytest

from edge.clock import ClockState, Instant
from edge.control import ControlState, Decision, decide, from_plain, initial, to_plain
from edge.image import ProcessImage
from edge.loading import read_site
from edge.resources import config_dir
from hil_tests.plant import (
    UNDISTURBED,
    Disturbance,
    Inputs,
    Noise,
    PlantState,
    commands,
    measure,
    station,
    steady_commands,
    steady_state,
    step,
)
from hil_tests.plant_trial import readings

SITE = read_site(config_dir() / "sites" / "demo.toml")
PLANT = station()
START = 1_768_428_000.0  # 2026-01-15 06:00 in Shanghai
HOUR = 3600
CIRCUITS = ("high", "low")


@dataclass(slots=True)
class _Loop:
    """A station in balance, control just started, and what was seen since."""

    outdoor_c: float
    seconds: int = 0
    mind: ControlState = field(default_factory=lambda: initial(SITE))
    noise: Noise = field(default_factory=lambda: Noise(7))
    told: dict[str, float] = field(default_factory=dict)
    error_k: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in CIRCUITS})
    state: PlantState = field(init=False)

    def __post_init__(self) -> None:
        self.state = steady_state(PLANT, START, self.outdoor_c)

    def cycle(self, disturbance: Disturbance) -> Decision:
        wall = START + self.seconds
        now = Instant(wall, float(self.seconds), float(self.seconds), ClockState.SYNCED)
        image = ProcessImage(now, readings(measure(PLANT, self.state, self.noise), wall))
        decision = decide(self.mind, image, SITE, True, now)
        self.mind = decision.state
        self.told |= {command.point: command.value for command in decision.commands}
        asked = commands(PLANT, self.told) if self.told else steady_commands(PLANT, self.state)
        step(PLANT, self.state, Inputs(self.outdoor_c, asked, disturbance=disturbance), 1.0)
        self.seconds += 1
        return decision

    def run(self, seconds: int, disturbance: Disturbance = UNDISTURBED) -> Decision:
        """That long; the errors of the true supply are noted afresh."""
        self.error_k = {name: [] for name in CIRCUITS}
        decision = self.cycle(disturbance)
        for _ in range(seconds - 1):
            decision = self.cycle(disturbance)
            for name, circuit in zip(CIRCUITS, self.state.circuits, strict=True):
                setpoint_c = decision.views[name].setpoint_c
                assert setpoint_c is not None
                self.error_k[name].append(circuit.secondary_out_c - setpoint_c)
        return decision

    def openings(self) -> list[float]:
        """Where the valves are, % of stroke."""
        return [100.0 * circuit.motor for circuit in self.state.circuits]


@pytest.mark.parametrize("outdoor_c", [12.0, 3.0, -5.0])
def test_supply_stays_within_1_k_at_low_and_at_high_load_without_wearing_the_valve(outdoor_c: float) -> None:
    loop = _Loop(outdoor_c)
    loop.run(HOUR // 2)
    strokes = [circuit.account.strokes for circuit in loop.state.circuits]
    starts = [circuit.account.starts for circuit in loop.state.circuits]
    loop.run(2 * HOUR)
    for number, name in enumerate(CIRCUITS):
        errors = loop.error_k[name]
        assert sum(abs(error) <= 1.0 for error in errors) >= 0.95 * len(errors)
        assert abs(sum(errors) / len(errors)) < 0.25
        account = loop.state.circuits[number].account
        assert (account.strokes - strokes[number]) * 12 < 5.0  # a day; 2 is good, hunting is 12 and more
        assert (account.starts - starts[number]) * 12 < 500


@pytest.mark.parametrize(
    ("lost", "worst_k", "within_s"),
    [
        (Disturbance(differential_share=0.0), 1.5, 3600),
        (Disturbance(source_cold=True, differential_share=0.0), 1.5, 3600),
    ],
)
def test_after_three_hours_without_primary_heat_the_supply_comes_back_without_a_swing(
    lost: Disturbance, worst_k: float, within_s: int
) -> None:
    loop = _Loop(2.0)
    loop.run(600)
    before = loop.openings()
    decision = loop.run(3 * HOUR, lost)
    assert [view.limited_by for view in decision.views.values()] == ["reason.primary_lost"] * 2
    assert loop.openings() == pytest.approx(before, abs=3.0)
    loop.run(2 * HOUR)
    for name in CIRCUITS:
        assert max(loop.error_k[name]) < worst_k
        assert all(abs(error) <= 1.0 for error in loop.error_k[name][within_s:])


def test_a_restart_of_the_service_moves_no_valve() -> None:
    loop = _Loop(-2.0)
    loop.run(1200)
    for age_s in (1, 7, 30):
        before = loop.openings()
        stored = to_plain(loop.mind)
        loop.seconds += age_s  # the plant stands still meanwhile: what moves then is the restart's doing
        now = Instant(START + loop.seconds, float(loop.seconds), float(loop.seconds), ClockState.SYNCED)
        loop.mind = from_plain(stored, SITE, now)
        loop.run(5)
        assert loop.openings() == pytest.approx(before, abs=2.0)
        loop.run(300)


def test_after_an_hour_without_mains_the_loops_warm_up_again_without_overshoot() -> None:
    loop = _Loop(2.0)
    loop.run(600)
    decision = loop.run(HOUR, Disturbance(mains_power=False))
    assert all(loop.told[f"{name}.valve_setpoint"] == 0.0 for name in CIRCUITS)
    assert all(loop.told[f"{name}.pump_1.run"] == 0.0 for name in CIRCUITS)
    decision = loop.run(HOUR)
    assert all(view.limited_by in ("", "limit.valve_maximum") for view in decision.views.values())
    for name in CIRCUITS:
        assert max(loop.error_k[name][300:]) < 1.5
        assert all(abs(error) <= 1.0 for error in loop.error_k[name][2400:])
