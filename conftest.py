"""What every test of the house is held to: no task left running, no thread pool forgotten."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio


@pytest_asyncio.fixture(autouse=True)
async def fail_on_leftover_tasks(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """An async test that leaves a task running fails, and says which."""
    before = asyncio.all_tasks()
    yield
    for _ in range(5):  # cancelled tasks need a turn of the loop to end
        await asyncio.sleep(0)
    left = [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()]
    if left:
        pytest.fail(f"{request.node.name} left tasks running: {left}")
