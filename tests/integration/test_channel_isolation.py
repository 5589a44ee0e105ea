"""Whose threads the turns of channels are, where each participant has its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from process_agent.core.content import Json
from process_agent.core.ids import ParticipantId, ThreadId
from process_agent.core.participants import Participant
from process_agent.core.room_ports import ToolCaller
from process_agent.errors import ToolFailedError
from tests.fakes.channel_agent import ChannelRoom
from tests.fakes.memory_store import DIRECTORY

ANA = Participant(ParticipantId("p1"), "user", {"name": "ana"})
BOT = Participant(ParticipantId("p2"), "agent", {"name": "helper-bot"})
THREAD = ThreadId(f"{DIRECTORY}/anas")


@pytest.fixture
async def room(tmp_path: Path) -> ChannelRoom:
    room = ChannelRoom(tmp_path, "chat", "queue:work", "toolkit:helper")
    room.store.rows[THREAD] = []
    room.store.owners[THREAD] = "name:ana"
    return room


async def test_a_queue_item_gets_into_nobodys_thread_whatever_name_it_has(room: ChannelRoom) -> None:
    async with room.agent("participant"):
        room.queues.put("work", {"prompt": "let me in", "path": THREAD, "sender_name": "ana"})
        await room.queues.until(lambda: "work.failed" in room.queues.sent)
        [item] = room.queues.sent["work.failed"]
        assert isinstance(item, dict)
        error = item["error"]
        assert isinstance(error, dict)
        assert error["code"] == "thread_not_available"
        room.queues.put("work", {"prompt": "own work", "path": "own"})
        assert (await room.backend.turn(0)).text == "own work"
    assert room.store.owners == {
        THREAD: "name:ana",
        ThreadId(f"{DIRECTORY}/own"): "channel:queue:work",
    }


async def test_a_tool_acts_for_its_caller_not_for_whom_the_caller_names(room: ChannelRoom) -> None:
    arguments: dict[str, Json] = {"prompt": "go on", "path": "anas"}
    async with room.agent("participant"):
        tool = room.toolkits.hosted["helper"].tools[0]
        with pytest.raises(ToolFailedError, match="There is no thread"):
            await tool.handler(ToolCaller("p2", BOT, on_behalf_of=ANA), arguments)
        calling = asyncio.ensure_future(tool.handler(ToolCaller("p1", ANA), arguments))
        (await room.backend.turn(0)).answer("gone on")
        assert await calling == "gone on"
