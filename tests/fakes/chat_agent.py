"""A canned agent for the page's tests: the published client speaks, the script says what.

What a turn does is decided by the first word of its text; see `chat_scripts`.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from process_agent.core import events as e
from process_agent.core.content import TextPart
from process_agent.core.ids import MessageId, ThreadId, TurnId
from process_agent.io.tasks import Tasks
from process_agent.wire.agent_messages import PREFIX, compact, encode_event
from tests.fakes import chat_scripts

type Message = dict[str, Any]
type Send = Callable[[Message], None]
type Outbox = asyncio.Queue[tuple[Callable[[Message], Awaitable[None]], Message]]

MODELS: list[Message] = [
    {
        "name": "openai",
        "friendly_name": "Codex",
        "backend": "codex",
        "default_model": "gpt-large",
        "models": [{"name": "gpt-large", "active": True}, {"name": "gpt-small", "friendly_name": "Small"}],
    },
    {
        "name": "scripted",
        "friendly_name": "scripted model",
        "backend": "codex",
        "default_model": None,
        "models": [{"name": "scripted", "friendly_name": "scripted model"}],
    },
]


class Running:
    """What can happen to a turn from outside."""

    def __init__(self, turn_id: str) -> None:
        self.id = turn_id
        self.stopped = asyncio.Event()
        self.decided: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.steered: asyncio.Queue[str] = asyncio.Queue()
        self.told: asyncio.Future[str] = asyncio.get_running_loop().create_future()


class ChatAgent:
    """Serves threads from memory. `heard` keeps every message it got; while `deaf` it opens no thread."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._tasks = Tasks("chat agent")
        self.threads: dict[str, list[Message]] = {}
        self.names: dict[str, str] = {}
        self.heard: list[Message] = []
        self.deaf = False
        self._viewers: dict[str, dict[str, Send]] = {}
        self._watchers: dict[str, Send] = {}
        self._outboxes: dict[str, Outbox] = {}
        self._running: dict[str, Running] = {}
        self._busy: dict[str, asyncio.Lock] = {}

    async def start(self, streams: bool) -> None:
        """Publish what clients look for and begin to listen."""
        messaging = self._client.messaging
        messaging.on("message", self._unary)
        messaging.on("stream_requested", lambda request: self._tasks.start(self._stream(request), "stream"))
        await messaging.enable()
        if streams:
            await self._client.local_participant.set_attribute("supports_messaging_streams", True)
        await self._client.local_participant.set_attribute("empty_state_title", "What shall we build?")
        await self._client.local_participant.set_attribute("supports_agent_messages", True)

    async def warn(self, caution: str) -> None:
        """Say what everybody who talks to it should know."""
        await self._client.local_participant.set_attribute("process.caution", caution)

    async def only(self, path: str) -> None:
        """Say that there is this one thread for everybody."""
        await self._client.local_participant.set_attribute("meshagent.chatbot.thread-path", path)

    async def stop(self) -> None:
        await self._tasks.close()

    # --- Transport -------------------------------------------------------------------------------

    def _unary(self, message: Any) -> None:
        if message.type != "agent-message":
            return
        sender = message.from_participant_id
        self._handle(message.message, sender, self._unary_to(sender))

    def _unary_to(self, participant_id: str) -> Send:
        async def deliver(body: Message) -> None:
            to = next((p for p in self._client.messaging.remote_participants if p.id == participant_id), None)
            if to is not None:
                await self._client.messaging.send_message(to=to, type="agent-message", message=body)

        return lambda body: self._outbox(participant_id).put_nowait((deliver, body))

    def _outbox(self, participant_id: str) -> Outbox:
        """What a participant gets leaves in order, whether it goes unary or down a stream."""
        known = self._outboxes.get(participant_id)
        if known is None:
            known = self._outboxes[participant_id] = asyncio.Queue()
            self._tasks.start(_post(known), "outbox")
        return known

    async def _stream(self, request: Any) -> None:
        stream = await request.accept()
        sender = request.from_participant_id

        async def deliver(body: Message) -> None:
            await stream.send_message(type="agent-message", message=body)

        def send(body: Message) -> None:
            self._outbox(sender).put_nowait((deliver, body))

        self._handle(request.message, sender, send)
        while True:
            received = await stream.receive()
            if type(received).__name__ != "RoomMessage":
                return
            self._handle(received.message, sender, send)

    # --- Requests --------------------------------------------------------------------------------

    def _handle(self, body: Message, sender: str, send: Send) -> None:
        self.heard.append(body)
        kind = body["type"].removeprefix(PREFIX)
        source = {"source_message_id": body["message_id"]}
        path = body.get("thread_id", "")
        match kind:
            case "thread.list":
                send(self._listed(body))
            case "thread.watch":
                self._watchers[sender] = send
            case "models.request":
                send(self._reply("models.response", providers=MODELS, **source))
            case "model.change":
                choice = {k: body.get(k) for k in ("backend", "provider", "model")}
                self.tell(path, self._reply("model.changed", thread_id=path, **choice, **source))
            case "thread.start":
                self._start_thread(body, sender, send)
            case "thread.open" if not self.deaf:
                self._open(body, sender, send)
            case "thread.clear" | "thread.rename" | "thread.delete":
                self._change(kind, body)
            case "turn.start":
                self._tasks.start(self._turn(path, body, sender), "turn")
            case _:
                self._to_turn(kind, body)

    def _change(self, kind: str, body: Message) -> None:
        path = body["thread_id"]
        match kind:
            case "thread.clear":
                self.threads[path].clear()
                cleared = {"thread_id": path, "source_message_id": body["message_id"]}
                self.tell(path, self._reply("thread.cleared", **cleared))
            case "thread.rename":
                self.names[path] = body["name"]
                self._tell_watchers(self._reply("thread.updated", thread=self._entry(path)))
            case _:
                self.threads.pop(path)
                self._tell_watchers(self._reply("thread.deleted", path=path))

    def _listed(self, body: Message) -> Message:
        at, limit = body.get("offset", 0), body.get("limit", 200)
        page = [self._entry(path) for path in list(self.threads)[at : at + limit]]
        counted = {"total": len(self.threads), "offset": at, "limit": limit}
        return self._reply("thread.listed", threads=page, source_message_id=body["message_id"], **counted)

    def _to_turn(self, kind: str, body: Message) -> None:
        running = self._running.get(body.get("turn_id", ""))
        if running is None:
            return
        path, turn_id = body["thread_id"], running.id
        match kind:
            case "turn.interrupt":
                self._emit(path, turn_id, e.InterruptAccepted(MessageId(body["message_id"])))
                running.stopped.set()
            case "turn.steer":
                said = (tuple(TextPart(p["text"]) for p in body["content"]), "ana")
                self._emit(path, turn_id, e.SteerAccepted(MessageId(body["message_id"]), *said))
                self._emit(path, turn_id, e.Steered(MessageId(body["message_id"]), *said))
                running.steered.put_nowait(body["content"][0]["text"])
            case "secret.response" if not running.told.done():
                running.told.set_result(body.get("value", ""))
            case "tool_call.approve" | "tool_call.reject" if not running.decided.done():
                running.decided.set_result(kind.endswith("approve"))

    def _start_thread(self, body: Message, sender: str, send: Send) -> None:
        path = f"dataset://agents/fake-agent/threads/{uuid.uuid4()}"
        self.threads[path] = []
        self.names[path] = body["content"][0]["text"][:40] if body.get("content") else "New Chat"
        self._tell_watchers(self._reply("thread.created", thread=self._entry(path)))
        self._viewers[path] = {sender: send}
        send(self._reply("thread.started", thread_id=path, source_message_id=body["message_id"]))
        if body.get("content"):
            self._tasks.start(self._turn(path, body, sender), "turn")

    def _open(self, body: Message, sender: str, send: Send) -> None:
        path = body["thread_id"]
        if body.get("load"):
            for stored in self.threads.get(path, []):
                send(stored)
            send(self._reply("thread.loaded", thread_id=path, source_message_id=body["message_id"]))
        self._viewers.setdefault(path, {})[sender] = send

    # --- Turns -----------------------------------------------------------------------------------

    async def _turn(self, path: str, body: Message, sender: str) -> None:
        who = next((p for p in self._client.messaging.remote_participants if p.id == sender), None)
        name = who.get_attribute("name") if who else None
        text = body["content"][0]["text"]
        said = (MessageId(body["message_id"]), (TextPart(text),), name)
        running = Running(uuid.uuid4().hex)
        self._running[running.id] = running
        self._emit(path, running.id, e.TurnAccepted(*said))
        async with self._busy.setdefault(path, asyncio.Lock()):
            self._emit(path, running.id, e.TurnStarted(*said))
            script = chat_scripts.SCRIPTS.get(text.split()[0].lower(), chat_scripts.answer)
            async for event in script(text, running):
                self._emit(path, running.id, event)
            del self._running[running.id]
            self._emit(path, running.id, e.Status())

    def _emit(self, path: str, turn_id: str, body: e.EventBody) -> None:
        if isinstance(body, e.Working):
            body = e.Status(body.text, "steerable", datetime.now(UTC))
        event = e.ThreadEvent(
            MessageId(str(uuid.uuid4())),
            ThreadId(path),
            TurnId(turn_id),
            datetime.now(UTC),
            body,
            "fake-agent",
            "openai",
            "gpt-large",
        )
        message = encode_event(event)
        if not isinstance(body, e.Status):
            self.threads.get(path, []).append(message)
        self.tell(path, compact(message))

    def tell(self, path: str, message: Message) -> None:
        for send in self._viewers.get(path, {}).values():
            send(message)

    def _tell_watchers(self, message: Message) -> None:
        for send in self._watchers.values():
            send(message)

    def _entry(self, path: str) -> Message:
        now = datetime.now(UTC).isoformat()
        return {"path": path, "name": self.names[path], "created_at": now, "modified_at": now}

    def _reply(self, kind: str, **fields: Any) -> Message:
        return {"type": PREFIX + kind, "message_id": str(uuid.uuid4()), "sender_name": "fake-agent", **fields}


async def _post(outbox: Outbox) -> None:
    from meshagent.api import RoomException

    while True:
        deliver, body = await outbox.get()
        with contextlib.suppress(RoomException):  # the page that asked may be gone
            await deliver(body)


@contextlib.asynccontextmanager
async def chat_agent(
    room: Any, name: str = "fake-agent", *, streams: bool = True
) -> AsyncIterator[ChatAgent]:
    """A canned agent that is in the room for as long as the block runs."""
    async with room.client(name, role="agent") as client:
        agent = ChatAgent(client)
        await agent.start(streams)
        try:
            yield agent
        finally:
            await agent.stop()
