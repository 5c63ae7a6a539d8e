"""What a faulty unit may do to a line: none of it becomes a wrong value, or costs the neighbours their pace.

All lines are read at the same time in one event loop, some of them without any fault: what a busy machine
does to intervals, it does to all.
"""

import asyncio
import math
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from drivers import Reason
from hil_tests.device_faults import (
    FAULTY,
    PERIOD_S,
    TIMEOUT_S,
    Bench,
    Kind,
    Wrong,
    bench,
    until,
)
from hil_tests.fault_table import BOTH, DeviceFault, rows

NAME = f"u{FAULTY}"
CONTROLS = 3  # lines of each kind without a fault
GROWTH = 1.2
SLACK_S = 0.3  # of a busy machine, on top of a pause


def quantile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


@dataclass
class Seen:
    """What became of one fault on one kind of line."""

    fault: DeviceFault | None
    kind: Kind
    wrong: list[Wrong] = field(default_factory=list)
    intervals: list[float] = field(default_factory=list)
    reasons: set[Reason] = field(default_factory=set)
    reads: int = 0
    image: Reason = Reason.NONE
    allowed_s: float = 0.0
    back_s: float = math.inf

    @property
    def name(self) -> str:
        return f"{self.kind} {self.fault.name if self.fault else 'no fault'}"


def _now() -> float:
    return asyncio.get_running_loop().time()


async def play(stack: AsyncExitStack, fault: DeviceFault | None, kind: Kind, seconds: float) -> Seen:
    """A line that is well, has the fault for so long, and is well again."""
    line, seen = await stack.enter_async_context(bench(kind)), Seen(fault, kind)
    good = line.witness.arrivals
    assert await until(lambda: min(map(len, good.values())) >= 3, 20.0)
    for reasons in line.witness.reasons.values():
        reasons.clear()
    begun, before = _now(), len(good[NAME])
    if fault is not None:
        _begin(line, fault)
    await asyncio.sleep(seconds)
    seen.intervals, seen.reasons = line.intervals(begun, _now()), set(line.witness.reasons[NAME])
    seen.reads = len(good[NAME]) - before
    seen.image = line.worker.inbox.freeze(line.worker.clock.now()).get(f"{NAME}.sensor").reason
    await _heal(line, seen)
    seen.wrong = line.witness.wrong
    return seen


def _begin(line: Bench, fault: DeviceFault) -> None:
    line.witness.unchecked, line.witness.split = {fault.stuck}, fault.split
    line.wire.slave.spoil = fault.spoil
    made = fault.make(line.wire)
    line.wire.slave.fault = None if fault.once else made


async def _heal(line: Bench, seen: Seen) -> None:
    line.wire.slave.fault = line.wire.slave.spoil = None
    line.wire.deaf.clear()
    healed = _now()
    if line.wire.slave.tasks:
        await asyncio.wait(tuple(line.wire.slave.tasks))  # what it was asked before ends as it began
    await asyncio.sleep(TIMEOUT_S)
    pause_s = line.devices[NAME].health.pause_s(PERIOD_S)
    seen.allowed_s = _now() - healed + max(2 * PERIOD_S, pause_s) + TIMEOUT_S + SLACK_S
    times = line.witness.arrivals[NAME]
    if await until(lambda: times[-1] > healed + 0.001, seen.allowed_s + 10.0):
        seen.back_s = next(each for each in times if each > healed) - healed
    line.witness.unchecked.clear()


async def played(seconds: float) -> list[Seen]:
    """All faults and the controls, at once."""
    async with AsyncExitStack() as stack:
        plays = [play(stack, fault, kind, seconds) for fault, kind in rows()]
        plays += [play(stack, None, kind, seconds) for kind in BOTH for _ in range(CONTROLS)]
        return list(await asyncio.gather(*plays))


def check_values(found: list[Seen]) -> None:
    """Nothing wrong was accepted; what is read is read, what is bad is bad for a reason of the table."""
    assert [(seen.name, seen.wrong) for seen in found if seen.wrong] == []
    faulty = [(seen, seen.fault) for seen in found if seen.fault is not None]
    late = frozenset({Reason.NO_ANSWER})  # a busy machine may make any answer late
    assert [(seen.name, seen.reasons) for seen, fault in faulty if not seen.reasons <= fault.bad | late] == []
    assert [(seen.name, seen.reads) for seen, fault in faulty if (seen.reads > 0) != fault.read] == []
    assert [(seen.name, seen.image) for seen, fault in faulty if fault.stuck and not stuck(seen)] == []


def stuck(seen: Seen) -> bool:
    return seen.image is Reason.STUCK


def check_return(found: list[Seen]) -> None:
    """Read again within two periods or one pause."""
    assert [(seen.name, seen.back_s, seen.allowed_s) for seen in found if seen.back_s > seen.allowed_s] == []


def baseline(found: list[Seen], kind: Kind) -> list[float]:
    return [each for seen in found if seen.kind == kind and seen.fault is None for each in seen.intervals]


async def test_no_fault_of_a_unit_becomes_a_wrong_value_or_costs_its_neighbours_their_pace() -> None:
    found = await played(5.0)
    check_values(found)
    check_return(found)
    for kind in BOTH:
        calm = baseline(found, kind)
        faulty = [seen for seen in found if seen.kind == kind and seen.fault is not None]
        pooled = [each for seen in faulty for each in seen.intervals]
        assert quantile(pooled, 0.99) <= GROWTH * max(PERIOD_S, quantile(calm, 0.99))
        allowed_s = GROWTH * max(PERIOD_S, quantile(calm, 0.9))
        slow = [(seen.name, p90) for seen in faulty if (p90 := quantile(seen.intervals, 0.9)) > allowed_s]
        assert [each for each in slow if each[0] not in shared(faulty)] == []
    check_shared(found)


def shared(found: list[Seen]) -> list[str]:
    """Faults of the connection itself, once: each neighbour loses a reading, more than a quantile bears."""
    return [seen.name for seen in found if seen.fault is not None and seen.fault.once]


def check_shared(found: list[Seen]) -> None:
    """A neighbour that lost a reading with the connection has the next one within two periods."""
    for seen in found:
        if seen.name in shared(found):
            assert max(seen.intervals) <= 2 * PERIOD_S + SLACK_S


@pytest.mark.long
async def test_over_a_minute_of_each_fault_the_neighbours_p99_interval_grows_a_fifth_at_most(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = await played(60.0)
    calm = {kind: quantile(baseline(found, kind), 0.99) for kind in BOTH}
    with capsys.disabled():
        print_table(found, calm)
    check_values(found)
    check_return(found)
    check_shared(found)
    slow = [seen.name for seen in found if quantile(seen.intervals, 0.99) > GROWTH * calm[seen.kind]]
    assert [name for name in slow if name not in shared(found)] == []


def print_table(found: list[Seen], calm: dict[Kind, float]) -> None:
    """The measured figures."""
    print(f"\nperiod {PERIOD_S} s, time limit {TIMEOUT_S} s; neighbours without fault, p99: {calm}")
    print(
        f"{'line, fault':38} {'wrong':>5} {'read':>5} {'p99 s':>6} {'growth':>7} {'back s':>7} {'of':>6}  bad"
    )
    for seen in found:
        p99 = quantile(seen.intervals, 0.99)
        print(
            f"{seen.name:38} {len(seen.wrong):5} {seen.reads:5} {p99:6.3f} {p99 / calm[seen.kind] - 1:7.1%} "
            f"{seen.back_s:7.2f} {seen.allowed_s:6.2f}  {', '.join(sorted(seen.reasons))}"
        )
