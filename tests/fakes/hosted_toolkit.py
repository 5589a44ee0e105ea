"""A toolkit hosted by a published client, in the words of the room protocol, section 7."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from meshagent.api.messaging import pack_message, unpack_message

type Answer = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]
"""From a call's header and tail to the answer's."""


class HostedToolkit:
    """Registers a toolkit and keeps the calls that come in; a test answers them."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name
        self.calls: asyncio.Queue[tuple[int, dict[str, Any], bytes]] = asyncio.Queue()
        self.chunks: asyncio.Queue[tuple[dict[str, Any], bytes]] = asyncio.Queue()
        self.registration = ""
        client.protocol.register_handler(f"room.tool_call.{name}", self._on_call)
        client.protocol.register_handler(f"room.tool_call_request_chunk.{name}", self._on_chunk)

    async def register(self, *, public: bool = True, tools: tuple[str, ...] = ("add",)) -> None:
        spec = {"types": ["json"], "stream": False, "schema": {"type": "object"}}
        description = {
            tool: {"title": tool, "description": f"{tool}s", "input_spec": spec, "strict": True}
            for tool in tools
        }
        answer = await self.client.send_request(
            "room.register_toolkit",
            {
                "name": self.name,
                "title": self.name.title(),
                "description": "for tests",
                "public": public,
                "annotations": {"kind": "test"},
                "tools": description,
            },
        )
        self.registration = answer["id"]

    async def unregister(self) -> None:
        await self.client.send_request("room.unregister_toolkit", {"id": self.registration})

    async def answer_next(self, answer: Answer) -> None:
        """Answer one call with a content header and a tail."""
        message_id, call, data = await self.calls.get()
        await self.respond(message_id, *answer(call, data))

    async def respond(self, message_id: int, header: dict[str, Any], data: bytes = b"") -> None:
        await self.client.protocol.send(
            type="room.tool_call_response", message_id=message_id, data=pack_message(header, data)
        )

    async def send_chunk(self, message_id: int, call_id: str, chunk: Any, data: bytes = b"") -> None:
        await self.client.protocol.send(
            type="room.tool_call_response_chunk",
            message_id=message_id,
            data=pack_message({"tool_call_id": call_id, "chunk": chunk}, data),
        )

    async def _on_call(self, _protocol: Any, message_id: int, _type: str, data: bytes) -> None:
        header, tail = unpack_message(data)
        self.calls.put_nowait((message_id, header, tail))

    async def _on_chunk(self, _protocol: Any, _id: int, _type: str, data: bytes) -> None:
        header, tail = unpack_message(data)
        self.chunks.put_nowait((header, tail))
