"""The plant as a process: advances the physics in simulated time and writes what the probes show on the
blackboard.

`python -m hil_tests.plant_process --board FILE --parent PID --story FILE`. It steps by one simulated
second; late, it takes as many steps as are due in one go and measures once. Broken sensors are shown as
their story wants them: NaN is a sensor that is not there, infinity one whose value is no number although
its device believes it.
"""

import argparse
import math
import time
from pathlib import Path

from edge.clock import ScaledClock
from hil_tests.blackboard import Blackboard
from hil_tests.child import die_with_parent, report_ready
from hil_tests.devices.wiring import SHOWN, TOLD, silent_slots
from hil_tests.plant import (
    Commands,
    Inputs,
    Noise,
    commands,
    measure,
    station,
    steady_commands,
    steady_state,
    step,
)
from hil_tests.story import load
from hil_tests.story_effects import NOTHING, Effects, Story, effects
from hil_tests.weather import load as load_weather
from hil_tests.weather import sun_w_m2

STEP_S = 1.0  # simulated
SENTINEL = 3276.7  # 0x7FFF in tenths, what many converters show for "no sensor"
_SHORTEST_PAUSE_S = 0.005  # real: steps closer than that are taken together
_MOST_STEPS = 600  # in one go, before the measurements are shown


_BROKEN = {"open_circuit": math.nan, "nan": math.inf, "sentinel": SENTINEL}  # `stuck` writes nothing


class Station:
    """Plant, weather and story at one moment of simulated time."""

    def __init__(self, board: Blackboard, story: Story) -> None:
        self._board = board
        self._story = story
        self._weather = load_weather(story.weather).moved(story.weather_years)
        self._plant = station()
        self._state = steady_state(self._plant, story.start, self._weather.at(story.start))
        self._noise = Noise(1)
        self._steady = steady_commands(self._plant, self._state)
        self._silent = silent_slots()
        self.time = 0.0
        self._show(effects(story, 0.0))

    def advance(self, until: float) -> None:
        """Step to `until` (simulated s since the start), or as far as one go reaches; then show."""
        told = self._told()
        troubles = NOTHING
        for _ in range(min(_MOST_STEPS, int((until - self.time) / STEP_S))):
            wall = self._story.start + self.time
            troubles = effects(self._story, self.time)
            inputs = Inputs(self._weather.at(wall), told, sun_w_m2(wall), troubles.plant)
            step(self._plant, self._state, inputs, STEP_S)
            self.time += STEP_S
        self._show(troubles)

    def _told(self) -> tuple[Commands, ...]:
        """What the devices tell the plant; as it was before the bench until all of them are there."""
        given = {name: self._board.get(name) for name in TOLD}
        return self._steady if any(map(math.isnan, given.values())) else commands(self._plant, given)

    def _show(self, troubles: Effects) -> None:
        """Write what the probes and devices show now."""
        board = self._board
        points = measure(self._plant, self._state, self._noise)
        for point in SHOWN:
            how = troubles.sensors.get(point)
            if how != "stuck":
                board.set(point, points[point] if how is None else _BROKEN[how])
        for name, slot in self._silent.items():
            board.set(slot, float(name in troubles.silent))
        board.set("plant.mains_power", float(self._state.mains_power))
        board.set("plant.time", self.time)


def run(here: Station, clock: ScaledClock, board: Blackboard) -> None:
    """Follow the clock until the process is killed."""
    while True:
        now = clock.now().monotonic
        if now - here.time >= STEP_S:
            here.advance(now)
            board.set("plant.late_s", max(0.0, clock.now().monotonic - here.time))
        due = (here.time + STEP_S - clock.now().monotonic) / clock.speed
        time.sleep(max(due, _SHORTEST_PAUSE_S))


def main() -> None:
    """Be the plant until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", type=Path, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--story", type=Path, required=True)
    arguments = parser.parse_args()
    die_with_parent(arguments.parent)
    board = Blackboard(arguments.board, owner="plant")
    here = Station(board, load(arguments.story))
    report_ready({})
    run(here, board.wait_for_clock(), board)


if __name__ == "__main__":
    main()
