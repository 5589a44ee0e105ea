"""Old threads go by themselves, but none that is open or was used meanwhile; upkeep is in nobody's way."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from process_agent.agent.retention import Retention
from process_agent.core.ids import ThreadId
from process_agent.core.room import TableRef
from process_agent.errors import RoomError
from process_agent.io.tasks import Tasks
from process_agent.threads.kept.retention import Rule
from process_agent.threads.store import DatasetThreadStore
from process_agent.threads.upkeep import STEP, TIERS, Upkeep, full_at
from tests.fakes.datasets import MemoryDatasets
from tests.fakes.thread_house import House

OLD = timedelta(days=90)


async def paths(store: DatasetThreadStore) -> set[str]:
    return {entry.name for entry in (await store.list(100, 0))[0]}


async def test_old_threads_go_and_others_stay() -> None:
    house = House()
    store = house.agent()
    await store.start()
    old, opened, used = [(await store.create(name)).path for name in ("old", "open", "used")]
    log = await store.open(opened)
    house.clock.now += OLD + timedelta(days=1)
    await store.create("new")
    retention = Retention(Rule(OLD), store, house.clock)

    async def expire(thread_id: ThreadId, before: datetime) -> bool:
        if thread_id == old:
            await store.touch(used)  # somebody uses another one at this moment
        return await store.expire(thread_id, before) is not None

    assert await retention.look(expire, pause=0) == 1
    assert await paths(store) == {"open", "used", "new"}
    assert TableRef(old.rsplit("/", 1)[-1], ("agents", "bot", "threads")) not in house.datasets.tables
    await log.close()
    assert await retention.look(expire, pause=0) == 1
    assert await paths(store) == {"used", "new"}
    await store.close()


async def test_what_others_do_to_the_list_is_heard_but_not_what_expires() -> None:
    house = House()
    store = house.agent()
    await store.start()
    entry = await store.create("old")
    assert await store.expire(entry.path, entry.modified_at) is None, "it was used at that very moment"
    assert await store.expire(ThreadId("dataset://agents/bot/threads/none"), house.clock()) is None
    assert await store.expire(entry.path, house.clock()) == []
    await store.close()


async def test_tables_are_compacted_after_many_writes_and_never_at_once() -> None:
    datasets, tasks = MemoryDatasets(), Tasks("test")
    upkeep = Upkeep(datasets, tasks, every=3, quiet_seconds=0)
    for _ in range(2):
        upkeep.wrote(TableRef("index"))
    await asyncio.sleep(0)
    assert datasets.calls == []
    for _ in range(5):
        upkeep.wrote(TableRef("index"))
    upkeep.wrote(TableRef("owners"))
    assert datasets.calls == [], "not on the way of the write"
    await datasets.until(lambda: ("optimize", "index") in datasets.calls)
    await asyncio.sleep(0)
    assert datasets.calls == [("optimize", "index")]
    await tasks.close()


async def test_a_table_that_cannot_be_compacted_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(MemoryDatasets):
        async def optimize(self, table: TableRef, **_options: object) -> None:
            self._note("optimize", table)
            raise RoomError("not now")

    datasets, tasks = Refusing(), Tasks("test")
    upkeep = Upkeep(datasets, tasks, every=1, quiet_seconds=0)
    upkeep.wrote(TableRef("index"))
    await datasets.until(lambda: len(datasets.calls) == 1)
    upkeep.wrote(TableRef("index"))
    await datasets.until(lambda: len(datasets.calls) == 2)
    await tasks.close()


async def test_the_list_is_kept_up_as_threads_come_and_go() -> None:
    house = House()
    store = house.agent()
    await store.start()
    heard: list[str] = []
    store._index.wrote = lambda table: heard.append(table.name)
    entry = await store.create("one")
    await store.rename(entry.path, "two")
    await store.touch(entry.path)
    await store.delete(entry.path)
    assert heard == ["index"] * 4
    await store.close()


def test_a_row_is_written_again_a_few_times_only() -> None:
    """However long a table grows: what is compacted at one time is what came since, and seldom more."""
    size, fragments, written, before = 384, list[int](), 0, 0
    for rows in range(size, 2_000_000, size):
        fragments.append(size)
        full, before = full_at(before, rows), rows
        small = [each for each in fragments if each < full]
        fragments = [each for each in fragments if each >= full] + [sum(small)]
        written += sum(small)
    assert written < 14 * 2_000_000
    assert len(fragments) < 400
    assert full_at(0, 10) == TIERS[0]
    assert full_at(100, 3 * STEP) == TIERS[1]
