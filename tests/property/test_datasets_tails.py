"""Any order of inserts, other writes, reads, restarts and crashes leaves the rows a plain list would have."""

from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from process_agent.room_server.datasets.arrow import read_own
from process_agent.room_server.datasets.engine import Engine
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.datasets.ranges import MAX_ROWS, Asked, by_place
from process_agent.room_server.datasets.shapes import Shape
from process_agent.room_server.datasets.tables import Tables
from tests.integration.test_datasets_tails import crash

SCHEMA = pa.schema([("id", pa.int64()), ("v", pa.int64())])
KEYS = [TableKey(Place(("a",)), name) for name in ("one", "two")]

which = st.integers(0, 1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), which, st.integers(1, 3)),
        st.tuples(st.just("together"), which, st.integers(2, 5)),
        st.tuples(st.just("race"), which, st.integers(1, 4)),
        st.tuples(st.sampled_from(["read", "merge", "delete", "drop", "watch", "optimize"]), which),
        st.tuples(st.sampled_from(["restart", "crash", "crash in a fold"])),
    ),
    max_size=14,
)


class Checked:
    """The tables beside the lists they must be equal to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tables = Tables(root)
        self.lists: list[list[Any]] = [[], []]
        self.next = 0

    def rows(self, count: int) -> pa.Table:
        ids = range(self.next, self.next + count)
        self.next += count
        return pa.table({"id": list(ids), "v": [0] * count}, schema=SCHEMA)

    async def begin(self) -> None:
        for key in KEYS:
            await self.tables.create(key, SCHEMA.empty_table(), "create_if_not_exists")

    async def step(self, name: str, *values: Any) -> None:
        if values:
            await self._write(name, *values)
            return
        if name == "restart":
            await self.tables.close()
        else:
            if name == "crash in a fold":
                await self._fold_unnoticed()
            await crash(self.tables)
        self.tables = Tables(self.root)

    async def _fold_unnoticed(self) -> None:
        """As far as a fold can be without its end in the log."""
        for number, key in enumerate(KEYS):
            tail = self.tables._tails.get(key)
            if tail is None:
                continue
            async with self.tables._lock(key):
                path, entries = key.path(self.root), list(tail.entries)
                if entries and tail.begun is None:
                    version = Engine().open(path, key.label).version
                    await self.tables._tails.begin(key, tail, version)
                    if number:
                        data = [entry.data for entry in entries]
                        Engine().fold(path, key.label, data, entries[-1].position)

    async def _write(self, name: str, number: int, count: int = 1) -> None:
        key, mine = KEYS[number], self.lists[number]
        if name in ("insert", "together"):
            size = count if name == "insert" else 1
            parts = [self.rows(size) for _ in range(1 if name == "insert" else count)]
            await asyncio.gather(*(self.tables.insert(key, part) for part in parts))
            mine.extend(n for part in parts for n in part["id"].to_pylist())
        elif name == "read":
            await self.check(number)
        elif name == "race":
            await self._race(key, mine, count)
        elif name == "watch":
            async with self.tables.watching(key) as (dataset, watch):
                assert dataset.to_table()["id"].to_pylist() == mine
                await self.tables.insert(key, self.rows(1))
                event = await watch.next()
                assert event is not None
                mine.extend(event.rows["id"].to_pylist())
        elif name == "drop":
            await self.tables.drop(key, ignore_missing=False)
            await self.tables.create(key, SCHEMA.empty_table(), "create")
            mine.clear()
        elif name == "optimize":
            await self.tables.alone(key, lambda path, label: None)
        else:
            await self._change(name, key, mine)

    async def _race(self, key: TableKey, mine: list[Any], count: int) -> None:
        """Reads by place beside inserts and a fold see each row once, and none before an earlier one."""
        parts = [self.rows(1) for _ in range(count)]
        all_rows = mine + [n for part in parts for n in part["id"].to_pylist()]
        reads = [placed(self.tables, key) for _ in range(3)]
        seen = await asyncio.gather(
            reads[0],
            *(self.tables.insert(key, part) for part in parts),
            reads[1],
            self.tables.open(key),
            reads[2],
        )
        for found in (seen[0], seen[count + 1], seen[count + 3]):
            assert isinstance(found, list)
            assert found == all_rows[: len(found)]
            assert len(found) >= len(mine)
        mine[:] = all_rows

    async def _change(self, name: str, key: TableKey, mine: list[Any]) -> None:
        rows, engine = self.rows(1), self.tables.engine

        def merge(path: Path, label: str, *, watched: bool) -> Any:
            return engine.merge(path, label, "id", rows, watched=watched)

        def delete(path: Path, label: str, *, watched: bool) -> Any:
            return engine.delete(path, label, "id % 2 = 0", watched=watched)

        await self.tables.write(key, merge if name == "merge" else delete)
        if name == "merge":
            mine.extend(rows["id"].to_pylist())
        else:
            mine[:] = [n for n in mine if n % 2]

    async def check(self, number: int) -> None:
        assert await placed(self.tables, KEYS[number]) == self.lists[number]
        dataset = await self.tables.open(KEYS[number])
        assert dataset.to_table()["id"].to_pylist() == self.lists[number]


async def placed(tables: Tables, key: TableKey) -> list[Any]:
    """The rows as they are read by place."""
    found = await tables.rows(key, partial(by_place, Asked(("id",), None, MAX_ROWS)))
    ids = read_own(found.data)["id"].to_pylist()
    assert (found.first, found.total) == (0, len(ids))
    return ids


@given(steps)
@example([("insert", 0, 1), ("crash",), ("merge", 0)])
@example([("insert", 0, 1), ("race", 0, 4), ("race", 0, 2)])
@settings(max_examples=40)
def test_rows_are_those_of_a_list(found: list[tuple[Any, ...]]) -> None:
    async def play(root: Path) -> None:
        checked = Checked(root)
        await checked.begin()
        try:
            for step in found:
                await checked.step(*step)
            for number in (0, 1):
                await checked.check(number)
        finally:
            await checked.tables.close()
        again = Tables(root)
        try:
            for number in (0, 1):
                rows = (await again.open(KEYS[number])).to_table()["id"].to_pylist()
                assert rows == checked.lists[number]
        finally:
            await again.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))


scalars: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (pa.bool_(), st.booleans()),
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint64(), st.integers(0, (1 << 64) - 1)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.string(), st.text(max_size=9)),
    (pa.large_string(), st.text(max_size=9)),
    (pa.binary(), st.binary(max_size=9)),
    (pa.timestamp("us", "UTC"), st.integers(-(1 << 40), 1 << 40)),
    (pa.date32(), st.integers(-10_000, 10_000)),
]


@st.composite
def columns(draw: st.DrawFn) -> tuple[Any, st.SearchStrategy[Any]]:
    kind, values = draw(st.sampled_from(scalars))
    shape = draw(st.sampled_from(["plain", "list", "struct", "both"]))
    if shape in ("list", "both"):
        kind, values = pa.list_(kind), st.lists(st.none() | values, max_size=3)
    if shape in ("struct", "both"):
        kind, values = pa.struct([("f", kind)]), st.fixed_dictionaries({"f": st.none() | values})
    return kind, values


@given(st.data())
@settings(max_examples=30)
def test_values_come_back_as_from_lance_itself(data: st.DataObject) -> None:
    kind, values = data.draw(columns())
    parts = data.draw(st.lists(st.lists(st.none() | values, min_size=1, max_size=4), min_size=1, max_size=3))
    schema = pa.schema([pa.field("c", kind)])
    rows = [pa.table({"c": pa.array(part, kind)}, schema=schema) for part in parts]
    assert Shape.of(schema).logged

    async def through(root: Path) -> list[Any]:
        tables = Tables(root)
        await tables.create(KEYS[0], schema.empty_table(), "create")
        for part in rows:
            await tables.insert(KEYS[0], part)
        assert tables._tails.waiting()
        found = (await tables.open(KEYS[0])).to_table()
        await tables.close()
        return found["c"].to_pylist()

    with tempfile.TemporaryDirectory() as folder:
        engine, straight = Engine(), Path(folder, "straight")
        engine.create(straight, schema.empty_table())
        for part in rows:
            engine.insert(straight, "straight", part, watched=False)
        found = asyncio.run(through(Path(folder)))
        assert found == engine.open(straight, "straight").to_table()["c"].to_pylist()
