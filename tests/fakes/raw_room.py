"""A room server that misbehaves on purpose: each connection runs the next step of a script."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

type Step = Callable[[RawConnection], Awaitable[None]]


def packets(message_id: int, kind: str, header: dict[str, Any], data: bytes = b"") -> list[bytes]:
    """One message as the room protocol frames it (section 4)."""
    text = json.dumps(header).encode()
    payload = struct.pack(">Q", len(text)) + text + data
    head = struct.pack(">QII", message_id, 0, 1) + kind.encode()
    return [head, struct.pack(">QI", message_id, 1) + payload]


class RawConnection:
    """One client. `received` collects (type, header) of the messages it sent."""

    def __init__(self, socket: ServerConnection, number: int) -> None:
        self.socket = socket
        self.number = number
        self.received: list[tuple[str, dict[str, Any]]] = []
        self._ids = 0

    async def send(self, kind: str, header: dict[str, Any], message_id: int | None = None) -> None:
        self._ids += 1
        for packet in packets(self._ids if message_id is None else message_id, kind, header):
            await self.socket.send(packet)

    async def start(self, **more: object) -> None:
        """What the server says first, `more` in its greeting, and the roster once messaging is enabled."""
        greeting = {"room_name": "demo", "room_url": "ws://x/rooms/demo", "session_id": "s"}
        await self.send("room_ready", {**greeting, **more})
        me = {"type": "init", "participantId": f"p{self.number}", "attributes": {"name": "me"}}
        await self.send("connected", me)
        await self.serve_until("enable")
        await self.roster([])

    async def roster(self, participants: list[dict[str, Any]]) -> None:
        body = {
            "from_participant_id": "",
            "type": "messaging.enabled",
            "message": {"participants": participants},
        }
        await self.send("messaging.send", body)

    async def serve_until(self, tool: str) -> int:
        """Answer every invocation with `empty` until this tool is called; returns its message id."""
        while True:
            message_id, kind, header = await self.message()
            if kind == "room.invoke_tool":
                await self.send("__response__", {"type": "empty"}, message_id)
                if header["tool"] == tool:
                    return message_id

    async def serve(self) -> None:
        await self.serve_until("never")

    async def message(self) -> tuple[int, str, dict[str, Any]]:
        head = await self.socket.recv()
        assert isinstance(head, bytes)
        message_id, _, count = struct.unpack(">QII", head[:16])
        payload = b""
        for _ in range(count):
            packet = await self.socket.recv()
            assert isinstance(packet, bytes)
            payload += packet[12:]
        (length,) = struct.unpack(">Q", payload[:8])
        header = json.loads(payload[8 : 8 + length])
        self.received.append((head[16:].decode(), header))
        return message_id, head[16:].decode(), header

    def abort(self) -> None:
        """End the TCP connection without a close frame."""
        self.socket.transport.abort()


class RawRoom:
    """The address of the server and every connection it had."""

    def __init__(self) -> None:
        self.url = ""
        self.connections: list[RawConnection] = []
        self.requests = 0


@asynccontextmanager
async def raw_room(*steps: Step | int) -> AsyncIterator[RawRoom]:
    """Serve each connection with the next step (the last one repeats); a number is an HTTP status."""
    room = RawRoom()

    def step() -> Step | int:
        return steps[min(room.requests, len(steps)) - 1]

    def refuse(socket: ServerConnection, request: Request) -> Response | None:
        room.requests += 1
        current = step()
        return socket.respond(HTTPStatus(current), "no\n") if isinstance(current, int) else None

    async def handle(socket: ServerConnection) -> None:
        connection = RawConnection(socket, len(room.connections) + 1)
        room.connections.append(connection)
        current = step()
        assert not isinstance(current, int)
        await current(connection)

    async with serve(handle, "127.0.0.1", 0, process_request=refuse, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        room.url = f"ws://127.0.0.1:{port}"
        yield room
        for connection in room.connections:
            connection.abort()
        server.close(close_connections=True)
        await asyncio.wait_for(server.wait_closed(), 5)
