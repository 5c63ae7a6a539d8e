"""What the history keeps between its frames: at every look within the dead band, quality exact, bounded."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import Quality, Reading, Reason, Unit
from edge import blocks
from edge.deadband import BY_QUANTITY, BY_UNIT, SCALES, Block, Gatherer, band_of, scale_of
from edge.frames import judged
from edge.history import BACKLOG, LOOKED_AT, SMALLEST_LIMIT, History
from edge.points import CIRCUIT, STATION

WALL = 1_795_000_020  # a full minute
LIMIT = 1 << 20
SUPPLY = "high.secondary_supply_temperature"

Image = Mapping[str, Reading]


def celsius(value: float) -> Reading:
    return Reading.good(value, Unit.CELSIUS, float(WALL))


def _readings() -> st.SearchStrategy[Reading]:
    """Sensible values and absurd ones, of every quality; a point may even change its unit."""
    units = st.sampled_from([Unit.CELSIUS, Unit.BAR, Unit.STATE, Unit.KILOWATT_HOUR])
    whole = st.integers(-2_000, 2_000).map(lambda hundredths: hundredths / 100)
    value = st.one_of(whole, st.floats(allow_nan=False, allow_infinity=False))
    reason = st.sampled_from([reason for reason in Reason if reason is not Reason.NONE])
    uncertain = st.just(Quality.UNCERTAIN)
    return st.one_of(
        st.builds(Reading.good, value, units, st.just(0.0)),
        st.builds(Reading.bad, reason, units, st.just(0.0)),
        st.builds(Reading, value, units, uncertain, reason, st.just(0.0), st.none()),
    )


IMAGES = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c.makeup_flow"]), _readings()), max_size=30)
BANDS = st.dictionaries(st.sampled_from(["a", "b"]), st.floats(0.0, 50.0))


def _gathered(images: Sequence[Image], bands: Mapping[str, float], start_ms: int = 0) -> list[Block]:
    """The blocks of images a second apart."""
    gatherer = Gatherer(bands)
    found = []
    for tick, image in enumerate(images):
        if gatherer.due(start_ms + 1000 * tick):
            found.append(gatherer.take())
        gatherer.look(start_ms + 1000 * tick, image)
    return [block for block in [*found, gatherer.take()] if block is not None]


def _recoded(block: Block) -> Block:
    ids = {name: number for number, name in enumerate(block.series)}
    return blocks.decode(blocks.encode(block, ids), {number: name for name, number in ids.items()})


def _held(block: Block, tick: int) -> dict[tuple[str, Unit], tuple[float, int]]:
    """Value and mark of each series at a look of the block."""
    found = {}
    for name, series in block.series.items():
        for place, (at, value, mark) in enumerate(
            zip(series.ticks, series.values, series.marks, strict=True)
        ):
            assert place == 0 or at > series.ticks[place - 1]
            if at <= tick:
                found[name] = (value, mark)
    return found


def _agrees(held: tuple[float, int], reading: Reading, band: float) -> None:
    value, mark = held
    assert judged(mark) == (reading.quality, reading.reason)
    if reading.value is not None:
        assert abs(value - reading.value) <= band * (1 + 1e-9) + 1e-9 * abs(reading.value) * (band > 0)


@given(IMAGES, BANDS, st.integers(0, 59))
def test_what_is_held_at_every_look_is_within_the_dead_band_and_its_quality_is_exact(
    images: list[Image], bands: dict[str, float], second: int
) -> None:
    moments = iter(images)
    for block in map(_recoded, _gathered(images, bands, WALL * 1000 + second * 1000)):
        for tick in range(len(block.times)):
            held, image = _held(block, tick), next(moments)
            for name, reading in image.items():
                band = band_of(name, reading.unit, bands)
                _agrees(held.pop((name, reading.unit)), reading, band)
            assert {judged(mark) for _, mark in held.values()} <= {(Quality.BAD, Reason.NEVER_READ)}
    assert next(moments, None) is None


@given(IMAGES)
def test_a_band_of_nothing_keeps_every_value_to_the_last_bit(images: list[Image]) -> None:
    exact = dict.fromkeys(["a", "b", "c.makeup_flow"], 0.0)
    moments = iter(images)
    for block in map(_recoded, _gathered(images, exact)):
        for tick in range(len(block.times)):
            held = _held(block, tick)
            for name, reading in next(moments).items():
                if reading.value is not None:
                    assert held[name, reading.unit][0] == reading.value


@given(IMAGES, st.data())
def test_a_damaged_block_is_refused_or_reads_as_it_was_written(
    images: list[Image], data: st.DataObject
) -> None:
    for block in _gathered(images, {}):
        ids = {name: number for number, name in enumerate(block.series)}
        names = {number: name for name, number in ids.items()}
        blob = blocks.encode(block, ids)
        place = data.draw(st.integers(0, len(blob) - 1))
        damaged = blob[:place] + bytes([blob[place] ^ data.draw(st.integers(1, 255))]) + blob[place + 1 :]
        try:
            found = blocks.decode(damaged, names)
        except (ValueError, KeyError, IndexError, TypeError, OverflowError):
            continue
        assert (found.times, found.series) == (block.times, block.series)  # an unused bit of the zlib head


def test_a_value_that_trembles_within_its_band_is_one_sample_a_minute() -> None:
    (block,) = _gathered([{SUPPLY: celsius(41.3 + 0.04 * (tick % 2))} for tick in range(60)], {})
    (series,) = block.series.values()
    assert (list(series.ticks), list(series.values)) == ([0], [41.3])


def test_a_slow_drift_is_followed_in_steps_of_the_band() -> None:
    images = [{SUPPLY: celsius(41.0 + tick / 100)} for tick in range(60)]
    (block,) = _gathered(images, {})
    (series,) = block.series.values()
    assert 9 <= len(series.ticks) <= 12  # 0.59 K in bands of 0.05 K


def test_the_sites_own_band_goes_before_the_quantitys_and_that_before_the_units() -> None:
    assert band_of("high.makeup_flow", Unit.CUBIC_METRE_PER_HOUR, {}) == BY_QUANTITY["makeup_flow"]
    assert band_of("high.primary_flow", Unit.CUBIC_METRE_PER_HOUR, {}) == BY_UNIT[Unit.CUBIC_METRE_PER_HOUR]
    assert band_of("high.primary_flow", Unit.CUBIC_METRE_PER_HOUR, {"high.primary_flow": 2.0}) == 2.0
    assert band_of("high.heat_energy", Unit.KILOWATT_HOUR, {}) == 0.0
    assert band_of("room.101.temperature", Unit.CELSIUS, {}) == 0.1


def test_no_default_band_hides_a_hundredth_of_what_its_sensor_can_show() -> None:
    for name, known in [*CIRCUIT.items(), *STATION.items()]:
        assert band_of(f"x.{name}", known.unit, {}) * 100 <= known.high - known.low


@given(st.floats(0.0, 1e6))
def test_the_step_of_a_value_is_no_larger_than_its_band(band: float) -> None:
    scale = scale_of(band)
    assert scale in (0, *SCALES)
    assert scale == 0 or 1 / scale <= band


async def _looked(history: History, readings: Sequence[Image], start: int = WALL) -> None:
    """One look a second, none left out."""
    for second, image in enumerate(readings):
        history.look((start + second) * 10**9, image)
        if second % (BACKLOG // 2) == 0:
            await history.last()
    await history.last()


async def test_samples_are_read_back_by_point_and_time_also_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    images = [{SUPPLY: celsius(40.0 + second), "other": celsius(1.0)} for second in range(150)]
    async with await History.open(path, LIMIT) as history:
        await _looked(history, images)
        assert (
            len(await history.samples(SUPPLY, WALL, WALL + 150)) == 120
        )  # the minute in hand is not written
    async with await History.open(path, LIMIT) as history:
        found = await history.samples(SUPPLY, WALL + 10, WALL + 140)
        assert [(each.wall_ms, each.value) for each in found] == [
            ((WALL + second) * 1000, 40.0 + second) for second in range(10, 140)
        ]
        assert {each.unit for each in found} == {Unit.CELSIUS}
        assert await history.samples("nobody", WALL, WALL + 150) == []
        assert await history.frames(0, 10) == []  # the head-end gets frames, not changes


async def test_a_point_that_turned_bad_is_bad_from_that_moment(tmp_path: Path) -> None:
    bad = Reading.bad(Reason.NO_ANSWER, Unit.CELSIUS, float(WALL))
    images: list[Image] = [{SUPPLY: celsius(40.0)} for _ in range(20)]
    images += [{SUPPLY: bad} for _ in range(20)] + [{} for _ in range(20)]
    async with await History.open(tmp_path / "history.db", LIMIT) as history:
        await _looked(history, [*images, {}])
        found = await history.samples(SUPPLY, WALL, WALL + 60)
    assert [(each.wall_ms // 1000 - WALL, each.value, each.reason) for each in found] == [
        (0, 40.0, Reason.NONE),
        (20, None, Reason.NO_ANSWER),
        (40, None, Reason.NEVER_READ),
    ]


async def test_the_file_keeps_its_size_under_changes_frames_and_aggregates(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    async with await History.open(path, SMALLEST_LIMIT) as history:
        for minute in range(400):
            image = {f"p{n}": celsius((n * 7919 + minute * 104_729) % 10_007 / 10) for n in range(60)}
            await history.append((WALL + 60 * minute) * 10**9, image)
            await _looked(history, [image], WALL + 60 * minute)
        minutes = await history.aggregates("p0", WALL, WALL + 400 * 60, 60)
        samples = await history.samples("p0", WALL, WALL + 400 * 60)
        assert len(samples) < 399
        assert len(minutes) < 399
        assert minutes[-1].start == WALL + 398 * 60  # the newest are kept
        assert (await history.frames(0, 10_000))[-1].seq == 400
    assert path.stat().st_size < SMALLEST_LIMIT + (1 << 16)


async def test_a_damaged_block_is_dropped_and_counted_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    async with await History.open(path, LIMIT) as history:
        await _looked(history, [{SUPPLY: celsius(40.0 + second)} for second in range(181)])
    connection = apsw.Connection(str(path))
    connection.execute("update samples set blob = substr(blob, 1, length(blob) - 9) where seq = 2")
    connection.execute("update minutes set blob = x'c1' where seq = 1")
    connection.close()
    async with await History.open(path, LIMIT) as history:
        seconds = [each.wall_ms // 1000 - WALL for each in await history.samples(SUPPLY, WALL, WALL + 180)]
        assert seconds == [*range(60), *range(120, 180)]
        assert len(await history.aggregates(SUPPLY, WALL, WALL + 180, 60)) == 2
        assert await history.damaged() == 2
        assert len(await history.samples(SUPPLY, WALL, WALL + 180)) == 120
        assert await history.damaged() == 2


async def test_a_large_site_is_looked_at_less_often_so_that_the_work_stays_the_same(tmp_path: Path) -> None:
    images = [{f"p{n}": celsius(float(second)) for n in range(2 * LOOKED_AT + 1)} for second in range(61)]
    async with await History.open(tmp_path / "history.db", 1 << 24) as history:
        await _looked(history, [*images, images[0], images[0]])
        found = await history.samples("p0", WALL, WALL + 60)
    assert [each.wall_ms // 1000 - WALL for each in found] == list(range(8, 60, 9))


async def test_a_disk_that_stands_still_holds_up_neither_the_cycle_nor_the_memory(tmp_path: Path) -> None:
    import threading

    go_on = threading.Event()
    async with await History.open(tmp_path / "history.db", LIMIT) as history:
        history._worker.post(lambda: print(go_on.wait(10.0)))
        for second in range(4 * BACKLOG):
            history.look((WALL + second) * 10**9, {SUPPLY: celsius(float(second))})
        assert history._worker._jobs.qsize() <= BACKLOG + 1  # and what it stands at
        go_on.set()
        await history.last()
        history.look((WALL + 4 * BACKLOG) * 10**9, {SUPPLY: celsius(0.0)})
        await history.last()
        found = await history.samples(SUPPLY, WALL, WALL + 4 * BACKLOG)
    assert len(found) == BACKLOG


async def test_a_minute_that_cannot_be_stored_is_counted_and_the_next_one_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    history = History(folder / "history.db", LIMIT, 0)
    await asyncio.to_thread(folder.mkdir)
    await _looked(history, [{SUPPLY: celsius(1.0)}] * 30)
    history._file._drop()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    history.look((WALL + 60) * 10**9, {SUPPLY: celsius(2.0)})
    with pytest.raises(Exception, match="open"):
        await history.last()
    folder.mkdir()
    history.look((WALL + 120) * 10**9, {SUPPLY: celsius(3.0)})
    assert await history.lost() == 1
    assert [each.value for each in await history.samples(SUPPLY, WALL, WALL + 200)] == [2.0]
    await history.close()
