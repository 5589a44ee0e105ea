"""The `storage` toolkit of the local room: files on disk (room protocol, section 11)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote, urlencode

from process_agent.room_server import storage_grants
from process_agent.room_server.storage_files import (
    Files,
    StoredFile,
    clean_path,
    read_pieces,
)
from process_agent.room_server.toolkit import (
    EMPTY,
    INVALID_STATE,
    PERMISSION_DENIED,
    Call,
    Chunks,
    Content,
    SendChunk,
    ToolError,
    binary_content,
    json_content,
)

MAX_FILE: Final = 4 * 1024 * 1024 * 1024
"""Bytes of one file."""

PIECE: Final = 256 * 1024
"""Bytes of one chunk that is asked for in an upload."""

MAX_PIECE: Final = 1024 * 1024
"""Bytes of one chunk of a download, whatever the caller asks for."""

SMALL_FILE: Final = 1024 * 1024
"""Bytes `read_small` reads at most."""

LINK_SECONDS: Final = 3_600
"""How long a download link works."""

DOWNLOAD_HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-store",
}
"""What an answer with a stored file must carry: it comes from anybody, on the origin of Studio."""

type Announce = Callable[[str, dict[str, Any]], Awaitable[None]]
"""Tells all connections of the room: message type, header."""


class StorageToolkit:
    """Files of one room below `root`.

    `public_url` gives the address under which the server answers download links for this room, without a
    slash at its end; it is asked when a link is made.
    """

    def __init__(
        self, root: Path, announce: Announce, *, public_url: Callable[[], str] | None = None
    ) -> None:
        self._files = Files(root)
        self._announce = announce
        self._public_url = public_url
        self._link_key = secrets.token_bytes(32)
        self._starting = asyncio.Lock()
        self._started = False
        self._unary: dict[str, Callable[[Call], Awaitable[Content]]] = {
            "list": self._list,
            "exists": self._exists,
            "stat": self._stat,
            "delete": self._delete,
            "move": self._move,
            "download_url": self._download_url,
        }

    @property
    def name(self) -> str:
        """The toolkit's name in calls."""
        return "storage"

    @property
    def unary(self) -> frozenset[str]:
        """Names of the plain tools."""
        return frozenset(self._unary)

    @property
    def streamed(self) -> frozenset[str]:
        """Names of the streamed tools."""
        return frozenset(("upload", "download"))

    async def call(self, call: Call) -> Content:
        """Run a plain tool. Raises `ToolError`."""
        tool = self._unary.get(call.tool)
        if tool is None:
            raise ToolError(f"the storage toolkit has no tool {call.tool!r}")
        await self._start()
        return await tool(call)

    async def stream(self, call: Call, chunks: Chunks, send: SendChunk) -> None:
        """Run a streamed tool. Raises `ToolError`."""
        await self._start()
        start = await anext(aiter(chunks), None)
        if start is None or start.headers.get("kind") != "start":
            raise ToolError("the first chunk must be of kind start")
        if call.tool == "upload":
            await self._upload(call, start.headers, chunks, send)
        elif call.tool == "download":
            await self._download(call, start.headers, chunks, send)
        else:
            raise ToolError(f"the storage toolkit has no streamed tool {call.tool!r}")

    async def close(self) -> None:
        """Nothing waits here: each answer was on disk when it was given."""

    async def open_signed(self, path: str, expires: str, signature: str) -> StoredFile:
        """The file a download link names, open; the caller closes `file`. Raises `ToolError` 1001 or 3001."""
        wanted = self._sign(path, expires)
        if not hmac.compare_digest(wanted.encode(), signature.encode()) or not expires.isdecimal():
            raise ToolError("this link is not valid", code=PERMISSION_DENIED)
        if int(expires) < time.time():
            raise ToolError("this link has expired", code=PERMISSION_DENIED)
        await self._start()
        return await asyncio.to_thread(self._files.open, clean_path(path))

    async def read_small(self, path: str) -> bytes | None:
        """A small file for the room itself, like a document schema; None when there is none."""
        await self._start()
        try:
            stored = await asyncio.to_thread(self._files.open, clean_path(path))
        except ToolError:
            return None
        with stored.file:
            return await asyncio.to_thread(stored.file.read, SMALL_FILE)

    # Plain tools

    async def _list(self, call: Call) -> Content:
        path = clean_path(call.arguments.json.get("path"))
        scope = storage_grants.scope_of(call.caller)
        entries = await asyncio.to_thread(self._files.entries, path)
        prefix = f"{path}/" if path else ""
        return json_content(
            {"files": [entry for entry in entries if storage_grants.shows(scope, prefix + entry["name"])]}
        )

    async def _exists(self, call: Call) -> Content:
        path = clean_path(call.arguments.json.get("path"))
        storage_grants.require(call.caller, "read", path)
        return json_content({"exists": await asyncio.to_thread(self._files.describe, path) is not None})

    async def _stat(self, call: Call) -> Content:
        path = clean_path(call.arguments.json.get("path"))
        storage_grants.require(call.caller, "read", path)
        entry = await asyncio.to_thread(self._files.describe, path)
        return json_content({"exists": False} if entry is None else {"exists": True, **entry})

    async def _delete(self, call: Call) -> Content:
        path = clean_path(call.arguments.json.get("path"))
        recursive = call.arguments.json.get("recursive") is True
        storage_grants.require(call.caller, "delete", path, subtree=recursive)
        await asyncio.to_thread(lambda: self._files.delete(path, recursive=recursive))
        await self._tell(call, "deleted", {"path": path})
        return EMPTY

    async def _move(self, call: Call) -> Content:
        fields = call.arguments.json
        source, destination = (
            clean_path(fields.get("source_path")),
            clean_path(fields.get("destination_path")),
        )
        overwrite = fields.get("overwrite") is True
        folder = await asyncio.to_thread(self._files.is_folder, source)
        storage_grants.require(call.caller, "read", source, subtree=folder)
        storage_grants.require(call.caller, "delete", source, subtree=folder)
        storage_grants.require(call.caller, "write", destination, subtree=folder)
        await asyncio.to_thread(lambda: self._files.move(source, destination, overwrite=overwrite))
        await self._tell(call, "moved", {"source_path": source, "destination_path": destination})
        return EMPTY

    async def _download_url(self, call: Call) -> Content:
        path = clean_path(call.arguments.json.get("path"))
        storage_grants.require(call.caller, "presign", path)
        if self._public_url is None:
            raise ToolError("this room has no address for download links", code=INVALID_STATE)
        stored = await asyncio.to_thread(self._files.open, path)
        stored.file.close()
        expires = str(int(time.time()) + LINK_SECONDS)
        query = {"expires": expires, "signature": self._sign(path, expires)}
        if call.arguments.json.get("download") is True:
            query["download"] = "1"
        return json_content({"url": f"{self._public_url()}/{quote(path)}?{urlencode(query)}"})

    # Streamed tools

    async def _upload(self, call: Call, start: Mapping[str, Any], chunks: Chunks, send: SendChunk) -> None:
        path = clean_path(start.get("path"))
        storage_grants.require(call.caller, "write", path)
        overwrite = start.get("overwrite") is True
        size, mime_type = start.get("size"), start.get("mime_type")
        if isinstance(size, int) and size > MAX_FILE:
            raise ToolError(f"a file has at most {MAX_FILE} bytes")
        unfinished = await asyncio.to_thread(lambda: self._files.begin(path, overwrite=overwrite))
        try:
            received = await _receive(unfinished, chunks, send)
            if size is not None and received != size:
                raise ToolError(f"{size} bytes were announced and {received} came")
            mime = mime_type if isinstance(mime_type, str) else None
            await asyncio.to_thread(lambda: self._files.finish(unfinished, path, mime, overwrite=overwrite))
        finally:
            await asyncio.to_thread(unfinished.unlink, missing_ok=True)
        await self._tell(call, "updated", {"path": path})

    async def _download(self, call: Call, start: Mapping[str, Any], chunks: Chunks, send: SendChunk) -> None:
        path = clean_path(start.get("path"))
        storage_grants.require(call.caller, "read", path)
        asked = start.get("chunk_size")
        piece = min(max(asked, 1), MAX_PIECE) if isinstance(asked, int) else PIECE
        stored = await asyncio.to_thread(self._files.open, path)
        with stored.file:
            await send(
                binary_content(
                    {"kind": "start", "name": stored.name, "mime_type": stored.mime_type, "size": stored.size}
                )
            )
            pieces = read_pieces(stored.file, stored.size, piece)
            left = stored.size
            while left > 0 and await _pulled(chunks):
                data = await asyncio.to_thread(lambda: next(pieces))
                left -= len(data)
                await send(binary_content({"kind": "data"}, data))

    # Small parts

    async def _tell(self, call: Call, what: str, header: dict[str, Any]) -> None:
        await self._announce(f"storage.file.{what}", {**header, "participant_id": call.caller.participant_id})

    def _sign(self, path: str, expires: str) -> str:
        return hmac.new(self._link_key, f"{expires}\n{path}".encode(), hashlib.sha256).hexdigest()

    async def _start(self) -> None:
        async with self._starting:
            if not self._started:
                await asyncio.to_thread(self._files.start)
                self._started = True


async def _receive(unfinished: Path, chunks: Chunks, send: SendChunk) -> int:
    """Fill a file from the chunks of an upload; returns its bytes."""
    received = 0
    with unfinished.open("wb") as file:
        await send(binary_content({"kind": "pull", "chunk_size": PIECE}))
        async for chunk in chunks:
            if chunk.headers.get("kind") != "data":
                raise ToolError("expected a chunk of kind data")
            received += len(chunk.data)
            if received > MAX_FILE:
                raise ToolError(f"a file has at most {MAX_FILE} bytes")
            await asyncio.to_thread(_write, file, chunk.data)
            await send(binary_content({"kind": "pull", "chunk_size": PIECE}))
    return received


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)


async def _pulled(chunks: Chunks) -> bool:
    async for chunk in chunks:
        if chunk.headers.get("kind") == "pull":
            return True
    return False
