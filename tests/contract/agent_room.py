"""The agent in the real local room, and chat clients made of the published RoomClient."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from process_agent.agent.assemble import Agent, AgentConfig, create_backends, started
from process_agent.agent.channels import AgentRoom, ChannelOptions
from process_agent.agent.standing_rules import RulesOptions
from process_agent.agent.tools.sources import ToolOptions
from process_agent.channels.specs import parse_channels
from process_agent.core.approvers import PEOPLE, Approvers
from process_agent.core.backend import ApprovalMode, Backend, BackendConfig, SandboxMode
from process_agent.core.records import Recording
from process_agent.core.speaker import IsolationMode
from process_agent.core.store import ThreadStore
from process_agent.core.workspace import WorkspaceMode
from process_agent.rooms.join import JoinTarget, join_room
from process_agent.scripted.server import ScriptedServer
from process_agent.threads.recorded import RecordedThreadStore
from process_agent.threads.register import Register
from process_agent.threads.store import DatasetThreadStore
from tests.fakes.room import ROOM, LocalRoom, participant

AGENT = "codex-agent"
PREFIX = "meshagent.agent."


@asynccontextmanager
async def agent_in(
    server: LocalRoom,
    folder: Path,
    backends: Sequence[Backend] | None = None,
    *,
    model: ScriptedServer | None = None,
    approvals: ApprovalMode = "ask",
    approvers: Sequence[str] = (PEOPLE,),
    approval_seconds: float = 300.0,
    sandbox: SandboxMode = "workspace-write",
    channels: Sequence[str] = ("chat",),
    options: ChannelOptions | None = None,
    isolation: IsolationMode = "global",
    tools: ToolOptions | None = None,
    rules: RulesOptions | None = None,
    workspace: WorkspaceMode = "shared",
    recorded: bool = False,
    skills: tuple[Path, ...] = (),
    single_thread: bool = False,
) -> AsyncIterator[Agent]:
    """An agent that joined; with `model` its backend is the real Codex. `channels` as for `--channel`."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    backend = BackendConfig(
        AGENT,
        work,
        folder / "data",
        provider="default" if model is None else "scripted",
        base_url=None if model is None else model.base_url,
        api_key=None if model is None else model.api_key,
        approvals=approvals,
        sandbox=sandbox,
        keeps_history=recorded,
        skill_dirs=skills,
        environment={name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
    )
    config = AgentConfig(
        AGENT,
        backend,
        backends=("codex",),
        channels=parse_channels(channels),
        channel_options=options or ChannelOptions(),
        approvers=Approvers(tuple(approvers)),
        approval_seconds=approval_seconds,
        isolation=isolation,
        single_thread=single_thread,
        tools=tools or ToolOptions(),
        rules=rules or RulesOptions(),
        workspace=workspace,
        copies=folder / "copies",
    )
    async with join_room(JoinTarget(ROOM, server.url, server.token(AGENT, "agent"))) as room:
        made = create_backends(config) if backends is None else backends
        store: ThreadStore = DatasetThreadStore(
            room.datasets,
            AGENT,
            clock=lambda: datetime.now(UTC),
            new_id=lambda: str(uuid.uuid4()),
            apart=isolation == "participant",
        )
        if recorded:
            (codex,) = made
            assert isinstance(codex, Recording)
            register = Register(folder / "data" / "threads" / "register.jsonl")
            store = RecordedThreadStore(
                AGENT,
                "codex",
                codex.records,
                register,
                clock=lambda: datetime.now(UTC),
                new_id=lambda: str(uuid.uuid4()),
            )
        inside = AgentRoom(room.messaging, store, room.datasets, room.queues, room.files, room.toolkits)
        async with started(made) as backends_here, Agent(config, inside, backends_here) as agent:
            yield agent


class ChatClient:
    """Speaks agent messages to the agent, unary and over streams."""

    def __init__(self, client: Any, agent: Any) -> None:
        self._client = client
        self.agent = agent
        self.got: list[dict[str, Any]] = []
        self.ways: list[str] = []
        self._news = asyncio.Event()
        self._read = 0
        client.messaging.on("message", self._message)

    async def send(self, kind: str, **fields: Any) -> str:
        """Send a message; returns its id."""
        message_id = str(uuid.uuid4())
        body = {"type": PREFIX + kind, "message_id": message_id, **fields}
        await self._client.messaging.send_message(to=self.agent, type="agent-message", message=body)
        return message_id

    async def say(self, kind: str, text: str, **fields: Any) -> str:
        """Send a message with text."""
        return await self.send(kind, content=[{"type": "text", "text": text}], **fields)

    async def stream(self, stream_type: str, kind: str, **fields: Any) -> Any:
        """Open a stream; what comes down it is in `got` too."""
        body = {"type": PREFIX + kind, "message_id": str(uuid.uuid4()), **fields}
        return await self._client.messaging.stream(to=self.agent, type=stream_type, message=body)

    async def read(self, stream: Any) -> None:
        """Take in what comes down a stream, until it ends."""
        while (event := await stream.receive()) is not None:
            if type(event).__name__ != "RoomMessage":
                return
            self._take("stream", event.message)

    async def wait(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next message of a kind, with these values, that was not waited for yet."""
        while True:
            while self._read < len(self.got):
                message = self.got[self._read]
                self._read += 1
                wanted = all(message.get(name) == value for name, value in fields.items())
                if message["type"] == PREFIX + kind and wanted:
                    return message
            self._news.clear()
            await self._news.wait()

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.got if message["type"] == PREFIX + kind]

    def texts(self) -> str:
        """All text it was sent."""
        return "".join(message["text"] for message in self.all("text_content.delta"))

    def _message(self, message: Any) -> None:
        if message.type == "agent-message":
            self._take("unary", message.message)

    def _take(self, way: str, body: dict[str, Any]) -> None:
        self.got.append(body)
        self.ways.append(way)
        self._news.set()


@asynccontextmanager
async def chat_client(server: LocalRoom, name: str, **attributes: str) -> AsyncIterator[ChatClient]:
    """A chat client that sees the agent, with attributes of its own."""
    async with server.client(name) as client:
        for attribute, value in attributes.items():
            await client.local_participant.set_attribute(attribute, value)
        await client.messaging.enable()
        yield ChatClient(client, await participant(client, AGENT))
