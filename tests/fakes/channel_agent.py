"""A whole agent in memory with any channels: a test plays people, queues, callers and backend."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from process_agent.agent.assemble import Agent, AgentConfig, started
from process_agent.agent.channels import AgentRoom
from process_agent.channels.specs import parse_channels
from process_agent.core.backend import BackendConfig
from process_agent.core.speaker import IsolationMode
from tests.fakes.backend import FakeBackend
from tests.fakes.memory_messaging import MemoryMessaging
from tests.fakes.memory_room import MemoryFiles, MemoryQueues, MemoryToolkits
from tests.fakes.memory_store import MemoryThreadStore


class ChannelRoom:
    """The room of such an agent."""

    def __init__(self, folder: Path, *channels: str) -> None:
        self.folder = folder
        self.channels = parse_channels(channels)
        self.messaging = MemoryMessaging()
        self.store = MemoryThreadStore()
        self.queues = MemoryQueues()
        self.files = MemoryFiles()
        self.toolkits = MemoryToolkits()
        self.backend = FakeBackend()

    @asynccontextmanager
    async def agent(self, isolation: IsolationMode = "global") -> AsyncIterator[Agent]:
        config = AgentConfig(
            "bot",
            BackendConfig("bot", self.folder, self.folder),
            backends=("codex",),
            channels=self.channels,
            isolation=isolation,
        )
        room = AgentRoom(
            self.messaging, self.store, queues=self.queues, files=self.files, toolkits=self.toolkits
        )
        async with started([self.backend]) as backends, Agent(config, room, backends) as agent:
            yield agent
