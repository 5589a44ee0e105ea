"""Copies of threads in both stores."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from process_agent.core import events as e
from process_agent.core.ids import MessageId, ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.errors import RoomRequestError
from process_agent.threads.memory import MemoryThreadStore
from tests.fakes.thread_events import Speaker, texts
from tests.fakes.thread_house import House, append, replayed


async def test_a_copy_has_what_was_said_so_far_and_goes_its_own_way(house: House) -> None:
    store, log, say = await house.thread("Tea")
    append(log, say.begin(), say.text("one"), say.end())
    append(log, say.say(e.ModelChanged(None, "codex", "openai", "m"), None))
    log.keep("codex", {"thread": "c1"})
    append(log, say.begin("under way", "u2"), say.text("half", turn="u2", item="i2"))
    entry = await store.fork(say.thread_id, without=[TurnId("u2")])
    assert entry.name == "Tea (fork)"
    assert {x.path for x in (await store.list(10, 0))[0]} == {say.thread_id, entry.path}
    copy = await store.open(entry.path)
    events = await replayed(copy)
    assert texts(events) == {("u1", "i1"): "one"}
    assert {event.thread_id for event in events} == {entry.path}
    assert await copy.kept() == {"codex": {"thread": "c1"}}
    assert await copy.model() == ModelChoice("codex", "openai", "m")
    other = Speaker(entry.path, house.clock)
    append(copy, other.begin("more", "u3"), other.text("new", turn="u3", item="i3"), other.end("u3"))
    append(log, say.end("u2"))
    assert texts(await replayed(copy)) == {("u1", "i1"): "one", ("u3", "i3"): "new"}
    assert texts(await replayed(log)) == {("u1", "i1"): "one", ("u2", "i2"): "half"}
    sequences = [row["sequence"] for row in house.datasets.thread(entry.path)]
    assert len(set(sequences)) == len(sequences)
    assert all(
        json.loads(row["data"])["thread_id"] == entry.path for row in house.datasets.thread(entry.path)
    )


async def test_nothing_of_before_a_clearing_is_copied(house: House) -> None:
    store, log, say = await house.thread()
    append(log, say.begin("secret"), say.end())
    log.keep("codex", {"thread": "c1"})
    append(log, say.say(e.ThreadCleared(MessageId("asked")), None), say.begin("open", "u2"), say.end("u2"))
    entry = await store.fork(say.thread_id, "After")
    assert "secret" not in str(house.datasets.thread(entry.path))
    assert await (await store.open(entry.path)).kept() == {}


async def test_a_thread_that_is_not_there_or_cannot_be_written(house: House) -> None:
    store, log, say = await house.thread()
    append(log, say.begin(), say.end())
    await log.flush()
    for name in ("nope", "index"):
        with pytest.raises(RoomRequestError):
            await store.fork(ThreadId(f"{store.directory}/{name}"))
    house.datasets.failures = [RoomRequestError("full", code=1)]
    with pytest.raises(RoomRequestError):
        await store.fork(say.thread_id)
    assert len((await store.list(10, 0))[0]) == 1
    house.datasets.failures = []


async def test_threads_in_memory_are_copied_too() -> None:
    numbers = iter("12345")
    store = MemoryThreadStore("bot", clock=lambda: datetime.now(UTC), new_id=lambda: next(numbers))
    made = await store.create("Tea", "ana")
    log, say = await store.open(made.path), Speaker(made.path)
    for event in (*say.begin(), *say.text("one"), say.end(), *say.begin("more", "u2")):
        log.append(event)
    entry = await store.fork(made.path, without=[TurnId("u2")], owner="ana")
    copy = await store.open(entry.path)
    assert (entry.name, texts([x async for x in copy.replay()])) == ("Tea (fork)", {("u1", "i1"): "one"})
    assert await store.owner(entry.path) == "ana"
    assert len(await copy.history()) == 2
