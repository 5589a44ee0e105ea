"""The agent in the real room, with the published client as its clients and a backend the test plays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from process_agent.core import events as e
from process_agent.core.backend import UserMessage
from process_agent.core.content import TextPart
from process_agent.core.ids import ItemId
from tests.contract.agent_room import AGENT, agent_in, chat_client
from tests.fakes.backend import FakeBackend
from tests.fakes.room import LocalRoom, participant

THREAD_STREAM = "meshagent.chat.thread.subscribe"
LIST_STREAM = "meshagent.chat.thread_list.subscribe"
ITEM = ItemId("answer")


async def test_clients_find_the_agent(server: LocalRoom, tmp_path: Path) -> None:
    async with agent_in(server, tmp_path, [FakeBackend()]), server.client("ana") as client:
        await client.messaging.enable()
        agent = await participant(client, AGENT)
        assert agent.get_attribute("supports_agent_messages") is True
        assert agent.get_attribute("supports_messaging_streams") is True
        assert agent.get_attribute("meshagent.chatbot.threading") == "default-new"
        folder = f"dataset://agents/{AGENT}/threads"
        assert agent.get_attribute("meshagent.chatbot.thread-dir") == folder
        assert agent.get_attribute("meshagent.chatbot.thread-list") == f"{folder}/index"


async def test_thread_start_then_a_stream(server: LocalRoom, tmp_path: Path) -> None:
    """What the published chat client does: a unary thread.start, then a stream for the thread."""
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), chat_client(server, "ana") as ana:
        source = await ana.say("thread.start", "hello")
        thread = (await ana.wait("thread.started", source_message_id=source))["thread_id"]
        stream = await ana.stream(THREAD_STREAM, "thread.open", thread_id=thread, load=False)
        async with asyncio.TaskGroup() as group:
            group.create_task(ana.read(stream))
            turn = await backend.turn(0)
            turn.say(e.TextStarted(ITEM), e.TextDelta(ITEM, "ha ha"))
            await ana.wait("text_content.delta")
            for _ in range(200):
                turn.say(e.TextDelta(ITEM, " ha"))
            turn.say(e.TextEnded(ITEM))
            turn.end()
            await ana.wait("turn.ended")
            assert ana.texts() == "ha ha" + " ha" * 200
            assert set(ana.ways[ana.got.index(ana.all("text_content.delta")[0]) :]) == {"stream"}
            second = await ana.say("turn.start", "and?", thread_id=thread)
            await ana.wait("turn.start.accepted", source_message_id=second)
            third = await ana.say("turn.start", "then?", thread_id=thread)
            await ana.wait("turn.start.accepted", source_message_id=third)
            (await backend.turn(1)).end()
            (await backend.turn(2)).end()
            await ana.wait("turn.ended", turn_id=backend.turns[2].input.turn_id)
            await stream.close()
        fourth = await ana.say("turn.start", "without a stream", thread_id=thread)
        await ana.wait("turn.started", source_message_id=fourth)
        assert ana.ways[-1] == "unary"


async def test_reopened_after_a_restart_of_agent_and_room(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), chat_client(server, "ana") as ana:
        await ana.say("thread.start", "remember me")
        thread = (await ana.wait("thread.started"))["thread_id"]
        change = await ana.send("model.change", thread_id=thread, model="codex/gpt-5.5-mini")
        await ana.wait("model.changed", source_message_id=change)
        (await backend.turn(0)).answer("I do 1 0 0")
        await ana.wait("turn.ended")
    await server.restart()
    again = FakeBackend()
    async with agent_in(server, tmp_path, [again]), chat_client(server, "ben") as ben:
        page = await ben.send("thread.list")
        listed = await ben.wait("thread.listed", source_message_id=page)
        assert [(x["path"], x["name"]) for x in listed["threads"]] == [(thread, "remember me")]
        load = await ben.send("thread.open", thread_id=thread, load=True)
        await ben.wait("thread.loaded", source_message_id=load)
        assert ben.texts() == "I do 1 0 0"
        assert [x["content"][0]["text"] for x in ben.all("turn.start")] == ["remember me"]
        assert len(ben.all("turn.ended")) == 1
        await ben.say("turn.start", "go on", thread_id=thread)
        turn = await again.turn(0)
        assert turn.input.model.model == "gpt-5.5-mini"
        assert again.threads[0].history[0] == UserMessage((TextPart("remember me"),), "ana")
        turn.end()
        await ben.wait("turn.ended", turn_id=turn.input.turn_id)


async def test_several_viewers_one_of_them_late(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        chat_client(server, "ana") as ana,
        chat_client(server, "ben") as ben,
    ):
        await ben.send("thread.watch")
        await ana.say("thread.start", "tell a story")
        thread = (await ben.wait("thread.created"))["thread"]["path"]
        turn = await backend.turn(0)
        turn.say(e.TextStarted(ITEM), e.TextDelta(ITEM, "Once "), e.TextDelta(ITEM, "upon "))
        await ana.wait("text_content.delta")
        stream = await ben.stream(THREAD_STREAM, "thread.open", thread_id=thread, load=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(ben.read(stream))
            await ben.wait("thread.loaded")
            turn.say(e.TextDelta(ITEM, "a time"), e.TextEnded(ITEM))
            turn.end()
            await ana.wait("turn.ended")
            await ben.wait("turn.ended")
            await stream.close()
        assert ana.texts() == ben.texts() == "Once upon a time"


async def test_the_list_over_a_stream(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), chat_client(server, "ana") as ana:
        stream = await ana.stream(LIST_STREAM, "thread.watch")
        async with asyncio.TaskGroup() as group:
            group.create_task(ana.read(stream))
            await ana.send("thread.start", name="a name of mine")
            created = await ana.wait("thread.created")
            assert created["thread"]["name"] == "a name of mine"
            assert ana.ways[ana.got.index(created)] == "stream"
            await stream.close()


async def test_streams_that_are_refused(server: LocalRoom, tmp_path: Path) -> None:
    from meshagent.api import RoomException

    async with agent_in(server, tmp_path, [FakeBackend()]), chat_client(server, "ana") as ana:
        for stream_type, kind in (("video", "thread.open"), (THREAD_STREAM, "thread.list")):
            with pytest.raises(RoomException) as error:
                await ana.stream(stream_type, kind, thread_id="T")
            assert "stream" in str(error.value)
        with pytest.raises(RoomException, match="thread_id"):
            await ana.stream(THREAD_STREAM, "thread.open")


async def test_the_room_restarts_while_a_turn_runs(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]):
        async with chat_client(server, "ana") as ana:
            await ana.say("thread.start", "long work")
            thread = (await ana.wait("thread.started"))["thread_id"]
            turn = await backend.turn(0)
            turn.say(e.TextStarted(ITEM), e.TextDelta(ITEM, "before "))
            await ana.wait("text_content.delta")
        await server.restart()
        turn.say(e.TextDelta(ITEM, "and after"), e.TextEnded(ITEM))
        turn.end()
        async with chat_client(server, "ben") as ben:
            await ben.send("thread.open", thread_id=thread, load=True)
            await ben.wait("thread.loaded")
            if not ben.all("turn.ended"):
                await ben.wait("turn.ended")
            assert ben.texts() == "before and after"
            assert len(ben.all("turn.ended")) == 1


async def test_commands_as_plain_text(server: LocalRoom, tmp_path: Path) -> None:
    """A client that knows no commands sends them like any other message."""
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), chat_client(server, "ana") as ana:
        await ana.say("thread.start", "/models")
        thread = (await ana.wait("thread.started"))["thread_id"]
        await ana.wait("turn.ended")
        assert "`codex/openai/gpt-5.5` " in ana.texts()
        await ana.say("turn.start", "work for long", thread_id=thread)
        turn = await backend.turn(0)
        source = await ana.say("turn.start", "/model gpt-5.5-mini", thread_id=thread)
        changed = (await ana.wait("turn.started", source_message_id=source))["turn_id"]
        await ana.wait("model.changed", source_message_id=source, model="gpt-5.5-mini")
        await ana.wait("turn.ended", turn_id=changed)
        await ana.wait("thread.status", turn_id=turn.input.turn_id, mode="steerable")
        await ana.say("turn.steer", "/stop", thread_id=thread, turn_id=turn.input.turn_id)
        await turn.interrupted.wait()
        turn.end(e.EndReason.INTERRUPTED)
        await ana.wait("turn.ended", turn_id=turn.input.turn_id)
        assert len(backend.turns) == 1
    await server.restart()
    again = FakeBackend()
    async with agent_in(server, tmp_path, [again]), chat_client(server, "ben") as ben:
        load = await ben.send("thread.open", thread_id=thread, load=True)
        await ben.wait("thread.loaded", source_message_id=load)
        asked = [x["content"][0]["text"] for x in ben.all("turn.start")]
        assert asked == ["/models", "work for long", "/model gpt-5.5-mini", "/stop"]
        assert len(ben.all("turn.ended")) == 4
        await ben.say("turn.start", "go on", thread_id=thread)
        turn = await again.turn(0)
        assert turn.input.model.model == "gpt-5.5-mini"
        assert again.threads[0].history == (UserMessage((TextPart("work for long"),), "ana"),)
        turn.end()
        await ben.wait("turn.ended", turn_id=turn.input.turn_id)
