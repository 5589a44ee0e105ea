"""The seam between the hub and the built-in toolkits (messaging, dataset, storage, sync, queues, …).

The hub owns connections, framing and the plumbing of chunks; a toolkit sees one call at a time with its
contents already decoded. Shapes follow the room protocol, section 6.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

PERMISSION_DENIED = 1001
INVALID_REQUEST = 1002
NOT_FOUND = 1003
ALREADY_EXISTS = 1004
CONFLICT = 1005
INVALID_STATE = 1006
OPERATION_FAILED = 1008
TIMEOUT = 1009


class ToolError(Exception):
    """Becomes an `error` content for the caller; `code` is a number of section 6.2."""

    def __init__(self, text: str, *, code: int = INVALID_REQUEST) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


@dataclass(frozen=True, slots=True)
class Content:
    """One content: its JSON header (with `type`) and its binary tail."""

    header: Mapping[str, Any]
    data: bytes = b""

    @property
    def type(self) -> str:
        """`json`, `text`, `empty`, `binary`, `file`, `link`, `raw`, `control` or `error`."""
        return str(self.header.get("type", ""))

    @property
    def json(self) -> dict[str, Any]:
        """The object of a `json` content. Raises `ToolError` for any other content."""
        value = self.header.get("json")
        if self.type != "json" or not isinstance(value, dict):
            raise ToolError(f"expected json content, got {self.type or 'nothing'}")
        return value

    @property
    def headers(self) -> dict[str, Any]:
        """The headers of a `binary` content, or the object of a `json` one (both are used for chunks)."""
        if self.type == "binary":
            value = self.header.get("headers")
            return value if isinstance(value, dict) else {}
        return self.json


EMPTY = Content({"type": "empty"})
OPEN = Content({"type": "control", "method": "open"})


def json_content(value: Mapping[str, Any]) -> Content:
    """A `json` content."""
    return Content({"type": "json", "json": value})


def binary_content(headers: Mapping[str, Any], data: bytes = b"") -> Content:
    """A `binary` content."""
    return Content({"type": "binary", "headers": headers}, data)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: one connection. `room` is the room's name; `api` the token's api scope (section 14). The npm
    client `waits_for_chunks`: it sends the next chunk of a stream once the one before was answered.
    """

    participant_id: str
    name: str
    role: str
    room: str
    api: Mapping[str, Any] = field(default_factory=dict)
    waits_for_chunks: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation. `arguments` is `control/open` when the caller streams its request."""

    caller: Caller
    tool: str
    arguments: Content
    tool_call_id: str | None = None


type Chunks = AsyncIterator[Content]
"""Request chunks of a streamed call, in order; ends when the caller closes its side or disconnects."""

type SendChunk = Callable[[Content], Awaitable[None]]
"""Sends one response chunk; waits while the receiver's queue is full."""


class Toolkit(Protocol):
    """A built-in toolkit of one room.

    Both methods raise `ToolError` for the caller's mistakes. When `stream` returns, the hub sends
    `control/close` 1000; when it raises, `error` and `control/close`. The hub has answered `control/open`
    before `stream` starts, and cancels it when the caller disconnects.
    """

    @property
    def name(self) -> str:
        """The toolkit's name in calls."""
        ...

    @property
    def unary(self) -> frozenset[str]:
        """Names of its plain tools."""
        ...

    @property
    def streamed(self) -> frozenset[str]:
        """Names of its streamed tools."""
        ...

    async def call(self, call: Call) -> Content:
        """Run a plain tool."""
        ...

    async def stream(self, call: Call, chunks: Chunks, send: SendChunk) -> None:
        """Run a streamed tool."""
        ...

    async def close(self) -> None:
        """The room closes: make everything durable."""
        ...
