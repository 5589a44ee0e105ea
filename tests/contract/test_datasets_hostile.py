"""The published client against tables that are watched, shared, restarted and attacked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from meshagent.api.room_server_client import (
    DatasetExpression,
    RoomException,
)

from tests.contract.test_datasets_room_client import NAMESPACE, THREAD, event
from tests.fakes.room import LocalRoom, local_room


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[LocalRoom]:
    async with local_room(tmp_path) as running:
        yield running


@pytest.fixture
async def client(room: LocalRoom) -> AsyncIterator[Any]:
    async with room.client("bot", "agent") as entered:
        yield entered


class Watched:
    """Events of one watch, taken one by one."""

    def __init__(self, client: Any, table: str) -> None:
        self._events = client.datasets.watch_table(table=table)

    async def next(self) -> Any:
        return await anext(self._events)

    async def ready(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while (event := await self.next()).kind == "data":
            assert event.phase == "initial"
            rows.extend(event.table.to_pylist())
        assert (event.kind, event.phase) == ("ready", "initial")
        return rows

    async def close(self) -> None:
        await self._events.aclose()


async def test_a_watch_of_another_participant(room: LocalRoom, client: Any) -> None:
    data = client.datasets
    await data.create_table_from_data(name="t", data=[{"id": "a", "n": 1}])
    async with room.client("ann") as ann:
        watch = Watched(ann, "t")
        assert await watch.ready() == [{"id": "a", "n": 1}]
        await data.insert(table="t", records=[{"id": "b", "n": 2}])
        await data.merge(table="t", on="id", records=[{"id": "a", "n": 3}, {"id": "c", "n": 4}])
        await data.update(table="t", where="id = 'b'", values={"n": DatasetExpression("n + 20")})
        await data.delete(table="t", where="n > 10")
        seen = [await watch.next() for _ in range(4)]
        assert [(e.change_type, e.table.to_pylist()) for e in seen] == [
            ("inserted", [{"id": "b", "n": 2}]),
            ("updated", [{"id": "a", "n": 3}, {"id": "c", "n": 4}]),
            ("updated", [{"id": "b", "n": 22}]),
            ("deleted", [{"id": "b", "n": 22}]),
        ]
        assert all(e.phase == "delta" and e.begin_version < e.end_version for e in seen)
        await watch.close()
        again = Watched(ann, "t")
        assert len(await again.ready()) == 2
        await data.drop_table(name="t")
        with pytest.raises(RoomException, match="does not exist"):
            await again.next()


async def test_a_watch_misses_nothing_while_it_begins(room: LocalRoom, client: Any) -> None:
    data = client.datasets
    await data.create_table_from_data(name="t", data=[{"n": 0}])

    async def insert() -> None:
        for n in range(1, 30):
            await data.insert(table="t", records=[{"n": n}])

    async with room.client("ann") as ann, asyncio.TaskGroup() as group:
        group.create_task(insert())
        for _ in range(3):
            watch = Watched(ann, "t")
            seen = [row["n"] for row in await watch.ready()]
            while len(seen) < 30:
                seen.extend(row["n"] for row in (await watch.next()).table.to_pylist())
            assert seen == list(range(30))
            await watch.close()


async def test_everything_is_there_after_a_restart(room: LocalRoom) -> None:
    async with room.client("bot", "agent") as client:
        data = client.datasets
        await data.create_table_with_schema(name="thread", schema=THREAD, namespace=NAMESPACE)
        await data.insert(table="thread", namespace=NAMESPACE, records=[event(n, n) for n in range(3)])
        await data.create_branch(branch="b", namespace=NAMESPACE)
        await data.delete(table="thread", namespace=NAMESPACE, where="sequence = 0")
    await room.restart()
    async with room.client("bot", "agent") as client:
        data = client.datasets
        found = await data.search(table="thread", namespace=NAMESPACE)
        assert found.schema.equals(THREAD, check_metadata=True)
        assert found["sequence"].to_pylist() == [1, 2]
        assert await data.count(table="thread", namespace=NAMESPACE, branch="b") == 3
        assert await data.count(table="thread", namespace=NAMESPACE, version=2) == 3


async def test_two_writers_at_once_lose_nothing(room: LocalRoom, client: Any) -> None:
    await client.datasets.create_table_from_data(name="t", data=[{"id": "0", "n": 0}])

    async def writes(name: str) -> None:
        async with room.client(name) as other:
            for n in range(10):
                await other.datasets.insert(table="t", records=[{"id": f"{name}{n}", "n": n}])
                await other.datasets.merge(table="t", on="id", records=[{"id": "0", "n": n}])
                await other.datasets.update(table="t", where=f"id = '{name}{n}'", values={"n": -n})

    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(writes(name))
    rows = (await client.datasets.search(table="t")).to_pylist()
    assert len(rows) == 31
    assert {row["id"]: row["n"] for row in rows if row["id"] != "0"} == {
        f"{name}{n}": -n for name in "abc" for n in range(10)
    }


@pytest.mark.parametrize(
    "where",
    [
        "n = 1; DROP TABLE t",
        "n = 1 -- x",
        "length(repeat('aaaaaaaa', 2000000000)) > 0",
        "n = " + "+".join(["1"] * 10_000),
        "n IN (SELECT 1)",
        "nope = 1",
        "n = 'x'",
        "(" * 5_000,
        "",
    ],
)
async def test_hostile_conditions_are_refused_and_the_room_lives(client: Any, where: str) -> None:
    await client.datasets.create_table_from_data(name="t", data=[{"n": 1}])
    with pytest.raises(RoomException):
        await client.datasets.delete(table="t", where=where)
    assert await client.datasets.count(table="t") == 1


HOSTILE_SQL = [
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM '/etc/hostname'",
    "COPY t TO '/tmp/stolen.csv'",
    "INSTALL httpfs",
    "ATTACH '/tmp/other.db'",
    "SELECT * FROM query('SELECT 1')",
    'SELECT * FROM "pandas_scan"(1, 2)',
    "SELECT 1; SELECT 2",
    "SET enable_external_access = true",
    "WITH RECURSIVE g(s) AS (SELECT 'aaaa' UNION ALL SELECT s || s FROM g) SELECT max(length(s)) FROM g",
]


async def test_hostile_sql_is_refused_and_the_room_lives(client: Any) -> None:
    await client.datasets.create_table_from_data(name="t", data=[{"n": 1}])
    for query in HOSTILE_SQL:
        with pytest.raises(RoomException):
            await client.datasets.sql(query=query, tables=["t"])
    assert await client.datasets.count(table="t") == 1


@pytest.mark.parametrize(
    "name", ["../up", "a/b", "/etc/passwd", "..", ".", "nul\x00", "Ünï/Ä", "=2e", "CON", "a.b"]
)
async def test_odd_names_stay_inside(room: LocalRoom, client: Any, name: str) -> None:
    data = client.datasets
    await data.create_table_from_data(name=name, data=[{"n": 1}], namespace=[name, "..", "x"])
    await data.create_table_from_data(name=name.upper() + "x", data=[{"n": 2}], namespace=[name, "..", "x"])
    assert name in await data.list_tables(namespace=[name, "..", "x"])
    assert (await data.search(table=name, namespace=[name, "..", "x"])).to_pylist() == [{"n": 1}]
    datasets = [path for path in room.paths.root.rglob("t.*") if path.is_dir()]
    assert len(datasets) == 2
    assert all(path.is_relative_to(room.paths.rooms / "demo" / "datasets") for path in datasets)


async def test_a_token_limited_to_a_table(room: LocalRoom, client: Any) -> None:
    await client.datasets.create_table_from_data(name="seen", data=[{"n": 1}])
    await client.datasets.create_table_from_data(name="hidden", data=[{"n": 1}])
    api: dict[str, Any] = {"dataset": {"tables": [{"name": "seen"}], "list_tables": False}}
    async with room.client("ann", api=api) as ann:
        assert await ann.datasets.count(table="seen") == 1
        for refused in (
            ann.datasets.count(table="hidden"),
            ann.datasets.insert(table="seen", records=pa.table({"n": [2]})),
            ann.datasets.drop_table(name="seen"),
            ann.datasets.sql(query="SELECT * FROM hidden", tables=["hidden"]),
            ann.datasets.execute_sql_statement(query="DELETE FROM seen", tables=["seen"]),
            ann.datasets.create_branch(branch="b"),
            ann.datasets.list_tables(),
        ):
            with pytest.raises(RoomException) as caught:
                await refused
            assert caught.value.code == 1001
    assert await client.datasets.count(table="seen") == 1
