"""Queues, stored files and hosted toolkits of a room in memory, for an agent's side of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping

from process_agent.core.content import Json
from process_agent.core.ids import ParticipantId
from process_agent.core.participants import Participant
from process_agent.core.room_ports import (
    HostedToolkit,
    RemoteResult,
    RemoteToolkit,
    StoredEntry,
    ToolCaller,
)
from process_agent.errors import RoomRequestError


class MemoryQueues:
    """See `core.room_ports.Queues`. `refuse` makes the next receive of a queue fail."""

    def __init__(self) -> None:
        self.sent: dict[str, list[Json]] = {}
        self.taken = 0
        self.waiting = 0
        self._news = asyncio.Event()
        self._queues: defaultdict[str, asyncio.Queue[Json | RoomRequestError]] = defaultdict(asyncio.Queue)

    async def receive(self, name: str) -> Json:
        self.waiting += 1
        self._news.set()
        try:
            item = await self._queues[name].get()
        finally:
            self.waiting -= 1
            self._news.set()
        if isinstance(item, RoomRequestError):
            raise item
        self.taken += 1
        return item

    async def send(self, name: str, message: Json) -> None:
        self.sent.setdefault(name, []).append(message)
        self._queues[name].put_nowait(message)
        self._news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition about the queues holds."""
        while not holds():
            self._news.clear()
            await self._news.wait()

    def put(self, name: str, *items: Json) -> None:
        """Items somebody else sent."""
        for item in items:
            self._queues[name].put_nowait(item)

    def refuse(self, name: str) -> None:
        self._queues[name].put_nowait(RoomRequestError("The queue is closed.", code=5001))

    def size(self, name: str) -> int:
        return self._queues[name].qsize()


class MemoryFiles:
    """See `core.room_ports.RoomFiles`."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self.files = dict(files or {})

    async def read(self, path: str, limit: int) -> bytes:
        data = self.files.get(path)
        if data is None:
            raise RoomRequestError(f"There is no file {path}.", code=3001)
        if len(data) > limit:
            raise RoomRequestError(f"The file {path} has more than {limit} bytes.")
        return data

    async def list(self, path: str) -> list[StoredEntry]:
        prefix, found = f"{path}/" if path else "", dict[str, StoredEntry]()
        for name in sorted(self.files):
            if name.startswith(prefix):
                head, slash, _ = name.removeprefix(prefix).partition("/")
                found[head] = StoredEntry(head, bool(slash), None if slash else len(self.files[name]))
        return list(found.values())

    async def write(
        self, path: str, data: bytes, *, mime_type: str | None = None, replace: bool = True
    ) -> None:
        if path in self.files and not replace:
            raise RoomRequestError(f"There is a file {path} already.", code=3005)
        self.files[path] = data

    async def delete(self, path: str) -> None:
        if self.files.pop(path, None) is None:
            raise RoomRequestError(f"There is no file {path}.", code=3001)


class MemoryToolkits:
    """See `core.room_ports.Toolkits`; a test calls the tools."""

    def __init__(self) -> None:
        self.hosted: dict[str, HostedToolkit] = {}
        self.me: ParticipantId | None = ParticipantId("me")
        self.there: list[RemoteToolkit] = []
        self.called: list[tuple[str, str, Mapping[str, Json], ParticipantId | None]] = []
        self.answers: Callable[[str, Mapping[str, Json]], Awaitable[RemoteResult]] | None = None

    async def listed(self) -> list[RemoteToolkit]:
        return self.there

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
        self.called.append((toolkit, tool, arguments, host))
        if self.answers is None:
            return RemoteResult((f"{toolkit}.{tool}",))
        return await self.answers(tool, arguments)

    async def host(self, toolkit: HostedToolkit) -> Callable[[], Awaitable[None]]:
        if toolkit.name in self.hosted:
            raise RoomRequestError("hosted already", code=1004)
        self.hosted[toolkit.name] = toolkit

        async def withdraw() -> None:
            self.hosted.pop(toolkit.name, None)

        return withdraw

    async def run(
        self, name: str, arguments: Mapping[str, Json], caller: Participant | None = None, tool: int = 0
    ) -> str:
        """What a tool that was hosted returns, or raises."""
        who = ToolCaller("caller" if caller is None else caller.id, caller)
        return await self.hosted[name].tools[tool].handler(who, arguments)
