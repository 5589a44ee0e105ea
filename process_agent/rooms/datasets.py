"""Tables of a joined room: the `Datasets` port over the published client."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal

import pyarrow as pa
from meshagent.api.room_server_client import DatasetIndexConfig, DatasetOptimizeConfig, RoomException

from process_agent.core.content import Json
from process_agent.core.groups import EndFound, GroupsAsked, LastGroups
from process_agent.core.room import (
    ArrowSchema,
    ArrowStream,
    ArrowTable,
    IndexKind,
    Places,
    TableChange,
    TableIndex,
    TableRef,
)
from process_agent.errors import RoomClosedError, RoomError, RoomRequestError
from process_agent.io.backoff import Backoff
from process_agent.io.random_ids import random_uuid
from process_agent.rooms.requests import Room
from process_agent.wire.arrow_ipc import END
from process_agent.wire.room_offers import INSERT_ROWS, READ_END, READ_ROWS

logger = logging.getLogger(__name__)

MAX_AT_ONCE = 16 << 20
"""Bytes of rows that go in one message; more are streamed."""

KEEP_VERSIONS_SECONDS = 24 * 3600.0
"""How long versions of a table are kept; who reads one that is older begins again."""
_RETRY = Backoff()
_NO_ROWS = pa.table({})
_REMOVAL = frozenset(("deleted", "delete", "removed", "remove"))


class RoomDatasets:
    """See `core.room.Datasets`. A lost connection raises `RoomError`: whether a write landed is not known."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._client = room.client.datasets

    @property
    def in_order(self) -> bool:
        """See `core.room.InOrder`: of small inserts, into a room that takes them in one call."""
        return INSERT_ROWS in self._room.connection.offers.tools and self._room.connected

    async def list_tables(self, namespace: tuple[str, ...]) -> Sequence[str]:
        """Names of the tables in a namespace; an unknown namespace has none."""
        with self._room.request("list tables"):
            return list(await self._client.list_tables(namespace=list(namespace) or None))

    async def create(
        self,
        table: TableRef,
        schema: ArrowSchema,
        mode: Literal["create", "create_if_not_exists", "overwrite"],
    ) -> None:
        """Create a table without rows."""
        with self._room.request(f"create the table {table.name}"):
            await self._client.create_table_with_schema(
                name=table.name, schema=_columns(schema), mode=mode, namespace=_namespace(table)
            )

    async def schema(self, table: TableRef) -> ArrowSchema:
        """Columns of a table, with extension types and metadata."""
        with self._room.request(f"inspect the table {table.name}"):
            columns: pa.Schema = await self._client.inspect(table=table.name, namespace=_namespace(table))
            return columns

    async def insert(self, table: TableRef, rows: ArrowTable) -> None:
        """Append rows; durable and visible on return."""
        with self._room.request(f"insert into the table {table.name}"):
            if INSERT_ROWS in self._room.connection.offers.tools:
                stream = rows.ipc_stream() if isinstance(rows, ArrowStream) else _stream_of(rows)
                if len(stream) <= MAX_AT_ONCE:
                    await self._insert_at_once(table, stream)
                    return
            await self._client.insert(table=table.name, records=pa.table(rows), namespace=_namespace(table))

    async def _insert_at_once(self, table: TableRef, stream: bytes) -> None:
        headers: dict[str, Json] = {"table": table.name, "namespace": _names(table), "branch": None}
        call = _call(INSERT_ROWS, {"type": "binary", "headers": headers})
        await self._room.call("room.invoke_tool", call, stream)

    async def read(
        self,
        table: TableRef,
        columns: Sequence[str],
        limit: int,
        *,
        first: int | None = None,
        compact: bool = False,
    ) -> Places | None:
        """Rows by their place; see `core.room.ByPlace`."""
        if READ_ROWS not in self._room.connection.offers.tools:
            return None
        asked: dict[str, Json] = {
            "table": table.name,
            "namespace": _names(table),
            "columns": list(columns),
            "first": first,
            "limit": limit,
            "compact": compact,
        }
        with self._room.request(f"read the table {table.name}"):
            call = _call(READ_ROWS, {"type": "json", "json": asked})
            said, stream = await self._room.call("room.invoke_tool", call)
            return _places(said, stream)

    async def end(self, table: TableRef, asked: GroupsAsked) -> EndFound | None:
        """The end of a table with the groups in it; see `core.groups.ByGroups`."""
        if READ_END not in self._room.connection.offers.tools:
            return None
        fields: dict[str, Json] = {"table": table.name, "namespace": _names(table)}
        for each in dataclasses.fields(asked):
            value = getattr(asked, each.name)
            fields[each.name] = list(value) if isinstance(value, tuple) else value
        with self._room.request(f"read the end of the table {table.name}"):
            call = _call(READ_END, {"type": "json", "json": fields})
            said, stream = await self._room.call("room.invoke_tool", call)
            return _end(said, stream)

    async def merge(self, table: TableRef, rows: ArrowTable, on: str) -> None:
        """Insert rows, replacing those with an equal value in column `on`."""
        with self._room.request(f"merge into the table {table.name}"):
            await self._client.merge(
                table=table.name, on=on, records=pa.table(rows), namespace=_namespace(table)
            )

    async def update(self, table: TableRef, where: str, values: Mapping[str, Json]) -> None:
        """Set columns of the rows that match the SQL condition."""
        with self._room.request(f"update the table {table.name}"):
            await self._client.update(
                table=table.name, where=where, values=_untyped(values), namespace=_namespace(table)
            )

    async def delete(self, table: TableRef, where: str) -> None:
        """Remove the rows that match the SQL condition."""
        with self._room.request(f"delete rows of the table {table.name}"):
            await self._client.delete(table=table.name, where=where, namespace=_namespace(table))

    async def drop(self, table: TableRef) -> None:
        """Remove a table; one that is missing is fine."""
        with self._room.request(f"drop the table {table.name}"):
            await self._client.drop_table(name=table.name, ignore_missing=True, namespace=_namespace(table))

    async def count(self, table: TableRef) -> int:
        """Number of rows."""
        with self._room.request(f"count the table {table.name}"):
            return int(await self._client.count(table=table.name, namespace=_namespace(table)))

    async def search(
        self,
        table: TableRef,
        *,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        offset: int | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[ArrowTable]:
        """Rows in batches, in table order."""
        with self._room.request(f"search the table {table.name}"):
            batches: Any = self._client.search_stream(
                table=table.name,
                where=where,
                select=None if columns is None else list(columns),
                offset=offset,
                limit=limit,
                namespace=_namespace(table),
            )
            async with aclosing(batches):
                async for batch in batches:
                    yield batch

    async def watch(self, table: TableRef) -> AsyncIterator[TableChange]:
        """The current rows, then each change, until the iterator is closed; see the port."""
        delays = _RETRY.delays()
        while True:
            try:
                async for change in self._watch_once(table):
                    yield change
                    delays = _RETRY.delays()
            except (RoomRequestError, RoomClosedError):
                raise
            except RoomError:
                logger.info("watching %s again after a lost connection", table.name)
            await asyncio.sleep(next(delays))
            await self._room.until_connected()

    async def _watch_once(self, table: TableRef) -> AsyncIterator[TableChange]:
        with self._room.request(f"watch the table {table.name}"):
            events: Any = self._client.watch_table(table=table.name, namespace=_namespace(table))
            async with aclosing(events):
                async for event in events:
                    yield TableChange(_kind(event), _NO_ROWS if event.table is None else event.table)

    async def rename(self, table: TableRef, name: str) -> None:
        """Give a table another name in its namespace; see the port."""
        with self._room.request(f"rename the table {table.name}"):
            await self._client.rename_table(name=table.name, new_name=name, namespace=_namespace(table))

    async def add_columns(self, table: TableRef, columns: ArrowSchema) -> None:
        """Add columns, which are null in the rows there are."""
        with self._room.request(f"add columns to the table {table.name}"):
            await self._client.add_columns(
                table=table.name, new_columns=_columns(columns), namespace=_namespace(table)
            )

    async def optimize(
        self,
        table: TableRef,
        *,
        full_at: int | None = None,
        forget_all: bool = False,
        refresh_indexes: bool = True,
    ) -> None:
        """Compact small fragments, and forget old versions; see the port."""
        config = DatasetOptimizeConfig(
            target_rows_per_fragment=full_at,
            optimize_indices=refresh_indexes,
            cleanup_old_versions=True,
            older_than_seconds=0 if forget_all else KEEP_VERSIONS_SECONDS,
            retain_versions=1 if forget_all else None,
        )
        with self._room.request(f"optimize the table {table.name}"):
            await self._client.optimize(table=table.name, namespace=_namespace(table), config=config)

    async def list_indexes(self, table: TableRef) -> Sequence[TableIndex]:
        """The indexes of a table."""
        with self._room.request(f"list the indexes of the table {table.name}"):
            found = await self._client.list_indexes(table=table.name, namespace=_namespace(table))
        return [TableIndex(tuple(each.columns), each.type, each.num_rows_indexed) for each in found]

    async def create_index(self, table: TableRef, column: str, kind: IndexKind) -> None:
        """Index a column; see the port."""
        config = DatasetIndexConfig(column=column, index_type=kind)
        with self._room.request(f"index the column {column} of the table {table.name}"):
            await self._client.create_index(table=table.name, namespace=_namespace(table), config=config)


def _kind(event: Any) -> Literal["current", "ready", "changed", "removed"]:
    """What a watch event says (room protocol, section 10.4)."""
    if event.kind != "data":
        return "ready"
    if event.phase == "initial":
        return "current"
    return "removed" if event.change_type in _REMOVAL else "changed"


def _stream_of(table: ArrowTable) -> bytes:
    """Rows as an Arrow stream. Put together here, it takes a fifth of what a writer takes for a few rows;
    dictionaries, which a writer sends ahead of the rows, are left to one.
    """
    rows = table if isinstance(table, pa.Table) else pa.table(table)
    if any(map(pa.types.is_dictionary, rows.schema.types)):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        return sink.getvalue().to_pybytes()
    return b"".join((rows.schema.serialize(), *(batch.serialize() for batch in rows.to_batches()), END))


def _call(tool: str, arguments: dict[str, Json]) -> dict[str, Json]:
    """A call of a tool of the room that is none of the published protocol."""
    toolkit, name = tool.split(".")
    return {
        "toolkit": toolkit,
        "tool": name,
        "participant_id": None,
        "on_behalf_of_id": None,
        "arguments": arguments,
        "tool_call_id": random_uuid(),
    }


def _places(said: Mapping[str, Json], stream: bytes) -> Places:
    headers = said.get("headers")
    first, total = (headers.get(name) for name in ("first", "total")) if isinstance(headers, dict) else (0, 0)
    rows = _rows(stream)
    if not isinstance(first, int) or not isinstance(total, int):
        raise RoomException("the room does not say which rows these are")
    return Places(rows, first, total)


def _end(said: Mapping[str, Json], stream: bytes) -> EndFound:
    match said.get("headers"):
        case {"total": int(total), "first": int(first), "whole": True}:
            return EndFound(total, first, True, _rows(stream), range(total))
        case {"total": int(total), "first": int(first), "places": [*listed], **more}:
            places = [place for place in listed if isinstance(place, int)]
        case _:
            raise RoomException("the room does not say which rows these are")
    match more.get("groups"):
        case None:
            return EndFound(total, first, False, _rows(stream), places)
        case {
            "start": int(start),
            "at": int(at),
            "ordered": bool(ordered),
            "full": bool(full),
            "cut": bool(cut),
        }:
            shown = LastGroups(start, _rows(stream[at:]), ordered, full, cut)
            return EndFound(total, first, False, _rows(stream[:at]), places, shown)
        case _:
            raise RoomException("the room does not say where the last groups begin")


def _rows(stream: bytes) -> pa.Table:
    try:
        with pa.ipc.open_stream(pa.py_buffer(stream)) as reader:
            return reader.read_all()
    except (pa.ArrowException, OSError) as error:
        raise RoomException(f"the rows cannot be read: {error}") from error


def _namespace(table: TableRef) -> list[str] | None:
    return list(table.namespace) or None


def _names(table: TableRef) -> list[Json] | None:
    return list(table.namespace) or None


def _columns(schema: ArrowSchema) -> pa.Schema:
    imported: Any = schema
    return pa.schema(imported)


def _untyped(values: Mapping[str, Json]) -> Any:
    return dict(values)
