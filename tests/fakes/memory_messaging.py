"""Room messaging in memory: an agent's side of it, and clients a test plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from itertools import count
from typing import Any

from process_agent.core.content import Json
from process_agent.core.ids import ParticipantId
from process_agent.core.participants import Participant
from process_agent.core.room import AGENT_MESSAGE, IncomingStream, OutgoingStream, RoomMessage
from process_agent.errors import RoomError, RoomRequestError

PREFIX = "meshagent.agent."


class MemoryMessaging:
    """See `core.room.Messaging`."""

    def __init__(self, name: str = "bot") -> None:
        self.me = Participant(ParticipantId("agent"), "agent", {"name": name})
        self.attributes: dict[str, Json] = {}
        self.clients: dict[ParticipantId, Client] = {}
        self._handlers: dict[str, list[Callable[..., None]]] = {}

    def participants(self) -> Sequence[Participant]:
        return [client.participant for client in self.clients.values()]

    def participant(self, participant_id: ParticipantId) -> Participant | None:
        client = self.clients.get(participant_id)
        return None if client is None else client.participant

    async def send(self, to: ParticipantId, message_type: str, body: Mapping[str, Json]) -> None:
        client = self.clients.get(to)
        if client is None:
            raise RoomRequestError("gone", code=1003)
        assert message_type == AGENT_MESSAGE
        await client.listening.wait()
        client.take("unary", body)

    async def open_stream(
        self, to: ParticipantId, stream_type: str, body: Mapping[str, Json]
    ) -> OutgoingStream:
        raise NotImplementedError

    async def set_attributes(self, attributes: Mapping[str, Json]) -> None:
        self.attributes |= attributes

    def on_message(self, handler: Callable[[RoomMessage], None]) -> Callable[[], None]:
        return self._on("message", handler)

    def on_stream(self, handler: Callable[[IncomingStream], None]) -> Callable[[], None]:
        return self._on("stream", handler)

    def on_joined(self, handler: Callable[[Participant], None]) -> Callable[[], None]:
        return self._on("joined", handler)

    def on_left(self, handler: Callable[[Participant], None]) -> Callable[[], None]:
        return self._on("left", handler)

    def on_connection(self, handler: Callable[[bool], None]) -> Callable[[], None]:
        return self._on("connection", handler)

    def fire(self, what: str, value: object) -> None:
        for handler in tuple(self._handlers.get(what, ())):
            handler(value)

    def join(self, name: str, role: str = "user") -> Client:
        client = Client(self, name, role)
        self.clients[client.participant.id] = client
        return client

    def _on(self, what: str, handler: Callable[..., None]) -> Callable[[], None]:
        self._handlers.setdefault(what, []).append(handler)
        return lambda: self._handlers[what].remove(handler)


class Client:
    """A chat client. `got` is what it received, in order: the message, and how it came."""

    _ids = count(1)

    def __init__(self, messaging: MemoryMessaging, name: str, role: str) -> None:
        self._messaging = messaging
        number = next(self._ids)
        self.participant = Participant(ParticipantId(f"p{number}"), role, {"name": name})
        self.got: list[dict[str, Any]] = []
        self.ways: list[str] = []
        self.listening = asyncio.Event()
        self.listening.set()
        self._news = asyncio.Event()
        self._read = 0

    def take(self, way: str, body: Mapping[str, Json]) -> None:
        self.got.append(dict(body))
        self.ways.append(way)
        self._news.set()

    def send(self, kind: str, **fields: Json) -> str:
        """Send an agent message; returns its id."""
        message_id = f"m{next(self._ids)}"
        self.send_raw({"type": PREFIX + kind, "message_id": message_id, **fields})
        return message_id

    def send_raw(self, body: Mapping[str, Json], message_type: str = AGENT_MESSAGE) -> None:
        sender = self._messaging.participant(self.participant.id)
        self._messaging.fire("message", RoomMessage(sender, message_type, body))

    def open_stream(self, stream_type: str, body: Mapping[str, Json]) -> ClientStream:
        stream = ClientStream(self, stream_type, body)
        self._messaging.fire("stream", stream)
        return stream

    def leave(self) -> None:
        self._messaging.clients.pop(self.participant.id)
        self._messaging.fire("left", self.participant)

    def types(self) -> list[str]:
        return [str(message["type"]).removeprefix(PREFIX) for message in self.got]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.got if message["type"] == PREFIX + kind]

    async def wait(self, kind: str, **fields: Json) -> dict[str, Any]:
        """The next message of a kind that was not waited for yet, with these values in it."""
        while True:
            while self._read < len(self.got):
                message = self.got[self._read]
                self._read += 1
                wanted = all(message.get(name) == value for name, value in fields.items())
                if message["type"] == PREFIX + kind and wanted:
                    return message
            self._news.clear()
            await self._news.wait()

    def text(self, item_id: str = "answer") -> str:
        """What it would show of an item."""
        deltas = self.all("text_content.delta")
        return "".join(delta["text"] for delta in deltas if delta["item_id"] == item_id)


class ClientStream:
    """Both ends of a stream a client opened: see `core.room.IncomingStream`."""

    def __init__(self, client: Client, stream_type: str, body: Mapping[str, Json]) -> None:
        self._client = client
        self._type = stream_type
        self._body = body
        self.accepted = asyncio.Event()
        self.closed = asyncio.Event()
        self.refusal: str | None = None
        self.broken = False
        self._inbox: asyncio.Queue[tuple[str, Mapping[str, Json]] | None] = asyncio.Queue()

    @property
    def sender(self) -> Participant | None:
        client = self._client
        return client._messaging.participant(client.participant.id)

    @property
    def type(self) -> str:
        return self._type

    @property
    def body(self) -> Mapping[str, Json]:
        return self._body

    async def accept(self) -> None:
        self.accepted.set()

    async def reject(self, text: str) -> None:
        self.refusal = text
        self.closed.set()

    async def send(self, message_type: str, body: Mapping[str, Json]) -> None:
        if self.broken or self.closed.is_set():
            raise RoomError("the stream is over")
        await self._client.listening.wait()
        self._client.take("stream", body)

    async def messages(self) -> AsyncIterator[tuple[str, Mapping[str, Json]]]:
        while (message := await self._inbox.get()) is not None:
            yield message

    async def close(self) -> None:
        self.closed.set()
        self._inbox.put_nowait(None)

    def say(self, kind: str, **fields: Json) -> None:
        """The client sends a message down the stream."""
        message = {"type": PREFIX + kind, "message_id": f"s{next(Client._ids)}", **fields}
        self._inbox.put_nowait((AGENT_MESSAGE, message))

    def hang_up(self) -> None:
        """The client ends the stream."""
        self._inbox.put_nowait(None)
