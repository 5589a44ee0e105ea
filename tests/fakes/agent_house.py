"""A whole agent in memory: its room, its store, and a backend the test plays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from process_agent.agent.assemble import Agent, AgentConfig, started
from process_agent.agent.channels import AgentRoom
from process_agent.core.backend import ApprovalMode, BackendConfig
from process_agent.core.content import Json
from tests.fakes.backend import FakeBackend
from tests.fakes.memory_messaging import Client, MemoryMessaging
from tests.fakes.memory_store import MemoryThreadStore


def said(text: str) -> list[Json]:
    return [{"type": "text", "text": text}]


def config(tmp_path: Path, *, approvals: ApprovalMode = "ask", approval_seconds: float = 300) -> AgentConfig:
    backend = BackendConfig("bot", tmp_path, tmp_path, approvals=approvals)
    return AgentConfig("bot", backend, backends=("codex",), approval_seconds=approval_seconds)


class Room:
    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.messaging = MemoryMessaging()
        self.store = MemoryThreadStore()
        self.backend = FakeBackend()

    @asynccontextmanager
    async def agent(
        self, approvals: ApprovalMode = "ask", approval_seconds: float = 300
    ) -> AsyncIterator[Agent]:
        made = config(self.tmp_path, approvals=approvals, approval_seconds=approval_seconds)
        async with (
            started([self.backend]) as backends,
            Agent(made, AgentRoom(self.messaging, self.store), backends) as agent,
        ):
            yield agent

    def restarted(self) -> None:
        """Everything is new but the room's rows."""
        self.messaging = MemoryMessaging()
        self.store = MemoryThreadStore(self.store.rows)
        self.backend = FakeBackend()


async def start(client: Client, text: str = "hello") -> str:
    client.send("thread.start", content=said(text))
    return str((await client.wait("thread.started"))["thread_id"])
