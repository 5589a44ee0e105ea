"""Upkeep of a table beside everything else that happens to it."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pyarrow as pa

from process_agent.room_server.datasets import upkeep
from process_agent.room_server.datasets.engine import Outcome
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.datasets.tables import Tables

KEY = TableKey(Place(("a",)), "t")


async def test_upkeep_writers_and_maintenance_never_wait_for_each_other_in_a_ring(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    rows = pa.table({"n": pa.array([1], pa.int64())})
    await tables.create(KEY, rows, "create")

    async def write(times: int) -> None:
        for _ in range(times):
            await tables.write(KEY, partial(_insert, tables, rows))

    async def maintain(times: int) -> None:
        for _ in range(times):
            await tables.alone(KEY, lambda path, label: None)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(write(upkeep.EVERY))
            group.create_task(maintain(upkeep.EVERY))
    assert (await tables.open(KEY)).count_rows() == 4 * upkeep.EVERY + 1
    await tables.close()


def _insert(tables: Tables, rows: pa.Table, path: Path, label: str, *, watched: bool) -> Outcome:
    return tables.engine.insert(path, label, rows, watched=watched)
