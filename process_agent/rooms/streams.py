"""Messaging streams of a joined room (room protocol, section 9.1), both directions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from meshagent.api.chan import ChanClosed
from meshagent.api.room_server_client import (
    IncomingMessagingStreamRequest,
    MessagingStream,
    MessagingStreamClientDisconnected,
    MessagingStreamClosed,
    RemoteParticipant,
    RoomException,
)
from meshagent.api.room_server_client import RoomMessage as PublishedMessage

from process_agent.core.content import Json
from process_agent.core.participants import Participant
from process_agent.errors import RoomError, RoomRequestError
from process_agent.rooms.requests import Room
from process_agent.wire.room_frames import pack_payload, write_json

_TAIL = b',"attachment_base64":null}},"__meshagent__":{"v":1,"otel":{}}}'

ACCEPT_SECONDS = 30.0
"""How long the other side may take to accept a stream; the time limit of the published chat clients."""


class OpenedStream:
    """A live stream, whoever opened it: `core.room.OutgoingStream`."""

    def __init__(self, room: Room, stream: MessagingStream) -> None:
        self._room = room
        self._stream = stream

    async def send(self, message_type: str, body: Mapping[str, Json]) -> None:
        """Send one message down the stream. Raises `RoomError` when the stream is over."""
        await self._room.connection.writable()
        call = self._stream._response_call
        try:
            if call is None or self._stream.closed:
                self._stream.send_message_nowait(type=message_type, message=dict(body))
            else:
                self._send_chunk(call, message_type, self._room.texts.text(body))
        except (RoomException, ChanClosed) as error:
            raise RoomError("Cannot send: the stream is over.") from error

    def _send_chunk(self, call: Any, message_type: str, body: bytes) -> None:
        """Send down a stream that the other side opened. The published client would write the message as
        JSON, read it again and write it once more, in a task of its own.
        """
        head = b'{"tool_call_id":%b,"chunk":{"type":"json","json":{"kind":"message","type":%b,"message":' % (
            write_json(call.tool_call_id),
            write_json(message_type),
        )
        header = head + body + _TAIL
        self._room.client.protocol.send_nowait(
            type="room.tool_call_response_chunk", data=pack_payload(header), message_id=call.message_id
        )

    async def messages(self) -> AsyncIterator[tuple[str, Mapping[str, Json]]]:
        """What the other side sends, as (type, body), in order, until either side closes or the connection
        is lost.
        """
        try:
            while True:
                event = await self._stream.receive()
                match event:
                    case PublishedMessage():
                        yield event.type, event.message
                    case None | MessagingStreamClientDisconnected() | MessagingStreamClosed():
                        return
        finally:
            await self.close()

    async def close(self) -> None:
        """End the stream. Idempotent."""
        # The published client forgets only streams that its own side closed.
        self._room.client.messaging._incoming_streams.pop(self._stream.stream_id, None)
        try:
            await self._stream.close()
        except RoomException:
            return


class AcceptableStream:
    """A stream another participant opened to us: `core.room.IncomingStream`."""

    def __init__(
        self, room: Room, request: IncomingMessagingStreamRequest, sender: Participant | None
    ) -> None:
        self._room = room
        self._request = request
        self._sender = sender
        self._live: OpenedStream | None = None

    @property
    def sender(self) -> Participant | None:
        """Who opened it."""
        return self._sender

    @property
    def type(self) -> str:
        """Stream type, like `meshagent.chat.thread.subscribe`."""
        return str(self._request.type)

    @property
    def body(self) -> Mapping[str, Json]:
        """The first message."""
        body: Mapping[str, Json] = self._request.message
        return body

    async def accept(self) -> None:
        """Let the sender go on. Raises `RoomError` when it gave up meanwhile."""
        try:
            self._live = OpenedStream(self._room, await self._request.accept())
        except RoomException as error:
            raise RoomError(f"The stream is over: {error}") from error

    async def reject(self, text: str) -> None:
        """Refuse with a reason people understand; without effect when the sender gave up meanwhile."""
        try:
            await self._request.reject(message=text)
        except RoomException:
            return

    async def send(self, message_type: str, body: Mapping[str, Json]) -> None:
        """Send one message down the stream. Raises `RoomError` when the stream is over."""
        await self._opened().send(message_type, body)

    def messages(self) -> AsyncIterator[tuple[str, Mapping[str, Json]]]:
        """What the other side sends, as (type, body), until it closes."""
        return self._opened().messages()

    async def close(self) -> None:
        """End the stream; one that was not accepted is refused. Idempotent."""
        if self._live is None:
            await self.reject("the stream was closed")
        else:
            await self._live.close()

    def _opened(self) -> OpenedStream:
        if self._live is None:
            raise RoomError("The stream was not accepted.")
        return self._live


async def open_stream(
    room: Room, to: RemoteParticipant, stream_type: str, body: Mapping[str, Json]
) -> OpenedStream:
    """Open a stream to a participant; see `core.room.Messaging.open_stream`."""
    try:
        with room.request("open a stream"):
            async with asyncio.timeout(ACCEPT_SECONDS):
                stream = await room.client.messaging.stream(to=to, type=stream_type, message=dict(body))
    except TimeoutError as error:
        raise RoomError("The other side did not accept the stream in time.") from error
    except StopAsyncIteration as error:
        raise RoomRequestError("The other side closed the stream before accepting it.") from error
    return OpenedStream(room, stream)
