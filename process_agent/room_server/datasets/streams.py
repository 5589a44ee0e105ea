"""The streamed dataset tools: writes that pull rows, reads that are pulled (room protocol, 10.2 to 10.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from process_agent.room_server.datasets import arrow, engine, reading, requests, values
from process_agent.room_server.datasets.engine import Outcome
from process_agent.room_server.datasets.names import TableKey
from process_agent.room_server.datasets.reading import Selection
from process_agent.room_server.datasets.shapes import Shape
from process_agent.room_server.datasets.tables import Tables
from process_agent.room_server.datasets.watch import Watch
from process_agent.room_server.toolkit import (
    ALREADY_EXISTS,
    Caller,
    Chunks,
    Content,
    SendChunk,
    ToolError,
    binary_content,
    json_content,
)

MAX_WRITE_BYTES: Final = 512 * 1024 * 1024
"""Rows of one write; they are held in memory until the caller closes its side."""

MAX_ROW_WIDTH: Final = 1024 * 1024
"""Bytes a row of nulls takes: vectors of fixed length count in full."""

SMALL_CHUNK: Final = 64 * 1024

MODES: Final = ("create", "overwrite", "create_if_not_exists")
PULL: Final = binary_content({"kind": "pull"})

type Batches = Iterator[list[pa.RecordBatch]]


async def first_chunk(chunks: Chunks) -> Content:
    """The start object. Raises `ToolError` when the caller sends none."""
    async for chunk in chunks:
        if chunk.headers.get("kind") != "start":
            raise ToolError("the first chunk must be of kind start")
        return chunk
    raise ToolError("the stream ended before its start chunk")


async def pulled(chunks: Chunks) -> bool:
    """Wait until the caller takes the next chunk; False when it closed its side."""
    async for chunk in chunks:
        if chunk.headers.get("kind") == "pull":
            return True
    return False


# Writes


async def create_table(tables: Tables, caller: Caller, chunks: Chunks, send: SendChunk) -> None:
    """Make a table from a schema, from rows, or from both."""
    start = await first_chunk(chunks)
    fields = start.headers
    key = requests.table_of(fields, "name")
    requests.require(caller, key, "alter")
    mode = fields.get("mode") or "create"
    if mode not in MODES:
        raise ToolError(f"mode must be one of {', '.join(MODES)}")
    key.path(Path())  # refuses unusable names before rows travel
    if mode != "overwrite" and await tables.run(tables.catalog.exists, key):
        if mode == "create_if_not_exists":
            return
        raise ToolError(f"table {key.label} already exists", code=ALREADY_EXISTS)
    schema = arrow.decode_schema(start.data) if start.data else None
    rows = await _collect(chunks, send, schema)
    if rows is None:
        raise ToolError("a new table needs a schema or rows")
    if schema is None:
        schema = rows.schema
    metadata = requests.metadata_of(fields)
    if metadata:
        schema = schema.with_metadata({**(schema.metadata or {}), **metadata})
    stored = await tables.run(arrow.to_physical, rows, checked_schema(schema))
    await tables.create(key, stored, mode)


async def insert(tables: Tables, caller: Caller, chunks: Chunks, send: SendChunk) -> None:
    """Append rows."""
    start = await first_chunk(chunks)
    key = requests.table_of(start.headers)
    requests.require(caller, key, "write")
    rows = await _collect_for(tables, key, chunks, send)
    if rows is not None:
        await tables.insert(key, rows)


async def merge(tables: Tables, caller: Caller, chunks: Chunks, send: SendChunk) -> None:
    """Update or insert rows by one column."""
    start = await first_chunk(chunks)
    key = requests.table_of(start.headers)
    requests.require(caller, key, "write")
    on = requests.text_of(start.headers, "on")
    rows = await _collect_for(tables, key, chunks, send)
    if rows is not None:
        await tables.write(key, partial(_merge, tables.engine, on, rows))


def _merge(
    lance_engine: engine.Engine, on: str, rows: pa.Table, path: Path, label: str, *, watched: bool
) -> Outcome:
    return lance_engine.merge(path, label, on, rows, watched=watched)


def checked_schema(schema: pa.Schema) -> pa.Schema:
    """A schema a table can have. Raises `ToolError`."""
    if len(schema) == 0:
        raise ToolError("a table needs at least one column")
    if len(schema) > requests.MAX_COLUMNS:
        raise ToolError(f"a table has at most {requests.MAX_COLUMNS} columns")
    if len(set(schema.names)) != len(schema.names):
        raise ToolError("a column is named twice")
    for name in schema.names:
        if not name or name.startswith("_row") or "." in name:
            raise ToolError(f"a column cannot be named {name!r}")
    if sum(arrow.row_width(kind) for kind in schema.types) > MAX_ROW_WIDTH:
        raise ToolError(f"the fixed part of a row has at most {MAX_ROW_WIDTH} bytes")
    return schema


async def insert_rows(tables: Tables, key: TableKey, data: bytes) -> None:
    """Append the rows of one chunk; those of the table's own schema go on as they are. Raises `ToolError`."""
    stored = tables.insert_at_once(key, data) if len(data) <= SMALL_CHUNK else None
    if stored is None:
        await tables.insert(key, await _decoded(data, await tables.shape(key)))
    else:
        await asyncio.shield(stored)


async def _collect_for(tables: Tables, key: TableKey, chunks: Chunks, send: SendChunk) -> pa.Table | None:
    shape = await tables.shape(key)
    return await _collect(chunks, send, shape.logical, shape)


async def _collect(
    chunks: Chunks, send: SendChunk, schema: pa.Schema | None, shape: Shape | None = None
) -> pa.Table | None:
    """Pull rows until the caller has no more, cast for the table with a shape. None: it sent none and there
    is no schema."""
    parts: list[pa.Table] = []
    rows: list[dict[str, values.Value]] = []
    size = 0
    await send(PULL)
    async for chunk in chunks:
        kind = chunk.headers.get("kind")
        if kind == "data":
            part = await _decoded(chunk.data, shape)
            parts.append(part)
            size += part.nbytes
        elif kind == "rows":
            rows.extend(_typed_rows(chunk.headers))
            size += len(str(chunk.headers))
        else:
            raise ToolError(f"unexpected chunk of kind {kind!r}")
        if size > MAX_WRITE_BYTES:
            raise ToolError(f"one write takes at most {MAX_WRITE_BYTES} bytes; use several")
        await send(PULL)
    if rows:
        parts.append(values.rows_to_table(rows, None if shape is None else shape.logical))
    if not parts:
        return arrow.no_rows(schema) if schema is not None else None
    return _joined(parts)


async def _decoded(data: bytes, shape: Shape | None) -> pa.Table:
    """Rows of a chunk, for the table with a schema. Small ones at once: a thread costs more than the work."""
    if len(data) <= SMALL_CHUNK:
        return _decode(data, shape)
    return await asyncio.to_thread(_decode, data, shape)


def _decode(data: bytes, shape: Shape | None) -> pa.Table:
    rows = arrow.decode_table(data)
    return rows if shape is None else arrow.to_physical(rows, shape.logical, shape.physical)


def _joined(parts: list[pa.Table]) -> pa.Table:
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        raise ToolError(f"the chunks of one write differ: {error}") from error


def _typed_rows(payload: dict[str, Any]) -> list[dict[str, values.Value]]:
    rows = payload.get("rows")
    if not isinstance(rows, list):
        raise ToolError("rows must be a list")
    return [_typed_row(row) for row in rows]


def _typed_row(row: object) -> dict[str, values.Value]:
    columns = row.get("columns") if isinstance(row, dict) else None
    if not isinstance(columns, list):
        raise ToolError("a row has a list of columns")
    found: dict[str, values.Value] = {}
    for column in columns:
        name = column.get("name") if isinstance(column, dict) else None
        if not isinstance(name, str):
            raise ToolError("a column has a name")
        found[name] = values.decode_value(column.get("value"))
    return found


# Reads


async def search(tables: Tables, caller: Caller, chunks: Chunks, send: SendChunk) -> None:
    """Rows of a table, in chunks the caller pulls."""
    fields = (await first_chunk(chunks)).headers
    key = requests.table_of(fields)
    requests.require(caller, key, "read")
    chosen = requests.selection_of(fields)
    with tables.reading(key):
        dataset = await tables.open(key, requests.version_of(fields))
        schema, batches = await tables.run(reading.scan, dataset, chosen)
        await send_rows(tables, schema, batches, chunks, send)


async def send_rows(
    tables: Tables, schema: pa.Schema, batches: Iterator[pa.RecordBatch], chunks: Chunks, send: SendChunk
) -> None:
    """Data chunks for each pull; one empty chunk for no rows, so that the columns are known."""
    sized = arrow.sized(batches)
    data = await tables.run(_encode_next, schema, sized)
    if data is None:
        data = arrow.encode_schema(schema)
    while data is not None and await pulled(chunks):
        await send(binary_content({"kind": "data", "content_type": arrow.MIME}, data))
        data = await tables.run(_encode_next, schema, sized)


def _encode_next(schema: pa.Schema, sized: Batches) -> bytes | None:
    batches = next(sized, None)
    return None if batches is None else arrow.encode_batches(schema, [arrow.combine(schema, batches)])


# Watching


class Pulls:
    """Counts the pulls of a caller while something else is waited for."""

    def __init__(self) -> None:
        self._waiting = 0
        self._closed = False
        self._wake = asyncio.Event()

    async def follow(self, chunks: Chunks, watch: Watch) -> None:
        """Read request chunks until the caller closes its side."""
        async for chunk in chunks:
            if chunk.headers.get("kind") == "pull":
                self._waiting += 1
                self._wake.set()
        self._closed = True
        self._wake.set()
        watch.close()

    async def take(self) -> bool:
        """Wait for one pull; False once the caller is gone."""
        while not self._waiting and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        self._waiting -= 1
        return not self._closed


async def watch_table(tables: Tables, caller: Caller, chunks: Chunks, send: SendChunk) -> None:
    """All rows, then every change, until the caller leaves or the table goes away."""
    key = requests.table_of((await first_chunk(chunks)).headers)
    requests.require(caller, key, "read")
    async with tables.watching(key) as (dataset, watch):
        pulls = Pulls()
        async with asyncio.TaskGroup() as group:
            following = group.create_task(pulls.follow(chunks, watch))
            error = await _watch(tables, key, dataset, watch, pulls, send)
            following.cancel()
    if error is not None:
        raise error


async def _watch(
    tables: Tables, key: TableKey, dataset: Any, watch: Watch, pulls: Pulls, send: SendChunk
) -> ToolError | None:
    """Returns, not raises, how the watch ended: a task group would wrap it."""
    try:
        if not await _send_snapshot(tables, key, dataset, pulls, send):
            return None
        while await pulls.take():
            event = await watch.next()
            if event is None:
                return None
            headers = {
                "kind": "data",
                "content_type": arrow.MIME,
                "phase": "delta",
                "change_type": event.change_type,
                "begin_version": event.begin_version,
                "end_version": event.end_version,
            }
            if not await _send_table(event.rows, headers, pulls, send):
                return None
    except ToolError as error:
        return error
    return None


async def _send_snapshot(tables: Tables, key: TableKey, dataset: Any, pulls: Pulls, send: SendChunk) -> bool:
    version = dataset.version
    headers = {"kind": "data", "content_type": arrow.MIME, "phase": "initial", "version": version}
    with tables.reading(key):
        schema, batches = await tables.run(reading.scan, dataset, Selection())
        sized = arrow.sized(batches)
        data = await tables.run(_encode_next, schema, sized)
        if data is None:
            data = arrow.encode_schema(schema)
        while data is not None:
            if not await pulls.take():
                return False
            await send(binary_content(headers, data))
            data = await tables.run(_encode_next, schema, sized)
    if not await pulls.take():
        return False
    await send(json_content({"kind": "ready", "phase": "initial", "version": version}))
    return True


async def _send_table(rows: pa.Table, headers: dict[str, Any], pulls: Pulls, send: SendChunk) -> bool:
    """Send one change, in several events when it is large. The first pull is already taken."""
    taken = True
    for batches in arrow.sized(rows.to_batches()):
        if not taken and not await pulls.take():
            return False
        taken = False
        data = arrow.encode_batches(rows.schema, [arrow.combine(rows.schema, batches)])
        await send(binary_content(headers, data))
    return True
