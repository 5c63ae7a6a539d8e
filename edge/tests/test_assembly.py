"""From a site and its profiles to what a bus's task is told: periods, rules of writing, guards, limits."""

from collections.abc import Mapping
from typing import Any

import pytest

from drivers.profile import parse_profile
from drivers.tests.profiles import make_profile
from edge.assembly import Fitted, age_limits, fit, polled, stuck_limits
from edge.check import load
from edge.resources import config_dir
from edge.site import Device

REGISTERS: dict[str, dict[str, Any]] = {
    "energy": {"type": "f32", "unit": "kWh", "refresh_s": 300.0},
    "flow": {"type": "f32", "unit": "m3/h"},
    "position": {"type": "u16", "unit": "%", "scale": 0.01},
    "setpoint": {
        "type": "u16",
        "unit": "%",
        "scale": 0.01,
        "write": {"low": 0, "high": 100, "interval_s": 5, "per_day": 100, "read_back": False},
    },
    "run": {"type": "u16", "unit": "state", "write": {"states": {"0": 1084, "1": 1148}}},
    "speed": {"type": "f32", "unit": "1", "write": {"function": 16, "low": 0, "high": 1}},
}


def device(points: Mapping[str, object], fail_safe: list[dict[str, object]] | None = None) -> Fitted:
    """A device read every 10 s."""
    registers = {
        name: {"function": 3, "address": 2 * number, "documented": "", **facts}
        for number, (name, facts) in enumerate(REGISTERS.items())
    }
    profile = make_profile("modbus", registers)
    if fail_safe:
        data = profile.model_dump(by_alias=True, exclude_none=True) | {"fail_safe": fail_safe}
        profile = parse_profile(data, "test")
    setting = {"id": "d", "bus": "line", "profile": "p", "unit_id": 1, "period_s": 10, "points": points}
    return fit(Device.model_validate(setting), profile)


def periods(fitted: Fitted) -> dict[str, float]:
    return {each.point.name: each.period_s for each in fitted.inputs}


def test_a_point_has_the_period_of_its_device_its_own_or_the_one_the_device_renews_it_in() -> None:
    found = periods(
        device(
            {
                "low.heat_energy": "energy",
                "low.primary_flow": {"register": "flow", "period_s": 60},
                "low.valve_position": "position",
            }
        )
    )
    assert found == {"low.heat_energy": 300.0, "low.primary_flow": 60.0, "low.valve_position": 10.0}


def test_a_site_cannot_have_a_point_asked_for_more_often_than_its_device_renews_it() -> None:
    found = device({"low.heat_energy": {"register": "energy", "period_s": 5}})
    assert periods(found) == {"low.heat_energy": 300.0}


def test_totals_are_slow_and_what_control_needs_is_not() -> None:
    found = device(
        {"low.heat_energy": "energy", "low.primary_flow": "flow", "low.valve_position": "position"}
    )
    assert [each.slow for each in found.inputs] == [True, False, False]


def test_a_silent_device_is_asked_for_its_narrowest_register() -> None:
    found = device(
        {"low.heat_energy": "energy", "low.primary_flow": "flow", "low.valve_position": "position"}
    )
    assert found.probe is not None
    assert found.probe.register == "position"


def test_an_output_has_the_rules_of_its_profile_and_the_resolution_in_the_points_unit() -> None:
    found = device(
        {"low.valve_setpoint": "setpoint", "low.pump_1.run": "run", "low.pump_1.speed_setpoint": "speed"}
    )
    valve, run, speed = found.outputs
    assert (valve.interval_s, valve.per_day, valve.read_back) == (5.0, 100, False)
    assert valve.resolution == pytest.approx(0.01)
    assert (run.interval_s, run.per_day, run.read_back, run.resolution) == (0.0, None, True, 0.5)
    assert speed.resolution == 0.0  # a float
    assert speed.agrees(80.0, 80.0 * (1 + 1e-7))
    assert not speed.agrees(80.0, 80.01)


def test_fail_safe_registers_are_read_in_their_own_unit_though_no_point_of_the_site_maps_them() -> None:
    rule: dict[str, object] = {"register": "position", "one_of": [0], "why": {"zh": "为何", "en": "why"}}
    (guard,) = device({"low.primary_flow": "flow"}, [rule]).guards
    assert (guard.point.device, guard.point.register, guard.point.unit.value) == ("d", "position", "%")


def test_the_age_limit_of_a_point_follows_its_own_period() -> None:
    demo = load(config_dir() / "sites" / "demo.toml", None)
    limits = age_limits(demo.devices, demo.site, speed=1.0)
    assert limits["low.valve_position"] == 3 * 2.0 + 2 * 0.3
    assert limits["room.h1.temperature"] == 3 * 60.0 + 2 * 1.0
    assert "low.valve_setpoint" not in limits


def test_the_first_reads_of_a_bus_are_spread_over_half_a_period() -> None:
    demo = load(config_dir() / "sites" / "demo.toml", None)
    rooms = [each for each in demo.devices if each.setting.bus == "rooms"]
    due = [each.due for each in polled(rooms, 100.0)]
    assert due == sorted(set(due))
    assert due[0] == 100.0
    assert due[-1] < 110.0  # nobody waits a minute for its first value


def test_only_points_with_stuck_s_are_watched_and_none_by_fewer_than_five_readings() -> None:
    fitted = device(
        {
            "low.heat_energy": {"register": "energy", "stuck_s": 600},  # renewed every 300 s
            "low.primary_flow": {"register": "flow", "stuck_s": 600},
            "low.valve_position": "position",
        }
    )
    assert stuck_limits([fitted]) == {"low.heat_energy": 1500.0, "low.primary_flow": 600.0}


def test_less_than_a_minute_of_rest_accuses_no_sensor() -> None:
    with pytest.raises(ValueError, match="stuck_s"):
        device({"low.primary_flow": {"register": "flow", "stuck_s": 59}})
