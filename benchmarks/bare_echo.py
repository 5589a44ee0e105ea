"""`python -m benchmarks.bare_echo URL TOKEN`: the least that answers a turn: a published RoomClient that says
yes, one word and the end, at once, to whoever subscribed, and yes to a stop; no model, no storage, nothing to
decide.

What it takes is what the room, the client and the machine take by themselves.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from typing import Any

from meshagent.api.room_server_client import (
    IncomingMessagingStreamRequest,
    RoomClient,
    RoomMessage,
)
from meshagent.api.websocket_protocol import WebSocketClientProtocol

from benchmarks.chat import AGENT_MESSAGE, PREFIX
from benchmarks.join_ready import READY
from process_agent.io.tasks import Tasks


class Echo:
    """Threads are names only."""

    def __init__(self, client: RoomClient) -> None:
        self._client: Any = client
        self._tasks = Tasks("echo")
        client.messaging.on("message", self._message)
        client.messaging.on("stream_requested", self._stream_requested)

    def _message(self, message: RoomMessage) -> None:
        asked = message.message
        if asked.get("type") == PREFIX + "thread.start":
            thread = f"dataset://bare/{uuid.uuid4()}"
            started = _said("thread.started", thread, source_message_id=asked["message_id"])
            to = self._client.messaging.get_participant(message.from_participant_id)
            sending = self._client.messaging.send_message(to=to, type=AGENT_MESSAGE, message=started)
            self._tasks.start(sending, "answer")

    def _stream_requested(self, request: IncomingMessagingStreamRequest) -> None:
        self._tasks.start(self._serve(request), "serve")

    async def _serve(self, request: IncomingMessagingStreamRequest) -> None:
        stream: Any = await request.accept()
        thread = request.message["thread_id"]
        loaded = _said("thread.loaded", thread, source_message_id=request.message["message_id"])
        stream.send_message_nowait(type=AGENT_MESSAGE, message=loaded)
        while isinstance(event := await stream.receive(), RoomMessage):
            for said in _answers(event.message, thread):
                stream.send_message_nowait(type=AGENT_MESSAGE, message=said)


def _answers(asked: dict[str, Any], thread: str) -> list[dict[str, Any]]:
    source = asked["message_id"]
    if asked["type"] == PREFIX + "turn.interrupt":
        turn = asked["turn_id"]
        accepted = _said("turn.interrupt.accepted", thread, turn_id=turn, source_message_id=source)
        return [accepted, _said("turn.ended", thread, turn_id=turn)]
    turn = str(uuid.uuid4())
    return [
        _said("turn.start.accepted", thread, turn_id=turn, source_message_id=source),
        _said("turn.started", thread, turn_id=turn),
        _said("text_content.delta", thread, turn_id=turn, item_id="i", text="yes"),
        _said("turn.ended", thread, turn_id=turn),
    ]


def _said(kind: str, thread: str, **members: str) -> dict[str, Any]:
    return {"type": PREFIX + kind, "message_id": str(uuid.uuid4()), "thread_id": thread, **members}


async def main(url: str, token: str) -> None:
    """Join and answer until the room ends it."""
    client: Any = RoomClient(protocol_factory=lambda: WebSocketClientProtocol(url=url, token=token))
    Echo(client)
    client.messaging.enable()
    async with client:
        await client.local_participant.set_attribute(READY, True)
        await client.wait_for_close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
