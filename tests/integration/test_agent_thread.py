"""A whole agent in memory: what is done with a thread as a whole."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, ToolkitInfo, UserMessage
from process_agent.core.content import Json, TextPart, TextResult
from process_agent.core.ids import AskId, ThreadId
from process_agent.core.requests import Secret
from process_agent.errors import BackendError
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


TOOL: dict[str, Json] = {
    "name": "look",
    "title": "Look",
    "description": "",
    "input_schema": {"type": "object"},
}


async def test_a_tool_of_the_client(room: Room) -> None:
    async with room.agent():
        ana, ben = room.messaging.join("ana"), room.messaging.join("ben")
        ana.send("thread.start", content=said("look"), client_toolkits=[TOOL])
        thread = (await ana.wait("thread.started"))["thread_id"]
        ben.send("thread.open", thread_id=thread)
        turn = await room.backend.turn(0)
        assert [tool.name for tool in turn.input.client_tools] == ["look"]
        turn.say(e.ClientToolRequested(AskId("a1"), "look", {"at": "door"}))
        asked = await ana.wait("client_tool_call.requested")
        assert (asked["request_id"], asked["arguments"]) == ("a1", {"at": "door"})
        assert asked["target_participant_id"] == ana.participant.id
        answer = {"thread_id": thread, "turn_id": turn.input.turn_id, "request_id": "a1"}
        ben.send("client_tool_call.response", **answer, response={"type": "text", "text": "forged"})
        ana.send("client_tool_call.response", **answer, response={"type": "text", "text": "a cat"})
        await asyncio.wait_for(turn.answered.wait(), 5)
        assert turn.answers == [("a1", TextResult("a cat"))]
        turn.end()
        await ben.wait("turn.ended")
        assert not ben.all("client_tool_call.requested")


async def test_a_secret_reaches_the_backend_and_no_log(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with room.agent():
        ana = room.messaging.join("ana")
        thread = await start(ana)
        turn = await room.backend.turn(0)
        turn.say(e.SecretRequested(AskId("s1"), "github", "A token, please."))
        assert (await ana.wait("secret.requested"))["secret_name"] == "github"
        ids = {"thread_id": thread, "turn_id": turn.input.turn_id, "request_id": "s1"}
        ana.send("secret.response", **ids, value="hunter2")
        await asyncio.wait_for(turn.answered.wait(), 5)
        ((_, secret),) = turn.answers
        assert isinstance(secret, Secret)
        assert secret.value == "hunter2"
        turn.end()
        await ana.wait("turn.ended")
        rows = room.store.rows[ThreadId(thread)]
    assert "hunter2" not in caplog.text + repr(rows)


async def test_capabilities_are_those_of_the_threads_backend(room: Room) -> None:
    async with room.agent():
        ana = room.messaging.join("ana")
        thread = await start(ana)
        room.backend.offers = [ToolkitInfo("codex", "Codex", (("shell", "runs commands"),))]
        asked = ana.send("capabilities_request", thread_id=thread)
        (toolkit,) = (await ana.wait("capabilities_response", source_message_id=asked))["toolkits"]
        assert (toolkit["name"], toolkit["title"]) == ("codex", "Codex")
        assert toolkit["tools"] == [{"name": "shell", "title": "shell", "description": "runs commands"}]
        (await room.backend.turn(0)).end()
        await ana.wait("turn.ended")


async def test_a_model_names_the_thread_after_its_first_turn(room: Room) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def title(_text: str) -> str:
        asked.set()
        await answer.wait()
        return "Kumquats"

    room.backend.titles = title
    async with room.agent():
        ana = room.messaging.join("ana")
        ana.send("thread.watch")
        thread = await start(ana, "tell me all about kumquats")
        turn = await room.backend.turn(0)
        assert room.backend.titled == []
        turn.end()
        await ana.wait("turn.ended")
        await asyncio.wait_for(asked.wait(), 5)
        other = await start(ana, "and limes")
        (await room.backend.turn(1)).end()
        await ana.wait("turn.ended", thread_id=other)
        assert room.backend.titled == ["tell me all about kumquats"]  # one at a time
        answer.set()
        while (await ana.wait("thread.updated"))["thread"]["name"] != "Kumquats":
            pass
        assert room.store.entries[ThreadId(thread)].name == "Kumquats"


@pytest.mark.parametrize("failure", [BackendError("no model"), RuntimeError("defect")])
async def test_a_thread_keeps_its_name_when_none_can_be_made(
    room: Room, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def title(_text: str) -> str:
        raise failure

    room.backend.titles = title
    async with room.agent():
        ana = room.messaging.join("ana")
        thread = await start(ana, "limes")
        (await room.backend.turn(0)).end()
        await ana.wait("turn.ended")
        await start(ana, "again")
        assert room.store.entries[ThreadId(thread)].name == "limes"
    assert ("defect" in caplog.text) == isinstance(failure, RuntimeError)


async def test_a_name_given_by_another_client_stays(room: Room) -> None:
    async def title(_text: str) -> str:
        entry = room.store.entries[ThreadId(thread)]
        room.store.entries[ThreadId(thread)] = replace(entry, name="Ours")  # written into the table itself
        return "Kumquats"

    room.backend.titles = title
    async with room.agent():
        ana = room.messaging.join("ana")
        ana.send("thread.watch")
        thread = await start(ana, "kumquats")
        (await room.backend.turn(0)).end()
        while (await ana.wait("thread.updated"))["thread"]["name"] != "Ours":
            pass
        assert room.store.entries[ThreadId(thread)].name == "Ours"
