"""The service as a whole on a field in this process: start, decide, record, stop, and come back."""

import asyncio
import json
import shutil
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import apsw
import msgpack
import pytest

from edge.clock import Clock, Instant, ScaledClock
from edge.cycle import Cycle
from edge.journal import Entry, Journal, Row
from edge.loading import SiteError
from edge.resources import config_dir
from edge.service import Paths, serve
from edge.tests.field import Field
from edge.verification import verify

SPEED = 60.0
START = 1_768_428_000.0  # 2026-01-15 06:00 in Zhangye
STEADY = {
    "secondary_supply_temperature": 60.0,
    "secondary_return_temperature": 45.0,
    "secondary_supply_pressure": 4.0,
    "primary_supply_temperature": 90.0,
    "primary_return_temperature": 48.0,
    "primary_flow": 40.0,
    "heat_power": 1500.0,
    "heat_energy": 1e6,
    "primary_volume": 1e5,
    "makeup_flow": 0.0,
    "makeup_volume": 12.0,
    "pump_1.frequency": 45.0,
    "pump_1.running": 1.0,
    "pump_1.fault": 0.0,
    "makeup_pump.frequency": 0.0,
    "makeup_pump.running": 0.0,
    "makeup_pump.fault": 0.0,
}
STATION = {
    "outdoor_temperature": -5.0,
    "primary_supply_temperature": 90.0,
    "primary_differential_pressure": 1.6,
    "tank_level": 2.0,
    "sump_level": 0.05,
    "mains_power": 1.0,
    "door": 0.0,
}


def steady_field() -> Field:
    values = {f"{c}.{name}": value for c in ("high", "low") for name, value in STEADY.items()}
    values |= {f"station.{name}": value for name, value in STATION.items()}
    values |= {f"room.{room}.temperature": 20.5 for room in ("h1", "h2", "h3", "l1", "l2", "l3")}
    values |= {"high.valve_position": 37.0, "low.valve_position": 41.0}
    values |= {"high.secondary_return_pressure": 6.0, "low.secondary_return_pressure": 3.0}
    values |= {"low.secondary_supply_temperature": 45.0}
    return Field(values)


@dataclass
class House:
    """The service in a folder; each `run` is one life of it."""

    folder: Path
    plant: Field
    clock: Clock = field(default_factory=lambda: ScaledClock(START, time.monotonic(), SPEED))

    def __post_init__(self) -> None:
        text = (config_dir() / "sites" / "demo.toml").read_text(encoding="utf-8")
        self.paths = Paths(self.folder / "site.toml", self.folder / "data", self.folder / "status.json")
        self.paths.site.write_text(text[: text.index("[upstream]")], encoding="utf-8")
        assert "upstream" not in tomllib.loads(self.paths.site.read_text(encoding="utf-8"))

    async def run(self, until: Callable[[], bool]) -> None:
        """Run until the condition holds; the service is then asked to stop. Fails after 20 real seconds."""
        stop = asyncio.Event()
        task = asyncio.create_task(serve(self.paths, self.clock, self.plant.open, stop=stop))
        try:
            async with asyncio.timeout(20.0):
                while not until():
                    if task.done():
                        break
                    await asyncio.sleep(0.005)
        finally:
            stop.set()
            await task

    async def rows(self) -> list[Row]:
        async with await Journal.open(self.paths.data / "journal.sqlite", self.clock) as journal:
            return await journal.rows(0, 10_000)

    def wrote(self, point: str) -> list[float]:
        return [value for name, value in self.plant.written if name == point]

    def shown(self) -> dict[str, object]:
        try:
            found: dict[str, object] = json.loads(self.paths.status.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, steady_field())


async def test_the_first_command_to_a_valve_is_where_it_stands(house: House) -> None:
    await house.run(lambda: bool(house.wrote("high.valve_setpoint")))
    assert abs(house.wrote("high.valve_setpoint")[0] - 37.0) <= 1.0


async def test_nothing_is_written_to_a_circuit_before_its_inputs_have_reported(house: House) -> None:
    del house.plant.values["high.secondary_return_pressure"]
    await house.run(lambda: bool(house.wrote("low.valve_setpoint")))
    assert house.wrote("high.valve_setpoint") == []


async def test_the_intent_stands_in_the_journal_with_its_holder_and_reason(house: House) -> None:
    await house.run(lambda: bool(house.wrote("high.valve_setpoint")))
    intents = [row for row in await house.rows() if row.kind == "control.command"]
    body = {row.subject: msgpack.unpackb(row.body) for row in intents}["high.valve_setpoint"]
    assert (body["holder"], body["reason"]) == ("automatic", "reason.automatic")
    assert abs(body["value"] - 37.0) <= 1.0


async def test_each_life_is_recorded_and_the_chain_runs_through_all_of_them(house: House) -> None:
    for _ in range(2):
        written = len(house.plant.written)
        await house.run(lambda before=written: len(house.plant.written) > before)  # type: ignore[misc]
    kinds = [row.kind for row in await house.rows()]
    assert [kind for kind in kinds if kind.startswith("service.")] == [
        *("service.started", "service.stopped"),
        *("service.started", "service.blind", "service.stopped"),
    ]
    assert verify(house.paths.data / "journal.sqlite").ok


async def test_an_output_is_renewed_although_nothing_changes(house: House) -> None:
    await house.run(lambda: house.wrote("high.pump_1.run").count(1.0) >= 3)


async def test_a_driver_that_overhears_the_end_does_not_keep_the_service_from_ending(house: House) -> None:
    house.plant.deaf = True
    async with asyncio.timeout(10.0):
        await house.run(lambda: len(house.plant.asked) >= 4)  # every bus hangs in its first read


@pytest.mark.parametrize("wall", [0.0, 2_000_000_000.0], ids=["clock never set", "regulation expired"])
async def test_a_date_outside_the_regulation_is_recorded_and_stops_no_plant(
    house: House, wall: float
) -> None:
    house.clock = ScaledClock(wall, time.monotonic(), SPEED)
    await house.run(lambda: bool(house.shown()))
    rows = [row for row in await house.rows() if row.kind == "regulation.not_in_force"]
    assert len(rows) == 1


async def test_a_wrong_site_file_leaves_the_last_good_one_in_force_and_is_recorded(house: House) -> None:
    await house.run(lambda: bool(house.shown()))
    house.paths.site.write_text("[site]\ngateway = 7\n", encoding="utf-8")
    house.plant.written.clear()
    await house.run(lambda: bool(house.plant.written))
    assert "config.rejected" in [row.kind for row in await house.rows()]


async def test_without_any_good_site_the_service_refuses_to_start(house: House) -> None:
    house.paths.site.write_text("[site]\n", encoding="utf-8")
    with pytest.raises(SiteError):
        await house.run(lambda: False)


async def test_an_open_outage_is_not_opened_again_by_a_restart(house: House) -> None:
    def lose_the_source() -> None:
        house.plant.values["station.primary_differential_pressure"] = 0.02
        house.plant.values["station.primary_supply_temperature"] = 30.0
        for circuit in ("high", "low"):
            house.plant.values[f"{circuit}.primary_supply_temperature"] = 30.0
            house.plant.values[f"{circuit}.primary_flow"] = 0.0
            house.plant.values[f"{circuit}.heat_power"] = 0.0
            house.plant.values[f"{circuit}.secondary_supply_temperature"] = 30.0

    def outages() -> list[str]:
        compliance = house.shown().get("compliance")
        return [outage["circuit"] for outage in compliance["outages"]] if isinstance(compliance, dict) else []

    await house.run(
        lambda: bool(house.wrote("high.valve_setpoint")) and bool(house.wrote("low.valve_setpoint"))
    )
    lose_the_source()
    await house.run(lambda: sorted(outages()) == ["high", "low"])
    house.paths.status.unlink()
    await house.run(lambda: sorted(outages()) == ["high", "low"])
    rows = await house.rows()
    started = [row for row in rows if row.kind == "outage.started"]
    assert sorted(row.subject for row in started) == ["high", "low"]
    assert {msgpack.unpackb(row.body)["cause"] for row in started} == {"source"}
    opened = [row.subject for row in rows if row.kind == "duty.opened"]
    assert len(opened) == len(set(opened)) > 0


async def test_the_status_says_why_a_value_is_missing(house: House) -> None:
    house.plant.dead.add("meter_high")

    def shown() -> bool:
        readings = house.shown().get("readings")
        return isinstance(readings, dict) and readings["high.primary_flow"]["reason"] == "no_answer"

    await house.run(shown)
    readings = house.shown()["readings"]
    assert isinstance(readings, dict)
    assert readings["high.primary_flow"]["value"] is None


@pytest.mark.parametrize("body", [b"\xc1", b"\xa1x", msgpack.packb({"occurred": 1})])
async def test_an_old_record_that_is_damaged_keeps_no_plant_from_starting(house: House, body: bytes) -> None:
    house.paths.data.mkdir()
    async with await Journal.open(house.paths.data / "journal.sqlite", house.clock) as journal:
        kinds = ("outage.started", "outage.ended", "alarm.raised", "duty.opened", "refund.basis")
        entries = [Entry(kind, f"old {kind}", {"id": "x"}) for kind in kinds]
        await journal.append([*entries, *[Entry("control.mode", "high", {})] * 2100], house.clock.now())
    connection = apsw.Connection(str(house.paths.data / "journal.sqlite"))
    connection.execute("update rows set body = ? where seq <= 5", (body,))
    connection.close()
    await house.run(lambda: bool(house.wrote("high.valve_setpoint")))
    assert house.wrote("high.valve_setpoint") != []


async def test_without_a_usable_history_the_plant_is_controlled_and_recorded(house: House) -> None:
    (house.paths.data / "history.sqlite").mkdir(parents=True)
    await house.run(lambda: bool(house.wrote("high.valve_setpoint")))
    assert "control.command" in [row.kind for row in await house.rows()]


async def test_a_status_nobody_can_write_stops_no_plant(house: House) -> None:
    house.paths.status.mkdir()
    await house.run(lambda: house.wrote("high.pump_1.run").count(1.0) >= 2)
    assert [row.kind for row in await house.rows()][-1] == "service.stopped"


async def test_a_last_good_site_that_cannot_be_replaced_is_kept_and_stops_no_plant(house: House) -> None:
    await house.run(lambda: bool(house.shown()))
    good = house.paths.last_good.read_text(encoding="utf-8")
    house.paths.site.write_text(good + "\n# a new word\n", encoding="utf-8")
    (house.paths.data / "site.last-good.toml.new").mkdir()  # as good as a full disk
    house.plant.written.clear()
    await house.run(lambda: bool(house.plant.written))
    assert house.paths.last_good.read_text(encoding="utf-8") == good


async def test_the_last_good_site_finds_the_profiles_that_stand_beside_the_site(house: House) -> None:
    own = house.folder / "profiles" / "own_valve.toml"
    own.parent.mkdir()
    shutil.copyfile(config_dir() / "profiles" / "siemens_acvatix_mo.toml", own)
    text = house.paths.site.read_text(encoding="utf-8").replace("siemens_acvatix_mo", "own_valve")
    house.paths.site.write_text(text, encoding="utf-8")
    await house.run(lambda: bool(house.shown()))
    house.paths.site.write_text("[site]\ngateway = 7\n", encoding="utf-8")
    house.plant.written.clear()
    await house.run(lambda: bool(house.plant.written))


async def test_a_technicians_hold_is_recorded_with_who_asked_and_does_not_outlive_a_restart(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    cycles: list[Cycle] = []

    def kept(*words: object) -> Cycle:
        cycles.append(Cycle(*words))  # type: ignore[arg-type] # as the service gives them
        return cycles[-1]

    monkeypatch.setattr("edge.service.Cycle", kept)

    def held_then_released() -> bool:
        written = house.wrote("high.valve_setpoint")
        if written and 20.0 not in written and not cycles[0].holds.held:
            cycles[0].hold("high.valve_setpoint", 20.0, cycles[0].clock.now().monotonic + 1e4, "Li", "trial")
        if 20.0 in written:
            cycles[0].release("high.valve_setpoint")
        return 20.0 in written and written[-1] != 20.0

    await house.run(held_then_released)
    rows = [row for row in await house.rows() if row.subject == "high.valve_setpoint"]
    by_hand = [row.content for row in rows if row.kind == "control.command" and "who" in row.content]
    assert [(body["holder"], body["who"], body["value"]) for body in by_hand] == [("technician", "Li", 20.0)]
    assert [row.kind for row in rows if row.kind.startswith("manual.")] == ["manual.started", "manual.ended"]
    assert abs(house.wrote("high.valve_setpoint")[-1] - 20.0) <= 10.0
    cycles[0].hold("high.valve_setpoint", 20.0, cycles[0].clock.now().monotonic + 1e4, "Li", "trial")
    await house.run(lambda: len(cycles) == 2 and cycles[1].pace.steps > 3)
    assert cycles[1].holds.held == {}


async def test_the_status_tells_of_each_device_how_it_is_doing(house: House) -> None:
    house.plant.dead.add("meter_high")

    def shown() -> dict[str, dict[str, Any]]:
        devices = house.shown().get("devices")
        return {device["id"]: device for device in devices} if isinstance(devices, list) else {}

    await house.run(lambda: bool(shown()) and shown()["meter_high"]["lost"] and shown()["plc"]["reads"] > 5)
    lost, well = shown()["meter_high"], shown()["plc"]
    assert lost["failures"] >= 3
    assert 0.0 <= lost["probe_in_s"] <= 60.0
    assert "meter_high is silent" in lost["error"]
    assert (well["lost"], well["failures"], well["probe_in_s"]) == (False, 0, None)
    assert well["interval_p99_s"] > 0.0


class SetClock(ScaledClock):
    """A clock whose wall time is set while the service runs."""

    set_by_s = 0.0

    def now(self) -> Instant:
        found = super().now()
        return replace(found, wall=found.wall + self.set_by_s)


@pytest.mark.parametrize("step_s", [-7200.0, 1e6])
async def test_a_wall_clock_that_is_set_is_recorded_once_and_disturbs_no_output(
    house: House, step_s: float
) -> None:
    house.clock = clock = SetClock(START, time.monotonic(), SPEED)

    def set_and_renewed() -> bool:
        clock.set_by_s = step_s if house.wrote("high.valve_setpoint") else 0.0
        return house.wrote("high.pump_1.run").count(1.0) >= 3

    await house.run(set_and_renewed)
    (step,) = [row for row in await house.rows() if row.kind == "clock.step"]
    assert step.content["step_s"] == pytest.approx(step_s)
    assert step.content["to"] - step.content["from"] == pytest.approx(step_s)
    assert all(abs(value - 37.0) <= 5.0 for value in house.wrote("high.valve_setpoint"))
