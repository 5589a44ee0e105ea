"""The `dataset` toolkit: which tool does what (room protocol, section 10)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import lance
import pyarrow as pa

from process_agent.room_server.datasets import (
    arrow,
    endings,
    indexes,
    pictures,
    ranges,
    reading,
    requests,
    streams,
    usage,
    values,
)
from process_agent.room_server.datasets.engine import Outcome
from process_agent.room_server.datasets.maintaining import Maintaining
from process_agent.room_server.datasets.names import MAIN, TableKey
from process_agent.room_server.datasets.sql import Queries
from process_agent.room_server.datasets.tables import Tables
from process_agent.room_server.toolkit import (
    EMPTY,
    Call,
    Caller,
    Chunks,
    Content,
    SendChunk,
    ToolError,
    binary_content,
    json_content,
)

type Unary = Callable[[Call], Awaitable[Content]]

_STREAMS: Final = {
    "create_table": streams.create_table,
    "insert": streams.insert,
    "merge": streams.merge,
    "search": streams.search,
    "watch_table": streams.watch_table,
}


class DatasetToolkit:
    """Tables of one room. `root` is the folder for them; it is made when the first tool is called."""

    def __init__(self, root: Path) -> None:
        self._tables = Tables(root)
        self._queries = Queries(self._tables)
        self._maintaining = Maintaining(self._tables)
        self._unary: dict[str, Unary] = {
            "list_tables": self._list_tables,
            "inspect": self._inspect,
            "stats": self._stats,
            "count": self._count,
            "optimize": self._optimize,
            "add_columns": self._add_columns,
            "drop_columns": self._drop_columns,
            "insert_rows": self._insert_rows,
            "read_rows": self._read_rows,
            "read_end": self._read_end,
            "update": self._update,
            "delete": self._delete,
            "drop_table": self._drop_table,
            "rename_table": self._rename_table,
            "create_index": self._create_index,
            "drop_index": self._drop_index,
            "list_indexes": self._list_indexes,
            "list_versions": self._list_versions,
            "restore": self._restore,
            "list_branches": self._list_branches,
            "create_branch": self._create_branch,
            "delete_branch": self._delete_branch,
            "execute_sql": self._queries.execute,
            "open_sql_query": self._queries.open_query,
            "execute_sql_statement": self._queries.execute_statement,
            "close_sql_query": self._queries.close_query,
            "cancel_sql_query": self._queries.cancel_query,
        }

    @property
    def name(self) -> str:
        """The toolkit's name in calls."""
        return "dataset"

    @property
    def unary(self) -> frozenset[str]:
        """Names of the plain tools."""
        return frozenset(self._unary)

    @property
    def streamed(self) -> frozenset[str]:
        """Names of the streamed tools."""
        return frozenset((*_STREAMS, "read_sql_query"))

    async def call(self, call: Call) -> Content:
        """Run a plain tool. Raises `ToolError`."""
        tool = self._unary.get(call.tool)
        if tool is None:
            raise ToolError(f"the dataset toolkit has no tool {call.tool!r}")
        return await tool(call)

    async def stream(self, call: Call, chunks: Chunks, send: SendChunk) -> None:
        """Run a streamed tool. Raises `ToolError`."""
        if call.tool == "read_sql_query":
            await self._queries.read(call.caller, chunks, send)
            return
        tool = _STREAMS.get(call.tool)
        if tool is None:
            raise ToolError(f"the dataset toolkit has no streamed tool {call.tool!r}")
        await tool(self._tables, call.caller, chunks, send)

    async def picture(self, caller: Caller, image_id: str) -> tuple[bytes, str]:
        """An image of the table `images`; see `pictures.picture`."""
        return await pictures.picture(self._tables, caller, image_id)

    async def usage(self, caller: Caller, agent: str, thread: str) -> dict[str, Any]:
        """What an agent used; see `usage.usage`."""
        return await usage.usage(self._tables, caller, agent, thread)

    async def close(self) -> None:
        """Finish the writes under way and end queries and watches."""
        await self._queries.close()
        await self._tables.close()

    # Tables

    async def _list_tables(self, call: Call) -> Content:
        requests.require_listing(call.caller)
        place = requests.place_of(call.arguments.json)
        return json_content({"tables": await self._tables.run(self._tables.catalog.tables, place)})

    async def _inspect(self, call: Call) -> Content:
        dataset = await self._read(call)
        schema = arrow.logical_schema(dataset.schema)
        return binary_content({"kind": "schema", "content_type": arrow.MIME}, arrow.encode_schema(schema))

    async def _stats(self, call: Call) -> Content:
        dataset = await self._read(call)
        return json_content({"dataset": await self._tables.run(_stats, dataset), "data": {}})

    async def _count(self, call: Call) -> Content:
        chosen = requests.selection_of({**call.arguments.json, "limit": None, "offset": None, "select": None})
        dataset = await self._read(call)
        return json_content({"count": await self._tables.run(reading.count_rows, dataset, chosen)})

    async def _optimize(self, call: Call) -> Content:
        key = self._table(call, "alter")
        config = call.arguments.json.get("config") or {}
        if not isinstance(config, dict):
            raise ToolError("config must be an object or null")
        return json_content(await self._maintaining.optimize(key, config))

    async def _drop_table(self, call: Call) -> Content:
        key = self._table(call, "alter", "name")
        await self._tables.drop(key, ignore_missing=call.arguments.json.get("ignore_missing") is True)
        return EMPTY

    async def _rename_table(self, call: Call) -> Content:
        key = self._table(call, "alter", "name")
        new_name = requests.text_of(call.arguments.json, "new_name")
        requests.require(call.caller, TableKey(key.place, new_name), "alter")
        await self._tables.rename(key, new_name)
        return EMPTY

    # Columns and rows

    async def _add_columns(self, call: Call) -> Content:
        fields = call.arguments.headers
        key = requests.table_of(fields)
        requests.require(call.caller, key, "alter")
        added: pa.Schema | dict[str, str]
        if call.arguments.type == "binary":
            added = streams.checked_schema(arrow.decode_schema(call.arguments.data))
        else:
            added = _pairs(fields.get("columns"), "name", "value_sql")
            streams.checked_schema(pa.schema([(name, pa.null()) for name in added]))

        def work(path: Path, label: str, *, watched: bool) -> Outcome:
            return self._tables.engine.add_columns(path, label, added, watched=watched)

        await self._tables.write(key, work)
        return EMPTY

    async def _drop_columns(self, call: Call) -> Content:
        key = self._table(call, "alter")
        names = requests.names_of(call.arguments.json, "columns")
        if not names:
            raise ToolError("columns must name at least one column")

        def work(path: Path, label: str, *, watched: bool) -> Outcome:
            return self._tables.engine.drop_columns(path, label, names, watched=watched)

        await self._tables.write(key, work, alone=True)  # an index on a column that is gone ruins the table
        return EMPTY

    async def _insert_rows(self, call: Call) -> Content:
        """`insert` without a stream, for callers that have all rows at hand (`wire.room_offers`)."""
        key = requests.table_of(call.arguments.headers)
        requests.require(call.caller, key, "write")
        await streams.insert_rows(self._tables, key, call.arguments.data)
        return EMPTY

    async def _read_rows(self, call: Call) -> Content:
        """Rows by their place, without a stream: see `ranges`."""
        key = self._table(call, "read")
        asked = requests.range_of(call.arguments.json)
        found = await self._tables.rows(key, partial(ranges.by_place, asked))
        return binary_content({"kind": "rows", "total": found.total, "first": found.first}, found.data)

    async def _read_end(self, call: Call) -> Content:
        """The end of a table with the groups in it: see `endings`."""
        key = self._table(call, "read")
        asked = requests.groups_of(call.arguments.json)
        headers, data = await self._tables.rows(key, partial(endings.answer, asked))
        return binary_content(headers, data)

    async def _update(self, call: Call) -> Content:
        key = self._table(call, "write")
        fields = call.arguments.json
        condition = requests.text_of(fields, "where")
        pairs = _pairs(fields.get("values"), "column", "value_json")
        assignments = {name: values.decode_json_text(text) for name, text in pairs.items()}

        def work(path: Path, label: str, *, watched: bool) -> Outcome:
            return self._tables.engine.update(path, label, condition, assignments, watched=watched)

        await self._tables.write(key, work)
        return EMPTY

    async def _delete(self, call: Call) -> Content:
        key = self._table(call, "write")
        condition = requests.text_of(call.arguments.json, "where")

        def work(path: Path, label: str, *, watched: bool) -> Outcome:
            return self._tables.engine.delete(path, label, condition, watched=watched)

        await self._tables.write(key, work)
        return EMPTY

    # Indexes

    async def _create_index(self, call: Call) -> Content:
        key = self._table(call, "alter")
        config = call.arguments.json.get("config")
        if not isinstance(config, dict):
            raise ToolError("config must be an object")
        await self._maintaining.create_index(key, config)
        return EMPTY

    async def _drop_index(self, call: Call) -> Content:
        key = self._table(call, "alter")
        await self._maintaining.drop_index(key, requests.text_of(call.arguments.json, "name"))
        return EMPTY

    async def _list_indexes(self, call: Call) -> Content:
        dataset = await self._read(call)
        return json_content({"indexes": await self._tables.run(indexes.describe, dataset)})

    # Versions and branches

    async def _list_versions(self, call: Call) -> Content:
        dataset = await self._read(call)
        return json_content({"versions": await self._tables.run(_versions, dataset)})

    async def _restore(self, call: Call) -> Content:
        key = self._table(call, "alter")
        version = requests.version_of(call.arguments.json)
        if version is None:
            raise ToolError("restore needs a version")

        def work(path: Path, label: str, *, watched: bool) -> Outcome:
            return self._tables.engine.restore(path, label, version, watched=watched)

        await self._tables.write(key, work)
        return EMPTY

    async def _list_branches(self, call: Call) -> Content:
        requests.require_listing(call.caller)
        place = requests.place_of(call.arguments.json)
        branches = await self._tables.run(self._tables.catalog.branches, place.namespace)
        return json_content({"branches": branches})

    async def _create_branch(self, call: Call) -> Content:
        requests.require_all_tables(call.caller)
        fields = call.arguments.json
        place = requests.place_of({"namespace": fields.get("namespace")})
        branch = requests.text_of(fields, "branch")
        parent = requests.optional_text(fields, "from_branch") or MAIN
        await self._tables.create_branch(place.namespace, branch, parent)
        return EMPTY

    async def _delete_branch(self, call: Call) -> Content:
        requests.require_all_tables(call.caller)
        fields = call.arguments.json
        requests.text_of(fields, "branch")
        await self._tables.delete_branch(requests.place_of(fields))
        return EMPTY

    # Small parts

    def _table(self, call: Call, right: requests.Right, name_field: str = "table") -> TableKey:
        key = requests.table_of(call.arguments.json, name_field)
        requests.require(call.caller, key, right)
        return key

    async def _read(self, call: Call) -> lance.LanceDataset:
        key = self._table(call, "read")
        return await self._tables.open(key, requests.version_of(call.arguments.json))


def _pairs(entries: object, first: str, second: str) -> dict[str, str]:
    """A list of two-string objects as a dictionary."""
    found: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else [None]:
        name, value = (entry.get(first), entry.get(second)) if isinstance(entry, Mapping) else (None, None)
        if not isinstance(name, str) or not isinstance(value, str):
            raise ToolError(f"each entry has the strings {first} and {second}")
        found[name] = value
    return found


def _stats(dataset: lance.LanceDataset) -> dict[str, Any]:
    stats = dict(dataset.stats.dataset_stats())
    return {**stats, "num_rows": dataset.count_rows(), "version": dataset.version}


def _versions(dataset: lance.LanceDataset) -> list[dict[str, Any]]:
    return [
        {
            "version": entry["version"],
            "timestamp": _utc(entry["timestamp"]) if isinstance(entry["timestamp"], datetime) else "",
            "metadata_json": json.dumps(entry["metadata"]),
        }
        for entry in dataset.versions()
    ]


def _utc(moment: datetime) -> str:
    """Lance gives local time without a zone."""
    return moment.astimezone(UTC).isoformat()
