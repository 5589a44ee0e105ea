"""A chat client on the published RoomClient, the same for every agent: what a person's program would see."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict
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
OPEN_SECONDS = 300.0
ROSTER = (
    *("messaging_enabled", "participant_added"),
    *("participant_removed", "participant_attributes_updated"),
)
"""Events of the client after which other participants may be there: those that were there before come with
the first one alone.
"""

ANYWHERE = ""
"""Where messages wait that belong to no thread yet."""

type Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TurnSeen:
    """One turn as the client saw it. Times count from the moment the request was handed to the client.

    `viewer_cpu_ms` is the processor time of this whole process meanwhile.
    """

    accepted_ms: float
    first_delta_ms: float
    ended_ms: float
    messages: int
    text_messages: int
    text: str
    viewer_cpu_ms: float


@dataclass(frozen=True, slots=True)
class Opened:
    """How long it took until a thread showed its first stored event, and until it was loaded."""

    first_ms: float
    loaded_ms: float
    events: int


@dataclass(frozen=True, slots=True)
class StopSeen:
    """A turn that was stopped: when that was accepted and when it had ended, from the stop on."""

    accepted_ms: float
    ended_ms: float


class Chat:
    """One room membership. Made by `joined`."""

    def __init__(self, client: RoomClient) -> None:
        self.client = client
        self._arrived: dict[str, asyncio.Queue[tuple[float, Message]]] = defaultdict(asyncio.Queue)
        self._tasks = Tasks("chat")
        self._streams: dict[str, Any] = {}
        self._changed = asyncio.Event()
        client.messaging.on("message", self._message)
        for event in ROSTER:
            client.messaging.on(event, self._somebody)

    async def see(self, name: str, attribute: str | None = None) -> Any:
        """Wait until a participant with this name is there, and has this attribute set."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                for participant in self.client.messaging.remote_participants:
                    if participant.get_attribute("name") == name and (
                        attribute is None or participant.get_attribute(attribute) is True
                    ):
                        return participant
                await self._change()

    async def gone(self, name: str) -> None:
        """Wait until no participant has this name."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while self.client.messaging.get_participant_by_name(name) is not None:
                await self._change()

    async def _change(self) -> None:
        """Wait until somebody came, went or changed."""
        self._changed.clear()
        await self._changed.wait()

    async def new_thread(self, agent: Any) -> str:
        """Start a thread and subscribe to it; returns its id. One at a time."""
        await self.client.messaging.send_message(
            to=agent, type=AGENT_MESSAGE, message=_message("thread.start")
        )
        started = await self._next(ANYWHERE, "thread.started")
        thread_id = str(started["thread_id"])
        await self.open(agent, thread_id)
        return thread_id

    async def open(self, agent: Any, thread_id: str) -> Opened:
        """Subscribe to a thread and load what is stored."""
        began = time.perf_counter()
        opening = _message("thread.open", thread_id=thread_id, load=True)
        stream: Any = await self.client.messaging.stream(to=agent, type=SUBSCRIBE, message=opening)
        self._streams[thread_id] = stream
        self._tasks.start(self._read(stream), "read the thread")
        first, events = None, 0
        async with asyncio.timeout(OPEN_SECONDS):
            while True:
                at, message = await self._arrived[thread_id].get()
                first = at if first is None else first
                if message["type"] == PREFIX + "thread.loaded":
                    return Opened((first - began) * 1000, (at - began) * 1000, events)
                events += 1

    async def leave(self, thread_id: str) -> None:
        """Stop viewing a thread."""
        await self._streams.pop(thread_id).close()
        self._arrived.pop(thread_id, None)

    async def turn(self, thread_id: str, text: str) -> TurnSeen:
        """Say something and wait for the end of the turn. Raises RuntimeError when it fails."""
        arrived = self._arrived[thread_id]
        while not arrived.empty():
            arrived.get_nowait()
        cpu, began = time.process_time(), time.perf_counter()
        content = [{"type": "text", "text": text}]
        request = _message("turn.start", thread_id=thread_id, content=content)
        await self._streams[thread_id].send_message(type=AGENT_MESSAGE, message=request)
        pieces: list[str] = []
        first: float | None = None
        accepted: float | None = None
        count, turn_id = 0, None
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                at, message = await arrived.get()
                count += 1
                kind = message["type"].removeprefix(PREFIX)
                if kind == "turn.start.accepted":
                    accepted, turn_id = at, message["turn_id"]
                elif kind == "turn.start.rejected":
                    break
                elif message.get("turn_id") != turn_id or turn_id is None:
                    continue  # the reference repeats events of earlier turns when somebody opens the thread
                elif kind == "text_content.delta":
                    first = at if first is None else first
                    pieces.append(message["text"])
                elif kind == "turn.ended":
                    break
        if accepted is None or first is None or message.get("error"):
            raise RuntimeError(f"a turn failed: {message.get('error') or message}")
        return TurnSeen(
            accepted_ms=(accepted - began) * 1000,
            first_delta_ms=(first - began) * 1000,
            ended_ms=(at - began) * 1000,
            messages=count,
            text_messages=len(pieces),
            text="".join(pieces),
            viewer_cpu_ms=(time.process_time() - cpu) * 1000,
        )

    async def clear(self, thread_id: str) -> None:
        """Have a thread forget everything."""
        await self._send(thread_id, _message("thread.clear", thread_id=thread_id))
        await self._next(thread_id, "thread.cleared")

    async def ended(self, thread_id: str) -> str:
        """Wait for the end of a turn somebody else starts; returns its text."""
        pieces: list[str] = []
        turn_id = None
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                _, message = await self._arrived[thread_id].get()
                kind = message["type"].removeprefix(PREFIX)
                if kind == "turn.started":
                    turn_id = message["turn_id"]
                elif turn_id is not None and message.get("turn_id") == turn_id:
                    if kind == "turn.ended":
                        return "".join(pieces)
                    if kind == "text_content.delta":
                        pieces.append(message["text"])

    async def stop_a_turn(self, thread_id: str, after_seconds: float) -> StopSeen:
        """Start a turn and stop it so long after its first delta."""
        content = [{"type": "text", "text": "go"}]
        await self._send(thread_id, _message("turn.start", thread_id=thread_id, content=content))
        turn_id = (await self._next(thread_id, "turn.started"))["turn_id"]
        await self._next(thread_id, "text_content.delta")
        await asyncio.sleep(after_seconds)
        began = time.perf_counter()
        await self._send(thread_id, _message("turn.interrupt", thread_id=thread_id, turn_id=turn_id))
        accepted, _ = await self._next_at(thread_id, "turn.interrupt.accepted")
        ended, _ = await self._next_at(thread_id, "turn.ended")
        return StopSeen((accepted - began) * 1000, (ended - began) * 1000)

    async def stop(self, thread_ids: list[str], text: str) -> list[StopSeen]:
        """Start a turn in each thread, and stop all of them when each has said something."""
        turns = await self.begin_all(thread_ids, text)
        return await asyncio.gather(*map(self.stop_turn, thread_ids, turns))

    async def begin_all(self, thread_ids: list[str], text: str) -> list[str]:
        """Start a turn in each thread; their ids, when each has said something."""
        return await asyncio.gather(*(self._begun(thread_id, text) for thread_id in thread_ids))

    async def _begun(self, thread_id: str, text: str) -> str:
        arrived = self._arrived[thread_id]
        while not arrived.empty():
            arrived.get_nowait()
        content = [{"type": "text", "text": text}]
        await self._send(thread_id, _message("turn.start", thread_id=thread_id, content=content))
        turn_id = str((await self._next(thread_id, "turn.started"))["turn_id"])
        await self._next(thread_id, "text_content.delta")
        return turn_id

    async def stop_turn(self, thread_id: str, turn_id: str) -> StopSeen:
        """Stop a turn and wait for its end."""
        began = time.perf_counter()
        await self._send(thread_id, _message("turn.interrupt", thread_id=thread_id, turn_id=turn_id))
        accepted, _ = await self._next_at(thread_id, "turn.interrupt.accepted")
        ended, _ = await self._next_at(thread_id, "turn.ended")
        return StopSeen((accepted - began) * 1000, (ended - began) * 1000)

    async def close(self) -> None:
        """Stop reading."""
        await self._tasks.close()

    async def _send(self, thread_id: str, body: Message) -> None:
        await self._streams[thread_id].send_message(type=AGENT_MESSAGE, message=body)

    async def _next(self, thread_id: str, kind: str) -> Message:
        return (await self._next_at(thread_id, kind))[1]

    async def _next_at(self, thread_id: str, kind: str) -> tuple[float, Message]:
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                at, message = await self._arrived[thread_id].get()
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
        kind = str(message.get("type", ""))
        if kind.startswith(PREFIX):
            place = ANYWHERE if kind == PREFIX + "thread.started" else message.get("thread_id", ANYWHERE)
            self._arrived[place].put_nowait((time.perf_counter(), message))


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
