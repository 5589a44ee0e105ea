"""What tests of several parts share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.thread_house import House


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Agents over a room's datasets in memory; their thread stores are closed after."""
    house = House()
    yield house
    for store in house.stores:
        await store.close()
