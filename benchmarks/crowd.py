"""`python -m benchmarks.crowd URL TOKEN AGENT THREADS watch|leave`: starts turns in many threads of an agent.

It prints a line when all of them stream. With `watch` it then goes on reading them, over a stream for each,
until its input ends; with `leave` it leaves the room, and the threads stream for nobody.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from typing import Any

from meshagent.api.room_server_client import RoomClient
from meshagent.api.websocket_protocol import WebSocketClientProtocol

from benchmarks.chat import AGENT_MESSAGE, PREFIX, SUBSCRIBE
from process_agent.io.tasks import Tasks

AT_ONCE = 10
"""Threads that are started together."""


class Crowd:
    """Many readers in one client."""

    def __init__(self, client: RoomClient, agent: Any) -> None:
        self._client = client
        self._agent = agent
        self._tasks = Tasks("crowd")
        self._started: asyncio.Queue[str] = asyncio.Queue()
        client.messaging.on("message", self._take)

    async def start(self, count: int) -> None:
        """Start threads and return when each of them streams."""
        for _ in range(count):
            body = _message("thread.start")
            await self._client.messaging.send_message(to=self._agent, type=AGENT_MESSAGE, message=body)
        begun = [asyncio.Event() for _ in range(count)]
        for each in begun:
            thread_id = await self._started.get()
            opening = _message("thread.open", thread_id=thread_id)
            stream = await self._client.messaging.stream(to=self._agent, type=SUBSCRIBE, message=opening)
            self._tasks.start(_read(stream, each), "read a thread")
            turn = _message("turn.start", thread_id=thread_id, content=[{"type": "text", "text": "go"}])
            await stream.send_message(type=AGENT_MESSAGE, message=turn)
        for each in begun:
            await each.wait()

    async def close(self) -> None:
        """Stop reading."""
        await self._tasks.close()

    def _take(self, message: Any) -> None:
        if message.message.get("type") == PREFIX + "thread.started":
            self._started.put_nowait(message.message["thread_id"])


async def _read(stream: Any, begun: asyncio.Event) -> None:
    async for event in stream:
        if getattr(event, "message", {}).get("type") == PREFIX + "text_content.delta":
            begun.set()


def _message(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": PREFIX + kind, "message_id": str(uuid.uuid4()), **members}


async def main(url: str, token: str, agent_name: str, threads: int, watch: bool) -> None:
    client = RoomClient(protocol_factory=lambda: WebSocketClientProtocol(url=url, token=token))
    client.messaging.enable()
    async with client:
        async with asyncio.timeout(30):
            while (agent := client.messaging.get_participant_by_name(agent_name)) is None:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.05)
        crowd = Crowd(client, agent)
        try:
            for first in range(0, threads, AT_ONCE):
                await crowd.start(min(AT_ONCE, threads - first))
            print("streaming", flush=True)
            if watch:
                await asyncio.to_thread(sys.stdin.read)
        finally:
            await crowd.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5] == "watch"))
