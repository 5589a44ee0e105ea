"""A whole agent in memory: chat clients on one side, a backend the test plays on the other."""

from __future__ import annotations

import asyncio

import pytest

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, UserMessage
from process_agent.core.content import TextPart
from process_agent.core.events import EndReason
from process_agent.core.ids import ItemId, ThreadId
from tests.fakes.agent_house import Room, said, start
from tests.fakes.memory_messaging import Client
from tests.fakes.memory_store import DIRECTORY

HELLO = said("hello")
TURN_ITEM = ItemId("answer")


async def test_a_turn_from_start_to_end(room: Room, ana: Client) -> None:
    source = ana.send("thread.start", content=HELLO)
    thread = (await ana.wait("thread.started", source_message_id=source))["thread_id"]
    turn = await room.backend.turn(0)
    turn.answer("Hello, Ana")
    await ana.wait("turn.ended")
    await ana.wait("thread.status")
    assert ana.types() == [
        "thread.started",
        "turn.start.accepted",
        "turn.started",
        "thread.status",
        "text_content.started",
        "text_content.delta",
        "text_content.ended",
        "turn.ended",
        "thread.status",
    ]
    assert ana.text() == "Hello, Ana"
    started = ana.all("turn.started")[0]
    assert started["source_message_id"] == source
    assert started["turn_id"] == turn.input.turn_id
    assert started["content"] == HELLO
    assert started["sender_name"] == "ana"
    status = ana.all("thread.status")
    assert (status[0]["status"], status[0]["mode"]) == ("Thinking", "steerable")
    assert status[0]["turn_id"] == turn.input.turn_id
    assert "status" not in status[1]
    assert str(thread).startswith(f"{DIRECTORY}/")
    assert room.store.entries[thread].name == "hello"


async def test_discovery(room: Room) -> None:
    async with room.agent() as agent:
        assert room.messaging.attributes == {
            "supports_agent_messages": True,
            "supports_messaging_streams": True,
            "empty_state_title": "How can I help you?",
            "meshagent.chatbot.threading": "default-new",
            "meshagent.chatbot.thread-dir": DIRECTORY,
            "meshagent.chatbot.thread-list": f"{DIRECTORY}/index",
        }
        assert agent.ready.thread_dir == DIRECTORY
        assert agent.ready.default_model.model == "gpt-5.5"
        assert agent.ready.backends[0][0] == "codex"
    assert set(room.messaging.attributes.values()) == {None}
    assert room.store.closed
    assert room.backend.closed


async def test_what_everybody_should_know_is_said_in_the_room(room: Room) -> None:
    room.backend.caution = "Commands have all rights."
    async with room.agent():
        assert room.messaging.attributes["process.caution"] == "Commands have all rights."
    assert room.messaging.attributes["process.caution"] is None


async def test_another_agent_of_our_name(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.messaging.join("bot")  # a person of that name is no agent
    async with room.agent():
        assert "another agent" not in caplog.text
    room.messaging.join("bot", role="agent")
    async with room.agent():
        assert "another agent called 'bot' is in this room" in caplog.text


async def test_turns_queue_in_order(room: Room, ana: Client) -> None:
    thread = await start(ana, "one")
    first = await room.backend.turn(0)
    second = ana.send("turn.start", thread_id=thread, content=said("two"))
    third = ana.send("turn.start", thread_id=thread, content=said("three"))
    await ana.wait("turn.start.accepted", source_message_id=second)
    await ana.wait("turn.start.accepted", source_message_id=third)
    assert len(room.backend.turns) == 1
    first.end()
    (await room.backend.turn(1)).end()
    (await room.backend.turn(2)).end()
    await ana.wait("turn.ended", turn_id=room.backend.turns[2].input.turn_id)
    assert [turn.text for turn in room.backend.turns] == ["one", "two", "three"]
    assert len(ana.all("turn.ended")) == 3
    assert len(room.backend.threads) == 1


async def test_interrupting_a_running_and_a_waiting_turn(room: Room, ana: Client) -> None:
    thread = await start(ana)
    turn = await room.backend.turn(0)
    queued = ana.send("turn.start", thread_id=thread, content=HELLO)
    waiting = (await ana.wait("turn.start.accepted", source_message_id=queued))["turn_id"]
    ana.send("turn.interrupt", thread_id=thread, turn_id=waiting)
    ended = await ana.wait("turn.ended", turn_id=waiting)
    assert ended["error"]["code"] == "cancelled"
    # Any turn's end clears the status of clients, so the running turn's comes again.
    assert (await ana.wait("thread.status"))["turn_id"] == turn.input.turn_id
    interrupt = ana.send("turn.interrupt", thread_id=thread, turn_id=turn.input.turn_id)
    await ana.wait("turn.interrupt.accepted", source_message_id=interrupt)
    await ana.wait("turn.interrupted", source_message_id=interrupt)
    ended = await ana.wait("turn.ended", turn_id=turn.input.turn_id)
    assert ended["error"]["code"] == "cancelled"
    again = ana.send("turn.interrupt", thread_id=thread, turn_id=turn.input.turn_id)
    await ana.wait("turn.interrupt.accepted", source_message_id=again)
    assert len(ana.all("turn.ended")) == 2


async def test_interrupting_a_turn_whose_backend_is_still_opening(room: Room, ana: Client) -> None:
    room.backend.opening.clear()
    thread = await start(ana)
    turn_id = (await ana.wait("turn.started"))["turn_id"]
    ana.send("turn.interrupt", thread_id=thread, turn_id=turn_id)
    await ana.wait("turn.ended", turn_id=turn_id)
    room.backend.opening.set()
    ana.send("turn.start", thread_id=thread, content=HELLO)
    (await room.backend.turn(0)).answer("now")
    await ana.wait("turn.ended")
    assert ana.text() == "now"


async def test_steering(room: Room, ana: Client) -> None:
    ben = room.messaging.join("ben")
    thread = await start(ana)
    turn = await room.backend.turn(0)
    ben.send("thread.open", thread_id=thread)
    await ben.wait("thread.status")
    turn.say(e.Working("Reading"))
    spanish = said("in Spanish")
    steer = ana.send("turn.steer", thread_id=thread, turn_id=turn.input.turn_id, content=spanish)
    await ana.wait("turn.steer.accepted", source_message_id=steer)
    steered = await ana.wait("turn.steered", source_message_id=steer)
    assert steered["content"] == spanish
    assert turn.steers == ["in Spanish"]
    relayed = await ben.wait("turn.steer")
    assert (relayed["message_id"], relayed["sender_name"]) == (steer, "ana")
    room.backend.refuses_steers = True
    refused = ana.send("turn.steer", thread_id=thread, turn_id=turn.input.turn_id, content=spanish)
    rejected = await ana.wait("turn.steer.rejected", source_message_id=refused)
    assert rejected["error"]["code"] == "turn_ended"
    turn.end()
    await ana.wait("turn.ended")
    late = ana.send("turn.steer", thread_id=thread, turn_id=turn.input.turn_id, content=spanish)
    assert (await ana.wait("turn.steer.rejected", source_message_id=late))["error"]["code"] == "turn_ended"
    unknown = ana.send("turn.steer", thread_id=thread, turn_id="?", content=spanish)
    rejected = await ana.wait("turn.steer.rejected", source_message_id=unknown)
    assert rejected["error"]["code"] == "turn_not_in_progress"
    assert not ana.all("turn.steer")


async def test_a_second_viewer_joins_in_the_middle(room: Room, ana: Client) -> None:
    thread = await start(ana)
    turn = await room.backend.turn(0)
    turn.say(e.TextStarted(TURN_ITEM), e.TextDelta(TURN_ITEM, "Once upon "), e.TextDelta(TURN_ITEM, "a"))
    await ana.wait("text_content.delta")
    ben = room.messaging.join("ben")
    load = ben.send("thread.open", thread_id=thread, load=True)
    await ben.wait("thread.loaded", source_message_id=load)
    assert ben.text() == "Once upon "
    assert ben.all("thread.status")[0]["status"] == "Thinking"
    assert ben.types()[:3] == ["turn.start", "turn.start.accepted", "turn.started"]
    assert ben.types()[-2:] == ["thread.status", "thread.loaded"]
    turn.say(e.TextDelta(TURN_ITEM, " time"), e.TextEnded(TURN_ITEM))
    turn.end()
    for client in (ana, ben):
        await client.wait("turn.ended")
        assert client.text() == "Once upon a time"
    assert not ana.all("thread.loaded")


async def test_reopening_after_a_restart(room: Room) -> None:
    async with room.agent():
        ana = room.messaging.join("ana")
        thread = await start(ana)
        (await room.backend.turn(0)).answer("stored")
        await ana.wait("turn.ended")
    rows = room.store.rows[ThreadId(thread)]
    stored = len(rows)
    room.restarted()
    async with room.agent():
        ana = room.messaging.join("ana")
        ana.send("thread.open", thread_id=thread, load=True)
        await ana.wait("thread.loaded")
        assert ana.text() == "stored"
        assert len(rows) == stored  # opening writes nothing
        ana.send("turn.start", thread_id=thread, content=HELLO)
        turn = await room.backend.turn(0)
        assert room.backend.threads[0].history == (
            UserMessage((TextPart("hello"),), "ana"),
            AgentMessage("stored", "final_answer"),
        )
        turn.answer("again")
        await ana.wait("turn.ended", turn_id=turn.input.turn_id)


async def test_opening_a_thread_that_is_not_there(room: Room, ana: Client) -> None:
    missing = f"{DIRECTORY}/none"
    ana.send("thread.open", thread_id=missing, load=True)
    await ana.wait("thread.loaded")
    assert ana.all("thread.event")[0]["event"]["error"]["code"] == "thread_not_available"
    source = ana.send("turn.start", thread_id=missing, content=HELLO)
    rejected = await ana.wait("turn.start.rejected", source_message_id=source)
    assert rejected["error"]["code"] == "thread_not_available"
    assert missing not in room.store.rows


async def test_models(room: Room, ana: Client) -> None:
    source = ana.send("models.request")
    listed = await ana.wait("models.response", source_message_id=source)
    assert [m["name"] for m in listed["providers"][0]["models"]] == ["gpt-5.5", "gpt-5.5-mini"]
    thread = await start(ana)
    (await room.backend.turn(0)).end()
    await ana.wait("turn.ended")
    change = ana.send("model.change", thread_id=thread, backend="codex", model="gpt-5.5-mini")
    changed = await ana.wait("model.changed", source_message_id=change)
    assert (changed["backend"], changed["provider"], changed["model"]) == ("codex", "openai", "gpt-5.5-mini")
    wrong = ana.send("model.change", thread_id=thread, model="gpt-9")
    rejected = await ana.wait("thread.event")
    assert rejected["event"]["source_message_id"] == wrong
    assert "codex/openai/gpt-5.5-mini" in rejected["event"]["error"]["message"]
    ana.send("turn.start", thread_id=thread, content=HELLO)
    assert (await room.backend.turn(1)).input.model.model == "gpt-5.5-mini"
    bad = ana.send("turn.start", thread_id=thread, content=HELLO, backend="llm", model="gpt-5.5")
    assert (await ana.wait("turn.start.rejected", source_message_id=bad))["error"][
        "code"
    ] == "unknown_backend"


async def test_the_model_of_a_thread_survives_a_restart(room: Room) -> None:
    async with room.agent():
        ana = room.messaging.join("ana")
        ana.send("thread.start", content=HELLO, model="codex/gpt-5.5-mini")
        thread = (await ana.wait("thread.started"))["thread_id"]
        turn = await room.backend.turn(0)
        assert turn.input.model.model == "gpt-5.5-mini"
        turn.end()
        await ana.wait("turn.ended")
    room.restarted()
    async with room.agent():
        ana = room.messaging.join("ana")
        ana.send("turn.start", thread_id=thread, content=HELLO)
        assert (await room.backend.turn(0)).input.model.model == "gpt-5.5-mini"


async def test_thread_list_and_watching(room: Room, ana: Client) -> None:
    ben = room.messaging.join("ben")
    ben.send("thread.watch")
    ana.send("thread.start")
    thread = (await ana.wait("thread.started"))["thread_id"]
    assert (await ben.wait("thread.created"))["thread"]["name"] == "New Chat"
    ana.send("turn.start", thread_id=thread, content=said("fix the test"))
    assert (await ben.wait("thread.updated"))["thread"]["name"] == "fix the test"
    (await room.backend.turn(0)).end()
    assert (await ben.wait("thread.updated"))["thread"]["name"] == "fix the test"
    listing = ben.send("thread.list", limit=1)
    page = await ben.wait("thread.listed", source_message_id=listing)
    assert (page["total"], [x["path"] for x in page["threads"]]) == (1, [thread])
    ben.send("thread.unwatch")
    ana.send("thread.rename", thread_id=thread, name="better")
    assert (await ana.wait("thread.updated"))["thread"]["name"] == "better"
    ana.send("thread.delete", thread_id=thread)
    assert (await ana.wait("thread.deleted"))["path"] == thread
    assert not ben.all("thread.deleted")


async def test_a_thread_moves_to_the_front_when_a_turn_begins_in_it(room: Room, ana: Client) -> None:
    first = await start(ana)
    second = await start(ana)
    for number in range(2):
        (await room.backend.turn(number)).end()
        await ana.wait("turn.ended")
    ben = room.messaging.join("ben")
    ben.send("thread.watch")
    ana.send("turn.start", thread_id=first, content=said("work for an hour"))
    await room.backend.turn(2)
    assert (await ben.wait("thread.updated"))["thread"]["path"] == first
    listing = ben.send("thread.list")
    page = await ben.wait("thread.listed", source_message_id=listing)
    assert [x["path"] for x in page["threads"]] == [first, second]


async def test_refused_threads_get_both_rejections(room: Room, ana: Client) -> None:
    source = ana.send("thread.start", content=HELLO, model="nothing")
    await ana.wait("thread.start.rejected", source_message_id=source)
    rejected = await ana.wait("turn.start.rejected", source_message_id=source)
    assert rejected["thread_id"] == ""
    assert rejected["error"]["code"] == "unknown_model"
    room.store.fails = True
    source = ana.send("thread.start", content=HELLO)
    rejected = await ana.wait("thread.start.rejected", source_message_id=source)
    assert "the room is full" in rejected["error"]["message"]


async def test_commands_are_answered_without_the_backend(room: Room) -> None:
    async with room.agent():
        ana, ben = room.messaging.join("ana"), room.messaging.join("ben")
        thread = await start(ana, "/models")
        first = await ana.wait("turn.ended")
        assert "error" not in first
        assert room.store.entries[ThreadId(thread)].name == "New Chat"
        assert "**← this thread**" in "".join(x["text"] for x in ana.all("text_content.delta"))
        ana.send("turn.start", thread_id=thread, content=said("count to ten"))
        turn = await room.backend.turn(0)
        assert list(room.backend.threads[0].history) == []
        turn.say(e.TextStarted(TURN_ITEM), e.TextDelta(TURN_ITEM, "one, "))
        await ana.wait("text_content.delta", item_id="answer")
        steered = ben.send(
            "turn.steer", thread_id=thread, turn_id=turn.input.turn_id, content=said("/model gpt-5.5-mini")
        )
        changed = (await ben.wait("turn.started", source_message_id=steered))["turn_id"]
        assert (await ben.wait("model.changed", source_message_id=steered))["model"] == "gpt-5.5-mini"
        await ana.wait("turn.ended", turn_id=changed)
        status = await ana.wait("thread.status")
        assert (status["turn_id"], status["mode"]) == (turn.input.turn_id, "steerable")
        turn.say(e.TextDelta(TURN_ITEM, "two"))
        ben.send("turn.start", thread_id=thread, content=said("/stop"))
        await asyncio.wait_for(turn.interrupted.wait(), 5)
        turn.end(EndReason.INTERRUPTED)
        await ana.wait("turn.ended", turn_id=turn.input.turn_id)
        assert ana.text() == "one, two"
        assert turn.steers == []
    room.restarted()
    async with room.agent():
        eve = room.messaging.join("eve")
        load = eve.send("thread.open", thread_id=thread, load=True)
        await eve.wait("thread.loaded", source_message_id=load)
        asked = [x["content"][0]["text"] for x in eve.all("turn.start")]
        assert asked == ["/models", "count to ten", "/model gpt-5.5-mini", "/stop"]
        assert len(eve.all("turn.ended")) == len(eve.all("turn.started")) == 4
        eve.send("turn.start", thread_id=thread, content=said("/clear the table"))
        again = await room.backend.turn(0)
        assert again.text == "/clear the table"
        assert again.input.model.model == "gpt-5.5-mini"
        history = list(room.backend.threads[0].history)
        assert [item for item in history if isinstance(item, UserMessage)] == [
            UserMessage((TextPart("count to ten"),), "ana")
        ]
        assert "on offer" not in repr(history)
        again.end()
        await eve.wait("turn.ended", turn_id=again.input.turn_id)
