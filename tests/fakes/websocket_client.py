"""A client of the websocket channel, made of a websocket library and a MessagePack codec of others."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

PREFIX = "meshagent.agent."


class SocketClient:
    """One connection. `got` is what came, in order, without the first frame, which is `connected`."""

    def __init__(self, connection: ClientConnection, connected: dict[str, Any]) -> None:
        self.connection = connection
        self.connected = connected
        self.got: list[dict[str, Any]] = []
        self._read = 0

    @property
    def id(self) -> str:
        """The participant id the agent gave it."""
        participant_id: str = self.connected["participant_id"]
        return participant_id

    async def send(self, kind: str, **fields: Any) -> str:
        """Send an agent message; returns its id."""
        message_id = str(uuid.uuid4())
        await self.send_map({"type": PREFIX + kind, "message_id": message_id, **fields})
        return message_id

    async def send_map(self, message: Mapping[str, Any]) -> None:
        await self.connection.send(msgspec.msgpack.encode(message))

    async def say(self, kind: str, text: str, **fields: Any) -> str:
        return await self.send(kind, content=[{"type": "text", "text": text}], **fields)

    async def next(self) -> dict[str, Any]:
        """The next message as it comes."""
        frame = await self.connection.recv()
        assert isinstance(frame, bytes)
        message: dict[str, Any] = msgspec.msgpack.decode(frame)
        self.got.append(message)
        return message

    async def wait(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next message of a kind that was not waited for yet, with these values in it."""
        while True:
            while self._read < len(self.got):
                message = self.got[self._read]
                self._read += 1
                if message["type"] == PREFIX + kind and all(message.get(n) == v for n, v in fields.items()):
                    return message
            await self.next()

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.got if message["type"] == PREFIX + kind]

    def text(self) -> str:
        return "".join(message["text"] for message in self.all("text_content.delta"))

    async def closed(self) -> int | None:
        """Read to the end; the close code."""
        with suppress(ConnectionClosed):
            while True:
                await self.next()
        return self.connection.close_code


@asynccontextmanager
async def socket_client(
    port: int,
    token: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    protocols: Sequence[str] = ("meshagent-msgpack",),
    query: str = "",
) -> AsyncIterator[SocketClient]:
    """A connection that said hello. Raises `websockets.exceptions.InvalidStatus` when it is refused."""
    sent = dict(headers or {})
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    async with connect(
        f"ws://127.0.0.1:{port}/messages{query}",
        additional_headers=sent,
        subprotocols=[Subprotocol(protocol) for protocol in protocols] or None,
        max_size=64 * 2**20,
        proxy=None,
    ) as connection:
        async with asyncio.timeout(10):
            first = await connection.recv()
        assert isinstance(first, bytes)
        yield SocketClient(connection, msgspec.msgpack.decode(first))
