"""The `sync` toolkit of the local room: shared Yjs documents (room protocol, section 12)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

from process_agent.io.tasks import Tasks
from process_agent.room_server import grants
from process_agent.room_server.sync_document import Document, Opener
from process_agent.room_server.sync_log import Log
from process_agent.room_server.toolkit import (
    ALREADY_EXISTS,
    EMPTY,
    NOT_FOUND,
    PERMISSION_DENIED,
    Call,
    Caller,
    Chunks,
    Content,
    SendChunk,
    ToolError,
    binary_content,
    json_content,
)

MAX_PATH: Final = 1_024
MAX_OPEN: Final = 1_000
"""Documents of one room that are open at once."""

_TEMPORARY: Final = "tmp://"
"""Documents whose path begins so live while somebody has them open and are not kept on disk."""

type ReadFile = Callable[[str], Awaitable[bytes | None]]
"""Reads a file of the room's storage, None when there is none."""


class SyncToolkit:
    """Documents of one room, kept below `root`.

    A document without a schema of its own takes the one at `schema_path`, or `.schemas/<ending>.json`, read
    from the room's storage through `read_file`.
    """

    def __init__(self, root: Path, *, read_file: ReadFile | None = None) -> None:
        self._root = root
        self._read_file = read_file
        self._open: dict[str, Document] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks = Tasks("sync")

    @property
    def name(self) -> str:
        """The toolkit's name in calls."""
        return "sync"

    @property
    def unary(self) -> frozenset[str]:
        """Names of the plain tools."""
        return frozenset(("create", "describe"))

    @property
    def streamed(self) -> frozenset[str]:
        """Names of the streamed tools."""
        return frozenset(("open",))

    async def call(self, call: Call) -> Content:
        """Run a plain tool. Raises `ToolError`."""
        fields = call.arguments.json
        if call.tool == "create":
            await self._create(call.caller, fields)
            return EMPTY
        if call.tool == "describe":
            return json_content(await self._describe(call.caller, fields))
        raise ToolError(f"the sync toolkit has no tool {call.tool!r}")

    async def stream(self, call: Call, chunks: Chunks, send: SendChunk) -> None:
        """Run `open`. Raises `ToolError`."""
        if call.tool != "open":
            raise ToolError(f"the sync toolkit has no streamed tool {call.tool!r}")
        start = await anext(aiter(chunks), None)
        if start is None or start.headers.get("kind") != "start":
            raise ToolError("the first chunk must be of kind start")
        fields = start.headers
        path = clean_path(fields.get("path"))
        read_only = not require(call.caller, path)
        opener = Opener(read_only=read_only)
        document = await self._join(path, fields, opener)
        try:
            await self._exchange(document, opener, fields, chunks, send)
        finally:
            await self._leave(document, opener)

    async def close(self) -> None:
        """Write what is not on disk yet."""
        await self._tasks.wait()
        for document in list(self._open.values()):
            await document.save()
        await self._tasks.close()

    async def _exchange(
        self,
        document: Document,
        opener: Opener,
        fields: Mapping[str, Any],
        chunks: Chunks,
        send: SendChunk,
    ) -> None:
        vector = fields.get("vector")
        state = document.state(vector if isinstance(vector, str) else None)
        headers = {"kind": "state", "path": document.path, "schema": document.schema}
        await send(binary_content(headers, base64.b64encode(state)))
        error: ToolError | None = None
        async with asyncio.TaskGroup() as group:
            taking = group.create_task(self._take(document, opener, chunks))
            try:
                while (update := await opener.next()) is not None:
                    header = {"kind": "sync", "path": document.path}
                    await send(binary_content(header, base64.b64encode(update)))
            except ToolError as failed:
                error = failed
            taking.cancel()
        if error is not None:
            raise error

    async def _take(self, document: Document, opener: Opener, chunks: Chunks) -> None:
        try:
            async for chunk in chunks:
                if chunk.headers.get("kind") != "sync":
                    raise ToolError("expected a chunk of kind sync")
                if document.apply(chunk.data, opener):
                    self._save_soon(document)
            opener.close()
        except ToolError as error:
            opener.fail(error)

    def _save_soon(self, document: Document) -> None:
        """One save at a time for each document; what comes meanwhile goes into the next."""
        if not document.saving:
            document.saving = True
            self._tasks.start(_save(document), f"save {document.path}")

    # Opening and closing

    async def _join(self, path: str, fields: Mapping[str, Any], opener: Opener) -> Document:
        async with self._lock(path):
            document = self._open.get(path) or await self._load(path)
            if document is None:
                if fields.get("create") is False:
                    raise ToolError(f"document {path!r} does not exist", code=NOT_FOUND)
                if opener.read_only:
                    raise ToolError(f"this token may not create {path!r}", code=PERMISSION_DENIED)
                document = await self._make(path, fields, fields.get("initial_json"))
            if len(self._open) >= MAX_OPEN and path not in self._open:
                raise ToolError(f"a room has at most {MAX_OPEN} documents open")
            self._open[path] = document
            document.openers.add(opener)
            return document

    async def _leave(self, document: Document, opener: Opener) -> None:
        document.openers.discard(opener)
        async with self._lock(document.path):
            if document.openers or self._open.get(document.path) is not document:
                return
            await document.save()
            if not document.openers:
                del self._open[document.path]

    async def _create(self, caller: Caller, fields: Mapping[str, Any]) -> None:
        path = clean_path(fields.get("path"))
        if not require(caller, path):
            raise ToolError(f"this token may not create {path!r}", code=PERMISSION_DENIED)
        async with self._lock(path):
            if path in self._open or await self._load(path) is not None:
                raise ToolError(f"document {path!r} already exists", code=ALREADY_EXISTS)
            await self._make(path, fields, fields.get("json"))

    async def _describe(self, caller: Caller, fields: Mapping[str, Any]) -> dict[str, Any]:
        path = clean_path(fields.get("path"))
        require(caller, path)
        async with self._lock(path):
            document = self._open.get(path) or await self._load(path)
        if document is None:
            raise ToolError(f"document {path!r} does not exist", code=NOT_FOUND)
        return document.describe()

    async def _make(self, path: str, fields: Mapping[str, Any], content: object) -> Document:
        document = Document(path, await self._schema(path, fields), self._log(path))
        if content is not None:
            if not isinstance(content, dict):
                raise ToolError("the first content must be an object or null")
            document.fill(content)
        await document.save()
        return document

    async def _load(self, path: str) -> Document | None:
        log = self._log(path)
        stored = await asyncio.to_thread(log.read) if log is not None else None
        if stored is None:
            return None
        document = Document(path, stored.schema, log)
        document.load(stored.updates, stored.size)
        return document

    async def _schema(self, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        schema = fields.get("schema")
        if isinstance(schema, dict):
            return schema
        place = fields.get("schema_path") or f".schemas/{path.rpartition('.')[2]}.json"
        data = await self._read_file(str(place)) if self._read_file is not None else None
        if data is None:
            raise ToolError(
                f"there is no schema for {path!r}: give one, or store it as {place}", code=NOT_FOUND
            )
        try:
            found = json.loads(data)
        except ValueError as error:
            raise ToolError(f"{place} is not JSON") from error
        if not isinstance(found, dict):
            raise ToolError(f"{place} is not a document schema")
        return found

    def _log(self, path: str) -> Log | None:
        return None if path.startswith(_TEMPORARY) else Log(self._root, path)

    def _lock(self, path: str) -> asyncio.Lock:
        return self._locks.setdefault(path, asyncio.Lock())


async def _save(document: Document) -> None:
    try:
        while document.unsaved:
            await document.save()
    finally:
        document.saving = False


def clean_path(raw: object) -> str:
    """A document's path without leading `/` and `./`. It names a document, never a place on disk."""
    if not isinstance(raw, str):
        raise ToolError("path must be a string")
    path = raw
    while path.startswith(("/", "./")):
        path = path.removeprefix("./").removeprefix("/")
    if not path or len(path) > MAX_PATH or any(ord(char) < 32 for char in path):
        raise ToolError(f"not a document path: {raw[:100]!r}")
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ToolError("the path is not valid Unicode text") from error
    return path


def require(caller: Caller, path: str) -> bool:
    """Whether the token may write the document. Raises `ToolError` 1001 when it may not even read it."""
    paths = grants.require(caller, "sync").get("paths") if caller.api else None
    if paths is None:
        return True
    for grant in paths if isinstance(paths, list) else []:
        if isinstance(grant, Mapping) and grants.matches([grant.get("path")], path):
            return grant.get("read_only") is not True
    raise ToolError(f"this token does not grant sync on {path!r}", code=PERMISSION_DENIED)
