"""The real program beside a scripted model, for the tests that type its commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from process_agent.scripted.server import ScriptedServer
from tests.fakes.program import Program


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    """A scripted model that records what it is asked."""
    async with ScriptedServer() as server:
        yield server


@pytest.fixture
async def program(tmp_path: Path, model: ScriptedServer) -> AsyncIterator[Program]:
    """The program in a home of its own, with a key for that model as if it were OpenAI."""
    started = Program(
        tmp_path / "home",
        OPENAI_BASE_URL=model.base_url,
        OPENAI_API_KEY=model.api_key,
        PROCESS_DATA_DIR=str(tmp_path / "data"),
    )
    yield started
    await asyncio.to_thread(started.stop_room)
