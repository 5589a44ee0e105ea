"""`process threads show --follow`: from the table, as rows come, or from the agent, if that is there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from process_agent.cli.thread_tools import following
from process_agent.cli.threads import Options
from process_agent.config import DataPaths
from process_agent.core import events as e
from process_agent.core.content import ErrorInfo
from process_agent.core.ids import ItemId, MessageId
from process_agent.core.replies import RequestRejected, ThreadLoaded
from process_agent.errors import TurnRefusedError
from tests.fakes.thread_events import Speaker
from tests.fakes.thread_house import House, append
from tests.fakes.viewer_room import FakeMessaging, agent, wire_event, wire_reply


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    made = House()
    messaging = SimpleNamespace(participants=tuple)
    room = SimpleNamespace(name="demo", datasets=made.datasets, messaging=messaging)
    _enters(monkeypatch, room)
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.0)
    return made


async def until(lines: AsyncGenerator[str], last: str) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(20):
        async for line in lines:
            found.append(line)
            if last in line:
                return found
    raise AssertionError(f"it ended before {last!r}: {found}")


async def test_what_comes_is_told_once_and_a_deleted_thread_ends_it(house: House) -> None:
    store, log, speaker = await house.thread()
    append(log, speaker.begin("one"), speaker.text("first", "words"), speaker.end())
    await log.flush()
    async with aclosing(following.followed(Options(agent_name="bot"), log.thread_id, 3)) as lines:
        before = await until(lines, "— done")
        assert [line for line in before if "words" in line] == ["firstwords"]
        waiting = asyncio.ensure_future(until(lines, "— done"))
        append(log, speaker.begin("two", "u2"), speaker.text("second", item="i2", turn="u2"))
        await log.flush()
        append(log, speaker.end(turn="u2"))
        await log.flush()
        after = await waiting
        assert [line for line in after if "second" in line] == ["second"]
        assert not any("first" in line for line in after)
        await store.delete(log.thread_id)
        async with asyncio.timeout(20):
            assert [line async for line in lines if line] == []
    await store.close()


async def test_rows_that_come_while_the_last_turns_are_read_are_told_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, log, speaker = await house.thread()
    append(log, speaker.begin("one"), speaker.text("first"), speaker.end())
    await log.flush()
    count, calls = house.datasets.count, 0

    async def late(table: Any) -> int:
        """Another turn is stored right after the rows were counted from which on they are followed."""
        nonlocal calls
        counted, calls = await count(table), calls + 1
        if calls != 2:
            return counted
        append(log, speaker.begin("two", "u2"), speaker.text("second", item="i2", turn="u2"))
        append(log, speaker.end(turn="u2"))
        await log.flush()
        return counted

    monkeypatch.setattr(house.datasets, "count", late)
    async with aclosing(following.followed(Options(agent_name="bot", json=True), log.thread_id, 3)) as lines:
        found = [json.loads(await anext(lines)) for _ in range(3)]
        append(log, speaker.begin("three", "u3"), speaker.end(turn="u3"))
        await log.flush()
        async with asyncio.timeout(20):
            async for line in lines:
                found.append(json.loads(line))
                if found[-1]["type"].endswith("turn.ended") and found[-1]["turn_id"] == "u3":
                    break
    ids = [event["message_id"] for event in found]
    assert len(ids) == len(set(ids))
    assert {event["turn_id"] for event in found} == {"u1", "u2", "u3"}
    await store.close()


async def test_what_an_agent_that_is_there_says_is_told_as_it_happens(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, log, _ = await house.thread()
    messaging = FakeMessaging(agent("bot"))
    room = SimpleNamespace(name="demo", datasets=house.datasets, messaging=messaging)
    _enters(monkeypatch, room)
    house.datasets.calls.clear()
    async with aclosing(following.followed(Options(agent_name="bot"), log.thread_id, 3)) as lines:
        waiting = asyncio.ensure_future(until(lines, "— done"))
        stream = await messaging.stream(0)
        opening = stream.opening
        assert (opening["thread_id"], opening["load"]) == (log.thread_id, True)
        assert opening["metadata"] == {"process": {"before": None, "limit": 3}}
        said = Speaker(log.thread_id)
        for each in (*said.begin("one"), *said.text("from the ", "agent")):
            stream.say(wire_event(each))
        stream.say(wire_reply(ThreadLoaded(MessageId(str(opening["message_id"])), log.thread_id)))
        stream.say(wire_event(said.say(e.TextDelta(ItemId("late"), "live"))))
        stream.say(wire_event(said.say(e.TextEnded(ItemId("late")))))
        stream.say(wire_event(said.end()))
        told = await waiting
        assert [line for line in told if "agent" in line or "live" in line] == ["from the agent", "live"]
        assert ("search", "t1") not in house.datasets.calls, "the rows are the agent's to read"
    assert stream.closed, "the thread stays open at the agent no longer than somebody looks"
    await store.close()


async def test_what_the_agent_refuses_ends_it_with_the_reason(house: House) -> None:
    store, log, _ = await house.thread()
    messaging = FakeMessaging(agent("bot"))
    room: Any = SimpleNamespace(messaging=messaging)  # what it uses of a room
    view = following._live(room, "bot", log.thread_id, 3)
    waiting = asyncio.ensure_future(anext(view))
    stream = await messaging.stream(0)
    source = MessageId(str(stream.opening["message_id"]))
    stream.say(wire_reply(RequestRejected(source, log.thread_id, ErrorInfo("It is Ben's.", "not_found"))))
    with pytest.raises(TurnRefusedError, match="It is Ben's"):
        await waiting
    await store.close()


def _enters(monkeypatch: pytest.MonkeyPatch, room: Any) -> None:
    """Have the tool enter this room; it reads nothing of a data folder."""

    @asynccontextmanager
    async def joined(_options: Any) -> AsyncIterator[tuple[Any, DataPaths]]:
        yield room, DataPaths(Path("nowhere"))

    monkeypatch.setattr(following, "joined", joined)
