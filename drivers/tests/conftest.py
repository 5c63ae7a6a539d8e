"""Fixtures the tests of the drivers share."""

from collections.abc import AsyncIterator

import pytest

from drivers.tests.modbus_bench import KINDS, Bench, bench


@pytest.fixture(params=KINDS)
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with bench(request.param) as made:
        yield made
