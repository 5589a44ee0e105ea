"""What tests of several parts share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.agent_house import Room
from tests.fakes.memory_messaging import Client
from tests.fakes.thread_house import House


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Agents over a room's datasets in memory; their thread stores are closed after."""
    house = House()
    yield house
    for store in house.stores:
        await store.close()


@pytest.fixture
async def room(tmp_path: Path) -> Room:
    """A room in memory, for agents whose backend the test plays."""
    return Room(tmp_path)


@pytest.fixture
async def ana(room: Room) -> AsyncIterator[Client]:
    """Somebody in that room, with an agent."""
    async with room.agent():
        yield room.messaging.join("ana")
