"""A whole agent in memory: what is done with a thread as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from process_agent.core.backend import AgentMessage, UserMessage
from process_agent.core.content import TextPart
from process_agent.core.ids import ThreadId
from tests.fakes.agent_house import Room, said, start


@pytest.fixture
async def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


async def test_a_cleared_thread_begins_anew_for_people_and_models(room: Room) -> None:
    async with room.agent():
        ana, ben = room.messaging.join("ana"), room.messaging.join("ben")
        thread = await start(ana, "remember the word kumquat")
        turn = await room.backend.turn(0)
        ben.send("thread.clear", thread_id=thread)
        assert "turn_in_progress" in str(await ben.wait("thread.event"))
        turn.answer("kumquat it is")
        await ana.wait("turn.ended")
        asked = ben.send("thread.clear", thread_id=thread)
        await ana.wait("thread.cleared", source_message_id=asked)
        await ben.wait("thread.cleared", source_message_id=asked)
        ana.send("turn.start", thread_id=thread, content=said("which word?"))
        again = await room.backend.turn(1)
        assert [(each.closed, each.history) for each in room.backend.threads] == [(True, ()), (False, ())]
        again.answer("I know no word")
        await ana.wait("turn.ended", turn_id=again.input.turn_id)
        assert room.store.entries[ThreadId(thread)].name == "remember the word kumquat"
    room.restarted()
    async with room.agent():
        eve = room.messaging.join("eve")
        load = eve.send("thread.open", thread_id=thread, load=True)
        await eve.wait("thread.loaded", source_message_id=load)
        assert eve.text() == "I know no word"
        assert not eve.all("thread.cleared")
        ana = room.messaging.join("ana")
        load = ana.send("thread.open", thread_id=thread, load=True, since_turn=turn.input.turn_id)
        await ana.wait("thread.loaded", source_message_id=load)
        assert ana.types()[0] == "thread.cleared"
        assert ana.text() == "I know no word"
        eve.send("turn.start", thread_id=thread, content=said("and now?"))
        (await room.backend.turn(0)).end()
        await eve.wait("turn.ended")
        assert list(room.backend.threads[0].history) == [
            UserMessage((TextPart("which word?"),), "ana"),
            AgentMessage("I know no word", "final_answer"),
        ]
