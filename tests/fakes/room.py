"""A real room server in the test's event loop, and published clients for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from process_agent.config import DataPaths
from process_agent.room_server.keys import signing_key
from process_agent.room_server.server import RoomServer, ServerConfig
from process_agent.room_server.services.services import LocalServices
from process_agent.wire import participant_token
from process_agent.wire.participant_token import ParticipantToken

ROOM = "demo"


class LocalRoom:
    """A running server. `url` has no path; its data is below `paths.root`."""

    def __init__(self, root: Path, page: Any = ()) -> None:
        self.paths = DataPaths(root)
        self.key = signing_key(self.paths.signing_key)
        self._page = page
        self._server = RoomServer(ServerConfig(self.paths, self.key), page)

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def services(self) -> LocalServices:
        """The services, which nobody started yet."""
        return self._server.services

    @property
    def port(self) -> int:
        return self._server.port

    def ws_url(self, room: str = ROOM) -> str:
        return f"{self.url.replace('http://', 'ws://')}/rooms/{room}"

    def token(
        self,
        identity: str,
        role: str = "user",
        room: str = ROOM,
        *,
        api: dict[str, Any] | None = None,
        seconds: float = 3600,
    ) -> str:
        """A token with the default scope of its role, or `api`."""
        scope = participant_token.default_api(role) if api is None else api
        token = ParticipantToken(identity, room, role, scope, int(time.time() + seconds))
        return participant_token.encode(token, self.key)

    def admin_token(self) -> str:
        return self.token("admin", api=participant_token.admin_api())

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    async def restart(self) -> None:
        """Stop without close frames and start again on the same port."""
        port = self._server.port
        await self._server.stop()
        self._server = RoomServer(ServerConfig(self.paths, self.key, port=port), self._page)
        await self._server.start()

    def client(self, identity: str, role: str = "user", room: str = ROOM, **token: Any) -> Any:
        """A published `RoomClient`, not entered yet."""
        from meshagent.api import RoomClient, WebSocketClientProtocol

        protocol: Any = WebSocketClientProtocol(
            url=self.ws_url(room), token=self.token(identity, role, room, **token)
        )
        return RoomClient(protocol_factory=protocol.create_factory())


async def participant(client: Any, name: str) -> Any:
    """The participant with a name, as soon as an enabled client sees it."""
    seen = asyncio.Event()
    for event in ("participant_added", "messaging_enabled"):
        client.messaging.on(event, lambda **_: seen.set())
    while (found := client.messaging.get_participant_by_name(name)) is None:
        seen.clear()
        await seen.wait()
    return found


@contextlib.asynccontextmanager
async def local_room(tmp_path: Path, page: Any = ()) -> AsyncIterator[LocalRoom]:
    """A room server on a free port with its data in `tmp_path`; `page` are routes of Studio."""
    room = LocalRoom(tmp_path / "room-data", page)
    await room.start()
    try:
        yield room
    finally:
        await room.stop()
