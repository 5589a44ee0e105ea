"""Codex's records are called as the threads of the room are, so that `codex resume` lists them by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.codex.backend import CodexBackend
from process_agent.agent.assemble import Agent
from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import agent_in, chat_client
from tests.contract.codex_room import script
from tests.fakes.room import LocalRoom

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


async def called(agent: Agent, *expected: str | None) -> None:
    """Wait until these are the names of the records."""
    (codex,) = agent._backends
    assert isinstance(codex, CodexBackend)
    names: list[str | None] = []
    async with asyncio.timeout(20):
        while sorted(map(str, names)) != sorted(map(str, expected)):
            names = [record.name for record in (await codex.records.listed()).values()]


async def test_a_record_is_called_as_its_thread(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    async with agent_in(server, tmp_path, model=model) as agent, chat_client(server, "ana") as ana:
        await ana.say("thread.start", script({"title": "Fix the login"}, {"say": "one."}))
        thread = (await ana.wait("thread.started"))["thread_id"]
        await ana.wait("turn.ended")
        await called(agent, "Fix the login")
        await ana.send("thread.rename", thread_id=thread, name="The login, fixed: ü🎉")
        await called(agent, "The login, fixed: ü🎉")
        await ana.send("thread.watch")
        await ana.say("turn.start", "/fork Other way", thread_id=thread)
        copy = (await ana.wait("thread.created"))["thread"]["path"]
        await ana.send("thread.open", thread_id=copy)
        await ana.say("turn.start", script({"say": "two."}), thread_id=copy)
        await called(agent, "The login, fixed: ü🎉", "Other way")
    async with agent_in(server, tmp_path, model=model) as agent, chat_client(server, "ana") as ana:
        await ana.send("thread.rename", thread_id=copy, name="Renamed while nobody has it open")
        await called(agent, "The login, fixed: ü🎉", "Renamed while nobody has it open")
        await ana.send("thread.open", thread_id=thread)
        await ana.say("turn.start", script({"say": "three."}), thread_id=thread, instructions="Be brief.")
        await ana.wait("turn.ended")
        await called(agent, "The login, fixed: ü🎉", "Renamed while nobody has it open")
