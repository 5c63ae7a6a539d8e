"""The telemetry ring: nothing about a reading is lost, the file keeps its size, no number is used twice."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import Quality, Reading, Reason, Unit
from edge.frames import REASONS, decode, encode
from edge.history import SKIPPED, SMALLEST_LIMIT, History, HistoryError

WALL = 1_795_000_000
LIMIT = 1 << 20
GOOD = Reading.good(41.3, Unit.CELSIUS, WALL + 0.25)
BAD = Reading.bad(Reason.NO_ANSWER, Unit.BAR, WALL - 60.0)
DOUBTFUL = Reading(7.0, Unit.PERCENT, Quality.UNCERTAIN, Reason.DOUBTFUL, float(WALL))
READINGS = {
    "high.secondary_supply_temperature": GOOD,
    "station.pressure": BAD,
    "high.valve_position": DOUBTFUL,
}


def _readings() -> st.SearchStrategy[Reading]:
    units = st.sampled_from(Unit)
    times = st.integers(0, 4_000_000_000_000_000).map(lambda micros: micros / 1_000_000)
    value = st.floats(allow_nan=False, allow_infinity=False)
    reason = st.sampled_from([reason for reason in Reason if reason is not Reason.NONE])
    return st.one_of(
        st.builds(Reading.good, value, units, times),
        st.builds(Reading.bad, reason, units, times),
        st.builds(Reading, value, units, st.just(Quality.UNCERTAIN), reason, times, st.none()),
    )


@given(st.dictionaries(st.text(min_size=1, max_size=20), _readings(), max_size=20))
def test_a_frame_keeps_value_unit_quality_reason_and_time_of_every_reading(
    readings: dict[str, Reading],
) -> None:
    ids = {(name, reading.unit): number for number, (name, reading) in enumerate(readings.items())}
    names = {number: name for name, number in ids.items()}
    wall_ns = WALL * 10**9
    assert decode(encode(wall_ns, readings, ids), names).readings(wall_ns) == readings


def test_every_reason_a_driver_can_give_has_a_place_in_a_frame() -> None:
    assert set(REASONS) == set(Reason)


async def test_frames_come_back_in_order_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    async with await History.open(path, LIMIT) as history:
        assert await history.append(WALL * 10**9, READINGS) == 1
    async with await History.open(path, LIMIT) as history:
        assert await history.append((WALL + 1) * 10**9, {"high.valve_position": GOOD}) == 2
        first, second = await history.frames(0, 10)
        assert (first.seq, dict(first.readings)) == (1, READINGS)
        assert second.readings["high.valve_position"].unit is Unit.CELSIUS
        assert await history.frames(1, 10) == [second]


async def test_the_file_keeps_its_size_and_counts_the_frames_it_dropped(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    many = {f"room.{number}.temperature": GOOD for number in range(60)}
    async with await History.open(path, SMALLEST_LIMIT) as history:
        seqs = [await history.append((WALL + 60 * minute) * 10**9, many) for minute in range(900)]
        last = seqs[-1]
        kept = await history.frames(0, 10_000)
        assert len(kept) + await history.dropped() == last
        assert kept[-1].seq == last
        assert await history.dropped() > 0
        assert [frame.seq for frame in kept] == list(range(kept[0].seq, last + 1))
    assert path.stat().st_size < SMALLEST_LIMIT + (1 << 16)


async def test_a_limit_that_could_hold_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least"):
        await History.open(tmp_path / "history.db", 1000)


async def test_the_state_of_the_control_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    async with await History.open(path, LIMIT) as history:
        assert await history.get_state("control") is None
        await history.put_state("control", b"\x01")
        await history.put_state("control", b"\x02")
    async with await History.open(path, LIMIT) as history:
        assert await history.get_state("control") == b"\x02"


async def test_no_number_is_used_twice_after_a_file_rolled_back_by_a_power_cut(tmp_path: Path) -> None:
    path, copy = tmp_path / "history.db", tmp_path / "cut.db"
    async with await History.open(path, LIMIT) as history:
        await history.append(WALL * 10**9, READINGS)
        for suffix in ("", "-wal"):  # what the flash had when the power went
            copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
        sent = [await history.append((WALL + n) * 10**9, READINGS) for n in range(1, 50)][-1]
    async with await History.open(copy, LIMIT) as history:
        assert await history.append(WALL * 10**9, READINGS) > sent


async def test_numbers_go_on_above_the_receipt_when_the_file_was_lost(tmp_path: Path) -> None:
    async with await History.open(tmp_path / "history.db", LIMIT, after=500) as history:
        assert await history.append(WALL * 10**9, READINGS) == 500 + SKIPPED + 1


@pytest.mark.parametrize(
    "damage", [b"\x00", b"\x01", b"U", b"\xaa", b"\xbe", b"\xc6", b"\xcd", b"\xff", b"no data"]
)
@pytest.mark.parametrize("place", [0, 20, 105, 4096 + 9])
async def test_a_damaged_file_is_put_aside_and_history_goes_on(
    tmp_path: Path, place: int, damage: bytes
) -> None:
    path = tmp_path / "history.db"
    async with await History.open(path, LIMIT) as history:
        await history.append(WALL * 10**9, READINGS)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(damage * 8)
    async with await History.open(path, LIMIT) as history:
        for _ in range(3):  # damage that only shows in use costs a frame or two
            with contextlib.suppress(HistoryError):
                await history.append(WALL * 10**9, READINGS)
                await history.frames(0, 10)
        last = await history.append(WALL * 10**9, READINGS)
        assert [frame.seq for frame in await history.frames(last - 1, 10)] == [last]


async def test_one_damaged_frame_is_dropped_and_counted_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    async with await History.open(path, LIMIT) as history:
        for minute in range(3):
            await history.append((WALL + minute) * 10**9, {"a": Reading.good(1.0, Unit.HERTZ, WALL)})
    content = path.read_bytes()
    blob = encode((WALL + 1) * 10**9, {"a": Reading.good(1.0, Unit.HERTZ, WALL)}, {("a", Unit.HERTZ): 1})
    assert content.count(blob) == 1
    path.write_bytes(content.replace(blob, b"\xc1" * len(blob)))
    async with await History.open(path, LIMIT) as history:
        assert [frame.seq for frame in await history.frames(0, 10)] == [1, 3]
        assert await history.dropped() == 1


async def test_after_closing_nothing_is_accepted(tmp_path: Path) -> None:
    history = await History.open(tmp_path / "history.db", LIMIT)
    await asyncio.gather(history.close(), history.close())
    with pytest.raises(HistoryError):
        await history.append(WALL * 10**9, READINGS)
