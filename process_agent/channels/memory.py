"""A room of two in one process, for `process run`: an agent and the person at its terminal.

Both ends are the `Messaging` port, so that the chat channel on one and the chat client on the other speak
the same messages as in a real room. What is sent is handed over as it is, without a copy; nobody changes a
message once it is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

from process_agent.core.content import Json
from process_agent.core.ids import ParticipantId
from process_agent.core.participants import Participant
from process_agent.core.room import IncomingStream, RoomMessage
from process_agent.errors import RoomError, RoomRequestError

NAME = "memory"
"""The name of the chat channel on such a room."""

MAX_WAITING = 256
"""Messages in one direction of a stream that its reader has not taken; the sender waits then."""

_NOT_FOUND = 1003

type _Message = tuple[str, Mapping[str, Json]]


class MemoryMessaging:
    """One end; see `core.room.Messaging`. It is alone until `connect` gives it the other one."""

    def __init__(self, me: Participant) -> None:
        self._me = me
        self._peer: MemoryMessaging | None = None
        self._messages: list[Callable[[RoomMessage], None]] = []
        self._streams: list[Callable[[IncomingStream], None]] = []
        self._joined: list[Callable[[Participant], None]] = []
        self._left: list[Callable[[Participant], None]] = []
        self._connection: list[Callable[[bool], None]] = []

    @property
    def me(self) -> Participant:
        """Our own entry."""
        return self._me

    def participants(self) -> Sequence[Participant]:
        """The other end, if there is one."""
        return () if self._peer is None else (self._peer.me,)

    def participant(self, participant_id: ParticipantId) -> Participant | None:
        """The other end, by its id."""
        return next((p for p in self.participants() if p.id == participant_id), None)

    async def send(self, to: ParticipantId, message_type: str, body: Mapping[str, Json]) -> None:
        """Hand a message over; the other end's handlers run soon, in order."""
        peer, message = self._reach(to), RoomMessage(self._me, message_type, body)
        for handler in tuple(peer._messages):
            asyncio.get_running_loop().call_soon(handler, message)

    async def open_stream(
        self, to: ParticipantId, stream_type: str, body: Mapping[str, Json]
    ) -> MemoryStreamEnd:
        """Open a stream; raises `RoomRequestError` when the other end refuses it."""
        peer = self._reach(to)
        if not peer._streams:
            raise RoomRequestError("Nobody takes streams there.", code=_NOT_FOUND)
        ours, theirs = _pipe()
        offered = _OfferedStream(self._me, stream_type, body, theirs)
        for handler in tuple(peer._streams):
            handler(offered)
        refusal = await offered.answered
        if refusal is not None:
            raise RoomRequestError(refusal)
        return ours

    async def set_attributes(self, attributes: Mapping[str, Json]) -> None:
        """Change our own attributes and tell the other end."""
        self._me = replace(self._me, attributes={**self._me.attributes, **attributes})
        for handler in () if self._peer is None else tuple(self._peer._joined):
            handler(self._me)

    def on_message(self, handler: Callable[[RoomMessage], None]) -> Callable[[], None]:
        """See `Messaging`."""
        return _subscribe(self._messages, handler)

    def on_stream(self, handler: Callable[[IncomingStream], None]) -> Callable[[], None]:
        """See `Messaging`."""
        return _subscribe(self._streams, handler)

    def on_joined(self, handler: Callable[[Participant], None]) -> Callable[[], None]:
        """See `Messaging`."""
        return _subscribe(self._joined, handler)

    def on_left(self, handler: Callable[[Participant], None]) -> Callable[[], None]:
        """See `Messaging`; the other end never leaves before we do."""
        return _subscribe(self._left, handler)

    def on_connection(self, handler: Callable[[bool], None]) -> Callable[[], None]:
        """See `Messaging`; there is no connection to lose."""
        return _subscribe(self._connection, handler)

    def _reach(self, to: ParticipantId) -> MemoryMessaging:
        if self._peer is None or self._peer.me.id != to:
            raise RoomRequestError("The participant is not here.", code=_NOT_FOUND)
        return self._peer


def connect(agent_name: str, person: str) -> tuple[MemoryMessaging, MemoryMessaging]:
    """The agent's end and the person's, who has the role of a user."""
    agent = MemoryMessaging(Participant(ParticipantId("agent"), "agent", {"name": agent_name}))
    user = MemoryMessaging(Participant(ParticipantId("person"), "user", {"name": person}))
    agent._peer, user._peer = user, agent
    return agent, user


class MemoryStreamEnd:
    """One end of a stream; see `core.room.OutgoingStream`."""

    def __init__(self, incoming: asyncio.Queue[_Message], outgoing: asyncio.Queue[_Message]) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    async def send(self, message_type: str, body: Mapping[str, Json]) -> None:
        """Send a message, waiting while the other end has too many. Raises `RoomError` when it is over."""
        try:
            await self._outgoing.put((message_type, body))
        except asyncio.QueueShutDown:
            raise RoomError("The stream is over.") from None

    async def messages(self) -> AsyncIterator[_Message]:
        """What the other end sends, in order, until either side closes; what is under way still comes."""
        while True:
            try:
                message = await self._incoming.get()
            except asyncio.QueueShutDown:
                return
            yield message

    async def close(self) -> None:
        """End the stream for both. Idempotent."""
        self._incoming.shutdown()
        self._outgoing.shutdown()


class _OfferedStream:
    """See `core.room.IncomingStream`."""

    def __init__(
        self, sender: Participant, stream_type: str, body: Mapping[str, Json], end: MemoryStreamEnd
    ) -> None:
        self.sender: Participant | None = sender
        self.type = stream_type
        self.body = body
        self.answered: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._end = end
        self.send = end.send
        self.messages = end.messages

    async def accept(self) -> None:
        """Let the sender go on."""
        self._answer(None)

    async def reject(self, text: str) -> None:
        """Refuse with a reason people understand."""
        self._answer(text)

    async def close(self) -> None:
        """End the stream; one that was not answered is refused. Idempotent."""
        self._answer("The agent closed the stream.")
        await self._end.close()

    def _answer(self, refusal: str | None) -> None:
        if not self.answered.done():
            self.answered.set_result(refusal)


def _pipe() -> tuple[MemoryStreamEnd, MemoryStreamEnd]:
    there: asyncio.Queue[_Message] = asyncio.Queue(MAX_WAITING)
    back: asyncio.Queue[_Message] = asyncio.Queue(MAX_WAITING)
    return MemoryStreamEnd(back, there), MemoryStreamEnd(there, back)


def _subscribe[T](handlers: list[T], handler: T) -> Callable[[], None]:
    handlers.append(handler)

    def unsubscribe() -> None:
        if handler in handlers:
            handlers.remove(handler)

    return unsubscribe
