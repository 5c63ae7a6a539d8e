"""Registers that decide what a device does without us: verified when it appears, told when they are off."""

import asyncio

from drivers import FailSafe, Point, Unit
from edge.acquisition import BusWorker, Guard, Input, PolledDevice
from edge.acquisition.fail_safe import expected
from edge.image import Inbox
from edge.records import Event
from edge.tests.field import Field, LeapClock, in_simulated_time

WHY = {"zh": "失联后阀门停在原位", "en": "the valve stays where it is when nobody renews"}
MODE = FailSafe.model_validate({"register": "backup_mode", "one_of": [0], "why": WHY})
TIMEOUT = FailSafe.model_validate({"register": "backup_timeout", "low": 60, "high": 300, "why": WHY})


class Bench:
    """One valve with two fail-safe registers."""

    def __init__(self) -> None:
        clock = LeapClock()
        self.field = Field({"v.position": 1.0, "valve.backup_mode": 2.0, "valve.backup_timeout": 120.0})
        self.field.silence_s = 0.5
        driver = self.field.open(None, [], lambda: clock.now().wall, print)  # type: ignore[arg-type] # no bus
        guards = tuple(
            Guard(Point(f"valve.{rule.register_}", "valve", rule.register_, Unit.STATE), rule)
            for rule in (MODE, TIMEOUT)
        )
        position = Input(Point("v.position", "valve", "position", Unit.PERCENT), 1.0)
        self.device = PolledDevice.of("valve", [position], guards=guards)
        inbox = Inbox({"v.position": 10.0}, clock.now())
        self.worker = BusWorker("line", driver, [self.device], {}, inbox, clock, 0.5)

    async def run(self, seconds: float) -> list[Event]:
        task = asyncio.create_task(self.worker.run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [event for event in self.worker.drain_events() if event.kind == "device.fail_safe"]

    def verified(self) -> int:
        return sum("valve.backup_mode" in points for _, points in self.field.read)


def test_a_wrong_fail_safe_register_is_told_once_with_what_was_found_expected_and_why() -> None:
    async def story() -> None:
        bench = Bench()
        (event,) = await bench.run(300.0)
        assert event.subject == "valve"
        assert event.body == {
            "bus": "line",
            "register": "backup_mode",
            "found": 2.0,
            "expected": "0",
            "unit": "state",
            "why": WHY,
        }
        assert bench.verified() == 1
        assert bench.device.fail_safe.wrong() == [{"register": "backup_mode", "found": 2.0, "expected": "0"}]
        assert bench.field.written == []

    in_simulated_time(story())


def test_it_is_verified_again_after_each_return_and_not_told_twice() -> None:
    async def story() -> None:
        bench = Bench()
        assert len(await bench.run(5.0)) == 1
        bench.field.dead.add("valve")
        assert await bench.run(60.0) == []
        bench.field.dead.clear()
        bench.field.values["valve.backup_timeout"] = 900.0  # its power failed, it has factory settings
        (event,) = await bench.run(90.0)
        assert (event.body["register"], event.body["found"]) == ("backup_timeout", 900.0)
        assert bench.verified() == 2

    in_simulated_time(story())


def test_one_that_is_put_right_is_off_no_longer() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.run(5.0)
        bench.field.dead.add("valve")
        await bench.run(20.0)
        bench.field.dead.clear()
        bench.field.values["valve.backup_mode"] = 0.0
        assert await bench.run(60.0) == []
        assert bench.device.fail_safe.wrong() == []

    in_simulated_time(story())


def test_a_device_that_never_answered_is_not_asked_for_them() -> None:
    async def story() -> None:
        bench = Bench()
        bench.field.dead.add("valve")
        assert await bench.run(300.0) == []
        assert bench.verified() == 0

    in_simulated_time(story())


def test_one_that_cannot_be_read_is_told_as_such_after_three_attempts() -> None:
    async def story() -> None:
        bench = Bench()
        bench.field.values["valve.backup_mode"] = 0.0
        del bench.field.values["valve.backup_timeout"]
        (event,) = await bench.run(300.0)
        assert (event.body["register"], event.body["found"]) == ("backup_timeout", None)
        assert event.body["expected"] == "60..300"
        assert bench.verified() == 3

    in_simulated_time(story())


def test_what_is_expected_is_written_in_figures() -> None:
    rules = [MODE, TIMEOUT, MODE.model_copy(update={"one_of": (0.0, 1.0)})]
    assert [expected(rule) for rule in rules] == ["0", "60..300", "0|1"]
