"""Requests and the cycle: each is answered once, by the next step, when what it changed is on record."""

import asyncio
from dataclasses import replace

import pytest

from edge.cycle import Cycle
from edge.records import Cause
from edge.requests import (
    Acknowledge,
    Answer,
    CancelPlan,
    ExpectRecovery,
    PlanStop,
    Reattribute,
    Request,
    Reset,
    Shelve,
    Unshelve,
    accepted,
    body,
    refused,
)
from edge.tests.test_service import House, house

__all__ = ["house"]

REQUESTS: tuple[Request, ...] = (
    Acknowledge(None, "li"),
    Reset("high:frost", "li"),
    Shelve("high:frost", 0.0, "li", "why"),
    Unshelve("high:frost", "li"),
    ExpectRecovery("o1", None, "li", "why"),
    Reattribute("o1", Cause.WATER, "li", "why"),
    PlanStop("p1", ("attic",), 1.0, 0.0, "repair", "li", "why"),
    PlanStop("p2", ("high",), 253_402_271_940.0, 253_402_271_950.0, "repair", "li", "the year 9999"),
    CancelPlan("p1", "li", "why"),
)


@pytest.fixture
def cycles(monkeypatch: pytest.MonkeyPatch) -> list[Cycle]:
    """Every cycle that the service makes."""
    made: list[Cycle] = []

    def kept(*words: object) -> Cycle:
        made.append(Cycle(*words))  # type: ignore[arg-type] # as the service gives them
        return made[-1]

    monkeypatch.setattr("edge.service.Cycle", kept)
    return made


async def test_every_request_is_answered_in_words_of_the_catalogue(house: House, cycles: list[Cycle]) -> None:
    asked: list[asyncio.Task[Answer]] = []

    def answered() -> bool:
        if cycles and not asked:
            asked.extend(asyncio.ensure_future(cycles[0].request(request)) for request in REQUESTS)
        return bool(asked) and all(task.done() for task in asked)

    await house.run(answered)
    answers = [task.result() for task in asked]
    assert [answer.accepted for answer in answers] == [False] * len(REQUESTS)
    assert all(answer.text.startswith("request.") and answer.recorded for answer in answers)


async def test_while_the_journal_takes_nothing_the_answer_says_that_it_is_not_on_record(
    house: House, cycles: list[Cycle], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[asyncio.Task[Answer]] = []

    def answered() -> bool:
        if cycles and not asked:
            cycles[0].recorder.failing = True
            monkeypatch.setattr(cycles[0].recorder, "record", _nothing)
            asked.append(asyncio.ensure_future(cycles[0].request(Unshelve("high:frost", "li"))))
        return bool(asked) and asked[0].done()

    await house.run(answered)
    assert not asked[0].result().recorded


async def _nothing(*_: object) -> None:
    """A journal that takes no rows; its recorder waits with them."""


async def test_who_goes_away_before_the_next_step_wants_nothing_any_more(
    house: House, cycles: list[Cycle]
) -> None:
    asked: list[asyncio.Task[Answer]] = []

    def gone() -> bool:
        if cycles and not asked:
            asked.append(asyncio.ensure_future(cycles[0].request(Shelve("high:frost", 9e9, "li", "w"))))
            asyncio.get_running_loop().call_soon(asked[0].cancel)
        return bool(asked) and asked[0].cancelled() and cycles[0].pace.steps > 2

    await house.run(gone)
    assert asked[0].cancelled()


async def test_what_was_acknowledged_and_shelved_stands_so_after_a_restart(
    house: House, cycles: list[Cycle]
) -> None:
    house.plant.values["station.door"] = 1.0
    asked: list[asyncio.Task[Answer]] = []

    def states() -> dict[str, str]:
        judged = cycles[-1].judged if cycles else None
        return {} if judged is None else {each.subject: each.state.value for each in judged.shown}

    def done() -> bool:
        if not asked and "station:door_open" in states():
            cycle, wall = cycles[0], cycles[0].clock.now().wall
            shelf = Shelve("high:frost", wall + 86000, "li", "sensor is exchanged")
            asked.extend(
                asyncio.ensure_future(cycle.request(each))
                for each in (Acknowledge("station:door_open", "li"), shelf)
            )
        return bool(asked) and all(task.done() for task in asked)

    await house.run(done)
    assert [task.result().accepted for task in asked] == [True, True]
    await house.run(lambda: len(cycles) == 2 and cycles[1].pace.steps > 3)
    found = states()
    assert (found["station:door_open"], found["high:frost"]) == ("acknowledged", "shelved")


def test_an_answer_and_the_words_of_a_request_are_plain() -> None:
    assert accepted("request.a", count=3) == Answer(True, "request.a", {"count": 3})
    assert refused("request.a") == replace(accepted("request.a"), accepted=False)
    assert body(Acknowledge(None, "li")) == {"who": "li", "why": ""}
    assert body(CancelPlan("p", "li", "no crew")) == {"who": "li", "why": "no crew"}
