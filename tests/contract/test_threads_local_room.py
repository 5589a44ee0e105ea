"""Threads in the real local room, through the real client, over restarts and with a second agent."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from process_agent.core import events as e
from process_agent.core.ids import ItemId, ThreadId
from process_agent.core.room import TableRef
from process_agent.errors import RoomRequestError
from process_agent.rooms.join import JoinedRoom, JoinTarget, join_room
from process_agent.threads.leases import Presence
from process_agent.threads.log import DatasetThreadLog
from process_agent.threads.schema import INDEX, THREAD
from process_agent.threads.store import DatasetThreadStore
from tests.fakes.room import ROOM, LocalRoom
from tests.fakes.thread_events import Speaker, texts

NAMESPACE = ("agents", "bot", "threads")
ODD_TEXT = 'a "quote", ünï, \u0000, 1e400, {"b": 1.10} 7 7 7 and ha ha ha\r\n\n\n'


@asynccontextmanager
async def agent(
    server: LocalRoom, *, alone: bool = True
) -> AsyncIterator[tuple[DatasetThreadStore, JoinedRoom]]:
    async with join_room(JoinTarget(ROOM, server.url, server.token("bot", "agent"))) as room:
        store = DatasetThreadStore(
            room.datasets,
            "bot",
            clock=lambda: datetime.now(UTC),
            new_id=lambda: str(uuid.uuid4()),
            presence=Presence(others_here=lambda: not alone),
        )
        await store.start()
        yield store, room
        await store.close()


def speaker(thread: ThreadId) -> Speaker:
    return Speaker(thread, clock=lambda: datetime.now(UTC))  # type: ignore[arg-type]


def append(log: DatasetThreadLog, *events: e.ThreadEvent) -> None:
    for event in events:
        log.append(event)


async def replayed(log: DatasetThreadLog) -> list[e.ThreadEvent]:
    return [event async for event in log.replay()]


async def test_a_thread_is_there_after_a_restart_of_the_server(server: LocalRoom) -> None:
    async with agent(server) as (store, _):
        entry = await store.create("first")
        log, say = await store.open(entry.path), speaker(entry.path)
        append(log, *say.begin(), *say.text(*ODD_TEXT), say.end())
        await log.flush()
        before = await replayed(log)
    await server.restart()
    async with agent(server) as (store, room):
        (listed,), total = await store.list(10, 0)
        assert (listed.name, listed.path, listed.created_at, total) == (
            "first",
            entry.path,
            entry.created_at,
            1,
        )
        log = await store.open(entry.path)
        assert await replayed(log) == before
        assert texts(before) == {("u1", "i1"): ODD_TEXT}
        columns = pa.schema(await room.datasets.schema(TableRef(entry.path.rsplit("/", 1)[1], NAMESPACE)))  # type: ignore[arg-type]
        assert columns.equals(THREAD, check_metadata=True)
        assert pa.schema(await room.datasets.schema(TableRef("index", NAMESPACE))).names == INDEX.names  # type: ignore[arg-type]


async def test_the_server_restarts_while_a_turn_is_stored(server: LocalRoom) -> None:
    async with agent(server) as (store, room):
        entry = await store.create("first")
        log, say = await store.open(entry.path), speaker(entry.path)
        back = asyncio.Event()
        room.on_connection_change(lambda online: back.set() if online else None)
        append(log, *say.begin(), *say.deltas("before "))
        await server.restart()
        append(log, *say.deltas("and after"), say.say(e.TextEnded(ItemId("i1"))), say.end())
        await asyncio.wait_for(back.wait(), 10)
        await asyncio.wait_for(log.flush(), 15)
        events = await replayed(log)
    assert texts(events) == {("u1", "i1"): "before and after"}
    assert [type(event.body).__name__ for event in events].count("TurnEnded") == 1
    assert len({event.message_id for event in events}) == len(events)


async def test_two_agents_write_one_thread(server: LocalRoom) -> None:
    async with agent(server) as (store, _), agent(server, alone=False) as (other, room):
        entry = await store.create("shared")
        logs = [await store.open(entry.path), await other.open(entry.path)]

        async def write(log: DatasetThreadLog, prefix: str) -> None:
            say = speaker(entry.path)
            for number in range(10):
                turn = f"{prefix}{number}"
                append(log, *say.begin(turn=turn), *say.text("x", turn=turn, item=f"i-{turn}"), say.end(turn))
                await log.flush()

        await asyncio.gather(write(logs[0], "a"), write(logs[1], "b"))
        table = TableRef(entry.path.rsplit("/", 1)[1], NAMESPACE)
        numbers = [
            number
            async for batch in room.datasets.search(table, columns=["sequence"])
            for number in pa.table(batch).column("sequence").to_pylist()
        ]
        assert len(numbers) == len(set(numbers)) == 120
        ended = [event.turn_id for event in await replayed(logs[1]) if isinstance(event.body, e.TurnEnded)]
        assert len(ended) == len(set(ended)) == 20


async def test_the_list_and_its_entries(server: LocalRoom) -> None:
    async with agent(server) as (store, _):
        one, two = await store.create("it's one"), await store.create("two")
        renamed = await store.rename(one.path, "uno")
        page, total = await store.list(1, 0)
        assert (list(page), total) == ([renamed], 2)
        await store.delete(one.path)
        assert [entry.path for entry in (await store.list(10, 0))[0]] == [two.path]
        with pytest.raises(RoomRequestError):
            await store.open(one.path)


async def test_a_watched_table_goes_on_after_a_restart(server: LocalRoom) -> None:
    async with agent(server) as (store, room):
        await store.create("one")
        seen: set[str] = set()
        changed = asyncio.Event()

        async def watch() -> None:
            async for change in room.datasets.watch(TableRef("index", NAMESPACE)):
                rows: Any = pa.table(change.rows)
                if change.kind != "ready":
                    seen.update(rows.column("name").to_pylist())
                changed.set()

        async def see(name: str) -> None:
            async with asyncio.timeout(15):
                while name not in seen:
                    changed.clear()
                    await changed.wait()

        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch())
            await see("one")
            await store.create("two")
            await see("two")
            back = asyncio.Event()
            room.on_connection_change(lambda online: back.set() if online else None)
            await server.restart()
            await asyncio.wait_for(back.wait(), 10)
            await store.create("three")
            await see("three")
            watching.cancel()


async def test_a_page_of_a_long_list_is_searched_for_by_time(
    server: LocalRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("process_agent.threads.rungs.FEW", 2)
    async with agent(server) as (store, room):
        made = [(await store.create(f"thread {number}")).path for number in range(12)]
        whole, _ = await store.list(100, 0)
        index, odd = TableRef("index", NAMESPACE), {3: None, 4: "2999-01-01T00:00:00+02:00"}
        for number, moment in odd.items():
            await room.datasets.update(index, f"path = '{made[number]}'", {"modified_at": moment})
        pages = [await store.list(3, offset) for offset in (0, 3, 6, 9)]
    assert [total for _, total in pages] == [12] * 4
    names = [entry.name for page, _ in pages for entry in page]
    assert names[0] == "thread 4"
    assert sorted(names) == sorted(entry.name for entry in whole)
