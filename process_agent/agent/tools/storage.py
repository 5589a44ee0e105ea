"""`--storage`: the files of the room, as tools."""

from __future__ import annotations

import asyncio
import mimetypes
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import unquote

from process_agent.agent.shelf import Shelf
from process_agent.agent.tools.attach import Workplace
from process_agent.agent.tools.cutting import image_url
from process_agent.agent.tools.tool import (
    Arguments,
    Call,
    Need,
    Plan,
    Scope,
    Tool,
    Toolkit,
    parameters,
    said,
    text_argument,
    unplanned,
)
from process_agent.core.content import TextResult
from process_agent.core.ids import ThreadId
from process_agent.core.room_ports import RoomFiles
from process_agent.core.tools import ToolOutput, ToolSpec
from process_agent.errors import ToolFailedError
from process_agent.io.beneath import read_beneath

NAME = "storage"
MAX_FILE = 64 * 1024 * 1024
"""Bytes of a file that is read or written."""

MAX_TEXT = 50_000
"""Characters of a file that are read at a time."""

MAX_ENTRIES = 500
MAX_PATH = 1_000
MAX_WRITTEN = 10_000
"""Files that are remembered as the agent's own."""

_SECONDS = 120.0
_ABOUT = "The files of the room, which its participants share. They are not those of your working folder."


@dataclass(slots=True)
class StorageTools:
    """The toolkit `storage`. A file that this thread wrote itself may be replaced unasked."""

    files: RoomFiles
    workplace: Workplace
    shelf: Shelf | None = None
    read_only: bool = False
    ask_always: bool = False
    _written: OrderedDict[tuple[ThreadId, str], None] = field(default_factory=OrderedDict)

    def toolkit(self) -> Toolkit:
        """The toolkit."""
        path = text_argument("path in the room, like reports/june.md")
        list_ = ToolSpec(
            "list", "List a folder of the room.", parameters([], path=text_argument("folder; empty: all"))
        )
        read = ToolSpec(
            "read",
            "Read a file of the room. Of what is neither text nor an image you get a copy for your commands.",
            parameters(["path"], path=path, offset={"type": "integer", "minimum": 0}),
        )
        tools = [Tool(list_, self._list), Tool(read, self._read, seconds=_SECONDS)]
        if not self.read_only:
            write = ToolSpec(
                "write",
                "Write a file of the room: either text as content, or a file of your working folder.",
                parameters(
                    ["path"],
                    path=path,
                    content=text_argument("the whole text"),
                    file=text_argument("path of a file in your working folder"),
                    replace={"type": "boolean", "description": "whether a file that is there is replaced"},
                ),
            )
            delete = ToolSpec(
                "delete", "Delete a file of the room, for good.", parameters(["path"], path=path)
            )
            tools.append(Tool(write, self._write, self._plan_write, _SECONDS))
            tools.append(Tool(delete, unplanned, self._plan_delete))
        return Toolkit(NAME, _ABOUT, tuple(tools), "Storage")

    async def _list(self, call: Call) -> ToolOutput:
        path = room_path(call.text("path", required=False), folder=True)
        entries = [entry for entry in await self.files.list(path) if not entry.name.startswith(".")]
        lines = [
            f"{entry.name}/" if entry.folder else f"{entry.name} ({entry.size} bytes)" for entry in entries
        ]
        if len(lines) > MAX_ENTRIES:
            lines = [*lines[:MAX_ENTRIES], f"[{len(lines) - MAX_ENTRIES} more are left out.]"]
        return said("\n".join(lines) or f"There is nothing in {path or 'the room'}.")

    async def _read(self, call: Call) -> ToolOutput:
        path = room_path(call.text("path"))
        data = await self.files.read(path, MAX_FILE)
        name = path.rsplit("/", 1)[-1]
        image = image_url(data)
        text = None if image is not None else _as_text(data)
        if text is not None and len(text) <= MAX_TEXT:
            return said(text or f"{path} is empty.")
        copy = ""
        if self.shelf is not None:
            kept = await self.shelf.keep(call.scope.thread_id, f"room:///{path}", name, data)
            copy = f" Commands find a copy at {kept}."
        if text is not None:
            offset = call.number("offset", 0, len(text))
            piece = text[offset : offset + MAX_TEXT]
            where = f"Characters {offset} to {offset + len(piece)} of {len(text)}; go on with offset."
            return said(f"{piece}\n[{where}{copy}]")
        about = f"{path} ({len(data):,} bytes)"
        if image is not None:
            return ToolOutput(TextResult(f"{about} is an image.{copy}"), (image,))
        return said(f"{about} is neither text nor an image that you can look at.{copy}")

    def _plan_write(self, arguments: Arguments, scope: Scope) -> Plan:
        path = _path_of(arguments)
        if arguments.get("replace") is True and (scope.thread_id, path) not in self._written:
            return Plan(self._write, Need("storage.replace", f"replaces {path}, a file of the room."))
        asked = Need("storage.write", f"writes {path}, a file of the room.") if self.ask_always else None
        return Plan(self._write, asked)

    def _plan_delete(self, arguments: Arguments, _: Scope) -> Plan:
        path = _path_of(arguments)

        async def run(call: Call) -> ToolOutput:
            await self.files.delete(path)
            return said(f"{path} is deleted.")

        return Plan(run, Need("storage.delete", f"deletes {path}, a file of the room, for good."))

    async def _write(self, call: Call) -> ToolOutput:
        path, content = room_path(call.text("path")), call.arguments.get("content")
        file = call.text("file", required=False)
        if (content is None) == (not file):
            raise ToolFailedError("Give either content or file.")
        if file:
            place = self.workplace.of(call.scope)
            data = await asyncio.to_thread(read_beneath, place.folder, place.inside(file), MAX_FILE)
        elif isinstance(content, str):
            data = content.encode("utf-8", "replace")
        else:
            raise ToolFailedError("content must be text.")
        replace = call.arguments.get("replace") is True
        kind = mimetypes.guess_type(path)[0]
        await self.files.write(path, data, mime_type=kind, replace=replace)
        self._remember(call.scope.thread_id, path)
        return said(f"{path} is written ({len(data):,} bytes); people find it at room:///{path}.")

    def _remember(self, thread_id: ThreadId, path: str) -> None:
        self._written[thread_id, path] = None
        if len(self._written) > MAX_WRITTEN:
            self._written.popitem(last=False)


def room_path(wanted: str, *, folder: bool = False) -> str:
    """A path of the room's storage as somebody may have written it. Raises `ToolFailedError` for one that is
    hidden, or no path.
    """
    text = wanted.strip()
    if text[:5].lower() == "room:":
        text = unquote(text[5:])
    path = PurePosixPath(text.lstrip("/"))
    parts = path.parts
    if ".." in parts or "\\" in text or not text.isprintable() or len(text) > MAX_PATH:
        raise ToolFailedError(f"{wanted[:200]!r} is not a path in the room.")
    if any(part.startswith(".") for part in parts):
        raise ToolFailedError("Hidden files and folders of the room are its own: they are not for tools.")
    if not parts and not folder:
        raise ToolFailedError("The path of a file is missing.")
    return "/".join(parts)


def _path_of(arguments: Arguments) -> str:
    value = arguments.get("path")
    if not isinstance(value, str):
        raise ToolFailedError("path is missing.")
    return room_path(value)


def _as_text(data: bytes) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
