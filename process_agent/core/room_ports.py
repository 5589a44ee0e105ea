"""Further ports of a joined room: queues, stored files and hosted toolkits.

`core.room` has messaging and datasets. Every method here raises `RoomRequestError` when the room refuses it
and `RoomError` when the connection was lost and the outcome is not known.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from process_agent.core.content import Json
from process_agent.core.ids import ParticipantId, ThreadId
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


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One entry of a folder; `size` in bytes, None for folders and where the room does not say."""

    name: str
    folder: bool
    size: int | None = None


class RoomFiles(Protocol):
    """Files of the room's storage. Paths are relative to its root, with `/` between the parts."""

    async def list(self, path: str) -> Sequence[StoredEntry]:
        """The entries of a folder, the empty path being the root; a missing one has none."""
        ...

    async def read(self, path: str, limit: int) -> bytes:
        """The whole file. Raises `RoomRequestError` when it is missing or has more than `limit` bytes."""
        ...

    async def write(
        self, path: str, data: bytes, *, mime_type: str | None = None, replace: bool = True
    ) -> None:
        """Write a whole file; folders are made. One that is there is replaced, or the write refused."""
        ...

    async def delete(self, path: str) -> None:
        """Remove a file. Raises `RoomRequestError` when it is missing, or a folder that holds something."""
        ...


@dataclass(frozen=True, slots=True)
class RoomImage:
    """An image with its MIME type."""

    data: bytes = field(repr=False)
    mime_type: str


class RoomImages(Protocol):
    """Images that the room keeps, each under an address like `dataset://images?id=…`. Every method raises
    `RoomRequestError` when the room refuses it.
    """

    async def keep(self, image: RoomImage, thread_id: ThreadId) -> str:
        """Store an image that was made in a thread; returns its address."""
        ...

    async def read(self, address: str, limit: int) -> RoomImage:
        """The image at an address; refused when there is none, or it has more than `limit` bytes."""
        ...

    async def remove(self, addresses: Sequence[str]) -> None:
        """Remove those of these images that we made; others, and missing ones, are passed over."""
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


@dataclass(frozen=True, slots=True)
class RemoteTool:
    """A tool that somebody else runs, as its host describes it; nothing of it can be trusted."""

    name: str
    title: str = ""
    description: str = ""
    schema: object = None
    defs: object = None
    streamed: bool = False
    """Whether it wants its input as a stream, which we do not send."""


@dataclass(frozen=True, slots=True)
class RemoteToolkit:
    """A toolkit of the room. `host` is the participant that runs it, None for the room itself."""

    name: str
    title: str = ""
    description: str = ""
    tools: tuple[RemoteTool, ...] = ()
    host: ParticipantId | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that a tool gave back."""

    name: str
    mime_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RemoteResult:
    """What a tool gave back: a JSON value, a text, a link, and files."""

    texts: tuple[str, ...] = ()
    json: Json = None
    link: str | None = None
    files: tuple[RemoteFile, ...] = ()


class Toolkits(Protocol):
    """Lets other participants call us, and us call them."""

    @property
    def me(self) -> ParticipantId | None:
        """Our own id, under which our toolkits are listed; it changes with the connection."""
        ...

    async def listed(self) -> Sequence[RemoteToolkit]:
        """The toolkits of the room that we may see: its own, public ones of participants, and ours. What
        cannot be read of one does not hide the others.
        """
        ...

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
        """Call a tool, hosted by `host` or the room; texts of a streamed answer are told as they come.

        Raises `RoomRequestError` with what the tool or the room says, also when its host leaves, and when
        there are more than `limit` bytes. Waits without a limit: whoever calls sets one.
        """
        ...

    async def host(self, toolkit: HostedToolkit) -> Callable[[], Awaitable[None]]:
        """Register a public toolkit and answer its calls, side by side, until the returned function is
        awaited. A connection that is lost and taken up again registers it again.
        """
        ...
