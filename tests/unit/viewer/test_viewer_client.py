"""The client half of the agent protocol against an agent the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from process_agent.core.content import ErrorInfo, Json, TextPart
from process_agent.core.events import (
    EndReason,
    ModelChanged,
    TextDelta,
    TurnAccepted,
    TurnEnded,
    TurnStarted,
)
from process_agent.core.ids import ItemId, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.models import ModelInfo, ProviderModels
from process_agent.core.participants import Participant
from process_agent.core.replies import (
    ModelsListed,
    RequestRejected,
    ThreadCreated,
    ThreadsListed,
    ThreadStarted,
    ThreadStartRejected,
)
from process_agent.core.requests import ModelWish
from process_agent.core.store import ThreadEntry
from process_agent.errors import RoomError, TurnRefusedError
from process_agent.viewer.client import AgentClient, ListChange
from process_agent.viewer.updates import Happened
from process_agent.viewer.view import ThreadView
from tests.fakes.viewer_room import START, FakeMessaging, agent, event, wire_event, wire_reply

HELLO = (TextPart("hello"),)
BOB = Participant(ParticipantId("p"), "user", {"name": "bob"})


@asynccontextmanager
async def client_in(room: FakeMessaging, name: str | None = "codex-agent") -> AsyncIterator[AgentClient]:
    async with AgentClient(room, name) as client:
        yield client


def entry(number: int) -> ThreadEntry:
    return ThreadEntry(ThreadId(f"dataset://t/{number}"), f"thread {number}", START, START)


def text_of(view: ThreadView, turn: str = "U", item: str = "i") -> str:
    found = view.transcript.turn(TurnId(turn))
    assert found is not None
    return str(found.items[item].text)  # type: ignore[union-attr]


# --- Finding the agent ------------------------------------------------------------------------------


async def test_finds_the_named_agent_that_comes_later() -> None:
    room = FakeMessaging(agent("other", participant_id="o"))
    async with client_in(room) as client, asyncio.TaskGroup() as group:
        found = group.create_task(client.find(5))
        await asyncio.sleep(0)
        assert not found.done()
        room.join(agent())
        assert (await found).id == "agent-1"


async def test_an_agent_that_says_what_it_is_after_joining_is_found() -> None:
    room = FakeMessaging()
    async with client_in(room) as client, asyncio.TaskGroup() as group:
        found = group.create_task(client.find(5))
        await asyncio.sleep(0)
        room.join(Participant(ParticipantId("agent-1"), "agent", {"name": "codex-agent"}))
        await asyncio.sleep(0)
        assert not found.done()
        room.roster.clear()
        room.join(agent())
        assert (await found).id == "agent-1"


async def test_without_a_name_takes_the_first_that_speaks_the_protocol() -> None:
    room = FakeMessaging(BOB, agent("a"), agent("b", participant_id="b"))
    async with client_in(room, None) as client:
        await client.find(5)
        assert client.agent_name == "a"


@pytest.mark.parametrize("name", [None, "codex-agent"])
async def test_a_person_who_claims_to_be_an_agent_comes_after_the_agents(name: str | None) -> None:
    impostor = Participant(ParticipantId("impostor"), "user", agent().attributes)
    room = FakeMessaging(impostor, agent())
    async with client_in(room, name) as client:
        assert (await client.find(5)).id == "agent-1"


async def test_an_absent_agent_is_an_error_that_says_who_is_there() -> None:
    room = FakeMessaging(agent("other"), BOB)
    async with client_in(room) as client:
        with pytest.raises(RoomError, match=r"'codex-agent'; in the room: bob, other \(agent\)") as caught:
            await client.find(0.01)
    assert "process join" in str(caught.value.fix)


async def test_what_is_waited_for_is_said_with_who_is_there_each_once() -> None:
    again = replace(BOB, id=ParticipantId("bob-2"))
    room = FakeMessaging(BOB, again, agent("other"))
    async with client_in(room) as client:
        assert client.waiting_for(30) == (
            "Waiting up to 30 seconds for an agent named 'codex-agent'; "
            "in the room: bob (2 clients), other (agent)."
        )
    async with client_in(FakeMessaging(agent())) as client:
        assert client.waiting_for(30) is None


# --- Asking -------------------------------------------------------------------------------------------


def starts_thread(room: FakeMessaging) -> None:
    def answer(body: Mapping[str, Json]) -> None:
        if str(body["type"]).endswith("thread.start"):
            room.say(wire_reply(ThreadStarted(MessageId(str(body["message_id"])), ThreadId("T"))))

    room.answer = answer


async def test_a_new_thread_gets_its_first_turn_on_its_stream() -> None:
    room = FakeMessaging(agent())
    starts_thread(room)
    async with client_in(room) as client:
        view = await client.start_thread("greeting")
        assert room.sent[0]["name"] == "greeting"
        source = await view.start_turn(HELLO)
        stream = await room.stream(0)
        assert stream.opening["type"] == "meshagent.agent.thread.open"
        assert stream.opening["load"] is False
        stream.say(wire_event(event(TurnAccepted(source, HELLO, "ana"))))
        stream.say(wire_event(event(TurnStarted(source, HELLO, "ana"), message_id="a2")))
        stream.say(wire_event(event(TurnStarted(source, HELLO, "ana"), message_id="a2")))
        stream.say(wire_event(event(TextDelta(ItemId("i"), "hi"))))
        stream.say(wire_event(event(TurnEnded(EndReason.COMPLETED))))
        kinds = []
        async for update in view.updates():
            assert isinstance(update, Happened)
            kinds.append(
                (str(update.received.body["type"]).removeprefix("meshagent.agent."), update.repeated)
            )
            if kinds[-1][0] == "turn.ended":
                break
        assert kinds == [
            ("thread.started", False),
            ("turn.start.accepted", False),
            ("turn.started", False),
            ("turn.started", True),
            ("text_content.delta", False),
            ("turn.ended", False),
        ]
        assert text_of(view) == "hi"
        assert [body["type"] for body in stream.sent] == ["meshagent.agent.turn.start"]
        await view.close()
        assert stream.closed


async def test_a_refused_thread_is_an_error_with_the_agents_reason() -> None:
    room = FakeMessaging(agent())
    room.answer = lambda body: room.say(
        wire_reply(
            ThreadStartRejected(
                MessageId(str(body["message_id"])), ErrorInfo("no such model", "unknown_model")
            )
        )
    )
    async with client_in(room) as client:
        with pytest.raises(TurnRefusedError, match="no such model") as caught:
            await client.start_thread()
    assert caught.value.code == "unknown_model"


async def test_models_and_a_change_of_model() -> None:
    room = FakeMessaging(agent())
    offered = ProviderModels("openai", "OpenAI", "codex", "gpt-5.5", (ModelInfo("gpt-5.5"),))

    def answer(body: Mapping[str, Json]) -> None:
        source = MessageId(str(body["message_id"]))
        if str(body["type"]).endswith("models.request"):
            room.say(wire_reply(ModelsListed(source, (offered,))))
        elif body.get("model") == "gpt-5.5":
            room.say(wire_event(event(ModelChanged(source, "codex", "openai", "gpt-5.5"), None)))
        else:
            room.say(
                wire_reply(RequestRejected(source, ThreadId("T"), ErrorInfo("unknown", "unknown_model")))
            )

    room.answer = answer
    async with client_in(room) as client:
        assert await client.models() == (offered,)
        changed = await client.change_model(ThreadId("T"), ModelWish(model="gpt-5.5"))
        assert (changed.backend, changed.model) == ("codex", "gpt-5.5")
        with pytest.raises(TurnRefusedError, match="unknown"):
            await client.change_model(ThreadId("T"), ModelWish(model="nope"))


async def test_threads_come_page_by_page() -> None:
    room = FakeMessaging(agent())
    stored = [entry(number) for number in range(450)]

    def answer(body: Mapping[str, Json]) -> None:
        offset, limit = int(str(body["offset"])), int(str(body["limit"]))
        page = tuple(stored[offset : offset + limit])
        source = MessageId(str(body["message_id"]))
        room.say(wire_reply(ThreadsListed(source, page, len(stored), offset, limit)))

    room.answer = answer
    async with client_in(room) as client:
        assert await client.all_threads(1_000) == stored
        assert len(room.sent) == 3
        assert await client.all_threads(250) == stored[:250]


async def test_watching_the_list_starts_again_with_an_agent_that_came_back() -> None:
    room = FakeMessaging(agent())
    heard: list[ListChange] = []
    async with client_in(room) as client:
        await client.watch_threads(heard.append)
        await room.request("thread.watch")
        room.leave(room.roster[0])
        room.join(agent(participant_id="agent-2"))
        await room.request("thread.watch", 1)
        room.say(wire_reply(ThreadCreated(entry(1))))
    assert heard == [ThreadCreated(entry(1))]


async def test_messages_of_anybody_else_do_not_count() -> None:
    room = FakeMessaging(agent(streams=False), BOB)
    async with client_in(room) as client:
        view = client.open_thread(ThreadId("T"), load=False)
        await room.request("thread.open")
        room.say(wire_event(event(TextDelta(ItemId("i"), "forged"))), sender=BOB)
        room.say({"type": "meshagent.agent.text_content.delta", "thread_id": "T", "item_id": 5})
        room.say(wire_event(event(TextDelta(ItemId("i"), "real"))))
        malformed = await anext(view.updates())
        assert isinstance(malformed, Happened)
        assert malformed.change is None
        await anext(view.updates())
        assert text_of(view) == "real"


# --- Staying open -------------------------------------------------------------------------------------


# --- Earlier turns ------------------------------------------------------------------------------------
