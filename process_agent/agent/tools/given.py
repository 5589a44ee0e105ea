"""What tools of somebody else give back: kept in the room, shown to people, told to the model."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass

from process_agent.agent.shelf import Shelf, plain_name
from process_agent.agent.tools.attach import show_file
from process_agent.agent.tools.cutting import image_url
from process_agent.agent.tools.tool import Call
from process_agent.core.content import EmptyResult, JsonResult, TextResult, ToolResult
from process_agent.core.ids import ParticipantId
from process_agent.core.participants import Participant
from process_agent.core.room_ports import RemoteFile, RemoteResult, RoomFiles, Toolkits
from process_agent.core.store import ThreadStore
from process_agent.core.tools import ToolOutput

MAX_FILES = 8
"""Files of one result that are kept."""


@dataclass(frozen=True, slots=True)
class ToolRoom:
    """What tools use of the room; None where it has no such thing."""

    files: RoomFiles | None = None
    toolkits: Toolkits | None = None
    shelf: Shelf | None = None
    who: Callable[[ParticipantId], Participant | None] = lambda _id: None
    agent_name: str = "agent"
    store: ThreadStore | None = None


async def output_of(call: Call, room: ToolRoom, result: RemoteResult) -> ToolOutput:
    """What a tool of somebody else gave back: images for the model to look at, files kept and shown."""
    notes, images = list(result.texts), list[str]()
    for file in result.files[:MAX_FILES]:
        url = image_url(file.data)
        if url is not None:
            images.append(url)
        notes.append(await _keep(call, room, file))
    if len(result.files) > MAX_FILES:
        notes.append(f"[{len(result.files) - MAX_FILES} more files are left out.]")
    if result.json is not None and notes:
        notes.append(json.dumps(result.json, ensure_ascii=False, default=str))
    found: ToolResult = TextResult("\n".join(notes)) if notes else EmptyResult()
    if not notes and result.json is not None:
        found = JsonResult(result.json)
    return ToolOutput(found, tuple(images))


async def _keep(call: Call, room: ToolRoom, file: RemoteFile) -> str:
    """Show a file to people, keep a copy for commands, and say so."""
    name = _file_name(file)
    said = f"The file {name} ({file.mime_type[:100]}, {len(file.data):,} bytes)"
    if room.files is not None:
        url = await show_file(call, room.files, room.agent_name, name, file.data)
        said += f" is shown in the conversation as {url}"
    if room.shelf is not None:
        origin = f"tool:{call.ref.item_id}"
        try:
            path = await room.shelf.keep(call.scope.thread_id, origin, name, file.data)
        except OSError as error:
            return f"[{said}. It cannot be kept for commands: {error.strerror}.]"
        said += f", and commands find it at {path}" if " is shown" in said else f" is at {path}"
    return f"[{said}.]"


def _file_name(file: RemoteFile) -> str:
    name = plain_name(file.name)
    if "." in name:
        return name
    kind = file.mime_type.partition(";")[0].strip().lower()
    return f"{name}{mimetypes.guess_extension(kind) or ''}"
