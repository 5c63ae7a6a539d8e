"""A technician's hand on an output: whom it overrides, whom it does not, how it ends, and what follows."""

import pytest

from edge.control import Decision, decide, initial
from edge.holds import Hold, Holds
from edge.records import Holder
from edge.tests.control_bench import Station, image, instant, make_site

SITE = make_site()
VALVE = "high.valve_setpoint"
PUMP = "high.pump_1.run"


class Manned(Station):
    """A station with a technician."""

    holds = Holds(SITE)

    def cycle(self, dt: float = 1.0) -> Decision:
        """One cycle, in which the holds in force are arbitrated."""
        if self.state is not None:
            self.seconds += dt
        now = instant(self.seconds)
        state = self.state if self.state is not None else initial(self.site)
        decision = decide(state, image(self.values, now), self.site, self.heating, now)
        decision = self.holds.arbitrated(decision, now)
        self.state, self.decision = decision.state, decision
        self.events += [*decision.events, *self.holds.drain_events()]
        if self.following:
            self._follow(dt)
        return decision

    def hold(self, value: float, lasts_s: float = 1e4, point: str = VALVE) -> None:
        now = instant(self.seconds)
        self.holds.begin(Hold(point, value, now.monotonic + lasts_s, "Li", "trial"), now)

    def release(self) -> None:
        self.holds.end(VALVE, instant(self.seconds))


@pytest.fixture
def station() -> Manned:
    manned = Manned(SITE, following=True)
    manned.holds = Holds(SITE)
    manned.run(30)
    return manned


def test_a_hold_overrides_automatic_and_says_who_asked(station: Manned) -> None:
    station.hold(20.0)
    station.run(5)
    command = station.command(VALVE)
    assert command is not None
    assert (command.value, command.holder, command.who) == (20.0, Holder.TECHNICIAN, "Li")
    assert station.decision is not None
    assert station.decision.views["high"].holder is Holder.TECHNICIAN
    (started,) = station.happened("manual.started", VALVE)
    assert (started.body["who"], started.body["why"], started.body["value"]) == ("Li", "trial", 20.0)


def test_a_hold_before_the_inputs_have_reported_overrides_the_safe_state() -> None:
    station = Manned(SITE)
    station.holds = Holds(SITE)
    station.values.pop("high.secondary_supply_temperature")
    station.run(3)
    assert station.value(VALVE) is None
    station.hold(15.0)
    station.run(1)
    assert station.value(VALVE) == 15.0


def test_an_interlock_and_frost_protection_stand_above_the_hand(station: Manned) -> None:
    station.hold(80.0)
    station.run(20, high__secondary_supply_temperature=70.0)  # 10 K above the limit
    command = station.command(VALVE)
    assert command is not None
    assert (command.value, command.holder) == (0.0, Holder.INTERLOCK)
    frozen = Manned(SITE, heating=False)
    frozen.holds = Holds(SITE)
    frozen.run(5)
    frozen.hold(0.0)
    frozen.run(30, high__secondary_supply_temperature=3.0, high__secondary_return_temperature=3.0)
    command = frozen.command(VALVE)
    assert command is not None
    assert command.holder is Holder.FROST


def test_after_the_interlock_the_hand_rules_again_until_it_expires(station: Manned) -> None:
    station.hold(30.0, lasts_s=300.0)
    station.run(20, high__secondary_supply_temperature=70.0)
    station.run(100, high__secondary_supply_temperature=50.0)
    assert station.value(VALVE) == 30.0
    station.run(200)
    command = station.command(VALVE)
    assert command is not None
    assert command.holder is Holder.AUTOMATIC
    assert [event.body["cause"] for event in station.happened("manual.ended", VALVE)] == ["expired"]


def test_who_takes_the_hand_off_is_recorded_with_whose_hand_it_was(station: Manned) -> None:
    station.hold(20.0)
    station.holds.end(VALVE, instant(station.seconds), by="Wang")
    station.run(1)
    (ended,) = station.happened("manual.ended", VALVE)
    assert ended.body == {"who": "Li", "cause": "released", "by": "Wang"}


@pytest.mark.parametrize("error_k", [-15.0, -3.0, 3.0, 15.0])
@pytest.mark.parametrize("held", [5.0, 90.0])
def test_control_takes_over_from_the_hand_without_a_jump(
    station: Manned, held: float, error_k: float
) -> None:
    station.hold(held)
    station.run(600, high__secondary_supply_temperature=50.0 + error_k if error_k < 10 else 58.0)
    assert station.values["high.valve_position"] == held
    station.release()
    station.run(1)
    command = station.command(VALVE)
    assert command is not None
    assert command.holder is Holder.AUTOMATIC
    assert abs(command.value - held) <= 2.0


def test_control_goes_on_from_the_hand_though_the_position_it_knows_is_older(station: Manned) -> None:
    station.following = False  # 40 % was measured before the hand came
    station.hold(20.0)
    station.run(2)
    station.release()
    station.run(1)
    assert abs((station.value(VALVE) or 0.0) - 20.0) <= 2.0


def test_after_the_hand_the_loop_comes_to_rest_at_its_setpoint_again(station: Manned) -> None:
    station.hold(90.0)
    station.run(300)
    station.release()
    before = station.run(1)
    station.run(60)
    assert before.views["high"].holder is Holder.AUTOMATIC
    assert (
        abs((station.value(VALVE) or 0.0) - 90.0) <= 2.0
    )  # the supply is where it should be: no reason to move


def test_control_takes_over_without_a_jump_where_the_position_is_unknown(station: Manned) -> None:
    station.hold(25.0)
    del station.values["high.valve_position"]
    station.following = False
    station.run(300, high__secondary_supply_temperature=42.0)
    station.release()
    station.run(1)
    assert abs((station.value(VALVE) or 0.0) - 25.0) <= 2.0


def test_a_pump_stopped_by_hand_is_known_to_stand_although_nothing_reports_it() -> None:
    station = Manned(SITE)
    station.holds = Holds(SITE)
    del station.values["high.pump_1.running"]
    station.run(10)
    station.hold(0.0, point=PUMP)
    station.run(30)
    assert station.value(PUMP) == 0.0
    command = station.command(VALVE)
    assert command is not None
    assert (command.value, command.holder) == (0.0, Holder.INTERLOCK)


def test_a_make_up_pump_run_by_hand_is_locked_out_by_its_run_time(station: Manned) -> None:
    station.hold(1.0, point="high.makeup_pump.run")
    station.run(90, high__secondary_return_pressure=2.5)  # its limit is 60 s
    command = station.command("high.makeup_pump.run")
    assert command is not None
    assert (command.value, command.holder) == (0.0, Holder.INTERLOCK)


@pytest.mark.parametrize(
    ("point", "value", "lasts_s"),
    [
        ("high.valve_position", 20.0, 60.0),
        ("middle.valve_setpoint", 20.0, 60.0),
        (VALVE, 101.0, 60.0),
        (VALVE, float("nan"), 60.0),
        (VALVE, 20.0, 0.0),
    ],
)
def test_what_must_not_be_held_is_refused(station: Manned, point: str, value: float, lasts_s: float) -> None:
    with pytest.raises(ValueError, match=point):
        station.hold(value, lasts_s, point)
    assert station.holds.held == {}


def test_a_valve_is_not_held_open_beyond_its_limit() -> None:
    site = make_site(valve={"running_time_s": 100, "maximum_percent": 70})
    with pytest.raises(ValueError, match="70"):
        Holds(site).begin(Hold(VALVE, 80.0, 1e6, "Li", "trial"), instant(0.0))
