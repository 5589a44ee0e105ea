"""Indexes of long threads: made once, in the background, in nobody's way, and not where the room refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from process_agent.core.room import IndexKind, TableIndex, TableRef
from process_agent.errors import RoomError, RoomRequestError
from process_agent.io.tasks import Tasks
from process_agent.threads import indexing, writer
from process_agent.threads.indexing import COLUMNS, INDEX_FROM, Indexing
from process_agent.threads.schema import THREAD
from tests.fakes.datasets import MemoryDatasets
from tests.fakes.thread_house import House, append

LONG = TableRef("long", ("agents", "bot", "threads"))
OTHER = TableRef("other", ("agents", "bot", "threads"))


class Rooms(MemoryDatasets):
    """`refusal` is what `create_index` raises; it waits for `may_build`."""

    def __init__(self) -> None:
        super().__init__()
        self.refusal: RoomError | None = None
        self.may_build = asyncio.Event()
        self.may_build.set()

    async def create_index(self, table: TableRef, column: str, kind: IndexKind) -> None:
        await self.may_build.wait()
        if self.refusal is not None:
            self._note("refused", table)
            raise self.refusal
        await super().create_index(table, column, kind)


@pytest.fixture
async def rooms() -> Rooms:
    rooms = Rooms()
    for table in (LONG, OTHER):
        await rooms.create(table, THREAD, "create")
    rooms.calls.clear()
    return rooms


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    tasks = Tasks("test")
    yield tasks
    await tasks.close()


async def test_a_long_table_is_indexed_once_and_a_short_one_never(rooms: Rooms, tasks: Tasks) -> None:
    seen = Indexing(rooms, tasks)
    seen.compacted(LONG, INDEX_FROM - 1, refreshed=True)
    assert not len(tasks)
    for _ in range(3):
        seen.compacted(LONG, INDEX_FROM, refreshed=False)
        await tasks.wait()
    assert {column: index.kind for column, index in rooms.indexes[LONG].items()} == COLUMNS
    assert rooms.calls == [("list indexes", "long"), *[("create index", "long")] * 3]
    Indexing(rooms, tasks).compacted(LONG, INDEX_FROM, refreshed=False)
    await tasks.wait()
    assert rooms.calls[4:] == [("list indexes", "long")], "the next run finds them"


async def test_a_room_that_refuses_is_asked_once(rooms: Rooms, tasks: Tasks) -> None:
    rooms.refusal = RoomRequestError("permission denied", code=1001)
    seen = Indexing(rooms, tasks)
    for table in (LONG, OTHER, LONG):
        seen.compacted(table, INDEX_FROM, refreshed=False)
    await tasks.wait()
    seen.compacted(TableRef("third"), INDEX_FROM, refreshed=False)
    await tasks.wait()
    assert rooms.calls == [("list indexes", "long"), ("refused", "long")]


@pytest.mark.parametrize("refusal", [RoomError("away"), RoomRequestError("gone", code=1003)])
async def test_what_is_wrong_with_one_table_is_nothing_to_others(
    rooms: Rooms, tasks: Tasks, refusal: RoomError
) -> None:
    rooms.refusal = refusal
    seen = Indexing(rooms, tasks)
    seen.compacted(LONG, INDEX_FROM, refreshed=False)
    await tasks.wait()
    rooms.refusal = None
    for table in (LONG, OTHER):
        seen.compacted(table, INDEX_FROM, refreshed=False)
    await tasks.wait()
    assert list(rooms.indexes) == [OTHER]


async def test_indexes_are_brought_up_to_date_when_the_table_grew(rooms: Rooms, tasks: Tasks) -> None:
    seen = Indexing(rooms, tasks)
    assert seen.refreshes(LONG, INDEX_FROM - 1), "as small tables always were"
    rows = 16 * INDEX_FROM
    assert not seen.refreshes(LONG, rows), "not known yet"
    rooms.indexes[LONG] = {"type": TableIndex(("type",), "Bitmap", rows // 2)}
    seen.compacted(LONG, rows, refreshed=False)
    await tasks.wait()
    assert seen.refreshes(LONG, rows), "half of the rows came after one of them"
    seen.compacted(LONG, rows, refreshed=True)
    assert not seen.refreshes(LONG, rows + INDEX_FROM - 1)
    assert seen.refreshes(LONG, rows + INDEX_FROM)


async def test_no_more_than_so_many_tables_are_remembered(
    rooms: Rooms, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "MAX_KNOWN", 2)
    seen = Indexing(rooms, tasks)
    for number in range(4):
        seen.compacted(TableRef(f"t{number}"), INDEX_FROM, refreshed=False)
    assert len(seen._indexed) == 2
    await tasks.wait()


async def test_turns_do_not_wait_for_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "INDEX_FROM", 1)
    monkeypatch.setattr(writer, "COMPACT_EVERY", 2)
    house = House()
    house.datasets = rooms = Rooms()
    rooms.may_build.clear()
    store, log, say = await house.thread()

    async def turn(number: int) -> None:
        append(log, say.begin(turn=f"u{number}"), say.end(f"u{number}"))
        await log.flush()

    for number in range(3):
        await turn(number)
    await rooms.until(lambda: any(call == "list indexes" for call, _ in rooms.calls))
    before = len(house.kinds(say.thread_id))
    for number in range(3, 9):
        await turn(number)
    await log._tasks.wait()  # compactions too
    assert len(house.kinds(say.thread_id)) > before
    assert not rooms.indexes
    rooms.may_build.set()
    await store._tasks.wait()
    ((_, made),) = rooms.indexes.items()
    assert set(made) == set(COLUMNS)
    assert [call for call, _ in rooms.calls].count("list indexes") == 1
    await store.close()


async def test_a_refusal_is_no_trouble_to_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "INDEX_FROM", 1)
    monkeypatch.setattr(writer, "COMPACT_EVERY", 2)
    house = House()
    house.datasets = rooms = Rooms()
    rooms.refusal = RoomRequestError("permission denied", code=1001)
    store, log, say = await house.thread()
    for number in range(8):
        append(log, say.begin(turn=f"u{number}"), say.end(f"u{number}"))
        await log.flush()
        await log._tasks.wait()
    await rooms.until(lambda: ("refused", "t1") in rooms.calls)
    assert house.kinds(say.thread_id).count("turn.ended") == 8
    assert [call for call, _ in rooms.calls].count("refused") == 1
    await store.close()
