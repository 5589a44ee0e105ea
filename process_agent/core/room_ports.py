"""Further ports of a joined room: queues, stored files and hosted toolkits.

`core.room` has messaging and datasets. Every method here raises `RoomRequestError` when the room refuses it
and `RoomError` when the connection was lost and the outcome is not known.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from process_agent.core.content import Json
from process_agent.core.participants import Participant


class Queues(Protocol):
    """Queues of the room: what is sent to one name is received once, by one receiver."""

    async def receive(self, name: str) -> Json:
        """Take the next item, waiting for one without a limit, lost connections included; the queue is made
        if it is missing.

        The item is gone from the queue on return. Cancelled, it takes nothing: an item that comes all the
        same goes back to the end of the queue.
        """
        ...

    async def send(self, name: str, message: Json) -> None:
        """Append an item, an object or a text; the queue is made if it is missing."""
        ...


class RoomFiles(Protocol):
    """Files of the room's storage. Paths are relative to its root, with `/` between the parts."""

    async def read(self, path: str, limit: int) -> bytes:
        """The whole file. Raises `RoomRequestError` when it is missing or has more than `limit` bytes."""
        ...

    async def write(self, path: str, data: bytes, *, mime_type: str | None = None) -> None:
        """Write a whole file, replacing one that is there; folders are made."""
        ...


@dataclass(frozen=True, slots=True)
class ToolCaller:
    """Who called a hosted tool, and for whom; only agents and tools call for others. The participants are
    None when the room does not show them in its roster.
    """

    participant_id: str
    participant: Participant | None = None
    on_behalf_of: Participant | None = None


type ToolHandler = Callable[[ToolCaller, Mapping[str, Json]], Awaitable[str]]
"""Runs a tool with its arguments and returns text. A `ToolFailedError` is told to the caller as it is. The
task is cancelled when the caller goes away or the toolkit is withdrawn.
"""


@dataclass(frozen=True, slots=True)
class HostedTool:
    """A tool other participants can call. `schema` is the JSON schema of its arguments."""

    name: str
    title: str
    description: str
    schema: Mapping[str, Json]
    handler: ToolHandler


@dataclass(frozen=True, slots=True)
class HostedToolkit:
    """Tools under one name, listed for everybody in the room."""

    name: str
    title: str
    description: str = ""
    tools: tuple[HostedTool, ...] = field(default=())


class Toolkits(Protocol):
    """Lets other participants call us."""

    async def host(self, toolkit: HostedToolkit) -> Callable[[], Awaitable[None]]:
        """Register a public toolkit and answer its calls, side by side, until the returned function is
        awaited. A connection that is lost and taken up again registers it again.
        """
        ...
