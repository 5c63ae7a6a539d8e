"""Whatever is done to the journal, in any order and over any crash: it holds what a plain model of it holds.

Appends, receipts, purges, new keys, a clock that is set about, restarts, kills, power cuts in the midst of
what was done last. A power cut may cost what was under way, whole, and nothing else.
"""

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge.chain import GENESIS, Head, Row
from edge.checkpoint import Note, parse
from edge.clock import ClockState, Instant
from edge.journal import Entry, Journal, verify
from hil_tests.powercut import after_cut, put, recorded

NAME = "journal.db"
READER = "upstream.journal"
ALL = 1_000_000
DAY_S = 86_400.0
WINTER = 1_795_000_000.0
STEPS_S = (1.0, -1.0, 3600.0, -3600.0, 10 * 365 * DAY_S, -10 * 365 * DAY_S)
ABSOLUTE = (0.0, 2_147_483_646.0)  # no battery clock; the last seconds before 2038 ends some
ONE = st.tuples(
    st.sampled_from(("alarm.raised", "alarm.ended", "control.mode", "service.started", "outage.started")),
    st.sampled_from(("high", "low", "station")),
)


class SetClock:
    """A clock that goes as it is told."""

    speed = 1.0

    def __init__(self) -> None:
        self.boots, self.boot_id = 0, "boot-0"
        self.time = Instant(WINTER, 0.0, 0.0, ClockState.SYNCED)

    def now(self) -> Instant:
        return self.time

    async def sleep_until(self, monotonic: float) -> None:
        await asyncio.sleep(0)

    def go_on(self, seconds: float) -> None:
        now = self.time
        later = (now.wall + seconds, now.monotonic + seconds, now.boottime + seconds)
        self.time = Instant(*later, now.state)

    def boot(self) -> None:
        self.boots += 1
        self.boot_id = f"boot-{self.boots}"
        self.time = Instant(self.time.wall + 20.0, 0.0, 0.0, ClockState.HOLDOVER)


@dataclass(frozen=True)
class Model:
    """What the journal must hold: its rows by number, `purged` the last that went, its receipts."""

    rows: dict[int, Row] = field(default_factory=dict)
    head: Head = GENESIS
    purged: int = 0
    receipts: dict[str, int] = field(default_factory=dict)

    def latest(self, prefix: str) -> list[Row]:
        """The newest row of each subject among the kinds that begin so."""
        newest = {row.subject: row for _, row in sorted(self.rows.items()) if row.kind.startswith(prefix)}
        return sorted(newest.values(), key=lambda row: row.seq)

    def with_rows(self, rows: Sequence[Row]) -> "Model":
        head = rows[-1].head if rows else self.head
        return replace(self, rows=self.rows | {row.seq: row for row in rows}, head=head)

    def without(self, upto: int) -> "Model":
        kept = {seq: row for seq, row in self.rows.items() if seq > upto}
        return replace(self, rows=kept, purged=upto)


def _too_young(purged: list[Row], rest: list[Row], now: Instant, retention_s: float) -> list[int]:
    """Rows that went though nothing shows that they are old enough."""
    cutoff = (now.wall - retention_s) * 1e9
    young = [row.seq for row in purged if row.clock_state != ClockState.UNSYNCED and row.wall_ns >= cutoff]
    dated = [row for row in (*purged, *rest) if row.clock_state != ClockState.UNSYNCED]
    shown = max((row.seq for row in dated if row.wall_ns < cutoff), default=0)
    return young + [row.seq for row in purged if row.seq > shown]


class RecordMachine(RuleBasedStateMachine):
    """The journal beside its model; `before`: without what was done last, which began at `mark`."""

    done: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock, self.runner, self.disk = SetClock(), asyncio.Runner(), ExitStack()
        self.model = self.before = Model()
        self.number = self.places = 0
        self.given = self.given_before = ""  # a checkpoint that was given to somebody
        self._begin({})

    # --- the journal's life ---

    def _begin(self, files: dict[str, bytes]) -> None:
        """Open the journal that `files` make, in a folder of their own, with the keys of the last one."""
        old, self.places = self.folder / str(self.places), self.places + 1
        new = self.folder / str(self.places)
        new.mkdir()
        if (old / "keys").exists():
            shutil.copytree(old / "keys", new / "keys")
        shutil.rmtree(old, ignore_errors=True)
        put(files, new)
        self.path = new / NAME
        self.recording = self.disk.enter_context(recorded(new))
        self.mark = 0
        self.journal = self.runner.run(Journal.open(self.path, self.clock))

    def _end(self) -> None:
        self.runner.run(self.journal.close())
        self.disk.close()

    def _start(self) -> None:
        """Here the next deed begins: a power cut may fall between here and its end."""
        self.before, self.mark = self.model, len(self.recording.log)
        self.given_before = self.given

    def _new_rows(self, kinds: list[str]) -> list[Row]:
        rows = self.runner.run(self.journal.rows(self.model.head.seq, ALL))
        assert [row.kind for row in rows] == kinds
        assert [row.seq for row in rows] == [self.model.head.seq + n for n in range(1, len(kinds) + 1)]
        for row in rows:
            assert (row.boot_id, row.clock_state) == (self.clock.boot_id, str(self.clock.time.state))
            assert abs(row.wall_ns / 1e9 - self.clock.time.wall) < 1e-3
        return rows

    def teardown(self) -> None:
        try:
            self._end()
            self._verify()
        finally:
            self.runner.close()
            shutil.rmtree(self.folder)

    # --- what is done to it ---

    @rule(groups=st.lists(st.lists(ONE, min_size=1, max_size=40), min_size=1, max_size=3))
    def append(self, groups: list[list[tuple[str, str]]]) -> None:
        self._start()
        entries: list[list[Entry]] = []
        for group in groups:
            entries.append([Entry(*one, {"number": self.number + n}) for n, one in enumerate(group)])
            self.number += len(group)

        async def all_at_once() -> list[int]:
            now = self.clock.now()
            return await asyncio.gather(*(self.journal.append(group, now) for group in entries))

        lasts = self.runner.run(all_at_once())
        flat = [entry for group in entries for entry in group]
        rows = self._new_rows([entry.kind for entry in flat])
        assert [(row.subject, row.content) for row in rows] == [(one.subject, one.body) for one in flat]
        assert [last - self.model.head.seq for last in lasts] == [
            sum(len(group) for group in groups[: n + 1]) for n in range(len(groups))
        ]
        self.model = self.model.with_rows(rows)
        self.done["append"] += 1

    @rule(reader=st.sampled_from((READER, "auditor")), share=st.floats(0.0, 1.0), times=st.integers(1, 2))
    def receipt(self, reader: str, share: float, times: int) -> None:
        seq = round(share * self.model.head.seq)
        self._start()
        for _ in range(times):
            self.runner.run(self.journal.set_receipt(reader, seq))
        self.done["receipt going down"] += seq < self.model.receipts.get(reader, 0)
        self.done["receipt twice"] += times == 2
        self.model = replace(self.model, receipts=self.model.receipts | {reader: seq})

    @rule(days=st.sampled_from((1.0, 30.0, 100.0, 2192.0)), keep=st.none() | st.floats(0.0, 1.0))
    def purge(self, days: float, keep: float | None) -> None:
        self._start()
        now, last = self.clock.now(), self.model.head.seq
        before = None if keep is None else 1 + round(keep * last)
        purged = self.runner.run(self.journal.purge(now, days * DAY_S, READER, before))
        if not purged.rows:
            assert self._new_rows([]) == []
            return
        gone = [row for seq, row in self.model.rows.items() if seq <= purged.last_seq]
        left = [row for seq, row in self.model.rows.items() if seq > purged.last_seq]
        assert len(gone) == purged.rows
        assert now.state is not ClockState.UNSYNCED
        assert purged.last_seq <= self.model.receipts.get(READER, 0)
        assert before is None or purged.last_seq < before
        assert _too_young(gone, left, now, max(days, 30.0) * DAY_S) == []
        self.model = self.model.with_rows(self._new_rows(["journal.purged"])).without(purged.last_seq)
        if any(row.kind == "key.rotated" for row in gone):
            self.given = ""  # nothing in the file vouches any more for the key that signed it
        self.done["purge"] += 1

    @precondition(lambda self: self.model.head.seq > 0)
    @rule(share=st.floats(0.5, 1.0), keep=st.none() | st.floats(0.5, 1.0))
    def years_pass(self, share: float, keep: float | None) -> None:
        self.receipt(READER, share, 1)
        self.clock.time = replace(self.clock.time, state=ClockState.SYNCED)
        self.clock.go_on(8 * 365 * DAY_S)
        self.append([[("control.mode", "high")]])
        self.purge(2192.0, keep)

    @precondition(lambda self: self.model.head.seq > 0)
    @rule()
    def rotate(self) -> None:
        self._start()
        assert self.runner.run(self.journal.rotate_key()) == self.model.head.seq + 1
        self.model = self.model.with_rows(self._new_rows(["key.rotated"]))
        self.done["rotate"] += 1

    @rule()
    def give_a_checkpoint(self) -> None:
        self._start()
        self.given = self.runner.run(self.journal.checkpoint())
        assert bool(self.given) == bool(self.model.head.seq)
        self.done["checkpoint"] += 1

    # --- time ---

    @rule(seconds=st.sampled_from((0.2, 10.0, 61.0, DAY_S, 40 * DAY_S, 7 * 365 * DAY_S)))
    def wait(self, seconds: float) -> None:
        self.clock.go_on(seconds)

    @rule(by=st.sampled_from(STEPS_S), state=st.sampled_from(ClockState))
    def set_the_clock_by(self, by: float, state: ClockState) -> None:
        self.clock.time = replace(self.clock.time, wall=max(0.0, self.clock.time.wall + by), state=state)
        self.done["clock step"] += 1

    @rule(wall=st.sampled_from(ABSOLUTE))
    def set_the_clock_to(self, wall: float) -> None:
        state = ClockState.UNSYNCED if wall == 0.0 else ClockState.HOLDOVER
        self.clock.time = replace(self.clock.time, wall=wall, state=state)
        self.done["clock step"] += 1

    @rule()
    def a_time_server_answers(self) -> None:
        self.clock.time = replace(self.clock.time, wall=WINTER + self.number, state=ClockState.SYNCED)

    # --- ends ---

    @rule()
    def restart(self) -> None:
        self._end()
        files = {file.name: file.read_bytes() for file in self.path.parent.iterdir() if file.is_file()}
        self._begin(files)
        self._agree(self.model)
        self.done["restart"] += 1

    @rule()
    def kill(self) -> None:
        """What the system has of a killed process: all that was written, synced or not, and no farewell."""
        kept = {NAME, f"{NAME}-wal"}
        folder = self.path.parent
        files = {file.name: file.read_bytes() for file in folder.iterdir() if file.name in kept}
        self._end()
        self._begin(files)
        self._agree(self.model)
        self.done["kill"] += 1

    @rule(back=st.floats(0.0, 1.0), seed=st.integers(0, 2**32))
    def cut_the_power(self, back: float, seed: int) -> None:
        """Somewhere within what was done last, or right after it: then it was acknowledged."""
        end = len(self.recording.log)
        moment = end - round(back * (end - self.mark))
        rng = random.Random(seed)  # what the disk kept
        files = after_cut(self.recording, moment, rng)
        self._end()
        self.clock.boot()
        self._begin(files)
        lost = self._found() != self._held(self.model)
        assert not lost or moment < end, "what was acknowledged is lost"
        if moment < end:
            self.given = self.given_before  # nobody had it yet
        if lost:
            self.model = self.before
        self._agree(self.model)
        self.done["power cut that cost what was under way" if lost else "power cut that cost nothing"] += 1

    # --- what must hold ---

    def _found(self) -> tuple[Head, dict[str, int]]:
        return self.runner.run(self.journal.last()), self.runner.run(self.journal.receipts())

    @staticmethod
    def _held(model: Model) -> tuple[Head, dict[str, int]]:
        return model.head, model.receipts

    def _agree(self, model: Model) -> None:
        """After an opening: all rows are those of the model, byte for byte, and verify."""
        assert self._found() == self._held(model)
        rows = self.runner.run(self.journal.rows(0, ALL))
        assert rows == list(model.rows.values())
        self._start()
        self._verify()

    def _verify(self) -> None:
        since = self._since()
        if self.path.exists():
            found = verify(self.path, self.model.head, since=since)
            assert found.faults == ()
            assert found.head == self.model.head
            assert found.rows == len(self.model.rows)

    def _since(self) -> Note | None:
        return parse(self.given) if self.given else None

    @invariant()
    def the_journal_holds_what_the_model_holds(self) -> None:
        model = self.model
        assert self._found() == self._held(model)
        assert list(model.rows) == list(range(model.purged + 1, model.head.seq + 1))
        for prefix in ("alarm.", "outage.started", ""):
            assert self.runner.run(self.journal.latest(prefix)) == model.latest(prefix)


HAPPENINGS = {
    *("append", "receipt going down", "receipt twice", "purge", "rotate", "checkpoint", "clock step"),
    *("restart", "kill", "power cut that cost what was under way", "power cut that cost nothing"),
}


def _run(examples: int, steps: int) -> Counter[str]:
    RecordMachine.done = Counter()
    how = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(RecordMachine, settings=how)
    return +RecordMachine.done


def test_the_journal_is_what_its_model_is_over_crashes_receipts_purges_keys_and_clocks() -> None:
    assert set(_run(60, 25)) == HAPPENINGS


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_five_hundred_lives_of_a_journal_are_those_of_its_model() -> None:
    assert set(_run(500, 50)) == HAPPENINGS
