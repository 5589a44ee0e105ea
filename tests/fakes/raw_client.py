"""A client of the room protocol that says exactly what a test tells it to."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from process_agent.wire import room_frames
from process_agent.wire.room_frames import Message, PacketJoiner


class RawClient:
    """One connection. `id` is our participant id, once greeted."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.id = ""
        self._joiner = PacketJoiner()
        self._last_id = 0

    async def greeted(self) -> None:
        while not self.id:
            type_, header, _, _ = await self.receive()
            if type_ == "connected":
                self.id = header["participantId"]

    async def post(
        self, type_: str, header: dict[str, Any], data: bytes = b"", *, id_: int | None = None
    ) -> int:
        """Send one message; return its id."""
        payload = room_frames.pack_payload(json.dumps(header).encode(), data)
        return await self.post_payload(type_, payload, id_=id_)

    async def post_payload(self, type_: str, payload: bytes, *, id_: int | None = None) -> int:
        """Send one message with any payload; return its id."""
        if id_ is None:
            self._last_id += 1
            id_ = self._last_id
        for packet in room_frames.split(Message(id_, type_, payload), 1024):
            await self.socket.send(packet)
        return id_

    async def invoke(self, toolkit: str, tool: str, arguments: dict[str, Any], **fields: Any) -> int:
        """Send an invoke; return its id. `arguments` is a content header."""
        header = {"toolkit": toolkit, "tool": tool, "arguments": arguments, **fields}
        return await self.post("room.invoke_tool", header)

    async def receive(self) -> tuple[str, dict[str, Any], bytes, int]:
        """The next message: type, header, tail, id."""
        while True:
            packet = await self.socket.recv()
            assert isinstance(packet, bytes)
            message = self._joiner.feed(packet)
            if message is not None:
                header, data = room_frames.unpack_payload(message.payload)
                return message.type, json.loads(header), data, message.id

    async def receive_type(self, type_: str) -> tuple[dict[str, Any], bytes, int]:
        """The next message of a type; others are skipped."""
        while True:
            got, header, data, id_ = await self.receive()
            if got == type_:
                return header, data, id_

    async def call(self, toolkit: str, tool: str, value: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Invoke with a json content; the answer's header."""
        await self.invoke(toolkit, tool, {"type": "json", "json": value}, **fields)
        header, _, _ = await self.receive_type("__response__")
        return header


@contextlib.asynccontextmanager
async def raw_client(url: str, token: str | None, **options: Any) -> AsyncIterator[RawClient]:
    """A connection, greeted by the room."""
    headers = dict(options.pop("headers", {}))
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    async with connect(url, additional_headers=headers, proxy=None, **options) as socket:
        client = RawClient(socket)
        await client.greeted()
        yield client
