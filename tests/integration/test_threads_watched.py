"""The list of threads while others write it: what the store tells of them, and what of itself it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyarrow as pa
import pytest

from process_agent.core.ids import ThreadId
from process_agent.core.room import TableRef
from process_agent.core.store import ListChange, Listed, Unlisted
from process_agent.errors import RoomRequestError
from process_agent.threads.schema import INDEX
from process_agent.threads.store import DatasetThreadStore
from tests.fakes.thread_house import House

LIST = TableRef("index", ("agents", "bot", "threads"))
THEIRS = ThreadId("dataset://agents/bot/threads/theirs")


class Changes:
    """What a store tells, in order."""

    def __init__(self) -> None:
        self.seen: asyncio.Queue[ListChange] = asyncio.Queue()

    async def next(self) -> ListChange:
        async with asyncio.timeout(10):
            return await self.seen.get()


@asynccontextmanager
async def followed(house: House, store: DatasetThreadStore) -> AsyncIterator[Changes]:
    changes = Changes()

    async def follow() -> None:
        async for change in store.changes():
            changes.seen.put_nowait(change)

    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow())
        await house.datasets.until(lambda: bool(house.datasets.watches.get(LIST)))
        yield changes
        following.cancel()


async def write(house: House, name: str, path: ThreadId = THEIRS) -> None:
    row = {
        "path": path,
        "name": name,
        "created_at": "2026-01-01T10:00:00Z",
        "modified_at": "2026-01-01T10:00:00Z",
    }
    await house.datasets.merge(LIST, pa.Table.from_pylist([row], schema=INDEX), "path")


async def test_others_are_told_and_our_own_writes_are_not(house: House) -> None:
    store = house.agent()
    await store.start()
    kept = await store.create("before")
    async with followed(house, store) as changes:
        made = await store.create("ours")
        await store.rename(made.path, "ours still")
        await store.touch(kept.path)
        await store.delete(made.path)
        await write(house, "by a client")
        first = await changes.next()
        assert isinstance(first, Listed)
        assert (first.entry.path, first.entry.name, first.new) == (THEIRS, "by a client", True)
        await write(house, "renamed")
        second = await changes.next()
        assert isinstance(second, Listed)
        assert (second.entry.name, second.new) == ("renamed", False)
        await store.rename(THEIRS, "ours now")
        await house.datasets.update(LIST, f"path = '{kept.path}'", {"name": "theirs now"})
        third = await changes.next()
        assert isinstance(third, Listed)
        assert (third.entry.path, third.entry.name) == (kept.path, "theirs now")
        await house.datasets.delete(LIST, f"path = '{THEIRS}'")
        assert await changes.next() == Unlisted(THEIRS)
        assert changes.seen.empty()


async def test_a_turn_that_begins_asks_nothing_of_a_room_that_told_the_entry(house: House) -> None:
    store = house.agent()
    await store.start()
    async with followed(house, store) as changes:
        await write(house, "theirs")
        await changes.next()
        house.datasets.calls.clear()
        begun = await store.begin(THEIRS, told=True)
        assert begun is not None
        assert (begun.name, begun.modified_at) == ("theirs", house.clock.now)
        assert house.datasets.calls == []
    await store.close()


async def test_a_removed_entry_is_not_listed_again_by_a_late_touch(house: House) -> None:
    store = house.agent()
    await store.start()
    entry = await store.create("short lived")
    async with followed(house, store) as changes:
        await store.touch(entry.path)
        later = asyncio.create_task(store.touch(entry.path))  # waits for its time
        await asyncio.sleep(0)
        await house.datasets.delete(LIST, f"path = '{entry.path}'")
        assert await changes.next() == Unlisted(entry.path)
        with pytest.raises(RoomRequestError, match="There is no thread"):
            await later
    assert await store.list(10, 0) == ([], 0)


async def test_a_row_that_is_replaced_is_not_gone(house: House) -> None:
    store = house.agent()
    await store.start()
    await write(house, "one")
    async with followed(house, store) as changes:
        rows = house.datasets.rows(LIST)
        house.datasets._tell(LIST, "removed", rows)
        await write(house, "two")
        change = await changes.next()
        assert isinstance(change, Listed)
        assert change.entry.name == "two"


async def test_a_watch_that_is_refused_begins_anew(house: House) -> None:
    store = house.agent()
    await store.start()
    await write(house, "one")
    with pytest.RaisesGroup(RoomRequestError):
        async with followed(house, store):
            house.datasets.watches[LIST][0].put_nowait(RoomRequestError("the table is gone", code=1003))
            await asyncio.sleep(10)
    house.datasets.tables.pop(LIST)
    async with followed(house, store) as changes:
        await write(house, "again")
        change = await changes.next()
        assert isinstance(change, Listed)
        assert change.entry.name == "again"
