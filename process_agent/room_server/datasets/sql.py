"""SQL over the tables of a room: the tools, and the child process behind each query."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from process_agent.errors import BackendError
from process_agent.io.child import Child, Command
from process_agent.io.tasks import Tasks
from process_agent.room_server.datasets import arrow, engine, requests, sql_wire, streams
from process_agent.room_server.datasets.engine import Outcome
from process_agent.room_server.datasets.names import TableKey
from process_agent.room_server.datasets.tables import Tables
from process_agent.room_server.toolkit import (
    CONFLICT,
    EMPTY,
    NOT_FOUND,
    OPERATION_FAILED,
    TIMEOUT,
    Call,
    Caller,
    Chunks,
    Content,
    SendChunk,
    ToolError,
    binary_content,
    json_content,
)

MAX_QUERY: Final = 64 * 1024
"""Characters of one query."""

MAX_TABLES: Final = 16
"""Tables of one query."""

MAX_OPEN: Final = 8
"""Queries of one room that are open or starting; each is a process of its own."""

MAX_PARAMETERS: Final = 16 * 1024 * 1024
SECONDS: Final = 60.0
"""How long the engine may take for the first answer or the next rows."""

IDLE_SECONDS: Final = 300.0
"""After this time a query nobody reads is closed."""

_MODULE: Final = "process_agent.room_server.datasets.sql_child"
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Statement:
    """What a statement did in the child: rows to append to, or to put in the place of, its target."""

    target: str
    action: str
    rows: int


class Engine:
    """One child process with one query."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._frames = sql_wire.Frames()

    @classmethod
    async def start(cls, request: Mapping[str, Any], parameters: bytes) -> Engine:
        """Start the process and give it its query. Raises `ToolError`."""
        command = Command([sys.executable, "-I", "-m", _MODULE], {"LC_ALL": "C.UTF-8"}, Path("/"))
        try:
            child = await Child.spawn(command)
        except BackendError as error:
            raise ToolError(f"SQL cannot be run here: {error}", code=OPERATION_FAILED) from error
        child.write(sql_wire.frame(sql_wire.REQUEST, json.dumps(request).encode()))
        child.write(sql_wire.frame(sql_wire.PARAMETERS, parameters))
        return cls(child)

    async def next(self) -> tuple[bytes, bytes]:
        """The next frame. Raises `ToolError` for a failed query, an ended child, or too long a wait."""
        try:
            async with asyncio.timeout(SECONDS):
                while (found := self._frames.next()) is None:
                    data = await self._child.read()
                    if not data:
                        raise ToolError("the query needs more memory or time than the room gives it")
                    self._frames.feed(data)
        except TimeoutError:
            raise ToolError(f"the query took longer than {SECONDS:.0f} s", code=TIMEOUT) from None
        kind, payload = found
        if kind == sql_wire.FAILED:
            raise ToolError(str(json.loads(payload)["text"]))
        return kind, payload

    async def stop(self) -> None:
        """End the process."""
        await self._child.stop(grace=0)


@dataclass(slots=True)
class Query:
    """An open query. `timer` closes it when nobody reads."""

    owner: str
    engine: Engine
    schema: pa.Schema
    timer: asyncio.TimerHandle
    reading: bool = False


class Queries:
    """The SQL tools of one room."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._open: dict[str, Query] = {}
        self._starting = 0
        self._tasks = Tasks("sql")

    async def execute(self, call: Call) -> Content:
        """A query that stays open for reading, or a statement that is done when this answers."""
        return await self._execute(call, statements=True, queries=True)

    async def open_query(self, call: Call) -> Content:
        """A query; statements are refused."""
        return await self._execute(call, statements=False, queries=True)

    async def execute_statement(self, call: Call) -> Content:
        """A statement; queries are refused."""
        content = await self._execute(call, statements=True, queries=False)
        return json_content({"rows_affected": content.json["rows_affected"]})

    async def read(self, caller: Caller, chunks: Chunks, send: SendChunk) -> None:
        """The rows of an open query, as they are pulled."""
        fields = (await streams.first_chunk(chunks)).headers
        query_id, query = self._find(caller, fields)
        if query.reading:
            raise ToolError("this query is being read already")
        query.reading = True
        query.timer.cancel()
        sent = False
        try:
            while await streams.pulled(chunks):
                kind, payload = await query.engine.next()
                if kind == sql_wire.END and not sent:
                    payload = arrow.encode_schema(query.schema)
                if payload:
                    await send(binary_content({"kind": "data", "content_type": arrow.MIME}, payload))
                sent = True
                if kind == sql_wire.END:
                    break
        finally:
            await self._close(query_id)

    async def close_query(self, call: Call) -> Content:
        """Forget a query; one that has ended is no error."""
        query_id = requests.text_of(call.arguments.json, "query_id")
        if self._owned(call.caller, query_id) is not None:
            await self._close(query_id)
        return EMPTY

    async def cancel_query(self, call: Call) -> Content:
        """Stop a query."""
        query_id = requests.text_of(call.arguments.json, "query_id")
        if self._owned(call.caller, query_id) is None:
            return json_content({"status": "not_cancellable"})
        await self._close(query_id)
        return json_content({"status": "cancelled"})

    async def close(self) -> None:
        """End all queries."""
        for query_id in list(self._open):
            await self._close(query_id)
        await self._tasks.wait()
        await self._tasks.close()

    # Running

    async def _execute(self, call: Call, *, statements: bool, queries: bool) -> Content:
        fields = call.arguments.headers
        keys = self._tables_of(call.caller, fields)
        for _ in range(_ATTEMPTS):
            versions = {alias: await self._version(key, version) for alias, (key, version) in keys.items()}
            engine_, kind, payload = await self._begin(call, keys, versions)
            if kind == sql_wire.QUERY and queries:
                return self._keep(call.caller, engine_, payload)
            try:
                if kind == sql_wire.QUERY or not statements:
                    wanted = "a query" if queries else "a statement"
                    raise ToolError(f"this tool runs {wanted}; use execute_sql")
                statement = Statement(**json.loads(payload))
                rows = await _collect(engine_)
            finally:
                await engine_.stop()
            if await self._apply(call.caller, keys, versions, statement, rows):
                return json_content({"kind": "statement", "rows_affected": statement.rows})
        raise ToolError("the table kept changing while the statement ran", code=CONFLICT)

    async def _begin(
        self, call: Call, keys: Mapping[str, tuple[TableKey, int | None]], versions: Mapping[str, int]
    ) -> tuple[Engine, bytes, bytes]:
        """A running engine and its first frame."""
        query = requests.text_of(call.arguments.headers, "query")
        if len(query) > MAX_QUERY or len(call.arguments.data) > MAX_PARAMETERS:
            raise ToolError(
                f"a query has at most {MAX_QUERY} characters and {MAX_PARAMETERS} bytes of parameters"
            )
        if len(self._open) + self._starting >= MAX_OPEN:
            raise ToolError(f"a room runs at most {MAX_OPEN} queries at once; close some")
        named = [
            {"alias": alias, "path": str(self._tables.path(key)), "version": versions[alias]}
            for alias, (key, _) in keys.items()
        ]
        self._starting += 1
        try:
            started = await Engine.start({"query": query, "tables": named}, call.arguments.data)
            try:
                kind, payload = await started.next()
            except BaseException:
                await started.stop()
                raise
        finally:
            self._starting -= 1
        return started, kind, payload

    async def _apply(
        self,
        caller: Caller,
        keys: Mapping[str, tuple[TableKey, int | None]],
        versions: Mapping[str, int],
        statement: Statement,
        rows: pa.Table | None,
    ) -> bool:
        """Commit what a statement did; False when the table changed meanwhile."""
        key, version = keys[statement.target]
        requests.require(caller, key, "write")
        if version is not None:
            raise ToolError("an old version cannot be changed; restore it first")
        if rows is None and statement.action == "insert":
            return True
        work = partial(_commit, self._tables.engine, versions[statement.target], statement.action, rows)
        try:
            await self._tables.write(key, work)
        except ToolError as error:
            if error.code == CONFLICT:
                return False
            raise
        return True

    def _tables_of(self, caller: Caller, fields: Mapping[str, Any]) -> dict[str, tuple[TableKey, int | None]]:
        references = fields.get("tables") or []
        if not isinstance(references, list) or len(references) > MAX_TABLES:
            raise ToolError(f"tables must be a list of at most {MAX_TABLES} tables")
        found: dict[str, tuple[TableKey, int | None]] = {}
        for reference in references:
            if not isinstance(reference, dict):
                raise ToolError("a table reference is an object")
            inherited = {name: fields.get(name) for name in ("namespace", "branch")}
            own = {name: value for name, value in reference.items() if value is not None}
            key = requests.table_of({**inherited, **own}, "name")
            requests.require(caller, key, "read")
            alias = requests.optional_text(reference, "alias") or key.name
            found[alias] = (key, requests.version_of(reference))
        return found

    async def _version(self, key: TableKey, version: int | None) -> int:
        return int((await self._tables.open(key, version)).version)

    # Open queries

    def _keep(self, caller: Caller, engine_: Engine, schema: bytes) -> Content:
        query_id = uuid.uuid4().hex
        timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._expire, query_id)
        self._open[query_id] = Query(caller.participant_id, engine_, arrow.decode_schema(schema), timer)
        headers = {"kind": "query", "query_id": query_id, "content_type": arrow.MIME}
        return binary_content(headers, schema)

    def _find(self, caller: Caller, fields: Mapping[str, Any]) -> tuple[str, Query]:
        query_id = requests.text_of(fields, "query_id")
        query = self._owned(caller, query_id)
        if query is None:
            raise ToolError(f"query {query_id!r} does not exist", code=NOT_FOUND)
        return query_id, query

    def _owned(self, caller: Caller, query_id: str) -> Query | None:
        query = self._open.get(query_id)
        return query if query is not None and query.owner == caller.participant_id else None

    def _expire(self, query_id: str) -> None:
        self._tasks.start(self._close(query_id), "close an idle query")

    async def _close(self, query_id: str) -> None:
        query = self._open.pop(query_id, None)
        if query is not None:
            query.timer.cancel()
            await query.engine.stop()


async def _collect(engine_: Engine) -> pa.Table | None:
    """All rows of a statement's answer."""
    parts: list[pa.Table] = []
    size = 0
    while True:
        kind, payload = await engine_.next()
        if kind == sql_wire.END:
            return pa.concat_tables(parts) if parts else None
        size += len(payload)
        if size > streams.MAX_WRITE_BYTES:
            raise ToolError(f"a statement changes tables of at most {streams.MAX_WRITE_BYTES} bytes")
        parts.append(arrow.decode_table(payload))


def _commit(
    lance_engine: engine.Engine,
    version: int,
    action: str,
    rows: pa.Table | None,
    path: Path,
    label: str,
    *,
    watched: bool,
) -> Outcome:
    before = lance_engine.open(path, label)
    if before.version != version:
        raise ToolError("the table changed", code=CONFLICT)
    if action == "insert" and rows is not None:
        return lance_engine.insert(path, label, rows, watched=watched)
    logical = arrow.logical_schema(before.schema)
    stored = arrow.to_physical(arrow.no_rows(logical) if rows is None else rows, logical)
    return lance_engine.overwrite(path, label, stored, watched=watched)
