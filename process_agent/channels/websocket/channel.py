"""The websocket channel: each connection is a participant of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from process_agent.channels.agent_messages import DRAIN_SECONDS, AgentMessages, Origin
from process_agent.channels.websocket.door import (
    DECISIVE_HEADERS,
    Door,
    Knock,
    Refused,
    Visitor,
    choose_protocol,
)
from process_agent.channels.websocket.server import LINK, Link, WebsocketServer
from process_agent.core.channel import Ask
from process_agent.core.content import Json
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ParticipantId, ThreadId
from process_agent.core.participants import Participant
from process_agent.core.replies import Reply
from process_agent.errors import RoomError, WireError
from process_agent.io.tasks import Tasks
from process_agent.wire.agent_messages import PREFIX
from process_agent.wire.msgpack_frames import decode, encode

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 1_000
"""Connections at a time; more get 503."""

GOING_AWAY, UNSUPPORTED = 1001, 1003
"""Close codes: the agent stops; the frame is no agent message."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a channel listens, and what its door asks for."""

    host: str
    port: int
    door: Door


@dataclass(frozen=True, slots=True, eq=False)
class _Connection:
    participant: Participant
    websocket: WebSocket
    link: Link


class WebsocketChannel:
    """See `core.channel.Channel`."""

    def __init__(self, address: Address, origin: Origin) -> None:
        self._address = address
        self._name = origin.channel
        self._tasks = Tasks("websocket channel")
        self._messages = AgentMessages(origin, self, self._tasks)
        self._connections: dict[ParticipantId, _Connection] = {}
        self._server: WebsocketServer | None = None

    @property
    def name(self) -> str:
        """How requests name this channel."""
        return self._name

    @property
    def port(self) -> int:
        """The port it listens on; holds once it is started."""
        return self._address.port if self._server is None else self._server.port

    async def start(self, ask: Ask) -> None:
        """Listen. Raises `RoomError` when the port is taken and `UsageError` for an address not ours."""
        self._messages.start(ask)
        self._server = WebsocketServer(self._address.host, self._address.port, self._serve)
        await self._server.start()

    async def close(self) -> None:
        """Send what is left for at most `DRAIN_SECONDS`, then end the connections, so that clients can come
        back to the next agent.
        """
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._messages.drain()
        except TimeoutError:
            logger.warning("some websocket clients did not get everything before the end")
        for connection in tuple(self._connections.values()):
            await _say_goodbye(connection)
        if self._server is not None:
            await self._server.stop()
        await self._tasks.close()

    # --- To participants -------------------------------------------------------------------------

    def open_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        self._messages.open_view(participant, thread_id)

    def close_view(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        self._messages.close_view(participant, thread_id)

    def show(self, event: ThreadEvent, to: Sequence[ParticipantId]) -> None:
        """See `Channel`."""
        self._messages.show(event, to)

    def answer(self, to: ParticipantId, reply: Reply, thread_id: ThreadId | None = None) -> None:
        """See `Channel`."""
        self._messages.answer(to, reply, thread_id)

    async def ready(self, participant: ParticipantId, thread_id: ThreadId) -> None:
        """See `Channel`."""
        await self._messages.ready(participant, thread_id)

    # --- The transport ---------------------------------------------------------------------------

    def who(self, participant: ParticipantId) -> Participant | None:
        """See `Transport`."""
        connection = self._connections.get(participant)
        return None if connection is None else connection.participant

    async def send(
        self, participant: ParticipantId, _thread_id: ThreadId | None, body: Mapping[str, Json]
    ) -> None:
        """See `Transport`."""
        connection = self._connections.get(participant)
        if connection is None:
            raise RoomError(f"{participant} has hung up.")
        try:
            await connection.websocket.send_bytes(encode(body))
        except (WebSocketDisconnect, RuntimeError) as error:  # starlette's word for "closed already"
            raise RoomError(f"{participant} has hung up.") from error

    def lost(self, participant: ParticipantId, _thread_id: ThreadId | None) -> bool:
        """See `Transport`. The client sees its connection end, and comes back if it wants."""
        connection = self._connections.get(participant)
        if connection is not None:
            connection.link.drop()
        return True

    # --- From participants -----------------------------------------------------------------------

    async def _serve(self, websocket: WebSocket) -> None:
        """One connection, from its handshake to its end."""
        admitted = self._admit(websocket)
        if isinstance(admitted, Refused):
            await websocket.send_denial_response(PlainTextResponse(admitted.text, admitted.status))
            return
        await websocket.accept(choose_protocol(websocket.scope["subprotocols"]))
        participant = _participant(admitted)
        connection = _Connection(participant, websocket, websocket.scope["extensions"][LINK]["link"])
        try:
            await websocket.send_bytes(encode(_connected(participant)))
            self._connections[participant.id] = connection
            await self._converse(connection)
        except (WebSocketDisconnect, RuntimeError):
            logger.debug("a websocket client left while it was being answered")
        finally:
            if self._connections.pop(participant.id, None) is not None:
                self._messages.left(participant)

    def _admit(self, websocket: WebSocket) -> Visitor | Refused:
        headers = websocket.headers
        if any(len(headers.getlist(name)) > 1 for name in DECISIVE_HEADERS):
            return Refused(400, f"Each of {', '.join(DECISIVE_HEADERS)} comes once.")
        knock = Knock(
            {name.lower(): value for name, value in headers.items()},
            websocket.query_params.get("token"),
            websocket.scope["subprotocols"],
        )
        admitted = self._address.door.admit(knock, time.time())
        if isinstance(admitted, Refused):
            logger.warning("refused a websocket: %s", admitted.text)
        elif len(self._connections) >= MAX_CONNECTIONS:
            return Refused(503, f"{MAX_CONNECTIONS} connections are open.")
        return admitted

    async def _converse(self, connection: _Connection) -> None:
        websocket, participant = connection.websocket, connection.participant
        while True:
            event = await websocket.receive()
            if event["type"] == "websocket.disconnect":
                return
            frame = event.get("bytes")
            try:
                if frame is None:
                    raise WireError("agent messages come in binary frames")
                # Sound, the only binary data of a message, has no taker in this agent.
                message, _sound = decode(frame)
                self._messages.take(message, participant)
            except WireError as error:
                logger.warning("closed the websocket of %s: %s", participant.name, error)
                await websocket.close(UNSUPPORTED, str(error)[:100])
                return


async def _say_goodbye(connection: _Connection) -> None:
    """Close a connection; one that takes nothing any more is dropped."""
    if not connection.link.takes_more:
        connection.link.drop()
        return
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it was faster
        await connection.websocket.close(GOING_AWAY)


def _participant(visitor: Visitor) -> Participant:
    """A fresh id for each connection: the same person may have several."""
    connection_id = uuid.uuid4().hex
    attributes: dict[str, Json] = {
        "name": visitor.name,
        "role": visitor.role,
        "base_participant_id": visitor.name,
        "websocket_connection_id": connection_id,
    }
    return Participant(ParticipantId(connection_id), visitor.role, attributes)


def _connected(participant: Participant) -> dict[str, Json]:
    """The first frame: clients learn their id from it."""
    return {
        "type": f"{PREFIX}connection.status",
        "message_id": str(uuid.uuid4()),
        "status": "connected",
        "message": "chat websocket connected",
        "participant_id": participant.id,
    }
