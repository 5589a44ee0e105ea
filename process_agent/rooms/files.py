"""Stored files of a joined room: the `RoomFiles` port over the published client."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

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

    async def write(self, path: str, data: bytes, *, mime_type: str | None = None) -> None:
        """Write a whole file, replacing one that is there; folders are made."""
        with self._room.request(f"write the file {path}"):
            await self._client.upload(path=path, data=data, overwrite=True, mime_type=mime_type)
