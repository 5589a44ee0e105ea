"""Indexes of the local room's tables: built beside writers, used by questions, kept up in small parts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from process_agent.io.tasks import rounds
from process_agent.room_server.datasets import DatasetToolkit, indexes
from process_agent.room_server.datasets.engine import Engine
from process_agent.room_server.datasets.maintaining import Maintaining
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.datasets.reading import Selection, count_rows, scan, scan_options
from process_agent.room_server.datasets.refusals import Preempted
from process_agent.room_server.datasets.tables import Tables
from process_agent.room_server.toolkit import Call, Caller, ToolError, json_content

KEY = TableKey(Place(("a",)), "t")
ITEMS = {"column": "item_id", "index_type": "BTREE"}


def rows(*numbers: int) -> pa.Table:
    names = [f"item-{number}" for number in numbers]
    return pa.table({"sequence": pa.array(numbers, pa.int64()), "item_id": pa.array(names, pa.string())})


@pytest.fixture
async def tables(tmp_path: Path) -> AsyncIterator[Tables]:
    room = Tables(tmp_path)
    await room.create(KEY, rows(*range(1_000)), "create")
    yield room
    await room.close()


async def found(tables: Tables, where: str) -> int:
    return count_rows(await tables.open(KEY), Selection(where=where))


class Gate:
    """Holds the first builds of an index on the snapshots they began with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, builds: int = 1) -> None:
        self._real = indexes.create
        self._loop = asyncio.get_running_loop()
        self._left = builds
        self.began = asyncio.Queue[int]()
        self.go = threading.Semaphore(0)
        self.calls = 0
        monkeypatch.setattr(indexes, "create", self._create)

    def _create(self, dataset: Any, path: Path, config: dict[str, Any]) -> None:
        self.calls += 1
        if self._left:
            self._left -= 1
            self._loop.call_soon_threadsafe(self.began.put_nowait, self.calls)
            assert self.go.acquire(timeout=20)
        self._real(dataset, path, config)


async def test_rows_are_stored_while_an_index_is_built(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    building = asyncio.create_task(Maintaining(tables).create_index(KEY, ITEMS))
    await gate.began.get()
    await tables.insert(KEY, rows(1_000))
    assert await found(tables, "item_id = 'item-1000'") == 1
    await tables.write(KEY, partial(_insert, rows(1_001)))
    await tables.write(KEY, partial(_delete, "sequence = 5"))
    assert not building.done()
    gate.go.release()
    await building
    assert gate.calls == 1, "writes do not get in its way"
    for number, times in ((5, 0), (6, 1), (1_000, 1), (1_001, 1)):
        assert await found(tables, f"item_id = 'item-{number}'") == times
    (index,) = indexes.describe(await tables.open(KEY))
    assert (index["name"], index["columns"]) == ("item_id_idx", ["item_id"])


async def test_an_index_whose_rows_were_replaced_is_built_again_and_not_for_ever(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, builds=3)
    building = asyncio.create_task(Maintaining(tables).create_index(KEY, ITEMS))
    for number in range(3):
        await gate.began.get()
        await tables.create(KEY, rows(number), "overwrite")
        gate.go.release()
    await building
    assert gate.calls == 4, "the last time nobody writes"
    assert await found(tables, "item_id = 'item-2'") == 1
    assert [index["num_rows_indexed"] for index in indexes.describe(await tables.open(KEY))] == [1]


async def test_what_preempts_is_told_as_a_conflict(tables: Tables) -> None:
    before = await tables.open(KEY)
    await tables.create(KEY, rows(7), "overwrite")
    with pytest.raises(Preempted) as told:
        indexes.create(before, tables.path(KEY), ITEMS)
    assert told.value.code == 1005


async def test_a_table_is_dropped_once_its_index_is_built(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    building = asyncio.create_task(Maintaining(tables).create_index(KEY, ITEMS))
    await gate.began.get()
    dropping = asyncio.create_task(tables.drop(KEY, ignore_missing=False))
    gate.go.release()
    await asyncio.gather(building, dropping)
    assert not tables.path(KEY).exists()
    with pytest.raises(ToolError):
        await Maintaining(tables).create_index(KEY, ITEMS)


async def test_a_column_is_dropped_once_its_index_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index on a column that is not there makes the whole table unreadable."""
    toolkit = DatasetToolkit(tmp_path)
    await toolkit._tables.create(KEY, rows(1, 2), "create")
    gate = Gate(monkeypatch)
    building = asyncio.create_task(toolkit._maintaining.create_index(KEY, ITEMS))
    await gate.began.get()
    fields = {"table": KEY.name, "namespace": ["a"], "columns": ["item_id"]}
    call = Call(Caller("1", "ann", "user", "demo"), "drop_columns", json_content(fields))
    dropping = asyncio.create_task(toolkit.call(call))
    await rounds(5)
    assert "item_id" in (await toolkit._tables.shape(KEY)).logical.names, "it would be gone by now"
    gate.go.release()
    await asyncio.gather(building, dropping)
    assert await found(toolkit._tables, "sequence = 1") == 1
    assert indexes.describe(await toolkit._tables.open(KEY)) == []
    await toolkit.close()


async def test_a_question_by_item_is_answered_from_the_index(tables: Tables) -> None:
    where = Selection(where="item_id = 'item-7'")
    before = await tables.open(KEY)
    assert "ScalarIndexQuery" not in _plan(before, where)
    await Maintaining(tables).create_index(KEY, ITEMS)
    after = await tables.open(KEY)
    assert "ScalarIndexQuery" in _plan(after, where)
    assert "item_id_idx" in _plan(after, where)
    assert sum(batch.num_rows for batch in scan(after, where)[1]) == 1


async def test_rows_that_come_later_are_taken_in_by_small_parts(tables: Tables) -> None:
    maintaining = Maintaining(tables)
    await maintaining.create_index(KEY, ITEMS)
    for number in range(1_000, 1_004):
        await tables.insert(KEY, rows(number))
        answer = await maintaining.optimize(KEY, {"cleanup_old_versions": True, "retain_versions": 1})
        assert answer["optimized_indices"]
        assert answer["compaction"] is not None
        (index,) = indexes.describe(await tables.open(KEY))
        assert index["num_rows_indexed"] == number + 1
        assert await found(tables, f"item_id = 'item-{number}'") == 1
    assert len(list((tables.path(KEY) / "_indices").iterdir())) == index["num_segments"], "old parts went"
    await tables.insert(KEY, rows(2_000))
    await maintaining.optimize(KEY, {"optimize_indices": False})
    (index,) = indexes.describe(await tables.open(KEY))
    assert index["num_rows_indexed"] < await found(tables, "sequence >= 0")


def _plan(dataset: Any, chosen: Selection) -> str:
    return str(dataset.scanner(**scan_options(dataset, chosen)).explain_plan(True))


def _insert(more: pa.Table, path: Path, label: str, *, watched: bool) -> Any:
    return Engine().insert(path, label, more, watched=watched)


def _delete(where: str, path: Path, label: str, *, watched: bool) -> Any:
    return Engine().delete(path, label, where, watched=watched)
