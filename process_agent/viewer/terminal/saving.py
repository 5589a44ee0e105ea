"""`/save`: a file that the agent showed, written to the disk of the person at the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

from process_agent.core.images import id_of
from process_agent.core.room_ports import RoomFiles, RoomImages
from process_agent.errors import UsageError
from process_agent.viewer.terminal.commands import Save
from process_agent.viewer.terminal.shown import ShownFile, find, shown_files
from process_agent.viewer.view import ThreadView

MAX_BYTES = 256 * 1024 * 1024
"""Of a file that is saved."""

ROOM = "room://"


@dataclass(frozen=True, slots=True)
class Saving:
    """What files are fetched from; None where the conversation has no such thing."""

    files: RoomFiles | None = None
    images: RoomImages | None = None

    def names(self, view: ThreadView | None) -> list[str]:
        """What can be saved, the newest first."""
        shown = shown_files(() if view is None else view.transcript.turns)
        return list(dict.fromkeys(file.name for file in reversed(shown)))

    async def save(self, command: Save, view: ThreadView | None) -> str:
        """Save a file, and say where. Nothing is written over. Raises `UsageError` for what cannot be saved,
        `RoomError` for what the room does not give.
        """
        if view is None:
            raise UsageError("No thread is open.")
        file = find(command.ref, shown_files(view.transcript.turns))
        target = _target(command.path, file)
        data = await self._data(file.url)
        await asyncio.to_thread(_write, target, data)
        return f"Saved {target} ({len(data):,} bytes)."

    async def _data(self, url: str) -> bytes:
        if url.startswith("data:"):
            return await asyncio.to_thread(_embedded, url)
        if id_of(url) is not None and self.images is not None:
            return (await self.images.read(url, MAX_BYTES)).data
        if url.startswith(ROOM) and self.files is not None:
            return await self.files.read(unquote(url.removeprefix(ROOM)).strip("/"), MAX_BYTES)
        raise UsageError(f"{url[:300]} is not in this room: it is not fetched.")


def _target(path: str, file: ShownFile) -> Path:
    """Where a file goes: into the folder that is named, or the current one, or to the path itself."""
    target = Path(path).expanduser().absolute() if path else Path.cwd()
    if target.is_dir():
        target /= file.name
    _check_free(target)
    if not target.parent.is_dir() or path.endswith("/"):
        raise UsageError(f"There is no folder {target if path.endswith('/') else target.parent}.")
    return target


def _check_free(target: Path) -> None:
    if os.path.lexists(target):
        raise UsageError(
            f"{target} is there already, and is not written over.", fix="Name another path: /save NAME PATH."
        )


def _write(target: Path, data: bytes) -> None:
    try:
        with open(target, "xb") as file:
            try:
                file.write(data)
                file.flush()
            except OSError:
                with contextlib.suppress(OSError):
                    target.unlink()
                raise
    except FileExistsError:
        _check_free(target)
        raise
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}.") from error


def _embedded(url: str) -> bytes:
    import binascii
    from base64 import b64decode

    head, comma, body = url.partition(",")
    try:
        if not comma:
            raise ValueError("it has no content")
        data = unquote_to_bytes(body)
        return b64decode(data, validate=True) if head.endswith(";base64") else data
    except (binascii.Error, ValueError) as error:
        raise UsageError(f"The file came damaged: {error}.") from error
