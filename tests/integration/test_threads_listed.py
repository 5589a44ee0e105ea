"""Pages of a long list of threads: right whatever happens to it, and not read whole for each."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from process_agent.core.ids import ThreadId
from process_agent.core.room import ArrowTable, TableRef
from process_agent.core.store import ThreadEntry
from process_agent.threads import rungs
from process_agent.threads.index import ThreadIndex, entries_of
from process_agent.threads.schema import INDEX
from tests.fakes.datasets import MemoryDatasets
from tests.fakes.thread_events import START, TestClock
from tests.fakes.thread_house import House

TABLE = TableRef("index", ("agents", "bot", "threads"))
ODD_TIMES = (
    *(None, "", "yesterday", "2026-05-01T12:00:00", "2026-05-01T12:00:01Z"),
    *("2026-05-01T14:00:00.5+02:00", "2026-05-01T05:30:00-09:00"),
)


class Counting(MemoryDatasets):
    """Counts the rows that searches bring."""

    def __init__(self) -> None:
        super().__init__()
        self.read_rows = 0

    async def search(self, table: TableRef, **what: Any) -> AsyncIterator[ArrowTable]:
        async for batch in super().search(table, **what):
            self.read_rows += pa.table(batch).num_rows
            yield batch


def entry(number: int, minutes: int) -> ThreadEntry:
    at = START + timedelta(minutes=minutes)
    return ThreadEntry(ThreadId(f"dataset://agents/bot/threads/t{number}"), f"thread {number}", START, at)


async def filled(datasets: MemoryDatasets, entries: Sequence[ThreadEntry]) -> None:
    await datasets.create(TABLE, INDEX, "create")
    rows = [
        {
            "path": each.path,
            "name": each.name,
            "created_at": each.created_at.isoformat().replace("+00:00", "Z"),
            "modified_at": each.modified_at.isoformat().replace("+00:00", "Z"),
        }
        for each in entries
    ]
    await datasets.insert(TABLE, pa.Table.from_pylist(rows, schema=INDEX))


async def test_a_page_of_a_long_list_reads_about_what_it_returns() -> None:
    house = House()
    house.datasets = datasets = Counting()
    await filled(datasets, [entry(number, number) for number in range(3_000)])
    store = house.agent()
    await store.start()
    for offset, most in ((0, 128), (50, 128), (100, 256), (500, 1024)):
        datasets.read_rows = 0
        page, total = await store.list(50, offset)
        assert [each.name for each in page] == [f"thread {2_999 - offset - n}" for n in range(50)]
        assert (total, datasets.read_rows) == (3_000, most)
    await store.close()


async def test_what_is_used_and_made_stays_cheap_and_what_is_removed_is_seen() -> None:
    datasets = Counting()
    await filled(datasets, [entry(number, number) for number in range(1_000)])
    index = ThreadIndex(datasets, TABLE.namespace, TestClock(START + timedelta(days=30)))
    assert [each.name for each in (await index.page(1, 0))[0]] == ["thread 999"]
    for number in range(300):
        await index.put(entry(number, 50_000 + number))
    first, _ = await index.page(50, 0)
    datasets.read_rows = 0
    assert await index.page(50, 0) == (first, 1_000)
    assert datasets.read_rows <= 130
    for each in first:
        await index.remove(each.path)
    following, total = await index.page(128, 0)
    assert total == 950
    assert not {each.path for each in first} & {each.path for each in following}
    await index.close()


@pytest.mark.parametrize("seed", range(8))
async def test_pages_are_those_of_the_whole_list_whatever_others_write(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rungs, "FEW", 4)
    chance, datasets = random.Random(seed), MemoryDatasets()
    await filled(datasets, [entry(number, chance.randint(0, 300)) for number in range(40)])
    clock = TestClock(START + timedelta(hours=2))
    index, begun = ThreadIndex(datasets, TABLE.namespace, clock), dict[str, datetime]()
    for number in range(150):
        path = entry(chance.randint(0, 60), 0).path
        match chance.randint(0, 5):
            case 0:
                made = entry(chance.randint(0, 60), chance.randint(0, 300))
                await index.put(made)
                if made.modified_at >= begun.get(made.path, made.modified_at):
                    begun.pop(made.path, None)  # the table says it now
            case 1:
                await index.rename(path, f"renamed {number}")
            case 2:
                await index.remove(path)
                begun.pop(path, None)
            case 4:
                assert await index.begin(path, told=False) is None
                begun[path] = clock.now
            case 3:
                await datasets.update(TABLE, f"path = '{path}'", {"modified_at": chance.choice(ODD_TIMES)})
            case _:
                pass
        whole = [
            replace(each, modified_at=max(each.modified_at, begun.get(each.path, each.modified_at)))
            for each in await entries_of(datasets, TABLE)
        ]
        whole.sort(key=lambda each: (each.modified_at, each.created_at, each.path), reverse=True)
        limit, offset = chance.randint(1, 20), chance.choice([0, 0, 3, 30, 100])
        assert await index.page(limit, offset) == (whole[offset : offset + limit], len(whole))


async def test_a_turn_that_begins_is_listed_at_once_and_stored_with_its_end() -> None:
    house = House()
    store = house.agent()
    await store.start()
    first, second = await store.create("first"), await store.create("second")
    house.clock.now += timedelta(hours=1)
    house.datasets.calls.clear()
    assert await store.begin(first.path, told=False) is None
    assert house.datasets.calls == []
    assert [each.name for each in (await store.list(10, 0))[0]] == ["first", "second"]
    stored = {each.path: each.modified_at for each in await entries_of(house.datasets, TABLE)}
    assert stored[first.path] == first.modified_at
    ended = await store.touch(first.path)
    stored = {each.path: each.modified_at for each in await entries_of(house.datasets, TABLE)}
    assert stored[first.path] == ended.modified_at > second.modified_at
    await store.close()


async def test_who_watches_hears_of_a_turn_that_begins_unless_the_thread_was_used_just_now() -> None:
    house = House()
    store = house.agent()
    await store.start()
    entry = await store.create("new")
    assert await store.begin(entry.path, told=True) is None
    house.clock.now += timedelta(hours=1)
    begun = await store.begin(entry.path, told=True)  # nothing watches the table here: the list is touched
    assert begun is not None
    assert begun.modified_at > entry.modified_at
    [stored] = await entries_of(house.datasets, TABLE)
    assert stored == begun
    await store.close()
