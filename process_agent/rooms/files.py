"""Stored files of a joined room: the `RoomFiles` port over the published client."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from process_agent.core.room_ports import StoredEntry
from process_agent.errors import RoomRequestError
from process_agent.rooms.requests import Room


class StoredFiles:
    """See `core.room_ports.RoomFiles`. A lost connection raises `RoomError`: a write may have landed."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._client = room.client.storage

    async def read(self, path: str, limit: int) -> bytes:
        """The whole file. Raises `RoomRequestError` when it is missing or has more than `limit` bytes; then
        no more than one chunk above the limit was read.
        """
        with self._room.request(f"read the file {path}"):
            found = bytearray()
            chunks: Any = self._client.download_stream(path=path)
            async with aclosing(chunks):
                async for chunk in chunks:
                    size = chunk.headers.get("size") if chunk.headers.get("kind") == "start" else None
                    found += b"" if size is not None else chunk.data
                    if len(found) > limit or (isinstance(size, int | float) and size > limit):
                        raise RoomRequestError(f"The file {path} has more than {limit} bytes.")
            return bytes(found)

    async def list(self, path: str) -> Sequence[StoredEntry]:
        """The entries of a folder, the empty path being the root; a missing one has none."""
        with self._room.request(f"list the folder {path or '/'}"):
            found: Any = await self._client.list(path=path)
        return [StoredEntry(entry.name, bool(entry.is_folder), entry.size) for entry in found]

    async def write(
        self, path: str, data: bytes, *, mime_type: str | None = None, replace: bool = True
    ) -> None:
        """Write a whole file; folders are made. One that is there is replaced, or the write refused."""
        with self._room.request(f"write the file {path}"):
            await self._client.upload(path=path, data=data, overwrite=replace, mime_type=mime_type)

    async def delete(self, path: str) -> None:
        """Remove a file. Raises `RoomRequestError` when it is missing, or a folder that holds something."""
        with self._room.request(f"delete the file {path}"):
            await self._client.delete(path=path)
