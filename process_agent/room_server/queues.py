"""The toolkit `queues` (room protocol, section 13): named, durable, first in first out.

A message is handed to exactly one receiver, at most once. Receivers that wait are served in the order they
came.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from process_agent.room_server import grants
from process_agent.room_server.queue_store import MAX_MESSAGE_BYTES, MAX_MESSAGES, MAX_QUEUES, QueueStore
from process_agent.room_server.toolkit import (
    EMPTY,
    INVALID_STATE,
    Call,
    Chunks,
    Content,
    SendChunk,
    ToolError,
    json_content,
)
from process_agent.wire import room_frames

QUEUE_NOT_FOUND = 5001

MAX_NAME_LENGTH = 256
"""Longest queue name, in characters."""


class QueueToolkit:
    """The queues of one room, kept below `root`."""

    name = "queues"
    unary = frozenset({"list", "open", "drain", "close", "send", "receive"})
    streamed: frozenset[str] = frozenset()

    def __init__(self, root: Path) -> None:
        self._store = QueueStore(root / "queues.sqlite")
        self._receivers: defaultdict[str, deque[asyncio.Future[bool]]] = defaultdict(deque)

    async def call(self, call: Call) -> Content:
        """Run a tool. Raises `ToolError`."""
        if call.tool == "list":
            grants.require(call.caller, "queues", "list")
            sizes = self._store.sizes()
            return json_content({"queues": [{"name": name, "size": size} for name, size in sizes.items()]})
        arguments = call.arguments.json
        name = _name(arguments)
        direction = "send" if call.tool == "send" else "receive"
        grants.require_listed(call.caller, "queues", direction, name)
        if call.tool == "receive":
            return await self._receive(name, arguments)
        if call.tool == "open":
            self._create(name)
        elif call.tool == "send":
            self._send(name, arguments)
        elif call.tool == "drain":
            self._require(name)
            self._store.drain(name)
        elif call.tool == "close":
            self._close_queue(name)
        return EMPTY

    async def stream(self, call: Call, chunks: Chunks, send: SendChunk) -> None:
        """No tool of this toolkit is streamed."""
        raise ToolError(f"queues.{call.tool} is not streamed")

    async def close(self) -> None:
        """Close the file."""
        self._store.close()

    def _send(self, name: str, arguments: Mapping[str, Any]) -> None:
        self._open(name, arguments)
        message = arguments.get("message")
        if not isinstance(message, dict | str):
            raise ToolError("a queue message is an object or a text")
        body = room_frames.write_json(message)
        if len(body) > MAX_MESSAGE_BYTES:
            raise ToolError(f"a queue message is larger than {MAX_MESSAGE_BYTES} bytes")
        if self._store.size(name) >= MAX_MESSAGES:
            raise ToolError(f"queue {name!r} is full: {MAX_MESSAGES} messages", code=INVALID_STATE)
        self._store.put(name, body)
        self._wake(name)

    async def _receive(self, name: str, arguments: Mapping[str, Any]) -> Content:
        self._open(name, arguments)
        if not self._receivers.get(name):
            body = self._store.take(name)
            if body is not None:
                return _content(body)
        if arguments.get("wait", True) is not True:
            return EMPTY
        while True:
            await self._turn(name)
            # Nothing is awaited from here to the answer, so a message taken is a message sent.
            self._require(name)
            body = self._store.take(name)
            if body is not None:
                return _content(body)

    async def _turn(self, name: str) -> None:
        """Wait in line for a message. One who leaves with the turn in hand passes it on."""
        turn = asyncio.get_running_loop().create_future()
        self._receivers[name].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._wake(name)
            raise
        finally:
            line = self._receivers[name]
            if turn in line:
                line.remove(turn)
            if not line:
                del self._receivers[name]

    def _wake(self, name: str) -> None:
        waiting = self._receivers.get(name)
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(True)
                return

    def _close_queue(self, name: str) -> None:
        self._require(name)
        self._store.drop(name)
        for turn in list(self._receivers.get(name, ())):
            if not turn.done():
                turn.set_result(True)

    def _open(self, name: str, arguments: Mapping[str, Any]) -> None:
        if arguments.get("create", True) is True:
            self._create(name)
        else:
            self._require(name)

    def _create(self, name: str) -> None:
        if self._store.exists(name):
            return
        if len(self._store.sizes()) >= MAX_QUEUES:
            raise ToolError(f"the room has {MAX_QUEUES} queues", code=INVALID_STATE)
        self._store.create(name)

    def _require(self, name: str) -> None:
        if not self._store.exists(name):
            raise ToolError(f"there is no queue {name!r}", code=QUEUE_NOT_FOUND)


def _name(arguments: Mapping[str, Any]) -> str:
    name = arguments.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH:
        raise ToolError(f"a queue's name has 1 to {MAX_NAME_LENGTH} characters")
    return name


def _content(body: bytes) -> Content:
    message = room_frames.read_json(body)
    return json_content(message) if isinstance(message, dict) else Content({"type": "text", "text": message})
