"""What opening a thread does to others, and whose threads a path can reach, with a whole agent in memory."""

from __future__ import annotations

from typing import Any

import pytest

from process_agent.agent.assemble import Agent, started
from process_agent.agent.channels import AgentRoom
from process_agent.channels import outbox as outbox_module
from process_agent.core import events as e
from process_agent.core.backend import ToolkitInfo
from process_agent.core.ids import ItemId
from process_agent.core.room import TableRef
from process_agent.threads.schema import THREAD
from tests.fakes.agent_house import Room, config, said, start
from tests.fakes.memory_messaging import Client
from tests.fakes.memory_store import DIRECTORY
from tests.fakes.thread_house import House

ITEM = ItemId("answer")


async def test_an_open_that_names_a_backend_leaves_the_running_turn_alone(room: Room, ana: Client) -> None:
    thread = await start(ana)
    turn = await room.backend.turn(0)
    turn.say(e.TextStarted(ITEM), e.TextDelta(ITEM, "Once upon a time"))
    await ana.wait("text_content.delta")
    ben = room.messaging.join("ben")
    for backend in ("llm", "codex", "no-such-backend"):
        ben.send("thread.open", thread_id=thread, load=True, backend=backend)
        await ben.wait("thread.loaded")
    turn.say(e.TextEnded(ITEM))
    turn.end()
    ended = await ana.wait("turn.ended")
    assert (ended["turn_id"], ended.get("error")) == (turn.input.turn_id, None)
    assert (len(room.backend.turns), len(room.backend.threads)) == (1, 1)
    assert not turn.interrupted.is_set()
    ben.send("turn.start", thread_id=thread, content=said("go on"))
    follows = await room.backend.turn(1)
    assert (follows.input.model, len(room.backend.threads)) == (turn.input.model, 1)
    follows.end()


async def test_a_slow_viewer_without_a_stream_is_shown_what_it_missed(
    room: Room, ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "MAX_MESSAGES", 250)
    thread = await start(ana)
    turn = await room.backend.turn(0)
    slow = room.messaging.join("slow")
    slow.send("thread.open", thread_id=thread)
    await slow.wait("thread.status")
    turn.say(e.TextStarted(ITEM), e.TextDelta(ITEM, "first "))
    await slow.wait("text_content.delta")
    slow.listening.clear()
    calls = [e.ToolRef(ItemId(f"call {n}"), "codex", "shell") for n in range(150)]
    turn.say(e.TextDelta(ITEM, "second"))
    for call in calls:
        turn.say(e.ToolStarted(call, {}), e.ToolEnded(call))
        await ana.wait("tool_call.ended", item_id=call.item_id)
    slow.listening.set()
    assert (await slow.wait("thread.event"))["event"]["name"] == "viewer.behind"
    await slow.wait("thread.loaded")
    turn.say(e.TextDelta(ITEM, " third"), e.TextEnded(ITEM))
    turn.end()
    await slow.wait("turn.ended")
    ended = {message["item_id"] for message in slow.all("tool_call.ended")}
    assert ended == {call.item_id for call in calls}
    pieces = {message["message_id"]: message["text"] for message in slow.all("text_content.delta")}
    assert "".join(pieces.values()) == "first second third", "clients drop what they have by its id"


async def test_a_replay_goes_to_who_asked_alone(room: Room, ana: Client) -> None:
    thread = await start(ana)
    (await room.backend.turn(0)).answer("a whole turn")
    await ana.wait("thread.status", status=None)
    seen = len(ana.got)
    ben = room.messaging.join("ben")
    for _ in range(2):
        ben.send("thread.open", thread_id=thread, load=True)
        await ben.wait("thread.loaded")
    assert ben.text().startswith("a whole turn")
    assert len(ana.got) == seen


async def test_a_model_is_that_of_one_thread(room: Room, ana: Client) -> None:
    first, second = await start(ana), await start(ana)
    for number in range(2):
        (await room.backend.turn(number)).end()
        await ana.wait("turn.ended")
    changed = ana.send("model.change", thread_id=first, model="gpt-5.5-mini")
    await ana.wait("model.changed", thread_id=first, source_message_id=changed)
    for number, (thread, model) in enumerate(((second, "gpt-5.5"), (first, "gpt-5.5-mini")), start=2):
        ana.send("turn.start", thread_id=thread, content=said("which one are you?"))
        turn = await room.backend.turn(number)
        assert (turn.thread_id, turn.input.model.model) == (thread, model)
        turn.end()
        await ana.wait("turn.ended")
    assert [changed["thread_id"] for changed in ana.all("model.changed")] == [first]


async def test_capabilities_of_a_thread_that_is_closed_are_answered(room: Room) -> None:
    async with room.agent():
        thread = await start(ana := room.messaging.join("ana"))
        (await room.backend.turn(0)).end()
        await ana.wait("turn.ended")
    room.restarted()
    async with room.agent():
        room.backend.offers = [ToolkitInfo("codex", "Codex", (("shell", "runs commands"),))]
        ana = room.messaging.join("ana")
        for named in (thread, f"{DIRECTORY}/nobody-has-it"):
            asked = ana.send("capabilities_request", thread_id=named)
            (toolkit,) = (await ana.wait("capabilities_response", source_message_id=asked))["toolkits"]
            assert toolkit["name"] == "codex"
        assert room.store.logs == []
        assert room.backend.threads == []


PATHS = [
    "../x",
    f"{DIRECTORY}/../x",
    f"{DIRECTORY}/../../other/threads/t1",
    f"{DIRECTORY}/index",
    f"{DIRECTORY}/",
    DIRECTORY,
    "dataset://agents/other/threads/t1",
    "dataset://usage/records",
]
REQUESTS: list[tuple[str, dict[str, Any], str]] = [
    ("thread.open", {"load": True}, "thread.event"),
    ("turn.start", {"content": said("hello")}, "turn.start.rejected"),
    ("thread.delete", {}, "thread.event"),
    ("thread.rename", {"name": "mine"}, "thread.event"),
    ("thread.clear", {}, "thread.event"),
    ("model.change", {"model": "gpt-5.5-mini"}, "thread.event"),
]
"""Requests that name a thread, and how each is refused."""


@pytest.mark.parametrize(("kind", "fields", "word"), REQUESTS)
async def test_no_path_of_a_client_reaches_another_place(
    house: House, room: Room, kind: str, fields: dict[str, Any], word: str
) -> None:
    """Each is refused with a word, and the tables of the room stay as they are."""
    others = (TableRef("t1", ("agents", "other", "threads")), TableRef("records", ("usage",)))
    for table in others:
        await house.datasets.create(table, THREAD, "create")
    async with started([room.backend]) as backends:
        inside = AgentRoom(room.messaging, store := house.agent(), house.datasets)
        async with Agent(config(room.tmp_path), inside, backends):
            ana = room.messaging.join("ana")
            before = {table: house.datasets.rows(table) for table in house.datasets.tables}
            named = "path" if kind in ("thread.delete", "thread.rename") else "thread_id"
            for path in PATHS:
                await refused(ana, ana.send(kind, **{named: path}, **fields), word)
            assert {table: house.datasets.rows(table) for table in house.datasets.tables} == before
            assert await store.list(10, 0) == ([], 0)
            assert room.backend.turns == []


async def refused(client: Client, request: str, word: str) -> None:
    """Wait until a request was refused."""
    while True:
        answer = await client.wait(word)
        event = answer.get("event", answer)
        if event.get("source_message_id") == request:
            assert event["error"]["code"], answer
            return
