"""Story files: what they may say, and what is wrong at which moment."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_tests.plant import UNDISTURBED
from hil_tests.story import FOLDER, Story, StoryError, effects, load, seconds, shipped
from hil_tests.story_effects import KINDS, NOTHING
from hil_tests.weather import load as load_weather
from hil_tests.weather import local

HEAD = 'name = "a"\nstart = "2026-01-15T06:00"\nduration = "10h"\n'
HOUR = 3600.0


def told(tmp_path: Path, *disturbances: str, head: str = HEAD) -> Story:
    """A story of these disturbances, each the lines of its table."""
    path = tmp_path / "a.toml"
    path.write_text(head + "".join(f"[[disturbance]]\n{lines}\n" for lines in disturbances), encoding="utf-8")
    return load(path)


def disturbance(kind: str, at: str = "2h", lasts: str = "3h", **more: str) -> str:
    rest = "".join(f"{key} = {value}\n" for key, value in more.items())
    return f'at = "{at}"\nfor = "{lasts}"\nkind = "{kind}"\n{rest}'


def test_nothing_is_wrong_before_after_and_between() -> None:
    story = shipped("demo")
    assert effects(story, 0.0) is NOTHING
    assert effects(story, story.duration) is NOTHING
    assert NOTHING.plant is UNDISTURBED


def test_a_disturbance_lasts_from_its_first_second_up_to_its_end(tmp_path: Path) -> None:
    story = told(tmp_path, disturbance("mains_lost"))
    assert [effects(story, at).plant.mains_power for at in (7199.9, 7200.0, 17999.9, 18000.0)] == [
        True,
        False,
        False,
        True,
    ]


def test_the_primary_can_be_lost_by_pressure_or_by_a_cold_source(tmp_path: Path) -> None:
    by_pressure = effects(told(tmp_path, disturbance("primary_lost")), 3 * HOUR).plant
    assert by_pressure.source_cold
    assert by_pressure.differential_share < 0.05
    by_source = effects(told(tmp_path, disturbance("primary_lost", how='"source"')), 3 * HOUR).plant
    assert by_source.source_cold
    assert by_source.differential_share == 1.0


def test_each_device_fault_names_what_the_device_process_must_do(tmp_path: Path) -> None:
    story = told(
        tmp_path,
        disturbance("sensor_broken", point='"high.secondary_supply_temperature"', how='"nan"'),
        disturbance("meter_silent", circuit='"low"'),
        disturbance("device_silent", device='"plc"'),
        disturbance("pump_trip", circuit='"high"'),
    )
    now = effects(story, 3 * HOUR)
    assert now.sensors == {"high.secondary_supply_temperature": "nan"}
    assert now.silent == {"low.meter", "plc"}
    assert now.tripped == {"high.pump_1"}
    assert now.plant.circuits[0].pump_trip
    assert now.active == ("sensor_broken", "meter_silent", "device_silent", "pump_trip")


def test_disturbances_at_once_add_up(tmp_path: Path) -> None:
    story = told(
        tmp_path,
        disturbance("burst", circuit='"low"', m3h="4.0"),
        disturbance("burst", circuit='"low"', m3h="2.5", in_station="true"),
        disturbance("actuator_stuck", circuit='"high"'),
        disturbance("door_open"),
        disturbance("pressure_low", share="0.6"),
    )
    plant = effects(story, 3 * HOUR).plant
    high, low = plant.circuits
    assert (high.burst_m3h, low.burst_m3h) == (0.0, 6.5)
    assert (high.actuator_stuck, low.actuator_stuck) == (True, False)
    assert plant.burst_in_station
    assert plant.door_open
    assert plant.differential_share == 0.6


def test_a_cold_night_comes_and_goes_gradually(tmp_path: Path) -> None:
    story = told(tmp_path, disturbance("cold_night", at="0h", lasts="8h", drop_k="10.0"))
    offsets = [
        effects(story, hour * HOUR).plant.outdoor_offset_k for hour in (0.0, 1.0, 2.0, 4.0, 6.0, 7.0, 8.0)
    ]
    assert offsets == [0.0, -5.0, -10.0, -10.0, -10.0, -5.0, 0.0]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (disturbance("flood"), "disturbance 1: kind must be one of primary_lost, .*, not 'flood'"),
        (disturbance("burst"), r"disturbance 1: circuit is missing; it must be a circuit \(high or low\)"),
        (disturbance("burst", circuit='"middle"'), "disturbance 1: circuit must be .*, not 'middle'"),
        (disturbance("burst", circuit='"low"', m3h="-1.0"), "m3h must be a flow in m3/h, not -1.0"),
        (disturbance("burst", circuit='"low"', m3h="true"), "m3h must be a flow"),
        (disturbance("sensor_broken", point='"high.colour"'), "point must be the name of a point"),
        (
            disturbance("sensor_broken", point='"station.door"', how='"sad"'),
            "how must be one of open_circuit",
        ),
        (disturbance("mains_lost", power="0"), "disturbance 1: power is no key"),
        (disturbance("mains_lost", at="soon"), "at must be a time such as 90s, 20min or 1.5h, not 'soon'"),
        (disturbance("mains_lost", lasts="0s"), "for must be longer than nothing"),
        (disturbance("mains_lost", at="9h"), "disturbance 1: at and for reach past the story's duration"),
    ],
)
def test_a_disturbance_nobody_understands_is_named_with_file_and_key(
    tmp_path: Path, lines: str, words: str
) -> None:
    with pytest.raises(StoryError, match=r"a\.toml: .*" + words):
        told(tmp_path, lines)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (HEAD.replace("2026-01-15T06:00", "tomorrow"), "start must be a local time .*, not 'tomorrow'"),
        (HEAD.replace('duration = "10h"', "duration = 10"), "duration must be a time"),
        (HEAD.replace('name = "a"\n', ""), "name is missing"),
        (HEAD + 'speed = "fast"\n', "speed is no key"),
        (HEAD + "weather_years = 1.5\n", "weather_years must be a number of years"),
        (HEAD + "disturbance = 3\n", r"disturbance must be written as \[\[disturbance\]\]"),
        ("name = \n", "Invalid value"),
    ],
)
def test_a_bad_head_is_named_with_file_and_key(tmp_path: Path, head: str, words: str) -> None:
    with pytest.raises(StoryError, match=r"a\.toml: .*" + words):
        told(tmp_path, head=head)


def test_a_story_that_is_not_there_names_the_file() -> None:
    with pytest.raises(StoryError, match=r"nowhere\.toml"):
        shipped("nowhere")


@given(st.integers(0, 100_000), st.sampled_from(["s", "min", "h"]))
def test_times_are_read_in_their_unit(number: int, unit: str) -> None:
    assert seconds(f"{number}{unit}") == number * {"s": 1.0, "min": 60.0, "h": 3600.0}[unit]


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.toml")))
def test_every_shipped_story_can_be_told_with_its_weather(name: str) -> None:
    story = shipped(name)
    assert story.name == name
    weather = load_weather(story.weather).moved(story.weather_years)
    for elapsed in range(0, round(story.duration) + 1, 600):
        weather.at(story.start + elapsed)
        effects(story, float(elapsed))
    assert {event.kind for event in story.events} <= KINDS.keys()


def test_the_demo_loses_its_heat_for_three_hours_in_its_first_half_and_ends_in_peace() -> None:
    story = shipped("demo")
    assert story.start == local("2026-01-17T06:00")
    assert story.duration == 10 * HOUR
    lost = next(event for event in story.events if event.kind == "primary_lost")
    assert lost.lasts == 3 * HOUR
    assert lost.at >= HOUR
    assert lost.at + lost.lasts <= story.duration / 2
    assert max(event.at + event.lasts for event in story.events) <= 9.5 * HOUR
    assert {"sensor_broken", "meter_silent"} <= {event.kind for event in story.events}
