"""Rows that are in the log and not in their tables yet, through all that can happen to a table."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from process_agent.room_server.datasets import append_log, folding, tails
from process_agent.room_server.datasets.engine import Engine
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.datasets.tables import Tables
from process_agent.room_server.toolkit import ToolError

KEY = TableKey(Place(("a",)), "t")
MORE = TableKey(Place(("a",)), "more")
NUMBERS = pa.schema([("n", pa.int64())])


@pytest.fixture(autouse=True)
def _no_folding_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "IDLE_SECONDS", 1e9)
    monkeypatch.setattr(tails, "AGE_SECONDS", 1e9)


@pytest.fixture
async def tables(tmp_path: Path) -> AsyncIterator[Tables]:
    async with opened(tmp_path) as made:
        await made.create(KEY, NUMBERS.empty_table(), "create")
        yield made


@asynccontextmanager
async def opened(root: Path) -> AsyncIterator[Tables]:
    tables = Tables(root)
    try:
        yield tables
    finally:
        await tables.close()


async def crash(tables: Tables) -> None:
    """Stop at once, without folding: what is on disk is what a kill leaves."""
    await tables._folding._tasks.close()
    await tables._tasks.close()
    tables._folding._closed = True
    await asyncio.to_thread(tables._pool.shutdown)
    tables._tails._tails.clear()
    log = tables._tails._log
    await log._tasks.close()
    log._release()
    log._files.clear()


def numbers(*n: int) -> pa.Table:
    return pa.table({"n": pa.array(n, pa.int64())})


async def rows(tables: Tables, key: TableKey = KEY) -> list[Any]:
    return (await tables.open(key)).to_table()["n"].to_pylist()


def in_lance(root: Path, key: TableKey = KEY) -> int:
    return Engine().open(key.path(root), "t").count_rows()


async def test_inserts_wait_in_the_log_until_somebody_looks(tables: Tables, tmp_path: Path) -> None:
    for n in range(5):
        await tables.insert(KEY, numbers(n))
    assert in_lance(tmp_path) == 0
    before = Engine().open(KEY.path(tmp_path), "t").version
    assert await rows(tables) == [0, 1, 2, 3, 4]
    assert (await tables.open(KEY)).version == before + 1


async def test_concurrent_inserts_of_many_tables_share_flushes(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [TableKey(Place(("many",)), f"t{n}") for n in range(40)]
    for key in keys:
        await tables.create(key, NUMBERS.empty_table(), "create")
        await tables.insert(key, numbers(-1))
    flushes = 0
    flush = os.fdatasync

    def counted(descriptor: int) -> None:
        nonlocal flushes
        flushes += 1
        flush(descriptor)

    monkeypatch.setattr(os, "fdatasync", counted)
    await asyncio.gather(*(tables.insert(key, numbers(n)) for key in keys for n in range(5)))
    assert 0 < flushes <= 40
    for key in keys:
        assert await rows(tables, key) == [-1, 0, 1, 2, 3, 4]


async def test_a_tail_that_is_full_is_folded(tables: Tables, tmp_path: Path) -> None:
    for n in range(tails.FOLD_ROWS):
        await tables.insert(KEY, numbers(n))
    await tables._folding._tasks.wait()
    assert in_lance(tmp_path) == tails.FOLD_ROWS


async def test_closing_folds(tmp_path: Path) -> None:
    async with opened(tmp_path) as tables:
        await tables.create(KEY, NUMBERS.empty_table(), "create")
        await tables.insert(KEY, numbers(1, 2))
    assert in_lance(tmp_path) == 2
    assert not list((tmp_path / tails.FOLDER).glob("*"))


async def test_closing_has_no_time_for_more_than_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "CLOSE_SECONDS", 0.0)
    async with opened(tmp_path) as tables:
        await tables.create(KEY, NUMBERS.empty_table(), "create")
        await tables.insert(KEY, numbers(1, 2))
    assert in_lance(tmp_path) == 0
    async with opened(tmp_path) as tables:
        assert await rows(tables) == [1, 2]


async def test_rows_of_the_log_are_there_after_a_crash(tables: Tables, tmp_path: Path) -> None:
    for n in range(3):
        await tables.insert(KEY, numbers(n))
    await crash(tables)
    for _ in range(2):
        async with opened(tmp_path) as again:
            assert await rows(again) == [0, 1, 2]
            await crash(again)


def _before(engine: Engine, fold: Callable[..., None]) -> Callable[..., None]:
    def failing(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    return failing


def _after(engine: Engine, fold: Callable[..., None]) -> Callable[..., None]:
    def failing(*arguments: Any) -> None:
        fold(*arguments)
        raise OSError(5, "Input/output error")

    return failing


@pytest.mark.parametrize("when", [_before, _after])
@pytest.mark.parametrize("crashes", [False, True])
async def test_a_fold_that_fails_on_either_side_of_the_append(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: Any, crashes: bool
) -> None:
    for n in range(3):
        await tables.insert(KEY, numbers(n))
    with monkeypatch.context() as broken:
        broken.setattr(tables.engine, "fold", when(tables.engine, tables.engine.fold))
        with pytest.raises(OSError, match=r"error|space"):
            await rows(tables)
    await tables.insert(KEY, numbers(3))
    if not crashes:
        assert await rows(tables) == [0, 1, 2, 3]
        return
    await crash(tables)
    async with opened(tmp_path) as again:
        assert await rows(again) == [0, 1, 2, 3]


@pytest.mark.parametrize("crashes", [False, True])
async def test_a_fold_whose_end_the_log_cannot_note(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crashes: bool
) -> None:
    await tables.insert(KEY, numbers(1))
    with monkeypatch.context() as broken:

        async def refuse(*_: object) -> None:
            raise ToolError("the disk refuses")

        broken.setattr(tables._tails, "_mark", refuse)
        with pytest.raises(ToolError):
            await rows(tables)
    if crashes:
        await crash(tables)
        async with opened(tmp_path) as again:
            assert await rows(again) == [1]
            await again.insert(KEY, numbers(2))
            assert await rows(again) == [1, 2]
    else:
        assert await rows(tables) == [1]
        await tables.insert(KEY, numbers(2))
        assert await rows(tables) == [1, 2]


async def test_dropped_and_made_again_a_table_is_empty(tables: Tables, tmp_path: Path) -> None:
    await tables.insert(KEY, numbers(1))
    await tables.drop(KEY, ignore_missing=False)
    await tables.create(KEY, NUMBERS.empty_table(), "create")
    assert await rows(tables) == []
    await tables.insert(KEY, numbers(2))
    await crash(tables)
    async with opened(tmp_path) as again:
        assert await rows(again) == [2]


async def test_a_table_that_went_away_behind_our_back(tables: Tables, tmp_path: Path) -> None:
    await tables.insert(KEY, numbers(1))
    gone = tables.catalog.withdraw(KEY)
    tables.catalog.discard(gone)
    with pytest.raises(ToolError, match="does not exist"):
        await rows(tables)
    await tables.create(KEY, numbers(7), "create")
    assert await rows(tables) == [7]


async def test_renamed_its_rows_go_along(tables: Tables, tmp_path: Path) -> None:
    await tables.insert(KEY, numbers(1))
    await tables.rename(KEY, "more")
    await tables.insert(MORE, numbers(2))
    await tables.create(KEY, NUMBERS.empty_table(), "create")
    await tables.insert(KEY, numbers(3))
    await crash(tables)
    async with opened(tmp_path) as again:
        assert (await rows(again, MORE), await rows(again)) == ([1, 2], [3])


async def test_branches_part_at_the_last_row(tables: Tables, tmp_path: Path) -> None:
    await tables.insert(KEY, numbers(1))
    await tables.create_branch((), "b", "main")
    branched = TableKey(KEY.place.on("b"), KEY.name)
    await tables.insert(KEY, numbers(2))
    await tables.insert(branched, numbers(3))
    assert (await rows(tables), await rows(tables, branched)) == ([1, 2], [1, 3])
    await tables.insert(branched, numbers(4))
    await tables.delete_branch(Place((), "b"))
    await tables.create_branch((), "b", "main")
    assert await rows(tables, branched) == [1, 2]
    await crash(tables)
    async with opened(tmp_path) as again:
        assert await rows(again, branched) == [1, 2]


async def test_a_schema_change_comes_after_the_rows_before_it(tables: Tables) -> None:
    await tables.insert(KEY, numbers(1))

    def add(path: Path, label: str, *, watched: bool) -> Any:
        return tables.engine.add_columns(path, label, {"twice": "n + n"}, watched=watched)

    await tables.write(KEY, add)
    await tables.insert(KEY, pa.table({"n": [5], "twice": [6]}))
    found = (await tables.open(KEY)).to_table().to_pylist()
    assert found == [{"n": 1, "twice": 2}, {"n": 5, "twice": 6}]


async def test_rows_that_the_engine_does_not_take_after_all_are_set_aside(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        await tables.insert(KEY, numbers(n))
    fold = tables.engine.fold

    def picky(path: Path, label: str, data: list[bytes], position: int) -> None:
        if any(1 in pa.ipc.open_stream(each).read_all()["n"].to_pylist() for each in data):
            raise ToolError("not these") from ValueError("odd")
        fold(path, label, data, position)

    monkeypatch.setattr(tables.engine, "fold", picky)
    assert await rows(tables) == [0, 2]
    (aside,) = (tmp_path / folding.ASIDE).iterdir()
    assert pa.ipc.open_stream(aside.read_bytes()).read_all()["n"].to_pylist() == [1]


async def test_the_log_takes_space_for_what_waits_only(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append_log, "FILE_BYTES", 10_000)
    monkeypatch.setattr(append_log, "IDLE_BYTES", 5_000)
    await tables.create(MORE, NUMBERS.empty_table(), "create")
    await tables.insert(MORE, numbers(0))
    for n in range(100):
        await tables.insert(KEY, numbers(n))
    assert tables._tails.disk_bytes > 20_000
    await rows(tables, MORE)
    assert tables._tails.disk_bytes > 20_000
    await rows(tables)
    used = sum(file.stat().st_size for file in (tmp_path / tails.FOLDER).iterdir())
    assert used == tables._tails.disk_bytes <= 15_000
    await crash(tables)
    async with opened(tmp_path) as again:
        assert await rows(again) == list(range(100))


async def test_a_crowded_room_writes_straight_to_its_tables(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "MAX_BYTES", 0)
    for n in range(4):
        await tables.insert(KEY, numbers(n))
    assert in_lance(tmp_path) == 4
    assert await rows(tables) == [0, 1, 2, 3]


async def test_a_full_disk_refuses_and_nothing_comes_back_later(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tables.insert(KEY, numbers(1))
    flush = os.fdatasync
    with monkeypatch.context() as broken:

        def full(descriptor: int) -> None:
            flush(descriptor)
            raise OSError(28, "No space left on device")

        broken.setattr(os, "fdatasync", full)
        with pytest.raises(ToolError, match="No space left"):
            await tables.insert(KEY, numbers(2))
    await tables.insert(KEY, numbers(3))
    await crash(tables)
    async with opened(tmp_path) as again:
        assert await rows(again) == [1, 3]


async def test_a_caller_who_leaves_while_his_watch_begins(tables: Tables) -> None:
    await tables.insert(KEY, numbers(1))

    async def watch() -> None:
        async with tables.watching(KEY):
            await asyncio.Event().wait()

    for turns in range(6):
        watching = asyncio.ensure_future(watch())
        for _ in range(turns):
            await asyncio.sleep(0)
        watching.cancel()
        await asyncio.wait([watching])
    await tables._tasks.wait()
    assert not tables._feeds
    assert await rows(tables) == [1]


async def test_a_start_that_fails_is_tried_again_from_the_beginning(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tables.insert(KEY, numbers(1))
    await tables.create(MORE, NUMBERS.empty_table(), "create")
    await tables.insert(MORE, numbers(2))
    await crash(tables)
    tables.catalog.discard(tables.catalog.withdraw(MORE))
    async with opened(tmp_path) as again:
        with monkeypatch.context() as broken:

            async def refuse(*_: object) -> None:
                raise ToolError("the disk refuses")

            broken.setattr(again._tails, "_mark", refuse)
            for _ in range(2):
                with pytest.raises(ToolError):
                    await rows(again)
                with pytest.raises(ToolError):
                    await again.insert(KEY, numbers(9))
        assert await rows(again) == [1]
        with pytest.raises(ToolError, match="does not exist"):
            await rows(again, MORE)


@pytest.mark.parametrize(
    "schema",
    [
        pa.schema([(f"c{n}", pa.int64()) for n in range(900)]),
        pa.schema([("v", pa.list_(pa.float32(), 4))]),
        pa.schema([("s", pa.struct([pa.field("f", pa.int64(), nullable=False)]))]),
    ],
)
async def test_tables_of_odd_or_wide_rows_are_written_straight(
    tables: Tables, tmp_path: Path, schema: pa.Schema
) -> None:
    await tables.create(MORE, schema.empty_table(), "create")
    part = pa.Table.from_pylist([{}, {}], schema)
    await tables.insert(MORE, part)
    assert in_lance(tmp_path, MORE) == 2
    assert not tables._tails
