"""Files of threads on their way out of a room's storage, and into one."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from process_agent.core.room_addresses import is_room_address, path_at, room_address
from process_agent.core.room_ports import RoomFiles
from process_agent.errors import RoomRequestError
from process_agent.threads.kept.lines import FileLine
from process_agent.threads.room_files import folder_of

MAX_FILE: Final = 64 << 20
"""Bytes of a file that is carried; nobody can attach a larger one."""

MAX_FILES: Final = 1 << 30
"""Bytes of all files of one thread."""

_ID: Final = re.compile(r"(?<=uploads/)[0-9a-f]{8}(?=/)|(?<=/files/)[0-9a-f]{12}(?=/)")


@dataclass(slots=True)
class Limits:
    """What may still be carried, and what was left out: why, by path."""

    each: int = MAX_FILE
    together: int = MAX_FILES
    left_out: dict[str, str] = field(default_factory=dict)


async def files_at(files: RoomFiles, paths: Iterable[str], limits: Limits) -> AsyncIterator[FileLine]:
    """The files, one after the other, as far as they are there and not too large. Raises `RoomError` when the
    connection is lost.
    """
    for path in paths:
        try:
            data = await files.read(path, min(limits.each, limits.together))
        except RoomRequestError as error:
            limits.left_out[path] = str(error)
        else:
            limits.together -= len(data)
            yield FileLine(path, data)


class Bringing:
    """Files into the room: each to its own path where that is free or has the same file, else beside it.
    `moved` has the new paths, `written` what was not there before.
    """

    def __init__(self, files: RoomFiles, new_id: Callable[[], str]) -> None:
        self._files = files
        self._new_id = new_id
        self.moved: dict[str, str] = {}
        self.written: list[str] = []

    async def bring(self, line: FileLine) -> None:
        """Write one. Raises `RoomError`."""
        path = line.path
        if await self._is_there(path):
            if await self._has(path, line.data):
                return
            path = self._beside(path)
            self.moved[line.path] = path
        self.written.append(path)
        await self._files.write(path, line.data, replace=False)

    async def _is_there(self, path: str) -> bool:
        folder = folder_of(path)
        name = path.removeprefix(f"{folder}/")
        return any(entry.name == name for entry in await self._files.list(folder))

    async def _has(self, path: str, data: bytes) -> bool:
        try:
            return await self._files.read(path, len(data)) == data
        except RoomRequestError:  # it is larger
            return False

    def _beside(self, path: str) -> str:
        """The same form of path in a folder of its own."""
        fresh = self._new_id().replace("-", "")
        return _ID.sub(lambda found: fresh[: len(found[0])], path, count=1)


def with_addresses(value: Any, moved: Mapping[str, str]) -> Any:
    """A JSON value with the addresses of files as they are now."""
    match value:
        case str() if is_room_address(value) and (path := moved.get(path_at(value))) is not None:
            return room_address(path)
        case dict():
            return {name: with_addresses(each, moved) for name, each in value.items()}
        case list():
            return [with_addresses(each, moved) for each in value]
        case _:
            return value
