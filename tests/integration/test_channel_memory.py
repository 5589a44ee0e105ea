"""A room of two in one process, and threads that end with it."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from process_agent.channels import memory
from process_agent.channels.memory import MemoryMessaging, connect
from process_agent.core import events as e
from process_agent.core.content import EmptyResult, ErrorInfo, LogLine
from process_agent.core.ids import ItemId, MessageId, ParticipantId, ThreadId
from process_agent.core.models import ModelChoice
from process_agent.core.room import AGENT_MESSAGE, IncomingStream
from process_agent.errors import RoomError, RoomRequestError
from process_agent.threads import memory as threads
from process_agent.threads.memory import MemoryThreadStore
from tests.fakes.thread_events import Speaker, TestClock, texts
from tests.fakes.thread_house import House, append

REF = e.ToolRef(ItemId("tool1"), "codex", "shell", "codex")


async def soon() -> None:
    """Let what was handed over be handled."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_soon(done.set)
    await done.wait()


# --- Messaging ----------------------------------------------------------------------------------


async def test_each_sees_the_other_and_gets_its_messages_in_order() -> None:
    agent, person = connect("bot", "ana")
    assert [(p.name, p.role) for p in agent.participants()] == [("ana", "user")]
    assert [(p.name, p.role) for p in person.participants()] == [("bot", "agent")]
    got: list[tuple[str | None, Any]] = []
    agent.on_message(lambda m: got.append((m.sender.name if m.sender else None, m.body["n"])))
    for n in range(3):
        await person.send(agent.me.id, AGENT_MESSAGE, {"n": n})
    assert got == []  # never inside the sender's call
    await soon()
    assert got == [("ana", 0), ("ana", 1), ("ana", 2)]


async def test_attributes_of_one_are_news_to_the_other() -> None:
    agent, person = connect("bot", "ana")
    seen: list[object] = []
    unsubscribe = person.on_joined(lambda p: seen.append(p.attributes.get("supports_agent_messages")))
    await agent.set_attributes({"supports_agent_messages": True})
    assert (seen, agent.me.name) == ([True], "bot")
    unsubscribe()
    unsubscribe()
    await agent.set_attributes({"supports_agent_messages": None})
    assert seen == [True]


async def test_nobody_else_is_there() -> None:
    agent, person = connect("bot", "ana")
    with pytest.raises(RoomRequestError) as refused:
        await person.send(ParticipantId("stranger"), AGENT_MESSAGE, {})
    assert refused.value.code == 1003
    with pytest.raises(RoomRequestError, match="takes streams"):
        await person.open_stream(agent.me.id, "any", {})


async def offered(agent: MemoryMessaging, person: MemoryMessaging) -> tuple[Any, IncomingStream]:
    """A stream the person opens and the agent has in its hands."""
    came: asyncio.Queue[IncomingStream] = asyncio.Queue()
    agent.on_stream(came.put_nowait)
    opening = asyncio.ensure_future(person.open_stream(agent.me.id, "subscribe", {"thread": 1}))
    return opening, await came.get()


async def test_a_stream_carries_both_ways_until_one_side_closes() -> None:
    agent, person = connect("bot", "ana")
    opening, theirs = await offered(agent, person)
    assert (theirs.sender == person.me, theirs.type, theirs.body) == (True, "subscribe", {"thread": 1})
    await theirs.accept()
    ours = await opening
    await theirs.send(AGENT_MESSAGE, {"n": 1})
    await ours.send(AGENT_MESSAGE, {"n": 2})
    assert await anext(ours.messages()) == (AGENT_MESSAGE, {"n": 1})
    await ours.close()
    await ours.close()
    assert [body async for _, body in theirs.messages()] == [{"n": 2}]
    with pytest.raises(RoomError, match="over"):
        await theirs.send(AGENT_MESSAGE, {})


@pytest.mark.parametrize("how", ["reject", "close"])
async def test_a_refused_stream_says_why(how: str) -> None:
    agent, person = connect("bot", "ana")
    opening, theirs = await offered(agent, person)
    await (theirs.reject("Not you.") if how == "reject" else theirs.close())
    with pytest.raises(RoomRequestError, match="Not you" if how == "reject" else "closed"):
        await opening


async def test_a_reader_that_does_not_read_holds_up_its_own_stream_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "MAX_WAITING", 2)
    agent, person = connect("bot", "ana")
    opening, theirs = await offered(agent, person)
    await theirs.accept()
    ours = await opening
    for n in range(2):
        await theirs.send(AGENT_MESSAGE, {"n": n})
    third = asyncio.ensure_future(theirs.send(AGENT_MESSAGE, {"n": 2}))
    await soon()
    assert not third.done()
    assert await anext(ours.messages()) == (AGENT_MESSAGE, {"n": 0})
    await third
    fourth = asyncio.ensure_future(theirs.send(AGENT_MESSAGE, {"n": 3}))
    await ours.close()
    with pytest.raises(RoomError):
        await fourth


# --- Threads ------------------------------------------------------------------------------------


def memory_store(clock: TestClock) -> MemoryThreadStore:
    ids = itertools.count(1)
    return MemoryThreadStore("bot", clock=clock, new_id=lambda: f"t{next(ids)}")


def a_conversation(say: Speaker) -> list[e.ThreadEvent]:
    return [
        *say.begin(),
        say.say(e.ModelChanged(None, "codex", "openai", "big")),
        *say.text("ha ", "ha ", "ha", item="i1"),
        say.say(e.ToolStarted(REF, {"command": "ls"})),
        say.say(e.ToolLog(REF, (LogLine("a\n"),))),
        say.say(e.ToolLog(REF, (LogLine("b\n"),))),
        say.say(e.ToolEnded(REF, EmptyResult())),
        say.end(),
        *say.begin("more", turn="u2"),
        *say.deltas("half of", " it", item="i2", turn="u2"),
    ]


async def test_it_replays_what_the_dataset_would() -> None:
    house = House()
    _, stored, say = await house.thread()
    store = memory_store(TestClock())
    entry = await store.create("New Chat")
    kept = await store.open(entry.path)
    events = a_conversation(say)
    append(stored, events)
    for event in events:
        kept.append(event)
    for since in (None, "u2", "source-u2", "nobody"):
        expected = [(x.turn_id, x.body) async for x in stored.replay(since)]
        assert [(x.turn_id, x.body) async for x in kept.replay(since)] == expected
    assert await kept.history() == await stored.history()
    assert await kept.model() == await stored.model() == ModelChoice("codex", "openai", "big")
    await house.stores[0].close()


async def test_a_cleared_thread_begins_anew() -> None:
    store = memory_store(TestClock())
    entry = await store.create("New Chat")
    log, say = await store.open(entry.path), Speaker(entry.path)
    for event in a_conversation(say)[:13]:
        log.append(event)
    log.append(say.say(e.ThreadCleared(MessageId("m")), turn=None))
    for event in [*say.begin("again", turn="u9"), *say.text("new", turn="u9"), say.end("u9")]:
        log.append(event)
    assert texts([event async for event in log.replay()]) == {("u9", "i1"): "new"}
    assert len(await log.history()) == 2


async def test_threads_are_listed_renamed_deleted_and_made_under_a_given_path() -> None:
    store = memory_store(TestClock())
    first, second = await store.create("one"), await store.create("two")
    await store.touch(first.path)
    renamed = await store.rename(second.path, "zwei")
    page, total = await store.list(1, 1)
    assert ([entry.name for entry in page], total) == (["one"], 2)
    assert renamed.created_at == second.created_at
    await store.delete(first.path)
    for path in (first.path, ThreadId("tmp://agents/other/threads/x"), ThreadId("x")):
        with pytest.raises(RoomRequestError, match="no thread"):
            await store.open(path, create=None if path == first.path else "made")
    for odd in ("", "/", "a//b", "../a", ".hidden", "index", "/".join("abcdefghij")):
        with pytest.raises(RoomRequestError, match="no thread"):
            await store.open(ThreadId(f"{store.directory}/{odd}"), create="made")
    made = ThreadId(f"{store.directory}/daily")
    nested = ThreadId(f"{store.directory}/reports/2026-11-21")
    assert await store.open(nested, create="Report") is await store.open(nested)
    await store.delete(nested)
    log = await store.open(made, create="Daily")
    assert await store.open(made) is log
    assert [entry.name for entry in (await store.list(9, 0))[0]] == ["Daily", "zwei"]
    await store.close()
    assert await store.list(9, 0) == ([], 0)


async def test_above_the_limit_the_thread_unused_for_longest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MAX_THREADS", 2)
    store = memory_store(TestClock())
    busy = await store.create("busy")
    (await store.open(busy.path)).append(Speaker(busy.path).begin()[0])
    await store.create("idle")
    await store.create("new")
    assert sorted(entry.name for entry in (await store.list(9, 0))[0]) == ["busy", "new"]
    ended = Speaker(busy.path).say(e.TurnEnded(e.EndReason.FAILED, ErrorInfo("x", "failed")), turn="u1")
    (await store.open(busy.path)).append(ended)
    await store.create("newer")
    assert sorted(entry.name for entry in (await store.list(9, 0))[0]) == ["new", "newer"]
