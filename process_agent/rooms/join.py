"""Join a room, hosted or local: `async with join_room(target) as room`.

Light to import; the published client is imported when a room is joined.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from process_agent.core.room import Datasets, Messaging
from process_agent.core.room_ports import Queues, RoomFiles, Toolkits
from process_agent.errors import ProcessError, RoomClosedError, RoomError
from process_agent.io.loading import load
from process_agent.rooms.tokens import read_claims

if TYPE_CHECKING:
    from meshagent.api.room_server_client import RoomClient

    from process_agent.rooms.connection import RoomConnection
    from process_agent.rooms.containers import RoomContainers
    from process_agent.rooms.requests import Room

JOIN_SECONDS = 15.0
"""How long the first join may take, retries included."""


@dataclass(frozen=True, slots=True)
class JoinTarget:
    """Which room, where and as whom. `base_url` is the address before `/rooms/…`, http(s) or ws(s)."""

    room: str
    base_url: str
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        """The websocket address of the room."""
        base = self.base_url.rstrip("/")
        for web, socket in (("https://", "wss://"), ("http://", "ws://")):
            if base.startswith(web):
                base = socket + base.removeprefix(web)
        return f"{base}/rooms/{quote(self.room, safe='')}"


@dataclass(frozen=True, slots=True)
class RoomPorts:
    """What a membership is used through."""

    messaging: Messaging
    datasets: Datasets
    queues: Queues
    files: RoomFiles
    toolkits: Toolkits
    containers: RoomContainers


class JoinedRoom:
    """A membership. It survives lost connections; `closed` returns when it is over for good."""

    def __init__(
        self,
        name: str,
        url: str,
        ports: RoomPorts,
        wait_closed: Callable[[], Awaitable[ProcessError | None]],
    ) -> None:
        self.name = name
        self.url = url
        self.messaging = ports.messaging
        self.datasets = ports.datasets
        self.queues = ports.queues
        self.files = ports.files
        self.toolkits = ports.toolkits
        self.containers = ports.containers
        self._wait_closed = wait_closed

    async def closed(self) -> ProcessError | None:
        """Wait for the end: why the room ended it (`AuthError` when a token is refused on the way back, else
        `RoomClosedError` or `RoomError`), or None when we left.
        """
        return await self._wait_closed()

    def on_connection_change(self, handler: Callable[[bool], None]) -> Callable[[], None]:
        """See `Messaging.on_connection`."""
        return self.messaging.on_connection(handler)


def load_client() -> None:
    """Import the published client, which takes most of the time to join; a thread may do it beforehand."""
    load("meshagent.api.room_server_client")


@asynccontextmanager
async def join_room(target: JoinTarget, *, join_seconds: float = JOIN_SECONDS) -> AsyncIterator[JoinedRoom]:
    """Join, enable messaging and wait for the roster; leave at the end of the block.

    Raises `AuthError` when the room refuses the token and `RoomError` when it cannot be reached within
    `join_seconds`, is disabled or does not exist.
    """
    import pyarrow

    load_client()
    from process_agent.rooms.connection import RoomConnection
    from process_agent.rooms.queues import RoomQueues
    from process_agent.rooms.requests import Room

    # Made for large tables, Arrow's own allocator gives back what it had in every pause between turns: a
    # twentieth of what a short turn costs.
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    connection = RoomConnection(target.url, target.token)
    async with AsyncExitStack() as leaving:
        client = await _enter(connection, leaving, join_seconds)
        claims = read_claims(target.token)
        room = Room(client, connection)
        left = False

        async def wait_closed() -> ProcessError | None:
            await client.wait_for_close()
            if left:
                return None
            reason = connection.last_loss or "without a reason"
            return connection.failure or RoomClosedError(f"The room {target.room} is over: {reason}.")

        queues = RoomQueues(room)
        ports = _ports(room, "user" if claims is None else claims.role, queues)
        try:
            yield JoinedRoom(str(client.room_name), target.url, ports, wait_closed)
        finally:
            left = True
            await queues.close()


def _ports(room: Room, role: str, queues: Queues) -> RoomPorts:
    from process_agent.rooms.containers import RoomContainers
    from process_agent.rooms.datasets import RoomDatasets
    from process_agent.rooms.files import StoredFiles
    from process_agent.rooms.messaging import RoomMessaging
    from process_agent.rooms.toolkits import RoomToolkits

    messaging = RoomMessaging(room, role)
    return RoomPorts(
        messaging,
        RoomDatasets(room),
        queues,
        StoredFiles(room),
        RoomToolkits(room, messaging),
        RoomContainers(room),
    )


async def _enter(connection: RoomConnection, leaving: AsyncExitStack, seconds: float) -> RoomClient:
    from meshagent.api.room_server_client import RoomClient, RoomException

    client: Any = RoomClient(protocol_factory=connection)
    online = asyncio.Event()
    client.messaging.on("messaging_enabled", online.set)
    client.messaging.enable()
    try:
        async with asyncio.timeout(seconds):
            await client.__aenter__()
            leaving.push_async_exit(client)
            await online.wait()
    except TimeoutError as error:
        await connection.abandon()
        raise _unreachable(connection, seconds) from error
    except RoomException as error:
        raise connection.failure or RoomError(
            f"The room at {connection.url} cannot be joined: {error}"
        ) from error
    entered: RoomClient = client
    return entered


def _unreachable(connection: RoomConnection, seconds: float) -> RoomError:
    loss = connection.last_loss or "no answer"
    return RoomError(
        f"The room at {connection.url} cannot be reached: {loss} (tried for {seconds:g} s).",
        fix="Check the address, and that the room server runs.",
    )
