"""Tables in memory behind the `Datasets` port, with failures on demand."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import eq, ge, le, lt
from typing import Any, Literal

import pyarrow as pa

from process_agent.core.content import Json
from process_agent.core.room import (
    ArrowSchema,
    ArrowTable,
    IndexKind,
    Places,
    TableChange,
    TableIndex,
    TableRef,
)
from process_agent.errors import RoomError, RoomRequestError

_TERM = re.compile(r"(\w+) (=|>=|<=|<) ((?:timestamp )?'(?:[^']|'')*'|-?\d+)")
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_ODD = re.compile(r"(\w+) (?:(IS NULL)|NOT LIKE '%([^%']+)')")
_LISTED = re.compile(r"(\w+) IN \((.*)\)")


class MemoryDatasets:
    """`calls` lists the operations; `failures` are raised by the next writes, one each.

    A failure in `after` is raised once the write is done, as when the connection dies before the answer.
    """

    def __init__(self) -> None:
        self.tables: dict[TableRef, pa.Table] = {}
        self.indexes: dict[TableRef, dict[str, TableIndex]] = {}
        self.calls: list[tuple[str, str]] = []
        self.failures: list[RoomError] = []
        self.after: list[RoomError] = []
        self.watches: dict[TableRef, list[asyncio.Queue[TableChange | RoomError]]] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self._done = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until an operation has made the condition true."""
        async with asyncio.timeout(10):
            while not condition():
                self._done.clear()
                await self._done.wait()

    def rows(self, table: TableRef) -> list[dict[str, Any]]:
        return self._table(table).to_pylist()

    def thread(self, path: str) -> list[dict[str, Any]]:
        """The rows of a thread, by its path."""
        *namespace, name = path.removeprefix("dataset://").split("/")
        return self.rows(TableRef(name, tuple(namespace)))

    async def list_tables(self, namespace: tuple[str, ...]) -> Sequence[str]:
        return [ref.name for ref in self.tables if ref.namespace == namespace]

    async def create(
        self,
        table: TableRef,
        schema: ArrowSchema,
        mode: Literal["create", "create_if_not_exists", "overwrite"],
    ) -> None:
        self._note("create", table)
        exists = table in self.tables
        if exists and mode == "create":
            raise RoomRequestError("table exists", code=1004)
        if not exists or mode == "overwrite":
            columns: Any = schema
            self.tables[table] = pa.schema(columns).empty_table()

    async def schema(self, table: TableRef) -> ArrowSchema:
        columns: pa.Schema = self._table(table).schema
        return columns

    async def insert(self, table: TableRef, rows: ArrowTable) -> None:
        self._note("insert", table)
        await self._write()
        before = self._table(table)
        added = pa.table(rows)
        if set(added.column_names) != set(before.column_names):
            raise RoomRequestError("the rows have other columns than the table", code=1002)
        added = added.select(before.column_names)
        assert added.schema.equals(before.schema, check_metadata=True)
        self.tables[table] = pa.concat_tables([before, added])
        if self.watches.get(table):  # Arrow looks for time zone packages at every value
            self._tell(table, "changed", added.to_pylist())
        self._written()

    async def merge(self, table: TableRef, rows: ArrowTable, on: str) -> None:
        self._note("merge", table)
        await self._write()
        before, new = self._table(table), pa.table(rows).to_pylist()
        replaced = {row[on] for row in new}
        kept = [row for row in before.to_pylist() if row[on] not in replaced]
        self.tables[table] = pa.Table.from_pylist(kept + new, schema=before.schema)
        self._tell(table, "changed", new)
        self._written()

    async def update(self, table: TableRef, where: str, values: Mapping[str, Json]) -> None:
        self._note("update", table)
        before = self._table(table)
        rows = [{**row, **values} if _matches(row, where) else row for row in before.to_pylist()]
        self.tables[table] = pa.Table.from_pylist(rows, schema=before.schema)
        self._tell(table, "changed", [row for row in rows if _matches(row, where)])

    async def delete(self, table: TableRef, where: str) -> None:
        self._note("delete", table)
        before = self._table(table)
        rows = [row for row in before.to_pylist() if not _matches(row, where)]
        self.tables[table] = pa.Table.from_pylist(rows, schema=before.schema)
        self._tell(table, "removed", [row for row in before.to_pylist() if _matches(row, where)])

    async def drop(self, table: TableRef) -> None:
        self._note("drop", table)
        self.tables.pop(table, None)

    async def count(self, table: TableRef) -> int:
        self._note("count", table)
        return int(self._table(table).num_rows)

    async def search(
        self,
        table: TableRef,
        *,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        offset: int | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[ArrowTable]:
        self._note("search", table)
        found = self._table(table)
        if where is not None:
            mask = [_matches(row, where) for row in found.to_pylist()]
            found = found.filter(pa.array(mask, pa.bool_()))
        found = found.slice(offset or 0, limit)
        if columns is not None:
            found = found.select(list(columns))
        for start in range(0, found.num_rows, 100):
            yield found.slice(start, 100)

    async def watch(self, table: TableRef) -> AsyncIterator[TableChange]:
        self._note("watch", table)
        current, events = self._table(table), asyncio.Queue[TableChange | RoomError]()
        self.watches.setdefault(table, []).append(events)
        try:
            yield TableChange("current", current)
            yield TableChange("ready", current.slice(0, 0))
            while not isinstance(event := await events.get(), RoomError):
                yield event
            raise event
        finally:
            self.watches[table].remove(events)

    def _tell(self, table: TableRef, kind: Literal["changed", "removed"], rows: list[dict[str, Any]]) -> None:
        """Watches hear of rows, as the room's do."""
        for events in self.watches.get(table, ()) if rows else ():
            events.put_nowait(TableChange(kind, pa.Table.from_pylist(rows, schema=self._table(table).schema)))

    async def rename(self, table: TableRef, name: str) -> None:
        self._note("rename", table)
        there, new = self._table(table), TableRef(name, table.namespace)
        if new in self.tables:
            raise RoomRequestError("table exists", code=1004)
        del self.tables[table]
        self.tables[new] = there

    async def add_columns(self, table: TableRef, columns: ArrowSchema) -> None:
        self._note("add columns", table)
        added: Any = columns
        there = self._table(table)
        for field in pa.schema(added):
            there = there.append_column(field, pa.nulls(there.num_rows, field.type))
        self.tables[table] = there

    async def optimize(
        self,
        table: TableRef,
        *,
        full_at: int | None = None,
        forget_all: bool = False,
        refresh_indexes: bool = True,
    ) -> None:
        self._note("optimize", table)
        if refresh_indexes:
            rows = self._table(table).num_rows
            there = self.indexes.get(table, {})
            there.update({column: replace(index, rows=rows) for column, index in there.items()})

    async def list_indexes(self, table: TableRef) -> Sequence[TableIndex]:
        self._note("list indexes", table)
        self._table(table)
        return list(self.indexes.get(table, {}).values())

    async def create_index(self, table: TableRef, column: str, kind: IndexKind) -> None:
        self._note("create index", table)
        rows = self._table(table).num_rows
        self.indexes.setdefault(table, {})[column] = TableIndex((column,), kind, rows)

    def _table(self, table: TableRef) -> pa.Table:
        if table not in self.tables:
            raise RoomRequestError(f"table {table.name} does not exist", code=1003)
        return self.tables[table]

    def _note(self, what: str, table: TableRef) -> None:
        self.calls.append((what, table.name))
        self._done.set()

    async def _write(self) -> None:
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)

    def _written(self) -> None:
        self._done.set()
        if self.after:
            raise self.after.pop(0)


class PlacedDatasets(MemoryDatasets):
    """Tables that can be read by place, `most` rows at a time."""

    def __init__(self, most: int = 1_000) -> None:
        super().__init__()
        self.most = most

    async def read(
        self,
        table: TableRef,
        columns: Sequence[str],
        limit: int,
        *,
        first: int | None = None,
        compact: bool = False,
    ) -> Places | None:
        self._note("read", table)
        found, limit = self._table(table), min(limit, self.most)
        first = max(0, found.num_rows - limit) if first is None else min(first, found.num_rows)
        rows = found.slice(first, limit).select(list(columns))
        for index, field in enumerate(rows.schema):
            if compact and pa.types.is_string(field.type):
                rows = rows.set_column(index, field.name, rows.column(index).dictionary_encode())
        return Places(rows, first, found.num_rows)


def _matches(row: Mapping[str, Any], where: str) -> bool:
    return any(_matches_all(row, either) for either in where.split(" OR "))


def _matches_all(row: Mapping[str, Any], where: str) -> bool:
    for term in where.split(" AND "):
        if (listed := _LISTED.fullmatch(term)) is not None:
            literals = _LITERAL.findall(listed[2])
            if row[listed[1]] not in [literal[1:-1].replace("''", "'") for literal in literals]:
                return False
            continue
        if (odd := _ODD.fullmatch(term)) is not None:
            cell = row[odd[1]]
            if (cell is not None) if odd[2] else (cell is None or cell.endswith(odd[3])):
                return False
            continue
        found = _TERM.fullmatch(term)
        assert found is not None, where
        name, operator, literal = found.groups()
        value = _value(literal)
        cell = row[name]
        if cell is None:
            return False
        if not {"=": eq, ">=": ge, "<=": le, "<": lt}[operator](cell, value):
            return False
    return True


def _value(literal: str) -> str | int | datetime:
    if literal.startswith("timestamp "):
        return datetime.fromisoformat(literal.removeprefix("timestamp ").strip("'"))
    return literal[1:-1].replace("''", "'") if literal.startswith("'") else int(literal)
