"""Toolkits that others host: listed, and called through the room (room protocol, sections 6 and 7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from meshagent.api.messaging import (
    BinaryContent,
    ErrorContent,
    FileContent,
    JsonContent,
    LinkContent,
    RawOutputsContent,
    TextContent,
)

from process_agent.core.content import Json
from process_agent.core.ids import ParticipantId
from process_agent.core.room_ports import RemoteFile, RemoteResult, RemoteTool, RemoteToolkit
from process_agent.errors import RoomRequestError
from process_agent.rooms.requests import Room

MAX_TOOLKITS = 500
MAX_TOOLS = 500
"""Toolkits of a room and tools of one toolkit that are looked at."""

_BINARY = "application/octet-stream"


class ToolCalls:
    """The calling half of `core.room_ports.Toolkits`."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def listed(self) -> Sequence[RemoteToolkit]:
        """See the port. The published client's own reading gives up at the first odd description."""
        with self._room.request("list its toolkits"):
            answer: Any = await self._room.client.send_request("room.list_toolkits", {})
        tools = answer.json.get("tools") if isinstance(answer, JsonContent) else None
        listed = tools.items() if isinstance(tools, dict) else ()
        return [_toolkit(name, about) for name, about in [*listed][:MAX_TOOLKITS] if isinstance(about, dict)]

    async def call(
        self,
        toolkit: str,
        tool: str,
        arguments: Mapping[str, Json],
        *,
        host: ParticipantId | None,
        limit: int,
        on_text: Callable[[str], None],
    ) -> RemoteResult:
        """See the port."""
        gathered = _Gathered(limit)
        with self._room.request(f"run {toolkit}.{tool}"):
            answer: Any = await self._room.client.invoke(
                toolkit=toolkit, tool=tool, input=dict(arguments), participant_id=host
            )
            if not isinstance(answer, AsyncIterator):
                gathered.add(answer)
                return gathered.result()
            async with aclosing(answer) as stream:  # type: ignore[type-var]  # a generator in truth
                async for content in stream:
                    gathered.add(content)
                    if isinstance(content, TextContent):
                        on_text(content.text)
        return gathered.result()


class _Gathered:
    """What a tool gave back so far."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._texts: list[str] = []
        self._values: list[Json] = []
        self._files: list[RemoteFile] = []
        self._link: str | None = None

    def add(self, content: Any) -> None:
        """One content. Raises `RoomRequestError` for an error in it, and above the limit."""
        self._count(len(str(content.to_json())) + len(content.get_data() or b""))
        match content:
            case ErrorContent():
                raise RoomRequestError(str(content.text), code=content.code)
            case TextContent():
                self._texts.append(str(content.text))
            case JsonContent():
                self._values.append(content.json)
            case LinkContent():
                self._link = str(content.url)
                self._texts.append(f"{content.name}: {content.url}")
            case FileContent():
                self._files.append(RemoteFile(str(content.name), str(content.mime_type), content.data))
            case BinaryContent():
                kind = content.headers.get("content_type") or content.headers.get("mime_type")
                self._files.append(RemoteFile("data", str(kind or _BINARY), content.data))
            case RawOutputsContent():
                self._values.append(list(content.outputs))
            case _:
                pass  # nothing was returned, or a stream ends

    def result(self) -> RemoteResult:
        """All of it."""
        value = self._values[0] if len(self._values) == 1 else (self._values or None)
        return RemoteResult(tuple(self._texts), value, self._link, tuple(self._files))

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > self._limit:
            raise RoomRequestError(f"The result has more than {self._limit} bytes.")


def _toolkit(name: object, about: dict[str, Any]) -> RemoteToolkit:
    host, tools, notes = about.get("participant_id"), about.get("tools"), about.get("annotations")
    listed = [*tools.items()][:MAX_TOOLS] if isinstance(tools, dict) else []
    return RemoteToolkit(
        str(name),
        _text(about, "title"),
        _text(about, "description"),
        tuple(_tool(tool, each) for tool, each in listed if isinstance(each, dict)),
        ParticipantId(host) if isinstance(host, str) and host else None,
        {key: str(value) for key, value in notes.items()} if isinstance(notes, dict) else {},
    )


def _tool(name: object, about: dict[str, Any]) -> RemoteTool:
    spec = about.get("input_spec")
    spec = spec if isinstance(spec, dict) else {}
    schema = spec.get("schema") or about.get("input_schema")
    streamed = spec.get("stream") is True
    return RemoteTool(
        str(name), _text(about, "title"), _text(about, "description"), schema, about.get("defs"), streamed
    )


def _text(about: dict[str, Any], name: str) -> str:
    value = about.get(name)
    return value if isinstance(value, str) else ""
