"""The chat channel by itself: streams, unary fallback, slow viewers, viewers that vanish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count

import pytest

from process_agent.channels import outbox as outbox_module
from process_agent.channels.chat import ChatChannel
from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core.content import Json
from process_agent.core.discovery import ChatProfile
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId
from process_agent.core.replies import ThreadCreated, ThreadDeleted, ThreadStarted
from process_agent.core.store import ThreadEntry
from tests.fakes.memory_messaging import PREFIX, Client, ClientStream, MemoryMessaging

NOW = datetime(2026, 1, 1, tzinfo=UTC)
T = ThreadId("dataset://agents/bot/threads/t")
THREAD_STREAM = "meshagent.chat.thread.subscribe"
LIST_STREAM = "meshagent.chat.thread_list.subscribe"
ITEM = ItemId("i")


class Chat:
    def __init__(self) -> None:
        ids = count()
        self.messaging = MemoryMessaging()
        self.asked: list[r.Request] = []
        self._news = asyncio.Event()
        profile = ChatProfile("bot", "dataset://agents/bot/threads")
        self.channel = ChatChannel(self.messaging, profile, new_id=lambda: f"n{next(ids)}", clock=lambda: NOW)
        self._ids = count()

    def ask(self, request: r.Request) -> None:
        self.asked.append(request)
        self._news.set()

    async def wait_for[T: r.Request](self, kind: type[T]) -> T:
        while True:
            for request in self.asked:
                if isinstance(request, kind):
                    self.asked.remove(request)
                    return request
            self._news.clear()
            await self._news.wait()

    def show(self, body: e.EventBody, *to: Client) -> None:
        event = e.ThreadEvent(MessageId(f"e{next(self._ids)}"), T, TurnId("U"), NOW, body)
        self.channel.show(event, [client.participant.id for client in to])

    def view(self, client: Client) -> None:
        self.channel.open_view(client.participant.id, T)

    async def open_stream(self, client: Client) -> ClientStream:
        body = {"type": f"{PREFIX}thread.open", "thread_id": T, "message_id": "o"}
        stream = client.open_stream(THREAD_STREAM, body)
        await self.wait_for(r.OpenThread)
        self.view(client)
        return stream


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    made = Chat()
    await made.channel.start(made.ask)
    yield made
    await made.channel.close()


async def test_a_stream_carries_its_thread_both_ways(chat: Chat) -> None:
    ana = chat.messaging.join("ana")
    stream = await chat.open_stream(ana)
    assert stream.accepted.is_set()
    chat.show(e.InterruptAccepted(MessageId("m")), ana)
    await ana.wait("turn.interrupt.accepted")
    assert ana.ways == ["stream"]
    chat.channel.answer(
        ana.participant.id, ThreadStarted(MessageId("m"), ThreadId("other")), ThreadId("other")
    )
    await ana.wait("thread.started")
    assert ana.ways == ["stream", "unary"]
    stream.say("turn.interrupt", thread_id=T, turn_id="U")
    interrupt = await chat.wait_for(r.InterruptTurn)
    assert interrupt.envelope.sender.name == "ana"
    stream.hang_up()
    closed = await chat.wait_for(r.CloseThread)
    assert (closed.thread_id, closed.envelope.sender.id) == (T, ana.participant.id)


async def test_a_second_stream_replaces_the_first(chat: Chat) -> None:
    ana = chat.messaging.join("ana")
    first = await chat.open_stream(ana)
    second = await chat.open_stream(ana)
    await first.closed.wait()
    chat.show(e.InterruptAccepted(MessageId("m")), ana)
    await ana.wait("turn.interrupt.accepted")
    assert ana.ways == ["stream"]
    assert not second.closed.is_set()
    assert not [x for x in chat.asked if isinstance(x, r.CloseThread)]


async def test_a_broken_stream_falls_back_to_unary(chat: Chat) -> None:
    ana = chat.messaging.join("ana")
    stream = await chat.open_stream(ana)
    stream.broken = True
    chat.show(e.InterruptAccepted(MessageId("m")), ana)
    await ana.wait("turn.interrupt.accepted")
    assert ana.ways == ["unary"]


async def test_streams_that_are_refused(chat: Chat) -> None:
    ana = chat.messaging.join("ana")
    outsider = Client(chat.messaging, "eve", "user")
    opening: dict[str, Json] = {"type": f"{PREFIX}thread.open", "thread_id": T}
    turn: dict[str, Json] = {"type": f"{PREFIX}turn.start", "thread_id": T, "content": []}
    for client, kind, body in (
        (outsider, THREAD_STREAM, opening),
        (ana, "video", opening),
        (ana, THREAD_STREAM, turn),
        (ana, THREAD_STREAM, {"type": f"{PREFIX}thread.open"}),
        (ana, THREAD_STREAM, {}),
    ):
        stream = client.open_stream(kind, body)
        await stream.closed.wait()
        assert stream.refusal
        assert not stream.accepted.is_set()
    assert chat.asked == []


async def test_list_events_go_down_the_list_stream(chat: Chat) -> None:
    ana = chat.messaging.join("ana")
    stream = ana.open_stream(LIST_STREAM, {"payload": {"type": f"{PREFIX}thread.watch"}})
    await chat.wait_for(r.WatchThreads)
    chat.channel.answer(ana.participant.id, ThreadCreated(ThreadEntry(T, "x", NOW, NOW)))
    await ana.wait("thread.created")
    stream.hang_up()
    await chat.wait_for(r.UnwatchThreads)
    chat.channel.answer(ana.participant.id, ThreadDeleted(T))
    await ana.wait("thread.deleted")
    assert ana.ways == ["stream", "unary"]


async def test_a_slow_viewer_slows_nobody_and_catches_up(chat: Chat) -> None:
    ana, slow = chat.messaging.join("ana"), chat.messaging.join("slow")
    chat.view(ana)
    chat.view(slow)
    slow.listening.clear()
    chat.show(e.TextStarted(ITEM), ana, slow)
    for n in range(3000):
        chat.show(e.TextDelta(ITEM, f"{n} "), ana, slow)
    chat.show(e.TextEnded(ITEM), ana, slow)
    await ana.wait("text_content.ended")
    assert slow.got == []
    slow.listening.set()
    await slow.wait("text_content.ended")
    assert slow.text("i") == ana.text("i") == "".join(f"{n} " for n in range(3000))
    assert len(slow.got) < 10


async def test_a_viewer_that_reads_nothing_loses_its_view(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "MAX_MESSAGES", 50)
    ana, dead = chat.messaging.join("ana"), chat.messaging.join("dead")
    chat.view(ana)
    stream = await chat.open_stream(dead)
    dead.listening.clear()
    for n in range(60):
        chat.show(e.InterruptAccepted(MessageId(f"m{n}")), dead)
        chat.show(e.InterruptAccepted(MessageId(f"m{n}")), ana)
        await asyncio.sleep(0)
    closed = await chat.wait_for(r.CloseThread)
    assert closed.envelope.sender.id == dead.participant.id
    await stream.closed.wait()
    for _ in range(60):
        await ana.wait("turn.interrupt.accepted")


async def test_a_viewer_without_a_stream_that_fell_behind_is_told_and_shown_it_again(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "MAX_MESSAGES", 50)
    slow = chat.messaging.join("slow")
    chat.view(slow)
    slow.listening.clear()
    for n in range(60):
        chat.show(e.InterruptAccepted(MessageId(f"m{n}")), slow)
        await asyncio.sleep(0)
    await chat.wait_for(r.CloseThread)
    assert not chat.asked, "it would be too early"
    slow.listening.set()
    told = await slow.wait("thread.event")
    assert (told["event"]["name"], told["thread_id"]) == ("viewer.behind", T)
    opened = await chat.wait_for(r.OpenThread)
    assert (opened.thread_id, opened.load, opened.since_turn) == (T, True, "U")
    assert opened.envelope.sender == slow.participant


@pytest.mark.parametrize("kind", ["thread.open", "thread.close"])
async def test_a_viewer_that_fell_behind_may_see_to_it_itself(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(outbox_module, "MAX_MESSAGES", 50)
    slow = chat.messaging.join("slow")
    chat.view(slow)
    slow.listening.clear()
    for n in range(60):
        chat.show(e.InterruptAccepted(MessageId(f"m{n}")), slow)
        await asyncio.sleep(0)
    await chat.wait_for(r.CloseThread)
    source = slow.send(kind, thread_id=T)
    slow.listening.set()
    await slow.wait("thread.event")
    await asyncio.sleep(0)
    assert [request.envelope.message_id for request in chat.asked if not isinstance(request, r.Left)] == [
        source
    ]


async def test_a_viewer_that_left_is_told_of(chat: Chat) -> None:
    ana = chat.messaging.join("ana")
    chat.view(ana)
    ana.leave()
    left = await chat.wait_for(r.Left)
    assert (left.participant.id, left.channel) == (ana.participant.id, "chat")
    chat.show(e.InterruptAccepted(MessageId("m")), ana)
    await chat.wait_for(r.CloseThread)


async def test_closing_sends_what_is_left(chat: Chat) -> None:
    ana = chat.messaging.join("ana")
    chat.view(ana)
    chat.show(e.TextStarted(ITEM), ana)
    chat.show(e.TextDelta(ITEM, "good"), ana)
    chat.show(e.TextDelta(ITEM, "bye"), ana)
    chat.show(e.TextEnded(ITEM), ana)
    await chat.channel.close()
    assert ana.text("i") == "goodbye"
    assert set(chat.messaging.attributes.values()) == {None}


async def test_a_replay_waits_for_its_viewer(chat: Chat) -> None:
    ana = chat.messaging.join("ana")
    chat.view(ana)
    ana.listening.clear()
    for n in range(300):
        chat.show(e.InterruptAccepted(MessageId(f"m{n}")), ana)
    ready = asyncio.ensure_future(chat.channel.ready(ana.participant.id, T))
    await asyncio.sleep(0.01)
    assert not ready.done()
    ana.listening.set()
    await ready


async def test_what_waits_goes_out_without_another_event(chat: Chat) -> None:
    ana = chat.messaging.join("ana")
    chat.view(ana)
    chat.show(e.TextDelta(ITEM, "first "), ana)
    await ana.wait("text_content.delta")
    chat.show(e.TextDelta(ITEM, "second."), ana)
    await ana.wait("text_content.delta")
    assert ana.text("i") == "first second"


async def test_a_text_that_comes_again_in_many_pieces_is_one_message_of_the_limit(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "MAX_MESSAGES", 20)
    ana = chat.messaging.join("ana")
    chat.view(ana)
    chat.show(e.TextDelta(ITEM, "0"), ana)
    first = MessageId("e0")
    for number in range(1, 200):
        chat.show(e.TextDelta(ITEM, f"{number},"), ana)
        chat.show(e.Interrupted(MessageId("m")), ana)  # so that nothing waits for more
        await ana.wait("turn.interrupted")
    ana.leave()
    chat.channel.close_view(ana.participant.id, T)
    text = "0" + "".join(f"{number}," for number in range(1, 200))
    again = chat.messaging.join("ana")
    chat.view(again)
    whole = e.ThreadEvent(first, T, TurnId("U"), NOW, e.TextDelta(ITEM, text))
    chat.channel.show(whole, [again.participant.id])
    chat.show(e.TextEnded(ITEM), again)
    await again.wait("text_content.ended")
    pieces = again.all("text_content.delta")
    assert "".join(piece["text"] for piece in pieces) == text
    assert [x["message_id"] for x in pieces][:190] == [
        x["message_id"] for x in ana.all("text_content.delta")
    ][:190]
    assert len(pieces) > 190
    other = chat.messaging.join("ben")
    chat.view(other)
    chat.channel.show(whole, [other.participant.id])
    chat.show(e.TextEnded(ITEM), other)
    await other.wait("text_content.ended")
    assert len(other.all("text_content.delta")) <= 2


async def test_the_way_of_old_clients_to_open_a_thread(chat: Chat) -> None:
    ana = chat.messaging.join("ana")
    ana.send_raw({"path": T}, message_type="opened")
    assert (await chat.wait_for(r.OpenThread)).load is False
