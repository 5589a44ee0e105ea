"""The toolkit `developer` (room protocol, section 13): log lines of participants, passed to who watches.

Nothing is kept. Someone who watches too slowly misses the oldest lines.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

from process_agent.room_server import grants
from process_agent.room_server.toolkit import (
    EMPTY,
    Call,
    Chunks,
    Content,
    SendChunk,
    ToolError,
    binary_content,
)
from process_agent.wire import room_frames

MAX_WAITING_LINES = 1024
"""Most lines that wait for one watcher."""

MAX_LINE_BYTES = 256 * 1024
"""Longest line, as JSON text."""

_LEVELS = frozenset({"info", "warning", "error"})


class _Watcher:
    def __init__(self) -> None:
        self.lines: deque[Content] = deque(maxlen=MAX_WAITING_LINES)
        self.arrived = asyncio.Event()
        self.left = False

    def push(self, line: Content) -> None:
        self.lines.append(line)
        self.arrived.set()

    async def flush(self, send: SendChunk) -> None:
        while self.lines:
            await send(self.lines.popleft())

    async def until_closed(self, chunks: Chunks) -> None:
        async for _ in chunks:
            continue
        self.left = True
        self.arrived.set()


class DeveloperToolkit:
    """The logs of one room."""

    name = "developer"
    unary = frozenset({"log", *_LEVELS})
    streamed = frozenset({"logs"})

    def __init__(self) -> None:
        self._watchers: set[_Watcher] = set()

    async def call(self, call: Call) -> Content:
        """Take a line. Raises `ToolError`."""
        grants.require(call.caller, "developer")
        arguments = call.arguments.json
        type_, data = _line(call.tool, arguments) if call.tool in _LEVELS else _typed(arguments)
        text = room_frames.write_json(data)
        if len(text) > MAX_LINE_BYTES:
            raise ToolError(f"a log line is larger than {MAX_LINE_BYTES} bytes")
        line = binary_content({"type": type_}, text)
        for watcher in self._watchers:
            watcher.push(line)
        return EMPTY

    async def stream(self, call: Call, chunks: Chunks, send: SendChunk) -> None:
        """Send lines until the watcher closes its side."""
        grants.require(call.caller, "developer", "logs")
        watcher = _Watcher()
        self._watchers.add(watcher)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(watcher.until_closed(chunks))
                while not watcher.left:
                    await watcher.arrived.wait()
                    watcher.arrived.clear()
                    await watcher.flush(send)
        finally:
            self._watchers.discard(watcher)

    async def close(self) -> None:
        """Nothing is kept."""


def _line(level: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return level, {"message": arguments.get("message"), "extra": arguments.get("extra")}


def _typed(arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    type_, data = arguments.get("type"), arguments.get("data")
    if not isinstance(type_, str) or not isinstance(data, dict):
        raise ToolError("a log line has a type and an object of data")
    return type_, data
