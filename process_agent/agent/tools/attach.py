"""`chat.attach_file`: a file of the working folder is shown to the people in the thread.

What can be shown is what the sandbox lets commands write, and no more: nothing outside the working folder,
nothing hidden, no link, and none of the folders that are kept from commands.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from process_agent.agent.tools.tool import Call, Scope, Tool, parameters, said, text_argument
from process_agent.core.room_addresses import room_address
from process_agent.core.room_ports import RoomFiles
from process_agent.core.tools import ToolOutput, ToolSpec
from process_agent.errors import ToolFailedError
from process_agent.io.beneath import read_beneath

MAX_FILE = 64 * 1024 * 1024
"""Bytes of a file that is shown."""

MAX_SAME_NAME = 1_000
"""Files of one name that a thread can show."""

SECONDS = 120.0

_ABOUT = (
    "Show a file of the working folder to the people in this conversation, who cannot see the folder: "
    "images, documents, archives, anything they asked for. Returns the address they see it at."
)


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where files may be taken from: below `folder`, and not from the `private` ones. Both are resolved, as
    `workplace` does: what lies below them is opened without following links.
    """

    folder: Path
    private: tuple[Path, ...] = ()
    named: Path | None = None
    """The folder as it was named, perhaps through a link."""

    def of(self, scope: Scope) -> Workplace:
        """That of a turn, which may have a folder of its own."""
        return self if scope.folder in (None, self.named) else workplace(scope.folder, self.private)

    def inside(self, wanted: str) -> PurePosixPath:
        """The path below the folder that is meant. Raises `ToolFailedError` for one that may not be shown."""
        path = PurePosixPath(wanted.strip())
        if path.is_absolute():
            roots = [root for root in (self.folder, self.named) if root and path.is_relative_to(root)]
            if not roots:
                raise ToolFailedError(f"{wanted[:200]} is outside the working folder {self.folder}.")
            path = path.relative_to(roots[0])
        parts = path.parts
        if not parts or ".." in parts or "\0" in wanted:
            raise ToolFailedError(f"{wanted[:200]!r} is not the path of a file in the working folder.")
        if any(part.startswith(".") for part in parts):
            raise ToolFailedError("Hidden files and folders are not shown.")
        whole = self.folder.joinpath(*parts)
        if any(whole.is_relative_to(place) for place in self.private):
            raise ToolFailedError("This file is kept from commands, and is not shown.")
        return path


def workplace(folder: Path, private: Iterable[Path]) -> Workplace:
    """The workplace of an agent, or a turn, that works in `folder`."""
    return Workplace(folder.resolve(), tuple(place.resolve() for place in private), folder)


@dataclass(frozen=True, slots=True)
class Attaching:
    """The tool `attach_file`. Files are kept in the room below `agents/AGENT/files`, by thread."""

    files: RoomFiles
    workplace: Workplace
    agent_name: str

    def tool(self) -> Tool:
        """The tool."""
        path = text_argument("path of the file, absolute or relative to the working folder")
        return Tool(
            ToolSpec("attach_file", _ABOUT, parameters(["path"], path=path)), self._run, seconds=SECONDS
        )

    async def _run(self, call: Call) -> ToolOutput:
        place = self.workplace.of(call.scope)
        path = place.inside(call.text("path"))
        data = await asyncio.to_thread(read_beneath, place.folder, path, MAX_FILE)
        url = await show_file(call, self.files, self.agent_name, path.name, data)
        return said(f"{path} is shown in the conversation as {url} ({len(data):,} bytes).")


async def show_file(call: Call, files: RoomFiles, agent_name: str, name: str, data: bytes) -> str:
    """Keep a file in the room, show it in the thread, and return its address. Raises `RoomError`."""
    thread = hashlib.sha256(call.scope.thread_id.encode()).hexdigest()[:12]
    url = room_address(await store_new(files, f"agents/{agent_name}/files/{thread}", name, data))
    call.show(url)
    return url


async def store_new(files: RoomFiles, folder: str, name: str, data: bytes) -> str:
    """Keep a file in the room under a name that is free; returns its path. Raises `RoomError`."""
    there = {entry.name for entry in await files.list(folder)}
    stem, dot, suffix = name.rpartition(".")
    found = name
    for number in range(2, MAX_SAME_NAME):
        if found not in there:
            break
        found = f"{stem}-{number}.{suffix}" if dot and stem else f"{name}-{number}"
    else:
        raise ToolFailedError(f"There are {MAX_SAME_NAME} files called {name} here already.")
    path = f"{folder}/{found}"
    await files.write(path, data, mime_type=mimetypes.guess_type(name)[0], replace=False)
    return path
