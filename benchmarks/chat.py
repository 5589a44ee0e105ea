"""A chat client on the published RoomClient, the same for every agent: what a person's program would see."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from meshagent.api.room_server_client import RoomClient
from meshagent.api.room_server_client import RoomMessage as Received
from meshagent.api.websocket_protocol import WebSocketClientProtocol

from process_agent.io.tasks import Tasks

AGENT_MESSAGE = "agent-message"
SUBSCRIBE = "meshagent.chat.thread.subscribe"
PREFIX = "meshagent.agent."
LIMIT_SECONDS = 60.0

type Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TurnSeen:
    """One turn as the client saw it. Times count from the moment the request was handed to the client.

    `viewer_cpu_ms` is the processor time of this whole process meanwhile.
    """

    first_delta_ms: float
    ended_ms: float
    messages: int
    text_messages: int
    text: str
    viewer_cpu_ms: float


@dataclass(frozen=True, slots=True)
class StopSeen:
    """A turn that was stopped: when that was accepted and when it had ended, from the stop on."""

    accepted_ms: float
    ended_ms: float


STOP_AFTER_SECONDS = 0.5
"""How long a turn streams before it is stopped."""


class Chat:
    """One room membership. Made by `joined`."""

    def __init__(self, client: RoomClient) -> None:
        self._client = client
        self._arrived: asyncio.Queue[tuple[float, Message]] = asyncio.Queue()
        self._tasks = Tasks("chat")
        self._stream: Any = None
        self._thread_id = ""
        self._changed = asyncio.Event()
        client.messaging.on("message", self._message)
        for event in ("participant_added", "participant_removed", "participant_attributes_updated"):
            client.messaging.on(event, self._somebody)

    async def see(self, name: str, attribute: str | None = None) -> Any:
        """Wait until a participant with this name is there, and has this attribute set."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                for participant in self._client.messaging.remote_participants:
                    if participant.get_attribute("name") == name and (
                        attribute is None or participant.get_attribute(attribute) is True
                    ):
                        return participant
                await self._change()

    async def gone(self, name: str) -> None:
        """Wait until no participant has this name."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while self._client.messaging.get_participant_by_name(name) is not None:
                await self._change()

    async def _change(self) -> None:
        """Wait until somebody came, went or changed."""
        self._changed.clear()
        await self._changed.wait()

    async def new_thread(self, agent: Any) -> str:
        """Start a thread and subscribe to it; returns its id."""
        await self._client.messaging.send_message(
            to=agent, type=AGENT_MESSAGE, message=_message("thread.start")
        )
        thread_id = str((await self._next("thread.started"))["thread_id"])
        opening = _message("thread.open", thread_id=thread_id, load=True)
        self._stream = await self._client.messaging.stream(to=agent, type=SUBSCRIBE, message=opening)
        self._tasks.start(self._read(self._stream), "read the thread")
        await self._next("thread.loaded")
        self._thread_id = thread_id
        return thread_id

    async def turn(self, thread_id: str, text: str) -> TurnSeen:
        """Say something and wait for the end of the turn. Raises RuntimeError when it fails."""
        while not self._arrived.empty():
            self._arrived.get_nowait()
        cpu, began = time.process_time(), time.perf_counter()
        content = [{"type": "text", "text": text}]
        request = _message("turn.start", thread_id=thread_id, content=content)
        await self._stream.send_message(type=AGENT_MESSAGE, message=request)
        pieces: list[str] = []
        first: float | None = None
        count = 0
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                at, message = await self._arrived.get()
                count += 1
                kind = message["type"].removeprefix(PREFIX)
                if kind == "text_content.delta":
                    first = at if first is None else first
                    pieces.append(message["text"])
                elif kind in ("turn.ended", "turn.start.rejected"):
                    break
        if first is None or message.get("error"):
            raise RuntimeError(f"the turn {text[:60]!r} failed: {message}")
        return TurnSeen(
            first_delta_ms=(first - began) * 1000,
            ended_ms=(at - began) * 1000,
            messages=count,
            text_messages=len(pieces),
            text="".join(pieces),
            viewer_cpu_ms=(time.process_time() - cpu) * 1000,
        )

    async def stop_a_turn(self) -> StopSeen:
        """Start a turn in the thread that was started last, and stop it while it streams."""
        content = [{"type": "text", "text": "go"}]
        await self._send("turn.start", content=content)
        turn_id = (await self._next("turn.started"))["turn_id"]
        await self._next("text_content.delta")
        await asyncio.sleep(STOP_AFTER_SECONDS)
        began = time.perf_counter()
        await self._send("turn.interrupt", turn_id=turn_id)
        accepted = await self._when("turn.interrupt.accepted")
        ended = await self._when("turn.ended")
        return StopSeen((accepted - began) * 1000, (ended - began) * 1000)

    async def _send(self, kind: str, **members: Any) -> None:
        body = _message(kind, thread_id=self._thread_id, **members)
        await self._stream.send_message(type=AGENT_MESSAGE, message=body)

    async def close(self) -> None:
        """Stop reading."""
        await self._tasks.close()

    async def _next(self, kind: str) -> Message:
        return (await self._next_at(kind))[1]

    async def _when(self, kind: str) -> float:
        return (await self._next_at(kind))[0]

    async def _next_at(self, kind: str) -> tuple[float, Message]:
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                at, message = await self._arrived.get()
                if message["type"] == PREFIX + kind:
                    return at, message

    async def _read(self, stream: Any) -> None:
        async for event in stream:
            if isinstance(event, Received):
                self._take(event.message)

    def _message(self, message: Any) -> None:
        self._take(message.message)

    def _somebody(self, **_: Any) -> None:
        self._changed.set()

    def _take(self, message: Message) -> None:
        if str(message.get("type", "")).startswith(PREFIX):
            self._arrived.put_nowait((time.perf_counter(), message))


@asynccontextmanager
async def joined(url: str, token: str) -> AsyncIterator[Chat]:
    """Join a room by its websocket address."""
    client = RoomClient(protocol_factory=lambda: WebSocketClientProtocol(url=url, token=token))
    client.messaging.enable()
    async with client:
        chat = Chat(client)
        try:
            yield chat
        finally:
            await chat.close()


def _message(kind: str, **members: Any) -> Message:
    return {"type": PREFIX + kind, "message_id": str(uuid.uuid4()), **members}
